"""More text added to a finished run: `aniso profile --keep-states` and `aniso extend`."""

import importlib
import json
import re
import shlex
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FEW as BRIEF
from conftest import TEXTS, Ran

import aniso_core
from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.extending import Earlier
from aniso_core.running import RunningMoments
from aniso_core.statefile import read, states
from aniso_core.tokens import Tokens
from aniso_core.unfinished import Unfinished

SHARD = 40
SMALL = ("--shard-tokens", str(SHARD))
FEW = (*BRIEF, *SMALL)
MORE = tuple(f"{number} {text}" for number, text in enumerate(TEXTS))


@pytest.fixture(autouse=True)
def every_state(monkeypatch):
    """Keep a state after each shard, however soon it follows."""
    module = importlib.import_module("aniso_core.cli.profile")
    monkeypatch.setattr(module, "Unfinished", partial(Unfinished, every=0.0))


@pytest.fixture
def file(tmp_path):
    """Return a function that writes texts into a file of prompts, one a line."""

    def write(name: str, texts) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def begun(measure, file):
    """Return a function that measures texts and keeps the states, into `run`."""

    def run(texts=TEXTS, *options, **where) -> Path:
        ran = measure(*SMALL, *(options or BRIEF), "--keep-states", prompts=file("begin.txt", texts), **where)
        assert ran.code == 0, ran.err
        return ran.run

    return run


@pytest.fixture
def extend(aniso, file):
    """Return a function that adds texts to a run, and returns how that ended, with the new run."""

    def run(earlier: Path, texts=MORE, *options, name="more.txt") -> Ran:
        ran = aniso("extend", earlier, "--prompts", file(name, texts), *options)
        return Ran(ran.code, ran.out, ran.err, Path(ran.out.strip()))

    return run


@pytest.fixture
def at_once(measure, file):
    """Return a function that measures all texts in one run, `both`."""

    def run(texts, *options) -> Path:
        ran = measure(*SMALL, *(options or BRIEF), prompts=file("both.txt", texts), out="both")
        assert ran.code == 0, ran.err
        return ran.run

    return run


@pytest.fixture
def extended(begun, extend, at_once):
    """Return a function that measures some texts, adds more, and measures all at once; it returns the three runs."""

    def run(texts=TEXTS, more=MORE, options=()) -> tuple[Path, Path, Path]:
        earlier = begun(texts, *options)
        ran = extend(earlier, more)
        assert ran.code == 0, ran.err
        return earlier, ran.run, at_once((*texts, *more), *options)

    return run


def numbers(run: Path):
    """Return all that a run says, but for what its prompts are called and when it was measured."""
    profile = json.loads((run / "profile.json").read_text())
    profile["prompts"]["name"] = ""
    profile["provenance"] |= {"started": "", "seconds": 0}
    verdicts = (run / "verdicts.json").read_bytes()
    return profile, verdicts, (run / "arrays.safetensors").read_bytes()


def kept(run: Path) -> int:
    """Return after how many shards a run kept its state."""
    (path,) = states(run / store.STATES)
    return read(path)[1].shards


def tokens(run: Path) -> int:
    """Return how many tokens the state of a run holds."""
    return read(states(run / store.STATES)[0])[1].tokens


def contents(run: Path) -> dict[str, bytes]:
    """Return the files of a run by name."""
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


# What comes out


@pytest.mark.parametrize("split", [1, 2, 3, 5, 7])
def test_an_extended_run_is_that_of_both_texts(split, begun, extend, at_once):
    """Curves, intervals, spectra and verdicts are those of one run over both texts, to the bit, wherever they part."""
    texts = (*TEXTS, *MORE)
    earlier = begun(texts[:split])
    before = contents(earlier)
    ran = extend(earlier, texts[split:])
    assert (ran.code, ran.run) == (0, earlier.with_name("run+more"))
    want = at_once(texts)
    assert numbers(ran.run) == numbers(want)
    assert contents(earlier) == before
    assert sorted(path.name for path in ran.run.parent.iterdir() if path.is_dir()) == ["both", "run", "run+more"]
    assert aniso_core.load(ran.run).prompts.name == "begin.txt+more.txt"


