"""Moments of states: what metrics are asked of, with spectra through the smaller side, computed when asked for."""

import contextlib
import math
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aniso_core.errors import UndefinedMetricError
from aniso_core.records import Array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from aniso_core.unitsums import Parts

_ROUNDING = 1e-14
"""Total variance, relative to the mean square norm, below which states differ by float32 rounding alone."""

_WORTH_A_CORE = 256
"""Side of a matrix from which decomposing several at once beats giving each all cores."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of n states of width d, in float64; arrays are read-only.

    Either `rows` and `gram` are there (n < d) or `scatter` is.
    """

    count: int
    """Number of states, n."""
    mean: Array
    """float64[d]."""
    unit_mean: Array
    """float64[d], the mean of the states scaled to unit norm."""
    norm_mean: float
    """Mean of the Euclidean norms."""
    norm_var: float
    """Their variance, divisor n."""
    trace: float
    """Trace of the covariance, divisor n - 1."""
    quartic: float
    """Mean fourth power of the distance from the mean."""
    peak: float
    """The largest |coordinate|."""
    peak_ratio: float
    """That over the median |coordinate| of the state that holds it."""
    rows: Array | None = None
    """float[n, d], the centred states, in their own precision."""
    gram: Array | None = None
    """float64[n, n], inner products of the centred states."""
    scatter: Array | None = None
    """float64[d, d], sum of the centred states' outer products."""
    parts: "Callable[[], Parts] | None" = None
    """Returns what each unit of uncertainty holds of the sums about the mean; None where that was not kept."""

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.mean, self.unit_mean, self.rows, self.gram, self.scatter):
            if array is not None:
                frozen(array)

    @classmethod
    def of(cls, states: "ArrayLike", document: "Sequence[int] | None" = None) -> "Moments":
        """Return the moments of states float[n, d], n >= 1, of one document unless told."""
        import numpy as np

        from aniso_core.running import RunningMoments
        from aniso_core.tokens import Tokens

        running = RunningMoments()
        running.update(Tokens.of(np.array(states, dtype=np.float64), document))
        return running.result()

    @property
    def width(self) -> int:
        """The width d of the states."""
        return len(self.mean)

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of the covariance, float64[d], descending, in squared state units."""
        from aniso_core.spectrum import eigenvalues

        return frozen(eigenvalues(self.side, self.count, self.width))

    @cached_property
    def uncentred_spectrum(self) -> Array:
        """Eigenvalues of the mean of xx', float64[d], descending, in squared state units; nothing is subtracted."""
        from aniso_core.spectrum import eigenvalues

        return frozen(eigenvalues(self.uncentred_side, self.count + 1, self.width))

    @cached_property
    def top_eigenvalue(self) -> float:
        """The largest eigenvalue of the covariance."""
        return float(self.spectrum[0])

    @cached_property
    def square_trace(self) -> float:
        """The trace of the squared covariance, which is the sum of the squared eigenvalues; needs no spectrum."""
        return float((self.side**2).sum()) / max(self.count - 1, 1) ** 2

    @cached_property
    def uncentred_square_trace(self) -> float:
        """The trace of the squared mean of xx', which is the sum of its squared eigenvalues; needs no spectrum."""
        n, length = self.count, float(self.mean @ self.mean)
        centred = (n - 1) ** 2 * self.square_trace + 2 * n * (n - 1) * self.variance_along(self.mean)
        return centred / n**2 + length**2

    @cached_property
    def top_direction(self) -> Array:
        """Unit eigenvector of the largest eigenvalue, float64[d]; its sign is arbitrary."""
        from aniso_core.spectrum import top_eigenvector

        vector = top_eigenvector(self.side, self.top_eigenvalue * max(self.count - 1, 1))
        if self.rows is not None:
            vector = vector @ self.rows
        return frozen(vector / math.sqrt(vector @ vector))

    @cached_property
    def leading_directions(self) -> Array:
        """About the first eight eigenvectors of the covariance, float64[d, k], first one first."""
        from aniso_core.spectrum import leading

        return frozen(leading(self.side, self.rows))

    @cached_property
    def held(self) -> "Parts | None":
        """What each unit of uncertainty holds of the sums; None where that was not kept."""
        return None if self.parts is None else self.parts()

    @cached_property
    def cov(self) -> Array:
        """Covariance, float64[d, d], divisor n - 1; made when asked for."""
        scatter = self.side if self.rows is None else self.rows.T @ self.rows
        return frozen(scatter / max(self.count - 1, 1))

    def variance_along(self, direction: Array) -> float:
        """Return the variance (divisor n - 1) of the states' products with a `direction`, float64[d]."""
        along = direction @ self.side @ direction if self.rows is None else ((self.rows @ direction) ** 2).sum()
        return float(along) / max(self.count - 1, 1)

    def without_each(self) -> "dict[int, Moments]":
        """Return the moments without each unit of uncertainty, by unit; empty where what units hold was not kept."""
        from aniso_core.leaveout import without_each

        return without_each(self)

    def require_spread(self) -> None:
        """Raise UndefinedMetricError where the states do not vary, so that no share of variance exists."""
        if self.count < 2:  # noqa: PLR2004 - a variance needs two states
            message = "one token has no variance; give more text"
            raise UndefinedMetricError(message)
        if self.trace <= _ROUNDING * (self.norm_mean**2 + self.norm_var):
            message = f"all {self.count} states are the same up to rounding, so there is no variance to share"
            raise UndefinedMetricError(message)

    @property
    def side(self) -> Array:
        """The smaller of the scatter matrix float64[d, d] and the Gram matrix float64[n, n] of the centred states."""
        side = self.gram if self.scatter is None else self.scatter
        if side is None:
            message = "these moments keep neither rows nor their scatter"
            raise TypeError(message)
        return side

    @property
    def uncentred_side(self) -> Array:
        """The smaller of the sum of xx' float64[d, d] and the inner products of the states float64[n, n]."""
        import numpy as np

        if self.rows is None:
            return self.side + self.count * np.outer(self.mean, self.mean)
        along = self.rows @ self.mean
        along = along - along.mean()  # rows are centred in the states' precision only
        return np.asarray(self.side + along[:, None] + along + self.mean @ self.mean)


