"""The command as its users meet it: data on stdout, sentences on stderr, the right exit code, nothing left behind."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from conftest import FEW
from terminals import ESCAPE, on_terminal

from aniso_core.cli import parts

ANISO = str(Path(sysconfig.get_path("scripts")) / "aniso")
LISTS = ("adapters", "metrics", "hypotheses", "reporters", "prompts", "executors")

# Names


@pytest.mark.parametrize(
    ("option", "given", "nearest"),
    [
        ("--adapter", "gema", "no adapter 'gema'; the adapters are gemma, "),
        ("--metric", "isoscor", "no metric 'isoscor'; the metrics are isoscore, "),
        ("--metric", "isoscor", " others."),
        ("--hypothesis", "bell-curv", "no hypothesis 'bell-curv'; the hypotheses are bell-curve, "),
        ("--reporter", "konsole", "no reporter 'konsole'; the reporters are "),
        ("--prompts", "paper4", "no prompt set 'paper4'; the prompt sets are paper3"),
    ],
)
def test_an_unknown_name_lists_the_known_nearest_first(option, given, nearest, refused):
    """A name that nobody provides is answered by those that are, the nearest first, before any work."""
    refused(option, given, wants=(re.escape(nearest),))


@pytest.mark.parametrize("group", LISTS)
def test_show_refuses_an_unknown_name(group, aniso):
    """`show` of an unknown name lists the known ones and exits 1."""
    ran = aniso(group, "show", "nonesuch")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"Error: There is no [\w ]+ 'nonesuch'; the [\w ]+ are .+\n", ran.err)


@pytest.mark.parametrize("group", LISTS)
def test_show_and_list_agree(group, aniso):
    """`show --json` gives for each name the entry that `list --json` holds, and both forms name it."""
    listed = json.loads(aniso(group, "list", "--json").out)
    for entry in listed[:3]:
        assert json.loads(aniso(group, "show", entry["name"], "--json").out) == entry
        assert f"name: {entry['name']}\n" in aniso(group, "show", entry["name"]).out


# Usage


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["--nope"], "No such option '--nope'"),
        (["nonsense"], "No such command 'nonsense'; the commands are "),
        (["expart"], "No such command 'expart'; the commands are export, "),
        (["runs", "list", "--since", "yesterday"], "'yesterday' is no time such as 2026-01-02 or 2026-01-02T03:04:05"),
        (["profile", "--nope"], "No such option '--nope'"),
        (["profile", "--stream", "middle"], "'middle' is not one of 'residual', 'normed'"),
        (["profile", "--tokens", "most"], "'most' is not one of"),
        (["profile", "--dtype", "int8"], "'int8' is not one of 'float32'"),
        (["profile", "--batch-tokens", "0"], "0 is not in the range x>=1"),
        (["profile", "--max-length", "-3"], "-3 is not in the range x>=1"),
        (["profile", "--seed", "one"], "'one' is not a valid integer"),
        (["test"], "Missing argument 'RUN...'"),
        (["compare", "published:gemma-2b"], "give two or more"),
        (["export", "x"], "Missing option '--format'"),
        (["completion", "cmd"], "'cmd' is not one of 'bash', 'zsh', 'fish'"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_says_why(args, wanted, aniso):
    """An option or argument that is wrong ends with the usage, one sentence and exit 2."""
    ran = aniso(*args)
    assert (ran.code, ran.out) == (2, "")
    usage, said = ran.err.splitlines()
    assert usage.startswith("Usage: ")
    assert said.startswith("Error: ")
    assert wanted in said


@pytest.mark.parametrize("args", [[], ["adapters"], ["metrics"]], ids=["aniso", "adapters", "metrics"])
def test_a_command_alone_shows_its_help_readably(args, aniso):
    """A group without a command shows its help as lines, not as escapes."""
    ran = aniso(*args)
    assert ran.code in {0, 2}
    said = ran.out + ran.err
    assert "\\x0a" not in said
    assert "Commands:" in said
    assert max(map(len, said.splitlines())) <= 80


COMMANDS = (
    "",
    "profile",
    "preregister",
    "test",
    "compare",
    "report",
    "export",
    "runs",
    "runs list",
    "runs show",
    "runs rm",
    *LISTS,
    "plugins",
    "doctor",
    "completion",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_on_stdout(command, aniso):
    """--help of each command exits 0 with its usage on stdout, in 80 columns, and nothing on stderr."""
    ran = aniso(*command.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ")
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_version_is_said(aniso):
    """--version says the installed version."""
    from importlib import metadata

    assert aniso("--version").out == f"aniso, version {metadata.version('aniso')}\n"


# Streams


def test_lists_are_json_and_load_no_numpy():
    """Every list as JSON, `plugins`, help and `import aniso_core` work without loading numpy or torch."""
    code = """
