"""A folder of runs: listed quickly and in order, whatever else lies in it named, and nothing removed but runs."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aniso_core import folder, store
from aniso_core.errors import AnisoError


def placed(good_run: Path, where: Path, **changes) -> Path:
    """Copy a run, with changes to model, provenance or request as (part, key) = value; return its folder."""
    shutil.copytree(good_run, where)
    record = json.loads((where / store.RUN).read_text())
    for name, value in changes.items():
        part, _, key = name.partition("_")
        record[part][key] = value
    (where / store.RUN).write_text(json.dumps(record))
    return where


@pytest.fixture
def runs(good_run, tmp_path) -> Path:
    """Return a folder with three runs of different models, adapters and times."""
    made = tmp_path / "runs"
    placed(good_run, made / "second", provenance_started="2026-02-01T00:00:00+00:00", request_adapter="pythia")
    placed(good_run, made / "first", provenance_started="2026-01-02T03:04:05+00:00", model_name="org/other@step1")
    placed(good_run, made / "third", provenance_started="2026-03-01T00:00:00+00:00", model_revision="abcdef")
    return made


def names(ran) -> list[str]:
    """Return the runs that a list as JSON names."""
    return [Path(entry["run"]).name for entry in json.loads(ran.out)]


# List


def test_runs_are_listed_by_time(runs, aniso):
    """The list has a line for each run, the first first, in 80 columns."""
    ran = aniso("runs", "list", runs)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["first", "second", "third"]
    assert lines[2].split() == ["first", "2026-01-02", "03:04", "org/other@step1", "four.txt", "135"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--model", "OTHER"), ["first"]),
        (("--model", "abcd"), ["third"]),
        (("--adapter", "pythia"), ["second"]),
        (("--prompts", "four.txt", "--since", "2026-02-01"), ["second", "third"]),
        (("--since", "2026-01-02T03:04:05", "--model", "neox"), ["second", "third"]),
        (("--prompts", "paper3"), []),
    ],
    ids=" ".join,
)
def test_filters_choose_runs(options, wanted, runs, aniso):
    """--model, --adapter, --prompts and --since leave the runs that fit all of them."""
    assert names(aniso("runs", "list", runs, *options, "--json")) == wanted


def test_numbers_in_names_of_runs_count(good_run, tmp_path, aniso):
    """Runs of a folder stand in the order of the numbers in their names, in the list those of one second."""
    wanted = ["70m@step", "70m@step0", "70m@step2", "70m@step016", "70m@step16", "70m@step128", "410m@step1"]
    for name in sorted(wanted):
        placed(good_run, tmp_path / "runs" / name)
    assert names(aniso("runs", "list", tmp_path / "runs", "--json")) == wanted
    rows = aniso("export", tmp_path / "runs", "--format", "csv", "--metric", "norm-mean").out.splitlines()[1:]
    assert [*dict.fromkeys(row.partition("[")[2].partition("]")[0] for row in rows)] == wanted


def test_what_is_no_run_is_named_and_the_rest_is_listed(runs, good_run, aniso):
    """Half a run, one of a newer format, a foreign folder and a file are one line each; hidden ones are none."""
    (runs / "half").mkdir()
    shutil.copy(good_run / store.PROFILE, runs / "half")
    (placed(good_run, runs / "newer") / store.RUN).write_text('{"format": 2}')
    (placed(good_run, runs / "torn") / store.RUN).write_text('{"request": {"mod')
    (placed(good_run, runs / "odd") / store.RUN).write_text('{"model": {"name": 1}}')
    (runs / "notes.txt").write_text("x")
    (runs / ".left.tmp").mkdir()
    ran = aniso("runs", "list", runs, "--json")
    assert ran.code == 0
    assert names(ran) == ["first", "second", "third"]
    said = ran.err.splitlines()
    wanted = {
        "half": "no run directory",
        "newer": "format 2",
        "notes.txt": "no run directory",
        "odd": "damaged",
        "torn": "damaged",
    }
    assert len(said) == len(wanted)
    for (name, what), line in zip(wanted.items(), said, strict=True):
        assert line.startswith("Note: ")
        assert str(runs / name) in line
        assert what in line


def test_a_folder_of_runs_in_a_folder_is_named_as_such(runs, good_run, aniso):
    """A sweep among runs is told with the command that lists it, and its runs are not listed with the others."""
    placed(good_run, runs / "sweep" / "one")
    ran = aniso("runs", "list", runs, "--json")
    assert names(ran) == ["first", "second", "third"]
    within = f"{runs}/sweep"
    assert ran.err == f"Note: {within} is a folder of runs itself, as of a sweep: aniso runs list {within}.\n"
    assert names(aniso("runs", "list", within, "--json")) == ["one"]


def test_a_run_from_python_is_listed(runs, good_run, aniso):
    """A run that `aniso.profile` wrote has no adapter, and is in the list."""
    run = placed(good_run, runs / "python")
    record = json.loads((run / store.RUN).read_text()) | {"request": {"model": "x"}, "prompts": None}
    (run / store.RUN).write_text(json.dumps(record))
    ran = aniso("runs", "list", runs, "--json")
    (entry,) = (entry for entry in json.loads(ran.out) if entry["run"] == str(run))
    assert (entry["adapter"], entry["prompts"], entry["tokens"]) == ("", "", 0)
    assert (entry["dtype"], entry["seed"]) == ("float32", 0)


def test_a_folder_of_runs_is_reported(runs, aniso):
    """`aniso report FOLDER` draws all runs in it into its report/, again as well, which is no run of the list."""
    (runs / "half.unfinished").mkdir()
    for _ in range(2):
        ran = aniso("report", runs, "--reporter", "cka")
        assert (ran.code, ran.out.strip()) == (0, str(runs / "report")), ran.err
        assert "half is not whole yet" in ran.err
    ran = aniso("runs", "list", runs, "--json")
    assert names(ran) == ["first", "second", "third"]
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("end", ["", ".unfinished"])
@pytest.mark.parametrize("command", [["runs", "show"], ["report"], ["test"]], ids=" ".join)
def test_a_run_that_is_not_whole_says_how_to_go_on(command, end, runs, aniso):
    """A run that broke off is no unknown folder: one sentence says with which command it goes on."""
    (runs / "half.unfinished").mkdir()
    ran = aniso(*command, runs / f"half{end}")
    half = runs / "half"
    said = f"{half} is not whole yet; the command that began it goes on with it, with --out {half} --resume."
    assert (ran.code, ran.out, ran.err) == (1, "", f"Error: {said}\n")


def test_no_run_is_said_without_numbers_of_errors(runs, aniso):
    """What is no run is said in words, and not by what Python calls the fault."""
    ran = aniso("test", runs / "absent")
    assert "absent is no run directory: cannot read profile.json (No such file or directory); give one" in ran.err


@pytest.mark.parametrize(("name", "wanted"), [("absent", "no folder of runs"), ("runs/first", "is a run itself")])
def test_a_folder_that_is_none_is_an_error(name, wanted, runs, aniso):
    """A folder that there is not, and a run in place of one, are one sentence each."""
    ran = aniso("runs", "list", runs.parent / name)
    assert (ran.code, ran.out) == (1, "")
    assert wanted in ran.err
    assert len(ran.err.splitlines()) == 1


def test_hostile_names_are_listed_escaped(runs, good_run, aniso):
    """A model's name that commands a terminal is shown as escapes."""
    placed(good_run, runs / "hostile", model_name="\x1b[31m\u202e")
    assert "\\x1b[31m\\u202e" in aniso("runs", "list", runs).out