def test_only_what_is_not_kept_is_measured(begun, extend, monkeypatch):
    """The model sees the tokens after the last full shard of the first text, and no others; it is said how many."""
    from aniso_core import engine

    earlier, seen = begun(TEXTS[:3]), []
    held, total = tokens(earlier), aniso_core.load(earlier).prompts.tokens
    assert SHARD <= held < total < held + SHARD
    measured = engine.measure

    def counting(probe, sites, part, windows, *given, **more):
        seen.append(sum(len(window.ids) for window in windows))
        return measured(probe, sites, part, windows, *given, **more)

    monkeypatch.setattr(engine, "measure", counting)
    ran = extend(earlier)
    assert sum(seen) == aniso_core.load(ran.run).prompts.tokens - held
    assert f"{total - held} of its {total} tokens must be measured again" in ran.err
    assert "Read 4 documents from more.txt, to be added to the 3 of begin.txt.\n" in ran.err


@pytest.mark.parametrize(("size", "full"), [(10_000, 0), (1, 4)])
def test_shards_may_be_none_or_all_full(size, full, extended):
    """A text that fills no shard is measured again, one whose last shard is full as well is not, and both come out."""
    earlier, got, want = extended(options=(*BRIEF, "--shard-tokens", str(size)))
    assert kept(earlier) == full
    assert numbers(got) == numbers(want)


def test_a_run_may_be_extended_again(begun, extend, at_once):
    """An extended run keeps its states too, and what is added to it comes to the same as all texts at once."""
    second = extend(begun(TEXTS[:3]), TEXTS[3:]).run
    assert kept(second) > 0
    ran = extend(second, MORE, name="again.txt")
    assert ran.run.name == "run+more+again"
    want = at_once((*TEXTS, *MORE), *FEW, "--keep-states")
    assert numbers(ran.run) == numbers(want)
    assert kept(ran.run) == kept(want)
    ids = [json.loads(line)["id"] for line in (ran.run / "states" / "documents.jsonl").read_text().splitlines()]
    assert ids == [str(number) for number in range(1, 9)]


def test_repeated_texts_are_one_unit(begun, extend, at_once):
    """A text that is added again is counted as in one run, and left out with the one that was there."""
    texts = (*MORE[:2], TEXTS[1], TEXTS[1])
    got = extend(begun(), texts).run
    assert numbers(got) == numbers(at_once((*TEXTS, *texts)))
    prompts = aniso_core.load(got).prompts
    assert (prompts.documents, prompts.duplicates, prompts.units) == (8, 2, 6)


MANY = tuple(f"{number} of the {number % 7} ships, {'seven ' * (number % 3)}lamps" for number in range(130))
BY_UNIT = {"cross-fit-share", "curvature", "layer-cosine"}
"""Metrics whose values are themselves made of what units hold."""
SOME = tuple(w for name in (*sorted(BY_UNIT), "participation-ratio", "norm-cv") for w in ("--metric", name))


@pytest.mark.parametrize("cuts", [(10, 70), (60, 70, 130)])
def test_units_that_become_coarser_are_joined(cuts, begun, extend, at_once):
    """Above 64 documents values are those of one run to the bit, what is made of units but for rounding."""
    run = begun(MANY[: cuts[0]], *SOME)
    for start, stop in pairwise(cuts):
        ran = extend(run, MANY[start:stop])
        assert ran.code == 0, ran.err
        run = ran.run
    want = aniso_core.load(at_once(MANY[: cuts[-1]], *SOME))
    got = aniso_core.load(run)
    assert got.prompts.units == want.prompts.units < cuts[-1]
    assert got.counts == want.counts
    bounded = 0
    for mine, other in zip(got.curves, want.curves, strict=True):
        assert mine.values == other.values or mine.metric in BY_UNIT, mine.metric
        assert [bound is None for bound in mine.low] == [bound is None for bound in other.low]
        for name in ("values", "low", "high", "se"):
            found, wanted = (np.array(getattr(curve, name), dtype=float) for curve in (mine, other))
            bounded += int(np.isfinite(wanted).sum())
            # Sums of units are float32, and rounded once more where they were joined.
            scale = np.nanmax(np.abs(wanted), initial=1e-9)
            assert np.allclose(found, wanted, rtol=1e-3, atol=1e-4 * scale, equal_nan=True), (mine.metric, name)
    assert bounded > 200


