"""What is marked on layers: the sets that may hold L*, and layers whose numbers a reader must not take as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aniso_core.records import Count, Curve, Profile, Verdict
from aniso_core.rigorous import HELD, noise_share
from aniso_report import reading
from aniso_report.reading import SHARE

_HOLDERS = ("first-token-share", "massive-token-share")


@dataclass(frozen=True)
class Mark:
    """Layers of a stream and token set that carry a flag, for one metric (empty: for all), and what it says."""

    stream: str
    tokens: str
    metric: str
    layers: tuple[int, ...]
    said: str


def break_layers(verdict: Verdict) -> tuple[int, ...]:
    """Return the layers where a claim's phases end, none where it names none."""
    return reading.layers_of(verdict.details.get("break_layers"))


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


def _where(curve: Curve, holds: Any) -> tuple[int, ...]:
    pairs = zip(curve.layers, curve.values, strict=True)
    return tuple(layer for layer, value in pairs if value is not None and holds(value))


def _count(profile: Profile, stream: str, tokens: str) -> Count | None:
    found = (c for c in profile.counts if (c.stream, c.tokens) == (stream, tokens) and c.counts)
    return next(found, None)
