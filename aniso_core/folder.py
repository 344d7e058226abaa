"""A folder of runs: what lies in it, by the small record of each run, and how a run is taken out of it."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.records import ModelInfo, PromptsInfo, Provenance
from aniso_core.text import natural, short, visible

_RECORDS = {store.PROFILE, store.RUN, store.VERDICTS, store.ARRAYS}
_TELLING = 2  # files of a run that even half of one has; one alone may be anybody's


@dataclass(frozen=True)
class Entry:
    """A run as a list shows it; `started` is ISO 8601 in UTC, `adapter` empty where the model came from memory."""

    run: str
    started: str
    seconds: float
    model: str
    revision: str
    adapter: str
    prompts: str
    documents: int
    tokens: int
    dtype: str
    seed: int
    aniso: str


def entry(run: Path) -> Entry:
    """Return a run as a list shows it, its profile unread; raises AnisoError where it is none or damaged."""
    record = store.load_record(run)
    try:
        model = msgspec.convert(record.model, ModelInfo)
        prompts = msgspec.convert(record.prompts, PromptsInfo | None)
        made = msgspec.convert(record.provenance, Provenance)
    except msgspec.ValidationError as error:
        message = f"{visible(run / store.RUN)} is damaged ({visible(error)}); measure it again."
        raise AnisoError(message) from error
    return Entry(
        run=str(run),
        started=made.started,
        seconds=made.seconds,
        model=model.name,
        revision=model.revision,
        adapter=str(record.request.get("adapter") or ""),
        prompts=prompts.name if prompts else "",
        documents=prompts.documents if prompts else 0,
        tokens=prompts.tokens if prompts else 0,
        dtype=model.dtype,
        seed=made.seed,
        aniso=made.versions.get("aniso", ""),
    )


def holds_runs(folder: Path) -> bool:
    """Return whether a folder is no run itself and a run lies in it."""
    with contextlib.suppress(OSError, ValueError):
        return not (folder / store.RUN).exists() and any((path / store.RUN).is_file() for path in folder.iterdir())
    return False


def entries(folder: Path) -> Iterator[Entry | AnisoError]:
    """Yield each run of a folder, and what is wrong with whatever else lies in it, numbers in names in their order.

    Hidden files and the report on the folder are passed over. Raises AnisoError where there is no such folder, or where
    it is a run itself.
    """
    if (folder / store.RUN).is_file():
        message = f"{visible(folder)} is a run itself: aniso runs show {visible(folder)}; name the folder it lies in."
        raise AnisoError(message)
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != store.REPORT]
    except (OSError, ValueError) as error:
        message = f"There is no folder of runs {visible(folder)} ({visible(error)}); `aniso profile` makes one."
        raise AnisoError(message) from error
    for path in sorted(found, key=lambda path: natural(path.name)):
        if path.suffix == store.UNFINISHED:
            yield AnisoError(store.not_whole(path))
            continue
        try:
            yield entry(path)
        except AnisoError as error:
            within = f"{visible(path)} is a folder of runs itself, as of a sweep: aniso runs list {visible(path)}."
            yield AnisoError(within) if holds_runs(path) else error


def require_run(path: Path) -> None:
    """Raise AnisoError where a path is not a folder that holds (some of) the files of a run and nothing else."""
    fault = _fault(path)
    if fault:
        message = f"{visible(path)} is not removed: {fault}."
        raise AnisoError(message)


def remove(run: Path) -> None:
    """Remove a run: it gets another name at once, so that it is never seen in half, and is then deleted.

    Links inside are removed and not followed. Raises AnisoError where `require_run` does, or where the system refuses.
    """
    require_run(run)
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{run.name}.", suffix=".tmp", dir=run.parent))
        try:
            run.replace(aside / run.name)
        finally:
            shutil.rmtree(aside)
    except OSError as error:
        message = f"Cannot remove {visible(run)}: {error.strerror}; see to whom the folder belongs."
        raise AnisoError(message) from error


def _fault(path: Path) -> str:
    """Return why a path is no run that may be removed, empty where it is one."""
    if path.is_symlink():
        return "it is a link to another place"
    if not path.is_dir():
        return "it is no run directory"
    names = {inside.name for inside in path.iterdir()}
    if len(names & _RECORDS) < _TELLING:
        return "it is no run directory"
    foreign = sorted(names - _RECORDS - {store.CONFIG, store.REPORT, store.STATES})
    return f"it holds {short(', '.join(foreign))}, which no run has; take that out first" if foreign else ""
