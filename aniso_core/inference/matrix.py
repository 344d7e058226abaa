"""What every test starts from: pseudo-values, float64[documents, states], and the t statistics of their means.

A pseudo-value is n * theta - (n - 1) * theta(-c): the mean over documents estimates theta without its first-order
bias, and documents are the sample (ADR 5), so that t statistics of any contrast of states are those of a column.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import stdtr, stdtrit

from aniso_core.records import Array, Outcome

LEAST_DOCUMENTS = 8
"""With fewer documents nothing is tested."""

LEAST_STATES = 5
"""With fewer states a profile has no shape."""

CONCLUSIVE = 16
"""With fewer documents a verdict is inconclusive at best; only a refutation by simultaneous bounds stands."""

_BINS = 12
_MOST_RAW_STATES = 16


@dataclass(frozen=True, eq=False)
class Interval:
    """Means over documents with t intervals, each float64[columns], in the unit of the pseudo-values.

    `se` is sd / sqrt(n); `low` and `high` bound each mean at `level`, one column at a time, and are NaN for a single
    document.
    """

    estimate: Array
    se: Array
    low: Array
    high: Array
    level: float
    documents: int


@dataclass(frozen=True)
class Bounds:
    """An estimate with its lower and upper bound, in the unit of the pseudo-values; NaN where not testable."""

    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    outcome: Outcome = "descriptive"
    reason: str = ""


@dataclass(frozen=True, eq=False)
class DepthBins:
    """Pseudo-values averaged over bins of depth, float64[documents, bins], and the first and last state of each bin."""

    pv: Array
    groups: tuple[tuple[int, int], ...]


def matrix(values: Array, name: str = "the pseudo-values") -> Array:
    """Return values as float64[documents, columns]; raises ValueError for another shape or values not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:  # noqa: PLR2004 - documents and columns
        message = f"{name} must be a matrix of documents and columns, and their shape is {array.shape}"
        raise ValueError(message)
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        message = f"{name} must be finite, and document {row} has {array[row, column]} in column {column}"
        raise ValueError(message)
    return array


def in_order(array: Array) -> Array:
    """Return the rows sorted, so that sums and sign flips do not depend on the order of the documents."""
    return array[np.lexsort(array.T[::-1])]


def untestable(documents: int, states: int = LEAST_STATES) -> str:
    """Return why nothing can be tested on so few documents or states; empty where it can."""
    if documents < LEAST_DOCUMENTS:
        return f"the test needs {LEAST_DOCUMENTS} documents and there are {documents}"
    if states < LEAST_STATES:
        return f"the test needs {LEAST_STATES} states and there are {states}"
    return ""


def thin(documents: int) -> str:
    """Return that the documents are too few for a conclusion, whatever p says."""
    return f"with {documents} documents, fewer than {CONCLUSIVE}, no conclusion is drawn"


def require_probability(value: float, name: str) -> None:
    """Raise ValueError unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        message = f"{name} must lie between 0 and 1, and it is {value}"
        raise ValueError(message)


def t_ratio(mean: Array | float, se: Array | float) -> Array:
    """Return mean / se, 0 where both are 0, infinite where only the error is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.divide(mean, se), nan=0.0, posinf=np.inf, neginf=-np.inf)


def t_of(columns: Array) -> Array:
    """Return the t statistic of each column's mean against 0, float64[columns], from float64[documents, columns]."""
    return t_ratio(columns.mean(axis=0), columns.std(axis=0, ddof=1) / np.sqrt(len(columns)))


def p_above(t: Array | float, documents: int) -> Array:
    """Return the one-sided p of a mean above 0 from its t statistic, n - 1 degrees of freedom."""
    return np.asarray(stdtr(documents - 1, -np.asarray(t)))


def t_critical(alpha: float, documents: int) -> float:
    """Return the t that is exceeded with probability alpha, n - 1 degrees of freedom."""
    return float(stdtrit(documents - 1, 1 - alpha))


def interval(pv: Array, level: float = 0.95) -> Interval:
    """Return each column's mean with its t interval over documents.

    Raises ValueError for a matrix that is empty or not finite, or a level outside 0 to 1.
    """
    require_probability(level, "level")
    pv = in_order(matrix(pv))
    n, mean = len(pv), pv.mean(axis=0)
    if n == 1:
        unknown = np.full_like(mean, np.nan)
        return Interval(mean, unknown, unknown, unknown, level, n)
    se = pv.std(axis=0, ddof=1) / np.sqrt(n)
    half = t_critical((1 - level) / 2, n) * se
    return Interval(mean, se, mean - half, mean + half, level, n)


def depth_bins(pv: Array) -> DepthBins:
    """Return pseudo-values of more than 16 states in 12 bins: first and last state alone, ten bins between.

    Neighbouring layers are nearly the same state, so that fewer bins lose little and tests gain power. Pseudo-values
    are linear in theta, so a bin's are the means of its columns. Up to 16 states are left as they are.
    """
    pv = matrix(pv)
    states = pv.shape[1]
    if states <= _MOST_RAW_STATES:
        return DepthBins(pv, tuple((state, state) for state in range(states)))
    cuts = [0, *np.linspace(1, states - 1, _BINS - 1).round().astype(int).tolist(), states]
    groups = tuple((first, stop - 1) for first, stop in pairwise(cuts))
    return DepthBins(np.stack([pv[:, a : b + 1].mean(axis=1) for a, b in groups], axis=1), groups)
