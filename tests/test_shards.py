"""Texts in shards: measured apart, merged in order, kept, and gone on with."""

import multiprocessing
import os
import re
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from aniso_core import AnisoError, engine
from aniso_core.fold import Fold
from aniso_core.metrics import aniso_metrics
from aniso_core.plugins import registry
from aniso_core.shards import cut
from aniso_core.statefile import Reached, states
from aniso_core.store import encode
from aniso_core.testing.profiles import _SeededProbe, example_profile
from aniso_core.tokens import Document, Window
from aniso_core.unfinished import Unfinished

METRICS = tuple(item.value for item in registry().items("metric"))
TEXTS = [f"text {i}: " + "the quick brown fox " * (1 + i % 3) for i in range(24)]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]
PROBE = _SeededProbe(replace(example_profile(metrics=aniso_metrics()[:1]).model, layers=3))
ASKED = {"model": "seeded", "documents": 24}


def measured(shard_tokens=150, unfinished=None, metrics=METRICS, probe=PROBE):
    plan = engine.Plan(metrics, shard_tokens=shard_tokens)
    return engine.profile(probe, DOCUMENTS, plan, "texts", unfinished=unfinished)


def numbers(profile):
    """Return all that a profile holds but when it was made, as bytes and arrays."""
    timeless = replace(profile.provenance, seconds=0.0, started="")
    bare = replace(profile, provenance=timeless, spectra=(), pseudo=(), arrays=())
    arrays = [record.values.tobytes() for record in (*profile.spectra, *profile.pseudo, *profile.arrays)]
    return encode(bare), arrays


@pytest.fixture(scope="module")
def whole():
    return measured()


def windows(*lengths):
    """Return windows of these lengths, two to a document."""
    return [Window((0,) * length, number // 2, 0, 0) for number, length in enumerate(lengths)]


def test_a_text_is_cut_between_documents():
    """Shards hold each window once, in order, whole documents each, and are full as soon as they have the tokens."""
    given = windows(5, 5, 3, 3, 9, 9, 1, 1, 2)
    shards = cut(given, 16)
    assert [window for shard in shards for window in shard.windows] == given
    assert [shard.number for shard in shards] == [0, 1, 2]
    assert [shard.tokens for shard in shards] == [16, 18, 4]
    assert [len(cut(given, tokens)) for tokens in (1, 10_000)] == [5, 1]
    assert cut([], 16) == []


@pytest.mark.parametrize("shard_tokens", [1, 150, 400])
def test_shards_change_no_value(shard_tokens):
    """However a text is cut, curves, intervals, spectra and kept arrays are the same but for rounding."""
    got, want = measured(shard_tokens), measured(10**9)
    assert got.counts == want.counts
    for mine, other in zip(got.curves, want.curves, strict=True):
        assert mine.missing == other.missing
        # States are multiplied in float32, and in other batches.
        assert np.allclose(mine.array(), other.array(), rtol=1e-4, atol=1e-7, equal_nan=True), mine.metric
    for mine, other in zip((*got.spectra, *got.arrays), (*want.spectra, *want.arrays), strict=True):
        assert mine.place == other.place
        assert np.allclose(mine.values, other.values, rtol=1e-5, atol=1e-6 * abs(other.values).max())


def test_shards_may_be_merged_one_by_one_or_not_at_all(whole):
    """The same shards give the same bits each time."""
    assert numbers(measured()) == numbers(whole)


def kept_all(tmp_path, **choices):
    """Return what keeps a state after each shard."""
    return Unfinished(tmp_path / "run", **({"resume": True, "every": 0.0, "tell": [].append} | choices))


REACHED = Reached(1, 10, 20, 1024, 0.0, "", {})


class StopError(Exception):
    """Ends a run."""


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_run_goes_on_where_it_was(after, tmp_path, whole):
    """A run that broke off after some shards is the same to the bit as one that did not, and leaves nothing behind."""
    first = broken_off(tmp_path, after)
    assert [path.name.split("-")[1] for path in states(first.folder)] == [f"{n:08}" for n in (after - 1, after) if n]
    seen, told = [], []
    second = kept_all(tmp_path, tell=told.append)
    with second.held():
        second.agree(ASKED)
        got = measured(unfinished=watching(second, seen))
    assert numbers(got) == numbers(whole)
    assert seen == list(range(after + 1, 7))
    assert re.fullmatch(r"Going on with .*run after [\d,]+ of [\d,]+ tokens, which took \d+ s\.", told[0])
    assert list(tmp_path.iterdir()) == []


def stopping(unfinished, after):
    """Make a run stop once so many shards are kept."""
    keep = unfinished.keep

    def kept(fold, reached):
        keep(fold, reached)
        if reached.shards == after:
            raise StopError

    unfinished.keep = kept
    return unfinished


def watching(unfinished, seen):
    """Note the shards after which a run offers its state."""
    keep = unfinished.keep

    def kept(fold, reached):
        seen.append(reached.shards)
        keep(fold, reached)

    unfinished.keep = kept
    return unfinished


def broken_off(tmp_path, after=3, asked=ASKED):
    first = kept_all(tmp_path)
    first.agree(asked)
    with pytest.raises(StopError), first.held():
        measured(unfinished=stopping(first, after))
    return first


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "gone"])
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_state_is_measured_again(damage, both, tmp_path, whole):
    """Where the last state is damaged the one before serves, and where both are the run starts anew; it is said."""
    kept = states(broken_off(tmp_path).folder)
    assert len(kept) == 2
    for path in kept if both else kept[1:]:
        data = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            middle = len(data) // 2
            changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            path.write_bytes({"cut": data[:middle], "empty": b"", "changed": changed}[damage])
    seen, told = [], []
    again = kept_all(tmp_path, tell=told.append)
    with again.held():
        got = measured(unfinished=watching(again, seen))
    assert numbers(got) == numbers(whole)
    assert seen[0] == (1 if both else 3)
    damaged = [text for text in told if "is damaged (its checksum is another)" in text]
    assert len(damaged) == (0 if damage == "gone" else 2 if both else 1)
    assert len(told) == len(damaged) + (not both)


