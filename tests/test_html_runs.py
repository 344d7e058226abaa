"""`aniso report` draws the page of stored runs: what cannot be read is named, and all else is drawn."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pages
import pytest

from aniso_core import store
from aniso_core.cli.again import command
from aniso_core.cli.profile import profile as profiling
from aniso_core.plugins import registry
from aniso_core.records import Failure


@pytest.fixture
def drawing(aniso, monkeypatch, fresh_registry):
    """Return the command with the reporters of aniso-report, which the other tests leave out."""
    monkeypatch.setenv("ANISO_DISABLE_PLUGINS", "")
    fresh_registry()
    return aniso


@pytest.fixture
def runs(good_run, tmp_path):
    """Return two good runs that a test may spoil."""
    return [Path(shutil.copytree(good_run, tmp_path / name)) for name in ("first", "second")]


def newer(run):
    """Make a run of a format that is to come."""
    path = run / "profile.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


def foreign(run):
    """Put another program's file in place of the profile."""
    (run / "profile.json").write_text('{"epochs": 3}')


def half(run):
    """Leave half of a run."""
    (run / "profile.json").unlink()
    (run / "verdicts.json").unlink()


def torn(run):
    """Cut a file in the middle."""
    path = run / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(newer, "has format 99"), (foreign, "is damaged"), (half, "is no run directory"), (torn, "is damaged")],
)
def test_a_run_that_cannot_be_read_is_left_out(spoil, said, runs, drawing, tmp_path):
    """One sentence names it on stderr and on the page, the others are drawn, and the exit code says so."""
    spoil(runs[0])
    ran = drawing("report", *runs, "published:pythia-6.9b", "--reporter", "html", "--out", tmp_path / "out")
    assert ran.code == 3
    (line,) = [line for line in ran.err.splitlines() if line.startswith("Left out: ")]
    assert said in line
    page = pages.Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "Failed or left out" in page.text
    assert said in page.text
    assert len(page.data["models"]) == 2


def test_where_no_run_can_be_read_nothing_is_written(runs, drawing, tmp_path):
    """With nothing left to draw the command fails with one sentence, as it does for a single run."""
    for run in runs:
        half(run)
    ran = drawing("report", *runs, "--reporter", "html", "--out", tmp_path / "out")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "out").exists()


def test_a_run_without_its_request_has_no_command(runs, drawing, tmp_path):
    """A lost run.json costs the command alone."""
    (runs[0] / "run.json").unlink()
    assert drawing("report", *runs, "--reporter", "html", "--out", tmp_path / "out").code == 0
    text = pages.Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).text
    assert "No command is known" in text
    assert "aniso profile --model" in text


def test_a_reporter_that_raises_leaves_the_page_alone(runs, drawing, monkeypatch):
    """Another reporter's fault is one sentence; the page is drawn into the run's own folder."""
    monkeypatch.setattr("aniso_report.curves.render", lambda _report: 1 / 0)
    ran = drawing("report", runs[0])
    assert ran.code == 3
    assert "The reporter csv (aniso-report" in ran.err
    assert (runs[0] / "report" / "report.html").exists()


def test_a_run_with_a_failed_metric_is_drawn(runs, drawing, tmp_path):
    """What failed while the run was measured is on the page, and the rest as well."""
    whole = store.load(runs[0])
    spoilt = replace(whole, failures=(Failure("metric", "broken", "a-plugin 1", "division by zero"),))
    store.save(tmp_path / "spoilt", store.run_files(spoilt, store.Judged(), {}), ())
    assert drawing("report", tmp_path / "spoilt", "--reporter", "html").code == 0
    text = pages.Page((tmp_path / "spoilt" / "report" / "report.html").read_text(encoding="utf-8")).text
    assert "Metric broken (a-plugin 1): division by zero." in text
    assert "Where does the profile peak?" in text


def test_a_place_that_cannot_be_written_is_one_sentence(runs, drawing, tmp_path):
    """A folder below a file cannot be made."""
    (tmp_path / "file").write_text("")
    ran = drawing("report", runs[0], "--reporter", "html", "--out", tmp_path / "file" / "out")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("Error: ")


def test_a_profile_has_its_page_and_its_command(drawing, neox, texts, tmp_path):
    """`aniso profile` writes the page, with the command that measures it again."""
    asked = ["profile", "--model", neox, "--prompts", texts, "--metric", "norm-mean", "--seed", 3, "--no-intervals"]
    assert drawing(*asked, "--reporter", "html", "--out", tmp_path / "run").code == 0
    text = pages.Page((tmp_path / "run" / "report" / "report.html").read_text(encoding="utf-8")).text
    assert command(store.load_record(tmp_path / "run").request) in text


@pytest.mark.parametrize(
    "asked",
    [
        "aniso profile --adapter gemma",
        "aniso profile --model a/b --revision step0 --stream residual --stream normed --tokens bulk --seed 7",
        "aniso profile --model 'a folder/it'\"'\"'s' --prompts '$HOME; rm -rf x' --no-intervals --max-length 32",
        "aniso profile --adapter pythia --metric default --metric two-nn --dtype bfloat16 --time-limit 2.5 --offline",
    ],
)
def test_the_command_asks_for_the_same(asked):
    """What a run was asked for, as the command line parses it, comes back as the command that asks for it."""
    request = dict(profiling.make_context("profile", shlex.split(asked)[2:]).params)
    again = command(json.loads(json.dumps(request, default=str)))
    assert profiling.make_context("profile", shlex.split(again)[2:]).params == request
    assert again.count("--") == asked.count(" --")


def test_the_home_folder_is_not_told(monkeypatch, tmp_path):
    """A path below the home folder begins with ~, which the shell takes, and a run from Python has no command."""
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    request = {"adapter": "auto", "model": f"{tmp_path}/ada/my models/x.gguf", "prompts": "paper3"}
    assert command(request) == "aniso profile --model ~/'my models/x.gguf'"
    assert command({"model": "from Python"}) == ""


def test_reporters_are_told_what_metrics_ask(drawing, runs, tmp_path):
    """A stored run's page has each metric's summary and source, and each claim in words."""
    assert drawing("report", runs[0], "--reporter", "html", "--out", tmp_path / "out").code == 0
    page = pages.Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "Claim: " in page.text
    metric = registry().metric("effective-rank")
    assert page.data["metrics"]["effective-rank"] == [metric.unit, metric.summary]
    assert metric.source in page.text