def test_joined_units_are_those_that_came_as_one():
    """Moments whose units are joined leave out what moments that were given the joined units do."""
    rows = torch.randn((120, 8), generator=torch.Generator().manual_seed(0))
    fine, coarse = RunningMoments(), RunningMoments()
    for start in range(0, 120, 20):
        units = range(start // 10, start // 10 + 2)
        fine.update(Tokens.of(rows[start : start + 20], [unit for unit in units for _ in range(10)]))
        coarse.update(Tokens.of(rows[start : start + 20], [unit // 4 for unit in units for _ in range(10)]))
    before = sorted(fine.result().without_each())
    found, wanted = fine.regrouped(4).result().without_each(), coarse.result().without_each()
    assert sorted(found) == sorted(wanted) == [0, 1, 2]
    for unit, left in found.items():
        assert left.trace == pytest.approx(wanted[unit].trace, rel=1e-5)
        assert left.mean == pytest.approx(wanted[unit].mean, abs=1e-6)
    assert sorted(fine.result().without_each()) == before == list(range(12))


STATISTIC = """
from aniso_core import Metric, hookimpl


class Count:
    def __init__(self, units=()):
        self.units = dict(units)

    def update(self, tokens):
        for unit, number in tokens.runs:
            self.units[unit] = self.units.get(unit, 0) + number

    def merge(self, other):
        both = Count(self.units)
        for unit, number in other.units.items():
            both.units[unit] = both.units.get(unit, 0) + number
        return both

    def result(self):
        return Counted(self.units)


class Counted:
    def __init__(self, units):
        self.units = units

    def {method}(self):
        return {{unit: Counted({{u: n for u, n in self.units.items() if u != unit}}) for unit in self.units}}


@hookimpl
def aniso_metrics():
    return [Metric("odd", lambda found: sum(found.units.values()), over=Count)]
"""


def test_a_statistic_that_cannot_join_units_is_refused(install, begun, extend):
    """Where units become coarser, a plugin's statistic with results without each must join them; it is named."""
    install(STATISTIC.format(method="without_each"))
    earlier = begun(MANY[:40], "--metric", "odd")
    assert extend(earlier, MANY[40:60]).code == 0
    ran = extend(earlier, MANY[40:100], "--out", earlier.with_name("coarse"))
    assert ran.code == 1
    assert re.search(
        r"Error: Of more than 64 documents several are left out together, and the statistic of metric odd "
        r"\(strangers-thing 1.0\) cannot join .* measure both texts with `aniso profile`\.",
        ran.err,
    )
    assert not earlier.with_name("coarse").exists()


def test_a_statistic_that_tells_no_units_apart_needs_to_join_none(install, begun, extend):
    """A plugin's statistic without intervals goes on as it is."""
    install(STATISTIC.format(method="unasked"))
    ran = extend(begun(MANY[:40], "--metric", "odd"), MANY[40:100])
    assert ran.code == 0, ran.err
    assert not aniso_core.load(ran.run).failures


def test_a_statistic_that_fails_to_join_units_is_left_out(install, begun, extend):
    """A fault of a plugin there costs its own metric, which is named, and not the run."""
    fault = "    def regrouped(self, size):\n        raise ValueError('no')\n\n    def merge(self, other):"
    install(STATISTIC.format(method="without_each").replace("    def merge(self, other):", fault))
    ran = extend(begun(MANY[:40], "--metric", "odd", "--metric", "norm-mean"), MANY[40:100])
    assert ran.code == 3, ran.err
    (failure,) = aniso_core.load(ran.run).failures
    assert (failure.name, failure.reason) == ("odd", "its statistic failed to join units: ValueError: no")


def test_units_that_find_no_memory_to_be_joined_are_one_sentence(begun, extend, monkeypatch):
    """Where memory runs out as units are joined, it is said as where shards are added up."""
    earlier = begun(MANY[:40], "--metric", "norm-mean")

    def short(*_):
        raise MemoryError

    monkeypatch.setattr(RunningMoments, "regrouped", short)
    ran = extend(earlier, MANY[40:100])
    assert ran.code == 1
    assert "Error: There is no memory to add up what was measured; give fewer --stream or" in ran.err


# What is asked, and by whom


def test_options_are_those_of_the_first_run(begun, extend):
    """Streams, tokens, seed, BOS and hypotheses are as they were, and the new run's own file repeats it."""
    options = ("--stream", "residual", "--tokens", "bulk", "--seed", "3", "--bos", "omit", "--hypothesis", "bell-curve")
    earlier = begun(TEXTS, *FEW, *options)
    got = extend(earlier).run
    before, now = (store.load_record(run).asked for run in (earlier, got))
    left = {"texts", "prompts", "token ids", "dtype", "device"}  # what was left to aniso is written out
    assert {name: value for name, value in now.items() if name not in left} == {
        name: value for name, value in before.items() if name not in left
    }
    assert 'prompts = "states/documents.jsonl"' in (got / "run.toml").read_text()


def test_a_run_is_repeated_from_its_own_texts(begun, extend, aniso, tmp_path):
    """The new run holds all that repeats it, and may be moved."""
    got = extend(begun()).run
    moved = shutil.move(got, tmp_path / "elsewhere")
    ran = aniso("profile", "--config", moved / "run.toml", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    assert numbers(tmp_path / "again") == numbers(moved)


def test_documents_with_ids_keep_them_and_others_are_numbered_on(begun, aniso, tmp_path):
    """JSON lines keep their ids; one that is there already is refused before any model is opened."""
    earlier, more = begun(), tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps({"id": f"x{n}", "text": text}) + "\n" for n, text in enumerate(MORE)))
    second = earlier.with_name("run+more")
    assert aniso("extend", earlier, "--prompts", more).code == 0
    more.write_text(json.dumps({"id": "x2", "text": "another"}))
    ran = aniso("extend", second, "--prompts", more)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: {second} has a document of the id 'x2' already; ids must differ.\n"


def test_what_is_added_has_an_encoding_of_its_own(measure, extend, tmp_path):
    """What is added is UTF-8 unless it is said here, whatever RUN's own text was."""
    old = tmp_path / "old.txt"
    old.write_text(f"{TEXTS[0]} röter\n{TEXTS[1]}\n", encoding="latin-1")
    earlier = measure(*FEW, "--keep-states", "--encoding", "latin-1", prompts=old).run
    got = extend(earlier, [f"{TEXTS[2]} größer"]).run
    lines = (got / "states" / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"].split()[-1] for line in (lines[0], lines[2])] == ["röter", "größer"]


def test_what_is_there_is_not_overwritten(begun, extend):
    """A new run has a name that is free."""
    earlier = begun()
    before = contents(extend(earlier).run)
    ran = extend(earlier)
    assert ran.code == 1
    assert re.search(r"Error: .*run\+more exists already; name another folder with --out", ran.err)
    assert contents(earlier.with_name("run+more")) == before


def test_json_and_reporters(begun, extend):
    """--json tells the new run, --reporter asks other reporters than the first run did, --quiet says nothing."""
    earlier = begun()
    ran = extend(earlier, MORE, "--json", "--quiet", "--reporter", "cka")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["run"] == str(earlier.with_name("run+more"))


def test_what_lets_a_model_run_code_must_be_said_again(begun, extend):
    """RUN's file of options does not grant what only the command line may."""
    earlier = begun(TEXTS, *FEW, "--allow-pickle")
    assert "Error: The file asks for --allow-pickle, which no file may grant" in extend(earlier).err
    assert extend(earlier, MORE, "--allow-pickle").code == 0


def test_an_extension_goes_on_where_it_broke_off(begun, extend, aniso, monkeypatch, at_once):
    """The command that is printed gives the run that nobody interrupted, and a whole one is left as it is."""
    earlier, keep = begun(), Unfinished.keep
    first = kept(earlier)

    def interrupted(self, fold, reached):
        keep(self, fold, reached)
        if reached.shards == first + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "keep", interrupted)
        ran = extend(earlier)
    assert ran.code == 130
    assert earlier.with_name("run+more.unfinished").is_dir()
    words = shlex.split(next(line for line in ran.err.splitlines() if "to go on: " in line).partition("to go on: ")[2])
    assert words[:2] == ["aniso", "extend"]
    assert re.search("was begun and is not whole yet; add --resume", extend(earlier).err)
    again = aniso(*words[1:])
    assert again.code == 0, again.err
    assert re.search(r"Going on with .*run\+more after", again.err)
    got = earlier.with_name("run+more")
    assert numbers(got) == numbers(at_once((*TEXTS, *MORE)))
    assert not earlier.with_name("run+more.unfinished").exists()
    assert "run+more is whole already; nothing is left to do" in aniso(*words[1:]).err


@pytest.mark.parametrize("phase", ["spectra", "forward"])
def test_a_run_that_breaks_off_after_its_last_full_shard_keeps_it(phase, measure, begun, monkeypatch):
    """A run that goes on, from whatever state, keeps the same state as one that was not disturbed."""
    from aniso_core.fold import Fold

    want = begun(TEXTS[:3])
    assert tokens(want) < aniso_core.load(want).prompts.tokens
    name = "ask" if phase == "spectra" else "merge"
    real, calls = getattr(Fold, name), []

    def stop(self, *given):
        calls.append(1)
        if phase == "spectra" or len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *given)

    prompts = want.parent / "begin.txt"
    with monkeypatch.context() as patch:
        patch.setattr(Fold, name, stop)
        assert measure(*FEW, "--keep-states", prompts=prompts, out="other").code == 130
    got = measure(*FEW, "--keep-states", "--resume", prompts=prompts, out="other")
    assert got.code == 0, got.err
    assert numbers(got.run) == numbers(want)
    (mine,), (other,) = (states(run / store.STATES) for run in (got.run, want))
    (one, reached), (two, wanted) = read(mine), read(other)
    assert (reached.shards, reached.tokens) == (wanted.shards, wanted.tokens)
    assert one.counts == two.counts
    for key, packed in one.held.items():
        assert [array.tolist() for array in packed.arrays] == [array.tolist() for array in two.held[key].arrays]


# What is refused


def test_a_run_without_states_is_refused(measure, extend):
    """The sentence says what would have kept them, and what gives the same."""
    run = measure(*FEW).run
    ran = extend(run)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: {run} keeps no states to go on from, as `aniso profile --keep-states` would have had it; measure both "
        "texts with `aniso profile`, which gives the same.\n"
    )


def test_what_is_no_run_is_refused(extend, tmp_path, good_run):
    """A folder that is not there, half a run and a published profile are told as by other commands."""
    half = shutil.copytree(good_run, tmp_path / "half")
    (half / "run.json").unlink()
    for run in (tmp_path / "absent", half, Path("published:pythia-6.9b")):
        ran = extend(run)
        assert ran.code == 1
        assert f"Error: {run} is no run directory: cannot read run.json" in ran.err


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "two"])
def test_a_damaged_state_is_refused(damage, begun, extend):
    """It is named, nothing is measured in its place, and nothing is written."""
    earlier = begun()
    (path,) = states(earlier / store.STATES)
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "two":
        shutil.copy(path, path.with_name("state-00000001-" + "0" * 32 + ".safetensors"))
    else:
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:middle], "empty": b"", "changed": changed}[damage])
    ran = extend(earlier)
    assert ran.code == 1
    assert re.search(
        r"^Error: .*states.* is damaged \((its checksum is another|it holds 2 states)\); ", ran.err, re.MULTILINE
    )
    assert "measure both texts with `aniso profile`, which gives the same." in ran.err
    assert sorted(path.name for path in earlier.parent.iterdir() if path.is_dir()) == ["run"]