def test_a_thousand_runs_are_read_at_once(good_run, tmp_path):
    """A folder of a thousand runs is read in less than a second, without numpy and without their arrays."""
    for number in range(1000):
        run = tmp_path / "runs" / f"run-{number:03d}"
        run.mkdir(parents=True)
        shutil.copy(good_run / store.RUN, run)
        (run / store.ARRAYS).write_bytes(b"never read")
    started = time.process_time()
    assert sum(isinstance(entry, folder.Entry) for entry in folder.entries(tmp_path / "runs")) == 1000
    assert time.process_time() - started < 1


@pytest.mark.parametrize("command", ["list", "show"])
def test_runs_are_read_without_anything_heavy(command, runs):
    """Listing and showing runs loads neither numpy nor torch."""
    words = ["runs", command, str(runs if command == "list" else runs / "first")]
    code = (
        f"import sys\nfrom aniso_core.cli import main\ntry:\n    main({words!r})\nexcept SystemExit as stop:\n"
        "    assert not stop.code\nassert not {'numpy', 'torch', 'rich'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Show


def test_a_run_is_shown(runs, aniso):
    """A run is shown in lines of a heading and what is known."""
    ran = aniso("runs", "show", runs / "first")
    assert (ran.code, ran.err) == (0, "")
    facts = dict(line.split(": ", 1) for line in ran.out.splitlines())
    assert facts["run"] == str(runs / "first")
    assert facts["model"] == "org/other@step1"
    assert facts["prompts"] == "four.txt, 4 documents, 135 tokens"
    assert "isoscore" in facts["metrics"].split(", ")
    assert "residual/bulk" in facts["measured on"]
    assert "paper" in facts["verdicts"]
    told = json.loads(aniso("runs", "show", runs / "first", "--json").out)
    assert told["record"]["request"]["adapter"] == "auto"
    assert told["metrics"] == facts["metrics"].split(", ")
    assert {verdict["criterion"] for verdict in told["verdicts"]} == {"paper", "rigorous"}


def test_what_failed_in_a_run_is_shown(runs, aniso):
    """Metrics, hypotheses and reporters that failed are named with the reason."""
    for name, kind in ((store.PROFILE, "metric"), (store.VERDICTS, "reporter")):
        content = json.loads((runs / "first" / name).read_text())
        content["failures"] = [{"kind": kind, "name": "x", "distribution": "a-plugin 1", "reason": "ValueError: no"}]
        (runs / "first" / name).write_text(json.dumps(content))
    ran = aniso("runs", "show", runs / "first")
    assert ran.code == 0
    for kind in ("metric", "reporter"):
        assert f"failed: {kind} x (a-plugin 1): ValueError: no\n" in ran.out


def test_half_a_run_is_shown_as_far_as_it_goes(runs, aniso):
    """Of a run that lost files the rest is shown, what is lost is named, and the exit code is 1."""
    (runs / "first" / store.PROFILE).unlink()
    (runs / "first" / store.VERDICTS).write_text("{")
    ran = aniso("runs", "show", runs / "first")
    assert ran.code == 1
    assert "model: org/other@step1\n" in ran.out
    assert [line.startswith("Error: ") for line in ran.err.splitlines()] == [True, True]
    assert aniso("runs", "show", runs / "none").out == ""


# Remove


def test_a_run_is_removed_when_the_question_is_answered(runs, aniso, monkeypatch):
    """Without --yes the runs are named and asked for; no answer, or another than yes, removes nothing."""
    import click

    for answer, code in ((False, 1), (True, 0)):
        monkeypatch.setattr(click, "confirm", lambda *_, answer=answer, **__: answer)
        ran = aniso("runs", "rm", runs / "first", runs / "second")
        assert ran.code == code
        assert f"{runs / 'first'} is to be removed." in ran.err
        assert (runs / "first").exists() is not answer
    assert sorted(path.name for path in runs.iterdir()) == ["third"]


def test_a_question_without_an_answer_removes_nothing(runs, aniso):
    """Where nobody can answer, nothing is removed, and the message says what to do."""
    ran = aniso("runs", "rm", runs / "first")
    assert ran.code == 1
    assert ran.err.endswith("Error: There is nobody to ask whether to remove 1 run; add --yes.\n")
    assert (runs / "first").exists()


def test_what_is_no_run_is_not_removed(runs, good_run, tmp_path, aniso):
    """Links, files, foreign folders and runs with somebody's notes are refused by name; the others are removed."""
    notes = placed(good_run, runs / "notes")
    (notes / "thoughts.md").write_text("mine")
    link, foreign, absent = runs / "link", tmp_path / "foreign", tmp_path / "absent"
    link.symlink_to(runs / "third")
    foreign.mkdir()
    (foreign / store.RUN).write_text("{}")
    ran = aniso("runs", "rm", "--yes", notes, link, foreign, absent, runs / "first", runs)
    assert ran.code == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 5
    for path, what in (
        (notes, "thoughts.md"),
        (link, "link"),
        (foreign, "no run"),
        (absent, "no run"),
        (runs, "no run"),
    ):
        assert any(f"{path} is not removed" in line and what in line for line in errors)
    assert not (runs / "first").exists()
    assert link.is_symlink()
    assert (runs / "third" / store.RUN).exists()
    assert (notes / "thoughts.md").read_text() == "mine"


def test_a_damaged_run_can_be_removed(runs, aniso):
    """Half a run is recognised by its files, and goes."""
    for name in (store.RUN, store.ARRAYS):
        (runs / "first" / name).unlink()
    assert aniso("runs", "rm", "--yes", runs / "first").code == 0
    assert not (runs / "first").exists()


def test_a_link_inside_a_run_is_not_followed(runs, tmp_path):
    """What a link in a run's report leads to stays."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept.txt").write_text("x")
    (runs / "first" / store.REPORT / "link").symlink_to(other)
    folder.remove(runs / "first")
    assert (other / "kept.txt").exists()
    assert sorted(path.name for path in runs.iterdir()) == ["second", "third"]


def test_a_run_goes_as_a_whole(runs, monkeypatch):
    """Where deleting is cut short, no half of the run is left under its name."""

    def killed(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.remove(runs / "first")
    assert not (runs / "first").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may remove anything")
def test_a_run_that_may_not_be_removed_is_said(runs):
    """Where the system forbids it, one sentence says so and the run is whole."""
    runs.chmod(0o555)
    with pytest.raises(AnisoError, match="Cannot remove"):
        folder.remove(runs / "first")
    runs.chmod(0o755)
    assert store.load_record(runs / "first")


def test_a_failing_rename_is_said_and_leaves_the_run(runs, monkeypatch):
    """Where a run cannot be renamed, one sentence says so, the run is whole and nothing lies beside it."""

    def refused(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(AnisoError, match=r"^Cannot remove .*first: Permission denied"):
        folder.remove(runs / "first")
    assert sorted(path.name for path in runs.iterdir()) == ["first", "second", "third"]
    assert store.load(runs / "first")
