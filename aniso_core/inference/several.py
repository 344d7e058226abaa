"""Many tests at once: Holm for claims fixed beforehand, Benjamini and Hochberg for all else."""

import numpy as np
from numpy.typing import NDArray

from aniso_core.records import Array


def holm(p: Array) -> Array:
    """Return p-values adjusted so that any false rejection has probability alpha at most (Holm 1979), float64[tests].

    Raises ValueError for values outside 0 to 1.
    """
    p = _checked(p)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def benjamini_hochberg(p: Array, q: float = 0.1) -> NDArray[np.bool_]:
    """Return which tests to report so that at most a share q of those is false on average, bool[tests].

    Benjamini & Hochberg 1995, for tests that are independent or depend positively. Raises ValueError for values outside
    0 to 1.
    """
    p = _checked(p)
    ranked = np.sort(p)
    passed = np.flatnonzero(ranked <= q * np.arange(1, len(p) + 1) / len(p))
    limit = ranked[passed[-1]] if len(passed) else -1.0
    reported: NDArray[np.bool_] = p <= limit
    return reported


def _checked(p: Array) -> Array:
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        message = f"p-values must be a list of numbers from 0 to 1, and these are {p}"
        raise ValueError(message)
    return p
