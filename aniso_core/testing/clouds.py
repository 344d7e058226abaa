"""Seeded states to ask a metric about: ordinary ones, shapes that strain its bounds, and degenerate ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from aniso_core.records import Array
from aniso_core.tokens import Tokens, runs_of

_MASSIVE = 1e6


@dataclass(frozen=True, eq=False)
class Cloud:
    """States float[n, d] of so many documents in a row; the first token of each is of the contrast's class."""

    name: str
    states: Array
    documents: int = 1

    @cached_property
    def document(self) -> list[int]:
        """The document of each token."""
        return [at * self.documents // len(self.states) for at in range(len(self.states))]

    @property
    def everything(self) -> range:
        """The places of all tokens."""
        return range(len(self.states))

    def firsts(self, places: Sequence[int]) -> list[int]:
        """Return those of the places whose tokens are of the contrast's class."""
        return [at for at in places if at == 0 or self.document[at] != self.document[at - 1]]

    def tokens(self, places: Sequence[int]) -> Tokens:
        """Return the tokens at some places, as a statistic is given them."""
        held = Tokens.of(torch.from_numpy(self.states), self.document)
        runs = runs_of(self.document[at] for at in places)
        return held.take(torch.tensor(list(places), dtype=torch.int64), runs)

    def changed(self, states: Array) -> "Cloud":
        """Return the cloud with other states of as many tokens."""
        return replace(self, states=states)

    def __str__(self) -> str:
        """Return what a fault says of where it was found."""
        n, d = self.states.shape
        return f"{n} state{'s' if n > 1 else ''} of width {d}, {self.name}"


def pieces(n: int, count: int) -> list[list[int]]:
    """Return the places 0 to n - 1 cut into `count` pieces of unequal length."""
    edges = np.sort(np.random.default_rng(count).choice(np.arange(1, n), count - 1, replace=False))
    return [piece.tolist() for piece in np.split(np.arange(n), edges)]


def _ordinary(n: int, d: int, documents: int) -> Cloud:
    """Return states in float32 as a model gives them: uneven directions about a mean that is not zero."""
    rng = np.random.default_rng([n, d])
    states = rng.standard_normal((n, d)) * np.linspace(2.0, 0.2, d) + 0.5 * rng.standard_normal(d)
    return Cloud("ordinary", states.astype(np.float32), documents)


ORDINARY = (_ordinary(96, 24, 8), _ordinary(30, 64, 6), _ordinary(1500, 8, 12))
"""More states than their width, fewer, and so many that sums replace them."""


def shapes() -> Iterator[Cloud]:
    """Yield random states of many shapes and scales, float64."""
    rng = np.random.default_rng(3)
    for n in (2, 5, 60):
        for d in (2, 12, 50):
            even = rng.standard_normal((n, d))
            documents = min(n, 6)
            yield Cloud("isotropic", even, documents)
            yield Cloud("of steep spectrum", even * np.exp(-np.arange(d)), documents)
            yield Cloud("far from zero", even + 1e4, documents)
            yield Cloud("heavy-tailed", rng.standard_cauchy((n, d)), documents)
            yield Cloud("tiny", 1e-6 * even, documents)
            yield Cloud("huge", 1e6 * even, documents)
            yield Cloud("on a line", np.outer(rng.standard_normal(n), rng.standard_normal(d)), documents)


def degenerate() -> Iterator[Cloud]:
    """Yield states on which many a formula has no value, in float32 as a model gives them."""
    rng = np.random.default_rng(4)
    for n, d in ((1, 5), (1, 1), (2, 5), (40, 1), (40, 3), (3, 40)):
        ordinary = rng.standard_normal((n, d))
        massive = ordinary.copy()
        massive[0, 0] = _MASSIVE
        cases = {
            "ordinary": ordinary,
            "one coordinate 1e6": massive,
            "all the same": np.ones((n, d)),
            "all zero": np.zeros((n, d)),
        }
        for name, states in cases.items():
            yield Cloud(name, states.astype(np.float32), min(n, 6))