def test_an_unfinished_run_is_not_overwritten(tmp_path):
    """Without --resume what is there is refused in one sentence, and left as it is."""
    before = sorted(path.name for path in broken_off(tmp_path).folder.iterdir())
    again = kept_all(tmp_path, resume=False)
    with (
        pytest.raises(AnisoError, match=r"run was begun and is not whole yet; add --resume to go on"),
        again.held(),
    ):
        again.agree(ASKED)
    assert sorted(path.name for path in again.folder.iterdir()) == before


def test_a_run_of_something_else_is_refused(tmp_path):
    """What differs is named with what it was and is; of lists what the other lacks."""
    broken_off(tmp_path, asked=ASKED | {"metric": ["a", "b", "c"], "seed": None})
    again = kept_all(tmp_path)
    wanted = (
        r"with something else: documents \(then 24, now 25\); metric \(then b, now nothing\); "
        r"seed \(then not given, now 1\)\. Ask for what it was begun with"
    )
    with pytest.raises(AnisoError, match=wanted), again.held():
        again.agree({"model": "seeded", "documents": 25, "metric": ["a", "c"], "seed": 1})


def test_other_tokens_are_refused(tmp_path):
    """A tokenizer that cuts the same texts otherwise is noticed, though nobody asked for anything else."""
    broken_off(tmp_path)
    again = kept_all(tmp_path)
    with pytest.raises(AnisoError, match=r"token ids \(then \w{12}, now \w{12}\)"), again.held():
        engine.profile(PROBE, DOCUMENTS[1:], engine.Plan(METRICS, shard_tokens=150), "texts", unfinished=again)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", None])
def test_a_damaged_record_of_what_was_asked_is_refused(data, tmp_path):
    """States of which nobody can tell what they are of are not gone on with, and not removed either."""
    asked = broken_off(tmp_path).folder / "asked.json"
    asked.unlink() if data is None else asked.write_bytes(data)
    again = kept_all(tmp_path)
    with pytest.raises(AnisoError, match=r"asked.json is damaged; remove .*run.unfinished to start anew"), again.held():
        again.agree(ASKED)
    assert again.is_kept


