"""What people see of a sweep: on a terminal a table that redraws itself, elsewhere a line for each run that ends."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from aniso_core.cli.progress import Phases, drawn, following, screen
from aniso_core.cli.say import say
from aniso_core.text import short

if TYPE_CHECKING:
    from types import TracebackType

    from rich.table import Table

_BESIDE = 4  # runs shown before the one that is measured, and as many after it
_NAME = 48  # columns
_STATES = ("whole", "measured", "failed", "waiting")


class Overview:
    """Follows runs, in their order, from waiting to their end."""

    def __init__(self, names: Sequence[str], *, shown: bool) -> None:
        """Begin with all of them waiting; show nothing unless it is wanted."""
        self._names = names
        self._states = ["waiting"] * len(names)
        self._at = 0
        self._phases: Phases | None = None
        self._shown = shown
        self._terminal = screen() if shown else None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin to draw where there is a terminal."""
        if self._terminal is not None:
            self._stack.enter_context(drawn(self.table, self._terminal))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Draw no more."""
        self._stack.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def following(self) -> Iterator[Phases]:
        """Yield what is told how far the run is that is measured now."""
        with following(shown=self._shown and self._terminal is None) as phases:
            self._phases = phases
            try:
                yield phases
            finally:
                self._phases = None

    def ended(self, number: int, state: str, reason: str = "") -> None:
        """Note how a run ended, and say it where no table shows it; the reason why it failed is said everywhere."""
        self._states[number], self._at = state, number + 1
        if reason or (self._shown and self._terminal is None):
            told = f": {reason}" if reason else "."
            say(f"aniso: {self._names[number]} {state}, {number + 1} of {len(self._names)}{told}")

    def table(self, width: int) -> "Table":
        """Return the runs around the one that is measured, for a terminal `width` columns wide, and how many are done.

        The bar of the run is below them.
        """
        from rich.table import Table

        rows = Table.grid(padding=(0, 2, 0, 0))
        first = max(0, min(self._at - _BESIDE, len(self._names) - 2 * _BESIDE - 1))
        room = max(8, min(_NAME, width - 12))
        phases = self._phases
        for number in range(first, min(len(self._names), first + 2 * _BESIDE + 1)):
            state = "running" if phases and number == self._at else self._states[number]
            rows.add_row(short(self._names[number], room), state)
        counts = Counter(self._states)
        told = ", ".join(f"{counts[state]:,} {state}" for state in _STATES if counts[state])
        whole = Table.grid()
        whole.add_row(rows)
        whole.add_row(f"{len(self._names):,} run{'s' * (len(self._names) != 1)}: {told}"[: width - 1])
        whole.add_row(phases.bar(width) if phases else "")
        return whole
