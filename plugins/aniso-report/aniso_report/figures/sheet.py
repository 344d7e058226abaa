"""The sheet that every figure is drawn on: its panels, legends, title and caption, and its bytes in each format.

Lengths are in em, the height of the text, so that a sheet holds at any size of text; at 9 pt an em is 1/8 in.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from aniso_core.drawing import files
from aniso_core.errors import AnisoError
from aniso_core.records import Profile, ReportFile
from aniso_core.text import short
from aniso_report.figures.media import Medium
from aniso_report.words import many

_LEFT, _RIGHT, _TITLE, _ABOVE, _FOOT, _CAPTION = 6.4, 1.2, 2.2, 2.5, 3.6, 1.8
"""Around the panels. Above them are the title of the figure, the legend and the titles of panels; below them the labels
of the x axis and the caption. All are fixed: to measure labels takes as long as to draw them."""

_BESIDE, _BESIDE_SHARED, _BELOW, _BELOW_SHARED = 6.4, 1.6, 5.6, 2.7
"""Between panels, less where they share an axis."""

_X_LABEL = 2.0
"""From the x axis to its label."""

_NARROWEST, _NARROWEST_BESIDE = 8.0, 15.0
"""Least width of a panel, alone in its row and beside another."""

_ENTRY = 1.55
"""Height of a legend's row, in em of the legend."""


class Sheet:
    """A figure of empty panels, as many beside each other as its medium has room for; made and drawn in its style."""

    def __init__(self, medium: Medium, caption: str, panels: int, ratio: float, *, sharey: bool = False) -> None:
        """Make the panels; `ratio` is the height of a panel over its width in a row as full as there is room for.

        Raises AnisoError where a style sheet leaves no room.
        """
        self._medium, self._caption, self._sharey = medium, caption, sharey
        self._em, self._legend_em = rcParams["font.size"] / 72, _legend_font().get_size_in_points() / 72
        self._width: float = rcParams["figure.figsize"][0]
        room = self._width - (_LEFT + _RIGHT) * self._em
        if room < _NARROWEST * self._em:
            size = rcParams["font.size"]
            message = (
                f"{self._width:g} in have no room for text of {size:g} pt; change the style sheet's figure.figsize."
            )
            raise AnisoError(message)
        self._beside = (_BESIDE_SHARED if sharey else _BESIDE) * self._em
        self._between = (_BELOW if medium.told else _BELOW_SHARED) * self._em
        most = 2 if (room - self._beside) / 2 >= _NARROWEST_BESIDE * self._em else 1
        self.columns, self._rows = min(most, panels), math.ceil(panels / most)
        self._wide = (room - (self.columns - 1) * self._beside) / self.columns
        margins = (_ABOVE + _FOOT + 6 * _ENTRY) * self._em + (self._rows - 1) * self._between
        full = (room - (most - 1) * self._beside) / most
        self._high = min(ratio * full, (medium.tallest - margins) / self._rows)
        self._below = _FOOT * self._em
        self.figure = Figure(figsize=(self._width, 1))
        self.axes: list[Axes] = []
        for number in range(panels):
            above = self.axes[number % self.columns] if number >= self.columns and not medium.told else None
            place = self.figure.add_axes((0, 0, 1, 1), sharex=above, sharey=self.axes[0] if sharey and number else None)
            place.xaxis.set_label_coords(0.5, -_X_LABEL * self._em / self._high)
            self.axes.append(place)

    def fits(self, names: Sequence[str]) -> bool:
        """Return whether each name fits in a row of the legend."""
        return _legend_width(names, 1) <= self._width

    def legend_below(self, axes: Axes) -> None:
        """Give a panel of the last row a legend of its own, below its x axis."""
        handles, names = axes.get_legend_handles_labels()
        left = 0.8 * _LEFT * self._em
        columns = _legend_columns(names, self._wide + left)
        start = (-left / self._wide, -_FOOT * self._em / self._high)
        axes.legend(handles, names, loc="upper left", bbox_to_anchor=start, ncols=columns, borderaxespad=0)
        self._below += (math.ceil(len(names) / columns) * _ENTRY + 0.5) * self._legend_em

    def finish(self, title: str, legend: Axes, name: str) -> Iterator[ReportFile]:
        """Yield the figure with the legend of one panel for all, the same bytes every time.

        Where the medium has it so there is a title above, and a caption below; foreign text is shown literally.
        """
        handles, names = legend.get_legend_handles_labels()
        columns = _legend_columns(names, self._width)
        told, rows = self._medium.told, math.ceil(len(names) / columns)
        above = (_ABOVE + _TITLE * told) * self._em + rows * _ENTRY * self._legend_em
        below = self._below + _CAPTION * told * self._em
        self._arrange(above, below)
        shown: dict[str, Any] = {"title": title} if told else {}
        made = self.figure.legend(handles, names, loc="upper left", alignment="left", ncols=columns, **shown)
        for text in [made.get_title(), *made.get_texts()]:
            text.set_parse_math(False)
        if told:
            inches = self.figure.dpi_scale_trans
            self.figure.text(0.1, 0.1, self._caption, transform=inches, fontsize=7.5, color="0.3", parse_math=False)
        else:
            self.figure.align_ylabels(self.axes)
        yield from files(self.figure, name, self._medium.kinds)

    def _arrange(self, above: float, below: float) -> None:
        """Put the panels at their places, with inches above and below them, and label shared axes once."""
        height = above + self._rows * (self._high + self._between) - self._between + below
        self.figure.set_figheight(height)
        for number, place in enumerate(self.axes):
            row, column = divmod(number, self.columns)
            left = _LEFT * self._em + column * (self._wide + self._beside)
            bottom = height - above - self._high - row * (self._high + self._between)
            sizes = (left / self._width, bottom / height, self._wide / self._width, self._high / height)
            place.set_position(sizes)
            if not self._medium.told and number + self.columns < len(self.axes):
                place.tick_params(axis="x", which="both", labelbottom=False)
                place.set_xlabel("")
            if self._sharey and column:
                place.tick_params(axis="y", which="both", labelleft=False)


def caption(profile: Profile) -> str:
    """Return the line under a figure: model, norm, documents, tokens, dtype."""
    model, prompts = profile.model, profile.prompts
    text = f"{many(prompts.documents, 'document')}, {many(prompts.tokens, 'token')}" if prompts else "published values"
    return short(f"{short(model.name, 40)}: {model.layers} layers, d = {model.width:,}; {text}; {model.dtype}", 130)


def _legend_font() -> FontProperties:
    return FontProperties(size=rcParams["legend.fontsize"])


def _legend_columns(names: Sequence[str], width: float) -> int:
    """Return how many columns a legend can have within a width in inches, at least one and at most five."""
    return max((n for n in range(1, min(5, len(names)) + 1) if _legend_width(names, n) <= width), default=1)


def _legend_width(names: Sequence[str], columns: int) -> float:
    """Return the inches that a legend takes, whose columns are filled one after the other."""
    texts = [text_to_path.get_text_width_height_descent(name, _legend_font(), ismath=False)[0] / 72 for name in names]
    widest = [max(column, default=0.0) for column in np.array_split(texts, columns)]
    sample = rcParams["legend.handlelength"] + rcParams["legend.handletextpad"]
    around = 2 * (rcParams["legend.borderpad"] + rcParams["legend.borderaxespad"])
    em = columns * sample + (columns - 1) * rcParams["legend.columnspacing"] + around
    return float(sum(widest) + em * _legend_font().get_size_in_points() / 72)
