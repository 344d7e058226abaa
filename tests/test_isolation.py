"""What strangers' plugins do while they run: each accident is named, and everything else stays as it is, to the bit."""

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FEW
from strangers import hypothesis, metric, others_equal, provided, reporter, statistic

from aniso_core import isolation, store
from aniso_core.plugins import registry

NAMED = "strange (strangers-thing 1.0)"

needs_timer = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no interval timer")


def settings():
    """Return what in this process changes numbers, and what a run is told to."""
    told = (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads())
    precision = torch.get_float32_matmul_precision()
    return *told, precision, np.geterr(), Path.cwd(), sys.stdout, sys.stderr, list(warnings.filters)


def same_verdicts(run, plain):
    """Return whether two runs hold the same verdicts."""
    return store.load_judged(run).verdicts == store.load_judged(plain).verdicts


# Settings of the process

SPOILS = {
    "precision": "import torch; torch.set_default_dtype(torch.float64)",
    "device": "import torch; torch.set_default_device('meta')",
    "gradients": "import torch; torch.set_grad_enabled(not torch.is_grad_enabled())",
    "threads": "import torch; torch.set_num_threads(torch.get_num_threads() + 1)",
    "products": "import torch; torch.set_float32_matmul_precision('medium')",
    "numpy's errors": "import numpy; numpy.seterr(all='raise')",
    "folder": "import os; os.chdir('/')",
    "seeds": "import numpy, random, torch; numpy.random.seed(1); random.seed(1); torch.manual_seed(1)",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "stdout": "import io, sys; sys.stdout = io.StringIO()",
}
ALL = "; ".join(SPOILS.values())


@pytest.mark.parametrize("case", SPOILS)
def test_a_metric_that_changes_a_setting_changes_no_other(case, install, measure, good_run):
    """Precision, threads, numpy's errors and the like are put back after each call of a metric."""
    install(metric(f"{SPOILS[case]}; return 1.0", name="a-strange"))
    before = settings()
    ran = measure("--json")
    assert ran.code == 0, ran.err
    assert settings() == before
    assert json.loads(ran.out)["failures"] == []
    others_equal(ran.run, good_run, but="a-strange")
    assert same_verdicts(ran.run, good_run)


@pytest.mark.parametrize(
    "source",
    [
        f"{ALL}\n{metric('return 1.0', name='a-strange')}",
        metric("return 1.0", name="a-strange").replace("    return [", f"    {ALL}\n    return ["),
        statistic(__init__=f"self.n = 0; {ALL}", update=f"self.n += 1; {ALL}", result=f"{ALL}; return self.n"),
        hypothesis(f"{ALL}; yield Verdict('strange', 'paper', 'm', 'refuted', 'b')"),
        reporter(f"exec({ALL!r}) or []"),
    ],
    ids=["import", "hook", "statistic", "hypothesis", "reporter"],
)
def test_a_setting_is_put_back_wherever_it_was_changed(source, install, measure, good_run):
    """What is imported, asked for its records, measured, judged or drawn leaves settings as they were."""
    install(source)
    before = settings()
    ran = measure("--json")
    assert ran.code == 0, ran.err
    assert settings() == before
    others_equal(ran.run, good_run, but="a-strange")
    told = [v for v in store.load_judged(ran.run).verdicts if v.hypothesis != "strange"]
    assert told == list(store.load_judged(good_run).verdicts)


