"""Measures what workers of Ray are worth: two against one, one against none, and runs whose workers are killed."""

import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from results import Target, cells, record
from subjects import cut, smollm2, text_ids
from timing import seconds
from transformers import AutoTokenizer
from ways import BATCH_TOKENS, bare

from aniso_core import engine
from aniso_core.api import make_plan
from aniso_core.batches import Batch, plan_batches
from aniso_core.contracts import ModelRequest, Probe, Workers
from aniso_core.engine import Progress, unheard
from aniso_core.executing import Elsewhere
from aniso_core.plugins import registry
from aniso_core.records import Profile
from aniso_core.store import encode
from aniso_core.tokens import TOKEN_SETS, Document
from aniso_core.transformer import TransformerProbe
from aniso_core.working import as_opened, facts
from aniso_ray.cluster import opened

TOKENS, SHARD, PASSED, ROUNDS = 32_768, 8_192, 2_048, 3
KILLS, SMALL = 20, 600
_WINDOW = 512  # tokens of a document
_OPENING = 60.0  # seconds, in which two processes have opened the model
TWO, ONE = Target("at least", 1.8), Target("at most", 1.05)

NOTE = """\
SmolLM2-135M in float32 on {tokens:,} tokens in shards of {shard:,}, all usual metrics, workers of Ray on this machine;
each of them and the run's own process with one thread. Start and opening of the model left out: the workers have
measured a part of the text before. What comes after the last shard, spectra and intervals, is the run's own process's
alone, so that two of them can be faster by no more than the second row says. {rounds} rounds."""
MISSED = """\
Why two workers are not 1.8 times as fast on two cores: they can at most be as fast as the second row says, and a bare
forward pass slows down where another process runs the same beside it (Side by side). What is lost beyond these two was
not found out."""
BESIDE = """\
A bare forward pass of SmolLM2-135M in float32 over {tokens:,} tokens in windows of {window}, by a process with one
thread: the later of two such processes that begin at once, over one alone. {rounds} rounds, one after the other."""
KILLED = """\
The bundled Gemma model on library128 in shards of {small} tokens, all usual metrics, two workers of Ray on this
machine; one of them is killed with SIGKILL at a time drawn evenly over the run. The same means that all numbers are to
the bit those that this process measures."""


@dataclass(frozen=True)
class Subject:
    """A model that this process opened, and how it is measured here or by workers."""

    adapter: str
    probe: Probe
    request: ModelRequest
    documents: Sequence[Document]
    shard_tokens: int

    def measured(self, workers: Workers | None = None, progress: Progress = unheard) -> Profile:
        """Return the profile."""
        plan = make_plan(None, streams=None, tokens=tuple(TOKEN_SETS), shard_tokens=self.shard_tokens)
        told = facts(registry(), self.adapter, self.request.model, self.probe, plan.owners)
        made = as_opened(self.request, self.probe)
        elsewhere = None if workers is None else Elsewhere(workers, self.adapter, made, told)
        return engine.profile(self.probe, self.documents, plan, "texts", progress=progress, elsewhere=elsewhere)


class Timed(NamedTuple):
    """Seconds of a run, and those of them that came after the last shard."""

    whole: float
    after: float


def main(rounds: int = ROUNDS, kills: int = KILLS) -> None:
    """Measure and write the tables."""
    torch.set_num_threads(1)
    known, request = registry(), ModelRequest(device="cpu", dtype="float32")
    documents = known.prompts("library128").load()
    same = killed(Subject("gemma", known.adapter("gemma").open(request), request, documents, SMALL), kills)
    rows = [(f"{kills}", f"{same}", *Target("at least", kills).cells(same))]
    record("Killed workers", ("killed", "the same", "target", "reached"), rows, KILLED.format(small=SMALL))
    note = BESIDE.format(tokens=PASSED, window=_WINDOW, rounds=rounds)
    record(
        "Side by side", ("ratio", "median", "quartiles"), [("two at once over one", *cells(beside(rounds))[:2])], note
    )
    note = NOTE.format(tokens=TOKENS, shard=SHARD, rounds=rounds)
    record("Workers", ("ratio", "median", "quartiles", "target", "reached"), speeds(rounds), note, MISSED)


