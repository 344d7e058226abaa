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
_ZERO = "each token's state is zero at this layer or the one before"
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

    def regrouped(self, size: int) -> Self:
        """Return the same cosines, of every `size` units one."""
        made = type(self)()
        made._cosines = self._cosines.regrouped(size)
        return made

    def result(self) -> Mean:
        """Return the mean cosine."""
        return self._cosines.result(_ZERO if self._cosines.seen else _FIRST)


class Pairs:
    """The statistic behind `Pair`: moments of states before a layer and of what it adds, side by side as one state.

    What a layer adds may be a thousandth of the states, and the products of states in float32 would lose it.
    """

    wants = ("before",)

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._joint = RunningMoments()
        self._seen = False

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states and states before float[n, d]."""
        if tokens.before is not None:
            self._seen = True
            both = torch.cat([tokens.before, tokens.states - tokens.before], dim=1)
            norms = torch.linalg.vector_norm(both, dim=1)
            # A difference of states in half precision is not exact in it, so that precision is not passed on.
            self._joint.update(Tokens(both, norms, tokens.document, tokens.position))

    def merge(self, other: Self) -> Self:
        """Return the moments of both parts; both stay as they were."""
        both = type(self)()
        both._joint, both._seen = self._joint.merge(other._joint), self._seen or other._seen
        return both

    def result(self) -> "Pair":
        """Return how both layers vary together; raises UndefinedMetricError at the first layer."""
        if not self._seen:
            raise UndefinedMetricError(_FIRST)
        return Pair.of(self._joint.result())


@dataclass(frozen=True, eq=False)
class Pair:
    """How n states before a layer, x, after it, y, and what it adds, u = y - x, vary together, in float64.

    `before`, `after`, `cross` and `added` are the sums of xx', yy', xy' and xu' about the means, float64[k, k], in any
    orthonormal coordinates of x, y and u; `change` is the sum of |u|^2 about the mean, and `width` that of a state.
    """

    count: int
    width: int
    before: Array
    after: Array
    cross: Array
    added: Array
    change: float

    @classmethod
    def of(cls, joint: Moments) -> Self:
        """Return how the halves x and u of states side by side, and their sum, vary together."""
        width = joint.width // 2
        if joint.rows is None:
            scatter = joint.side
            before, added, own = scatter[:width, :width], scatter[:width, width:], scatter[width:, width:]
            after = before + added + added.T + own
            return cls(joint.count, width, before, after, before + added, added, float(np.trace(own)))
        rows = joint.rows.astype(np.float64)
        rows -= rows.mean(axis=0)
        x, u = rows[:, :width], rows[:, width:]
        change = float((u**2).sum())
        # Fewer states than their width span few coordinates, and matrices of these are small.
        x, y, u = (np.asarray(np.linalg.qr(part.T, mode="r")).T for part in (x, x + u, u))
        return cls(joint.count, width, x.T @ x, y.T @ y, x.T @ y, x.T @ u, change)

    @property
    def squares(self) -> tuple[float, float]:
        """The sums of |x|^2 and |y|^2 about the means; raises UndefinedMetricError where x or y do not vary."""
        traces = float(np.trace(self.before)), float(np.trace(self.after))
        if min(traces) <= _ROUNDING * self.change:
            message = "the states of one of the two layers do not vary"
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
        """The sum of squares that the best linear map of x leaves of y, and so of u.

        Raises UndefinedMetricError where tokens are few or x or y do not vary.
        """
        if self.count <= self.width + 1:
            message = f"{self.count} tokens of width {self.width} fit any linear map; give more than {self.width + 1}"
            raise UndefinedMetricError(message)
        self.squares  # noqa: B018 - raises where there is none
        scale = np.sqrt(self.before.diagonal())
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        values, vectors = np.linalg.eigh(self.before * inverse * inverse[:, None])
        kept = values > _LEAST
        along = vectors[:, kept].T @ (self.added * inverse[:, None])
        return max(self.change - float((along**2).sum(axis=1) @ (1 / values[kept])), 0.0)

    @property
    def linearity(self) -> float:
        """The share of y's variance that the best linear map of x explains."""
        return max(1 - self.missed / self.squares[1], 0.0)

    @property
    def update_linearity(self) -> float:
        """The share of u's variance that the best linear map of x explains."""
        missed = self.missed
        if self.change <= _ROUNDING * sum(self.squares):
            message = "the layer changes nothing"
            raise UndefinedMetricError(message)
        return 1 - missed / self.change
