"""A seeded sample of tokens that merges: the same tokens at every layer, in whatever parts they came."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from aniso_core.errors import NO_TOKENS, UndefinedMetricError
from aniso_core.memory import Rows
from aniso_core.tokens import Tokens

SIZE = 1000
"""Tokens in a sample; pairwise methods cost its square, and standard errors fall with its square root."""

_SEED = 0x616E69736F
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

_ORDERING = 8
"""Coordinates that put states of the same rank in order; two that share these are the same state."""

Ranks = NDArray[np.uint64]


class TokenSample:
    """The tokens of lowest rank, at most `size` of them, for metrics that sums over tokens cannot give.

    A metric is `over` it, or over a subclass whose `result` is computed from `states()`. Rank is a hash of document and
    position, so that the sample is the same at every layer, in every model with the same tokenizer, and in whatever
    order and batches tokens come. Tokens of one rank, as those at one position in the several windows of a document,
    are in the sample together or not at all.
    """

    def __init__(self, size: int = SIZE) -> None:
        """Start with nothing seen."""
        self._size = size
        # One token more than the sample may have: those that share its rank are the first without room.
        self._ranks: Ranks = np.empty(0, np.uint64)
        self._rows = Rows()

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states float[n, d]."""
        self._take_in(rank(tokens.document.cpu().numpy(), tokens.position.cpu().numpy()), tokens.states)

    def merge(self, other: Self) -> Self:
        """Return the sample of both parts; both stay as they were."""
        both = type(self)(self._size)
        for part in (self, other):
            if len(part._ranks):
                both._take_in(part._ranks, part._rows.held)
        return both

    def result(self) -> Any:
        """Return the states of the sample, as `states` does."""
        return self.states()

    def states(self) -> NDArray[Any]:
        """Return the states of the sample, float32 or float64[n, d], in order of rank, the same to the bit.

        Raises UndefinedMetricError where there are none.
        """
        ranks = self._ranks
        if not len(ranks):
            raise UndefinedMetricError(NO_TOKENS)
        chosen = np.flatnonzero(ranks < ranks.max()) if len(ranks) > self._size else np.arange(len(ranks))
        if not len(chosen):
            message = (
                f"more than {self._size} windows of one document share a position, so no sample can be drawn; "
                "split the document"
            )
            raise UndefinedMetricError(message)
        held = self._rows.held.numpy()
        # A sum depends on the order of its terms, so the order in which tokens came must not show.
        order = np.lexsort((*held[chosen, :_ORDERING].T, ranks[chosen]))
        return np.asarray(held[chosen[order]])

    def _take_in(self, ranks: Ranks, states: torch.Tensor) -> None:
        """Keep the lowest ranks of those held and those that come, and their states."""
        held = len(self._ranks)
        # Once the sample is full few tokens have a chance, and only those are looked at again.
        coming = np.flatnonzero(ranks < self._ranks.max()) if held > self._size else np.arange(len(ranks))
        joined = np.concatenate([self._ranks, ranks[coming]])
        stays = np.ones(len(joined), np.bool_)
        if len(joined) > self._size + 1:
            stays[np.argpartition(joined, self._size)[self._size + 1 :]] = False
        leaving, entering = np.flatnonzero(~stays[:held]), np.flatnonzero(stays[held:])
        if not len(entering):
            return
        # Those that enter take the places of those that leave, so that no other state is moved.
        there = len(leaving)
        found = states.index_select(0, torch.from_numpy(coming[entering]).to(states.device)).cpu()
        if there:
            self._rows.held.index_copy_(0, torch.from_numpy(leaving), found[:there])
        if len(found) > there:
            self._rows.append(found[there:])
        self._ranks = np.concatenate([joined[:held], joined[held + entering[there:]]])
        self._ranks[leaving] = joined[held + entering[:there]]


def rank(document: NDArray[np.int64], position: NDArray[np.int64] | int = 0) -> Ranks:
    """Return a seeded hash of places, uint64[n], equal for equal places alone (SplitMix64, Steele et al. 2014).

    `document` and `position` int64[n] are below 2^32.
    """
    mixed = (document.astype(np.uint64) << np.uint64(32)) | np.asarray(position, np.uint64)
    mixed = mixed * np.uint64(_STEP) + np.uint64(_SEED)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND)
    return mixed ^ (mixed >> np.uint64(31))
