"""A limit on how long a plugin's function may take."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from aniso_core.errors import AnisoError


class TimeLimitError(Exception):
    """Raised in place of what a function that takes longer than it may would have returned."""


class _Alarm(BaseException):
    """Rings inside the function; no Exception, which the function may catch to go on."""


def require_timer() -> None:
    """Raise AnisoError where the system has no timer that interrupts a function, or another thread asks for one."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        message = "A time limit needs the main thread of a POSIX system; measure without one."
        raise AnisoError(message)


@contextlib.contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Stop the block once it has taken `seconds` (None: never) and raise TimeLimitError.

    What runs outside Python, as a matrix product, is interrupted when it has returned.
    """
    if seconds is None:
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise _Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Alarm:
        message = f"it took longer than {seconds:g} s"
        raise TimeLimitError(message) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
