"""The mean states of documents, the same documents in every model."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aniso_core.errors import NO_TOKENS, UndefinedMetricError
from aniso_core.records import Array
from aniso_core.sampling import rank
from aniso_core.tokens import Tokens

MOST = 256
"""Documents that are kept: inner products of 256 take half a megabyte at each site."""

_ROUNDING = 1e-14
"""Sum of squares about the mean, relative to that about zero, below which means differ by float32 rounding alone."""


class Documents:
    """Sums of the states of at most 256 documents, those whose numbers have the lowest ranks.

    Ranks are a fixed hash of a document's number, so that models of the same texts keep the same documents, spread over
    all texts, in whatever order and parts tokens come. A document among the lowest overall is among the lowest in every
    part, so merging loses none.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._numbers: NDArray[np.int64] = np.empty(0, np.int64)
        self._sums: Tensor | None = None

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states float[n, d]."""
        states = tokens.states.double()
        self._take_in(tokens.document.cpu().numpy(), torch.cat([states, torch.ones_like(states[:, :1])], dim=1))

    def merge(self, other: Self) -> Self:
        """Return the sums of both parts; both stay as they were."""
        both = type(self)()
        for part in (self, other):
            if part._sums is not None:
                both._take_in(part._numbers, part._sums)
        return both

    def result(self) -> "DocumentMeans":
        """Return the documents' means; raises UndefinedMetricError where there are none."""
        if self._sums is None:
            raise UndefinedMetricError(NO_TOKENS)
        sums = self._sums.cpu().numpy()
        return DocumentMeans(self._numbers, sums[:, :-1] / sums[:, -1:])

    def _take_in(self, numbers: NDArray[np.int64], sums: Tensor) -> None:
        """Add sums float64[m, d + 1] of documents, the last column their tokens, and let go those of high rank."""
        if self._sums is not None:
            numbers, sums = np.concatenate([self._numbers, numbers]), torch.cat([self._sums, sums])
        found, place = np.unique(numbers, return_inverse=True)
        joined = sums.new_zeros((len(found), sums.shape[1]))
        joined.index_add_(0, torch.from_numpy(place).to(sums.device), sums)
        lowest = np.sort(np.argsort(rank(found))[:MOST])
        self._numbers, self._sums = found[lowest], joined[torch.from_numpy(lowest).to(sums.device)]


@dataclass(frozen=True, eq=False)
class DocumentMeans:
    """The mean states float64[n, d] of documents `numbers` int64[n], ascending."""

    numbers: NDArray[np.int64]
    means: Array

    def gram(self) -> Array:
        """Return float64[n + 1, n]: the documents' numbers, then the inner products of their centred means.

        Products of means that differ by rounding alone are zero.
        """
        centred = self.means - self.means.mean(axis=0)
        products = centred @ centred.T
        if products.trace() <= _ROUNDING * (self.means**2).sum():
            products[:] = 0
        return np.vstack([self.numbers.astype(np.float64), products])
