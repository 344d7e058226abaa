"""What a run that is not whole yet leaves behind, so that it goes on where it was: `RUN.unfinished`, beside RUN.

Shards are merged in order, so all that is known after some of them is one state of the fold. The newest two are kept,
each under a name with its checksum: where the last was damaged the one before it still serves.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.fold import Fold, FoldState
from aniso_core.records import Site
from aniso_core.text import visible

_SUFFIX = ".unfinished"
_ASKED, _LOCK, _STATE = "asked.json", "lock", "state-"
_KEPT = 2
_EVERY = 60.0  # seconds between states
_SHARE = 20.0  # times what storing one takes


@dataclass(frozen=True)
class Reached:
    """How far a run had come: shards, the padded tokens of a batch as far as memory allowed, seconds, its start."""

    shards: int
    batch_tokens: int
    seconds: float
    started: str


class Unfinished:
    """The folder of a run that is underway, locked; on leaving it is removed unless it holds a state.

    `asked` is what the result depends on, by name; a state of anything else is refused.
    """

    def __init__(self, run: Path, asked: Mapping[str, Any], *, resume: bool, every: float = _EVERY) -> None:
        """Name the folder; with `resume` it may hold states. `every` are seconds between states, 0 for one after each shard."""
        self._run = run
        self.folder = run.with_name(run.name + _SUFFIX)
        self._asked, self._resume, self._every = json.loads(json.dumps(asked)), resume, every
        self._last, self._took = time.monotonic(), 0.0
        self._trouble = ""
        self.remarks: list[str] = []
        """What the user is to be told: states that were damaged, statistics that cannot be stored."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder's lock; raises AnisoError where another process does, or a state is of another request."""
        from filelock import FileLock, Timeout

        self._make()
        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            message = f"Another process is measuring {visible(self._run)}; wait for it, or name another --out."
            raise AnisoError(message) from error
        try:
            self._begin()
            yield
            self._remove()
        except BaseException:
            if not self._states():
                self._remove()
            raise
        finally:
            lock.release()

    def restore(self, fold: Fold, device: str) -> Reached | None:
        """Put the newest whole state into an empty fold; return how far it had come, None where there is none."""
        for path in reversed(self._states()):
            try:
                state, progress = _read(path)
                fold.restore(state, device)
            except (ValueError, TypeError, KeyError, OSError) as error:
                self.remarks.append(f"{visible(path.name)} is damaged ({visible(error)}) and is measured again")
                path.unlink(missing_ok=True)
            else:
                return progress
        return None

    def keep(self, fold: Fold, progress: Reached) -> None:
        """Store the state of a fold where the last one is old enough to be worth it."""
        wait = self._every and max(self._every, _SHARE * self._took)
        if self._trouble or time.monotonic() - self._last < wait:
            return
        begun = time.monotonic()
        try:
            _write(self.folder, fold.state(), progress)
        except (AnisoError, OSError) as error:
            # The run itself can still become whole.
            self._trouble = f"this run cannot be resumed should it break off: {error}"
            self.remarks.append(self._trouble)
        for path in self._states()[:-_KEPT]:
            path.unlink()
        self._last = time.monotonic()
        self._took = self._last - begun

    def _make(self) -> None:
        try:
            self._run.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"Cannot write {visible(self.folder)}: {error.strerror}; name another place with --out."
            raise AnisoError(message) from error

    def _begin(self) -> None:
        """Refuse what is of another request, and remove what a process that died left half-written."""
        for path in (*self.folder.glob(".*.tmp"), *self._run.parent.glob(f".{self._run.name}.*.tmp")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self._states():
            store.write_file(self.folder / _ASKED, json.dumps(self._asked, indent=1).encode())
            return
        if not self._resume:
            message = (
                f"{visible(self._run)} was begun and is not whole yet; add --resume to go on with it, or remove "
                f"{visible(self.folder)}."
            )
            raise AnisoError(message)
        try:
            before = json.loads((self.folder / _ASKED).read_bytes())
        except (OSError, ValueError):
            before = {}
        other = [
            f"{name} (then {_shown(before.get(name))}, now {_shown(self._asked.get(name))})"
            for name in sorted({*before, *self._asked})
            if before.get(name) != self._asked.get(name)
        ]
        if other:
            message = (
                f"{visible(self._run)} was begun with something else: {'; '.join(other)}. Ask for what it was begun "
                f"with, or remove {visible(self.folder)} to start anew."
            )
            raise AnisoError(message)

    def _states(self) -> list[Path]:
        """Return the files of states, oldest first."""
        return sorted(self.folder.glob(f"{_STATE}*.safetensors"))

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else visible(value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - two to a line


def _write(folder: Path, state: FoldState, progress: Reached) -> None:
    """Write a state: under another name first, synced, then renamed to one with its checksum."""
    from safetensors.torch import save_file

    entries = [(metric, site.stream, site.layer, name, packed) for (metric, site, name), packed in state.held.items()]
    arrays = {
        f"{number}/{place}": array
        for number, (*_, packed) in enumerate(entries)
        for place, array in enumerate(packed.arrays)
    }
    told = {
        "held": [[*place, packed.tree] for *place, packed in entries],
        "counts": [[site.stream, site.layer, name, count] for (site, name), count in state.counts.items()],
        "failed": state.failed,
        "said": state.said,
        "progress": vars(progress),
    }
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp", delete=False) as made:
        path = Path(made.name)
    try:
        save_file(arrays, path, {"state": json.dumps(told)})
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        path.replace(folder / f"{_STATE}{progress.shards:08}-{digest}.safetensors")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[FoldState, Reached]:
    """Return what `_write` wrote; raises ValueError, KeyError or TypeError where the file is damaged."""
    from safetensors import SafetensorError, safe_open

    from aniso_core.states import State

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not path.stem.endswith(f"-{digest}"):
        message = "its checksum is another"
        raise ValueError(message)
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["state"])
            arrays: dict[int, dict[int, Any]] = {}
            names: list[str] = list(file.keys())
            for name in names:
                number, place = map(int, name.split("/"))
                arrays.setdefault(number, {})[place] = file.get_tensor(name)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    held = {}
    for number, (metric, stream, layer, name, tree) in enumerate(told["held"]):
        own = tuple(array for _, array in sorted(arrays.get(number, {}).items()))
        held[metric, Site(layer, stream), name] = State(tree, own)
    counts = {(Site(layer, stream), name): count for stream, layer, name, count in told["counts"]}
    return FoldState(held, counts, told["failed"], told["said"]), Reached(**told["progress"])
