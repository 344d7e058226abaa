"""What reporters read off a profile: its curves where they exist, its peaks, its facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aniso_core.records import PAPER, Curve, Profile, Verdict

SHARE = "top-eigenvalue-share"
"""The metric whose maximum over layers is L*."""

RESIDUAL = "residual"
_SET = "L_star_set"


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


def peak_sets(verdicts: Sequence[Verdict], model: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the layers that may be L* with 95 % confidence, for each stream and token set that was tested."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for verdict in verdicts:
        own = verdict.details.get(model)  # a claim about several models, or about where one peaks, has them apart
        layers = own.get(_SET) if isinstance(own, Mapping) else verdict.details.get(_SET)
        if verdict.subject == model and verdict.stream and (known := layers_of(layers)):
            found.setdefault((verdict.stream, verdict.tokens), known)
    return found


def layers_of(found: object) -> tuple[int, ...]:
    """Return what a plugin's details give as layers, ascending; nothing where they are none."""
    whole = isinstance(found, list | tuple) and all(isinstance(layer, int) for layer in found)
    return tuple(sorted(found)) if whole and isinstance(found, list | tuple) else ()


def runs(layers: Sequence[int]) -> list[tuple[int, int]]:
    """Return layers as first and last of each run of neighbours."""
    ordered = np.array(sorted(layers), dtype=np.int64)
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]
