"""Hypotheses about the shape of a profile, by the notebooks' criteria and by tests over documents.

All of them read the top-eigenvalue share: the notebooks' criteria (`paper`) that of all tokens in the view `paper`, the
tests (`rigorous`) that of the residual stream, and `bell-curve` that of the norms' outputs, too.
"""

from typing import Any

from aniso_core.contracts import Hypothesis, in_turn, later
from aniso_core.hookspecs import hookimpl
from aniso_core.records import STREAMS

DELTA = EPS = 0.05
"""Smallest prominence, and deepest valley, of a share (0 to 1) that matter."""

ETA = 1 / 3
"""Share of the rise and of the drop that a plateau may vary by."""

_JUDGED: dict[str, Any] = {"metric": "top-eigenvalue-share", "streams": ("residual",), "tokens": ("all", "bulk")}
_PAPER, _TESTED = "aniso_bellcurve.shape", "aniso_bellcurve.tested"


@hookimpl
def aniso_hypotheses() -> list[Hypothesis]:
    """Return bell-curve, peak-agreement and three-phases."""
    return [
        Hypothesis(
            "bell-curve",
            "anisotropy rises to a single peak at a layer L* and falls after it",
            in_turn(later(_PAPER, "bell_curve"), later(_TESTED, "bell_curve")),
            estimand="slope of the top-eigenvalue share before L* and from L* on, per layer",
            source="the Pythia-6.9B notebook; error rates: docs/statistics.md",
            **_JUDGED | {"streams": STREAMS},
            sizes={"delta": DELTA, "eps": EPS},
        ),
        Hypothesis(
            "peak-agreement",
            "two profiles peak at the same depth; one alone, at 28/32, where a correlation of Pythia-6.9B turns",
            in_turn(later(_PAPER, "peak_agreement"), later(_TESTED, "peak_agreement")),
            estimand="|L* - 28| in layers, for models of 32 blocks",
            source="the Pythia-6.9B notebook; 28 is an external constant without uncertainty",
            **_JUDGED,
        ),
        Hypothesis(
            "three-phases",
            "the profile has three phases: compression, plateau, inversion (layers 0-7, 7-28, 28-32 of 32)",
            in_turn(later(_PAPER, "three_phases"), later(_TESTED, "three_phases")),
            estimand="start, end, mean and slope of the top-eigenvalue share in each phase",
            source="the Pythia-6.9B notebook, where it was read off the same run",
            **_JUDGED,
            sizes={"delta": DELTA, "eta": ETA},
        ),
    ]
