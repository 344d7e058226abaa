"""Runs that break off, and the command that goes on with them: `aniso profile --resume`."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import FEW as BRIEF
from conftest import TEXTS
from same import contents

import aniso_core
from aniso_core import store
from aniso_core.unfinished import Unfinished

FEW = (*BRIEF, "--shard-tokens", "40")


@pytest.fixture
def every_state(monkeypatch):
    """Keep a state after each shard, however soon it follows."""
    module = importlib.import_module("aniso_core.cli.profile")
    monkeypatch.setattr(module, "Unfinished", partial(Unfinished, every=0.0))


@pytest.fixture
def broken_off(measure, monkeypatch, every_state):  # noqa: ARG001 - without it nothing is kept
    """Return a function that measures until so many states are kept, and then presses Ctrl-C."""

    def run(*options, after=2, by=measure, **where):
        with monkeypatch.context() as patch:
            patch.setattr(Unfinished, "keep", interrupted(Unfinished.keep, after))
            ran = by(*FEW, *options, **where)
        assert ran.code == 130
        return ran

    return run


def interrupted(keep, after):
    """Press Ctrl-C as soon as so many states are kept."""

    def kept(self, fold, reached):
        keep(self, fold, reached)
        if reached.shards == after:
            raise KeyboardInterrupt

    return kept


def beside(run: Path) -> list[str]:
    """Return what of a run lies beside it."""
    return sorted(path.name for path in run.parent.iterdir() if run.name in path.name and path != run)


# What may go on


def test_resume_needs_a_name(aniso):
    """--resume without --out is wrong usage, since nobody knows which run is meant."""
    ran = aniso("profile", "--adapter", "gemma", "--resume")
    assert (ran.code, ran.out) == (2, "")
    assert "--resume goes on with the run that --out names; add --out FOLDER" in ran.err


def test_resume_begins_what_is_not_there(measure):
    """A run of which there is nothing yet is measured as ever."""
    ran = measure(*FEW, "--resume", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, f"{ran.run}\n", "")
    assert aniso_core.load(ran.run).curves


def test_a_run_that_stored_nothing_yet_says_that_it_starts_from_the_beginning(measure, tmp_path):
    """--resume says so in one line of a run that was killed before its first state, and nothing without it does."""
    (tmp_path / "run.unfinished").mkdir()
    ran = measure(*FEW, "--resume")
    assert ran.code == 0
    assert ran.err.count(f"Nothing of {ran.run} is stored yet, so that it starts from the beginning.\n") == 1
    assert "Nothing of" not in measure(*FEW, out="another").err


def test_ctrl_c_says_how_to_go_on(broken_off, measure, aniso):
    """The command that is printed gives the run that nobody interrupted, to the byte, and nothing is left beside it."""
    want = measure(*FEW, "--seed", "3", out="undisturbed").run
    ran = broken_off("--seed", "3")
    assert beside(ran.run) == ["run.unfinished"]
    said = next(line for line in ran.err.splitlines() if "to go on: " in line)
    assert ran.err.endswith(f"\n{said}\n")
    assert said.startswith("Interrupted; what was measured is kept; to go on: aniso profile ")
    words = shlex.split(said.partition("to go on: ")[2])
    assert words[0] == "aniso"
    assert "--resume" in words
    again = aniso(*words[1:])
    assert (again.code, again.out) == (0, f"{ran.run}\n")
    assert re.search(r"^Going on with .*run after \d+ of \d+ tokens, which took \d+ s\.$", again.err, re.MULTILINE)
    assert beside(ran.run) == []
    got, wanted = contents(ran.run), contents(want)
    assert got.keys() == wanted.keys()
    assert [name for name in got if got[name] != wanted[name]] == []


def test_a_run_without_a_name_has_one_from_the_start(broken_off, aniso, good_paths, monkeypatch, tmp_path):
    """Without --out the command that is printed names the folder that aniso chose, and works."""
    monkeypatch.chdir(tmp_path)
    ran = broken_off("--model", good_paths[0], "--prompts", good_paths[1], by=partial(aniso, "profile"))
    words = shlex.split(re.search("to go on: aniso (.*)", ran.err)[1])
    folder = words[words.index("--out") + 1]
    assert re.fullmatch(r"runs/\d{8}-\d{6}-tiny-neox", folder)
    assert "tiny-neox is not whole yet; the command that began it goes on with it" in aniso("runs", "list").err
    assert aniso(*words).out == f"{folder}\n"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [Path(folder).name]


def test_reporters_and_quiet_may_change(broken_off, measure):
    """What a result does not depend on may be another when a run goes on."""
    broken_off("--time-limit", "50")
    ran = measure(*FEW, "--resume", "--quiet", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["run"] == str(ran.run)


# What may not


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "isoscore"), r"metric \(then nothing, now isoscore\)"),
        (("--seed", "1"), r"seed \(then 0, now 1\)"),
        (("--tokens", "bulk"), r"tokens \(then all, no-first, now nothing\)"),
        (("--stream", "residual"), r"stream \(then not given, now residual\)"),
        (("--hypothesis", "bell-curve"), r"hypothesis \(then .*gauge-flatness.*, now nothing\)"),
        (("--dtype", "float64"), r"dtype \(then not given, now float64\)"),
        (("--shard-tokens", "50"), r"shard-tokens \(then 40, now 50\)"),
        (("--batch-tokens", "64"), r"batch-tokens \(then 1024, now 64\)"),
        (
            ("--max-length", "16", "--bos", "omit"),
            r"bos \(then auto, now omit\); max-length \(then not given, now 16\)",
        ),
        (("--no-intervals",), r"no-intervals \(then false, now true\)"),
        (("--kernels", "fast"), r"kernels \(then default, now fast\)"),
        (
            (
                *("--kernels", "fast", "--seed", "1", "--no-intervals", "--max-length", "9", "--dtype", "float64"),
                *("--bos", "omit", "--batch-tokens", "8", "--stream", "residual", "--tokens", "all"),
            ),
            r"stream \(.*\); tokens \(.*\); dtype \(.*\); bos \(.*\); also batch-tokens, kernels, max-length and 2 \w+",
        ),
    ],
)
@pytest.mark.parametrize("is_whole", [False, True], ids=["unfinished", "whole"])
def test_another_request_is_refused(is_whole, options, said, broken_off, measure):
    """What differs is named before the model is opened, whether the run is whole or not; what is there stays."""
    ran = measure(*FEW) if is_whole else broken_off()
    before = sorted(path.name for path in ran.run.parent.rglob("*"))
    again = measure(*FEW, *options, "--resume")
    assert (again.code, again.out) == (1, "")
    assert "Opening" not in again.err
    how = "is whole, but of something else" if is_whole else "was begun with something else"
    assert re.search(rf"^Error: .*run {how}: {said}\. Ask for ", again.err, re.MULTILINE), again.err
    assert sorted(path.name for path in ran.run.parent.rglob("*")) == before


@pytest.mark.parametrize("is_whole", [False, True], ids=["unfinished", "whole"])
def test_another_text_or_model_is_refused(is_whole, broken_off, measure, gemma, tmp_path):
    """Other texts under the same name and another model are named, too."""
    prompts = tmp_path / "texts.txt"
    prompts.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    measure(*FEW, prompts=prompts) if is_whole else broken_off(prompts=prompts)
    assert r"model (then " in measure(*FEW, "--resume", prompts=prompts, model=gemma).err
    prompts.write_text("\n".join(TEXTS[:3]) + "\n", encoding="utf-8")
    said = r"texts \(then 4 documents of texts.txt, SHA-256 \w{12}, now 3 documents of texts.txt, SHA-256 \w{12}\)"
    assert re.search(said, measure(*FEW, "--resume", prompts=prompts).err)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights", r"weights \(then \w{12}, now \w{12}\)"),
        ("config", r"config.json \(then \w{12}, now \w{12}\)"),
        ("threads", r"threads \(then \d+, now \d+\)"),
        ("version", r"aniso \(then .*, now 99\)"),
    ],
)
def test_another_machine_or_weights_are_refused(change, said, broken_off, measure, copied):
    """Of an unfinished run the model's files, threads and versions must be the same, as they decide about bits."""
    broken_off(model=copied)
    threads, patched = torch.get_num_threads(), pytest.MonkeyPatch()
    if change == "weights":
        from safetensors.torch import load_file, save_file

        held = load_file(copied / "model.safetensors")
        save_file({name: 1.5 * value for name, value in held.items()}, copied / "model.safetensors", {"format": "pt"})
    elif change == "config":
        config = json.loads((copied / "config.json").read_text()) | {"layer_norm_eps": 1e-3}
        (copied / "config.json").write_text(json.dumps(config))
    elif change == "threads":
        torch.set_num_threads(threads + 1)
    else:
        from importlib import metadata

        real = metadata.version
        patched.setattr(metadata, "version", lambda name: "99" if name == "aniso" else real(name))
    ran = measure(*FEW, "--resume", model=copied)
    torch.set_num_threads(threads)
    patched.undo()
    assert ran.code == 1
    assert re.search(rf"was begun with something else: .*{said}", ran.err), ran.err


