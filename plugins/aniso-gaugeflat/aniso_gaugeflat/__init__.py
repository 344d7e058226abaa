"""Hypotheses about RMSNorm, which the notebooks call gauge fixing, by their criteria and by tests over documents."""

import math

from aniso_core.contracts import Hypothesis, in_turn, later
from aniso_core.hookspecs import hookimpl
from aniso_core.records import STREAMS

SESOI = 0.02
"""Smallest difference of flatness, on the scale of a share, that matters."""

EVEN = math.log(1.25)
"""Smallest log ratio of norms' coefficients of variation that matters."""

_PAPER, _TESTED = "aniso_gaugeflat.gauge", "aniso_gaugeflat.tested"


@hookimpl
def aniso_hypotheses() -> list[Hypothesis]:
    """Return gauge-flatness and norm-uniformity."""
    return [
        Hypothesis(
            "gauge-flatness",
            "an RMSNorm model has a flatter anisotropy profile than a LayerNorm model",
            in_turn(later(_PAPER, "gauge_flatness"), later(_TESTED, "gauge_flatness")),
            estimand="range over layers of the top-eigenvalue share, against that of a LayerNorm model",
            source="the Gemma-2B notebook; error rates: docs/statistics.md",
            metric="top-eigenvalue-share",
            streams=STREAMS,
            tokens=("all", "bulk"),
            sizes={"sesoi": SESOI},
        ),
        Hypothesis(
            "norm-uniformity",
            "in an RMSNorm model all states of a layer have nearly the same norm",
            in_turn(later(_PAPER, "norm_uniformity"), later(_TESTED, "norm_uniformity")),
            estimand="coefficient of variation of the norms over tokens, averaged over layers",
            source="the Gemma-2B notebook, which gives no threshold",
            metric="norm-cv",
            streams=STREAMS,
            tokens=("all", "bulk"),
            sizes={"sesoi": EVEN},
        ),
    ]
