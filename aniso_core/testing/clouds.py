"""Seeded states to ask a metric about: ordinary ones, shapes that strain its bounds, and degenerate ones."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from aniso_core.records import Array
from aniso_core.tokens import Tokens, runs_of

_MASSIVE = 1e6

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cloud:
    """States float[n, d] of so many documents in a row, each a window; the first token of each is of class `first`.

    `below` float[n, d] are the states of the same tokens at the layer below.
    """

    name: str
    states: Array
    documents: int = 1
    below: Array | None = None

    @cached_property
    def document(self) -> list[int]:
        """The document of each token."""
        return [at * self.documents // len(self.states) for at in range(len(self.states))]

    @property
    def everything(self) -> range:
        """The places of all tokens."""
        return range(len(self.states))

    @cached_property
    def first(self) -> Mask:
        """bool[n], the first token of each document."""
        return np.diff(self.document, prepend=-1) > 0

    @cached_property
    def before(self) -> Array:
        """The states at the layer below, made of these where none were given: near them, and not by a linear map."""
        if self.below is not None:
            return self.below
        return self.states + 0.5 * np.sin(3 * np.roll(self.states, 1, axis=1))

    def tokens(self, places: Sequence[int], wants: Collection[str] = (), own: Mask | None = None) -> Tokens:
        """Return the tokens at some places, as a statistic is given them that wants this and that.

        `own` bool[n] are the tokens of the class that is taken in, None for all.
        """
        held = Tokens.of(torch.from_numpy(self.states), self.document)
        if "before" in wants:
            held = replace(held, before=torch.from_numpy(self.before))
        if "windows" in wants:
            mine = np.ones(len(self.states), np.bool_) if own is None else own
            held = replace(held, window=held.document, own=torch.from_numpy(mine))
        runs = runs_of(self.document[at] for at in places)
        return held.take(torch.tensor(list(places), dtype=torch.int64), runs)

    def changed(self, change: Callable[[Array], Array]) -> "Cloud":
        """Return the cloud with its states, and those at the layer below, changed in one way."""
        return replace(self, states=change(self.states), below=change(self.before))

    def shuffled(self, wants: Collection[str]) -> list[int]:
        """Return the places in another order: of windows where these are wanted, else of tokens."""
        rng = np.random.default_rng(1)
        if "windows" not in wants:
            return list(map(int, rng.permutation(len(self.states))))
        documents = rng.permutation(self.document[-1] + 1)
        return [at for document in documents for at in self.everything if self.document[at] == document]

    def pieces(self, count: int, wants: Collection[str]) -> list[list[int]]:
        """Return the places cut into `count` pieces of unequal length, between windows where these are wanted."""
        if "windows" not in wants:
            return _cut(len(self.states), count)
        documents = self.document[-1] + 1
        groups = _cut(documents, min(count, documents))
        return [[at for at in self.everything if self.document[at] in group] for group in groups]

    def __str__(self) -> str:
        """Return what a fault says of where it was found."""
        n, d = self.states.shape
        return f"{n} state{'s' if n > 1 else ''} of width {d}, {self.name}"


def _cut(n: int, count: int) -> list[list[int]]:
    """Return 0 to n - 1 cut into `count` pieces of unequal length."""
    edges = np.sort(np.random.default_rng(count).choice(np.arange(1, n), count - 1, replace=False))
    return [piece.tolist() for piece in np.split(np.arange(n), edges)]


def _ordinary(n: int, d: int, documents: int) -> Cloud:
    """Return states in float32 as a model gives them: uneven directions about a mean that is not zero."""
    rng = np.random.default_rng([n, d])
    states = rng.standard_normal((n, d)) * np.linspace(2.0, 0.2, d) + 0.5 * rng.standard_normal(d)
    return Cloud("ordinary", states.astype(np.float32), documents)


ORDINARY = (_ordinary(96, 24, 8), _ordinary(60, 64, 6), _ordinary(1500, 8, 12))
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