SPECTRA = ("spectrum", "uncentred_spectrum")
"""What takes all eigenvalues of a matrix, by name."""


def decompose(several: Iterable[Moments], like: Moments) -> None:
    """Compute what `like` has of spectra and top direction for several moments at once, each on a core of its own."""
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    parts = [name for name in (*SPECTRA, "top_direction") if name in vars(like)]
    wanted = {id(m): m for m in several if len(m.side) >= _WORTH_A_CORE}
    if not parts or len(wanted) < 2:  # noqa: PLR2004 - one alone has all cores
        return

    def compute(m: Moments) -> None:
        # What cannot be decomposed says so again to the metric that asks.
        with contextlib.suppress(Exception):
            for name in parts:
                getattr(m, name)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compute, wanted.values()))


def sites_at_once(known: Iterable[Moments]) -> int:
    """Return the matrices of how many sites like one with these moments fit into a gibibyte."""
    return 2**30 // sum(3 * 8 * len(m.side) ** 2 for m in known)


@contextlib.contextmanager
def threads_for(known: Collection[Moments]) -> Iterator[None]:
    """Give numpy's library one thread at a site, all where a matrix is so large that it is decomposed alone.

    Its threads wait for each other by spinning, so that beside another busy program what takes one thread a millisecond
    takes two of them thirty, and metrics ask for a thousand such products and factors.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if known and sites_at_once(known) > 1 else None, user_api="blas"):
        yield


def frozen(array: Array) -> Array:
    """Return the array itself, made read-only."""
    array.flags.writeable = False
    return array
