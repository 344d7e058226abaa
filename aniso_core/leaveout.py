"""Moments without each unit in turn, from what the units hold of their sums; no state is read again.

With M what a unit takes out of the scatter S: counts, means, norms and the trace of S - M are exact. Its largest
eigenvalue is that in the span of the first eigenvectors of S (Rayleigh-Ritz) and the second order of what points out
of it; tr (S - M)^2 comes from SM and M^2. Where a unit's scatter is known but for its trace, the rest of it is spread
like the smaller eigenvalues of S.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments, frozen
from aniso_core.records import Array

_WORTH_WHOLE = 1e8  # side^3 * units up to which whole spectra are computed anew
_LEAST_UNITS = 4
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Without(Moments):
    """The moments without one unit; what single states decide, as the peak, is NaN.

    `known` says whether the scatter of what is left is; `remainders` are those of all units, of which this is number
    `slot`.
    """

    known: bool = field(kw_only=True)
    remainders: "Remainders" = field(kw_only=True)
    slot: int = field(kw_only=True)

    @cached_property
    def side(self) -> Array:
        """The scatter of what is left, float64[d, d]; raises UndefinedMetricError where it is not known."""
        if not self.known:
            message = (
                "the spectrum without a document is known only of states at most 64 wide and more than their width"
            )
            raise UndefinedMetricError(message)
        out = self.remainders.of_unit(self.slot)
        return frozen(np.asarray(self.remainders.whole.side - out.T @ out))

    @cached_property
    def top_eigenvalue(self) -> float:
        """The largest eigenvalue of the covariance."""
        return float(self.remainders.about.top[self.slot])

    @cached_property
    def top_direction(self) -> Array:
        """Unit eigenvector of the largest eigenvalue, float64[d]; its sign is arbitrary."""
        return frozen(np.asarray(self.remainders.about.directions[self.slot]))

    @cached_property
    def square_trace(self) -> float:
        """The trace of the squared covariance."""
        return float(self.remainders.about.squares[self.slot])

    @cached_property
    def uncentred_square_trace(self) -> float:
        """The trace of the squared mean of xx'."""
        return float(self.remainders.uncentred_squares[self.slot])

    def variance_along(self, direction: Array) -> float:
        """Return the variance (divisor n - 1) along a unit `direction`, float64[d]."""
        whole, out = self.remainders.whole, self.remainders.of_unit(self.slot)
        square = whole.variance_along(direction) * (whole.count - 1)
        return max(square - float(((out @ direction) ** 2).sum()), 0.0) / max(self.count - 1, 1)


class About(NamedTuple):
    """Largest eigenvalue float64[units], its unit eigenvector float64[units, d] and trace of the squared covariance."""

    top: Array
    directions: Array
    squares: Array