def test_without_resume_what_is_unfinished_is_refused(broken_off, measure):
    """The sentence says how to go on and how to begin anew."""
    broken_off()
    ran = measure(*FEW)
    assert ran.code == 1
    assert re.search(
        r"run was begun and is not whole yet; add --resume to go on with it, or remove .*unfinished", ran.err
    )


# What is whole


def test_a_whole_run_is_shown_and_left_as_it_is(measure):
    """It is said in one line, the path is printed as ever, the exit code is 0, and no byte of it changes."""
    first = measure(*FEW)
    before = contents(first.run), (first.run / "profile.json").stat().st_mtime_ns
    ran = measure(*FEW, "--resume")
    assert (ran.code, ran.out) == (0, first.out)
    assert ran.err == f"{first.run} is whole already; nothing is left to do.\n"
    assert (contents(first.run), (first.run / "profile.json").stat().st_mtime_ns) == before
    assert measure(*FEW, "--resume", "--quiet").err == ""


def test_a_whole_run_says_what_draws_it_anew(measure, aniso):
    """Reporters and styles that it was not asked for are not asked now; the command that is printed asks them."""
    run = measure(*FEW).run
    before = contents(run)
    said = measure(*FEW, "--resume", "--reporter", "cka").err
    assert said == f"{run} is whole already; what draws it anew: aniso report {run} --reporter cka\n"
    assert contents(run) == before
    assert aniso(*shlex.split(said.partition("anew: aniso ")[2])).code == 0
    options = (*FEW, "--reporter", "cka")
    drawn = measure(*options, out="drawn").run
    assert measure(*options, "--resume", out="drawn").err == f"{drawn} is whole already; nothing is left to do.\n"


