"""How far the neighbours of states are, and the dimensions that follow from it.

TwoNN, Gride and the maximum-likelihood estimate all take states to be spread evenly, over a manifold of d dimensions,
as far as the neighbours that they look at. Hidden states are not known to be so. Schulte & Rügamer (Rethinking
Intrinsic Dimension Estimation in Neural Representations, AISTATS 2026, arXiv 2604.20276) argue, in theory and in
experiments, that estimators as these do not track the true intrinsic dimension of a network's representations, and ask
what drives the results reported of them instead. So the numbers say how fast neighbourhoods fill at a scale, in these
states, and no more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aniso_core.errors import UndefinedMetricError
from aniso_core.records import Array
from aniso_core.sampling import TokenSample

MOST = 64
"""The highest order of a neighbour that is kept."""

_SAME = 1e-5
"""Distance, relative to the norm, up to which states are one state that was rounded differently."""

_CLOSE = 1e-7
"""Squared distance, relative to squared norms, below which their difference has lost digits that matter."""

_NONE = 1e-12
"""Mean log ratio up to which distances differ by rounding alone."""


class SampledNeighbours(TokenSample):
    """The statistic behind `Neighbours`: a seeded sample of at most 1,000 tokens."""

    def result(self) -> "Neighbours":
        """Return how far the neighbours of the sample's states are; raises UndefinedMetricError where it is empty."""
        return neighbours(self.states())


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How far each distinct state is from its neighbours: `distances` float64[n, m], ascending, m = min(64, n - 1)."""

    distances: Array

    def count(self) -> int:
        """Return the number of distinct states, 1 or more."""
        return len(self.distances)

    def two_nn(self) -> float:
        """Return (n - 1) / sum ln(r2 / r1) (Facco et al. 2017), 0 or more: the likelihood's maximum, freed of bias.

        No ratio is discarded, as the fit of a line in the paper does. Raises UndefinedMetricError as `gride` does.
        """
        return self.gride(2)

    def gride(self, order: int) -> float:
        """Return the dimension that makes the ratios mu = r_2k / r_k most likely (Denti et al. 2022), 2k the `order`.

        It solves (n - 1) / d + (k - 1) sum t / (1 - e^-dt) = (2k - 1) sum t, with t = ln mu; n - 1 rather than n, so
        that it is TwoNN where k = 1. Raises UndefinedMetricError where there are too few distinct states or all
        ratios are 1.
        """
        near, far = order // 2, order
        t = np.log(self._to(far) / self._to(near))
        n, total = len(t), _summed(t, near, far)
        t = np.maximum(t, np.finfo(np.float64).tiny)  # where a ratio is 1 the term has its limit, 1 / d
        d = (n - 1 + (near - 1) * n) / ((far - 1) * total)
        # What is solved falls with d and is convex, and d begins below its root, so Newton's steps never pass it.
        step = d
        while step > 1e-12 * d:
            term = t / -np.expm1(-d * t)
            score = (n - 1) / d + (near - 1) * term.sum() - (far - 1) * total
            slope = (n - 1) / d**2 + (near - 1) * (term**2 * np.exp(-d * t)).sum()
            step = score / slope
            d += step
        return float(d)

    def mle(self, order: int) -> float:
        """Return n (k - 1) / sum over states and j < k of ln(r_k / r_j), 0 or more, k the `order`.

        The maximum-likelihood estimate of Levina & Bickel (2004), whose inverse is averaged over states (MacKay &
        Ghahramani 2005). Raises UndefinedMetricError where there are too few distinct states or all ratios are 1.
        """
        logs = np.log(self._to(order)[:, None] / self.distances[:, : order - 1])
        return logs.size / _summed(logs, 1, order)

    def distance(self, order: int) -> float:
        """Return the mean distance to the neighbours that `gride(order)` compares, above 0, in state units."""
        return float(self._to(order).mean() + self._to(order // 2).mean()) / 2

    def _to(self, order: int) -> Array:
        """Return the distance of each state to its neighbour of this order, float64[n]."""
        if order > self.distances.shape[1]:
            message = f"neighbours of order {order} need {order + 1} distinct states and the sample has {self.count()}"
            raise UndefinedMetricError(message)
        return self.distances[:, order - 1]


def neighbours(states: NDArray[np.floating]) -> Neighbours:
    """Return how far the neighbours of states float[n, d] are; those that are the same up to rounding count once."""
    first = {row.tobytes(): i for i, row in reversed(list(enumerate(states)))}
    squares = _squared_distances(states[sorted(first.values())].astype(np.float64))
    most = min(MOST, len(squares) - 1)
    squares.partition(max(most - 1, 0), axis=1)
    return Neighbours(np.sqrt(np.sort(squares[:, :most], axis=1)))


def _squared_distances(rows: Array) -> Array:
    """Return the squared distances between rows float64[n, d] without those that repeat an earlier one, float64[m, m].

    They come from products: numpy multiplies about ten times as fast as scipy's cdist subtracts, and a tree is slower
    still in hundreds of dimensions. What products lose where two rows are close is subtracted after all. A row has no
    distance from itself: the diagonal is infinite. The rows are centred in place.
    """
    lengths = np.einsum("ij,ij->i", rows, rows)
    rows -= rows.mean(axis=0)
    about = np.einsum("ij,ij->i", rows, rows)
    squares: Array = rows @ rows.T
    squares *= -2
    squares += about
    squares += about[:, None]
    np.fill_diagonal(squares, np.inf)
    close = squares <= _CLOSE * (lengths + about)
    again = []
    for i in np.flatnonzero(close.any(axis=1)):
        others = np.flatnonzero(close[i])
        squares[i, others] = squares[others, i] = ((rows[others] - rows[i]) ** 2).sum(axis=1)
        if (squares[i, others[others < i]] <= _SAME**2 * lengths[i]).any():
            again.append(i)
    return np.delete(np.delete(squares, again, axis=0), again, axis=1) if again else squares


def _summed(logs: Array, near: int, far: int) -> float:
    """Return the sum of log ratios; raises UndefinedMetricError where it is zero up to rounding."""
    total = float(logs.sum())
    if total <= _NONE * logs.size:
        message = f"the neighbours of orders {near} and {far} are equally far from every state"
        raise UndefinedMetricError(message)
    return total
