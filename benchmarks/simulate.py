"""Pseudo-values of profiles whose truth is known, for tests and benchmarks of error rates.

PV = theta + spread * factor of the document * noise that neighbouring states share (AR(1), unit variance). The factor
makes values t-distributed with 5 degrees of freedom, scaled to unit variance: some documents are far off everywhere.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aniso_core.records import Array

SPREAD = 0.1
"""Standard deviation of a pseudo-value about theta, on the scale of a share, 0 to 1."""

_FREEDOM = 5


def pseudo_values(
    theta: "Array", documents: int, rng: np.random.Generator, spread: float = SPREAD, correlation: float = 0.8
) -> "Array":
    """Return pseudo-values, float64[documents, states], of a profile theta, float64[states]."""
    noise = along_depth(rng.standard_normal((documents, len(theta))).T, correlation).T
    factor = np.sqrt((_FREEDOM - 2) / rng.chisquare(_FREEDOM, (documents, 1)))
    values: Array = theta + spread * factor * noise
    return values


def along_depth(noise: "Array", correlation: float) -> "Array":
    """Let each state of white noise, float64[states, ...], take over a part of the one before: AR(1), in place."""
    for state in range(1, len(noise)):
        noise[state] = correlation * noise[state - 1] + np.sqrt(1 - correlation**2) * noise[state]
    return noise


def flat(states: int) -> "Array":
    """Return a level profile, float64[states]."""
    return np.zeros(states)


def monotone(states: int, rise: float) -> "Array":
    """Return a profile that rises evenly, float64[states]."""
    return np.linspace(0, rise, states)


def bell(states: int, height: float) -> "Array":
    """Return half a wave of a sine, 0 at both ends and `height` in the middle, float64[states]."""
    return height * np.sin(np.pi * np.linspace(0, 1, states))


def hump(states: int, rise: float, fall: float) -> "Array":
    """Return a straight rise to the middle and a straight fall after it, float64[states]."""
    return np.interp(np.linspace(0, 1, states), [0, 0.5, 1], [0, rise, rise - fall])


def plateau(states: int, height: float) -> "Array":
    """Return a rise over a third of the depth and a level after it, float64[states]."""
    return height * np.minimum(1, 3 * np.linspace(0, 1, states))


def two_humps(states: int, height: float, valley: float) -> "Array":
    """Return two peaks at a quarter and three quarters of the depth, with a valley between, float64[states]."""
    places = [0, 0.25, 0.5, 0.75, 1]
    return np.interp(np.linspace(0, 1, states), places, [0, height, height - valley, height, 0])


def three_phases(states: int, rise: float, drop: float, sway: float = 0.0) -> "Array":
    """Return a rise to 7/32 of the depth, a wave whose range is `sway`, and a drop from 28/32 on, float64[states]."""
    depth = np.linspace(0, 1, states)
    level = np.interp(depth, [0, 7 / 32, 28 / 32, 1], [0, rise, rise, rise - drop])
    wave = np.sin(2 * np.pi * np.clip((32 * depth - 7) / 21, 0, 1)) * sway / 2
    return level + wave