@pytest.mark.parametrize("damage", ["cut", "another", "gone"])
def test_damaged_documents_are_refused(damage, begun, extend):
    """Texts that are not those that were measured are noticed before a model is opened."""
    earlier = begun()
    path = earlier / "states" / "documents.jsonl"
    data = path.read_text()
    path.unlink() if damage == "gone" else path.write_text(
        data[:50] if damage == "cut" else data.replace("rose", "fell")
    )
    ran = extend(earlier)
    assert ran.code == 1
    assert re.fullmatch(r"Error: .*documents\.jsonl is damaged \(.*\); measure both texts with .*\n", ran.err)


@pytest.fixture
def changed(begun, copied):
    """Return a function that measures a run, and then changes its model, the machine or its options."""
    threads = torch.get_num_threads()

    def make(change: str) -> Path:
        run = begun(model=copied)
        config, tokenizer, toml = copied / "config.json", copied / "tokenizer.json", run / "run.toml"
        if change == "weights":
            from safetensors.torch import load_file, save_file

            held = {name: 1.5 * value for name, value in load_file(copied / "model.safetensors").items()}
            save_file(held, copied / "model.safetensors", {"format": "pt"})
        elif change == "config":
            config.write_text(json.dumps(json.loads(config.read_text()) | {"layer_norm_eps": 1e-3}))
        elif change == "tokenizer":
            lower = {"normalizer": {"type": "Lowercase"}}
            tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | lower))
        elif change == "threads":
            torch.set_num_threads(threads + 1)
        else:
            toml.write_text(toml.read_text().replace("batch-tokens = 1024", "batch-tokens = 64"))
        return run

    yield make
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights", r"weights \(then \w{12}, now \w{12}\)"),
        ("config", r"config.json \(then \w{12}, now \w{12}\)"),
        ("tokenizer", r"token ids \(then \w{12}, now \w{12}\)"),
        ("threads", r"threads \(then \d+, now \d+\)"),
        ("options", r"batch-tokens \(then 1024, now 64\)"),
    ],
)
def test_another_model_or_machine_is_refused(change, said, extend, changed):
    """What decides about bits must be as it was; what differs is named, and nothing is written."""
    earlier = changed(change)
    ran = extend(earlier)
    assert ran.code == 1
    assert re.search(rf"^Error: .*run was measured with something else: .*{said}", ran.err, re.MULTILINE), ran.err
    assert sorted(path.name for path in earlier.parent.iterdir() if path.name.startswith("run")) == ["run"]


