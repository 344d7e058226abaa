"""Which reporters are asked, and in which style: those that draw before a run is saved, and those that send after."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast, get_args

import click
from click.shell_completion import CompletionItem

from aniso_core import engine, store
from aniso_core.api import DEFAULT
from aniso_core.contracts import Reporter
from aniso_core.engine import Progress, Rendered, unheard
from aniso_core.errors import AnisoError
from aniso_core.plugins import Registry
from aniso_core.records import FigureStyle, Report
from aniso_core.sources import on_disk
from aniso_core.text import nearest_first, visible

F = TypeVar("F", bound=Callable[..., object])

STYLES = get_args(FigureStyle)
"""The names of styles; what else `--style` is given is a file."""


def styled() -> Callable[[F], F]:
    """Return the option that says how figures are to look."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        named = [CompletionItem(name) for name in STYLES if name.startswith(incomplete)]
        return named or [CompletionItem(incomplete, type="file")]

    said = (
        "How figures look: screen, or column or page of a paper, and style sheets of matplotlib (my.mplstyle) on top; "
    )
    return click.option(
        "--style", "styles", multiple=True, shell_complete=complete, help=f"{said}may be repeated. [default: screen]"
    )


def find_style(given: Sequence[str]) -> tuple[FigureStyle, tuple[Path, ...]]:
    """Return the style and the style sheets that were given, `screen` where no style was.

    Raises AnisoError for what is neither a style nor a file, and for two styles.
    """
    named = list(dict.fromkeys(name for name in given if name in STYLES))
    sheets = [name for name in given if name not in STYLES]
    for sheet in sheets:
        if not on_disk(Path.is_file, Path(sheet)):
            known = ", ".join(nearest_first(sheet, STYLES))
            message = f"There is no style {visible(sheet)!r}; the styles are {known}, and files of matplotlib's styles."
            raise AnisoError(message)
    if len(named) > 1:
        message = f"The styles {' and '.join(named)} exclude each other; name one of them."
        raise AnisoError(message)
    return cast("FigureStyle", named[0]) if named else "screen", tuple(map(Path, sheets))


def find_reporters(known: Registry, names: Sequence[str]) -> list[Reporter]:
    """Return the named reporters; DEFAULT, or no name, stands for all that are installed but those on request.

    Raises AnisoError for a name that there is not.
    """
    usual = [item.value for item in known.items("reporter") if not item.value.on_request]
    asked = [usual if name == DEFAULT else [known.reporter(name)] for name in names or (DEFAULT,)]
    return list(dict.fromkeys(reporter for some in asked for reporter in some))


def draw(
    reporters: Sequence[Reporter],
    report: Report,
    known: Registry,
    limit: float | None = None,
    progress: Progress = unheard,
) -> Rendered:
    """Return what the reporters make that do not send; each may take `limit` seconds."""
    drawing = [reporter for reporter in reporters if not reporter.sends]
    return engine.render(drawing, report, known.owners("reporter"), limit, progress=progress)


def send(
    reporters: Sequence[Reporter], report: Report, known: Registry, folder: Path, limit: float | None = None
) -> Rendered:
    """Let the reporters send that do, and write into `folder` where the report went; it is saved by now."""
    sent = engine.render(
        [reporter for reporter in reporters if reporter.sends], report, known.owners("reporter"), limit
    )
    if sent.files:
        store.write_report(folder, sent.files)
    return sent