@dataclass(frozen=True, eq=False)
class Remainders:
    """What is left of a scatter matrix without each unit; eigenvalues of all are computed at once, when one is wanted.

    `out` float64[m, d] are factors of what units take out of the scatter of `whole`, those of unit u at
    `edges[u]:edges[u + 1]`, the move of the mean last; `missed` float64[units] is what squares of scatters lack.
    `left` float64[units] are the numbers of states that are left, `traces` those of what is left, and `divisors` what
    makes a covariance of it.
    """

    whole: Moments
    out: Array
    edges: NDArray[np.int64]
    missed: Array
    left: Array
    traces: Array
    divisors: Array

    def of_unit(self, slot: int) -> Array:
        """Return the factors of one unit, float64[m, d]."""
        return self.out[self.edges[slot] : self.edges[slot + 1]]

    @cached_property
    def weighted(self) -> Array:
        """The scatter of the whole along each factor x, x'Sx, float64[m]."""
        return np.asarray((_times(self.whole, self.out) * self.out).sum(axis=1))

    @cached_property
    def uncentred_squares(self) -> Array:
        """The trace of the squared mean of xx' of each remainder, float64[units]."""
        n, last, mean = self.left, self.edges[1:] - 1, self.whole.mean
        moves = self.out[last] / np.sqrt(n)[:, None]
        turned = _times(self.whole, mean[None])[0]
        means = mean - moves
        square = (
            turned @ mean - 2 * moves @ turned + self.weighted[last] / n
        )  # of the mean's scatter in all that there is
        taken = (self.out * np.repeat(means, np.diff(self.edges), axis=0)).sum(axis=1) ** 2
        square = np.maximum(square - np.add.reduceat(taken, self.edges[:-1]), 0)
        centred = self.about.squares * self.divisors**2 + 2 * n * square
        return np.asarray(centred / n**2 + (means**2).sum(axis=1) ** 2)

    @cached_property
    def about(self) -> About:
        """What is known of each remainder."""
        whole, out, starts = self.whole, self.out, self.edges[:-1]
        span = whole.leading_directions
        total, squares = whole.trace * (whole.count - 1), whole.square_trace * (whole.count - 1) ** 2
        values = _quotients(whole, span)
        along, sizes = out @ span, (out**2).sum(axis=1)
        moves = self.weighted[self.edges[1:] - 1]  # no part of a unit's scatter
        weighted = np.add.reduceat(self.weighted, starts)
        rest = np.maximum(total - self.traces - np.add.reduceat(sizes, starts), 0)
        # tr SG sums to tr S^2 over units, so what factors leave of it belongs to the rests.
        tail = max(squares - weighted.sum() + moves.sum(), 0.0) / max(rest.sum(), _TINY)
        # The mean of the eigenvalues outside the span, each weighted by itself.
        smaller = max(squares - values @ values, 0.0) / max(total - values.sum(), _TINY)
        taken = np.add.reduceat(along[:, :, None] * along[:, None, :], starts)
        found, vectors = np.linalg.eigh(np.diag(values) - taken)
        highest, first = found[:, -1], vectors[..., -1]
        # What M v has outside the span bends the eigenvector; its second order is |r|^2 / (lambda_1 - a smaller one).
        weights = (along * np.repeat(first, np.diff(self.edges), axis=0)).sum(axis=1)
        bends = np.add.reduceat(out * weights[:, None], starts)
        bends -= (bends @ span) @ span.T
        top = highest + (bends**2).sum(axis=1) / np.maximum(np.maximum(highest - smaller, highest / 2), _TINY)
        taken_squares = np.array([((unit @ unit.T) ** 2).sum() for unit in map(self.of_unit, range(len(starts)))])
        outside = np.add.reduceat(sizes - (along**2).sum(axis=1), starts)
        taken_squares += self.missed + 2 * rest * outside / max(whole.width - len(values), 1)
        left = np.maximum(squares - 2 * (weighted + rest * tail) + taken_squares, top**2)
        return About(np.clip(top, 0, self.traces) / self.divisors, first @ span.T, left / self.divisors**2)


