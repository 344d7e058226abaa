"""What is marked on layers: the sets that may hold L*, and layers whose numbers a reader must not take as they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aniso_core.records import Count, Curve, Profile, Verdict
from aniso_core.rigorous import HELD, noise_share
from aniso_report import reading
from aniso_report.reading import SHARE

_SET = "L_star_set"
_HOLDERS = ("first-token-share", "massive-token-share")


@dataclass(frozen=True)
class Mark:
    """Layers of a stream and token set that carry a flag, for one metric (empty: for all), and what it says."""

    stream: str
    tokens: str
    metric: str
    layers: tuple[int, ...]
    said: str


def peak_sets(verdicts: Sequence[Verdict], model: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the layers that may be L* with 95 % confidence, for each stream and token set that was tested."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for verdict in verdicts:
        own = verdict.details.get(model)  # a claim about several models, or about where one peaks, has them apart
        layers = own.get(_SET) if isinstance(own, Mapping) else verdict.details.get(_SET)
        if verdict.subject == model and verdict.stream and (known := _layers(layers)):
            found.setdefault((verdict.stream, verdict.tokens), known)
    return found


def break_layers(verdict: Verdict) -> tuple[int, ...]:
    """Return the layers where a claim's phases end, none where it names none."""
    return _layers(verdict.details.get("break_layers"))


def flags(profile: Profile) -> Iterator[Mark]:
    """Yield the layers whose first direction a few tokens hold, and those whose share noise alone would give."""
    for stream in dict.fromkeys(c.stream for c in profile.curves):
        held: dict[int, float] = {}
        for metric in _HOLDERS:
            found = reading.curve(profile, metric, stream)
            for layer, value in zip(found.layers, found.values, strict=True) if found else ():
                held[layer] = held.get(layer, 0.0) + (value or 0.0)
        layers = tuple(sorted(layer for layer, value in held.items() if value > HELD))
        if layers:
            yield Mark(stream, "all", "", layers, "first and massive tokens hold more than half of the first direction")
        for tokens in dict.fromkeys(c.tokens for c in profile.curves):
            share, count = reading.curve(profile, SHARE, stream, tokens), _count(profile, stream, tokens)
            if share is None or count is None:
                continue
            noise = noise_share(min(count.counts), profile.model.width)
            layers = _where(share, lambda value, limit=noise: value < limit)
            if layers:
                said = f"not told from noise without structure, as shares below {noise:.3f} are"
                yield Mark(stream, tokens, SHARE, layers, said)


def runs(layers: Sequence[int]) -> list[tuple[int, int]]:
    """Return layers as first and last of each run of neighbours."""
    ordered = np.array(sorted(layers), dtype=np.int64)
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]


def _where(curve: Curve, holds: Any) -> tuple[int, ...]:
    pairs = zip(curve.layers, curve.values, strict=True)
    return tuple(layer for layer, value in pairs if value is not None and holds(value))


def _count(profile: Profile, stream: str, tokens: str) -> Count | None:
    found = (c for c in profile.counts if (c.stream, c.tokens) == (stream, tokens) and c.counts)
    return next(found, None)


def _layers(found: object) -> tuple[int, ...]:
    """Return what a plugin's details give as layers, ascending; nothing where they are none."""
    whole = isinstance(found, list | tuple) and all(isinstance(layer, int) for layer in found)
    return tuple(sorted(found)) if whole and isinstance(found, list | tuple) else ()
