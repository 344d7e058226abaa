"""States whose profile is known, for tests and benchmarks of error rates, and the plain way to pseudo-values of them.

A state is the scale of its token times the sum of two parts, one of its document and one of its own. Both parts are
normal and have the same covariance, a spike and a tail, which falls as 1 / k unless told; they change slowly along
depth (AR(1)).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from simulate import along_depth

from aniso_core.records import Array

WIDTH = 48
SCALE = 0.4
"""Standard deviation of the logarithm of a token's scale."""

DOCUMENT = 0.3
"""Intra-class correlation: the share of the variance that tokens of a document have in common."""

_DEPTH = 0.95  # correlation of neighbouring layers
_LENGTHS = (8, 14)  # tokens of a document, each length as likely as another
FIRST = 2 / sum(_LENGTHS)
"""The share of first tokens in the population of tokens."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Documents before states are drawn: how many tokens each has, int64[documents], and what they have in common.

    The latter is float64[layers, documents, d], standard normal along each axis.
    """

    lengths: NDArray[np.int64]
    common: Array


@dataclass(frozen=True, eq=False)
class SimulatedStates:
    """States, float64[layers, tokens, d], of documents numbered from 0, int64[tokens], each one's tokens in order."""

    states: Array
    document: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.int64]:
        """Where each document's first token is, int64[documents]."""
        return np.flatnonzero(np.diff(self.document, prepend=-1))


@dataclass(frozen=True, eq=False)
class Population:
    """Tokens of a true profile `share` = lambda_1 / trace, float64[layers], whose variance in all is 1.

    Where a `bulk_share` is given, that is the share of all tokens but the first, at every layer; first tokens are
    massive, displaced along the spike until `share` is reached, on top of that variance. All other eigenvalues are as
    `tail`, float64[layers, d - 1] or [d - 1] for all layers, in any unit, and as 1 / k without one. `mean` is the
    length of a vector that every state has added to it, the same along each axis. Raises ValueError where no population
    has that share.
    """

    share: Array
    bulk_share: float | None = None
    width: int = WIDTH
    token_scale: float = SCALE
    tail: Array | None = None
    mean: float = 0.0

    def __post_init__(self) -> None:
        """Compute the variances, which says whether there are such states."""
        spike = self._spike
        if (self.share < spike).any() or (self.share >= 1).any():
            message = f"a share must be below 1 and not below that of the bulk, {self.bulk_share}"
            raise ValueError(message)
        if (self.variances[:, 0] <= self.variances[:, 1]).any():
            message = f"a spike must be above the tail, and a share of {spike.min():.3g} of {self.width} axes is not"
            raise ValueError(message)

    @cached_property
    def variances(self) -> Array:
        """The variances along the axes without massive tokens, float64[layers, d], the spike's first, of sum 1."""
        tail = np.atleast_2d(1 / np.arange(1, self.width) if self.tail is None else self.tail)
        return np.column_stack([self._spike, (1 - self._spike)[:, None] * (tail / tail.sum(axis=1, keepdims=True))])

    @cached_property
    def displaced(self) -> Array:
        """How far first tokens lie off along the first axis, float64[layers]."""
        # Tokens whose share is pi, displaced by M, add pi (1 - pi) M^2 to the variance along the spike.
        added = (self.share - self._spike) / (1 - self.share)
        displaced: Array = np.sqrt(added / (FIRST * (1 - FIRST)))
        return displaced

    def texts(self, documents: int, rng: np.random.Generator) -> Texts:
        """Draw documents of 8 to 14 tokens."""
        lengths = rng.integers(_LENGTHS[0], _LENGTHS[1] + 1, documents)
        return Texts(lengths, self._noise(documents, rng))

    def states(self, texts: Texts, rng: np.random.Generator) -> SimulatedStates:
        """Draw the states of documents."""
        document = np.repeat(np.arange(len(texts.lengths)), texts.lengths)
        own = self._noise(len(document), rng)
        # The mean square of the scales is 1.
        scale = np.exp(self.token_scale * rng.standard_normal(len(document)) - self.token_scale**2)
        both = np.sqrt(DOCUMENT) * texts.common[:, document] + np.sqrt(1 - DOCUMENT) * own
        drawn = SimulatedStates(scale[:, None] * np.sqrt(self.variances)[:, None] * both, document)
        drawn.states[:, drawn.first, 0] += self.displaced[:, None]
        drawn.states[...] += self.mean / np.sqrt(self.width)
        return drawn

    def draw(self, documents: int, rng: np.random.Generator) -> SimulatedStates:
        """Draw documents of 8 to 14 tokens and their states."""
        return self.states(self.texts(documents, rng), rng)

    @property
    def _spike(self) -> Array:
        return self.share if self.bulk_share is None else np.full(len(self.share), self.bulk_share)

    def _noise(self, rows: int, rng: np.random.Generator) -> Array:
        return along_depth(rng.standard_normal((len(self.share), rows, self.width)), _DEPTH)


def share_pseudo_values(drawn: SimulatedStates) -> Array:
    """Return pseudo-values of lambda_1 / trace, float64[documents, layers], from each covariance's eigenvalues."""
    parts = np.split(drawn.states, drawn.first[1:], axis=1)
    counts = _left_out(np.bincount(drawn.document))[:, None, None]
    means = _left_out(np.stack([part.sum(axis=1) for part in parts])) / counts
    squares = _left_out(np.stack([part.swapaxes(1, 2) @ part for part in parts])) / counts[..., None]
    covariances = squares - means[..., :, None] * means[..., None, :]
    return _pseudo_values(np.linalg.eigvalsh(covariances)[..., -1] / np.trace(covariances, axis1=-2, axis2=-1))


def log_cv_pseudo_values(drawn: SimulatedStates) -> Array:
    """Return pseudo-values of the logarithm of the norms' coefficient of variation, float64[documents, layers]."""
    norms = np.linalg.norm(drawn.states, axis=2).T
    counts = _left_out(np.bincount(drawn.document))[:, None]
    mean, square = (_left_out(np.add.reduceat(power, drawn.first)) / counts for power in (norms, norms**2))
    return _pseudo_values(np.log(square / mean**2 - 1) / 2)


def cross_fit_shares(drawn: SimulatedStates) -> Array:
    """Return the variance along the first direction of one half of the documents over that of the other, [layers].

    The mean over both halves, documents taken in turn, each half about its own mean.
    """
    halves = [drawn.states[:, drawn.document % 2 == side] for side in (0, 1)]
    scatters = [half.swapaxes(1, 2) @ half for half in (half - half.mean(axis=1, keepdims=True) for half in halves)]
    found = []
    for one, other in (scatters, scatters[::-1]):
        first = np.linalg.eigh(one)[1][..., -1]
        found.append(np.einsum("li,lij,lj->l", first, other, first) / np.trace(other, axis1=1, axis2=2))
    shares: Array = np.mean(found, axis=0)
    return shares


def _left_out(sums: Array | NDArray[np.int64]) -> Array:
    """Return sums over all documents, then over all but each in turn, [1 + documents, ...], from [documents, ...]."""
    total = sums.sum(axis=0, dtype=np.float64)
    return np.concatenate([total[None], total - sums])


def _pseudo_values(theta: Array) -> Array:
    n = len(theta) - 1
    values: Array = n * theta[0] - (n - 1) * theta[1:]
    return values
