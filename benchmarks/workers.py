"""Measures what workers of Ray are worth: two against one, one against none, and runs whose workers are killed."""

import os
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from results import Target, cells, record
from subjects import smollm2, text_ids
from timing import seconds
from transformers import AutoTokenizer

from aniso_core import engine
from aniso_core.api import make_plan
from aniso_core.contracts import ModelRequest, Probe, Workers
from aniso_core.executing import Elsewhere
from aniso_core.plugins import registry
from aniso_core.records import Profile
from aniso_core.store import encode
from aniso_core.tokens import TOKEN_SETS, Document
from aniso_core.working import as_opened, facts
from aniso_ray.cluster import opened

TOKENS, SHARD, ROUNDS = 32_768, 8_192, 3
KILLS, SMALL = 20, 600
_WINDOW = 512  # tokens of a document
TWO, ONE = Target("at least", 1.8), Target("at most", 1.05)

NOTE = """\
SmolLM2-135M in float32 on {tokens:,} tokens in shards of {shard:,}, all usual metrics, workers of Ray on this machine;
each of them and the run's own process with one thread. Start and opening of the model left out: the workers have
measured a part of the text before. {rounds} rounds."""
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

    def measured(self, workers: Workers | None = None) -> Profile:
        """Return the profile."""
        plan = make_plan(None, streams=None, tokens=tuple(TOKEN_SETS), shard_tokens=self.shard_tokens)
        told = facts(registry(), self.adapter, self.request.model, self.probe, plan.owners)
        made = as_opened(self.request, self.probe)
        elsewhere = None if workers is None else Elsewhere(workers, self.adapter, made, told)
        return engine.profile(self.probe, self.documents, plan, "texts", elsewhere=elsewhere)


def main(rounds: int = ROUNDS, kills: int = KILLS) -> None:
    """Measure and write the tables."""
    torch.set_num_threads(1)
    known, request = registry(), ModelRequest(device="cpu", dtype="float32")
    documents = known.prompts("library128").load()
    same = killed(Subject("gemma", known.adapter("gemma").open(request), request, documents, SMALL), kills)
    rows = [(f"{kills}", f"{same}", *Target("at least", kills).cells(same))]
    record("Killed workers", ("killed", "the same", "target", "reached"), rows, KILLED.format(small=SMALL))
    note = NOTE.format(tokens=TOKENS, shard=SHARD, rounds=rounds)
    record("Workers", ("ratio", "median", "quartiles", "target", "reached"), speeds(rounds), note)


def speeds(rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of two workers against one, and of one against none."""
    probe = smollm2()
    (path,) = Path(os.environ.get("ANISO_SMOLLM2", ".cache/smollm2")).rglob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    ids = text_ids(probe, TOKENS)
    texts = [str(tokenizer.decode(ids[at : at + _WINDOW])) for at in range(0, TOKENS, _WINDOW)]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    subject = Subject("auto", probe, ModelRequest(str(path), device="cpu", dtype="float32"), documents, SHARD)
    one_over_two, one_over_none = [], []
    for _ in range(rounds):
        one, two = (by_workers(subject, number) for number in (1, 2))
        one_over_two.append(one / two)
        one_over_none.append(one / seconds(subject.measured))
    return [
        ("one worker's time over two workers'", *cells(one_over_two, TWO)),
        ("one worker's time over this process's", *cells(one_over_none, ONE)),
    ]


def by_workers(subject: Subject, number: int) -> float:
    """Return the seconds that so many workers of one thread take once they have opened the model."""
    with opened({"workers": f"{number}", "threads-per-worker": "1"}) as workers:
        replace(subject, documents=subject.documents[: SHARD * number // _WINDOW]).measured(workers)
        return seconds(lambda: subject.measured(workers))


def killed(subject: Subject, kills: int) -> int:
    """Return how many runs are the same to the bit, one worker of two being killed in each."""
    rng, wanted, same = random.Random(0), numbers(subject.measured()), 0  # noqa: S311 - times, no secrets
    with opened({"workers": "2", "threads-per-worker": "1"}) as workers:
        subject.measured(workers)
        took = seconds(lambda: subject.measured(workers))
        for _ in range(kills):
            killer = threading.Timer(rng.uniform(0, took), lambda: rng.choice(measurers()).kill())
            killer.start()
            same += numbers(subject.measured(workers)) == wanted
            killer.join()
    return same


def measurers() -> list[psutil.Process]:
    """Return the processes of workers that this process started."""
    return [each for each in psutil.Process().children(recursive=True) if each.name().startswith("ray::Measurer")]


def numbers(profile: Profile) -> tuple[object, ...]:
    """Return all that a profile holds but when it was made."""
    timeless = replace(profile.provenance, seconds=0.0, started="")
    bare = replace(profile, provenance=timeless, spectra=(), pseudo=(), arrays=())
    kept = [*(each.values for each in profile.spectra), *(each.values for each in profile.arrays)]
    return encode(bare), [values.tobytes() for values in kept]


if __name__ == "__main__":
    main()
