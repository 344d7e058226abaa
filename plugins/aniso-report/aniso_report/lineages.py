"""Checkpoints of one model: where L* is at each, and between which layers it may be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aniso_core.records import Curve, Profile, Verdict
from aniso_report import reading
from aniso_report.names import family, order, step
from aniso_report.reading import Peak

_FEWEST = 3
"""Checkpoints that make a trajectory."""

_FAR = 16


@dataclass(frozen=True)
class Point:
    """A checkpoint: its step, L* of a token set, its 95 % set, and the ends of the interval of the share there.

    The set is empty where it was not tested, the ends are NaN where there is no interval.
    """

    step: int
    peak: Peak
    layers: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Lineage:
    """Checkpoints of one model in the order of their steps: L* of each by token set, and the model's blocks."""

    name: str
    blocks: int
    points: dict[str, list[Point]]


def lineages(profiles: Sequence[Profile], labels: Sequence[str], verdicts: Sequence[Verdict]) -> list[Lineage]:
    """Return the lineages of three checkpoints or more among models; a model that is no checkpoint is of none."""
    placed: dict[str, list[tuple[int, Profile]]] = {}
    for i in order(labels):
        number = step(labels[i])
        if number is not None:
            placed.setdefault(family(labels[i]), []).append((number, profiles[i]))
    found = []
    for name, members in placed.items():
        members.sort(key=lambda member: member[0])
        points = {tokens: _points(members, tokens, verdicts) for tokens in ("all", "bulk")}
        points = {tokens: some for tokens, some in points.items() if len({one.step for one in some}) >= _FEWEST}
        if points:
            found.append(Lineage(name, max(profile.model.layers for _, profile in members), points))
    return found


def spread(steps: Sequence[int]) -> bool:
    """Return whether steps reach so far that on a linear axis the first ones would lie on each other."""
    known = [number for number in steps if number > 0]
    return len(known) > 1 and max(known) >= _FAR * min(known)


def _points(members: Sequence[tuple[int, Profile]], tokens: str, verdicts: Sequence[Verdict]) -> list[Point]:
    points = []
    for number, profile in members:
        stream = reading.main_stream(profile)
        peak = reading.peak(profile, stream, tokens)
        if peak is not None:
            sets = reading.peak_sets(verdicts, profile.model.name)
            found = reading.curve(profile, reading.SHARE, stream, tokens)
            ends = _interval(found, peak.layer) if found else (math.nan, math.nan)
            points.append(Point(number, peak, sets.get((stream, tokens), ()), *ends))
    return points


def _interval(found: Curve, layer: int) -> tuple[float, float]:
    place = found.layers.index(layer)
    ends = [side[place] if side else None for side in (found.low, found.high)]
    low, high = (math.nan if end is None else end for end in ends)
    return low, high
