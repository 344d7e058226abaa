"""Seeded states to ask a metric about: ordinary ones, shapes that strain its bounds, and degenerate ones."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from aniso_core.records import Array
from aniso_core.tokens import CLASSES, TokenClass, Tokens, runs_of

_MASSIVE = 1e6
_OUTLIER = 3
"""Position in each window of a token of class outlier."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cloud:
    """States float[n, d] of so many documents in a row: the first is two windows, and two documents are one unit.

    `below` float[n, d] are the states of the same tokens at the layer below, which is not there at the `bottom`.
    """

    name: str
    states: Array
    documents: int = 1
    below: Array | None = None
    bottom: bool = False

    @cached_property
    def window(self) -> Integers:
        """The window of each token, int64[n]."""
        count = len(self.states)
        return np.arange(count) * (self.documents + 1) // count

    @cached_property
    def document(self) -> Integers:
        """The document of each token, int64[n]."""
        return np.maximum(self.window - 1, 0)

    @cached_property
    def unit(self) -> list[int]:
        """The unit of uncertainty of each token."""
        units: list[int] = (self.document // 2).tolist()
        return units

    @cached_property
    def position(self) -> Integers:
        """The position of each token in its window, int64[n]."""
        return np.arange(len(self.states)) - np.searchsorted(self.window, self.window)

    @cached_property
    def classes(self) -> NDArray[np.str_]:
        """The class of each token, str[n]: first at the start of a window, outlier in its midst, rest elsewhere."""
        return np.select([self.position == 0, self.position == _OUTLIER], ["first", "outlier"], "rest")

    @property
    def everything(self) -> range:
        """The places of all tokens."""
        return range(len(self.states))

    @cached_property
    def before(self) -> Array:
        """The states at the layer below, made of these where none were given: near them, and not by a linear map."""
        if self.below is not None:
            return self.below
        return self.states + 0.5 * np.sin(3 * np.roll(self.states, 1, axis=1))

    def tokens(self, places: Sequence[int], wants: Collection[str] = (), name: TokenClass | None = None) -> Tokens:
        """Return the tokens at some places as a run hands them to a statistic with these `wants`.

        They are those of the class `name` (None: of all), with those of later classes where windows are wanted; none
        where the class has none there.
        """
        own = taken = self.classes == name if name else np.ones(len(self.states), np.bool_)
        if name and "windows" in wants and own[list(places)].any():
            taken = np.isin(self.classes, CLASSES[CLASSES.index(name) :])
        places = [at for at in places if taken[at]]
        states = torch.from_numpy(self.states)
        document, position = torch.from_numpy(self.document), torch.from_numpy(self.position)
        held = Tokens(states, torch.linalg.vector_norm(states, dim=1), document, position)
        if "before" in wants and not self.bottom:
            held = replace(held, before=torch.from_numpy(self.before))
        if "windows" in wants:
            held = replace(held, window=torch.from_numpy(self.window), own=torch.from_numpy(own))
        runs = runs_of(self.unit[at] for at in places)
        return held.take(torch.tensor(places, dtype=torch.int64), runs)

    def changed(self, change: Callable[[Array], Array]) -> "Cloud":
        """Return the cloud with its states, and those at the layer below, changed in one way."""
        return replace(self, states=change(self.states), below=change(self.before))

    def shuffled(self, wants: Collection[str]) -> list[int]:
        """Return the places in another order: of windows where these are wanted, else of tokens."""
        rng = np.random.default_rng(1)
        if "windows" not in wants:
            return list(map(int, rng.permutation(len(self.states))))
        return [at for window in rng.permutation(self.window[-1] + 1) for at in self._of_windows([window])]

    def pieces(self, count: int, wants: Collection[str]) -> list[list[int]]:
        """Return the places cut into `count` pieces of unequal length, between windows where these are wanted."""
        if "windows" not in wants:
            return _cut(len(self.states), count)
        return [self._of_windows(group) for group in _cut(self.window[-1] + 1, count)]

    def _of_windows(self, windows: Sequence[int]) -> list[int]:
        """Return the places of some windows."""
        places: list[int] = np.flatnonzero(np.isin(self.window, windows)).tolist()
        return places

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
            "all the same": np.tile(0.1 * np.arange(1, d + 1), (n, 1)),  # no sums of theirs are exact
            "all zero": np.zeros((n, d)),
        }
        for name, states in cases.items():
            yield Cloud(name, states.astype(np.float32), min(n, 6))