def test_a_whole_run_is_told_as_json(measure):
    """--json of a run that is whole gives what it gave when it was measured."""
    first = measure(*FEW, "--json")
    again = measure(*FEW, "--json", "--resume", "--quiet")
    assert json.loads(again.out) == json.loads(first.out)


def test_what_a_kill_left_beside_a_whole_run_is_removed(broken_off, measure):
    """A process that was killed after its run was whole, but before it tidied up, is tidied up after."""
    ran = broken_off()
    aside = ran.run.with_name("aside")
    shutil.copytree(ran.run.with_name("run.unfinished"), aside)
    measure(*FEW, "--resume")
    aside.rename(ran.run.with_name("run.unfinished"))
    again = measure(*FEW, "--resume")
    assert again.code == 0
    assert "is whole already" in again.err
    assert beside(ran.run) == []


def test_runs_that_do_not_say_what_they_are_of_are_refused(measure, good_run, tmp_path):
    """A run from Python, or of an older aniso, cannot be compared, and a folder of anything else is no run."""
    run = shutil.copytree(good_run, tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"asked": {}}))
    assert "is whole, but does not say all that --resume compares; name another --out" in measure("--resume").err
    (run / "run.json").unlink()
    assert re.search("Error: .*run is no run directory", measure("--resume").err)


# Disks and memory


@pytest.fixture
def small_disk():
    """Return a function that mounts a file system of so many bytes on a folder."""
    mounted = []

    def mount(folder: Path, size: str, *more: str) -> Path:
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *more]), "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"only who may mount a small file system can fill it: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if shutil.which("mount") is None:
        pytest.skip("this system has no mount")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def filled(disk: Path, leave: int) -> Path:
    """Return a file that takes all room of a disk but so many bytes."""
    path = disk / "filler"
    path.write_bytes(b"\0" * (shutil.disk_usage(disk).free - leave))
    return path


@pytest.mark.usefixtures("every_state")
def test_a_disk_without_room_for_states_is_said_and_the_run_is_whole(measure, small_disk, tmp_path):
    """Where no state can be stored, one note says so, and the run that needs less room than a state becomes whole."""
    want = measure(*FEW, out="undisturbed").run
    disk = small_disk(tmp_path / "disk", "1m")
    from safetensors.torch import save_file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", lambda _, path: save_file({"large": torch.zeros(2**20)}, path))
        ran = measure(*FEW, out="disk/run")
    assert ran.code == 0, ran.err
    (said,) = [line for line in ran.err.splitlines() if "could not be stored" in line]
    assert re.search("so that it can be lost: .*No space left on device", said)
    assert [path.name for path in disk.iterdir()] == ["run"]
    assert contents(ran.run)["profile.json"] == contents(want)["profile.json"]


