"""What aniso says to people, on stderr, with foreign text made visible; data goes to stdout."""

import io
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import click

from aniso_core.plugins import Registry, registry
from aniso_core.text import visible, visible_lines

TRACEBACK = "ANISO_TRACEBACK"
"""Environment variable: when set, a handled error shows its traceback too."""


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
    """Return the registry, having said in one line each which plugins are left out."""
    found = registry()
    for broken in found.broken:
        say(str(broken))
    return found


def paragraph(heading: str, text: str) -> None:
    """Write a heading and, indented below it, a text wrapped at 80 columns to stdout."""
    click.echo(visible(heading))
    click.echo(textwrap.fill(visible(text), 80, initial_indent="  ", subsequent_indent="  "))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, wrap: Sequence[str] = ()) -> None:
    """Write a table to stdout; columns named in `wrap` break over lines, the others keep their width.

    80 columns where the output is no terminal, the terminal's width where it is.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for column in columns:
        drawn.add_column(column, no_wrap=column not in wrap, overflow="fold" if column in wrap else "ellipsis")
    for row in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
    paper = io.StringIO()
    Console(file=paper, width=width, highlight=False, no_color=True).print(drawn)
    click.echo("\n".join(line.rstrip() for line in paper.getvalue().strip("\n").split("\n")))
