"""A limit on how long a plugin's function may take."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from aniso_core.errors import AnisoError


class TimeLimitError(Exception):
    """Raised inside a function that takes longer than it may."""


def require_timer() -> None:
    """Raise AnisoError where the system has no timer that interrupts a function, or another thread asks for one."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        message = "A time limit needs the main thread of a POSIX system; measure without one."
        raise AnisoError(message)


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimitError from within the block once it has taken `seconds`; None: never.

    What runs outside Python, as a matrix product, is interrupted when it has returned.
    """
    if seconds is None:
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> NoReturn:
        message = f"it took longer than {seconds:g} s"
        raise TimeLimitError(message)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
