"""Strangers' plugins: a real one comes and goes with pip, broken ones are named and disturb nobody."""

import json
import os
import re
import signal
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import FEW
from strangers import HEAD, curves, hypothesis, metric, others_equal, reporter, statistic

from aniso_core import store
from aniso_core.contracts import later
from aniso_core.plugins import registry
from aniso_core.testing import check_hypothesis

THIRD_PARTY = Path(__file__).parent / "third_party"


# A real one


def test_a_strangers_distribution_comes_and_goes(tmp_path, neox, texts, good_run):
    """A plugin of two files is installed with pip, listed, measured beside the built-ins, and gone when uninstalled.

    It breaks rules of `aniso_core.testing`, as a stranger's may: these are for authors, and measuring asks for none.
    """
    pytest.importorskip("pip", reason="installing is what is tested")
    pytest.importorskip("hatchling", reason="builds the plugin without a network")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    (purelib,) = home.glob("lib/python*/site-packages")
    shared = "; ".join(f"site.addsitedir({folder!r})" for folder in site.getsitepackages())
    (purelib / "shared.pth").write_text(f"import site; {shared}\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "ANISO_DISABLE_PLUGINS": "aniso-report",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }

    def run(*command: object) -> str:
        done = subprocess.run(
            list(map(str, command)),
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    command = (python, "-c", "from aniso_core.cli import main; main()")
    pip = (sys.executable, "-m", "pip", "-q", "--python", python)
    run(*pip, "install", "--no-deps", "--no-build-isolation", THIRD_PARTY / "aniso-nearest-gap")
    listed = {entry["name"]: entry for entry in json.loads(run(*command, "plugins", "--json"))}
    assert listed["nearest_gap"]["distribution"] == "aniso-nearest-gap"
    assert listed["nearest_gap"]["version"] == "0.3"
    assert listed["nearest_gap"]["provides"] == {"metric": ["spectral-gap"]}
    assert listed["nearest_gap"]["state"] == "ready"
    run(*command, "profile", "--model", neox, "--prompts", texts, "--out", "run", "--quiet")
    profile = store.load(tmp_path / "run")
    assert profile.provenance.plugins["spectral-gap"] == "aniso-nearest-gap 0.3"
    for layer, value in enumerate(profile.curve("spectral-gap").values):
        first, second = profile.spectrum(layer)[:2]
        assert value == 1.0 - second / first
    others_equal(tmp_path / "run", good_run, but="spectral-gap")
    run(*pip, "uninstall", "-y", "aniso-nearest-gap")
    left = run(*command, "plugins")
    assert "isoscore" in left
    assert "nearest" not in left
    assert "spectral-gap" not in left


# Broken when loaded

UNLOADABLE = {
    "syntax error": ("def (", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "missing import": ("import a_module_that_is_nowhere", "ModuleNotFoundError: .*a_module_that_is_nowhere"),
    "raises": (
        "raise RuntimeError('line one\\nline two \\x1b[31m red')",
        r"RuntimeError: line one\\x0aline two \\x1b\[31m",
    ),
    "unknown hook": (HEAD + "@hookimpl\ndef aniso_metricks(): return []", "aniso_metricks"),
    "hook with an argument": (HEAD + "@hookimpl\ndef aniso_metrics(model): return []", "aniso_metrics"),
    "hook raises": (HEAD + "@hookimpl\ndef aniso_metrics(): 1 / 0", "ZeroDivisionError"),
    "hook exits": (HEAD + "@hookimpl\ndef aniso_metrics(): raise SystemExit(0)", "SystemExit"),
    "returns None": (
        HEAD + "@hookimpl\ndef aniso_metrics(): return None",
        "returned NoneType, wanted a list of Metric",
    ),
    "returns text": (HEAD + "@hookimpl\ndef aniso_metrics(): return 'x'", "returned str, wanted a list of Metric"),
    "returns one": (
        HEAD + "@hookimpl\ndef aniso_metrics(): return Metric('x', float)",
        "returned Metric, wanted a list",
    ),
    "returns numbers": (HEAD + "@hookimpl\ndef aniso_metrics(): return [1]", "returned a int, wanted Metric"),
    "another kind": (HEAD + "@hookimpl\ndef aniso_adapters(): return [Metric('x', float)]", "a Metric, wanted Adapter"),
    "fails half-way": (
        HEAD + "@hookimpl\ndef aniso_metrics():\n    yield Metric('half', float)\n    raise ValueError('half')",
        "ValueError: half",
    ),
    "name is a number": (HEAD + "@hookimpl\ndef aniso_metrics(): return [Metric(7, float)]", "name"),
    "of is no function": (HEAD + "@hookimpl\ndef aniso_metrics(): return [Metric('x', 3)]", "of|call"),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_a_plugin_that_does_not_load_is_left_out_in_one_line(case, install, aniso):
    """A plugin that cannot be loaded is named with its distribution and fault; everything else is there as before."""
    before = json.loads(aniso("plugins", "--json").out)
    metrics = json.loads(aniso("metrics", "list", "--json").out)
    source, wanted = UNLOADABLE[case]
    install(source)
    ran = aniso("plugins", "--json")
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert line.startswith("plugin strange (strangers-thing 1.0) is left out: ")
    assert re.search(wanted, line)
    assert line.isprintable()
    listed = json.loads(ran.out)
    assert [entry for entry in listed if entry["name"] != "strange"] == before
    assert [entry["state"] for entry in listed if entry["name"] == "strange"] == ["left out"]
    assert json.loads(aniso("metrics", "list", "--json").out) == metrics


def test_an_entry_point_that_is_nowhere_is_left_out(install, aniso):
    """An entry point that names a missing attribute is left out in one line."""
    install("", target="json:absent")
    ran = aniso("plugins")
    assert ran.code == 0
    assert "plugin strange (strangers-thing 1.0) is left out: AttributeError" in ran.err


def test_a_run_with_unloadable_plugins_is_the_run_without(install, measure, good_run):
    """A profile beside plugins that do not load exits 0, names each, and is equal in every number."""
    cases = ("syntax error", "exit", "missing import", "hook raises", "unknown hook", "returns text")
    for number, case in enumerate(cases):
        install(UNLOADABLE[case][0], distribution=f"stranger-{number}", point=f"strange{number}")
    ran = measure()
    assert ran.code == 0, ran.err
    assert ran.err.count(" is left out: ") == len(cases)
    others_equal(ran.run, good_run)


def test_a_look_up_that_misses_names_the_plugins_left_out(install, aniso):
    """An unknown name is answered with the broken plugins too, as one of them may have provided it."""
    install("import a_module_that_is_nowhere")
    ran = aniso("metrics", "show", "strange")
    assert ran.code == 1
    assert "Left out: strange (strangers-thing): ModuleNotFoundError" in ran.err


def test_debris_of_a_distribution_disturbs_nobody(install, aniso, tmp_path):
    """A distribution's folder without metadata, as an interrupted pip leaves it, ends no look-up in a traceback."""
    (tmp_path / "site" / "debris-1.0.dist-info").mkdir()
    install(metric("return 1.0"))
    ran = aniso("adapters", "show", "gema")
    assert ran.code == 1
    assert "the adapters are gemma" in ran.err


# Faults while running

RUNTIME = {
    "nan": ("return float('nan')", "ValueError: returned nan, wanted a finite number"),
    "infinite": ("return float('inf')", "returned inf, wanted a finite number"),
    "complex": ("return 1j", "TypeError: returned complex, wanted a real number"),
    "text": ("return 'much'", "returned str, wanted a real number"),
    "None": ("return None", "returned NoneType, wanted a real number"),
    "bool": ("return True", "returned bool, wanted a real number"),
    "array": ("return m.mean", "returned ndarray, wanted a real number"),
    "huge integer": ("return 10 ** 400", "OverflowError"),
    "raises": ("raise RuntimeError('one\\ntwo')", r"RuntimeError: one\\x0atwo"),
    "writes into the moments": ("m.mean[:] = 0; return 1.0", "ValueError: .*read-only"),
    "writes into the spectrum": ("m.spectrum[:] = 0; return 1.0", "ValueError: .*read-only"),
    "exits": ("import sys; sys.exit(0)", "SystemExit"),
}


@pytest.mark.parametrize("case", RUNTIME)
def test_a_metric_that_fails_is_named_and_the_rest_is_whole(case, install, measure, good_run):
    """A metric that raises or returns no finite number fails alone: exit 3, one line, other numbers as without it."""
    expression, wanted = RUNTIME[case]
    install(metric(expression))
    ran = measure("--json")
    assert ran.code == 3, ran.err
    lines = [line for line in ran.err.splitlines() if "strange" in line]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("The metric strange (strangers-thing 1.0) failed: ")
    assert re.search(wanted, lines[0])
    assert [failure["name"] for failure in json.loads(ran.out)["failures"]] == ["strange"]
    curve = curves(ran.run)["strange", "residual", "all"]
    assert curve["values"] == [None, None, None]
    assert all(gap["reason"].startswith("failed: ") for gap in curve["missing"])
    assert [failure.name for failure in store.load(ran.run).failures] == ["strange"]
    others_equal(ran.run, good_run)


@pytest.mark.parametrize(
    "methods",
    [{"__init__": "1 / 0"}, {"update": "1 / 0"}, {"merge": "1 / 0"}, {"result": "1 / 0"}, {"result": "return 'x'"}],
    ids="".join,
)
def test_a_statistic_that_fails_is_named_and_the_rest_is_whole(methods, install, measure, good_run):
    """A statistic that raises anywhere fails its own metrics alone."""
    install(statistic(**methods))
    ran = measure()
    assert ran.code == 3, ran.err
    assert ran.err.count("a-strange (strangers-thing 1.0) failed: ") == 1
    assert re.search("ZeroDivisionError|ValueError", ran.err)
    others_equal(ran.run, good_run, but="a-strange")


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no interval timer")
@pytest.mark.parametrize(
    ("source", "name"),
    [
        (metric("import time; time.sleep(30); return 1.0"), "strange"),
        (metric("\n    while True: pass"), "strange"),
        (statistic(update="import time; time.sleep(30)"), "a-strange"),
        (statistic(result="import time; time.sleep(30)"), "a-strange"),
    ],
    ids=["sleeps", "loops", "update", "result"],
)
def test_a_metric_that_hangs_is_named_and_the_rest_is_whole(source, name, install, measure, good_run):
    """With a time limit a metric that does not return fails alone, once for all sites, and is named."""
    install(source)
    ran = measure("--time-limit", "0.5")
    assert ran.code == 3, ran.err
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert f"The metric {name} (strangers-thing 1.0) failed: " in line
    assert "it took longer than 0.5 s" in line
    others_equal(ran.run, good_run, but=name)


def test_a_statistic_that_writes_into_the_states_changes_no_other(install, measure, good_run):
    """A statistic that changes the tokens it is given spoils no other statistic's numbers."""
    install(statistic(update="x.states.mul_(2); x.norms.zero_()"))
    ran = measure()
    assert ran.code in {0, 3}, ran.err
    others_equal(ran.run, good_run, but="a-strange")


def test_what_a_plugin_prints_goes_to_stderr(install, measure, good_run):
    """Prints of a plugin, at import, in its hook and in its metric, never reach stdout, where data goes."""
    source = metric("print('from the metric'); return 1.0")
    source = source.replace("@hookimpl", "print('from the import')\n@hookimpl")
    install(source.replace("return [", "print('from the hook')\n    return ["))
    ran = measure("--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["run"] == str(ran.run)
    for said in ("from the import", "from the hook", "from the metric"):
        assert said in ran.err
    others_equal(ran.run, good_run)


def test_warnings_of_a_metric_are_said_once_with_its_name(install, measure):
    """A metric that warns is measured like any other, and named once with what it said, on screen and in the run."""
    install(metric("import warnings; warnings.warn('careful'); return 1.0"))
    ran = measure()
    assert ran.code == 0
    assert ran.err.count("careful") == 1
    assert "Note: the metric strange (strangers-thing 1.0) warned: careful" in ran.err
    assert [(said.name, said.reason) for said in store.load(ran.run).remarks] == [("strange", "warned: careful")]


def test_warnings_of_a_statistic_are_said_once_with_its_metric(install, measure):
    """What a statistic prints or warns of is named with its metric."""
    install(statistic(update="print('taking')"))
    ran = measure()
    assert "Note: the metric a-strange (strangers-thing 1.0) printed: taking (its statistic)" in ran.err


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (hypothesis("raise RuntimeError('no')"), "RuntimeError: no"),
        (hypothesis("return None"), "TypeError"),
        (hypothesis("yield 'supported'"), "yielded a str, wanted a Verdict"),
        (hypothesis("import sys; sys.exit(0)"), "SystemExit"),
        (hypothesis("yield Verdict('strange', 'paper', 'm', 'refuted', 'b', details={'x': object()})"), "object"),
        (reporter("1 / 0"), "ZeroDivisionError"),
        (reporter("None"), "TypeError"),
        (reporter("['page']"), "yielded a str, wanted a ReportFile"),
        (reporter("[ReportFile('page.txt', 'text')]"), "bytes"),
        (reporter("[ReportFile('../page.txt', b'x')]"), r"\.\./page\.txt"),
        (reporter("[ReportFile('page.txt', b'\\xff', show=True)]"), "utf-8|UTF-8|show"),
    ],
    ids=[
        "h-raises",
        "h-None",
        "h-text",
        "h-exits",
        "h-details",
        "r-raises",
        "r-None",
        "r-text",
        "r-str",
        "r-path",
        "r-show",
    ],
)
def test_a_hypothesis_or_reporter_that_fails_is_named(source, wanted, install, measure, good_run):
    """A hypothesis or reporter that fails is named with its fault: exit 3, and the run is whole without its part."""
    install(source)
    ran = measure("--json")
    assert ran.code == 3, ran.err
    lines = [line for line in ran.err.splitlines() if "strange" in line]
    assert len(lines) == 1, ran.err
    assert "(strangers-thing 1.0) failed: " in lines[0]
    assert re.search(wanted, lines[0])
    assert [failure["name"] for failure in json.loads(ran.out)["failures"]] == ["strange"]
    judged = store.load_judged(ran.run)
    assert [failure.name for failure in judged.failures] == ["strange"]
    assert judged.verdicts == store.load_judged(good_run).verdicts
    assert sorted(path.name for path in ran.run.parent.glob("**/*page*")) == []
    others_equal(ran.run, good_run)


@pytest.mark.parametrize("number", ["float('nan')", "np.float64(0.5)", "np.int64(3)", "np.bool_(True)"])
def test_a_verdict_of_odd_numbers_is_kept_as_json(number, install, measure):
    """A verdict whose numbers are numpy's or NaN is written and told as JSON, or its hypothesis fails by name."""
    given = f"estimate={number}, details={{'x': {number}}}"
    install(hypothesis(f"import numpy as np; yield Verdict('strange', 'paper', 'm', 'refuted', 'b', {given})"))
    ran = measure(*FEW, "--json")
    assert ran.code in {0, 3}, ran.err
    told = json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    kept = [v.hypothesis for v in store.load_judged(ran.run).verdicts]
    assert ("strange" in kept) == (ran.code == 0) == ("strange" in {v["hypothesis"] for v in told["verdicts"]})


@pytest.mark.parametrize("documents", ["[]", "[Document('1', ' ')]", "[Document('1', 'a'), Document('1', 'b')]"])
def test_a_prompt_set_that_is_wrong_is_refused(documents, install, refused):
    """The documents of a plugin's prompt set meet the rules of a file: none, blank or twice the same id is refused."""
    made = f"PromptSet('strange', 's', 's', 'l', lambda: {documents})"
    install(f"{HEAD}@hookimpl\ndef aniso_prompts():\n    return [{made}]\n")
    refused("--prompts", "strange", wants=("no prompts|no texts|blank|ids must differ",))


# Names


def test_a_stranger_cannot_take_a_built_in_name(install, measure, good_run):
    """A stranger's metric of a built-in's name is left out with both distributions named; the built-in stays."""
    install(metric("return -1.0", name="isoscore"), point="a_first")
    assert registry().distribution("metric", "isoscore").startswith("aniso ")
    ran = measure()
    assert ran.code == 0
    assert "plugin a_first (strangers-thing 1.0): its metric 'isoscore' is not used: that of aniso is" in ran.err
    others_equal(ran.run, good_run)


@pytest.mark.parametrize("strangers", [2, 3, 4])
def test_strangers_of_one_name_are_all_left_out(strangers, install, aniso):
    """Where several strangers claim one name none gets it, and each is told of another."""
    for number in range(strangers):
        install(metric("return 1.0"), distribution=f"stranger-{number}", point=f"strange{number}")
    ran = aniso("metrics", "show", "strange")
    assert ran.code == 1
    assert "There is no metric 'strange'" in ran.err
    for number in range(strangers):
        assert f"plugin strange{number} (stranger-{number} 1.0): its metric 'strange' is not used: stranger-" in ran.err


def test_two_plugins_of_one_entry_point_name_are_both_loaded(install, aniso):
    """Two distributions may name their entry points alike; what counts is the names of what they provide."""
    install(metric("return 1.0", name="one"), distribution="stranger-1")
    install(metric("return 2.0", name="two"), distribution="stranger-2")
    listed = {entry["name"]: entry["distribution"] for entry in json.loads(aniso("metrics", "list", "--json").out)}
    assert (listed["one"], listed["two"]) == ("stranger-1 1.0", "stranger-2 1.0")


@pytest.mark.parametrize("disabled", ["strange", "strangers-thing", " strange , other"])
def test_a_plugin_is_disabled_by_its_name_or_distribution(disabled, install, aniso, monkeypatch, fresh_registry):
    """ANISO_DISABLE_PLUGINS leaves out plugins by entry point or distribution without importing them."""
    module = install(metric("return 1.0"))
    assert "strange" in registry().names("metric")
    del sys.modules[module]
    monkeypatch.setenv("ANISO_DISABLE_PLUGINS", disabled)
    fresh_registry()
    ran = aniso("metrics", "show", "strange")
    assert ran.code == 1
    assert "left out" not in ran.err
    assert "ANISO_DISABLE_PLUGINS disables strange (strangers-thing)." in ran.err
    (listed,) = (p for p in json.loads(aniso("plugins", "--json").out) if p["state"] == "disabled")
    assert (listed["name"], listed["distribution"], listed["provides"]) == ("strange", "strangers-thing", {})
    assert re.search(r"^strange +strangers-thing 1\.0 +disabled", aniso("plugins").out, re.MULTILINE)
    assert module not in sys.modules


def test_a_plugin_to_leave_out_that_there_is_not_is_said(aniso, monkeypatch, fresh_registry):
    """A name in ANISO_DISABLE_PLUGINS that nothing has is said once, with the nearest; a comma too many is not."""
    monkeypatch.setenv("ANISO_DISABLE_PLUGINS", "aniso-report,, aniso-gema,")
    fresh_registry()
    said = "Note: ANISO_DISABLE_PLUGINS names aniso-gema, which is not installed; the nearest is aniso-gemma.\n"
    assert aniso("plugins").err == said


@pytest.mark.parametrize(
    ("wanted", "upgrade"),
    [
        (">=99", "aniso"),
        ("[all]>=99", "aniso"),
        ("~=99.1", "aniso"),
        ("<0.0.1", "the plugin"),
        (">=0.0.1,<0.0.2", "the plugin"),
    ],
)
def test_a_plugin_for_another_version_of_aniso_says_which_side_to_upgrade(wanted, upgrade, install, aniso):
    """A plugin whose distribution declares another range of aniso is left out before it is imported."""
    module = install(metric("return 1.0"), needs=f"Requires-Dist: aniso{wanted}\n")
    ran = aniso("metrics", "show", "strange")
    assert re.search(
        rf"\(strangers-thing 1\.0\) is left out: it needs aniso .* and this is .*; upgrade {upgrade}", ran.err
    )
    assert module not in sys.modules


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        ">=0.0.1",
        "[all]>=0.0.1",
        "-other>=99",
        ">=0.0.1,<99; python_version > '3'",
        ">=99; python_version < '3'",
        ">=99; extra == 'dev'",
    ],
)
def test_a_plugin_for_this_version_of_aniso_is_loaded(wanted, install, aniso):
    """A plugin that names no version of aniso, a range that holds this one, or another distribution is loaded."""
    install(metric("return 1.0"), needs=f"Requires-Dist: aniso{wanted}\n")
    assert "left out" not in aniso("metrics", "show", "strange").err


def test_later_imports_when_it_is_called():
    """What `later` stands for is imported on the first call and gets its arguments; until then it may be missing."""
    sys.modules.pop("colorsys", None)
    stands = later("colorsys", "rgb_to_hsv")
    assert "colorsys" not in sys.modules
    assert stands(1.0, 1.0, 1.0) == (0.0, 0.0, 1.0)
    missing = later("aniso_nowhere", "render")
    with pytest.raises(ModuleNotFoundError, match="aniso_nowhere"):
        missing()


def test_hooks_are_traced_on_stderr(install, aniso, monkeypatch, fresh_registry):
    """ANISO_TRACE_HOOKS writes each hook call to stderr and nothing else to stdout."""
    install(metric("return 1.0"))
    plain = aniso("metrics", "list", "--json")
    assert plain.err == ""
    monkeypatch.setenv("ANISO_TRACE_HOOKS", "1")
    fresh_registry()
    traced = aniso("metrics", "list", "--json")
    assert traced.out == plain.out
    assert "aniso_metrics: strange (strangers-thing) gave 1" in traced.err
    assert "aniso_adapters: gemma (aniso-gemma) gave 1" in traced.err


def test_a_hidden_family_is_named_with_its_command(monkeypatch, fresh_registry, aniso, measure, tmp_path):
    """Without aniso-gemma, `--adapter gemma` says what to install, and everything else works."""
    from importlib import metadata

    real = metadata.distributions

    def without(**context):
        return (d for d in real(**context) if d.metadata["Name"] != "aniso-gemma")

    monkeypatch.setattr(metadata, "distributions", without)
    fresh_registry()
    ran = aniso("profile", "--adapter", "gemma", "--out", tmp_path / "no")
    assert ran.code == 1
    assert "There is no adapter 'gemma'" in ran.err
    assert (
        "Not installed: aniso-gemma (pip install aniso-gemma, or in a clone pip install -e plugins/aniso-gemma)."
        in ran.err
    )
    assert not (tmp_path / "no").exists()
    assert measure(*FEW).code == 0
    assert "gemma" not in aniso("adapters", "list").out


def test_a_strangers_hypothesis_tests_over_documents(install, aniso, tmp_path):
    """The plugin guide's claim, installed from elsewhere, judges a run's documents, or says why it cannot."""
    guide = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(from aniso_core\.rigorous import .*?)\n\(verdict,\)", guide, re.DOTALL)
    assert len(block.splitlines()) < 30
    imports = "from collections.abc import Iterator, Sequence\nimport numpy as np\n"
    hook = "@hookimpl\ndef aniso_hypotheses():\n    return [Hypothesis('late-peak', 'claim', late_peak)]\n"
    install(f"{HEAD}{imports}from aniso_core.inference import peak_layers\n{block}\n{hook}")
    asked = ("--metric", "participation-ratio", "--hypothesis", "late-peak")
    ran = aniso("profile", "--adapter", "gemma", *asked, "--out", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    (verdict,) = json.loads(ran.out)["verdicts"]
    assert verdict["outcome"] in {"supported", "refuted", "inconclusive"}
    assert (verdict["details"]["units"], verdict["standing"]) == (16, "exploratory")
    (told,) = json.loads(aniso("test", "published:pythia-6.9b", "--hypothesis", "late-peak", "--json").out)
    assert told["because"] == "a published profile has no documents to leave out"
    check_hypothesis(registry().hypothesis("late-peak"))
