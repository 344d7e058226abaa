"""What reporters read off a profile: its curves where they exist, its peaks, its facts."""

from dataclasses import dataclass

import numpy as np

from aniso_core.records import PAPER, Curve, Profile

SHARE = "top-eigenvalue-share"
"""The metric whose maximum over layers is L*."""

RESIDUAL = "residual"


@dataclass(frozen=True)
class Peak:
    """Where a curve is largest: the layer, its relative depth (0..1) and the value there."""

    layer: int
    depth: float
    value: float


def curve(profile: Profile, metric: str, stream: str, tokens: str = "all") -> Curve | None:
    """Return a curve that holds at least one value, None where the profile has none."""
    found = profile.find(metric, stream, tokens)
    return found if found is not None and np.isfinite(found.array()).any() else None


def main_stream(profile: Profile) -> str:
    """Return the stream to show first: `residual` where it was measured, else what there is (published: `paper`)."""
    streams = [c.stream for c in profile.curves]
    return next((s for s in (RESIDUAL, PAPER) if s in streams), streams[0] if streams else RESIDUAL)


def peak(profile: Profile, stream: str, tokens: str = "all", metric: str = SHARE) -> Peak | None:
    """Return the maximum over layers (the first of equals), None where there is no such curve."""
    found = curve(profile, metric, stream, tokens)
    if found is None:
        return None
    values = found.array()
    i = int(np.nanargmax(values))
    return Peak(found.layers[i], profile.depth(found.layers[i]), float(values[i]))


def after_final_norm(profile: Profile, metric: str, tokens: str = "all") -> float | None:
    """Return the last value of the view `paper` where it lies after a final norm, else None.

    A stored view is one that somebody published, and there the last state is always the final norm's output.
    """
    last = profile.model.layers
    normed, stored = (
        any(c.stream == stream and c.metric == metric and last in c.layers for c in profile.curves)
        for stream in ("normed", PAPER)
    )
    found = curve(profile, metric, PAPER, tokens) if normed or stored else None
    return None if found is None else found.at(last)
