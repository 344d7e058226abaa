"""Everything that ships with aniso keeps the rules that strangers are checked by, with or without `--aniso-check`."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from aniso_core import testing
from aniso_core.plugins import KINDS, official_distributions, registry
from aniso_core.testing.clouds import Cloud
from aniso_core.testing.metric import changes_of
from aniso_core.testing.module import check_module
from aniso_core.testing.subject import Subject

ROOT = Path(__file__).parents[1]
ITEMS = [item for kind in KINDS for item in registry().items(kind)]
METRICS = [item.value for item in ITEMS if item.kind == "metric"]
OURS = [
    point
    for point in metadata.entry_points(group="aniso")
    if point.dist and point.dist.name in official_distributions()
]
RULES = {
    "adapter": (
        "its record is complete",
        "what it does not open it refuses by AnisoError",
        "its sites are in order",
        "its windows hold the whole text and fit",
        "states do not depend on the batch",
        "normed states are what its norms make of residual ones",
        "its states are those that the model publishes",
        "the model is left as it was",
    ),
    "metric": (
        "its record is complete",
        "it has a value on ordinary states",
        "it has the same value twice",
        "it does not depend on the order of tokens",
        "a merge leaves both parts as they were",
        "it does not depend on how tokens are cut and merged",
        "what wants the layer before says why the first layer has no value",
        "it writes into nothing that it is given",
        "the invariances that it declares hold",
        "degenerate states give a number or a reason",
        "the bounds that it declares hold, and counts are whole",
        "values without a unit of documents are right",
    ),
    "hypothesis": (
        "its record is complete",
        "its verdicts are complete",
        "the same seed gives the same verdicts",
        "profiles are left as they were",
        "it judges whatever a profile lacks",
    ),
    "reporter": (
        "its record is complete",
        "its files have legal names of their own and bytes",
        "it reports whatever there is",
        "the report is left as it was",
        "the same report gives the same bytes",
    ),
    "prompts": ("its record is complete", "its documents can be measured", "the documents are the same twice"),
    "executor": (
        "its record is complete",
        "its workers measure what this process measures",
        "an error of theirs comes back as it was raised",
    ),
}

METRIC = """
from aniso_core import Metric, hookimpl


@hookimpl
def aniso_metrics():
    return [Metric("{name}", lambda m: m.norm_mean, unit="state units", summary="length", source="a test", low={low})]
"""


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.kind}-{item.name}")
def test_what_ships_with_aniso_keeps_the_rules(item):
    """Each adapter, metric, hypothesis, reporter, prompt set and executor passes the check of its kind."""
    checked = testing.CHECKS[item.kind](item.value)
    assert (checked.kind, checked.name) == (item.kind, item.name)
    bare = getattr(item.value, "sends", False) or (item.kind, item.name) == ("executor", "local")
    assert checked.rules == (RULES[item.kind][:1] if bare else RULES[item.kind])
    assert (checked.seconds_per_token is not None) == (item.kind == "metric")


def uneven():
    """Return states of which nothing is even: directions, lengths, the mean, and one dimension that stands out."""
    rng = np.random.default_rng(3)
    states = (rng.standard_normal((150, 60)) * np.linspace(3, 0.1, 60) + 0.5) * np.exp(
        0.3 * rng.standard_normal((150, 1))
    )
    states[:, 4] *= 4
    return Cloud("uneven", states, documents=8)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_invariances_that_are_not_declared_do_not_hold(metric):
    """What a metric does not declare to leave it as it is changes it."""
    subject, cloud = Subject(metric, 1e-7), uneven()
    value = subject.value(cloud)
    assert value is not None
    for name, changes in changes_of(60).items():
        if name not in metric.invariances:
            moved = [subject.value(cloud.changed(change)) for change in changes.values()]
            assert all(np.abs(np.subtract(other, value)).max() > 1e-7 * np.abs(value).max() for other in moved), name


@pytest.mark.parametrize("plugin", OURS, ids=lambda plugin: plugin.name)
def test_what_ships_with_aniso_is_listed_without_anything_heavy(plugin):
    """The module of each plugin, imported alone, loads neither numpy nor what computes or draws."""
    assert check_module(plugin.name, plugin.module).rules == ("its module imports nothing heavy",)


PLUGIN = "aniso_core.pytest_plugin"


def test_pytest_loads_the_plugin_by_its_entry_point():
    """The distribution names the module that pytest is to load."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"aniso": PLUGIN}


@pytest.fixture
def run_pytest(tmp_path):
    """Return a function that runs pytest in an empty folder beside strangers' distributions, modules by name."""

    def run(*options, **modules):
        site, empty = tmp_path / "site", tmp_path / "empty"
        for name, source in modules.items():
            info = site / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (site / f"{name}.py").write_text(source, encoding="utf-8")
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[aniso]\n{name} = {name}\n")
        empty.mkdir(exist_ok=True)
        # Strangers that happen to be installed here are none of this test's.
        others = {plugin.distribution for plugin in registry().plugins} - official_distributions()
        more = {"ANISO_DISABLE_PLUGINS": ",".join(others)}
        more["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
        # Beside an aniso that was installed before it had the plugin, the module is named instead.
        known = any(point.name == "aniso" for point in metadata.entry_points(group="pytest11"))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *([] if known else ["-p", PLUGIN]),
            *options,
        ]
        return subprocess.run(command, cwd=empty, env=os.environ | more, capture_output=True, text=True, check=False)

    return run


def test_strangers_are_checked_without_a_test_of_their_own(run_pytest):
    """`--aniso-check` makes a test of each thing and module of each stranger: what is wrong, and what does not load."""
    bad = "import numpy\n" + METRIC.format(name="bad", low=9.0)
    ran = run_pytest("--aniso-check", good_one=METRIC.format(name="good", low=0.0), bad_one=bad, no_one="1 / 0")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "collected 5 items" in ran.stdout
    assert (
        'Plugin bad_one: wanted a module that imports nothing heavy at its top, got numpy (importing bad_one; later("a_'
        'module", "name") stands for what a module with numpy at its top holds).'
    ) in ran.stdout
    assert "\nplugin good_one: 1 rule held\n" in ran.stdout
    assert "Metric bad: wanted at least 9 as declared, got " in ran.stdout
    assert "plugin no_one (no-one 1.0) is left out: ZeroDivisionError" in ran.stdout
    assert re.search(r"\nmetric good: 12 rules held, \d+\.\d+ us a token\n", ran.stdout)
    assert "3 failed, 2 passed" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_a_distribution_is_checked_by_name(run_pytest):
    """With a name that distribution alone is checked, one that ships with aniso too; -k chooses among its things."""
    ran = run_pytest("--aniso-check=aniso_prompts", "-k", "paper3", good_one=METRIC.format(name="good", low=0.0))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed, 2 deselected" in ran.stdout
    assert "\nprompts paper3: 3 rules held\n" in ran.stdout


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--aniso-check", "nothing is installed but"),
        ("--aniso-check=aniso-none", "aniso-none provides nothing"),
    ],
)
def test_nothing_to_check_is_an_error_of_usage(option, wanted, run_pytest):
    """Where nothing is there to be checked pytest says what to do, rather than pass without a test."""
    ran = run_pytest(option)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert wanted in ran.stderr
    assert "install it (pip install -e .) or give one of aniso, aniso-bellcurve" in ran.stderr


def test_the_plugin_loads_nothing_heavy_until_it_is_asked():
    """A pytest without the option loads neither torch nor numpy on account of aniso."""
    code = f"import {PLUGIN}, sys; assert not {{'torch', 'numpy', 'click', 'rich', 'scipy'}} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
