"""Which reporters are asked: those that draw before a run is saved, and those that send once it is."""

from collections.abc import Sequence
from pathlib import Path

from aniso_core import engine, store
from aniso_core.api import DEFAULT
from aniso_core.contracts import Reporter
from aniso_core.engine import Progress, Rendered, unheard
from aniso_core.plugins import Registry
from aniso_core.records import Report


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