# Runs that keep states


def test_a_run_that_keeps_its_states_says_what_one_that_does_not_says(begun, measure):
    """The option changes no number and leaves nothing beside the run."""
    run = begun()
    assert numbers(run) == numbers(measure(*FEW, prompts=run.parent / "begin.txt", out="bare").run)
    assert min(path.name for path in (run / "states").iterdir()) == "documents.jsonl"
    assert sorted(path.name for path in run.parent.iterdir() if path.is_dir()) == ["bare", "run"]


def test_a_run_that_keeps_its_states_is_a_run(begun, extend, aniso):
    """It is listed, shown, drawn, compared, loaded and removed as any other."""
    first = begun()
    second = extend(first).run
    listed = json.loads(aniso("runs", "list", first.parent, "--json").out)
    assert [Path(entry["run"]).name for entry in listed if Path(entry["run"]).name.startswith("run")] == [
        "run",
        "run+more",
    ]
    assert aniso("report", second, "--reporter", "cka").code == 0
    assert aniso("test", second).code == 0
    assert "texts" in aniso("compare", first, second).err
    assert aniso_core.load(second).prompts.documents == 8
    assert aniso("runs", "rm", "--yes", second).code == 0
    assert not second.exists()


def test_states_that_cannot_be_stored_are_said_and_the_run_is_whole(begun, measure, monkeypatch):
    """Where there is no room for a state, the run is whole and says that it cannot be extended, --quiet or not."""
    begun()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aniso_core.unfinished.write", full)
    ran = measure(*FEW, "--keep-states", "--quiet", out="bare")
    assert ran.code == 0
    assert ran.err == "No states are kept, so that this run cannot be extended; the rest is whole.\n"
    assert states(ran.run / "states") == []
    with pytest.raises(AnisoError, match="keeps no states to go on from"):
        Earlier(ran.run, str)


def test_an_extended_run_without_a_state_has_its_texts(begun, extend, aniso, monkeypatch, tmp_path):
    """Where there is no room for a state, the run can be repeated all the same."""
    first = begun()
    monkeypatch.setattr("aniso_core.unfinished.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    got = extend(first).run
    assert states(got / "states") == []
    ran = aniso("profile", "--config", got / "run.toml", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    assert numbers(tmp_path / "again") == numbers(got)
