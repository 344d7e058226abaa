"""The pictures that are there without any script: a profile with what a claim goes by, and several over depth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aniso_core.records import Array, Profile
from aniso_core.text import sentence, short
from aniso_report import reading
from aniso_report.figures import curve
from aniso_report.figures import trajectory as drawing
from aniso_report.figures.looks import TOKEN_SETS, Look, series
from aniso_report.figures.media import style
from aniso_report.layers import number
from aniso_report.lineages import Lineage

_WIDE, _HIGH, _LEFT, _BELOW, _ENTRY, _ABOVE = 4.4, 2.1, 0.55, 0.42, 0.19, 0.08
"""Inches: the picture, its margins, and the height of each line of the legend above the panel."""

_PANEL, _ABOVE_PANEL = 1.1, 0.28
"""Inches: a panel of a trajectory, and the room for its title."""


@dataclass(frozen=True)
class Marked:
    """What a picture marks: layers that may hold the peak, by stream and token set, and layers where phases end."""

    sets: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    breaks: Sequence[int] = ()


@dataclass(frozen=True)
class Line:
    """A profile among others: the same label and look in every picture of a page."""

    profile: Profile
    label: str
    look: Look


def lines(profiles: Sequence[Profile], labels: Sequence[str]) -> list[Line]:
    """Return profiles with their labels and looks."""
    return [Line(*each) for each in zip(profiles, labels, series(), strict=False)]


def profile(of: Profile, metric: str, stream: str, name: str, marked: Marked) -> Markup | None:
    """Return a metric over the layers of one profile, L* sets shaded and breaks as lines; None without values."""
    said = [f"{tokens} tokens: {_course(of, metric, stream, tokens)}" for tokens in _there(of, metric, stream)]
    if not said:
        return None
    with style():
        figure, axes = _new()
        curve.draw(axes, of, metric, stream)
        for row, (tokens, look) in enumerate(TOKEN_SETS.items()):
            for first, last in reading.runs(marked.sets.get((stream, tokens), ())):
                _shade(axes, (first - 0.5, last + 0.5), look.colour, row)
        for layer in marked.breaks:
            axes.axvline(layer, color="0.35", linewidth=0.9, linestyle="-.", zorder=0)
        axes.set_ylabel(_unit(of, metric))
        _finish(figure, axes, metric)
        return _inline(figure, name, f"{metric} over the layers of {short(of.model.name)}, {stream} stream. ", said)


def depth(of: Sequence[Line], metric: str, stream: str, name: str) -> Markup | None:
    """Return a metric of all tokens over the relative depth of several profiles; None without values."""
    with style():
        figure, axes = _new()
        said = []
        for line in of:
            one, look = line.profile, line.look
            found = reading.curve(one, metric, stream if stream in _streams(one) else reading.main_stream(one))
            if found is None:
                continue
            layers, values = curve.line(one, found)
            axes.plot(
                layers / one.model.layers, values, label=curve.named(short(line.label, 32)), **look.of(len(layers))
            )
            if found.low and found.high:
                low, high = (np.array(side, dtype=np.float64)[: len(layers)] for side in (found.low, found.high))
                axes.fill_between(layers / one.model.layers, low, high, color=look.colour, alpha=0.15, lw=0)
            said.append(f"{short(line.label)}: {_course(one, metric, found.stream, 'all')}")
        if not said:
            return None
        axes.set(
            xlabel="relative depth (0: input, 1: last block)", xlim=(-0.02, 1.02), ylabel=_unit(of[0].profile, metric)
        )
        _finish(figure, axes, metric)
        return _inline(figure, name, f"{metric} of all tokens over relative depth, {stream} stream. ", said)


def trajectory(lineage: Lineage, name: str, said: Sequence[str]) -> Markup:
    """Return L* over the steps, a panel for each token set, and the share there; `said` is read out in its place."""
    count = len(lineage.points) + 1
    with style():
        high = _BELOW + count * (_PANEL + _ABOVE_PANEL)
        figure = Figure(figsize=(_WIDE, high), facecolor="none")
        *above, below = figure.subplots(count, sharex=True)
        for axes, tokens in zip(above, lineage.points, strict=True):
            drawing.panel(axes, lineage, [tokens])
            axes.set(title=f"{tokens} tokens: L*", ylabel="layer")
        drawing.share(below, lineage, lineage.points)
        below.set(title="share at L*", ylabel="share", xlabel="step")
        for axes in (*above, below):
            axes.set_facecolor("none")
        between = _ABOVE_PANEL / _PANEL
        figure.subplots_adjust(_LEFT / _WIDE, _BELOW / high, 0.985, 1 - _ABOVE_PANEL / high, hspace=between)
        return _inline(figure, name, f"L* of {short(lineage.name)} over the steps of its training. ", said)


def banded(of: Sequence[Profile], metric: str) -> bool:
    """Return whether pictures of a metric show intervals."""
    return any(c.low for profile in of for c in profile.curves if c.metric == metric)


def _new() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDE, _HIGH), facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    return figure, axes


def _finish(figure: Figure, axes: Axes, metric: str) -> None:
    """Leave room for the legend above the panel, and begin shares at zero."""
    if metric == reading.SHARE:
        axes.set_ylim(0, min(1.06, 1.12 * axes.get_ylim()[1]))  # room for the bars of L* sets
    handles, names = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, names)) < 27 else 1  # noqa: PLR2004 - what fits beside each other
    rows = -(-len(names) // columns)
    high = _HIGH + _ENTRY * rows
    figure.set_figheight(high)
    figure.subplots_adjust(_LEFT / _WIDE, _BELOW / high, 0.985, 1 - (_ENTRY * rows + _ABOVE) / high)
    legend = figure.legend(handles, names, loc="upper left", ncols=columns, fontsize=8, borderaxespad=0.1)
    for text in (axes.yaxis.label, *legend.get_texts()):
        text.set_parse_math(False)


def _inline(figure: Figure, name: str, start: str, said: Sequence[str]) -> Markup:
    from aniso_report.html import svg

    return svg.inline(figure, name, start + " ".join(map(sentence, said)))


def _shade(axes: Axes, span: tuple[float, float], colour: str, row: int) -> None:
    """Shade layers, with a bar above that tells whose they are where two sets lie over each other."""
    axes.axvspan(*span, color=colour, alpha=0.11, linewidth=0, zorder=0)
    top = 1 - 0.035 * row
    axes.axvspan(*span, ymin=top - 0.025, ymax=top, color=colour, linewidth=0)


def _there(of: Profile, metric: str, stream: str) -> Iterator[str]:
    return (tokens for tokens in TOKEN_SETS if reading.curve(of, metric, stream, tokens))


def _streams(of: Profile) -> set[str]:
    return {c.stream for c in of.curves}


def _unit(of: Profile, metric: str) -> str:
    unit = next((c.unit for c in of.curves if c.metric == metric), "")
    return "share of variance" if metric == reading.SHARE else "" if unit == "1" else short(unit, 24)


def _course(of: Profile, metric: str, stream: str, tokens: str) -> str:
    """Return how a curve goes, for readers who do not see it: its first, lowest, highest and last value."""
    found = reading.curve(of, metric, stream, tokens)
    if found is None:
        return ""
    values: Array = found.array()
    known = np.flatnonzero(np.isfinite(values))
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    at = [(int(known[0]), "at"), (low, "lowest at"), (high, "highest at"), (int(known[-1]), "at")]
    return ", ".join(f"{number(float(values[i]))} {said} layer {found.layers[i]}" for i, said in at)