def without_each(whole: Moments) -> dict[int, Moments]:
    """Return the moments without each unit, by unit; empty where units are unknown or there is one alone."""
    parts = whole.held
    if parts is None or len(parts.units) == 1:
        return {}
    count, linear, between, square, missed, quartic, unit_sum, norm_sum, norm_square = (
        getattr(parts, name).cpu().numpy()
        for name in ("count", "linear", "between", "square", "missed", "quartic", "unit_sum", "norm_sum", "norm_square")
    )
    left = (whole.count - count).round()
    owner, factors = parts.owner.cpu().numpy(), parts.factors.cpu().numpy().astype(np.float64)
    # What leaves with a unit: its scatter about the mean of all, and the move of the mean.
    slots = np.arange(len(count))
    owners = np.concatenate([owner, slots, slots])
    out = np.concatenate([factors, between, linear / np.sqrt(left)[:, None]])
    order = np.argsort(owners, kind="stable")
    traces = np.maximum(whole.trace * (whole.count - 1) - square - (linear**2).sum(axis=1) / left, 0)
    divisors = np.maximum(left - 1, 1)
    edges = np.searchsorted(owners[order], np.arange(len(count) + 1))
    remainders = Remainders(whole, out[order], edges, missed, left, traces, divisors)
    norm_mean = (whole.norm_mean * whole.count - norm_sum) / left
    norm_all = (whole.norm_var + whole.norm_mean**2) * whole.count
    norm_var = np.maximum((norm_all - norm_square) / left - norm_mean**2, 0)
    fourth = quartic / max(quartic.sum(), _TINY)
    # The spectrum of fewer states than they are wide says too little of the population's for any interval.
    known = parts.exact and whole.gram is None and len(whole.side) ** 3 * len(count) <= _WORTH_WHOLE
    found: dict[int, Moments] = {}
    for slot, unit in enumerate(parts.units):
        found[unit] = Without(
            count=int(left[slot]),
            mean=whole.mean - linear[slot] / left[slot],
            unit_mean=(whole.unit_mean * whole.count - unit_sum[slot]) / left[slot],
            norm_mean=float(norm_mean[slot]),
            norm_var=float(norm_var[slot]),
            trace=float(traces[slot] / divisors[slot]),
            quartic=float(whole.quartic * whole.count * (1 - fourth[slot]) / left[slot]),
            peak=np.nan,
            peak_ratio=np.nan,
            known=known,
            remainders=remainders,
            slot=slot,
        )
    return found


def cross_fit_share(whole: Moments) -> float:
    """Return the variance along the first direction of one half of the units over all variance of the other half.

    The mean over both halves, units taken in turn. A direction that follows noise finds little of it in the other half,
    so the truth lies above this and below the plain share, to first order. Raises UndefinedMetricError where the units
    are fewer than four or unknown.
    """
    whole.require_spread()
    parts = whole.held
    if parts is None or len(parts.units) < _LEAST_UNITS:
        message = f"two halves need {_LEAST_UNITS} documents"
        raise UndefinedMetricError(message)
    owner, factors = parts.owner.cpu().numpy(), parts.factors.cpu().numpy().astype(np.float64)
    names = ("count", "linear", "between", "square")
    count, linear, between, square = (getattr(parts, name).cpu().numpy() for name in names)
    half = np.argsort(np.argsort(parts.units)) % 2
    halves = []
    for side in (0, 1):
        mine = half == side
        number, total = count[mine].sum(), linear[mine].sum(axis=0)
        move = total / np.sqrt(number)
        rows = np.concatenate([factors[mine[owner]], between[mine]])
        # Means of units are about the mean of all; the half's own mean is one factor with the opposite sign.
        halves.append((rows, move, square[mine].sum() - move @ move))
    found = []
    for (rows, move, _), (others, other_move, variance) in (halves, halves[::-1]):
        direction = _first_of(rows, move)
        along = ((others @ direction) ** 2).sum() - (other_move @ direction) ** 2
        found.append(along / max(variance, _TINY))
    return float(np.clip(np.mean(found), 0, 1))


def _first_of(rows: Array, move: Array) -> Array:
    """Return the first eigenvector of R'R - move move' of rows R float[m, d]; it lies in their own span.

    Directions of all documents would know the half that the eigenvector is held against.
    """
    span = np.linalg.qr(np.concatenate([rows, move[None]]).T).Q
    along, back = rows @ span, move @ span
    return np.asarray(span @ np.linalg.eigh(along.T @ along - np.outer(back, back))[1][:, -1])


def _quotients(whole: Moments, span: Array) -> Array:
    """Return the Rayleigh quotients of the scatter along directions."""
    return np.asarray((span * _times(whole, span.T).T).sum(axis=0))


def _times(whole: Moments, vectors: Array) -> Array:
    """Return each of vectors float64[m, d] times the scatter, float64[m, d]."""
    if whole.rows is None:
        return np.asarray(vectors @ whole.side)
    return np.asarray((vectors @ whole.rows.T) @ whole.rows)
