"""The first share and its cross-fit over halves of the documents, which are said to hold the truth between them."""

from functools import cache

import numpy as np
from simulate_states import Population, cross_fit_shares

from aniso_core.leaveout import cross_fit_share
from aniso_core.metrics import top_eigenvalue_share
from aniso_core.moments import Moments
from aniso_core.records import Array
from scenarios.truth import Claim, Hits, generators

_CROSS, _STATES, _PLAIN = range(3)
_WIDE = 256


def _of(share: float, width: int = 48, *, bulk_share: float | None = None, even: bool = False) -> Population:
    return Population(np.array([share]), bulk_share, width, tail=np.ones(width - 1) if even else None)


POPULATIONS = {
    "share of 0.3": _of(0.3),
    "share of 0.3, width 256": _of(0.3, _WIDE),
    "share of 0.2, second of 0.18": _of(0.2),
    "share of 0.05, even tail": _of(0.05, even=True),
    "share of 0.05, even tail, width 256": _of(0.05, _WIDE, even=True),
    "massive first tokens, share of 0.6": _of(0.6, bulk_share=0.25),
}


@cache
def ends(name: str, documents: int, draws: int) -> Array:
    """Return the cross-fit share as a run has it and from all states, and the plain share, float64[3, draws]."""
    rng, _ = generators(name, documents)
    found = []
    for _ in range(draws):
        drawn = POPULATIONS[name].draw(documents, rng)
        whole = Moments.of(drawn.states[0], drawn.document.tolist())
        found.append((cross_fit_share(whole), cross_fit_shares(drawn)[0], top_eigenvalue_share(whole)))
    return np.array(found).T


def above_truth(name: str, end: int) -> Hits:
    """Return for each draw how far an end lies above the truth."""
    true = POPULATIONS[name].share[0]
    return lambda n, draws: (ends(name, n, draws)[end] - true).tolist()


def between(name: str) -> Hits:
    """Count draws in which the truth lies between the ends that a run has."""
    true = POPULATIONS[name].share[0]
    return lambda n, draws: [cross <= true <= plain for cross, _, plain in ends(name, n, draws).T]


_DOCUMENTS = (16, 32, 64)

CLAIMS = tuple(
    Claim(name, said, "1", _DOCUMENTS, hits, part=4 if name.endswith(f"{_WIDE}") else 2)
    for name in POPULATIONS
    for said, hits in (
        ("cross-fit share less truth", above_truth(name, _CROSS)),
        ("the same from all states", above_truth(name, _STATES)),
        ("plain share less truth", above_truth(name, _PLAIN)),
        ("truth between both", between(name)),
    )
)
"""What is measured of both ends."""
