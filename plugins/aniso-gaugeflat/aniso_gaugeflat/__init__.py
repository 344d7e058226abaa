"""Hypotheses about RMSNorm, which the notebooks call gauge fixing (criterion `paper`)."""

from aniso_core.contracts import Hypothesis, later
from aniso_core.hookspecs import hookimpl


@hookimpl
def aniso_hypotheses() -> list[Hypothesis]:
    """Return gauge-flatness and norm-uniformity."""
    return [
        Hypothesis(
            "gauge-flatness",
            "an RMSNorm model has a flatter anisotropy profile than a LayerNorm model",
            later("aniso_gaugeflat.gauge", "gauge_flatness"),
            estimand="range over layers of the top-eigenvalue share, against that of a LayerNorm model",
            source="the Gemma-2B notebook; error rates: docs/concepts.md",
        ),
        Hypothesis(
            "norm-uniformity",
            "in an RMSNorm model all states of a layer have nearly the same norm",
            later("aniso_gaugeflat.gauge", "norm_uniformity"),
            estimand="coefficient of variation of the norms over tokens, averaged over layers",
            source="the Gemma-2B notebook, which gives no threshold",
        ),
    ]
