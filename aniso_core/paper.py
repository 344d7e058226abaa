"""What the hypotheses share that judge by the notebooks' own criteria."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aniso_core.records import PAPER, Array, Profile, Verdict

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Line:
    """A least-squares line through a part of a profile: slope a layer and correlation with the layer.

    Both are None for fewer than two states; a level part has slope 0 and no correlation.
    """

    slope: float | None = None
    r: float | None = None


@dataclass(frozen=True)
class Shape:
    """The notebooks' reading of a profile: L* is the argmax, phase 1 ends before it, phase 2 begins with it."""

    peak: int
    rise: Line
    fall: Line
    is_bell: bool


def paper_shares(profile: Profile) -> Array | None:
    """Return the notebooks' profile, float64[states]: top-eigenvalue share of all tokens in the view `paper`.

    None where the profile does not hold it at every layer.
    """
    curve = profile.find("top-eigenvalue-share", PAPER, "all")
    return curve.array() if curve is not None and None not in curve.values else None


def unmeasurable(hypothesis: str, profile: Profile, reason: str) -> Verdict:
    """Return the verdict that `hypothesis` cannot be judged on this profile, with the reason."""
    return Verdict(hypothesis, "paper", profile.model.name, "not_testable", reason)


def shapeless(profile: Profile, least: int) -> str:
    """Return why a profile has no shape to judge: a missing share, or fewer than `least` states; empty if it has."""
    share = paper_shares(profile)
    if share is None:
        return "the top-eigenvalue share of all tokens is missing at some layer of the view paper"
    return f"a shape needs {least} states and there are {len(share)}" if len(share) < least else ""


def shape(values: Array) -> Shape:
    """Return the notebooks' reading of a profile, float64[states]."""
    peak = int(values.argmax())
    rise, fall = line(values, 0, peak), line(values, peak, len(values))
    return Shape(peak, rise, fall, bool(is_bell(values[None])[0]))


def is_bell(profiles: Array) -> Flags:
    """Return bool[draws]: which profiles, float64[draws, states], the notebooks call a bell.

    A bell has a positive slope before L* and a negative one from L* on; L* at 0, 1 or the last layer is never one.
    """
    states = profiles.shape[1]
    peak = profiles.argmax(axis=1)
    before = np.arange(states) < peak[:, None]
    # The sign of a least-squares slope is that of the covariance with the layer. Values are taken from the phase's
    # first or last one, so that a level phase has a slope of exactly zero.
    rise = _covariance(profiles - profiles[:, :1], before, (peak - 1) / 2)
    fall = _covariance(profiles - profiles[:, -1:], ~before, (peak + states - 1) / 2)
    passed: Flags = (rise > 0) & (fall < 0) & (peak > 1) & (peak < states - 1)
    return passed


def line(values: Array, start: int, stop: int) -> Line:
    """Return the least-squares line over the layers start..stop-1 of a profile, float64[states]."""
    if stop - start < 2:  # noqa: PLR2004 - a line needs two points
        return Line()
    part = values[start:stop] - values[start]
    x, y = np.arange(stop - start) - (stop - start - 1) / 2, part - part.mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return Line(float(x @ y / (x @ x)), float(x @ y) / spread if spread > 0 else None)


def _covariance(profiles: Array, chosen: Flags, centre: Array) -> Array:
    weight = np.where(chosen, np.arange(profiles.shape[1]) - centre[:, None], 0.0)
    result: Array = (weight * profiles).sum(axis=1)
    return result
