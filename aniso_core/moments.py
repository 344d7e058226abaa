"""Running moments of states, folded in float64 as tokens stream by; one file, since its parts are one derivation.

Rows are kept as they came while there are fewer than d of them, so that spectra of few tokens are exact and go
through the n x n side; beyond that they are absorbed, a block at a time, into centred sums that merge by the
pairwise update of Chan, Golub & LeVeque (1983), here carried to the fourth moment of the norm.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from aniso_core.errors import UndefinedMetricError
from aniso_core.records import Array
from aniso_core.spectrum import eigenvalues, top_direction

if TYPE_CHECKING:
    import torch

    from aniso_core.tokens import Tokens

_ROUNDING = 1e-14
"""Total variance, relative to the mean square norm, below which states differ by float32 rounding alone."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of n states of width d, in float64.

    `mean` [d]; `unit_mean` [d], the mean of the states scaled to unit norm; `norm_mean` and `norm_var` of the
    Euclidean norms (divisor n); `trace` of the covariance (divisor n - 1); `quartic`, the mean fourth power of the
    distance from the mean; `peak`, the largest |coordinate|, and `peak_ratio`, that over the median |coordinate|
    of the state that holds it. Arrays are read-only.
    """

    count: int
    mean: Array
    unit_mean: Array
    norm_mean: float
    norm_var: float
    trace: float
    quartic: float
    peak: float
    peak_ratio: float
    centred: Array | None = None
    scatter: Array | None = None

    @classmethod
    def of(cls, states: ArrayLike) -> "Moments":
        """Return the moments of states float[n, d], n >= 1."""
        rows = np.asarray(states, dtype=np.float64)
        norms = np.linalg.norm(rows, axis=1)
        mean = rows.mean(axis=0)
        centred = rows - mean
        square = (centred**2).sum(axis=1)
        peak = np.abs(rows).max(axis=1)
        massive = int(peak.argmax())
        return cls(
            count=len(rows),
            mean=_frozen(mean),
            unit_mean=_frozen((rows / np.where(norms > 0, norms, 1.0)[:, None]).mean(axis=0)),
            norm_mean=float(norms.mean()),
            norm_var=float(norms.var()),
            trace=float(square.sum() / max(len(rows) - 1, 1)),
            quartic=float((square**2).mean()),
            peak=float(peak[massive]),
            peak_ratio=_ratio(float(peak[massive]), float(np.median(np.abs(rows[massive])))),
            centred=_frozen(centred),
        )

    @property
    def width(self) -> int:
        """The width d of the states."""
        return len(self.mean)

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of the covariance, float64[d], descending, in squared state units."""
        return _frozen(eigenvalues(self.centred, self.scatter, self.count, self.width))

    @cached_property
    def top_direction(self) -> Array:
        """Unit eigenvector of the largest eigenvalue, float64[d]; its sign is arbitrary."""
        return _frozen(top_direction(self.centred, self.scatter))

    @cached_property
    def cov(self) -> Array:
        """Covariance, float64[d, d], divisor n - 1; made when asked for."""
        if self.scatter is not None:
            return _frozen(self.scatter / max(self.count - 1, 1))
        if self.centred is None:
            message = "these moments keep neither rows nor their scatter"
            raise TypeError(message)
        return _frozen(self.centred.T @ self.centred / max(self.count - 1, 1))

    def variance_along(self, direction: Array) -> float:
        """Return the variance (divisor n - 1) of the states along a unit `direction`, float64[d]."""
        if self.centred is not None:
            return float(((self.centred @ direction) ** 2).sum() / max(self.count - 1, 1))
        return float(direction @ self.cov @ direction)

    def require_spread(self) -> None:
        """Raise UndefinedMetricError where the states do not vary, so that no share of variance exists."""
        if self.count < 2:  # noqa: PLR2004 - a variance needs two states
            message = "one token has no variance; give more text"
            raise UndefinedMetricError(message)
        if self.trace <= _ROUNDING * (self.norm_mean**2 + self.norm_var):
            message = f"all {self.count} states are the same up to rounding, so there is no variance to share"
            raise UndefinedMetricError(message)


