"""What a terminal shows while a model is opened and measured; whatever cannot redraw a line is shown nothing."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from aniso_core.engine import Progress

_WIDTH = 20  # leaves room within 80 columns for counts of nine digits
_SILENCE = 1.0  # seconds after which whoever wrote beside a bar has probably finished


@contextmanager
def opening(*, shown: bool) -> Iterator[None]:
    """Show a moving bar and the time taken while a model is opened, which does not say how far it is."""
    screen = _screen(shown=shown)
    if screen is None:
        yield
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("opening"), BarColumn(_WIDTH), TimeElapsedColumn())
    bar = Bar(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False)
    bar.add_task("", total=None)
    stderr: Any = _Beside(bar, sys.stderr)
    with stderr, contextlib.redirect_stderr(stderr):
        yield


@contextmanager
def measuring(*, shown: bool) -> "Iterator[Progress | None]":
    """Yield a function that draws a bar with the tokens done and the time left, None where nobody watches."""
    screen = _screen(shown=shown)
    if screen is None:
        yield None
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("measuring"), BarColumn(_WIDTH), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(
            task, completed=done, total=total, description=f"{done:,}/{total:,} tokens, left"
        )


def _screen(*, shown: bool) -> "Console | None":
    """Return stderr where it is a terminal that can redraw a line, and there is somebody to be told."""
    if not shown or not sys.stderr.isatty():
        return None
    from rich.console import Console

    screen = Console(file=sys.stderr)
    return screen if screen.is_interactive else None


class _Beside:
    """stderr while a bar is drawn on it: the bar gives way to whoever writes there, and returns when they are done.

    The hub draws bars of its own while it fetches files.
    """

    def __init__(self, bar: "Bar", stream: TextIO) -> None:
        self._bar, self._stream = bar, stream
        self._lock, self._last = threading.Lock(), 0.0
        self._over = threading.Event()
        self._returning = threading.Thread(target=self._return, daemon=True)

    def write(self, text: str) -> int:
        with self._lock:
            self._bar.stop()
            self._last = time.monotonic()
            return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        self._returning.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._returning.join()
        self._bar.stop()

    def _return(self) -> None:
        while not self._over.is_set():
            with self._lock:
                if time.monotonic() - self._last > _SILENCE:
                    self._bar.start()
            self._over.wait(_SILENCE / 4)
