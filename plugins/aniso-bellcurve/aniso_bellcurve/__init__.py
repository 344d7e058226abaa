"""Hypotheses about the shape of a profile, by the criteria of the two notebooks (criterion `paper`).

All of them read the top-eigenvalue share of all tokens in the view `paper`, as the notebooks did.
"""

from aniso_core.contracts import Hypothesis, in_turn, later
from aniso_core.hookspecs import hookimpl

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
            source="the Pythia-6.9B notebook; error rates: docs/concepts.md",
        ),
        Hypothesis(
            "peak-agreement",
            "the peak L* lies where the correlation profile of Pythia-6.9B changes sign, at layer 28",
            in_turn(later(_PAPER, "peak_agreement"), later(_TESTED, "peak_agreement")),
            estimand="|L* - 28| in layers, for models of 32 blocks",
            source="the Pythia-6.9B notebook; 28 is an external constant without uncertainty",
        ),
        Hypothesis(
            "three-phases",
            "the profile has three phases: compression, plateau, inversion (layers 0-7, 7-28, 28-32 of 32)",
            in_turn(later(_PAPER, "three_phases"), later(_TESTED, "three_phases")),
            estimand="start, end, mean and slope of the top-eigenvalue share in each phase",
            source="the Pythia-6.9B notebook, where it was read off the same run",
        ),
    ]
