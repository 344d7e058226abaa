"""The reporter `json`: the notebooks' summary, under their own keys, over the view `paper` and all tokens."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aniso_core.records import PAPER, Array, Profile, Report, ReportFile, Verdict
from aniso_report import reading

Line = tuple[float | None, float | None]

_NORMS = {"layernorm": "LayerNorm", "rmsnorm": "RMSNorm"}
_ARRAYS = {
    "intrinsic_dim_ratio": reading.SHARE,
    "eigenvalue_variance": "eigenvalue-variance",
    "effective_rank": "effective-rank",
    "avg_cos_sim": "cosine-to-mean",
    "var_top1": "top-1-share",
    "var_top10": "top-10-share",
    "var_top50": "top-50-share",
    "mean_norm": "norm-mean",
    "std_norm": "norm-sd",
    "norm_cv": "norm-cv",
}
"""The notebooks' name of each list, and the metric that it holds."""


def render(report: Report) -> Iterator[ReportFile]:
    """Yield summary.json: one object, or a list of them for several profiles; null where there is no number."""
    found = [summary(profile, report.verdicts) for profile in report.profiles]
    content = found[0] if len(found) == 1 else found
    yield ReportFile("summary.json", (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def summary(profile: Profile, verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
    """Return the notebooks' numbers: L* is the largest share; phase 1 ends before it and phase 2 begins with it."""
    values, layers = _share(profile)
    peak = int(layers[np.argmax(values)]) if values.size else None
    (slope1, r1), (slope2, r2) = _phases(layers, values, peak)
    return {
        "model": profile.model.name,
        "n_layers": profile.model.layers,
        "hidden_dim": profile.model.width,
        "n_prompts": profile.prompts.documents if profile.prompts else None,
        "normalization": _NORMS.get(profile.model.norm or ""),
        "L_star_anisotropy": peak,
        "is_bell_curve": slope1 is not None and slope2 is not None and slope1 > 0 > slope2,
        "phase1_slope": slope1,
        "phase2_slope": slope2,
        "phase1_r": r1,
        "phase2_r": r2,
        "profile_variance": float(values.var()) if values.size else None,
        "profile_range": float(np.ptp(values)) if values.size else None,
        "max_anisotropy": float(values.max()) if values.size else None,
        **{key: _list(profile, metric) for key, metric in _ARRAYS.items()},
        "gauge_theory_test": _gauge_test(profile, verdicts),
    }


def _share(profile: Profile) -> tuple[Array, Array]:
    """Return the shares that are defined and their layers, both float64[states]."""
    curve = reading.curve(profile, reading.SHARE, PAPER)
    if curve is None:
        return np.empty(0), np.empty(0)
    values, layers = curve.array(), np.array(curve.layers, dtype=np.float64)
    there = np.isfinite(values)
    return values[there], layers[there]


def _phases(layers: Array, values: Array, peak: int | None) -> tuple[Line, Line]:
    if peak is None:
        return (None, None), (None, None)
    before = layers < peak
    return _line(layers[before], values[before]), _line(layers[~before], values[~before])


def _line(layers: Array, values: Array) -> Line:
    """Return slope per layer and correlation; no slope for fewer than two points, no correlation for a level line."""
    from scipy.stats import linregress

    if len(layers) < 2:  # noqa: PLR2004 - a line needs two points
        return None, None
    if np.ptp(values) == 0:
        return 0.0, None
    fit = linregress(layers, values)
    return float(fit.slope), float(fit.rvalue)


def _list(profile: Profile, metric: str) -> list[float | None] | None:
    curve = reading.curve(profile, metric, PAPER)
    return None if curve is None else [_plain(value) for value in curve.values]


def _gauge_test(profile: Profile, verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    about = [v for v in verdicts if v.hypothesis == "gauge-flatness" and v.subject == profile.model.name]
    paper = next((v for v in about if v.criterion == "paper"), None)
    if paper is None:
        return None
    return {"reference": paper.reference, "flatter": paper.outcome == "supported", **_plain(paper.details)}


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: numbers finite or null, keys and all else as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return str(value)
