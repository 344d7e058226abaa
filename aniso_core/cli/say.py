"""What aniso says to people, on stderr, with foreign text made visible; data goes to stdout."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import click

from aniso_core.plugins import Registry, registry
from aniso_core.text import visible, visible_lines

TRACEBACK = "ANISO_TRACEBACK"
"""Environment variable: when set, a handled error shows its traceback too."""

_GAP = "   "  # between the columns of a table


def say(line: str) -> None:
    """Write one line for people to stderr."""
    click.echo(visible(line), err=True)


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
        say(f"Note: {remark}")
    for broken in found.broken:
        say(str(broken))
    return found


def paragraph(heading: str, text: str) -> None:
    """Write a heading and, indented below it, a text to stdout, both wrapped at 80 columns."""
    click.echo(textwrap.fill(visible(heading), 80))
    click.echo(textwrap.fill(visible(text), 80, initial_indent="  ", subsequent_indent="  "))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table to stdout, its widest columns broken over lines where it would not fit.

    80 columns where the output is no terminal, the terminal's width where it is.
    """
    room = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
    cells = [[visible(cell) for cell in row] for row in (columns, *rows)]
    widths = [min(max(map(len, column)), room) for column in zip(*cells, strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    rule = ["─" * width for width in widths]
    for row in (cells[0], rule, *cells[1:]):
        broken = (textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True))
        for line in zip_longest(*broken, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(line, widths, strict=True))
            click.echo(_GAP.join(padded).rstrip())
