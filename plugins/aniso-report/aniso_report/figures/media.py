"""What figures are made for: the screen, or a column or the page of a paper, and style sheets on top."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.rcsetup import cycler

from aniso_core.drawing import drawing
from aniso_core.records import FigureStyle
from aniso_report.figures.looks import PALETTE


@dataclass(frozen=True)
class Medium:
    """Where a figure is seen, and what follows from that."""

    kinds: tuple[str, ...]
    """File formats."""
    look: Mapping[str, Any]
    """matplotlib's settings that differ from the other media's; `figure.figsize` gives the width in inches."""
    told: bool = True
    """Whether the figure says itself what it shows, with a title and a caption; a paper has a caption of its own."""
    tallest: float = math.inf
    """Inches of height at most."""


_PAPER = {
    "font.size": 8.0,
    "axes.titlesize": "medium",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.borderaxespad": 0.1,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 2.8,
    "lines.markeredgewidth": 0.7,
    "grid.linewidth": 0.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
}
_TALLEST = 8.0  # a text of 9 in, as ICML's and NeurIPS's, with room for a caption

MEDIA: Mapping[FigureStyle, Medium] = {
    "screen": Medium(
        ("png", "pdf"),
        {
            "font.size": 9.0,
            "axes.titlesize": 9.5,
            "legend.fontsize": 8.0,
            "legend.title_fontsize": 11.0,
            "lines.linewidth": 1.3,
            "lines.markersize": 3.5,
            "grid.linewidth": 0.6,
            "figure.figsize": (9.0, 1.0),
        },
    ),
    "column": Medium(("pdf", "svg"), _PAPER | {"figure.figsize": (3.25, 1.0)}, told=False, tallest=_TALLEST),
    "page": Medium(("pdf", "svg"), _PAPER | {"figure.figsize": (5.5, 1.0)}, told=False, tallest=_TALLEST),
}
"""Each style of figures. 3.25 in is a column of ICML, between those of ACL (3.03 in, where 8 pt shrink to 7.5) and of
IEEE and Nature (3.5 in). 5.5 in is the text of NeurIPS and ICLR, and fits unshrunk in that of JMLR (6), ACL (6.3), ICML
(6.75) and Nature (7.2).
"""

_LOOK = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # matplotlib need not look for room
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
}


@contextmanager
def style(medium: Medium = MEDIA["screen"], sheets: Sequence[Path] = ()) -> Iterator[None]:
    """Draw in aniso's style for a medium and in style sheets on top, as `drawing` does."""
    with drawing(_LOOK, medium.look, sheets=sheets):
        yield
