"""What a run that is not whole yet leaves behind, so that it goes on where it was: `RUN.unfinished`, beside RUN.

Shards are merged in order, so all that is known after some of them is one state of the fold. The newest two are kept,
each under a name with its checksum: where the last was damaged the one before it still serves.
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aniso_core import store
from aniso_core.errors import AnisoError, OutOfRangeError, out_of_memory
from aniso_core.fold import Fold
from aniso_core.statefile import Reached, read, states, write
from aniso_core.text import short, visible

if TYPE_CHECKING:
    from filelock import BaseFileLock

_ASKED, _LOCK = "asked.json", "lock"
_KEPT = 2
_EVERY = 60.0  # seconds between states
_SHARE = 20.0  # times what storing one takes
_IN_FULL, _BY_NAME = 4, 3  # differences that fit a sentence: so many with both sides, so many more by name

DESCRIBED_BY = {"texts": "prompts"}
"""Checksums among what a result depends on, each with the entry that says in words what it is of. The words may differ
where the checksum does not: a file of the same texts may have another name."""


class Unfinished:
    """The folder of a run that is underway, and what it holds: states, and what the result depends on."""

    def __init__(
        self,
        run: Path,
        *,
        resume: bool,
        tell: Callable[[str], object],
        every: float = _EVERY,
        keeps: bool = False,
    ) -> None:
        """Name the folder; with `resume` it may hold states.

        `tell` is told in a sentence what the user should know at once. `every` are seconds between states, 0 for one
        after each shard. With `keeps` one state is there until the run is whole, to be put into it.
        """
        self._run = run
        self.folder = run.with_name(run.name + store.UNFINISHED)
        self._resume, self._tell, self._every, self._keeps = resume, tell, every, keeps
        self._last, self._took = time.monotonic(), 0.0
        self._troubled = self._agreed = False
        self.asked: dict[str, Any] = {}
        """What the result depends on, by name."""
        self.settled: Path | None = None
        """The state that the run keeps when it is whole."""

    @property
    def is_kept(self) -> bool:
        """Whether a state is there from which the run can go on."""
        return bool(states(self.folder))

    @property
    def can_go_on(self) -> bool:
        """Whether there is a state, and of this very run."""
        return self._agreed and self.is_kept

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder; when the block is left it is removed, unless it breaks off and there is a state.

        Raises AnisoError where another process holds it, or where it cannot be made.
        """
        lock = self._locked()
        try:
            self._sweep()
            yield
            self._remove()
        except OutOfRangeError:
            self._remove()  # whoever goes on would only meet the same states again
            raise
        except BaseException:
            if not self.is_kept:
                self._remove()
            raise
        finally:
            lock.release()

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Note what the result depends on, by name; raises AnisoError where states are of a run that differs in it."""
        plain = json.loads(json.dumps(facts))
        self.asked |= plain
        if not self.is_kept:
            return
        if not self._resume:
            message = (
                f"{visible(self._run)} was begun and is not whole yet; add --resume to go on with it, or remove "
                f"{visible(self.folder)} to start anew."
            )
            raise AnisoError(message)
        try:
            before = {name: value for name, value in self._before().items() if name in plain}
        except (OSError, ValueError, AttributeError) as error:
            message = f"{visible(self.folder / _ASKED)} is damaged; remove {visible(self.folder)} to start anew."
            raise AnisoError(message) from error
        if other := differences(before, plain):
            message = (
                f"{visible(self._run)} was begun with something else: {other}. Ask for what it was begun with, or "
                f"remove {visible(self.folder)} to start anew."
            )
            raise AnisoError(message)

    def restore(self, fold: Fold, device: str) -> Reached | None:
        """Put the newest whole state into an empty fold; return how far it had come, None where there is none.

        `device` is the model's; where it is on several, each array goes back to its own.
        """
        self._agreed = True
        for path in reversed(states(self.folder)):
            try:
                state, reached = read(path)
                fold.restore(state, None if "," in device else device)
            except OSError as error:
                message = (
                    f"Cannot read {visible(path)} ({error.strerror}); mend that, or remove {visible(self.folder)}."
                )
                raise AnisoError(message) from error
            except (ValueError, TypeError, KeyError) as error:
                self._tell(f"{visible(path)} is damaged ({visible(error)}), so that its part is measured again.")
                path.unlink()
            else:
                self._tell(
                    f"Going on with {visible(self._run)} after {reached.tokens:,} of {reached.total:,} tokens, which "
                    f"took {reached.seconds:.0f} s."
                )
                return reached
        return None

    def keep(self, fold: Fold, reached: Reached) -> None:
        """Store the state of a fold where the last one is old enough to be worth it."""
        wait = self._every and max(self._every, _SHARE * self._took)
        # What follows on the state that the run keeps is less than a shard, and no newer one may take its place.
        if self.settled is None and time.monotonic() - self._last >= wait:
            self._store(fold, reached)

    def settle(self, fold: Fold, reached: Reached) -> None:
        """Store the state that the run keeps, where it keeps one and has not stored it yet; no other follows on it."""
        if not self._keeps:
            return
        if not states(self.folder, reached.shards):
            self._store(fold, reached)
        self.settled = next(iter(states(self.folder, reached.shards)), None)

    def _store(self, fold: Fold, reached: Reached) -> None:
        """Store the state of a fold; where there is no room for it that is told, and the run goes on."""
        begun = time.monotonic()
        try:
            store.write_file(self.folder / _ASKED, json.dumps(self.asked, indent=1).encode())
            write(self.folder, fold.state(), reached)
        except Exception as error:
            if not isinstance(error, AnisoError | OSError) and not out_of_memory(error):
                raise
            # The run itself can still become whole, and the next state may find room.
            if not self._troubled:
                self._tell(f"How far this run came could not be stored, so that it can be lost: {visible(error)}")
            self._troubled = True
        for path in states(self.folder)[:-_KEPT]:
            path.unlink()
        self._last = time.monotonic()
        self._took = self._last - begun

    def _locked(self) -> "BaseFileLock":
        """Return the lock of the folder, acquired; it is free again as soon as its process has ended, however."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            message = f"Another process is measuring {visible(self._run)}; wait for it, or name another --out."
            raise AnisoError(message) from error
        except OSError as error:
            message = f"Cannot write {visible(self.folder)}: {error.strerror}; name another place with --out."
            raise AnisoError(message) from error
        return lock

    def _sweep(self) -> None:
        """Remove what a process that died left half-written: states here, and the run beside."""
        for path in self.folder.iterdir():
            # Names of Python's tempfile, and of safetensors', which writes to one of its own first.
            if re.fullmatch(r"\.[a-z0-9_]{8}\.tmp|\.tmp[A-Za-z0-9]{6}", path.name):
                path.unlink()
        for path in self._run.parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(self._run.name)}\.[a-z0-9_]{{8}}\.tmp", path.name):
                shutil.rmtree(path)

    def _before(self) -> dict[str, Any]:
        before: dict[str, Any] = json.loads((self.folder / _ASKED).read_bytes())
        return before

    def _remove(self) -> None:
        # States go first: without what they are of they would be in the way. What is not ours stays.
        for path in (*states(self.folder), self.folder / _ASKED, self.folder / _LOCK):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def differences(before: Mapping[str, Any], now: Mapping[str, Any], words: tuple[str, str] = ("then", "now")) -> str:
    """Return in which names two requests differ, with what was asked for then and now; empty where in none.

    Of lists only what the other lacks is told, and of many differences the first; others are named, or counted.
    `words` say which of two is which.
    """
    names = dict.fromkeys((*now, *before))
    differing = [name for name in names if before.get(name) != now.get(name) and name not in DESCRIBED_BY.values()]
    told = []
    for name in differing[:_IN_FULL]:
        then, today = _shown(name, before, now)
        told.append(f"{name} ({words[0]} {then}, {words[1]} {today})")
    named, more = differing[_IN_FULL:][:_BY_NAME], len(differing) - _IN_FULL - _BY_NAME
    if named:
        told.append(f"also {', '.join(named)}" + (f" and {more} more" if more > 0 else ""))
    return "; ".join(told)


def _shown(name: str, *sides: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a name stands for on either side of a difference, in words."""
    values: list[Any] = [side.get(name) for side in sides]
    if all(isinstance(value, list) for value in values):
        lacking = [[each for each in one if each not in other] for one, other in (values, values[::-1])]
        values = lacking if any(lacking) else values
    for value, side in zip(values, sides, strict=True):
        described = side.get(DESCRIBED_BY.get(name, ""))
        yield f"{short(described)}, SHA-256 {_words(value)}" if described else _words(value)


def _words(value: Any) -> str:
    if value in (None, ""):
        return "not given"
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{40,}", text) else short(text)
