"""Exact tests on models: families with and without a property, and twins that differ in it alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aniso_core.inference.matrix import Bounds, matrix, require_probability
from aniso_core.records import Array, Outcome

Alternative = Literal["less", "greater", "two-sided"]

_MOST = 40  # the sums of all subsets of half as many values are held at once: 2^20 of them
_MOST_SPLIT = 20  # as many differences have 2^20 subsets, whose means an interval takes in order
_ROUNDING = 1e-12  # sums that differ by less than this share of all values' sizes are equal


@dataclass(frozen=True)
class ExactTest:
    """The exact p of a difference between means, in the unit of the values, and the least p that there can be.

    Both p are 0 to 1; a two-sided one is twice the smaller one-sided, at most 1. Where `least_p` is above alpha nothing
    can be tested, whatever the values are.
    """

    outcome: Outcome
    reason: str
    estimate: float
    p: float
    least_p: float


def exact_permutation(
    values: Array, labels: NDArray[np.bool_], alternative: Alternative = "two-sided", alpha: float = 0.05
) -> ExactTest:
    """Test whether labelled values differ from the others, float64[families], over all ways to hand out the labels.

    One value is one family (lineage) of models, the mean over its members: members are no independent observations.
    Raises ValueError for labels of another length, or values that are not finite.
    """
    values, labels = _values(values), np.asarray(labels, dtype=np.bool_)
    if labels.shape != values.shape:
        message = f"each value needs a label, and there are {len(values)} values and {labels.size} labels"
        raise ValueError(message)
    chosen = int(labels.sum())
    if chosen in {0, len(values)}:
        return _cannot("a comparison needs families of both kinds")
    estimate = float(values[labels].mean() - values[~labels].mean())
    what = f"{chosen} against {len(values) - chosen} families"
    in_groups = np.concatenate([np.sort(values[labels]), np.sort(values[~labels])])
    return _judged(estimate, _tails(in_groups, chosen), alternative, alpha, what)


def sign_flip(differences: Array, alternative: Alternative = "two-sided", alpha: float = 0.05) -> ExactTest:
    """Test whether paired differences, float64[pairs], are centred at 0, over all ways to swap the twins of a pair.

    Raises ValueError for differences that are not finite.
    """
    differences = np.sort(_values(differences))
    what = f"{len(differences)} pair{'s' * (len(differences) > 1)}"
    return _judged(float(differences.mean()), _tails(differences, None), alternative, alpha, what)


def sign_flip_interval(differences: Array, alpha: float = 0.05) -> Bounds:
    """Return the centres of paired differences, float64[pairs], that `sign_flip` does not reject two-sided at alpha.

    A centre c is rejected by how many sets of differences have a mean of c or less (Hartigan 1969, Journal of the
    American Statistical Association 64, 1303), so the bounds are means of such sets, in order. They are NaN for so few
    pairs that no centre can be rejected, and for more than 20. Raises ValueError as `sign_flip` does.
    """
    require_probability(alpha, "alpha")
    differences = _values(differences)
    estimate, n = float(differences.mean()), len(differences)
    place = int(alpha / 2 * 2.0**n) - 1
    if place < 0 or n > _MOST_SPLIT:
        return Bounds(estimate, np.nan, np.nan)
    sums, sizes = _subsets(differences)
    means = np.sort(sums[1:] / sizes[1:])
    return Bounds(estimate, float(means[place]), float(means[-1 - place]))


def _values(values: Array) -> Array:
    return matrix(np.atleast_1d(np.asarray(values, dtype=np.float64))[:, None], "the values")[:, 0]


def _cannot(reason: str) -> ExactTest:
    return ExactTest("not_testable", reason, np.nan, np.nan, np.nan)


def _judged(
    estimate: float, tails: tuple[int, int, int], alternative: Alternative, alpha: float, what: str
) -> ExactTest:
    require_probability(alpha, "alpha")
    less, greater, total = tails
    if not total:
        return _cannot(f"the arrangements of {what} are too many to count")
    sides = {"less": less, "greater": greater, "two-sided": 2 * min(less, greater)}
    p = min(1.0, sides[alternative] / total)
    least_p = min(1.0, (2 if alternative == "two-sided" else 1) / total)
    if least_p > alpha:
        return ExactTest("not_testable", f"with {what} the smallest p is {least_p:.2g}", estimate, p, least_p)
    return ExactTest("supported" if p <= alpha else "inconclusive", "", estimate, p, least_p)


def _tails(values: Array, size: int | None) -> tuple[int, int, int]:
    """Return how many subsets of that size (None: any) sum to no more and to no less than the first `size`, and of all.

    Flipping signs compares signed sums, which order subsets as the sums of the values that keep their sign do; the
    subset that was observed then holds all values. All three are 0 where there are too many to count.
    """
    if len(values) > _MOST:
        return 0, 0, 0
    # The slack scales with the values, so that a change of unit changes no p.
    slack = _ROUNDING * np.abs(values).sum()
    observed = values[:size].sum()
    less, total = _count(-values, size, -observed - slack)
    greater, _ = _count(values, size, observed - slack)
    return less, greater, total


def _count(values: Array, size: int | None, threshold: float) -> tuple[int, int]:
    """Return how many subsets of that size (None: any) sum to the threshold or more, and how many there are."""
    (left, left_sizes), (right, right_sizes) = (_subsets(half) for half in np.array_split(values, 2))
    parts = [(left, right)]
    if size is not None:
        parts = [(left[left_sizes == k], right[right_sizes == size - k]) for k in range(size + 1)]
    reached = [(len(rest) - np.searchsorted(np.sort(rest), threshold - first)).sum() for first, rest in parts]
    return int(sum(reached)), sum(len(first) * len(rest) for first, rest in parts)


def _subsets(values: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the sum and the size of every subset, float64[2^n] and int64[2^n]."""
    sums, sizes = np.zeros(1), np.zeros(1, dtype=np.int64)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums, sizes
