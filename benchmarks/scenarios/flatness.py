"""gauge-flatness: bells of 19 and 33 states over the same documents, of equal flatness or not."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from simulate import SPREAD, bell, pseudo_values

from aniso_core.inference import FlatnessDifference, flatness_difference
from scenarios.truth import ALPHA, Claim, Hits, at_least, at_most, generators

STATES_A, STATES_B = 19, 33
_STATES = f"{STATES_A}, {STATES_B}"
_DOCUMENTS = (16, 32, 64)


@dataclass(frozen=True)
class Bells:
    """The heights of two bells, and how far pseudo-values of the second stray."""

    name: str
    height_a: float
    height_b: float
    spread_b: float = SPREAD

    @property
    def difference(self) -> float:
        """The true difference of flatness, a's less b's."""
        a, b = bell(STATES_A, self.height_a), bell(STATES_B, self.height_b)
        return float(a.std() - np.interp(np.linspace(0, 1, STATES_A), np.linspace(0, 1, STATES_B), b).std())


EQUAL = (
    Bells("equally high", 0.3, 0.3),
    Bells("equally high, b noisier", 0.3, 0.3, 2 * SPREAD),
    Bells("equally low", 0.03, 0.03),
    Bells("both flat", 0, 0),
    Bells("both flat, b noisier", 0, 0, 2 * SPREAD),
)
FIFTH, HALF = Bells("a lower by 20 %", 0.24, 0.3), Bells("a lower by 50 %", 0.15, 0.3)


@cache
def differences(bells: Bells, documents: int, draws: int) -> list[FlatnessDifference]:
    """Return the comparison of each draw of both profiles."""
    rng, _ = generators(bells.name, documents)
    a, b = bell(STATES_A, bells.height_a), bell(STATES_B, bells.height_b)
    pairs = ((pseudo_values(a, documents, rng), pseudo_values(b, documents, rng, bells.spread_b)) for _ in range(draws))
    return [flatness_difference(*pair, alpha=ALPHA) for pair in pairs]


def covered(bells: Bells) -> Hits:
    """Count draws whose interval holds the true difference."""
    return lambda n, draws: [
        r.difference.low <= bells.difference <= r.difference.high for r in differences(bells, n, draws)
    ]


def flatter(bells: Bells) -> Hits:
    """Count draws in which a is shown to be flatter."""
    return lambda n, draws: [r.p <= ALPHA for r in differences(bells, n, draws)]


def outcome(bells: Bells, wanted: str) -> Hits:
    """Count draws with this outcome."""
    return lambda n, draws: [r.outcome == wanted for r in differences(bells, n, draws)]


def equivalent(bells: Bells) -> Hits:
    """Count draws in which the difference is shown to be smaller than the least that matters."""
    return lambda n, draws: [r.p_equivalent <= ALPHA for r in differences(bells, n, draws)]


CLAIMS = (
    *(
        Claim(bells.name, "difference covered", _STATES, _DOCUMENTS, covered(bells), at_least(0.87))
        for bells in (*EQUAL, FIFTH, HALF)
    ),
    *(Claim(bells.name, "a flatter", _STATES, _DOCUMENTS, flatter(bells), at_most(0.11)) for bells in EQUAL),
    *(
        Claim(bells.name, "supported", _STATES, _DOCUMENTS, outcome(bells, "supported"), at_most(0.11))
        for bells in EQUAL
    ),
    Claim(FIFTH.name, "a flatter", _STATES, _DOCUMENTS, flatter(FIFTH)),
    Claim(HALF.name, "a flatter", _STATES, (32,), flatter(HALF), at_least(0.95)),
    Claim(HALF.name, "supported", _STATES, _DOCUMENTS, outcome(HALF, "supported")),
    Claim(EQUAL[0].name, "equal within 0.02", _STATES, _DOCUMENTS, equivalent(EQUAL[0])),
)
"""What acceptance asks of the comparison of two profiles' flatness, and its power."""
