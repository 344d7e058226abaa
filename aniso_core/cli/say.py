"""What aniso says to people, on stderr, with foreign text made visible; data goes to stdout.

`say` is for what everybody must know, `note` for what --quiet leaves out, `detail` for what --verbose adds.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TextIO, TypeVar

import click

from aniso_core.plugins import Registry, registry
from aniso_core.text import visible, visible_lines

TRACEBACK = "ANISO_TRACEBACK"
"""Environment variable: when set, a handled error shows its traceback too."""

F = TypeVar("F", bound=Callable[..., object])

_GAP = "   "  # between the columns of a table
_LOUDNESS = "aniso.loudness"  # of a command: "quiet", "verbose", or absent


def talking(*, verbose: bool = True) -> Callable[[F], F]:
    """Return the options --quiet and, where there is something to say, --verbose."""
    quiet = click.option(
        "--quiet", is_flag=True, expose_value=False, callback=_choose, help="Say nothing on stderr but errors."
    )
    if not verbose:
        return quiet
    loud = click.option(
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_choose,
        help="Say what took how long, and where a plugin failed.",
    )
    return lambda function: quiet(loud(function))


def loudness() -> str:
    """Return "quiet", "verbose" or "", as the command that runs was asked to be."""
    context = click.get_current_context(silent=True)
    return "" if context is None else context.meta.get(_LOUDNESS, "")


def say(line: str, stream: TextIO | None = None) -> None:
    """Write one line for people to stderr, or to `stream`; that nobody is left to read it is no reason to stop."""
    with heedless(stream or sys.stderr):
        click.echo(visible(line), stream, err=True)


def note(line: str) -> None:
    """Write one line for people to stderr, unless they want quiet."""
    if loudness() != "quiet":
        say(line)


def detail(line: str) -> None:
    """Write one line to stderr for people who want to know more."""
    if loudness() == "verbose":
        say(line)


@contextmanager
def hushed() -> Iterator[None]:
    """Leave out what --quiet leaves out, unless people want to know more."""
    meta = click.get_current_context().meta
    before = meta.get(_LOUDNESS, "")
    meta[_LOUDNESS] = before or "quiet"
    try:
        yield
    finally:
        meta[_LOUDNESS] = before


@contextmanager
def heedless(stream: TextIO) -> Iterator[None]:
    """Write to `stream` as long as somebody reads it: a pipe may be closed, and a terminal may go away."""
    try:
        yield
    except OSError:
        abandon(stream)


def abandon(stream: TextIO) -> None:
    """Let what is left to write go nowhere: Python would fail on it again when it closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_tracebacks(context: click.Context) -> None:
    """Write to stderr where plugins' parts fail, as long as the command runs."""
    import logging

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in self.format(record).splitlines():
                say(line)

    logger, handler = logging.getLogger("aniso"), Said()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    root = context.find_root()
    root.call_on_close(lambda: logger.setLevel(before))
    root.call_on_close(lambda: logger.removeHandler(handler))


def _choose(context: click.Context, param: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click's signature
    """Note how loud a command is to be; the command line, which is read first, wins over a file of options."""
    name = str(param.name)
    if not given:
        return
    chosen = context.meta.setdefault(_LOUDNESS, name)
    if chosen != name and context.get_parameter_source(chosen) is context.get_parameter_source(name):
        message = "--quiet and --verbose exclude each other; give one."
        raise click.UsageError(message, context)
    if chosen == name == "verbose" and not os.environ.get(TRACEBACK):
        show_tracebacks(context)


def out(text: str) -> None:
    """Write data to stdout, line breaks kept, other control characters made visible."""
    click.echo(visible_lines(text))


def out_json(value: Any) -> None:
    """Write a value to stdout as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def plugins() -> Registry:
    """Return the registry, having said in one line each what plugins said and which are left out."""
    found = registry()
    for remark in found.remarks:
        note(f"Note: {remark}")
    for broken in found.broken:
        say(str(broken))
    slowest = sorted(found.seconds.items(), key=lambda pair: -pair[1])
    took = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in slowest)
    detail(f"Plugins loaded in {sum(found.seconds.values()):.3f} s: {took}.")
    return found


def paragraph(heading: str, text: str) -> None:
    """Write a heading and, indented below it, a text to stdout, both wrapped at 80 columns or a terminal's fewer."""
    room = min(_room(), 80)
    click.echo(textwrap.fill(visible(heading), room))
    click.echo(textwrap.fill(visible(text), room, initial_indent="  ", subsequent_indent="  "))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table to stdout, its widest columns broken over lines where it would not fit.

    80 columns where the output is no terminal, the terminal's width where it is.
    """
    room = _room()
    cells = [[visible(cell) for cell in row] for row in (columns, *rows)]
    widths = [min(max(map(len, column)), room) for column in zip(*cells, strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    rule = ["─" * width for width in widths]
    for row in (cells[0], rule, *cells[1:]):
        broken = (
            textwrap.wrap(cell, width) if len(cell) > width else [cell] for cell, width in zip(row, widths, strict=True)
        )
        for line in zip_longest(*broken, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(line, widths, strict=True))
            click.echo(_GAP.join(padded).rstrip())


def _room() -> int:
    """Return the columns that there are: those of a terminal, else 80."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
