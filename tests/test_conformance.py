"""Everything that ships with aniso keeps the rules that strangers are checked by, with or without `--aniso-check`."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from aniso_core import testing
from aniso_core.plugins import KINDS, official_distributions, registry

ROOT = Path(__file__).parents[1]
ITEMS = [item for kind in KINDS for item in registry().items(kind)]

METRIC = """
from aniso_core import Metric, hookimpl


@hookimpl
def aniso_metrics():
    return [Metric("{name}", lambda m: m.norm_mean, unit="state units", summary="length", source="a test", low={low})]
"""


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.kind}-{item.name}")
def test_what_ships_with_aniso_keeps_the_rules(item):
    """Each adapter, metric, hypothesis, reporter and prompt set passes the check of its kind."""
    checked = testing.CHECKS[item.kind](item.value)
    assert (checked.kind, checked.name) == (item.kind, item.name)
    assert len(checked.rules) >= (1 if getattr(item.value, "sends", False) else 3)
    assert (checked.seconds_per_token is not None) == (item.kind == "metric")


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
    """`--aniso-check` makes a test of each thing of each stranger: what is wrong is said, and what does not load."""
    bad = METRIC.format(name="bad", low=9.0)
    ran = run_pytest("--aniso-check", good_one=METRIC.format(name="good", low=0.0), bad_one=bad, no_one="1 / 0")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "collected 3 items" in ran.stdout
    assert "Metric bad: wanted at least 9 as declared, got " in ran.stdout
    assert "plugin no_one (no-one 1.0) is left out: ZeroDivisionError" in ran.stdout
    assert re.search(r"\nmetric good: 11 rules held, \d+\.\d+ us a token\n", ran.stdout)
    assert "2 failed, 1 passed" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_a_distribution_is_checked_by_name(run_pytest):
    """With a name that distribution alone is checked, one that ships with aniso too; -k chooses among its things."""
    ran = run_pytest("--aniso-check=aniso_prompts", "-k", "paper3", good_one=METRIC.format(name="good", low=0.0))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed, 1 deselected" in ran.stdout
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
