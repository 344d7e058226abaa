"""What the page's script draws from: curves, spectra and norms as plain lists, rounded to what is shown."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from aniso_core.records import PAPER, Array, Curve, Profile, Report, Verdict
from aniso_core.text import short, visible
from aniso_report import reading
from aniso_report.html.marks import flags
from aniso_report.names import family, order, step
from aniso_report.reading import SHARE, peak_sets

MOST_WHOLE = 12
"""Models whose every curve the page holds; of further ones it holds the share alone, so that it stays small."""

_DIGITS, _FEW = 6, 4
_RANKS = 40
_ROUNDING = 1e-10  # shares below are zero up to rounding, as in the figure of the spectra
_TOKENS = ("all", "no-first", "bulk")


def data(report: Report, labels: Sequence[str]) -> dict[str, Any]:
    """Return the page's data, ready for JSON: no NaN, no infinity, every number at most six digits long."""
    said = {about.name: short(about.said, 200) for about in report.about if about.kind == "metric"}
    metrics = {c.metric: [c.unit, said.get(c.metric, "")] for profile in report.profiles for c in profile.curves}
    named = zip(report.profiles, labels, briefly(labels), strict=True)
    models = [
        _model(profile, label, brief, report.verdicts, whole=number < MOST_WHOLE)
        for number, (profile, label, brief) in enumerate(named)
    ]
    made: dict[str, Any] = _visible({"models": models, "metrics": metrics, "share": SHARE, "order": order(labels)})
    return made


def briefly(labels: Sequence[str]) -> list[str]:
    """Return the revisions alone where all models are checkpoints of one, the names as they are elsewhere."""
    alike = len(labels) > 1 and len({family(label) for label in labels}) == 1
    return [label.partition("@")[2] if alike and step(label) is not None else label for label in labels]


def _model(profile: Profile, label: str, brief: str, verdicts: Sequence[Verdict], *, whole: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": label,
        "brief": brief,
        "layers": profile.model.layers,
        "main": reading.main_stream(profile),
        "curves": _curves(profile, whole=whole),
        "peaks": [[*view, list(layers)] for view, layers in peak_sets(verdicts, profile.model.name).items()],
    }
    if whole:
        made["flags"] = [[m.stream, m.tokens, m.metric, list(m.layers), m.said] for m in flags(profile)]
        made["spectra"] = _spectra(profile)
        gains = [norm for norm in profile.norms if np.isfinite([norm.gain_mean, norm.gain_sd]).all()]
        made["gains"] = [[n.layer, _short(n.gain_mean, _FEW), _short(n.gain_sd, _FEW)] for n in gains]
    return made


def _curves(profile: Profile, *, whole: bool) -> dict[str, Any]:
    """Return curves by metric, stream and token set, the view `paper` among the streams."""
    made: dict[str, Any] = {}
    streams = dict.fromkeys([*(c.stream for c in profile.curves), PAPER])
    tokens = dict.fromkeys([*_TOKENS, *(c.tokens for c in profile.curves)])
    metrics = dict.fromkeys([SHARE, *(c.metric for c in profile.curves)]) if whole else [SHARE]
    for metric in metrics:
        for stream in streams if whole else [reading.main_stream(profile)]:
            for of in tokens if whole else ("all", "bulk"):
                found = reading.curve(profile, metric, stream, of)
                if found is not None:
                    made.setdefault(metric, {}).setdefault(stream, {})[of] = _curve(profile, found, whole=whole)
    return made


def _curve(profile: Profile, found: Curve, *, whole: bool) -> dict[str, Any]:
    digits = _DIGITS if whole else _FEW
    made: dict[str, Any] = {"v": _numbers(found.values, digits)}
    if found.layers != tuple(range(profile.model.layers + 1)):
        made["x"] = list(found.layers)
    if found.low and found.high:
        made |= {"lo": _numbers(found.low, digits), "hi": _numbers(found.high, digits)}
    if whole and found.missing:
        made["no"] = {str(missing.layer): missing.reason[:200] for missing in found.missing}
    return made


def _spectra(profile: Profile) -> dict[str, Any]:
    """Return the share of each eigenvalue at ranks spread evenly on a logarithmic axis, by stream, token set, layer."""
    made: dict[str, Any] = {}
    for spectrum in profile.spectra:
        total = float(spectrum.values.sum())
        share = spectrum.values / total if total > 0 else spectrum.values[:0]
        kept: Array = share[share > _ROUNDING]
        if kept.size and np.isfinite(kept).all():
            ranks = np.unique(np.geomspace(1, len(kept), _RANKS).round().astype(int))
            of = made.setdefault(spectrum.stream, {}).setdefault(spectrum.tokens, {})
            of[str(spectrum.layer)] = [ranks.tolist(), _numbers(kept[ranks - 1].tolist(), _FEW)]
    return made


def _visible(data: Any) -> Any:
    """Return data with every text in it made visible, names of fields included."""
    if isinstance(data, dict):
        return {visible(name): _visible(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_visible(value) for value in data]
    return visible(data) if isinstance(data, str) else data


def _numbers(values: Iterable[float | None], digits: int) -> list[float | None]:
    return [None if value is None or not math.isfinite(value) else _short(value, digits) for value in values]


def _short(value: float, digits: int) -> float:
    """Return a number of so many digits, whole ones without a point, which JSON writes shorter."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 10**digits else rounded
