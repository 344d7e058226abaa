"""Moments without each unit in turn, from what the units hold of their sums; no state is read again.

With M what a unit takes out of the scatter S: counts, means, norms and the trace of S - M are exact. Its largest
eigenvalue is that in the span of the first eigenvectors of S (Rayleigh-Ritz) and the second order of what points out
of it; tr (S - M)^2 comes from SM and M^2. Where a unit's scatter is known but for its trace, the rest of it is spread
like the smaller eigenvalues of S.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments
from aniso_core.records import Array

_WORTH_WHOLE = 1e8  # side^3 * units up to which whole spectra are computed anew
_LEAST_UNITS = 4
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Without(Moments):
    """The moments without one unit; what single states decide, as the peak, is NaN.

    `reduced` returns the smaller side of what is left, and raises UndefinedMetricError where it is not known;
    `out` float64[m, d] are factors of what the unit takes out of the scatter of `whole`.
    """

    whole: Moments = field(kw_only=True)
    reduced: Callable[[], Array] = field(kw_only=True)
    out: Array = field(kw_only=True)

    @cached_property
    def side(self) -> Array:
        """The smaller side of what is left; raises UndefinedMetricError where it is not known."""
        return self.reduced()

    def variance_along(self, direction: Array) -> float:
        """Return the variance (divisor n - 1) along a unit `direction`, float64[d]."""
        square = self.whole.variance_along(direction) * (self.whole.count - 1)
        return max(square - float(((self.out @ direction) ** 2).sum()), 0.0) / max(self.count - 1, 1)


def without_each(whole: Moments) -> dict[int, Moments]:
    """Return the moments without each unit, by unit; empty where units are unknown or there is one alone."""
    parts = whole.held
    if parts is None or len(parts.units) == 1:
        return {}
    count, linear, square, missed, quartic, unit_sum, norm_sum, norm_square = (
        getattr(parts, name).cpu().numpy()
        for name in ("count", "linear", "square", "missed", "quartic", "unit_sum", "norm_sum", "norm_square")
    )
    left = (whole.count - count).round()
    owner, factors = parts.owner.cpu().numpy(), parts.factors.cpu().numpy().astype(np.float64)
    # What leaves with a unit: its scatter about the mean of all, and the move of the mean.
    owners = np.concatenate([owner, np.arange(len(count))])
    out = np.concatenate([factors, linear / np.sqrt(left)[:, None]])
    order = np.argsort(owners, kind="stable")
    out, edges = out[order], np.searchsorted(owners[order], np.arange(len(count) + 1))
    outs = [out[start:stop] for start, stop in pairwise(edges)]
    scatter_trace = np.maximum(whole.trace * (whole.count - 1) - square - (linear**2).sum(axis=1) / left, 0)
    norm_mean = (whole.norm_mean * whole.count - norm_sum) / left
    norm_all = (whole.norm_var + whole.norm_mean**2) * whole.count
    norm_var = np.maximum((norm_all - norm_square) / left - norm_mean**2, 0)
    fourth = quartic / max(quartic.sum(), _TINY)
    worth_whole = parts.exact and len(whole.side) ** 3 * len(count) <= _WORTH_WHOLE
    found: dict[int, Moments] = {}
    for slot, unit in enumerate(parts.units):
        reduced = partial(_reduced, whole, outs[slot], np.flatnonzero(owner != slot)) if worth_whole else _unknown
        found[unit] = Without(
            count=int(left[slot]),
            mean=whole.mean - linear[slot] / left[slot],
            unit_mean=(whole.unit_mean * whole.count - unit_sum[slot]) / left[slot],
            norm_mean=float(norm_mean[slot]),
            norm_var=float(norm_var[slot]),
            trace=float(scatter_trace[slot]) / max(left[slot] - 1, 1),
            quartic=float(whole.quartic * whole.count * (1 - fourth[slot]) / left[slot]),
            peak=np.nan,
            peak_ratio=np.nan,
            whole=whole,
            reduced=reduced,
            out=outs[slot],
        )
    if whole.trace > 0:
        _approximate(whole, list(found.values()), out, edges, missed)
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
    count, linear, square = (getattr(parts, name).cpu().numpy() for name in ("count", "linear", "square"))
    span = whole.leading_directions if whole.rows is None else None
    half = np.argsort(np.argsort(parts.units)) % 2
    halves = []
    for side in (0, 1):
        mine = half == side
        number, total = count[mine].sum(), linear[mine].sum(axis=0)
        move = total / np.sqrt(number)
        rows = factors[mine[owner]]
        # Kept states are about the mean of all; the half's own mean is one factor with the opposite sign.
        halves.append((rows, move, square[mine].sum() - move @ move))
    found = []
    for (rows, move, _), (others, other_move, variance) in (halves, halves[::-1]):
        direction = _first_of(rows, move, span)
        along = ((others @ direction) ** 2).sum() - (other_move @ direction) ** 2
        found.append(along / max(variance, _TINY))
    return float(np.clip(np.mean(found), 0, 1))


def _first_of(rows: Array, move: Array, span: Array | None) -> Array:
    """Return the first eigenvector of R'R - move move' of rows R float[m, d], within the span where there is one."""
    if span is None:
        span = np.linalg.qr(np.concatenate([rows, move[None]]).T).Q
    along, back = rows @ span, move @ span
    return np.asarray(span @ np.linalg.eigh(along.T @ along - np.outer(back, back))[1][:, -1])


def _approximate(whole: Moments, several: list[Moments], out: Array, edges: NDArray[np.int64], missed: Array) -> None:
    """Give each of the moments its largest eigenvalue, first direction and square trace."""
    span = whole.leading_directions
    divisors = np.array([max(m.count - 1, 1) for m in several])
    total, squares = whole.trace * (whole.count - 1), whole.square_trace * (whole.count - 1) ** 2
    values = _quotients(whole, span)
    along, sizes = out @ span, (out**2).sum(axis=1)
    weighted = (_times(whole, out) * out).sum(axis=1)
    moves = weighted[
        edges[1:] - 1
    ]  # the last factor of a unit is the move of the mean, which is no part of its scatter
    weighted = np.add.reduceat(weighted, edges[:-1])
    rest = np.maximum(total - np.array([m.trace for m in several]) * divisors - np.add.reduceat(sizes, edges[:-1]), 0)
    # tr SG sums to tr S^2 over units, so what factors leave of it belongs to the rests.
    tail = max(squares - weighted.sum() + moves.sum(), 0.0) / max(rest.sum(), _TINY)
    for slot, m in enumerate(several):
        part = slice(edges[slot], edges[slot + 1])
        mine, taken = out[part], along[part]
        reduced = np.diag(values) - taken.T @ taken
        found, vectors = np.linalg.eigh(reduced)
        first = vectors[:, -1]
        direction = span @ first
        # What M v has outside the span bends the eigenvector; its second order is |r|^2 / (lambda_1 - tail).
        bend = mine.T @ (taken @ first)
        bend -= span @ (span.T @ bend)
        top = found[-1] + (bend @ bend) / max(found[-1] - tail, found[-1] / 2, _TINY)
        gram = mine @ mine.T
        own = (gram**2).sum() + missed[slot]
        own += 2 * rest[slot] * (sizes[part].sum() - (taken**2).sum()) / max(whole.width - len(values), 1)
        square = squares - 2 * (weighted[slot] + rest[slot] * tail) + own
        vars(m)["top_eigenvalue"] = float(np.clip(top, 0, m.trace * divisors[slot]) / divisors[slot])
        vars(m)["top_direction"] = direction
        vars(m)["square_trace"] = float(max(square, top**2) / divisors[slot] ** 2)


def _quotients(whole: Moments, span: Array) -> Array:
    """Return the Rayleigh quotients of the scatter along directions."""
    return np.asarray((span * _times(whole, span.T).T).sum(axis=0))


def _times(whole: Moments, vectors: Array) -> Array:
    """Return each of vectors float64[m, d] times the scatter, float64[m, d]."""
    if whole.rows is None:
        return np.asarray(vectors @ whole.side)
    return np.asarray((vectors @ whole.rows.T) @ whole.rows)


def _reduced(whole: Moments, out: Array, kept: NDArray[np.int64]) -> Array:
    """Return the smaller side without a unit, whose states are not `kept` where the states themselves are there."""
    if whole.gram is None:
        return np.asarray(whole.side - out.T @ out)
    gram = whole.gram[np.ix_(kept, kept)]
    gram = gram - gram.mean(axis=0)
    return np.asarray(gram - gram.mean(axis=1, keepdims=True))


def _unknown() -> Array:
    message = "what single documents hold of the whole spectrum is not kept for so many states"
    raise UndefinedMetricError(message)
