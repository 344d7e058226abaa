"""The max-t test: how large the largest of many t statistics gets where nothing is there.

Null draws flip the signs of whole documents, the same for all columns, so that the columns' dependence is kept. The t
statistic of flipped values is a rising function of r = sum(g x) / sqrt(n sum x^2), whose denominator no flip changes:
one matrix product of signs and scaled columns gives every restudentised t.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aniso_core.inference.matrix import in_order, matrix, p_above, t_critical, t_ratio, untestable
from aniso_core.records import Array, Outcome

Signs = NDArray[np.int8]

GUARDED = 32
"""With fewer documents p is that of Bonferroni and t at least: sign flips alone reject too often there."""

_BLOCK = 2**16  # numbers of a block of draws: half a megabyte stays in a processor's cache
_LEAST_DRAWS = 64  # of a block, below which matrix products are slow
_ROUNDING = 1e-10  # the flip that flips nothing has the observed r up to rounding, and must count as equal
_TIE = 1e-12  # columns that differ by less than this share of the largest value differ by rounding alone


@dataclass(frozen=True, eq=False)
class MaxT:
    """The largest t statistic of several columns against its null distribution.

    `p` is (1 + draws at or above `statistic`) / (draws + 1), and that of Bonferroni and t where this is larger and
    there are fewer than 32 documents; `null` are the draws' largest t, float64[draws], ascending.
    """

    statistic: float
    p: float
    null: Array
    documents: int
    columns: int
    outcome: Outcome = "descriptive"
    reason: str = ""

    def critical(self, alpha: float) -> float:
        """Return the t above which p is at most alpha; infinite where there are too few draws for that."""
        rank = int(np.floor(alpha * (len(self.null) + 1) * (1 + _ROUNDING)))
        flipped = float(self.null[-rank]) if rank else np.inf
        guard = t_critical(alpha / self.columns, self.documents) if self.documents < GUARDED else -np.inf
        return max(flipped, guard)


def max_t(differences: Array, rng: np.random.Generator, delta: float = 0.0, draws: int = 999) -> MaxT:
    """Test whether any column's mean, float64[documents, columns], lies above delta.

    The null is that none does, and documents are symmetric about their means. With fewer than 8 documents p is NaN.
    """
    differences = in_order(matrix(differences, "the differences"))
    n, columns = differences.shape
    reason = untestable(n)
    if reason:
        return MaxT(np.nan, np.nan, np.array([]), n, columns, "not_testable", reason)
    return flip_test(differences - delta, draw_signs(rng, draws, n))


def draw_signs(rng: np.random.Generator, draws: int, documents: int) -> Signs:
    """Return signs of whole documents, -1 or 1, int8[draws, documents]; raises ValueError for fewer than one draw."""
    if draws < 1:
        message = f"sign flips need at least one draw, and {draws} were asked for"
        raise ValueError(message)
    return 2 * rng.integers(0, 2, (draws, documents), dtype=np.int8) - 1


def flip_test(columns: Array, signs: Signs) -> MaxT:
    """Test whether any column's mean lies above 0, with signs that are drawn already."""
    n, width = columns.shape
    unit = columns * _inverse(np.sqrt(n * (columns**2).sum(axis=0)), n * np.abs(columns).max(initial=0))
    null = [(block @ unit).max(axis=1) for block in _blocks(signs, width)]
    return _calibrated(float(unit.sum(axis=0).max()), np.concatenate(null), n, width)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All ordered pairs of states: mean differences and their standard errors, float64[states, states].

    `mean[i, j]` is theta_i - theta_j, in the unit of the pseudo-values.
    """

    pv: Array
    mean: Array
    se: Array

    @classmethod
    def of(cls, pv: Array) -> Self:
        """Return the pairs of the columns of pseudo-values, float64[documents, states]."""
        mean = pv.mean(axis=0)
        centred = pv - mean
        spread = [((centred - column[:, None]) ** 2).sum(axis=0) for column in centred.T]
        return cls(pv, mean[:, None] - mean, np.sqrt(np.stack(spread) / (len(pv) * (len(pv) - 1))))

    @property
    def documents(self) -> int:
        """The number of documents."""
        return len(self.pv)

    @property
    def count(self) -> int:
        """The number of ordered pairs of different states."""
        return len(self.mean) * (len(self.mean) - 1)

    def t(self, delta: float = 0.0) -> Array:
        """Return the t statistics of theta_i - theta_j against delta, float64[states, states]."""
        return t_ratio(self.mean - delta, self.se)

    def simultaneous(self, statistic: float, signs: Signs) -> MaxT:
        """Return a statistic against the largest |t| of all pairs, each flipped about its own mean."""
        centred = self.pv - self.pv.mean(axis=0)
        n = self.documents
        inverse = self._inverse(np.sqrt(n * n * (n - 1)) * self.se)
        null = [(flipped * inverse).max(axis=(1, 2)) for flipped in self._flipped(centred, signs)]
        return _calibrated(_r_of(statistic, n), np.concatenate(null), n, self.count)

    def beaten(self, signs: Signs) -> Array:
        """Return for each state k the max-t p that some other state has a larger mean, float64[states]."""
        n = self.documents
        inverse = self._inverse(n * np.sqrt((n - 1) * self.se**2 + self.mean**2))
        observed = (n * self.mean * inverse).max(axis=0)
        above = np.zeros(len(observed))
        for flipped in self._flipped(self.pv, signs):
            above += ((flipped * inverse).max(axis=1) >= observed - _ROUNDING).sum(axis=0)
        p = (1 + above) / (len(signs) + 1)
        return np.maximum(p, _bonferroni(_t_of(observed, n), n, len(observed) - 1)) if n < GUARDED else p

    def _inverse(self, scale: Array) -> Array:
        return _inverse(scale, self.documents * np.abs(self.pv).max())

    def _flipped(self, columns: Array, signs: Signs) -> Iterator[Array]:
        """Yield sums of flipped differences, float64[draws of the block, states, states], from those of the states."""
        for block in _blocks(signs, columns.shape[1] ** 2):
            sums = block @ columns
            yield sums[:, :, None] - sums[:, None, :]


def _calibrated(r: float, null: Array, documents: int, columns: int) -> MaxT:
    p = (1 + int((null >= r - _ROUNDING).sum())) / (len(null) + 1)
    statistic = float(_t_of(r, documents))
    if documents < GUARDED:
        p = max(p, float(_bonferroni(statistic, documents, columns)))
    return MaxT(statistic, p, np.sort(_t_of(null, documents)), documents, columns)


def _bonferroni(t: Array | float, documents: int, columns: int) -> Array:
    return np.minimum(1.0, columns * p_above(t, documents))


def _t_of(r: Array | float, documents: int) -> Array:
    r = np.clip(r, -1, 1)
    return t_ratio(np.sqrt(documents - 1) * r, np.sqrt(1 - r**2))


def _r_of(t: float, documents: int) -> float:
    return float(np.sign(t)) if np.isinf(t) else float(t / np.sqrt(documents - 1 + t * t))


def _inverse(scale: Array, largest: float) -> Array:
    """Return 1 / scale, and 0 where a column is level up to rounding: it then has no r, and cannot be the largest."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > _TIE * largest)


def _blocks(signs: Signs, columns: int) -> Iterator[Array]:
    step = max(_LEAST_DRAWS, _BLOCK // max(columns, signs.shape[1]))
    for start in range(0, len(signs), step):
        yield signs[start : start + step].astype(np.float64)
