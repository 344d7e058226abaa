"""Questions about what tokens, layers and documents have to do with each other."""

import math
from typing import TYPE_CHECKING, Any

from aniso_core.records import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aniso_isotropy.documents import DocumentMeans
    from aniso_isotropy.layers import Pair
    from aniso_isotropy.means import Mean


def curvature(angle: "Mean") -> float:
    """Return the mean of arccos(v_i'v_i+1 / |v_i||v_i+1|), v_i = x_i+1 - x_i in a window, in radians, 0 to pi.

    Over each three tokens in a row that are all in the token set (Hosseini & Fedorenko 2023, 2311.04930; Skean et al.
    2502.02013, whose code takes |v_i'v_i+1|); each triple counts alike. Two equal states in a row make no angle.
    """
    return angle.value


def layer_cosine(cosine: "Mean") -> float:
    """Return the mean cosine of tokens' states with their states at the layer before, -1 to 1.

    One less this is the block influence of ShortGPT (Men et al. 2403.03853).
    """
    return cosine.value


def layer_cka(pair: "Pair") -> float:
    """Return |X'Y|^2 / (|X'X| |Y'Y|), X and Y the centred states before and after, 0 to 1 (Kornblith et al. 2019).

    Of independent states it is about d / (n + d), so it says little unless tokens are many more than d.
    """
    return pair.cka


def layer_procrustes(pair: "Pair") -> float:
    """Return |X'Y|_* / (|X| |Y|), 0 to 1: the cosine of the centred states after the best orthogonal map.

    Of independent states it is above d / (n + d), and .68 of 1,000 of width 768: give many more tokens than d.
    """
    return pair.procrustes


def layer_linearity(pair: "Pair") -> float:
    """Return 1 - min_A |XA - Y|^2 / |Y|^2, 0 to 1, X and Y the centred states (Razzhigaev et al. 2405.12250).

    Of states that have nothing in common it is about d / (n - 1), since a linear map of n tokens fits as much.
    """
    return pair.linearity


def update_linearity(pair: "Pair") -> float:
    """Return the same for what the layer adds, 1 - min_A |XA - (Y - X)|^2 / |Y - X|^2, 0 to 1."""
    return pair.update_linearity


def log_partition_isotropy(states: "NDArray[Any]") -> float:
    """Return ln (min Z / max Z) in nats, 0 or less, Z(c) = sum exp(c'x), c the eigenvectors of X'X and their opposites.

    Over a sample of 1,000 tokens, float[n, d] (Mu & Viswanath 2018, 1702.01417). The logarithm, since the ratio is
    too small for a number where states are long; both signs, since an eigenvector has none of its own.
    """
    import numpy as np

    left, singular, _ = np.linalg.svd(np.asarray(states, np.float64), full_matrices=False)
    along = left * singular
    sums = np.concatenate([np.logaddexp.reduce(side, axis=0) for side in (along, -along)])
    if len(states) < states.shape[1]:  # in directions that no state has a part in, Z is the number of states
        sums = np.append(sums, math.log(len(states)))
    return float(sums.min() - sums.max())


def document_gram(documents: "DocumentMeans") -> Array:
    """Return float64[n + 1, n]: the numbers of at most 256 documents, then the inner products of their centred means.

    A document's mean is that of its states in the token set. `aniso_isotropy.cka` compares layers by it.
    """
    return documents.gram()
