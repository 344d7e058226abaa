"""Questions about moments: how evenly variance, entropy and cosines are spread over directions and dimensions.

lambda_i are the eigenvalues of the covariance, descending; k_i are those of X'X over its trace, nothing subtracted.
"""

import math

from aniso_core.errors import UndefinedMetricError
from aniso_core.metrics import shares
from aniso_core.moments import Moments
from aniso_core.records import Array

_OUTLYING = 5.0  # times the mean variance of a dimension (Rudman et al. 2023)
_FROM, _TO, _LEAST = 10, 100, 20
_ROUNDING = 1e-7  # share below which an eigenvalue of float32 states may be rounding; shares of 1.02e-8 were seen


def isoscore_star(m: Moments) -> float:
    """Return IsoScore of (1 - z) C + z C0, 0 (a line) to 1 (isotropic) (IsoScore*, Rudman et al. 2305.19358).

    C0 is the identity times tr C / d: the authors' choice where no larger sample is at hand, in units that keep the
    score free of scale. z is Ledoit and Wolf's (2004), the weight that makes the error of the covariance least where
    tokens are independent; those of one document are not, so that it shrinks too little.
    """
    m.require_spread()
    if m.width < 2:  # noqa: PLR2004 - one direction is neither isotropic nor not
        message = "IsoScore* needs states of width 2 or more"
        raise UndefinedMetricError(message)
    shrink, total = (m.count - 1) / m.count, m.trace**2
    uneven = m.square_trace - total / m.width
    error = (m.quartic / shrink**2 - m.square_trace) / m.count
    z = min(1.0, error / uneven) if uneven > 0 else 1.0
    ratio = total / ((1 - z) ** 2 * m.square_trace + z * (2 - z) * total / m.width)
    return (ratio - 1.0) / (m.width - 1.0)


def spectral_decay(m: Moments) -> float:
    """Return alpha where lambda_i falls as i^-alpha, by least squares of log lambda_i on log i for i = 11 to 100.

    Weights are 1 / i, so that each doubling of i counts alike (Stringer et al. 2019, as alpha-ReQ); 0 or more. The
    Python code for alpha-ReQ, counting from 0, fits 12 to 100. Eigenvalues that are zero up to rounding are left out,
    and 20 are needed.
    """
    import numpy as np

    tail = shares(m)[_FROM:_TO]
    tail = tail[tail > _ROUNDING]
    if len(tail) < _LEAST:
        # Without how many there are: that may differ by rounding, from one batch size to another.
        message = f"the fit needs {_LEAST} eigenvalues of ranks 11 to 100 above rounding; give more text"
        raise UndefinedMetricError(message)
    place = np.arange(_FROM + 1, _FROM + 1 + len(tail))
    return -float(np.polyfit(np.log(place), np.log(tail), 1, w=place**-0.5)[0])


def directions_for_90(m: Moments) -> float:
    """Return how many principal directions hold nine tenths of the variance, 1 to min(n - 1, d)."""
    return float((shares(m).cumsum() < 0.9 - _ROUNDING).sum() + 1)


def outlier_dimensions(m: Moments) -> float:
    """Return the number of dimensions whose variance exceeds five times the mean variance, 0 to d / 5."""
    m.require_spread()
    square = m.side.diagonal() if m.rows is None else (m.rows**2).sum(axis=0)
    return float((square > _OUTLYING * square.mean()).sum())


def rogue_share(m: Moments, k: int) -> float:
    """Return the share of the mean cosine that the k largest dimensions contribute, 0 to 1 (2109.04404).

    With u the mean unit vector, the mean cosine over all pairs is |u|^2, and dimension i contributes u_i^2 to it.
    """
    square = m.unit_mean**2
    if not square.any():
        message = "the mean cosine is zero"
        raise UndefinedMetricError(message)
    square.partition(max(len(square) - k, 0))  # the largest k last, which is all that is needed of their order
    return float(square[-k:].sum() / square.sum())


def rogue_share_1(m: Moments) -> float:
    """Return the largest share of the mean cosine that one dimension contributes, 0 to 1."""
    return rogue_share(m, 1)


def rogue_share_3(m: Moments) -> float:
    """Return the share of the mean cosine that the three largest dimensions contribute together, 0 to 1."""
    return rogue_share(m, 3)


def matrix_entropy_2(m: Moments) -> float:
    """Return -ln sum k_i^2 in nats, 0 to ln min(n, d) (Skean et al. 2502.02013, order 2); needs no eigenvalues."""
    square = m.norm_mean**2 + m.norm_var
    if square == 0:
        message = "all states are zero"
        raise UndefinedMetricError(message)
    return 2 * math.log(square) - math.log(m.uncentred_square_trace)


def matrix_entropy_1(m: Moments) -> float:
    """Return -sum k_i ln k_i in nats, 0 to ln min(n, d): von Neumann's entropy (Skean et al. 2502.02013)."""
    return _entropy(_uncentred(m))


def matrix_entropy_half(m: Moments) -> float:
    """Return 2 ln sum sqrt k_i in nats, 0 to ln min(n, d) (Skean et al. 2502.02013, order 1/2)."""
    return 2 * math.log((_uncentred(m) ** 0.5).sum())


def matrix_entropy_normalised(m: Moments) -> float:
    """Return the entropy of order 1 over ln min(n, d), the largest that it can be, 0 to 1."""
    size = min(m.count, m.width)
    if size < 2:  # noqa: PLR2004 - the entropy of one number is zero
        message = "one token, or one dimension, leaves no entropy to compare with"
        raise UndefinedMetricError(message)
    return matrix_entropy_1(m) / math.log(size)


def rankme(m: Moments) -> float:
    """Return exp(-sum p ln p), p_i = s_i / sum s of the singular values s of X, 1 to min(n, d) (2210.02885).

    Garrido et al. add 1e-7 to each p_i against the logarithm of zero; here zeros are left out instead.
    """
    root = _uncentred(m) ** 0.5
    return math.exp(_entropy(root / root.sum()))


def _uncentred(m: Moments) -> Array:
    """Return k_i, float64[d], descending, sum 1."""
    spectrum = m.uncentred_spectrum
    total = spectrum.sum()
    if total == 0:
        message = "all states are zero"
        raise UndefinedMetricError(message)
    share: Array = spectrum / total
    return share


def _entropy(share: Array) -> float:
    import numpy as np

    positive = share[share > 0]
    return -float((positive * np.log(positive)).sum())
