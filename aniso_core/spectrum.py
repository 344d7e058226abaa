"""Eigenvalues and the first eigenvector of a symmetric matrix, be it the d x d or the n x n side of a covariance."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from aniso_core.records import Array

_SMALL = 256
_STEPS = 3
_CONVERGED = 1e-10
_LEADING, _POWERS = 8, 4
_WHOLE = 128  # side up to which all eigenvectors cost little more than the first ones


def eigenvalues(side: Array, count: int, width: int) -> Array:
    """Return the eigenvalues of the covariance (divisor n - 1), float64[d], descending, none below zero.

    `side` is the scatter matrix float64[d, d] of `count` rows, or their Gram matrix float64[n, n], which has the
    same nonzero eigenvalues. A covariance of n rows has rank n - 1 at most: what rounding leaves beyond that is set
    to zero.
    """
    values = _eigvalsh(side)[::-1] / max(count - 1, 1)
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
        with contextlib.suppress(RuntimeError, np.linalg.LinAlgError):
            vector = _solve(shifted, vector)
        vector = vector / np.linalg.norm(vector)
        if np.linalg.norm(side @ vector - top * vector) <= _CONVERGED * top:
            break
    return vector


def leading(side: Array, rows: Array | None) -> Array:
    """Return about the first eight eigenvectors of a scatter matrix, float64[d, k], largest eigenvalue first.

    `side` is that matrix float64[d, d], or the Gram matrix float64[n, n] of its `rows` float[n, d].
    """
    vectors = _first(side)
    return vectors if rows is None else np.asarray(np.linalg.qr(rows.T @ vectors).Q)


def _first(side: Array) -> Array:
    """Return them for `side`, from a block Krylov space: the error of its quotients is the square of what it misses."""
    size = len(side)
    wanted = min(_LEADING, size)
    if size <= _WHOLE:
        return np.ascontiguousarray(np.linalg.eigh(side)[1][:, ::-1][:, :wanted])
    block = np.linalg.qr(np.random.default_rng(0).standard_normal((size, wanted))).Q
    blocks = []
    for _ in range(_POWERS):
        block = np.linalg.qr(side @ block).Q
        blocks.append(block)
    space = np.linalg.qr(np.concatenate(blocks, axis=1)).Q
    vectors = np.linalg.eigh(space.T @ side @ space)[1]
    return np.asarray(space @ vectors[:, ::-1][:, :wanted])


# The threads of torch's library and of numpy's wait for work by spinning, each on the other's cores: where the work is
# short, that takes several times as long as the work. Small matrices thus stay with torch, on one thread, which is
# enough for them; for large ones numpy's library is faster than torch's.


def _eigvalsh(side: Array) -> Array:
    if len(side) >= _SMALL:
        return np.asarray(np.linalg.eigvalsh(side), dtype=np.float64)
    with _one_thread():
        return np.asarray(torch.linalg.eigvalsh(torch.tensor(side)).numpy(), dtype=np.float64)


def _solve(matrix: Array, vector: Array) -> Array:
    if len(matrix) >= _SMALL:
        return np.asarray(np.linalg.solve(matrix, vector), dtype=np.float64)
    with _one_thread():
        solved = torch.linalg.solve(torch.tensor(matrix), torch.tensor(vector))
        return np.asarray(solved.numpy(), dtype=np.float64)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
