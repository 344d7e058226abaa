"""States whose profile is known, for tests and benchmarks of error rates, and the plain way to pseudo-values of them.

A state is the scale of its token times the sum of two parts, one of its document and one of its own. Both parts are
normal and have the same covariance, a spike and a tail that falls as 1 / k; they change slowly along depth (AR(1)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from simulate import along_depth

from aniso_core.records import Array

WIDTH = 48
SCALE = 0.4
"""Standard deviation of the logarithm of a token's scale."""

_DOCUMENT = 0.3  # intra-class correlation: the share of the variance that tokens of a document have in common
_DEPTH = 0.95  # correlation of neighbouring layers
_LENGTHS = (8, 14)  # tokens of a document, each length as likely as another
_FIRST = 2 / sum(_LENGTHS)  # the share of first tokens in the population of tokens


@dataclass(frozen=True, eq=False)
class SimulatedStates:
    """States, float64[layers, tokens, d], of documents numbered from 0, int64[tokens], each one's tokens in order.

    `share` is lambda_1 / trace of the population of tokens, float64[layers].
    """

    states: Array
    document: NDArray[np.int64]
    share: Array

    @property
    def first(self) -> NDArray[np.int64]:
        """Where each document's first token is, int64[documents]."""
        return np.flatnonzero(np.diff(self.document, prepend=-1))


def simulated_states(  # noqa: PLR0913 - what a draw may be asked for has a name of its own
    share: Array,
    documents: int,
    rng: np.random.Generator,
    *,
    width: int = WIDTH,
    token_scale: float = SCALE,
    bulk_share: float | None = None,
) -> SimulatedStates:
    """Draw states of a true profile `share`, float64[layers], whose variance in all is 1.

    Where a `bulk_share` is given, that is the share of all tokens but the first, at every layer; first tokens are
    massive, displaced along the spike until `share` is reached, on top of that variance. Raises ValueError where no
    population has that share.
    """
    spike = share if bulk_share is None else np.full(len(share), bulk_share)
    if (share < spike).any() or (share >= 1).any():
        message = f"a share must be below 1 and not below that of the bulk, {bulk_share}"
        raise ValueError(message)
    deviations = np.sqrt(_variances(spike, width))[:, None]
    document = np.repeat(np.arange(documents), rng.integers(_LENGTHS[0], _LENGTHS[1] + 1, documents))
    common, own = (
        along_depth(rng.standard_normal((len(share), rows, width)), _DEPTH) for rows in (documents, len(document))
    )
    scale = np.exp(token_scale * rng.standard_normal(len(document)) - token_scale**2)  # its mean square is 1
    states = scale[:, None] * deviations * (np.sqrt(_DOCUMENT) * common[:, document] + np.sqrt(1 - _DOCUMENT) * own)
    drawn = SimulatedStates(states, document, share)
    # Tokens whose share is pi, displaced by M, add pi (1 - pi) M^2 to the variance along the spike.
    added = (share - spike) / (1 - share)
    states[:, drawn.first, 0] += np.sqrt(added / (_FIRST * (1 - _FIRST)))[:, None]
    return drawn


def norm_cv(share: Array, token_scale: float = SCALE, width: int = WIDTH) -> Array:
    """Return the true coefficient of variation of norms, float64[layers], where no token is massive.

    With q the norm before scaling, E q^2 = 1 and E q = 1 / sqrt(pi) times the integral over u > 0 of
    (1 - E exp(-u^2 q^2)) / u^2; the log-normal scale multiplies 1 + CV^2 by exp(token_scale^2).
    """
    means = []
    for variances in _variances(share, width):

        def integrand(u: float, variances: Array = variances) -> float:
            return float(-np.expm1(-np.log1p(2 * u * u * variances).sum() / 2)) / (u * u)

        means.append(quad(integrand, 0, np.inf)[0] / np.sqrt(np.pi))
    values: Array = np.sqrt(np.exp(token_scale**2) / np.square(means) - 1)
    return values


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


def _variances(spike: Array, width: int) -> Array:
    """Return the variances along the axes, float64[layers, d], of sum 1; the first is the spike's and the largest."""
    tail = 1 / np.arange(1, width)
    variances = np.column_stack([spike, np.outer(1 - spike, tail / tail.sum())])
    if (variances[:, 0] <= variances[:, 1]).any():
        message = f"a spike must be above the tail, and a share of {spike.min():.3g} of {width} axes is not"
        raise ValueError(message)
    return variances


def _left_out(sums: Array | NDArray[np.int64]) -> Array:
    """Return sums over all documents, then over all but each in turn, [1 + documents, ...], from [documents, ...]."""
    total = sums.sum(axis=0, dtype=np.float64)
    return np.concatenate([total[None], total - sums])


def _pseudo_values(theta: Array) -> Array:
    n = len(theta) - 1
    values: Array = n * theta[0] - (n - 1) * theta[1:]
    return values
