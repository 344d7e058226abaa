"""What surrounds each call of a plugin: it is heard, timed, named while others wait, and settings are put back.

A plugin runs in aniso's own process. This keeps its accidents from others; it is no defence against attacks.
"""

import contextlib
import io
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aniso_core.limits import TimeLimitError, limited
from aniso_core.text import short

PATIENCE = 60.0
"""Seconds after which stderr names whom aniso is waiting for."""

LONGEST = 400
"""Characters that are shown of what a plugin said; some print megabytes."""
_FOR_AUTHORS = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python itself shows to nobody but those who test."""


class _Setting(NamedTuple):
    """What changes the numbers of everybody in the process, or where a run is written; each takes the module.

    `fresh` is how it is in a module that was just loaded, None where that depends on the machine.
    """

    module: str
    told: Callable[[Any], Any]
    put: Callable[[Any, Any], object]
    fresh: Callable[[Any], Any] | None = None


# The shared generators of random numbers are not here, as aniso draws from none of them.
_SETTINGS = (
    _Setting("torch", lambda t: t.get_default_dtype(), lambda t, was: t.set_default_dtype(was), lambda t: t.float32),
    # Asking for the default device by its name takes ten times as long.
    _Setting("torch", lambda t: t.empty(0).device, lambda t, was: t.set_default_device(was), lambda t: t.device("cpu")),
    _Setting("torch", lambda t: t.is_grad_enabled(), lambda t, was: t.set_grad_enabled(was), lambda _: True),
    _Setting("torch", lambda t: t.get_num_threads(), lambda t, was: t.set_num_threads(was)),
    _Setting(
        "torch",
        lambda t: t.get_float32_matmul_precision(),
        lambda t, was: t.set_float32_matmul_precision(was),
        lambda _: "highest",
    ),
    _Setting(
        "numpy",
        lambda n: n.geterr(),
        lambda n, was: n.seterr(**was),
        lambda _: {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    ),
    _Setting("os", lambda _: _folder(), lambda os, was: os.chdir(was)),
)


class StoppedError(Exception):
    """Stands for what a plugin raised that is no Exception, as SystemExit: its `__cause__`."""


@contextlib.contextmanager
def isolated(tell: Callable[[str], object], seconds: float | None = None) -> Iterator[None]:
    """Run a plugin's code; `tell` is told in a few words what it, and threads that it starts, print and warn of.

    Raises TimeLimitError after `seconds` (None: never) and StoppedError for what would pass by `except Exception`; only
    the user's interrupt goes through.
    """
    before = _settings()
    try:
        with _hearing(tell), limited(seconds):
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise StoppedError from error
    finally:
        _put_back(before)


@contextlib.contextmanager
def waiting_for(who: str) -> Iterator[None]:
    """Let `watched` name `who` where the block takes long."""
    thread = threading.get_ident()
    _waited_for[thread] = (who, time.monotonic())
    try:
        yield
    finally:
        del _waited_for[thread]


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Name on stderr, once, whomever the block is waiting for longer than PATIENCE."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(threading.get_ident(), over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def said(error: BaseException) -> str:
    """Return what went wrong in a few words, whatever was raised."""
    if isinstance(error, StoppedError) and error.__cause__ is not None:
        error = error.__cause__
    try:
        text = str(error)
    except Exception as fault:  # noqa: BLE001 - a plugin's error may fail to say what it is
        text = f"it does not say what ({type(fault).__name__})"
    return short(text if isinstance(error, TimeLimitError) else f"{type(error).__name__}: {text}", LONGEST)


def log_traceback(who: str, error: BaseException) -> None:
    """Log where `who` failed, at level DEBUG of the logger `aniso`; nothing shows it unless somebody asks for it."""
    import logging  # lists, which never fail, need not load it

    logging.getLogger("aniso").debug("Where the %s failed:", who, exc_info=error)


_waited_for: dict[int, tuple[str, float]] = {}
"""Whom each thread is waiting for, and since when."""


def _watch(thread: int, over: threading.Event) -> None:
    named = None
    while not over.wait(PATIENCE / 10):
        waited = _waited_for.get(thread)
        if waited is None or waited is named or time.monotonic() - waited[1] < PATIENCE:
            continue
        named = waited
        sys.stderr.write(
            f"Still waiting for the {short(waited[0], LONGEST)} after {PATIENCE:g} s. Ctrl-C ends it, and "
            "ANISO_DISABLE_PLUGINS=NAME leaves a plugin out.\n"
        )


class _Printed(io.StringIO):
    """Stands for stdout; what threads print that were there before goes where it did."""

    def __init__(self) -> None:
        super().__init__()
        self._stdout = sys.stdout
        self._others = {*threading.enumerate()} - {threading.current_thread()}

    def write(self, text: str) -> int:
        """Keep text, or pass it on."""
        return self._stdout.write(text) if threading.current_thread() in self._others else super().write(text)


@contextlib.contextmanager
def _hearing(tell: Callable[[str], object]) -> Iterator[None]:
    printed = _Printed()
    caught: list[warnings.WarningMessage] = []
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        warned = next((each for each in caught if not issubclass(each.category, _FOR_AUTHORS)), None)
        if warned is not None:
            tell(f"warned: {short(warned.message, LONGEST)}")
        if text := printed.getvalue().strip():
            tell(f"printed: {short(text, LONGEST)}")


def _folder() -> str | None:
    """Return the working directory, None where it was removed."""
    with contextlib.suppress(OSError):
        return str(Path.cwd())
    return None


def _settings() -> list[Any]:
    """Return how each setting is; None where its module is not loaded."""
    loaded = sys.modules
    return [each.told(loaded[each.module]) if each.module in loaded else None for each in _SETTINGS]


def _put_back(before: list[Any]) -> None:
    for each, was, now in zip(_SETTINGS, before, _settings(), strict=True):
        if now == was:
            continue
        module = sys.modules[each.module]
        wanted = was if was is not None else each.fresh(module) if each.fresh is not None else now
        if now != wanted:
            each.put(module, wanted)
