"""A truth to draw from, and what is counted over many draws from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from zlib import crc32

import numpy as np
from results import Target
from simulate import SPREAD, pseudo_values

from aniso_core.records import Array

SEED = 2026
FULL = 400
"""Draws for the tables and the slow tests."""

ALPHA = 0.05

Hits = Callable[[int, int], Sequence[float]]
"""Function of documents and draws: for each draw 1 where it happened, else 0, or a number whose mean is asked for.

A share where states tie, for one; draws in which there was nothing to count are left out."""

at_most, at_least = partial(Target, "at most"), partial(Target, "at least")


@dataclass(frozen=True, eq=False)
class Truth:
    """A true profile, float64[states], and what draws pseudo-values of it, float64[documents, states]."""

    name: str
    theta: Array
    draw: Callable[[int, np.random.Generator], Array]

    def matrices(self, documents: int, draws: int) -> list[tuple[Array, np.random.Generator]]:
        """Return matrices of pseudo-values, each with a generator for the test that is given it."""
        _, used = generators(self.name, documents)
        return list(zip(_drawn(self, documents, draws), used.spawn(draws), strict=True))


@cache
def _drawn(truth: Truth, documents: int, draws: int) -> list[Array]:
    given, _ = generators(truth.name, documents)
    return [truth.draw(documents, given) for _ in range(draws)]


@dataclass(frozen=True)
class Claim:
    """How often a test says something of a truth: with each of these numbers of documents the rate keeps to the target.

    `states` are those of the profile, or of each of two. What is costly to draw is drawn one `part` as often.
    """

    truth: str
    said: str
    states: str
    documents: tuple[int, ...]
    hits: Hits
    target: Target | None = None
    part: int = 1


def generators(name: str, documents: int) -> list[np.random.Generator]:
    """Return a generator for what is drawn and one for what is done with it; the same two for the same name."""
    return np.random.default_rng([SEED, crc32(name.encode()), documents]).spawn(2)


def shaped(name: str, theta: Array, spread: float = SPREAD) -> Truth:
    """Return a truth of which pseudo-values are drawn at once, without states."""
    return Truth(name, theta, lambda documents, rng: pseudo_values(theta, documents, rng, spread))
