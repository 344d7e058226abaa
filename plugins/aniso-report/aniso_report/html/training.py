"""How L* moves while models are trained: in a sentence, a picture and a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from aniso_core.records import Profile, Verdict
from aniso_core.rigorous import span
from aniso_report.html import pictures
from aniso_report.layers import number
from aniso_report.lineages import Lineage, Point, lineages


@dataclass(frozen=True)
class Trajectory:
    """What the page shows of one lineage; each row has the step, then layer, 95 % set and share of each token set."""

    name: str
    said: list[str]
    picture: Markup
    tokens: list[str]
    rows: list[list[str]]


def trajectories(
    profiles: Sequence[Profile], labels: Sequence[str], verdicts: Sequence[Verdict]
) -> Iterator[Trajectory]:
    """Yield the trajectory of each lineage among models."""
    for place, lineage in enumerate(lineages(profiles, labels, verdicts)):
        said = [f"{tokens.capitalize()} tokens: {_course(points)}." for tokens, points in lineage.points.items()]
        picture = pictures.trajectory(lineage, f"training-{place}", said)
        yield Trajectory(lineage.name, said, picture, list(lineage.points), list(_rows(lineage)))


def _course(points: Sequence[Point]) -> str:
    """Return where L* begins and ends, whether that may be the same layer, and how the share there goes."""
    first, last, most = points[0], points[-1], max(points, key=lambda point: point.peak.value)
    at = f"the share there is {_share(first)}, {_share(last)}"
    if most not in {first, last}:
        at += f", and largest with {_share(most)}"
    if all(point.peak.layer == last.peak.layer for point in points):
        return f"L* is layer {last.peak.layer} at every step; {at}"
    moved = f"L* is layer {first.peak.layer} at step {first.step:,} and layer {last.peak.layer} at step {last.step:,}"
    if not first.layers or not last.layers:
        return f"{moved}, and whether that is more than chance was not tested; {at}"
    same = set(first.layers) & set(last.layers)
    sets = "share layers, so that it need not have moved" if same else "have no layer in common"
    return f"{moved}, whose 95 % sets {sets}; {at}"


def _share(point: Point) -> str:
    return f"{number(point.peak.value)} at step {point.step:,}"


def _rows(lineage: Lineage) -> Iterator[list[str]]:
    found = {tokens: {point.step: point for point in points} for tokens, points in lineage.points.items()}
    for step in sorted(set().union(*found.values())):
        row = [f"{step:,}"]
        for points in found.values():
            point = points.get(step)
            sure = span(point.layers).split(maxsplit=1)[1] if point and point.layers else ""
            row += [str(point.peak.layer), sure, number(point.peak.value)] if point else [""] * 3
        yield row
