"""What people see while a run lasts: on a terminal a line that redraws itself, elsewhere a line a minute on stderr."""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from aniso_core.cli.say import heedless, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

Clock = Callable[[], float]

_UNITS = {"forward": " tokens", "inference": " hypotheses", "report": " reporters"}
_ALIKE = {"forward", "spectra"}
"""Phases whose steps take about as long as each other, so that those done tell how long the others will take."""

_MINUTE = 60.0
_BAR = 20  # columns
_REDRAWN = 0.2  # seconds
_SILENCE = 1.0  # seconds after which whoever wrote beside a bar has probably finished


@dataclass
class Phase:
    """A part of a run: `done` steps of `total`, the last of them at `reached` (s), and `before` at `started` already.

    A total of 0 is not known. What was done before is of a run that goes on, and tells nothing of how fast this one is.

    The steps of `load` are bytes of weights. None is ever done: transformers counts tensors that it maps into memory
    and has yet to read, and most of the time goes into what comes before and after (imports, the hub, a checksum).
    """

    name: str
    started: float
    reached: float
    done: int = 0
    total: int = 0
    before: int = 0

    @property
    def head(self) -> str:
        """The phase and how far it is."""
        if self.name == "load":
            return f"load {_size(self.total)}" if self.total else "load"
        return f"{self.name} {self.done:,}/{self.total:,}{_UNITS.get(self.name, '')}"

    def left(self, now: float) -> float | None:
        """Return the seconds left, None where nothing tells or where what told is over."""
        if self.name not in _ALIKE or self.done == self.before:
            return None
        whole = (self.reached - self.started) * (self.total - self.before) / (self.done - self.before)
        left = self.started + whole - now
        return left if left > 0 else None


class Phases:
    """Follows a run through its phases: called with a phase, the steps done and the steps in all, as an engine does."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Begin with `load`, by a clock in seconds."""
        self.clock = clock
        self.past = [Phase("load", clock(), clock())]

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Note how far the run is."""
        now = self.clock()
        if self.past[-1].name != phase:
            self.past.append(Phase(phase, now, now, before=done))
        current = self.past[-1]
        current.done, current.total, current.reached = done, total, now

    def seconds(self) -> list[tuple[str, float]]:
        """Return how long each phase took, the last one until now."""
        ends = [*(phase.started for phase in self.past[1:]), self.clock()]
        return [(phase.name, end - phase.started) for phase, end in zip(self.past, ends, strict=True)]

    def line(self) -> str:
        """Return in words the phase, how far it is, and the time left or else taken."""
        phase, now = self.past[-1], self.clock()
        left = phase.left(now)
        time = f"{_words(now - phase.started)} so far" if left is None else f"about {_words(left)} left"
        return f"{phase.head}, {time}"

    def bar(self, width: int) -> "Table":
        """Return a bar for a terminal `width` columns wide; what does not fit is left out, the time last."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        phase, now = self.past[-1], self.clock()
        left = phase.left(now)
        time = _clock(now - phase.started) if left is None else f"{_clock(left)} left"
        known = phase.total if phase.name != "load" else None
        row = Table.grid(padding=(0, 1, 0, 0))
        text = f"{phase.head}, {time}"
        if len(text) + 1 + _BAR < width:
            row.add_row(ProgressBar(known, phase.done, width=_BAR, pulse=not known), text)
        else:
            row.add_row(text if len(text) < width else f"{phase.name}, {time}"[: width - 1])
        return row


@contextlib.contextmanager
def following(*, shown: bool) -> Iterator[Phases]:
    """Yield what is told how far a run is, and show it on stderr unless nobody wants to know."""
    phases = Phases()
    terminal = screen() if shown else None
    with contextlib.ExitStack() as stack:
        if terminal is not None:
            stack.enter_context(drawn(phases.bar, terminal))
        elif shown:
            # Whoever loads a model may have stderr redirected for a while.
            stack.enter_context(_repeated(Lines(phases, sys.stderr).tick, _SILENCE))
        yield phases


class Lines:
    """A log's view of a run: a line a minute, the first after a minute."""

    def __init__(self, phases: Phases, stream: TextIO) -> None:
        """Write to `stream`."""
        self._phases, self._stream = phases, stream
        self._next = phases.clock() + _MINUTE

    def tick(self) -> None:
        """Write a line if it is time for one."""
        if self._phases.clock() >= self._next:
            self._next = self._phases.clock() + _MINUTE
            say(f"aniso: {self._phases.line()}.", self._stream)


class Beside:
    """stderr while a bar is drawn on it: the bar gives way to whoever writes there, and returns when they are done.

    aniso's own notes stand above the bar that way, and so do bars that the hub draws while it fetches files.
    """

    def __init__(self, bar: "Live", stream: TextIO) -> None:
        """Draw on `stream`, which is stderr itself."""
        self._bar, self._stream = bar, stream
        self._lock, self._last = threading.Lock(), -_SILENCE

    def write(self, text: str) -> int:
        """Write where the bar stood."""
        with self._lock, heedless(self._stream):
            if text:
                self._bar.stop()
                self._last = time.monotonic()
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def tick(self) -> None:
        """Draw the bar anew, unless somebody has just written."""
        with self._lock, heedless(self._stream):
            if time.monotonic() - self._last > _SILENCE:
                self._bar.start()
                self._bar.refresh()


@contextlib.contextmanager
def drawn(draw: "Callable[[int], Table]", terminal: "Console") -> Iterator[None]:
    """Draw on stderr, a terminal, what `draw` returns for its width, again and again while the block runs."""
    from rich.live import Live

    bar = Live(
        console=terminal,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        get_renderable=lambda: draw(terminal.width),
    )
    stream = sys.stderr
    stderr: Any = Beside(bar, stream)
    try:
        with contextlib.redirect_stderr(stderr), _repeated(stderr.tick, _REDRAWN):
            yield
    finally:
        with heedless(stream):
            bar.stop()


@contextlib.contextmanager
def _repeated(tick: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `tick` each so many seconds while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def screen() -> "Console | None":
    """Return stderr where it is a terminal that can redraw a line."""
    # rich takes FORCE_COLOR for a terminal, and a bar in a log is thousands of lines.
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    terminal = Console(file=sys.stderr)
    return terminal if terminal.is_interactive else None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"  # noqa: PLR2004 - a billion bytes


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))


def _words(seconds: float) -> str:
    """Return a time in words, to the second below a minute and to the minute from there."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