def speeds(rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of two workers against one, and of one against none."""
    probe = smollm2()
    (path,) = Path(os.environ.get("ANISO_SMOLLM2", ".cache/smollm2")).rglob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    ids = text_ids(probe, TOKENS)
    texts = [str(tokenizer.decode(ids[at : at + _WINDOW])) for at in range(0, TOKENS, _WINDOW)]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    subject = Subject("auto", probe, ModelRequest(str(path), device="cpu", dtype="float32"), documents, SHARD)
    two, bound, none, after = [], [], [], []
    for _ in range(rounds):
        by_one, by_two = (by_workers(subject, number) for number in (1, 2))
        two.append(by_one.whole / by_two.whole)
        bound.append(by_one.whole / ((by_one.whole + by_one.after) / 2))
        none.append(by_one.whole / timed(subject).whole)
        after.append(by_one.after / by_one.whole)
    return [
        ("one worker's time over two workers'", *cells(two, TWO)),
        ("the same at most, what comes after the last shard left whole", *cells(bound)),
        ("one worker's time over this process's", *cells(none, ONE)),
        ("what comes after the last shard over one worker's time", *cells(after)),
    ]


def by_workers(subject: Subject, number: int) -> Timed:
    """Return the seconds that so many workers of one thread take once they have opened the model."""
    with opened({"workers": f"{number}", "threads-per-worker": "1"}) as workers:
        replace(subject, documents=subject.documents[: SHARD * number // _WINDOW]).measured(workers)
        return timed(subject, workers)


def timed(subject: Subject, workers: Workers | None = None) -> Timed:
    """Return the seconds of a run."""
    asked: list[float] = []

    def progress(phase: str, _done: int, _total: int) -> None:
        if phase == "spectra" and not asked:
            asked.append(time.monotonic())

    start = time.monotonic()
    subject.measured(workers, progress)
    end = time.monotonic()
    return Timed(end - start, end - asked[0])


def beside(rounds: int) -> list[float]:
    """Return how many times as long a bare pass takes where another process runs the same at the same time."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:

        def slowest(processes: int, wait: float) -> float:
            begin = time.time() + wait
            running = [pool.submit(bare_pass, begin) for _ in range(processes)]
            return max(each.result() for each in running)

        slowest(2, _OPENING)
        return [slowest(2, 1) / slowest(1, 0) for _ in range(rounds)]


def bare_pass(begin: float) -> float:
    """Return the seconds of a bare pass with one thread, begun at a Unix time."""
    torch.set_num_threads(1)
    probe, batches = _opened()
    time.sleep(max(0.0, begin - time.time()))
    return sum(seconds(partial(bare, probe, batch)) for batch in batches)


@cache
def _opened() -> tuple[TransformerProbe, Sequence[Batch]]:
    probe = smollm2()
    return probe, plan_batches(cut(text_ids(probe, PASSED), _WINDOW), BATCH_TOKENS)


def killed(subject: Subject, kills: int) -> int:
    """Return how many runs are the same to the bit, one worker of two being killed in each."""
    rng, wanted = random.Random(0), numbers(subject.measured())  # noqa: S311 - times, no secrets
    same: list[bool] = []
    with opened({"workers": "2", "threads-per-worker": "1"}) as workers:
        subject.measured(workers)
        took = seconds(lambda: subject.measured(workers))
        while len(same) < kills:
            hit = threading.Event()
            killer = threading.Timer(rng.uniform(0, took), kill_one, (rng, hit))
            killer.start()
            got = numbers(subject.measured(workers))
            killer.cancel()
            if hit.is_set():  # a run that ended before it was hit says nothing, so another time is drawn
                same.append(got == wanted)
    return sum(same)


def kill_one(rng: random.Random, hit: threading.Event) -> None:
    """Kill a worker, and set `hit` where there was one."""
    if found := measurers():
        rng.choice(found).kill()
        hit.set()


def measurers() -> list[psutil.Process]:
    """Return the processes of workers that this process started."""
    return [each for each in psutil.Process().children(recursive=True) if each.name().startswith("ray::Measurer")]


def numbers(profile: Profile) -> tuple[bytes, list[bytes]]:
    """Return all that a profile holds but when it was made."""
    timeless = replace(profile.provenance, seconds=0.0, started="")
    bare = replace(profile, provenance=timeless, spectra=(), pseudo=(), arrays=())
    kept = [each.values for part in (profile.spectra, profile.pseudo, profile.arrays) for each in part]
    return encode(bare), [values.tobytes() for values in kept]


if __name__ == "__main__":
    main()
