"""Kills runs, lets them go on, and compares what they come to with what an undisturbed run does.

A server that has everything loaded forks a process for each attempt, as starting Python anew would take most of the
time. Each attempt is the command itself, `aniso profile ... --resume`, with small shards and a state after each.
"""

import contextlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

# A process that forks may have no other threads.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from results import record
from same import contents

from aniso_core.cli import main as aniso
from aniso_core.plugins import registry
from aniso_core.store import UNFINISHED
from aniso_core.unfinished import Unfinished

KILLS, AGAIN, FRESH, ROUNDS, SEED = 100, 30, 10, 5, 0
TOGETHER = 20
SHARD_TOKENS, DOCUMENTS = 250, 8
_RUN = "run"
_CHANGING = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
_MOST = 20  # attempts; a run that needs more never ends

NOTE = """\
`aniso profile --resume` on the bundled Gemma model and the first {documents} documents of library128, all usual
metrics, a state stored after each shard of about {shard} tokens; killed with SIGKILL, then called again until it
was done, and compared with a run that nobody disturbed. The same means that every file of the run directory has the
same bytes, start and duration apart, and that nothing else was left beside it. At random: killed at a time drawn evenly
over the whole run ({seconds:.1f} s once everything is loaded), and at another where the run ended before; {again} of
these a second time. Before file operations: killed before each file or folder that is opened to be written, renamed or
removed, one after the other. Fresh processes: a Python of its own for each attempt, killed at random once there is a
state. At once: {together} processes started together on one run directory, without a kill; each ended done or with the
sentence that another process is measuring. The other columns say where the first kill fell."""


@dataclass(frozen=True)
class Outcome:
    """Where the first kill of a run fell, how often it was killed, and in what it differs in the end."""

    where: str
    kills: int
    differs: tuple[str, ...]


PLACES = ("before a state", "between states", "storing a state", "writing the run", "run written", "not at all")


def main(kills: int = KILLS, again: int = AGAIN, fresh: int = FRESH, rounds: int = ROUNDS) -> None:
    """Kill runs in the three ways, start some at once, and write the table."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        options = prepared(work)
        server = Server(work, options)
        rows = [
            row("at random", at_random(server, kills, again)),
            row("before file operations", at_operations(server)),
            row("fresh processes", in_fresh_processes(server, fresh)),
            row("at once", [at_once(server, TOGETHER) for _ in range(rounds)]),
        ]
        columns = ("killed", "runs", "kills", "the same", *PLACES)
        sizes = {"documents": DOCUMENTS, "shard": SHARD_TOKENS, "again": again, "together": TOGETHER}
        record("Killed runs", columns, rows, NOTE.format(seconds=server.seconds, **sizes))


def row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the row of a table; what differed is printed."""
    for outcome in outcomes:
        if outcome.differs:
            print(f"{name}: {outcome}")
    where = Counter(outcome.where for outcome in outcomes)
    same = sum(not outcome.differs for outcome in outcomes)
    counts = (len(outcomes), sum(outcome.kills for outcome in outcomes), same, *(where[place] for place in PLACES))
    return (name, *map(str, counts))


def prepared(work: Path) -> list[str]:
    """Return the options of a run on the bundled model, having written its text into a folder."""
    text = work / "text.jsonl"
    documents = registry().prompts("library128").load()[:DOCUMENTS]
    text.write_text("".join(json.dumps({"id": d.id, "text": d.text}) + "\n" for d in documents))
    return ["--adapter", "gemma", "--prompts", str(text), "--reporter", "csv", "--shard-tokens", str(SHARD_TOKENS)]


class Server:
    """Forks attempts at a run, and knows what an undisturbed one comes to."""

    def __init__(self, work: Path, options: Sequence[str]) -> None:
        """Load everything by measuring once, then measure undisturbed."""
        self.work, self._options = work, options
        self.folder = work / "runs"
        with emptied(self.folder), contextlib.suppress(SystemExit):
            aniso([*self.command, "--quiet"])
        with emptied(self.folder):
            begun = time.monotonic()
            if self.ran(None):
                raise RuntimeError((work / "said").read_text())
            self.seconds = time.monotonic() - begun
            self.wanted = contents(self.folder / _RUN)
        with emptied(self.folder):
            counter = work / "operations"
            self.ran(partial(_count_operations, self.folder, counter))
            self.operations = int(counter.read_text())

    def ran(self, prepare: Callable[[], None] | None, after: float | None = None) -> int:
        """Return how an attempt ended, its exit code or -9, killed `after` seconds or by what `prepare` sets up."""
        return _ended(self.begun(self.work / "said", prepare), after)

    def begun(self, said: Path, prepare: Callable[[], None] | None = None) -> int:
        """Return the process of an attempt, which writes what it says into a file."""
        process = os.fork()
        if not process:
            _attempt(self.command, prepare, said)
        return process

    @property
    def command(self) -> list[str]:
        """The command that is called again and again."""
        return ["profile", *self._options, "--out", str(self.folder / _RUN), "--resume"]

    def finish(self, where: str, kills: int) -> Outcome:
        """Call the command until it is done, and tell what the run came to."""
        for _ in range(_MOST):
            if (code := self.ran(None)) != -signal.SIGKILL:
                break
        differs = [] if code == 0 else [f"exit code {code}: {(self.work / 'said').read_text()[-500:]}"]
        got = contents(self.folder / _RUN) if (self.folder / _RUN).exists() else {}
        differs += [name for name in {*got, *self.wanted} if got.get(name) != self.wanted.get(name)]
        differs += [f"left {path.name}" for path in self.folder.iterdir() if path.name != _RUN]
        return Outcome(where, kills, tuple(differs))