class RunningMoments:
    """The statistic behind `Moments`; a few d x d matrices at most, however many tokens it has seen."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._rows: list[torch.Tensor] = []
        self._held = 0
        self._sums: _Sums | None = None
        self._light: _Light | None = None

    def update(self, tokens: "Tokens") -> None:
        """Take in states float[n, d]."""
        if not len(tokens):
            return
        self._take_in([tokens.states], len(tokens), None, _Light.of(tokens))

    def merge(self, other: Self) -> Self:
        """Return the moments of both parts; both stay as they were."""
        both = type(self)()
        for part in (self, other):
            both._take_in(part._rows, part._held, part._sums, part._light)  # noqa: SLF001 - parts of one kind
        return both

    def result(self) -> Moments:
        """Return the moments; raises UndefinedMetricError where nothing was seen."""
        light = self._light
        if light is None:
            message = "no token belongs to this token set here"
            raise UndefinedMetricError(message)
        if self._sums is None:
            return Moments.of(_numpy(_stacked(self._rows)))
        sums = self._sums.merged(_Sums.of(_stacked(self._rows))) if self._rows else self._sums
        return Moments(
            count=sums.count,
            mean=_frozen(_numpy(sums.mean)),
            unit_mean=_frozen(_numpy(light.unit_sum / sums.count)),
            norm_mean=light.norm_mean,
            norm_var=light.norm_square / sums.count,
            trace=float(sums.scatter.trace()) / (sums.count - 1),
            quartic=sums.quartic / sums.count,
            peak=light.peak,
            peak_ratio=light.peak_ratio,
            scatter=_frozen(_numpy(sums.scatter)),
        )

    def _take_in(self, rows: "list[torch.Tensor]", held: int, sums: "_Sums | None", light: "_Light | None") -> None:
        self._rows = [*self._rows, *rows]
        self._held += held
        self._sums = _merged(self._sums, sums)
        self._light = _merged(self._light, light)
        # A block of d rows costs one d x d matrix product; smaller ones would cost nearly as much each.
        if self._held and self._held >= self._rows[0].shape[1]:
            block = _Sums.of(_stacked(self._rows))
            self._sums = block if self._sums is None else self._sums.merged(block)
            self._rows, self._held = [], 0


@dataclass(frozen=True)
class _Sums:
    """Centred sums over rows: scatter [d, d], cubic [d] = sum |c|^2 c, quartic = sum |c|^4, c the centred row."""

    count: int
    mean: "torch.Tensor"
    scatter: "torch.Tensor"
    cubic: "torch.Tensor"
    quartic: float

    @classmethod
    def of(cls, rows: "torch.Tensor") -> "_Sums":
        mean = rows.mean(dim=0)
        centred = rows - mean
        square = centred.square().sum(dim=1)
        return cls(len(rows), mean, centred.T @ centred, square @ centred, float(square.square().sum()))

    def merged(self, other: "_Sums") -> "_Sums":
        count = self.count + other.count
        mean = self.mean + (other.mean - self.mean) * (other.count / count)
        mine, theirs = self.about(mean), other.about(mean)
        return _Sums(
            count, mean, mine.scatter + theirs.scatter, mine.cubic + theirs.cubic, mine.quartic + theirs.quartic
        )

    def about(self, centre: "torch.Tensor") -> "_Sums":
        """Return the sums with rows centred on `centre` in place of their own mean."""
        shift = self.mean - centre
        length = float(shift @ shift)
        trace = float(self.scatter.trace())
        along = self.scatter @ shift
        return _Sums(
            self.count,
            centre,
            self.scatter + self.count * shift.outer(shift),
            self.cubic + trace * shift + 2 * along + self.count * length * shift,
            self.quartic
            + 4 * float(shift @ along)
            + 4 * float(self.cubic @ shift)
            + 2 * trace * length
            + self.count * length**2,
        )


@dataclass(frozen=True)
class _Light:
    """What costs no matrix: sums of unit vectors [d], norm mean and centred square sum, the largest coordinate."""

    count: int
    unit_sum: "torch.Tensor"
    norm_mean: float
    norm_square: float
    peak: float
    peak_ratio: float

    @classmethod
    def of(cls, tokens: "Tokens") -> "_Light":
        states, norms = tokens.states.double(), tokens.norms.double()
        weight = norms.clamp_min(np.finfo(np.float64).tiny).reciprocal() * (norms > 0)
        peaks = tokens.states.abs().amax(dim=1)
        massive = int(peaks.argmax())
        peak, middle = float(peaks[massive]), float(np.median(np.abs(_numpy(states[massive]))))
        mean = float(norms.mean())
        return cls(len(tokens), weight @ states, mean, float((norms - mean).square().sum()), peak, _ratio(peak, middle))

    def merged(self, other: "_Light") -> "_Light":
        count = self.count + other.count
        gap = other.norm_mean - self.norm_mean
        higher = max(self, other, key=lambda part: (part.peak, part.peak_ratio))
        return _Light(
            count,
            self.unit_sum + other.unit_sum,
            self.norm_mean + gap * other.count / count,
            self.norm_square + other.norm_square + gap**2 * self.count * other.count / count,
            higher.peak,
            higher.peak_ratio,
        )


Part = TypeVar("Part", _Sums, _Light)


def _merged(left: Part | None, right: Part | None) -> Part | None:
    if left is None or right is None:
        return left if right is None else right
    return left.merged(right)


def _stacked(rows: list["torch.Tensor"]) -> "torch.Tensor":
    import torch

    return torch.cat(rows).double()


def _numpy(tensor: "torch.Tensor") -> Array:
    array: Array = tensor.double().cpu().numpy()
    return array


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _ratio(peak: float, middle: float) -> float:
    return peak / middle if middle > 0 else float("inf") if peak > 0 else 1.0