@pytest.mark.usefixtures("every_state")
def test_a_disk_that_is_full_at_the_end_costs_nothing(measure, small_disk, tmp_path):
    """What was measured is kept when the run directory cannot be written, and --resume finishes once there is room."""
    want = measure(*FEW, out="undisturbed").run
    disk = small_disk(tmp_path / "disk", "4m")
    real, filler = store.save, []

    def full(*args):
        filler.append(filled(disk, 1000))
        real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "save", full)
        ran = measure(*FEW, out="disk/run")
    assert (ran.code, ran.out) == (1, "")
    assert re.search(r"^Error: Cannot write .*: No space left on device \(0 MB free there\)", ran.err, re.MULTILINE)
    assert "What was measured is kept; to go on: aniso profile" in ran.err
    assert sorted(path.name for path in disk.iterdir()) == ["filler", "run.unfinished"]
    filler[0].unlink()
    again = measure(*FEW, "--resume", out="disk/run")
    assert again.code == 0, again.err
    got, wanted = contents(again.run), contents(want)
    assert [name for name in wanted if got[name] != wanted[name] and name != "run.toml"] == []
    assert [path.name for path in disk.iterdir()] == ["run"]


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(measure, small_disk, tmp_path):
    """A read-only folder is one sentence, before the model is opened."""
    small_disk(tmp_path / "disk", "1m", "ro")
    ran = measure(*FEW, "--quiet", out="disk/run")
    assert (ran.code, ran.out) == (1, "")
    wanted = r"Error: Cannot write .*disk/run.unfinished: Read-only file system; name another place with --out\.\n"
    assert re.fullmatch(wanted, ran.err)


def test_memory_that_runs_out_between_shards_is_said_once(measure, broken_off, monkeypatch):
    """Batches stay halved over shards, and when the run goes on; it is said once, and the numbers are the same."""
    from aniso_core.transformer import TransformerProbe

    want = aniso_core.load(measure(*FEW, out="undisturbed").run)
    reading, tried = TransformerProbe.reading, []

    def short(self, sites, sink):
        return tight(reading(self, sites, sink), tried)

    monkeypatch.setattr(TransformerProbe, "reading", short)
    broken_off(after=1)
    before = len(tried)
    ran = measure(*FEW, "--resume")
    assert max(tried[before:]) <= 40
    (said,) = [line for line in ran.err.splitlines() if "memory ran out" in line]
    got = aniso_core.load(ran.run)
    assert f"batches were cut to {got.provenance.batch_tokens} tokens" in said
    assert got.counts == want.counts
    for mine, other in zip(got.curves, want.curves, strict=True):
        assert mine.array() == pytest.approx(other.array(), rel=1e-4)


def tight(reading, tried):
    """Read batches of at most 40 tokens, and run out of memory with larger ones."""
    from contextlib import contextmanager

    @contextmanager
    def made():
        with reading as run:

            def limited(batch):
                tried.append(batch.ids.size)
                if batch.ids.size > 40:
                    raise torch.OutOfMemoryError
                run(batch)

            yield limited

    return made()


@pytest.mark.usefixtures("every_state")
def test_memory_that_ends_while_shards_are_added_is_one_sentence(measure, monkeypatch):
    """Then what was added is kept, and the sentence says what takes less."""
    from aniso_core.fold import Fold

    real, calls = Fold.merge, []

    def merge(self, other):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        real(self, other)

    monkeypatch.setattr(Fold, "merge", merge)
    ran = measure(*FEW)
    assert ran.code == 1
    assert "Error: There is no memory to add up what was measured; give fewer --stream or" in ran.err
    assert "What was measured is kept; to go on: aniso profile" in ran.err


# Kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_runs_go_on_to_the_same_bytes(neox, tmp_path):
    """Runs that are killed at random, some twice, or before a file operation, begun five times at once, or ended by a
    signal, which says how to go on, come to the undisturbed run."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"{number} {sentence}" for number in range(4) for sentence in TEXTS), encoding="utf-8")
    code = f"""
import faults
import signal
from functools import partial
from pathlib import Path
options = {["--model", str(neox), "--prompts", str(text), *BRIEF, "--reporter", "csv", "--shard-tokens", "60"]!r}
server = faults.Server(Path({str(tmp_path)!r}), options)
assert server.operations > 40, server.operations
outcomes = [*faults.at_random(server, 4, 2), *faults.at_operations(server, 20), faults.at_once(server, 5)]
assert len(outcomes) > 6
for outcome in outcomes:
    assert not outcome.differs, outcome
assert sum(outcome.kills for outcome in outcomes) > 4, outcomes
assert len({{outcome.where for outcome in outcomes}}) > 2, outcomes
for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    with faults.emptied(server.folder):
        assert server.ran(partial(faults.signalled_before, server.operations // 2, server.folder, sent)) == code
        said = (server.work / "said").read_text()
        how = "Interrupted" if sent == signal.SIGINT else "Terminated"
        assert how + "; what was measured is kept; to go on: aniso profile" in said, said
        assert "Traceback" not in said, said
        assert not server.finish("", 0).differs
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1] / "benchmarks",
        env=os.environ | {"ANISO_DISABLE_PLUGINS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