def test_what_a_plugin_imports_first_is_put_back_to_what_is_usual(install, tmp_path):
    """A plugin that imports numpy and torch and changes them at once leaves them as they are when just imported."""
    spoils = "; ".join(SPOILS[name] for name in ("precision", "device", "gradients", "products", "numpy's errors"))
    install(f"{spoils}\n{metric('return 1.0')}")
    code = (
        "import sys\nfrom aniso_core.plugins import registry\nassert 'torch' not in sys.modules\n"
        "assert 'strange' in registry().names('metric')\nimport numpy, torch\n"
        "print(torch.get_default_dtype(), torch.empty(0).device, torch.is_grad_enabled(), numpy.geterr()['divide'])"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["torch.float32", "cpu", "True", "warn"], ran.stderr


# Arrays

WRITES = {
    "spectra": ("profiles[0].spectra[0].values[:] = 0", "read-only"),
    "pseudo-values": ("profiles[0].pseudo[0].values += 1", "read-only"),
    "profiles": ("profiles.reverse()", "'tuple' object has no attribute 'reverse'"),
    "curves": ("profiles[0].curves[0].values[0] = 1.0", "'tuple' object does not support item assignment"),
    "records": ("profiles[0].curves = ()", "cannot assign to field 'curves'"),
}


@pytest.mark.parametrize("case", WRITES)
@pytest.mark.parametrize("kind", ["hypothesis", "reporter"])
def test_what_writes_into_a_profile_fails_by_name_alone(kind, case, install, measure, good_run):
    """A hypothesis or reporter that writes into what it shares with others fails; the others read what was measured."""
    write, wanted = WRITES[case]
    source = hypothesis(f"{write}; yield") if kind == "hypothesis" else reporter("spoil(report.profiles)")
    install(source if kind == "hypothesis" else f"def spoil(profiles):\n    {write}\n{source}")
    ran = measure()
    assert ran.code == 3, ran.err
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert line.startswith(f"The {kind} {NAMED} failed: ")
    assert wanted in line
    others_equal(ran.run, good_run)
    assert same_verdicts(ran.run, good_run)


def test_a_reporter_that_writes_into_verdicts_changes_its_own_copy(install, measure, good_run):
    """What a reporter does to the details of a verdict shows neither in the run nor to reporters after it."""
    spoil = "[verdict.details.clear() or verdict.details.update(x=1) for verdict in report.verdicts]"
    install(reporter(f"{spoil} and []"))
    after = "[ReportFile('after.txt', repr([verdict.details for verdict in report.verdicts]).encode())]"
    after = reporter(after).replace("'strange'", "'after'").replace("render)", "render, order=1)")
    install(after, distribution="another-thing", point="after")
    ran = measure()
    assert ran.code == 0, ran.err
    assert same_verdicts(ran.run, good_run)
    assert "{'x': 1}" not in (ran.run / "report" / "after.txt").read_text()


@pytest.mark.parametrize("name", ["side", "mean", "unit_mean", "top_direction", "spectrum", "cov"])
@pytest.mark.parametrize("part", ["whole", "without"])
def test_moments_cannot_be_written_into(part, name, install, measure, good_run):
    """A metric that writes into moments, or into those without a document, changes them for nobody."""
    mine = "hasattr(m, 'slot')" if part == "without" else "True"
    install(metric(f"\n    if {mine}: m.{name}[:] = 0\n    return 1.0", name="a-strange"))
    ran = measure()
    assert ran.code == (3 if part == "whole" else 0), ran.err
    others_equal(ran.run, good_run, but="a-strange")
    found = store.load(ran.run).curve("a-strange")
    assert "read-only" in (found.missing[0].reason if part == "whole" else found.no_interval)


def test_a_metric_that_keeps_one_array_of_its_own_keeps_each_state_of_it(install, measure):
    """An array that a metric goes on writing into is kept as it was when it was returned."""
    of = "import numpy\nhere = numpy.zeros(1)\ndef of(m):\n    here[0] = m.norm_mean\n    return here\n"
    install(provided("metrics", "[Metric('strange', of, keeps=True)]", of))
    ran = measure(*FEW, "--metric", "strange")
    assert ran.code == 0, ran.err
    profile = store.load(ran.run)
    found = profile.kept("strange")
    assert [float(found[layer][0]) for layer in sorted(found)] == list(profile.curve("norm-mean").values)


# What is raised

RAISES = {
    "SystemExit": "raise SystemExit(0)",
    "GeneratorExit": "raise GeneratorExit('closed')",
    "Stop": "\n        class Stop(BaseException): pass\n        raise Stop('here')",
    "MemoryError": "raise MemoryError",
    "RecursionError": "\n        def again(): again()\n        again()",
    "StopIteration": "raise StopIteration",
    "Mute": "\n        class Mute(Exception):\n            def __str__(self): raise ValueError\n        raise Mute",
}


@pytest.mark.parametrize("case", RAISES)
@pytest.mark.parametrize("kind", ["metric", "statistic", "hypothesis", "reporter"])
def test_whatever_is_raised_fails_its_plugin_alone(kind, case, install, measure, good_run):
    """Exits, exceptions that are no Exception, and errors that fail to say what they are: all are caught and named."""
    body = f"\n    if True:\n        {RAISES[case].lstrip()}"
    sources = {
        "metric": metric(body),
        "statistic": statistic(update=f"f()\ndef f():{body}").replace("a-strange", "strange"),
        "hypothesis": hypothesis(body),
        "reporter": f"def spoil():{body}\n{reporter('spoil()')}",
    }
    if kind == "statistic":
        sources[kind] = f"def f():{body}\n" + statistic(update="f()").replace("a-strange", "strange")
    install(sources[kind])
    ran = measure()
    assert ran.code == 3, ran.err
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert line.startswith(f"The {'metric' if kind == 'statistic' else kind} {NAMED} failed: ")
    assert case in line
    others_equal(ran.run, good_run)


@pytest.mark.parametrize("source", [metric, hypothesis])
def test_an_interrupt_is_nobodys_fault(source, install, measure):
    """Ctrl-C while a plugin runs ends the run, and nothing is written."""
    install(source("raise KeyboardInterrupt"))
    ran = measure()
    assert ran.code == 130, ran.err
    assert "strange" not in ran.err
    assert not ran.run.exists()


# What is said


@pytest.mark.parametrize("how", ["print('careful')", "import warnings; warnings.warn('careful')"])
@pytest.mark.parametrize("kind", ["hypothesis", "reporter"])
def test_what_hypotheses_and_reporters_say_is_named(kind, how, install, measure, good_run):
    """What a hypothesis or reporter prints or warns of is told once with its name and kept, and stdout stays data."""
    verdict = "yield Verdict('strange', 'paper', 'm', 'refuted', 'b')"
    install(hypothesis(f"{how}; {verdict}") if kind == "hypothesis" else reporter(f"exec({how!r}) or []"))
    ran = measure("--json")
    assert ran.code == 0, ran.err
    json.loads(ran.out)
    did = "printed" if "print" in how else "warned"
    assert f"Note: the {kind} {NAMED} {did}: careful" in ran.err.splitlines()
    (kept,) = store.load_judged(ran.run).remarks
    assert (kept.kind, kept.name, kept.reason) == (kind, "strange", f"{did}: careful")
    others_equal(ran.run, good_run)


def test_what_is_said_of_stored_runs_is_named(install, aniso, good_run, tmp_path):
    """`aniso test`, `compare` and `report` name what a hypothesis or a reporter says."""
    install(hypothesis("print('careful'); yield Verdict('strange', 'paper', 'm', 'refuted', 'b')"))
    assert f"Note: the hypothesis {NAMED} printed: careful" in aniso("test", good_run).err
    install(reporter("print('drawn') or []"), distribution="another-thing", point="another")
    ran = aniso("report", good_run, "--out", tmp_path / "drawn")
    assert "Note: the reporter strange (another-thing 1.0) printed: drawn" in ran.err


def test_what_other_threads_print_is_none_of_a_plugins(capsys):
    """A plugin's own threads are heard, those that ran before it print as ever."""
    told, begin, over = [], threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (begin.wait(), sys.stdout.write("of another\n"), over.set()))
    other.start()
    with isolation.isolated(told.append):
        begin.set()
        over.wait()
        own = threading.Thread(target=print, args=("its own",))
        own.start()
        own.join()
    other.join()
    assert (told, capsys.readouterr().out) == (["printed: its own"], "of another\n")


