"""Eigenvalues of a covariance by the cheaper side: n x n where tokens are few, d x d where they are many."""

import numpy as np

from aniso_core.records import Array


def eigenvalues(centred: Array | None, scatter: Array | None, count: int, width: int) -> Array:
    """Return the eigenvalues of the covariance (divisor n - 1), float64[d], descending, none below zero.

    Give either `centred` rows float64[n, d] or their `scatter` matrix float64[d, d]. The rows' Gram matrix
    (n x n) has the same nonzero eigenvalues as their scatter matrix and is used where n < d. A covariance of n
    rows has rank n - 1 at most: what rounding leaves beyond that is set to zero.
    """
    values = np.linalg.eigvalsh(_cheaper_side(centred, scatter))[::-1] / max(count - 1, 1)
    spectrum = np.zeros(width)
    rank = min(count - 1, width)
    spectrum[:rank] = np.maximum(values[:rank], 0.0)
    return spectrum


def top_direction(centred: Array | None, scatter: Array | None) -> Array:
    """Return the unit eigenvector of the largest eigenvalue, float64[d] (its sign is arbitrary)."""
    side = _cheaper_side(centred, scatter)
    vector = np.linalg.eigh(side)[1][:, -1]
    if centred is not None and len(side) == len(centred) != centred.shape[1]:
        vector = centred.T @ vector
    unit: Array = vector / np.linalg.norm(vector)
    return unit


def _cheaper_side(centred: Array | None, scatter: Array | None) -> Array:
    if centred is None:
        if scatter is None:
            message = "eigenvalues need centred rows or their scatter matrix"
            raise TypeError(message)
        return scatter
    side: Array = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    return side
