"""peak-agreement: two profiles of 33 states, each with one peak of .3 that is at .18 four layers away from it."""

from functools import cache

import numpy as np
from simulate import pseudo_values

from aniso_core.inference import Agreement, agreement, peak_layers
from scenarios.truth import ALPHA, Claim, Hits, at_least, at_most, generators

Places = tuple[int, int]


@cache
def agreements(places: Places, documents: int, draws: int) -> list[Agreement]:
    """Return how the peaks of each draw of two profiles agree, each known to a set of layers at alpha / 2."""
    given, used = generators(f"peaks at {places}", documents)
    layers = np.arange(33)
    profiles = [0.3 * np.exp(-(((layers - place) / 4) ** 2) / 2) for place in places]
    found = []
    for _ in range(draws):
        a, b = (peak_layers(pseudo_values(theta, documents, given), used, ALPHA / 2) for theta in profiles)
        found.append(agreement(a.layers, b.layers))
    return found


def outcome(places: Places, wanted: str) -> Hits:
    """Count draws with this outcome."""
    return lambda n, draws: [r.outcome == wanted for r in agreements(places, n, draws)]


def covered(places: Places) -> Hits:
    """Count draws whose allowed distances hold the true one."""
    true = abs(places[0] - places[1])
    return lambda n, draws: [r.low <= true <= r.high for r in agreements(places, n, draws)]


_FAR, _SAME, _NEAR = (7, 28), (15, 15), (15, 21)
_NAME = "peaks at {} and {}".format

CLAIMS = (
    Claim(_NAME(*_FAR), "discrepancy", "33", (16, 64), outcome(_FAR, "refuted"), at_least(0.97)),
    Claim(_NAME(*_SAME), "excellent or good", "33", (64,), outcome(_SAME, "supported"), at_least(0.97)),
    Claim(_NAME(*_NEAR), "excellent or good", "33", (16, 64), outcome(_NEAR, "supported"), at_most(0.05)),
    Claim(_NAME(*_NEAR), "distance covered", "33", (16, 64), covered(_NEAR), at_least(0.95)),
)
"""What acceptance asks of the comparison of two peaks."""
