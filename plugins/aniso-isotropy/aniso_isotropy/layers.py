"""What successive layers have in common: statistics of the same tokens' states before a layer and after it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch

from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments
from aniso_core.records import Array
from aniso_core.running import RunningMoments
from aniso_core.tokens import Tokens
from aniso_isotropy.means import Mean, Means

_FIRST = "no layer of this stream was measured before this one"
_LEAST = 1e-5  # eigenvalue of a correlation matrix below which a direction is rounding of float32 products
_ROUNDING = 1e-12  # share of the square that is rounding


class LayerCosine:
    """Cosines of tokens' states with their states at the layer before."""

    wants = ("before",)

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._cosines = Means()

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states and states before float[n, d]."""
        if tokens.before is not None:
            lengths = torch.linalg.vector_norm(tokens.before, dim=1) * tokens.norms
            cosines = torch.einsum("nd,nd->n", tokens.before, tokens.states) / lengths
            self._cosines.add(cosines, lengths > 0, tokens.runs)

    def merge(self, other: Self) -> Self:
        """Return the cosines of both parts; both stay as they were."""
        both = type(self)()
        both._cosines = self._cosines.merge(other._cosines)
        return both

    def result(self) -> Mean:
        """Return the mean cosine."""
        return self._cosines.result(_FIRST)


class Pairs:
    """The statistic behind `Pair`: moments of the states before a layer and after it, side by side as one state."""

    wants = ("before",)

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._joint = RunningMoments()
        self._width = 0

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states and states before float[n, d]."""
        if tokens.before is not None:
            self._width = tokens.before.shape[1]
            both = torch.cat([tokens.before, tokens.states], dim=1)
            norms = torch.linalg.vector_norm(both, dim=1)
            self._joint.update(Tokens(both, norms, tokens.document, tokens.position, tokens.half))

    def merge(self, other: Self) -> Self:
        """Return the moments of both parts; both stay as they were."""
        both = type(self)()
        both._joint, both._width = self._joint.merge(other._joint), self._width or other._width
        return both

    def result(self) -> "Pair":
        """Return how both layers vary together; raises UndefinedMetricError at the first layer."""
        if not self._width:
            raise UndefinedMetricError(_FIRST)
        return Pair.of(self._joint.result(), self._width)


@dataclass(frozen=True, eq=False)
class Pair:
    """How n states before a layer, x, and after it, y, vary together, in float64.

    `before`, `after` and `cross` are the sums of xx', yy' and xy' about the means, float64[k, k], in any orthonormal
    coordinates of x and of y; `along` is the sum of x'y, and `width` the width of x.
    """

    count: int
    width: int
    before: Array
    after: Array
    cross: Array
    along: float

    @classmethod
    def of(cls, joint: Moments, width: int) -> Self:
        """Return what moments of states side by side, the first `width` coordinates before, tell of each other."""
        if joint.rows is None:
            scatter = joint.side
            before, after = scatter[:width, :width], scatter[width:, width:]
            cross = scatter[:width, width:]
            along = float(np.trace(cross)) if cross.shape[0] == cross.shape[1] else np.nan
            return cls(joint.count, width, before, after, cross, along)
        rows = joint.rows.astype(np.float64)
        rows -= rows.mean(axis=0)
        x, y = rows[:, :width], rows[:, width:]
        along = float((x * y).sum()) if x.shape == y.shape else np.nan
        # Fewer states than their width span few coordinates, and matrices of these are small.
        x, y = (np.asarray(np.linalg.qr(part.T, mode="r")).T for part in (x, y))
        return cls(joint.count, width, x.T @ x, y.T @ y, x.T @ y, along)

    @property
    def squares(self) -> tuple[float, float]:
        """The sums of |x|^2 and |y|^2; raises UndefinedMetricError where either states do not vary."""
        traces = float(np.trace(self.before)), float(np.trace(self.after))
        if min(traces) <= 0:
            message = "the states of one of both layers do not vary"
            raise UndefinedMetricError(message)
        return traces

    @property
    def cka(self) -> float:
        """Linear centred kernel alignment."""
        self.squares  # noqa: B018 - raises where there is none
        size = np.linalg.norm(self.before) * np.linalg.norm(self.after)
        return float((self.cross**2).sum() / size)

    @property
    def procrustes(self) -> float:
        """The cosine of x and y once x is turned by the best orthogonal map."""
        before, after = self.squares
        return float(np.linalg.svd(self.cross, compute_uv=False).sum() / np.sqrt(before * after))

    @cached_property
    def missed(self) -> float:
        """The sum of squares of y that the best linear map of x leaves; raises UndefinedMetricError for few tokens."""
        if self.count <= self.width + 1:
            message = f"a linear map of width {self.width} fits {self.count} tokens whatever they are; give more text"
            raise UndefinedMetricError(message)
        _, after = self.squares
        scale = np.sqrt(self.before.diagonal())
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        values, vectors = np.linalg.eigh(self.before * inverse * inverse[:, None])
        kept = values > _LEAST
        told = vectors[:, kept].T @ (self.cross * inverse[:, None])
        return max(after - float((told**2).sum(axis=1) @ (1 / values[kept])), 0.0)

    @property
    def linearity(self) -> float:
        """The share of y's variance that the best linear map of x tells."""
        return 1 - self.missed / self.squares[1]

    @property
    def update_linearity(self) -> float:
        """The share of the variance of y - x that the best linear map of x tells."""
        change = sum(self.squares) - 2 * self.along
        if not change > _ROUNDING * sum(self.squares):
            message = "the layer changes nothing"
            raise UndefinedMetricError(message)
        return 1 - min(self.missed / change, 1.0)