def test_a_flood_is_cut_and_warnings_for_authors_are_not_told(install, measure):
    """A metric that prints megabytes takes one line; a deprecation is for those who test the plugin."""
    warn = "import warnings; warnings.warn('old', DeprecationWarning)"
    install(metric(f"{warn}; print('x' * 10**6); return 1.0"))
    ran = measure(*FEW, "--metric", "strange")
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert len(line) < 500
    assert "old" not in ran.err


# Hanging


@needs_timer
@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (hypothesis("import time; yield time.sleep(30)"), "hypothesis"),
        (reporter("__import__('time').sleep(30)"), "reporter"),
        (metric("\n    while True:\n        try: pass\n        except Exception: pass"), "metric"),
    ],
    ids=["hypothesis", "reporter", "metric that catches everything"],
)
def test_what_hangs_is_stopped_and_named(source, kind, install, measure, good_run):
    """With a time limit a hypothesis or reporter that does not return fails alone, as a metric does."""
    install(source)
    ran = measure("--time-limit", "3")
    assert ran.code == 3, ran.err
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert line.startswith(f"The {kind} {NAMED} failed: it took longer than 3 s")
    others_equal(ran.run, good_run)
    assert same_verdicts(ran.run, good_run)


@pytest.mark.parametrize(
    ("source", "who"),
    [
        (metric("import time; time.sleep(0.4); return 1.0"), "metric"),
        (statistic(update="import time; time.sleep(0.4)").replace("a-strange", "strange"), "statistic of metric"),
        (
            hypothesis("import time; time.sleep(0.6); yield Verdict('strange', 'paper', 'm', 'refuted', 'b')"),
            "hypothesis",
        ),
        (reporter("__import__('time').sleep(0.6) or []"), "reporter"),
    ],
    ids=["metric", "statistic", "hypothesis", "reporter"],
)
def test_who_keeps_everybody_waiting_is_named(source, who, install, measure, monkeypatch):
    """Without a time limit stderr names whom the run has been waiting for since a minute, here shortened."""
    install(source)
    monkeypatch.setattr(isolation, "PATIENCE", 0.3)
    ran = measure(*FEW, "--metric", "strange" if "metric" in who else "norm-mean", "--tokens", "all")
    assert ran.code == 0, ran.err
    assert f"Still waiting for the {who} {NAMED} after 0.3 s. " in ran.err


