"""The figure `trajectory`: L* with its 95 % set, and the share there, over the steps of a training."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from aniso_core.records import ReportFile
from aniso_core.text import short
from aniso_report import reading
from aniso_report.figures.looks import TOKEN_SETS, Look
from aniso_report.figures.media import Medium
from aniso_report.figures.powers import power
from aniso_report.figures.sheet import Sheet
from aniso_report.lineages import Lineage, Point, spread

_CAPTION = "Bars: layers of the 95 % set of L*, one of which holds the largest share. Layer 0: input of block 0."
_WIDEST = 7.0  # points of a bar


def draw(found: Sequence[Lineage], name: str, medium: Medium) -> Iterator[ReportFile]:
    """Yield the trajectories: for each lineage and token set a panel of L*, and one of the share there below it."""
    panels = [
        (drawing, lineage, tokens) for lineage in found for drawing in (panel, share) for tokens in lineage.points
    ]
    if not panels:
        return
    sheet = Sheet(medium, _CAPTION, len(panels), 0.5)
    for place, (drawing, lineage, tokens) in zip(sheet.axes, panels, strict=True):
        drawing(place, lineage, [tokens])
        name_of = f"{short(lineage.name, 40)}, " if len(found) > 1 else ""
        place.set_title(f"{name_of}{tokens} tokens" if drawing is panel else "")
        place.title.set_parse_math(False)
        place.set(ylabel="layer" if drawing is panel else "share at L*", xlabel="step")
    title = "Layer of the largest share over training"
    yield from sheet.finish(title if len(found) > 1 else f"{title}: {short(found[0].name)}", sheet.axes[0], name)


def panel(axes: Axes, lineage: Lineage, token_sets: Iterable[str]) -> None:
    """Draw L* over the steps, each with a bar over the layers of its set."""
    label = "95 % set of L*"
    for tokens in token_sets:
        points, look = lineage.points[tokens], TOKEN_SETS[tokens]
        thick = max(1.0, min(_WIDEST, 130 / len(points)))  # points, so that bars of many checkpoints stay apart
        for point in points:
            for first, last in reading.runs(point.layers):
                ends = (first - 0.3, last + 0.3)  # a set of one layer is seen as well
                bar: dict[str, Any] = {"color": look.colour, "alpha": 0.3, "linewidth": thick, "solid_capstyle": "butt"}
                axes.plot([point.step] * 2, ends, label=label, **bar)
                label = ""
        axes.plot([point.step for point in points], [p.peak.layer for p in points], label="L*", **_line(look, points))
        _scale(axes, [point.step for point in points])
    axes.set_ylim(-0.5, lineage.blocks + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def share(axes: Axes, lineage: Lineage, token_sets: Iterable[str]) -> None:
    """Draw the share at L* over the steps, with its interval."""
    for tokens in token_sets:
        points, look = lineage.points[tokens], TOKEN_SETS[tokens]
        steps = [point.step for point in points]
        axes.plot(steps, [point.peak.value for point in points], **_line(look, points))
        low, high = [point.low for point in points], [point.high for point in points]
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.15, lw=0)
        _scale(axes, steps)
    axes.set_ylim(0, 1.03)


def _line(look: Look, points: Sequence[Point]) -> dict[str, Any]:
    return look.of(len(points)) | {"markevery": max(1, len(points) // 40)}


def _scale(axes: Axes, steps: Sequence[int]) -> None:
    """Let the axis of steps be logarithmic where they reach far, with a place for step 0."""
    if not spread(steps):
        return
    least = min(number for number in steps if number > 0)
    axes.set_xscale("symlog", linthresh=least, linscale=0.4)
    tens = [10.0**exponent for exponent in range(int(np.log10(least)), int(np.log10(max(steps))) + 1)]
    axes.xaxis.set_major_locator(FixedLocator([0.0] * (0 in steps) + [ten for ten in tens if ten >= least]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x < 10_000 else power(x)))  # noqa: PLR2004