import json, sys
from click.testing import CliRunner
import aniso_core
from aniso_core.cli import main
for group in %r:
    listed = CliRunner().invoke(main, [group, "list", "--json"])
    assert listed.exit_code == 0, listed.stderr
    for entry in json.loads(listed.stdout):
        assert entry["name"] and entry["distribution"]
    assert CliRunner().invoke(main, [group, "list"]).exit_code == 0
assert json.loads(CliRunner().invoke(main, ["plugins", "--json"]).stdout)
assert CliRunner().invoke(main, ["profile", "--help"]).exit_code == 0
heavy = {"numpy", "torch", "transformers", "scipy", "matplotlib", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code % (LISTS,)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_stdout_holds_the_path_and_nothing_else(aniso, neox, texts, tmp_path):
    """A run writes its folder's path to stdout; all else goes to stderr, and --quiet leaves that empty."""
    ran = aniso("profile", "--model", neox, "--prompts", texts, *FEW, "--out", tmp_path / "run")
    assert ran.out == f"{tmp_path / 'run'}\n"
    assert "Opening" in ran.err
    quiet = aniso("profile", "--model", neox, "--prompts", texts, *FEW, "--out", tmp_path / "two", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, f"{tmp_path / 'two'}\n", "")


def test_a_run_as_json_is_json_alone(aniso, neox, texts, tmp_path):
    """--json writes one JSON value to stdout with the run, the model, the verdicts and the failures."""
    ran = aniso("profile", "--model", neox, "--prompts", texts, "--out", tmp_path / "run", "--json")
    told = json.loads(ran.out)
    assert set(told) == {"run", "model", "verdicts", "failures"}
    assert told["model"] == "tiny-neox"
    assert json.loads((tmp_path / "run/verdicts.json").read_text(encoding="utf-8"))["verdicts"] == told["verdicts"]


def test_the_same_command_gives_the_same_verdicts_twice(aniso, tmp_path):
    """The same command and seed write verdicts.json twice with the same bytes."""
    for name in ("one", "two"):
        assert aniso("profile", "--adapter", "gemma", "--out", tmp_path / name).code == 0
    first, second = ((tmp_path / name / "verdicts.json").read_bytes() for name in ("one", "two"))
    assert first == second
    assert b'"rigorous"' in first


def test_without_out_a_run_lands_under_runs(aniso, neox, texts, tmp_path, monkeypatch):
    """Without --out each run gets a folder of its own under runs/, named for its time and model."""
    monkeypatch.chdir(tmp_path)
    made = [aniso("profile", "--model", neox, "--prompts", texts, *FEW, "--quiet").out.strip() for _ in range(2)]
    assert len(set(made)) == 2
    for path in made:
        assert re.fullmatch(r"runs/\d{8}-\d{6}-tiny-neox(-\d+)?", path)
        assert (tmp_path / path / "profile.json").is_file()


def _piped(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a pipeline in which `aniso` is the command that is tested; return its own exit code and stderr."""
    return subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        env=os.environ | {"ANISO": ANISO} | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("args", ["export published:gemma-2b --format csv", "metrics list --json", "plugins", "--help"])
def test_a_reader_that_leaves_early_is_no_error(args):
    """Where the reader of stdout closes it, the command ends in silence with exit 0."""
    done = _piped(f'"$ANISO" {args} | true')
    assert (done.returncode, done.stderr) == (0, "")


def test_a_place_that_cannot_be_used_is_told_what_to_do(aniso, tmp_path):
    """Where nothing can be written, one sentence names the place and says to mend that or name another."""
    (tmp_path / "file").touch()
    ran = aniso("new", "metric", "odd", "--out", tmp_path / "file" / "below")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"Error: .+: .+ cannot be used; mend that, or name another place\.\n", ran.err), ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("args", ["metrics list", "metrics list --json", "export published:gemma-2b --format json"])
def test_a_full_disk_behind_stdout_is_said_in_one_line(args):
    """Where stdout cannot be written, one sentence says so and the exit code is 1."""
    done = _piped(f'"$ANISO" {args} > /dev/full')
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device: the output cannot be written.\n"


@pytest.mark.parametrize("args", ["plugins", "test published:pythia-6.9b", "test published:pythia-6.9b --json"])
def test_streams_that_claim_ascii_end_in_no_traceback(args, shell):
    """Where Python believes that a stream knows only ASCII, lists, verdicts and JSON are written all the same."""
    ran = shell(*args.split(), PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) if "--json" in args else ran.out


def test_errors_are_said_to_streams_that_claim_ascii(shell):
    """An error with a foreign letter is said in one line on an ASCII stream."""
    ran = shell("profile", "--model", "mod\u00e8le", PYTHONIOENCODING="ascii")
    assert ran.code == 1
    assert re.search(r"^Error: There is no model 'mod(\u00e8|\\xe8|\?)le'", ran.err, re.MULTILINE)


# Terminals


@pytest.mark.parametrize("args", [[group, "list"] for group in LISTS] + [["plugins"]], ids=" ".join)
def test_lists_fit_80_columns_without_escapes(args, aniso):
    """Lists on no terminal are 80 columns wide at most and hold no terminal codes."""
    ran = aniso(*args)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert not ESCAPE.search(ran.out + ran.err)


@pytest.mark.parametrize("name", ["pythia-6.9b", "gemma-2b"])
def test_verdicts_on_published_profiles_fit_80_columns(name, aniso):
    """`aniso test published:NAME` judges by every hypothesis, in 80 columns, and as JSON."""
    ran = aniso("test", f"published:{name}")
    assert ran.code == 0, ran.err
    assert max(map(len, ran.out.splitlines())) <= 80
    verdicts = json.loads(aniso("test", f"published:{name}", "--json").out)
    assert {v["hypothesis"] for v in verdicts} >= {"bell-curve", "gauge-flatness"}
    assert all(v["because"] for v in verdicts)


@pytest.mark.parametrize(
    "more", [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"]
)
def test_terminals_without_colour_get_no_escapes(more):
    """On a terminal that wants no colour or knows no codes, lists hold none and stay within its width."""
    shown = on_terminal(["metrics", "list"], **more)
    assert "isoscore" in shown
    assert not ESCAPE.search(shown)
    assert max(map(len, shown.splitlines())) <= 80


def test_the_collector_is_left_as_it_was():
    """While a command loads and draws, Python looks for garbage seldom, and as often as before when it has ended."""
    usual = gc.get_threshold()
    with parts.seldom_collecting():
        assert gc.get_threshold()[0] > 10 * usual[0]
    assert gc.get_threshold() == usual


HOSTILE = "x\x1b[31m\x1b]0;owned\x07\u202eder\x9b5n"


@pytest.mark.parametrize(
    "args",
    [
        [HOSTILE],
        ["--" + HOSTILE],
        ["profile", "--adapter", HOSTILE],
        ["profile", "--metric", HOSTILE],
        ["profile", "--prompts", HOSTILE],
        ["profile", "--adapter", "auto", "--model", HOSTILE],
        ["profile", "--stream", HOSTILE],
        ["profile", "--seed", HOSTILE],
        ["metrics", "show", HOSTILE],
        ["test", HOSTILE],
        ["test", f"published:{HOSTILE}"],
        ["compare", HOSTILE, "published:gemma-2b"],
        ["report", HOSTILE],
        ["export", HOSTILE, "--format", "csv"],
    ],
    ids=lambda args: " ".join(args).replace(HOSTILE, "X"),
)
def test_hostile_names_are_shown_escaped(args, aniso):
    """A name that commands a terminal or turns its text round is shown as escapes in every error."""
    ran = aniso(*args)
    assert ran.code in {1, 2}
    assert "x1b" in ran.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", ran.err + ran.out)


# Secrets


def test_a_token_is_never_shown_or_stored(aniso, neox, texts, tmp_path, monkeypatch):
    """The hub token of the environment appears in no output, error or file, in runs that work and runs that fail."""
    token = "hf_CANARYCANARYCANARYCANARY"  # noqa: S105 - a canary
    monkeypatch.setenv("HF_TOKEN", token)
    said = [
        aniso("profile", "--model", neox, "--prompts", texts, "--out", tmp_path / "run", "--json"),
        aniso("doctor", "--offline"),
        aniso("doctor", "--offline", "--json"),
        aniso("profile", "--adapter", "gemma", "--model", "gemma-2b", "--offline", "--out", tmp_path / "no"),
        aniso("profile", "--model", tmp_path / "absent", "--out", tmp_path / "no"),
        aniso("plugins", "--json"),
        aniso("test", tmp_path / "run"),
    ]
    assert [ran.code for ran in said] == [0, 0, 0, 1, 1, 0, 0]
    assert "hub token: present" in said[1].out
    for ran in said:
        assert "CANARY" not in ran.out + ran.err
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes()


# Completion and doctor


@pytest.mark.parametrize(("shell_name", "wanted"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete ")])
def test_completion_scripts_name_the_command(shell_name, wanted, aniso):
    """The completion script of each shell asks `aniso` by its own variable."""
    ran = aniso("completion", shell_name)
    assert (ran.code, ran.err) == (0, "")
    assert wanted in ran.out
    assert "_ANISO_COMPLETE" in ran.out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("aniso profile --adapter g", {"gemma"}),
        ("aniso profile --metric iso", {"isoscore", "isoscore-star"}),
        ("aniso test --hypothesis bell", {"bell-curve"}),
        ("aniso prompts show pap", {"paper3"}),
        ("aniso hypo", {"hypotheses"}),
    ],
)
def test_names_are_completed_without_torch(words, wanted, shell):
    """Names of plugins' things are completed from the registry, and torch stays unloaded."""
    ran = shell(
        _ANISO_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert {line.split(",")[1] for line in ran.out.splitlines()} == wanted
    assert "| aniso_core" in re.sub(r"\| +", "| ", ran.err)
    assert not re.search(r"\| +torch\n", ran.err)


def test_doctor_reports_what_a_run_would_find(aniso):
    """`doctor --offline --json` holds versions, devices, memory, hub and every plugin, and is one JSON value."""
    ran = aniso("doctor", "--offline", "--json")
    assert (ran.code, ran.err) == (0, "")
    facts = json.loads(ran.out)
    assert set(facts) == {"platform", "versions", "warnings", "devices", "memory GB", "hub", "hub token", "plugins"}
    assert {"python", "aniso", "torch", "transformers", "numpy"} <= set(facts["versions"])
    assert facts["devices"][0].startswith("cpu: ")
    assert facts["hub"] == "not asked"
    assert {"core", "gemma", "pythia", "transformers"} <= {plugin["name"] for plugin in facts["plugins"]}
    plain = aniso("doctor", "--offline").out
    for key in ("platform: ", "versions: ", "devices:", "hub: not asked", "plugins:", "warnings: none"):
        assert key in plain


def test_doctor_asks_the_hub_only_when_it_may(aniso, monkeypatch):
    """`doctor` says that HF_HUB_OFFLINE keeps it from asking, and otherwise what became of asking."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    assert "hub: offline by HF_HUB_OFFLINE" in aniso("doctor").out
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "hub: not reached" in aniso("doctor").out


@pytest.mark.parametrize(("torch", "count"), [("2.9.1", 1), ("2.10.0", 0), ("2.13.0+cpu", 0), ("1.99", 1)])
def test_doctor_warns_of_versions_below_the_floors(torch, count):
    """Versions below the floors are named with the reports that set them."""
    from aniso_core.cli.doctor import _old

    warned = _old({"torch": torch, "transformers": "5.23.0"})
    assert len(warned) == count
    assert all("CVE-2026-24747" in line and "pip install -U torch" in line for line in warned)


# Interruption


SLOW = """
import pathlib, time
from aniso_core import Metric, hookimpl, store

def stop(*_):
    pathlib.Path({flag!r}).touch()
    time.sleep(60)

if {phase!r} == "saving":
    store._arrays = stop

@hookimpl
def aniso_metrics():
    return [Metric("slow", stop)] if {phase!r} == "measuring" else []
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("phase", "sent", "code"),
    [("measuring", signal.SIGTERM, 143), ("saving", signal.SIGINT, 130)],
    ids=["SIGTERM measuring", "SIGINT saving"],
)
def test_a_signal_leaves_nothing_behind(phase, sent, code, good_paths, tmp_path):
    """A run that is interrupted or terminated, while measuring or while saving, ends at once and leaves no folder."""
    (neox, texts), site, out, flag = good_paths, tmp_path / "site", tmp_path / "out", tmp_path / "flag"
    (site / "slow-1.0.dist-info").mkdir(parents=True)
    out.mkdir()
    (site / "slow.py").write_text(SLOW.format(flag=str(flag), phase=phase))
    (site / "slow-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (site / "slow-1.0.dist-info/entry_points.txt").write_text("[aniso]\nslow = slow\n")
    metric = ("--metric", "slow") if phase == "measuring" else FEW
    command = [ANISO, "profile", "--model", neox, "--prompts", texts, *metric, "--out", out / "run"]
    environment = os.environ | {"PYTHONPATH": str(site), "ANISO_DISABLE_PLUGINS": "aniso-report"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not flag.exists() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert flag.exists(), run.communicate()[1]
        run.send_signal(sent)
        said, err = run.communicate(timeout=20)
    assert run.returncode == code, err
    assert said == ""
    assert "Traceback" not in err
    how = "Interrupted" if sent == signal.SIGINT else "Terminated"
    assert err.endswith(f"\n{how}; nothing was left half-written.\n")
    assert list(out.iterdir()) == []


SWALLOWED = """
import os, signal
from aniso_core import Adapter, hookimpl

def stopped(request):
    try:
        os.kill(os.getpid(), signal.{sent})
        while True:
            pass
    except BaseException:
        raise ImportError("half of it is missing")

@hookimpl
def aniso_adapters():
    return [Adapter("strange", "", stopped)]
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_a_library_swallows_is_still_one(sent, code, install, measure):
    """Where a library makes another error of an interrupt, the run is interrupted and blames nobody."""
    install(SWALLOWED.format(sent=sent))
    ran = measure("--adapter", "strange")
    assert (ran.code, ran.out) == (code, "")
    assert "Error" not in ran.err
    assert ran.err.endswith(f"{'Interrupted' if sent == 'SIGINT' else 'Terminated'}; nothing was left half-written.\n")
