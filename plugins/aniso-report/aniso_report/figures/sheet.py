"""The sheet that every figure is drawn on: style, caption, and its bytes as PNG and PDF."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import style as styles
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from aniso_core.records import Profile, ReportFile
from aniso_core.text import short
from aniso_report.words import many

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
"""Okabe and Ito's colours, told apart by colour-blind readers; matplotlib has them by name only from 3.11 on."""

_LOOK = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # matplotlib need not look for room
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "pdf.fonttype": 42,  # text stays text in the PDF, as journals ask
}
_DPI = 150
_LEFT, _RIGHT, _HEAD, _ENTRY, _FOOT = 0.8, 0.15, 0.57, 0.17, 0.67
"""Inches around the panels; above them `_HEAD` for the title and `_ENTRY` for each row of the legend."""

_BESIDE, _SHARED, _BELOW = 0.8, 0.2, 0.7
"""Inches between panels: beside each other, beside each other on one scale, and below each other."""

_X_LABEL = 0.25
"""Inches from the x axis to its label. All of these are fixed: to measure labels takes as long as to draw them."""

_INFORMATION = {"png": {"Software": None}, "pdf": {"CreationDate": None, "ModDate": None}}
"""What would make the same figure differ from one day or machine to the next."""


@dataclass(frozen=True)
class Look:
    """How a curve is told from its neighbours, in colour and in grey."""

    colour: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str
    diamond: float = 6.0  # points across, so that one shows around another at the same place

    def of(self, points: int) -> dict[str, Any]:
        """Return matplotlib's arguments for a line of so many points."""
        every = max(1, points // 30)
        return {"color": self.colour, "linestyle": self.line, "marker": self.marker, "markevery": every}


TOKEN_SETS = {"all": Look(BLUE, "-", "o", diamond=8.0), "bulk": Look(VERMILLION, "--", "s", diamond=5.0)}
"""The token sets that are drawn, and their looks in every figure."""

SERIES = (
    Look(BLUE, "-", "o"),
    Look(VERMILLION, "--", "s"),
    Look(GREEN, "-.", "^"),
    Look(BLACK, (0, (1, 1)), "v"),
    Look(PURPLE, (0, (6, 1)), "P"),
    Look(ORANGE, (0, (5, 1, 1, 1, 1, 1)), "X"),
    Look(SKY, (0, (3, 2)), "<"),
)
"""Looks for as many curves as one panel can hold; beyond that they come round again."""


@contextmanager
def style() -> Iterator[None]:
    """Draw in aniso's style, whatever the user's matplotlibrc says, and leave their settings as they were."""
    with styles.context(["default", _LOOK]), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn with boxes; that must not stop a run.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def new(
    caption: str, shape: tuple[int, int], size: tuple[float, float], *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its empty panels, rows by columns, each of a size in inches, and a literal caption."""
    (rows, columns), (wide, high) = shape, size
    beside = _SHARED if sharey else _BESIDE
    width = _LEFT + columns * wide + (columns - 1) * beside + _RIGHT
    grid = {"left": _LEFT / width, "right": 1 - _RIGHT / width, "wspace": beside / wide, "hspace": _BELOW / high}
    figure = Figure(figsize=(width, rows * high + (rows - 1) * _BELOW))
    figure.text(0.1, 0.1, caption, transform=figure.dpi_scale_trans, fontsize=7.5, color="0.3", parse_math=False)
    axes = list(figure.subplots(rows, columns, sharey=sharey, squeeze=False, gridspec_kw=grid).ravel())
    for place in axes:
        place.xaxis.set_label_coords(0.5, -_X_LABEL / high)
    return figure, axes


class _Powers(LogFormatter):
    """Writes 20 or 10⁻³, as the range of the axis asks, in plain text: formulas take longer to parse than to draw."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick at x, empty where the axis is too crowded for one."""
        if not super().__call__(x, pos):
            return ""
        low, high = self.axis.get_view_interval() if self.axis else (x, x)
        if low >= 0.1 and high < 10_000:  # noqa: PLR2004 - labels of four digits at most
            return f"{x:g}"
        coefficient, exponent = f"{x:.0e}".split("e")
        power = "10" + str(int(exponent)).translate(_RAISED)
        return power if coefficient == "1" else f"{coefficient}×{power}"  # noqa: RUF001 - times it is


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def label_powers(*axes: Axis) -> None:
    """Label logarithmic axes at powers of ten, and between them where there are few."""
    for axis in axes:
        axis.set_major_formatter(_Powers())
        axis.set_minor_formatter(_Powers())


def caption(profile: Profile) -> str:
    """Return the line under a figure: model, norm, documents, tokens, dtype."""
    model, prompts = profile.model, profile.prompts
    text = f"{many(prompts.documents, 'document')}, {many(prompts.tokens, 'token')}" if prompts else "published values"
    return short(f"{short(model.name, 40)}: {model.layers} layers, d = {model.width:,}; {text}; {model.dtype}", 130)


def head(figure: Figure, title: str, axes: Axes, below: float = 0.0) -> None:
    """Make room above the panels for the title and one legend, both shown literally, and under them for the caption.

    The legend is that of `axes`, for all panels. `below` are inches that a panel of the last row needs for its own.
    """
    handles, names = axes.get_legend_handles_labels()
    width, panels = figure.get_size_inches()
    columns = max(1, min(5, len(names), int(width * 14) // (max(map(len, names), default=0) + 8)))
    above, under = _HEAD + _ENTRY * math.ceil(len(names) / columns), _FOOT + below
    height = above + panels + under
    figure.set_figheight(height)
    figure.subplots_adjust(bottom=under / height, top=1 - above / height)
    legend = figure.legend(
        handles, names, title=title, loc="upper left", alignment="left", fontsize=8, title_fontsize=11, ncols=columns
    )
    for text in [legend.get_title(), *legend.get_texts()]:
        text.set_parse_math(False)


def files(figure: Figure, name: str) -> Iterator[ReportFile]:
    """Yield the figure as PNG and PDF, the same bytes every time."""
    for kind, information in _INFORMATION.items():
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=_DPI, metadata=information)
        yield ReportFile(f"{name}.{kind}", out.getvalue())
