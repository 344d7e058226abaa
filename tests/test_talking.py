"""What commands say to people: as much or as little as they asked for, each thing once, and to nobody who has left."""

import os
import re
import subprocess

import pytest
from conftest import FEW
from terminals import ANISO

# Quiet and verbose


@pytest.mark.parametrize(
    "args",
    [
        ["plugins"],
        ["profile", "--adapter", "gemma"],
        ["test", "published:gemma-2b"],
        ["compare", "published:gemma-2b", "published:pythia-6.9b"],
        ["report", "published:gemma-2b", "--out", "drawn"],
        ["export", "published:gemma-2b", "--format", "csv"],
    ],
    ids=lambda args: args[0],
)
def test_quiet_and_verbose_exclude_each_other(args, aniso):
    """A command that is to be both quiet and verbose is refused in one sentence."""
    ran = aniso(*args, "--quiet", "--verbose")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("Error: --quiet and --verbose exclude each other; give one.\n")


def test_the_command_line_wins_over_a_quiet_file(measure, tmp_path):
    """--verbose on the command line makes a run verbose whose file of options wants quiet."""
    (tmp_path / "quiet.toml").write_text("quiet = true\n")
    args = (*FEW, "--config", tmp_path / "quiet.toml")
    assert measure(*args, out="one").err == ""
    assert "Plugins loaded in " in measure(*args, "--verbose", out="two").err


def test_verbose_says_what_took_how_long(measure):
    """--verbose adds the loading of plugins, batches and kernels, and the time of each phase; else none is said."""
    plain, told = measure(*FEW, out="one").err, measure(*FEW, "--verbose", out="two").err
    wanted = (
        r"^Plugins loaded in \d+\.\d{3} s: .*core \d+\.\d{3} s",
        r"^Measured in batches of at most 1,024 tokens, kernels default\.$",
        r"^Took load \d+\.\d s, forward \d+\.\d s, spectra \d+\.\d s, inference \d+\.\d s",
    )
    for line in wanted:
        assert re.search(line, told, re.MULTILINE)
        assert not re.search(line, plain, re.MULTILINE)


FAULTY = """
from aniso_core import {kind}, hookimpl

def deep(*_):
    raise ZeroDivisionError("too deep")

@hookimpl
def aniso_{hook}():
    return [{made}]
"""
FAULTS = {
    "metric": ("Metric", "metrics", "Metric('strange', deep)"),
    "hypothesis": ("Hypothesis", "hypotheses", "Hypothesis('strange', '', deep)"),
    "reporter": ("Reporter", "reporters", "Reporter('strange', '', deep)"),
    "adapter": ("Adapter", "adapters", "Adapter('strange', '', deep)"),
    "plugin": ("Metric", "metrics", "deep()"),
}


@pytest.mark.parametrize("how", ["--verbose", "ANISO_TRACEBACK", ""], ids=["verbose", "variable", "neither"])
@pytest.mark.parametrize("kind", FAULTS)
def test_where_a_plugin_failed_is_shown_once_where_asked(kind, how, install, measure, monkeypatch):
    """--verbose and ANISO_TRACEBACK show the line at which a plugin's part failed, once; else nothing does."""
    record, hook, made = FAULTS[kind]
    install(FAULTY.format(kind=record, hook=hook, made=made))
    if how == "ANISO_TRACEBACK":
        monkeypatch.setenv(how, "1")
    chosen = ["--adapter", "strange"] if kind == "adapter" else []
    ran = measure(*chosen, *(["--verbose"] if how == "--verbose" else []))
    assert ran.code == {"adapter": 1, "plugin": 0}.get(kind, 3), ran.err
    assert ran.err.count('raise ZeroDivisionError("too deep")') == (1 if how else 0)
    if kind == "adapter":
        assert ran.err.splitlines()[-1].startswith("Error: The adapter strange ")


def test_a_users_mistake_has_no_traceback_in_verbose(aniso):
    """--verbose says no more of a name that does not exist than others are told."""
    ran = aniso("profile", "--adapter", "nonesuch", "--verbose")
    assert ran.code == 1
    assert "Traceback" not in ran.err


# Once and short


@pytest.fixture
def drawn(measure, monkeypatch, fresh_registry):
    """Return a function that measures and lets the reporter `console` show what it found."""

    def run(*options, out="run"):
        with monkeypatch.context() as patch:
            patch.delenv("ANISO_DISABLE_PLUGINS")
            fresh_registry()
            return measure(*options, "--reporter", "console", out=out)

    return run


def test_a_run_of_one_metric_says_once_what_cannot_be_tested(drawn):
    """Claims whose metric was not measured are named in one sentence with that metric, and others as ever."""
    said = " ".join(drawn("--metric", "norm-mean").err.split())
    assert said.count("not testable") + said.count("Not testable") == 1
    sentence = "Not testable, as their metric was not measured: bell-curve (top-eigenvalue-share), "
    assert sentence in said
    assert "norm-uniformity (norm-cv)" in said


def test_a_failure_is_said_once(drawn, install):
    """A metric that fails is said by the reporter that shows the run, or else at the end, and not by both."""
    install(FAULTY.format(kind="Metric", hook="metrics", made="Metric('strange', deep)"))
    loud = drawn("--metric", "norm-mean", "--metric", "strange")
    quiet = drawn("--metric", "norm-mean", "--metric", "strange", "--quiet", out="quiet")
    assert loud.code == quiet.code == 3
    assert " ".join(loud.err.split()).count("ZeroDivisionError") == 1
    assert quiet.err.startswith("The metric strange ")
    assert len(quiet.err.splitlines()) == 1


def test_counts_are_shown_whole(drawn, install):
    """A metric that counts is shown in whole numbers, in the table over layers and in the line of its curve."""
    install(
        "from aniso_core import Metric, hookimpl\n"
        "@hookimpl\ndef aniso_metrics():\n    return [Metric('tally', lambda m: 508.0)]\n"
    )
    said = drawn("--metric", "tally").err
    assert re.search(r"^ +0 +508$", said, re.MULTILINE)
    assert "508.0" not in said


# Readers who leave


@pytest.mark.parametrize("extra", [[], ["--json"]], ids=["path", "json"])
def test_a_run_whose_readers_have_left_is_whole(extra, neox, texts, tmp_path):
    """Where whoever read stdout and stderr is gone, a run is written all the same, without a traceback."""
    ours, theirs = os.pipe()
    os.close(ours)
    args = [
        "profile",
        "--model",
        neox,
        "--prompts",
        texts,
        *FEW,
        "--reporter",
        "csv",
        "--out",
        tmp_path / "run",
        *extra,
    ]
    done = subprocess.run([ANISO, *map(str, args)], stdout=theirs, stderr=theirs, check=False, timeout=60)
    os.close(theirs)
    assert done.returncode == 0
    assert (tmp_path / "run/report").is_dir()