def test_a_plugin_that_takes_long_to_import_is_named(install, aniso, monkeypatch):
    """A list that waits for a plugin's import says for which."""
    install(f"import time; time.sleep(0.5)\n{metric('return 1.0')}")
    monkeypatch.setattr(isolation, "PATIENCE", 0.2)
    ran = aniso("plugins")
    said = f"Still waiting for the plugin {NAMED} after 0.2 s. Ctrl-C ends it, and ANISO_DISABLE_PLUGINS=NAME leaves a "
    assert f"{said}plugin out.\n" in ran.err


# Records whose fields are wrong

UNFIT = {
    "unit": ("metrics", "[Metric('x', float, unit=3)]", "Metric whose unit is 3, wanted str"),
    "summary": ("metrics", "[Metric('x', float, summary={1})]", "Metric whose summary is {1}, wanted str"),
    "low": ("metrics", "[Metric('x', float, low='0')]", "Metric whose low is '0', wanted float | None"),
    "over": ("metrics", "[Metric('x', float, over=3)]", "Metric whose over is 3"),
    "aliases": (
        "metrics",
        "[Metric('x', float, aliases='isoscore')]",
        "Metric whose aliases is 'isoscore', wanted tuple",
    ),
    "direction": ("metrics", "[Metric('x', float, direction='up')]", "Metric whose direction is 'up', wanted Literal"),
    "contrast": ("metrics", "[Metric('x', float, contrast='last')]", "Metric whose contrast is 'last'"),
    "unhashable": ("metrics", "[Metric('x', Unhashable())]", "unhashable type"),
    "sizes": ("hypotheses", "[Hypothesis('x', 'c', print, sizes={'a': 'b'})]", "Hypothesis whose sizes is {'a': 'b'}"),
    "claim": ("hypotheses", "[Hypothesis('x', None, print)]", "Hypothesis whose claim is None, wanted str"),
    "order": ("reporters", "[Reporter('x', 's', print, order='last')]", "Reporter whose order is 'last', wanted int"),
    "licence": ("prompts", "[PromptSet('x', 's', 's', None, list)]", "PromptSet whose licence is None, wanted str"),
    "presets": ("adapters", "[Adapter('x', 's', print, presets=None)]", "Adapter whose presets is None"),
    "a preset": ("adapters", "[Adapter('x', 's', print, presets=(Preset('x', 3),))]", "Adapter whose presets is "),
    "space": ("metrics", "[Metric('isoscore ', float)]", "Metric called 'isoscore ', wanted a name without spaces"),
    "invisible": ("metrics", "[Metric('iso\\u200bscore', float)]", "wanted a name without spaces"),
    "escape": ("metrics", "[Metric('\\x1b[31mred', float)]", "wanted a name without spaces"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_record_with_a_wrong_field_is_left_out(case, install, measure, aniso, good_run):
    """A field of another type would break lists, other plugins or the stored run, so its plugin is left out at once."""
    kind, made, wanted = UNFIT[case]
    install(provided(kind, made, "class Unhashable:\n    __hash__ = None\n    def __call__(self, m): return 1.0"))
    ran = measure()
    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.err.splitlines() if "strange" in line]
    assert line.startswith(f"plugin {NAMED} is left out: ")
    assert wanted in line
    assert line.isprintable()
    others_equal(ran.run, good_run)
    for group in ("adapters", "metrics", "hypotheses", "reporters", "prompts"):
        json.loads(aniso(group, "list", "--json").out)


# Names


def test_names_that_differ_in_case_are_two(install, measure, good_run):
    """A stranger's `IsoScore` stands beside `isoscore`, and each look-up finds its own."""
    install(metric("return -1.0", name="IsoScore"))
    assert registry().distribution("metric", "IsoScore") == "strangers-thing 1.0"
    assert registry().distribution("metric", "isoscore").startswith("aniso ")
    ran = measure()
    assert ran.code == 0, ran.err
    others_equal(ran.run, good_run, but="IsoScore")


def test_an_alias_takes_nobodys_name(install, aniso):
    """A name goes before an alias, an alias of aniso's own before a stranger's, and two strangers share none."""
    for number in (1, 2):
        also = "aliases=('isoscore', 'avg-cos-sim', 'shared')"
        source = provided("metrics", f"[Metric('one-{number}', float, {also})]")
        install(source, distribution=f"stranger-{number}", point=f"strange{number}")
    found = registry()
    assert found.metric("isoscore").name == "isoscore"
    assert found.metric("avg-cos-sim").name == "cosine-to-mean"
    ran = aniso("metrics", "show", "shared")
    assert ran.code == 1
    assert "'shared' is another name of metric one-1 (stranger-1 1.0) and one-2 (stranger-2 1.0)" in ran.err


def test_a_long_name_fits_lists(install, aniso):
    """A name of 200 characters is broken over the lines of a list, which stay within 80 columns."""
    install(metric("return 1.0", name="long" * 50), distribution="long" * 50)
    for command in (("metrics", "list"), ("plugins",)):
        lines = aniso(*command).out.splitlines()
        assert max(map(len, lines)) <= 80
        assert any("isoscore" in line for line in lines)


# Adapters and prompt sets

PROBE = """
from aniso_core.weights import open_model
class Mine:
    def __init__(self, probe): self.probe = probe
    def __getattr__(self, name): return getattr(self.probe, name)
    def {method}
def opened(request):
    {opening}
"""

ADAPTERS = {
    "returns None": ("x(): pass", "return None", "AttributeError: 'NoneType' object has no attribute 'info'"),
    "exits": ("x(): pass", "raise SystemExit(0)", "SystemExit: 0"),
    "is no probe": ("x(): pass", "return Mine(3)", "AttributeError: 'int' object has no attribute 'info'"),
    "tokenizes badly": (
        "tokenize(self, *given, **more): raise RuntimeError('no')",
        "return Mine(open_model(request))",
        "RuntimeError: no",
    ),
    "tokenizes nothing": (
        "tokenize(self, *given, **more): return None",
        "return Mine(open_model(request))",
        "AttributeError: 'NoneType' object has no attribute 'windows'",
    ),
    "reads nothing": (
        "reading(self, sites, sink): raise SystemExit(1)",
        "return Mine(open_model(request))",
        "SystemExit: 1",
    ),
}


@pytest.mark.parametrize("case", ADAPTERS)
def test_an_adapter_that_fails_is_named(case, install, refused, neox):
    """An adapter that fails, when it opens a model or later, is named in one sentence, and nothing is written."""
    method, opening, wanted = ADAPTERS[case]
    install(provided("adapters", "[Adapter('strange', 's', opened)]", PROBE.format(method=method, opening=opening)))
    given = ("--adapter", "strange", "--model", neox)
    said = refused(*given, wants=(wanted,))
    assert said.startswith(f"Error: The adapter {NAMED} failed: ")


def test_what_an_adapter_says_is_named_and_numbers_are_those_without(install, measure, good_run):
    """An adapter that prints, warns and changes settings gives the same numbers, with its name beside what it said."""
    opening = (
        f"print('here'); import warnings; warnings.warn('careful'); made = open_model(request); {ALL}; return made"
    )
    install(provided("adapters", "[Adapter('strange', 's', opened)]", PROBE.format(method="x(): 0", opening=opening)))
    before = settings()
    ran = measure("--adapter", "strange", "--json")
    assert ran.code == 0, ran.err
    assert settings() == before
    json.loads(ran.out)
    assert f"Note: the adapter {NAMED} warned: careful" in ran.err
    others_equal(ran.run, good_run)


def test_published_profiles_that_are_none_disturb_nobody(install, aniso):
    """An adapter whose published profiles are none is named, and those of others are found."""
    install(provided("adapters", "[Adapter('strange', 's', print, published=lambda: {'x': 1})]"))
    ran = aniso("test", "published:pythia-6.9b", "--json")
    assert ran.code == 0, ran.err
    assert f"Note: The adapter {NAMED} failed: TypeError: published() gave a int as x, wanted a Profile" in ran.err
    assert json.loads(ran.out)


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        ("lambda: None", "TypeError"),
        ("lambda: 1 / 0", "ZeroDivisionError"),
        ("lambda: ['text']", "AttributeError"),
        ("lambda: exit(3)", "SystemExit"),
        ("lambda: []", "There are no prompts"),
    ],
)
def test_a_prompt_set_that_fails_is_named(load, wanted, install, refused):
    """A prompt set that does not load, or loads no documents, is named with its distribution."""
    install(provided("prompts", f"[PromptSet('strange', 's', 's', 'l', {load})]"))
    said = refused("--prompts", "strange", wants=(wanted,))
    assert f"The prompt set {NAMED} failed: " in said


def test_a_prompt_set_may_yield_its_documents(install, measure, good_run, texts):
    """Documents that come one by one are measured like those of a file; what is said meanwhile is named."""
    lines = texts.read_text(encoding="utf-8").splitlines()
    load = f"def load():\n    print('here')\n    for n, text in enumerate({lines!r}): yield Document(str(n), text)\n"
    install(provided("prompts", "[PromptSet('strange', 's', 's', 'l', load)]", load))
    ran = measure(prompts="strange")
    assert ran.code == 0, ran.err
    assert f"Note: the prompt set {NAMED} printed: here" in ran.err
    others_equal(ran.run, good_run)
