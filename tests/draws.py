"""Seeded random numbers."""

import numpy as np


def rng(seed=0):
    """Return a generator with a seed."""
    return np.random.default_rng(seed)
