"""norm-uniformity: two models of 13 states over the same number of documents, whose norms vary alike or not.

What is tested is the mean over layers of log(CV_a / CV_b), over documents (`mean_test`).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from simulate import plateau
from simulate_states import SCALE, Population, log_cv_pseudo_values
from true_metrics import norm_cv

from aniso_core.inference import interval, mean_test
from aniso_core.records import Array
from scenarios.truth import ALPHA, Claim, Hits, at_least, at_most, generators

SESOI = float(np.log(1.25))
SHARE = 0.25 + plateau(13, 0.3)
_DOCUMENTS = (16, 32, 64)


@dataclass(frozen=True)
class Scales:
    """How far the scales of tokens spread in two models, as standard deviations of logarithms."""

    name: str
    a: float
    b: float = SCALE

    @property
    def log_ratio(self) -> float:
        """The true mean over layers of log(CV_a / CV_b)."""
        return float(np.log(norm_cv(_population(self.a)) / norm_cv(_population(self.b))).mean())


def _population(token_scale: float) -> Population:
    return Population(SHARE, token_scale=token_scale)


SAME, TIGHTER, LOOSER = Scales("the same law", SCALE), Scales("a tighter", 0.15), Scales("a looser", 0.5)


@cache
def differences(scales: Scales, documents: int, draws: int) -> list[Array]:
    """Return for each draw what documents say of the mean over layers of log(CV_a / CV_b), float64[documents, 1]."""
    rng, _ = generators(scales.name, documents)
    drawn = []
    for _ in range(draws):
        a, b = (log_cv_pseudo_values(_population(scale).draw(documents, rng)) for scale in (scales.a, scales.b))
        drawn.append((a - b).mean(axis=1, keepdims=True))
    return drawn


def covered(scales: Scales) -> Hits:
    """Count draws whose interval holds the true mean."""
    true = scales.log_ratio
    return lambda n, draws: [
        bool(i.low[0] <= true <= i.high[0])
        for i in (interval(column, 1 - ALPHA) for column in differences(scales, n, draws))
    ]


def below(scales: Scales, limit: float) -> Hits:
    """Count draws whose mean is shown to be below a limit at alpha."""
    return lambda n, draws: [
        bool(i.high[0] < limit) for i in (interval(column, 1 - 2 * ALPHA) for column in differences(scales, n, draws))
    ]


def outcome(scales: Scales, wanted: str) -> Hits:
    """Count draws with this outcome of the test."""
    return lambda n, draws: [
        mean_test(column[:, 0], SESOI, ALPHA).outcome == wanted for column in differences(scales, n, draws)
    ]


def above(scales: Scales, limit: float) -> Hits:
    """Count draws whose mean is shown to be above a limit at alpha."""
    return lambda n, draws: [
        bool(i.low[0] > limit) for i in (interval(column, 1 - 2 * ALPHA) for column in differences(scales, n, draws))
    ]


CLAIMS = (
    *(
        Claim(scales.name, "mean log ratio covered", "13, 13", _DOCUMENTS, covered(scales), at_least(0.87))
        for scales in (SAME, TIGHTER, LOOSER)
    ),
    Claim(SAME.name, "a more uniform", "13, 13", _DOCUMENTS, below(SAME, 0), at_most(0.11)),
    Claim(SAME.name, "supported", "13, 13", _DOCUMENTS, outcome(SAME, "supported"), at_most(0.11)),
    Claim(LOOSER.name, "supported", "13, 13", _DOCUMENTS, outcome(LOOSER, "supported"), at_most(0.01)),
    Claim(
        TIGHTER.name, "ratio above the true one", "13, 13", _DOCUMENTS, above(TIGHTER, TIGHTER.log_ratio), at_most(0.11)
    ),
    Claim(TIGHTER.name, "supported", "13, 13", _DOCUMENTS, outcome(TIGHTER, "supported")),
    Claim(SAME.name, "refuted", "13, 13", _DOCUMENTS, outcome(SAME, "refuted")),
)
"""What is asked of the comparison of two models' norms, held to the bounds of that of flatness, and its power."""
