"""The reporter `cka`: CKA of every two layers, of each run and of every two runs."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aniso_core.errors import AnisoError
from aniso_core.records import Array, Profile, Report, ReportFile
from aniso_core.text import short, slug
from aniso_isotropy.grams import GRAM, cka, common_grams

_TOKEN_SETS = ("all", "bulk")
_LOOK = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "pdf.fonttype": 42,  # text stays text in the PDF, as journals ask
}
_SIDE, _LEFT, _BESIDE, _BELOW, _ABOVE, _SCALE = 2.9, 0.65, 0.75, 0.8, 0.65, 0.9
"""Inches: side of a panel; left of the first, between panels, below and above them, right of the last for the scale."""

_INFORMATION = {"png": {"Software": None}, "pdf": {"CreationDate": None, "ModDate": None}}
"""What would make the same figure differ from one day or machine to the next."""


def render(report: Report) -> Iterator[ReportFile]:
    """Yield a figure of each profile that kept documents, and of every two of these on the same texts."""
    held = [profile for profile in report.profiles if any(array.metric == GRAM for array in profile.arrays)]
    several = len(report.profiles) > 1
    names = _distinct([slug(profile.model.name) for profile in held])
    for profile, name in zip(held, names, strict=True):
        yield from _draw(profile, profile, f"{name}-cka" if several else "cka")
    for (a, first), (b, second) in combinations(zip(held, names, strict=True), 2):
        yield from _draw(a, b, f"cka-{slug(f'{first}-{second}')}")


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where two are the same."""
    return list(names) if len(set(names)) == len(names) else [f"{name}-{i}" for i, name in enumerate(names, start=1)]


def _draw(a: Profile, b: Profile, name: str) -> Iterator[ReportFile]:
    """Yield the figure of two profiles, one panel a token set; none where they cannot be compared."""
    panels = dict(_panels(a, b))
    if not panels:
        return
    with style.context(["default", _LOOK]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font lacks shows as boxes
        width = _LEFT + len(panels) * _SIDE + (len(panels) - 1) * _BESIDE + _SCALE
        height = _BELOW + _SIDE + _ABOVE
        figure = Figure(figsize=(width, height))
        for number, (view, values) in enumerate(panels.items()):
            left = _LEFT + number * (_SIDE + _BESIDE)
            axes = figure.add_axes((left / width, _BELOW / height, _SIDE / width, _SIDE / height))
            _panel(axes, values, (a, b), view)
        scale = figure.add_axes(((width - _SCALE + 0.15) / width, _BELOW / height, 0.12 / width, _SIDE / height))
        colorbar = figure.colorbar(axes.images[0], cax=scale)
        colorbar.set_label("linear CKA, debiased")
        title = short(a.model.name, 60) if a is b else f"{short(a.model.name, 40)} against {short(b.model.name, 40)}"
        figure.text(_LEFT / width, 1 - 0.27 / height, title, fontsize=11, parse_math=False)
        caption = "Mean states of documents; 1: alike but for rotation, scale and shift, 0: unrelated."
        figure.text(0.1 / width, 0.1 / height, caption, fontsize=7.5, color="0.3")
        for kind, information in _INFORMATION.items():
            out = io.BytesIO()
            figure.savefig(out, format=kind, dpi=150, metadata=information)
            yield ReportFile(f"{name}.{kind}", out.getvalue())


def _panels(a: Profile, b: Profile) -> Iterator[tuple[tuple[str, str], Array]]:
    """Yield CKA for each token set of the first stream that both kept, by stream and token set."""
    views = [{(array.stream, array.tokens) for array in profile.arrays if array.metric == GRAM} for profile in (a, b)]
    both = views[0] & views[1]
    stream = next((s for s in ("residual", "normed") if any((s, tokens) in both for tokens in _TOKEN_SETS)), None)
    for tokens in _TOKEN_SETS:
        if stream is not None and (stream, tokens) in both:
            with contextlib.suppress(AnisoError):  # as on different texts
                yield (stream, tokens), cka(a, b, stream=stream, tokens=tokens)


def _panel(axes: Axes, values: Array, profiles: tuple[Profile, Profile], view: tuple[str, str]) -> None:
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
        axis.set_label_text("layer" if profiles[0] is profiles[1] else f"layer of {short(profile.model.name, 30)}")
        axis.label.set_parse_math(False)
