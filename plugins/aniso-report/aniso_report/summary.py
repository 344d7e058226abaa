"""The reporter `json`: the notebooks' summary, under their own keys, over the view `paper` and all tokens."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aniso_core.paper import paper_shares, shape
from aniso_core.records import PAPER, Profile, Report, ReportFile, Verdict
from aniso_report import reading

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
    """Return the notebooks' numbers: L* is the largest share; phase 1 ends before it and phase 2 begins with it.

    A share that is missing at some layer leaves the profile without L*, phases and range.
    """
    values = paper_shares(profile)
    found = shape(values) if values is not None else None
    return {
        "model": profile.model.name,
        "n_layers": profile.model.layers,
        "hidden_dim": profile.model.width,
        "n_prompts": profile.prompts.documents if profile.prompts else None,
        "normalization": _NORMS.get(profile.model.norm or ""),
        "L_star_anisotropy": found.peak if found else None,
        "is_bell_curve": found is not None and found.is_bell,
        "phase1_slope": found.rise.slope if found else None,
        "phase2_slope": found.fall.slope if found else None,
        "phase1_r": found.rise.r if found else None,
        "phase2_r": found.fall.r if found else None,
        "profile_variance": float(values.var()) if values is not None else None,
        "profile_range": float(np.ptp(values)) if values is not None else None,
        "max_anisotropy": float(values.max()) if values is not None else None,
        **{key: _list(profile, metric) for key, metric in _ARRAYS.items()},
        "gauge_theory_test": _gauge_test(profile, verdicts),
    }


def _list(profile: Profile, metric: str) -> list[float | None] | None:
    curve = reading.curve(profile, metric, PAPER)
    return None if curve is None else [_plain(value) for value in curve.values]


def _gauge_test(profile: Profile, verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    about = [v for v in verdicts if v.hypothesis == "gauge-flatness" and v.subject == profile.model.name]
    paper = next((v for v in about if v.criterion == "paper"), None)
    if paper is None or paper.outcome not in {"supported", "refuted"}:
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
