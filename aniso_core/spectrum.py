"""Eigenvalues and the first eigenvector of a symmetric matrix, be it the d x d or the n x n side of a covariance."""

import contextlib

import numpy as np

from aniso_core.records import Array

_STEPS = 3
_CONVERGED = 1e-10


def eigenvalues(side: Array, count: int, width: int) -> Array:
    """Return the eigenvalues of the covariance (divisor n - 1), float64[d], descending, none below zero.

    `side` is the scatter matrix float64[d, d] of `count` rows, or their Gram matrix float64[n, n], which has the
    same nonzero eigenvalues. A covariance of n rows has rank n - 1 at most: what rounding leaves beyond that is set
    to zero.
    """
    values = np.linalg.eigvalsh(side)[::-1] / max(count - 1, 1)
    spectrum = np.zeros(width)
    rank = min(count - 1, width)
    spectrum[:rank] = np.maximum(values[:rank], 0.0)
    return spectrum


def top_eigenvector(side: Array, top: float) -> Array:
    """Return the unit eigenvector float64[m] of the largest eigenvalue `top` of `side` (its sign is arbitrary).

    By inverse iteration, a tenth of the cost of all eigenvectors. Where the next eigenvalue is as large, any unit
    vector of both is returned.
    """
    size = len(side)
    # Just off the eigenvalue, so that the system can be solved; the first step nearly always does.
    shifted = side - top * (1 + 4 * np.finfo(np.float64).eps * size) * np.eye(size)
    vector: Array = np.random.default_rng(0).standard_normal(size)
    for _ in range(_STEPS):
        with contextlib.suppress(np.linalg.LinAlgError):
            vector = np.asarray(np.linalg.solve(shifted, vector), dtype=np.float64)
        vector = vector / np.linalg.norm(vector)
        if np.linalg.norm(side @ vector - top * vector) <= _CONVERGED * top:
            break
    return vector
