"""What metrics are in a population of simulated states, without drawing any: in closed form, or by quadrature.

Tokens of a population are a mixture of normal vectors x ~ N(m, diag(v)): over scales of tokens, by Gauss and Hermite's
rule, and over first and other tokens where first ones are massive. With phi(u) = E exp(-u^2 |x|^2), which is a product
over axes, E|x| = 1 / sqrt(pi) times the integral over u > 0 of (1 - phi(u)) / u^2, and E x/|x| = 2 / sqrt(pi) times
that of E x exp(-u^2 |x|^2).
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.integrate import quad_vec
from simulate_states import FIRST, Population

from aniso_core.records import Array

_NODES = 32  # of the rule over scales; with half as many no digit changes that matters here


def spectrum(population: Population) -> Array:
    """Return p_i, the shares of variance along the principal directions, float64[layers, d], descending."""
    values = population.variances.copy()
    values[:, 0] += FIRST * (1 - FIRST) * population.displaced**2
    shares: Array = values / values.sum(axis=1, keepdims=True)
    return shares


def effective_rank(population: Population) -> Array:
    """Return exp(-sum p ln p), float64[layers]."""
    p = spectrum(population)
    rank: Array = np.exp(-(p * np.log(p)).sum(axis=1))
    return rank


def participation_ratio(population: Population) -> Array:
    """Return 1 / sum p^2, float64[layers]."""
    ratio: Array = 1 / (spectrum(population) ** 2).sum(axis=1)
    return ratio


def cosine_to_mean(population: Population) -> Array:
    """Return the mean cosine of states with their mean, float64[layers]."""
    mean = np.full_like(population.variances, population.mean / np.sqrt(population.width))
    mean[:, 0] += FIRST * population.displaced
    cosine: Array = (_directions(population)[0] * mean).sum(axis=1) / np.linalg.norm(mean, axis=1)
    return cosine


def mean_pairwise_cosine(population: Population) -> Array:
    """Return the mean cosine of two tokens of different documents, float64[layers]."""
    cosine: Array = (_directions(population)[0] ** 2).sum(axis=1)
    return cosine


def norm_cv(population: Population) -> Array:
    """Return the coefficient of variation of the norms, float64[layers]."""
    square = np.array([(weights @ (m**2 + v).sum(axis=1)) for weights, m, v in _mixtures(population)])
    values: Array = np.sqrt(square / _directions(population)[1] ** 2 - 1)
    return values


TRUTHS: Mapping[str, Callable[[Population], Array]] = {
    "effective-rank": effective_rank,
    "participation-ratio": participation_ratio,
    "participation-ratio-unbiased": participation_ratio,
    "cosine-to-mean": cosine_to_mean,
    "mean-pairwise-cosine": mean_pairwise_cosine,
    "norm-cv": norm_cv,
}
"""The truth of a metric, float64[layers], by its name."""


def _directions(population: Population) -> tuple[Array, Array]:
    """Return the mean of states scaled to unit norm, float64[layers, d], and the mean norm, float64[layers]."""
    found = []
    for weights, m, v in _mixtures(population):

        def integrand(u: float, weights: Array = weights, m: Array = m, v: Array = v) -> Array:
            grown = 1 + 2 * u * u * v
            exponent = -(np.log(grown) / 2 + (u * m) ** 2 / grown).sum(axis=1)
            along = (weights * np.exp(exponent)) @ (m / grown)
            return np.append(2 * along, -(weights @ np.expm1(exponent)) / (u * u))

        found.append(quad_vec(integrand, 0, np.inf)[0] / np.sqrt(np.pi))
    values = np.array(found)
    return values[:, :-1], values[:, -1]


def _mixtures(population: Population) -> list[tuple[Array, Array, Array]]:
    """Return for each layer weights float64[parts] of sum 1, means and variances float64[parts, d]."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights /= weights.sum()
    squares = np.exp(2 * population.token_scale * nodes - 2 * population.token_scale**2)
    mixtures = []
    for variances, displaced in zip(population.variances, population.displaced, strict=True):
        others = np.full((_NODES, population.width), population.mean / np.sqrt(population.width))
        first = others.copy()
        first[:, 0] += displaced
        shares = np.concatenate([(1 - FIRST) * weights, FIRST * weights])
        mixtures.append((shares, np.concatenate([others, first]), np.tile(np.outer(squares, variances), (2, 1))))
    return mixtures
