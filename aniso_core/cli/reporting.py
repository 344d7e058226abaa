"""Which reporters are asked, and in which style: those that draw before a run is saved, and those that send after."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast, get_args

import click
from click.shell_completion import CompletionItem

from aniso_core import engine, store
from aniso_core.api import DEFAULT
from aniso_core.cli.completion import USUAL, repeatable
from aniso_core.contracts import Reporter
from aniso_core.engine import Progress, Rendered, unheard
from aniso_core.errors import AnisoError
from aniso_core.plugins import Registry
from aniso_core.records import FigureStyle, Report
from aniso_core.sources import on_disk
from aniso_core.text import nearest_first, visible

F = TypeVar("F", bound=Callable[..., object])

STYLES = get_args(FigureStyle)
"""aniso's own styles; what else `--style` is given is a style sheet, by its name or as a file."""


def drawn(usual: str = USUAL) -> Callable[[F], F]:
    """Return the options that say who draws a run, `usual` where nobody is named, and how that is to look."""
    asked = repeatable("--reporter", "reporters", "reporter", "Reporter to ask", usual=usual)
    return lambda function: asked(styled()(function))


def styled() -> Callable[[F], F]:
    """Return the option that says how figures are to look."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        named = [CompletionItem(name) for name in (*STYLES, *_shipped()) if name.startswith(incomplete)]
        return named or [CompletionItem(incomplete, type="file")]

    said = (
        "How figures look: screen, or column or page of a paper, and style sheets of matplotlib on top, by name "
        "(ggplot) or as a file (my.mplstyle); "
    )
    return click.option(
        "--style", "styles", multiple=True, shell_complete=complete, help=f"{said}may be repeated. [default: screen]"
    )


def find_style(given: Sequence[str]) -> tuple[FigureStyle, tuple[Path, ...]]:
    """Return the style and the style sheets that were given, `screen` where no style was.

    Raises AnisoError for what is neither a style nor a style sheet, for a sheet that cannot be used, and two styles.
    """
    named = list(dict.fromkeys(name for name in given if name in STYLES))
    sheets = tuple(_found(name) for name in given if name not in STYLES)
    if len(named) > 1:
        message = f"The styles {' and '.join(named)} exclude each other; name one of them."
        raise AnisoError(message)
    return cast("FigureStyle", named[0]) if named else "screen", sheets


def names_style(given: str) -> bool:
    """Return whether what `--style` is given is a name; it is a file otherwise."""
    return given in STYLES or given in _shipped()


def named_styles(style: FigureStyle, sheets: Sequence[Path]) -> tuple[str | Path, ...]:
    """Return what `--style` is given to draw so again, those style sheets by name that matplotlib ships."""
    shipped = _shipped() if sheets else {}
    return style, *(sheet.stem if shipped.get(sheet.stem) == sheet else sheet for sheet in sheets)


def _found(name: str) -> Path:
    """Return a style sheet that matplotlib ships or that is a file; raises AnisoError where it cannot be used."""
    shipped = _shipped()
    if name in shipped:
        return shipped[name]
    sheet = Path(name)
    if not on_disk(Path.is_file, sheet):
        known = ", ".join(nearest_first(name, [*STYLES, *shipped]))
        message = f"There is no style {visible(name)!r}, nor a file of that name; the styles are {known}."
        raise AnisoError(message)
    if shipped:  # else nothing is installed that could read it
        from aniso_core.drawing import sheet_settings

        sheet_settings(sheet)
    return sheet


def _shipped() -> dict[str, Path]:
    """Return the style sheets that matplotlib ships, by name; none where it is not installed."""
    try:
        from aniso_core.drawing import shipped_sheets
    except ImportError:
        return {}
    return shipped_sheets()


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