def at_random(server: Server, count: int, again: int) -> list[Outcome]:
    """Return what became of runs that were killed at random times, the first `again` of them twice."""
    rng = random.Random(SEED)  # noqa: S311 - times, no secrets
    outcomes = []
    for number in range(count):
        with emptied(server.folder):
            # A run that ended before its time was killed at no point of it, so another time is drawn.
            while server.ran(None, after=rng.uniform(0, server.seconds)) != -signal.SIGKILL:
                shutil.rmtree(server.folder / _RUN)
            kills, where = 1, place(server.folder)
            if number < again:
                kills += server.ran(None, after=rng.uniform(0, server.seconds)) == -signal.SIGKILL
            outcomes.append(server.finish(where, kills))
    return outcomes


def at_operations(server: Server, every: int = 1) -> list[Outcome]:
    """Return what became of runs that were killed before a file operation, one run for each of them."""
    outcomes = []
    for number in range(1, server.operations + 1, every):
        with emptied(server.folder):
            code = server.ran(partial(signalled_before, number, server.folder))
            outcomes.append(server.finish(place(server.folder), int(code == -signal.SIGKILL)))
    return outcomes


def in_fresh_processes(server: Server, count: int) -> list[Outcome]:
    """Return what became of runs whose every attempt is a Python of its own, killed at random once there is a state."""
    rng = random.Random(SEED)  # noqa: S311 - times, no secrets
    begin = [sys.executable, __file__, *server.command]
    outcomes = []
    for _ in range(count):
        with emptied(server.folder):
            while _ended_fresh(begin, server.folder, rng.uniform(0, server.seconds)) != -signal.SIGKILL:
                shutil.rmtree(server.folder / _RUN)
            where = place(server.folder)
            subprocess.run(begin, check=True, capture_output=True)  # noqa: S603 - our own command
            outcomes.append(server.finish(where, 1))
    return outcomes


def _ended_fresh(command: Sequence[str], folder: Path, after: float) -> int:
    """Return how a process of its own ended, killed so many seconds after it stored a state if it takes longer."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        while process.poll() is None and not list(folder.glob(f"*{UNFINISHED}/state-*")):
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.kill()
    return process.returncode


def at_once(server: Server, count: int) -> Outcome:
    """Return what became of a run that many processes began at once: one of them measures, the others say why not."""
    with emptied(server.folder):
        said = [server.work / f"said-{number}" for number in range(count)]
        codes = [_ended(process, None) for process in [server.begun(each) for each in said]]
        wrong = [
            text
            for code, text in zip(codes, (each.read_text() for each in said), strict=True)
            if code and (code != 1 or "Another process is measuring" not in text.splitlines()[-1])
        ]
        outcome = server.finish("not at all", 0)
        return replace(outcome, differs=(*outcome.differs, *wrong))


def place(folder: Path) -> str:
    """Return where a run was when it was killed, by what it left."""
    unfinished = folder / f"{_RUN}{UNFINISHED}"
    if (folder / _RUN).exists():
        return "run written" if unfinished.exists() else "not at all"
    if list(folder.glob(f".{_RUN}.*.tmp")):
        return "writing the run"
    if list(unfinished.glob(".*tmp*")):
        return "storing a state"
    return "between states" if list(unfinished.glob("state-*")) else "before a state"


def _attempt(command: Sequence[str], prepare: Callable[[], None] | None = None, said: Path | None = None) -> None:
    """Run the command with a state after each shard, and end this process."""
    # A forked process makes torch's pool of threads anew, which those that load a model must not do all at once.
    torch.set_num_threads(1)
    module: Any = importlib.import_module("aniso_core.cli.profile")
    module.Unfinished = partial(Unfinished, every=0.0)
    code = 1
    try:
        if said is not None:
            for stream in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        if prepare is not None:
            prepare()
        aniso(command)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(process: int, after: float | None) -> int:
    """Return how a process ended, killed after so many seconds if it takes longer."""
    if after is not None:
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _on_operation(folder: Path, act: Callable[[], None]) -> None:
    """Call `act` before each file or folder is made, renamed or removed, in this process from now on."""

    def hook(event: str, told: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(told[2], int) and told[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _CHANGING or (writes and str(told[0]).startswith(str(folder))):
            act()

    sys.addaudithook(hook)


def signalled_before(number: int, folder: Path, sent: int = signal.SIGKILL) -> None:
    """Send this process a signal before its operation of that number, from 1."""
    count = itertools.count(1)

    def act() -> None:
        if next(count) == number:
            os.kill(os.getpid(), sent)

    _on_operation(folder, act)


def _count_operations(folder: Path, counter: Path) -> None:
    """Keep the number of operations so far in a file."""
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        os.pwrite(held, f"{count:09}".encode(), 0)

    held = os.open(counter, os.O_WRONLY | os.O_CREAT)
    _on_operation(folder, act)


@contextlib.contextmanager
def emptied(folder: Path) -> Any:
    """Make a folder, and remove it and all in it."""
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1:]:
        _attempt(sys.argv[1:])
    main()
