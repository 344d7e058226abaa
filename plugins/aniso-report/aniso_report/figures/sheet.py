"""The sheet that every figure is drawn on: style, caption, and its bytes as PNG and PDF."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aniso_core.records import Profile, ReportFile
from aniso_core.text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
"""Okabe and Ito's colours, told apart by colour-blind readers; matplotlib has them by name only from 3.11 on."""

_LOOK = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
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
    from matplotlib import style as styles

    with styles.context(["default", _LOOK]), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn with boxes; that must not stop a run.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def new(caption: str, size: tuple[float, float]) -> "Figure":
    """Return an empty figure, `size` in inches, with a caption below that is shown literally."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.supxlabel(caption, fontsize=7.5, x=0.01, ha="left", color="0.3", parse_math=False)
    return figure


def caption(profile: Profile) -> str:
    """Return the line under a figure: model, norm, documents, tokens, dtype."""
    model, prompts = profile.model, profile.prompts
    text = f"{prompts.documents:,} documents, {prompts.tokens:,} tokens" if prompts else "published values"
    return short(f"{short(model.name, 40)}: {model.layers} layers, d = {model.width:,}; {text}; {model.dtype}", 130)


def head(figure: "Figure", title: str, axes: "Axes") -> None:
    """Put the title and one legend for all panels above them, where they cover no data; both are shown literally."""
    handles, names = axes.get_legend_handles_labels()
    widest = max(map(len, names), default=0)
    legend = figure.legend(
        handles, names, title=title, loc="outside upper left", alignment="left", fontsize=8, title_fontsize=11,
        ncols=max(1, min(5, len(names), int(figure.get_figwidth() * 14) // (widest + 8))),
    )  # fmt: skip
    for text in [legend.get_title(), *legend.get_texts()]:
        text.set_parse_math(False)


def files(figure: "Figure", name: str) -> Iterator[ReportFile]:
    """Yield the figure as PNG and PDF, the same bytes every time."""
    # The layout costs more than the drawing, so it is settled once for all formats.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for kind, information in _INFORMATION.items():
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=_DPI, metadata=information)
        yield ReportFile(f"{name}.{kind}", out.getvalue())
