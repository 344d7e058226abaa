"""How curves are told apart: in colour, also by colour-blind readers, and in grey, by dash and marker."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, told apart by colour-blind readers; matplotlib has them by name only from 3.11 on."""


@dataclass(frozen=True)
class Look:
    """How a curve is told from its neighbours, in colour and in grey."""

    colour: str
    """`C0` and so on: a colour of the palette, or of a style sheet that has its own."""
    line: str | tuple[int, tuple[int, ...]]
    marker: str
    diamond: float = 1.7  # times a marker across, so that one shows around another at the same place

    def of(self, points: int) -> dict[str, Any]:
        """Return matplotlib's arguments for a line of so many points."""
        every = max(1, points // 30)
        return {"color": self.colour, "linestyle": self.line, "marker": self.marker, "markevery": every}


TOKEN_SETS = {"all": Look("C0", "-", "o", diamond=2.3), "bulk": Look("C1", "--", "s", diamond=1.4)}
"""The token sets that are drawn, and their looks in every figure."""

SERIES = (
    Look("C0", "-", "o"),
    Look("C1", "--", "s"),
    Look("C2", "-.", "^"),
    Look("C3", (0, (1, 1)), "v"),
    Look("C4", (0, (6, 1)), "P"),
    Look("C5", (0, (5, 1, 1, 1, 1, 1)), "X"),
    Look("C6", (0, (3, 2)), "<"),
)
"""Looks for as many curves as one panel can hold."""


def series() -> Iterator[Look]:
    """Yield looks without end: after each round the markers move on, so that 49 differ in dash or marker."""
    for number in count():
        turn, place = divmod(number, len(SERIES))
        yield replace(SERIES[place], marker=SERIES[(place + turn) % len(SERIES)].marker)
