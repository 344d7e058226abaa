"""The reporter `cka`: CKA of every two layers, of each run and of every two runs."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aniso_core.drawing import drawing, files
from aniso_core.errors import AnisoError
from aniso_core.records import Array, Profile, Report, ReportFile
from aniso_core.text import short, slug
from aniso_isotropy.grams import GRAM, cka, common_grams

_TOKEN_SETS = ("all", "bulk")
_LOOK = {"axes.titlelocation": "left"}

_SIDE, _LEFT, _BESIDE, _BELOW, _ABOVE, _SCALE = 23.2, 5.2, 6.0, 5.0, 2.4, 7.2
"""In em, the height of the text: side of a panel at most; left of the first, between panels, below and above each row,
right of the last panel for the scale."""
_TITLE, _CAPTION = 2.8, 1.4
"""What title and caption add above and below."""


class _Medium(NamedTuple):
    """What follows from a report's style."""

    kinds: tuple[str, ...]
    width: float | None  # inches; None: as wide as the panels
    columns: int  # panels in a row, at most
    look: dict[str, Any]
    longest: int  # characters of a model's name beside an axis


_PAPER: dict[str, Any] = {"font.size": 8.0, "axes.titlesize": "medium", "axes.linewidth": 0.6}
_MEDIA = {
    "screen": _Medium(("png", "pdf"), None, 2, {"font.size": 9.0, "axes.titlesize": 9.5}, 30),
    "column": _Medium(("pdf", "svg"), 3.25, 1, _PAPER, 16),
    "page": _Medium(("pdf", "svg"), 5.5, 2, _PAPER, 16),
}
"""Figures for papers have neither title nor caption, which the paper sets."""


def render(report: Report) -> Iterator[ReportFile]:
    """Yield a figure of each profile that kept documents, and of every two of these on the same texts."""
    medium = _MEDIA[report.style]
    held = [profile for profile in report.profiles if any(array.metric == GRAM for array in profile.arrays)]
    several = len(report.profiles) > 1
    names = _distinct([slug(profile.model.name) for profile in held])
    with drawing(_LOOK, medium.look, sheets=report.style_sheets):
        for profile, name in zip(held, names, strict=True):
            yield from _draw(profile, profile, f"{name}-cka" if several else "cka", medium)
        for (a, first), (b, second) in combinations(zip(held, names, strict=True), 2):
            yield from _draw(a, b, f"cka-{slug(f'{first}-{second}')}", medium)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where two are the same."""
    return list(names) if len(set(names)) == len(names) else [f"{name}-{i}" for i, name in enumerate(names, start=1)]


def _draw(a: Profile, b: Profile, name: str, medium: _Medium) -> Iterator[ReportFile]:
    """Yield the figure of two profiles, one panel a token set; none where they cannot be compared."""
    panels = dict(_panels(a, b))
    if not panels:
        return
    figure = Figure()
    em, told = rcParams["font.size"] / 72, medium.width is None
    places = _arranged(figure, len(panels), medium)
    scale = figure.add_axes(places.pop())
    for place, (view, values) in zip(places, panels.items(), strict=True):
        axes = figure.add_axes(place)
        _panel(axes, values, (a, b), view, medium.longest)
    colorbar = figure.colorbar(axes.images[0], cax=scale)
    colorbar.set_label("linear CKA, debiased")
    if told:
        inches = figure.dpi_scale_trans
        title = short(a.model.name, 60) if a is b else f"{short(a.model.name, 40)} against {short(b.model.name, 40)}"
        figure.text(
            _LEFT * em, figure.get_figheight() - 2.2 * em, title, transform=inches, fontsize=11, parse_math=False
        )
        caption = "Mean states of documents; 1: alike but for rotation, scale and shift, 0: unrelated."
        figure.text(0.1, 0.1, caption, transform=inches, fontsize=7.5, color="0.3")
    yield from files(figure, name, medium.kinds)


def _arranged(figure: Figure, panels: int, medium: _Medium) -> list[tuple[float, float, float, float]]:
    """Return the places of square panels, and of the scale beside the first row, in a figure made to fit.

    Raises AnisoError where a style sheet leaves no room.
    """
    em, told = rcParams["font.size"] / 72, medium.width is None
    columns = min(panels, medium.columns)
    margins = (_LEFT + (columns - 1) * _BESIDE + _SCALE) * em
    width = margins + columns * _SIDE * em if medium.width is None else medium.width
    side = min(_SIDE * em, (width - margins) / columns)
    if side < _LEFT * em:
        message = f"Text of {rcParams['font.size']:g} pt leaves panels no room in {width:g} in; make font.size smaller."
        raise AnisoError(message)
    rows = panels // columns
    below, above = (_BELOW + _CAPTION * told) * em, (_ABOVE + _TITLE * told) * em
    each = below + side + above
    figure.set_size_inches(width, rows * each)
    start = (width - margins - columns * side) / 2 + _LEFT * em
    boxes = [
        (start + (i % columns) * (side + _BESIDE * em), below + (rows - 1 - i // columns) * each, side, side)
        for i in range(panels)
    ]
    scale = (start + columns * side + ((columns - 1) * _BESIDE + 1.2) * em, boxes[0][1], em, side)
    return [(x / width, y / (rows * each), w / width, h / (rows * each)) for x, y, w, h in [*boxes, scale]]


def _panels(a: Profile, b: Profile) -> Iterator[tuple[tuple[str, str], Array]]:
    """Yield CKA for each token set of the first stream that both kept, by stream and token set."""
    views = [{(array.stream, array.tokens) for array in profile.arrays if array.metric == GRAM} for profile in (a, b)]
    both = views[0] & views[1]
    stream = next((s for s in ("residual", "normed") if any((s, tokens) in both for tokens in _TOKEN_SETS)), None)
    for tokens in _TOKEN_SETS:
        if stream is not None and (stream, tokens) in both:
            with contextlib.suppress(AnisoError):  # as on different texts
                yield (stream, tokens), cka(a, b, stream=stream, tokens=tokens)


def _panel(axes: Axes, values: Array, profiles: tuple[Profile, Profile], view: tuple[str, str], longest: int) -> None:
    rows, columns = (np.array(list(profile.kept(GRAM, *view))) for profile in profiles)
    # Layers are drawn at their numbers, each as a square around it; one that kept nothing is a gap.
    grid = np.full((np.ptp(rows) + 1, np.ptp(columns) + 1), np.nan)
    grid[np.ix_(rows - rows[0], columns - columns[0])] = values
    extent = (columns[0] - 0.5, columns[-1] + 0.5, rows[0] - 0.5, rows[-1] + 0.5)
    colours = colormaps["viridis"].with_extremes(bad="0.85")
    axes.imshow(grid, cmap=colours, vmin=0, vmax=1, origin="lower", extent=extent, aspect="auto")
    stream, tokens = view
    count = len(common_grams(*profiles, stream, tokens)[0][0])
    axes.set_title(f"{tokens} tokens of {count} documents, {stream}")
    for axis, profile in ((axes.yaxis, profiles[0]), (axes.xaxis, profiles[1])):
        axis.set_major_locator(MaxNLocator(integer=True))
        axis.set_label_text("layer" if profiles[0] is profiles[1] else f"layer of {short(profile.model.name, longest)}")
        axis.label.set_parse_math(False)