def test_a_run_without_a_state_leaves_nothing(tmp_path):
    """A run that broke off before anything was kept leaves no folder; one that is whole neither."""
    for every in (1e9, 0.0):
        once = kept_all(tmp_path, every=every)
        if every:
            with pytest.raises(StopError), once.held():
                raise StopError
        else:
            with once.held():
                measured(unfinished=once)
        assert list(tmp_path.iterdir()) == []


def test_states_are_not_stored_oftener_than_they_are_worth(tmp_path):
    """A state follows on another after the time given, and where storing takes long after twenty times as long."""
    once = kept_all(tmp_path, every=1e9)
    with once.held():
        once.keep(Fold(METRICS, []), REACHED)
        assert not once.is_kept
        once._every, once._took = 1e-9, 1e6
        once.keep(Fold(METRICS, []), REACHED)
        assert not once.is_kept
        once._took = 0.0
        once.keep(Fold(METRICS, []), REACHED)
        assert once.is_kept


class Unstorable:
    """A statistic that holds a function."""

    def __init__(self):
        self.made = lambda: 0

    def update(self, tokens):
        pass

    def merge(self, _other):
        return Unstorable()

    def result(self):
        return 1.0


def test_a_statistic_that_cannot_be_stored_is_named_and_the_run_is_whole(tmp_path):
    """The run goes on and says once that it could not be resumed, and why."""
    odd, told = replace(METRICS[0], name="odd", of=float, over=Unstorable), []
    once = kept_all(tmp_path, tell=told.append)
    with once.held():
        got = measured(unfinished=once, metrics=(odd, *aniso_metrics()))
        assert not once.can_go_on
    assert got.curve("odd").at(0) == 1.0
    (said,) = told
    assert said.startswith(
        "How far this run came could not be stored, so that it can be lost: the statistic of metric odd"
    )


def hold(folder, ready, done):
    """Hold a run in another process."""
    with kept_all(folder).held():
        ready.set()
        done.wait(60)


def test_a_second_process_is_refused_and_a_dead_one_is_not(tmp_path):
    """The lock holds while its process lives, and is free once that was killed."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with (
            pytest.raises(AnisoError, match=r"Another process is measuring .*run; wait for it"),
            kept_all(tmp_path).held(),
        ):
            pass
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.join(60)
    with kept_all(tmp_path).held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_half_written_is_removed(tmp_path, whole):
    """Files and folders under temporary names go once the run is taken up."""
    folder = broken_off(tmp_path).folder
    for name in (".abcdefg1.tmp", ".tmpaB3dE6"):
        (folder / name).write_bytes(b"half")
    (tmp_path / ".run.a2_4c678.tmp").mkdir()
    (tmp_path / ".run.a2_4c678.tmp" / "profile.json").touch()
    for other in (".other.tmp", ".run.b.12345678.tmp", ".run.tmp"):
        (tmp_path / other).touch()
    again = kept_all(tmp_path)
    with again.held():
        assert numbers(measured(unfinished=again)) == numbers(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.tmp", ".run.b.12345678.tmp", ".run.tmp"]


def test_a_folder_of_that_name_loses_nothing_of_its_own(tmp_path):
    """Where somebody else's files lie in a folder of the same name, they stay there."""
    once = kept_all(tmp_path)
    once.folder.mkdir()
    for name in ("thesis.txt", ".draft.tmp", "states"):
        (once.folder / name).touch()
    with once.held():
        measured(unfinished=once)
    assert sorted(path.name for path in once.folder.iterdir()) == [".draft.tmp", "states", "thesis.txt"]


def test_batches_stay_halved(tmp_path):
    """A run that is taken up goes on with the batches that memory allowed."""
    first = broken_off(tmp_path)
    fold = Fold(METRICS, [])
    with kept_all(tmp_path).held():
        reached = first.restore(fold, "cpu")
    assert reached.batch_tokens == 1024
    assert reached.shards == 3
    assert reached.seconds > 0
    assert time.strptime(reached.started[:19], "%Y-%m-%dT%H:%M:%S")
    assert all(not torch.is_tensor(value) or value.device.type == "cpu" for value in vars(fold).values())
