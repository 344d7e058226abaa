"""`aniso new`: what it writes works at once, and it writes nothing else and nothing twice."""

import importlib.util
import inspect
import re
import site
import subprocess
import sys
import tomllib
import venv
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from aniso_core import Report, store, testing
from aniso_core.cli.new import _GROUPS, _versions
from aniso_core.plugins import KINDS

ROOT = Path(__file__).parents[1]
WRITTEN = tuple(_GROUPS)


@pytest.fixture
def write(aniso, tmp_path):
    """Return a function that writes a plugin and returns its folder."""

    def run(kind, name):
        ran = aniso("new", kind, name, "--out", tmp_path / f"aniso-{name}")
        assert ran.code == 0, ran.err
        assert ran.out == f"{tmp_path / f'aniso-{name}'}\n"
        return tmp_path / f"aniso-{name}"

    return run


def loaded(path, name):
    """Return the module of a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_keeps_the_rules(kind, write, monkeypatch, tmp_path):
    """A written plugin gives one thing of its name, which passes its kind's check and the tests written with it."""
    folder = write(kind, f"brand-new-{kind}")
    module = f"aniso_brand_new_{kind}"
    monkeypatch.syspath_prepend(folder)
    (item,) = getattr(importlib.import_module(module), KINDS[kind][0])()
    assert item.name == f"brand-new-{kind}"
    testing.CHECKS[kind](item)
    tests = loaded(folder / "tests" / f"test_{module}.py", "written_tests")
    functions = [function for name, function in vars(tests).items() if name.startswith("test_")]
    assert len(functions) == 2
    given = {"tmp_path": tmp_path, kind: item}
    for function in functions:
        function(**{name: given[name] for name in inspect.signature(function).parameters})
    del sys.modules[module]


def test_the_written_reporter_names_the_layer_of_the_largest_share(write):
    """Of shares that are alike to three places it names the layer of the larger one, and dashes where there is none."""
    folder = write("reporter", "brand-new")
    module = loaded(folder / "aniso_brand_new" / "__init__.py", "written")
    profile = testing.example_profile(layers=2)
    curve = profile.curve("top-eigenvalue-share", tokens="bulk")
    alike = replace(profile, curves=(replace(curve, values=(0.1, 0.90011, 0.9001)),))
    (file,) = module.render(Report([alike, replace(alike, curves=())]))
    assert [line.split("\t")[1:] for line in file.data.decode().splitlines()[1:]] == [["1", "0.900"], ["-", "-"]]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_is_a_whole_distribution(kind, write):
    """The folder holds four files; its distribution names the module and asks for versions that this one is among."""
    folder = write(kind, "brand-new")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["README.md", "aniso_brand_new/__init__.py", "pyproject.toml", "tests/test_aniso_brand_new.py"]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "aniso-brand-new"
    assert project["entry-points"] == {"aniso": {"brand_new": "aniso_brand_new"}}
    assert project["optional-dependencies"] == {"dev": ["pytest"]}
    (needed,) = map(Requirement, project["dependencies"])
    assert metadata.version("aniso") in needed.specifier
    text = "".join((folder / name).read_text() for name in files)
    assert "$" not in text
    assert f"aniso {_GROUPS[kind]} show brand-new" in text


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("name", ["a", "b" * 40], ids=["short", "long"])
def test_what_is_written_is_clean(kind, name, write):
    """However long the name is, ruff finds nothing to mend in what is written, by the rules of this repository."""
    folder = write(kind, name)
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(ROOT / "pyproject.toml"), "."]
        ran = subprocess.run(ruff, cwd=folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_written_is_short(write):
    """A metric takes 25 lines and one import, a hypothesis over documents under 50."""
    metric, hypothesis = (
        (write(kind, f"brand-new-{kind}") / f"aniso_brand_new_{kind}" / "__init__.py").read_text()
        for kind in ("metric", "hypothesis")
    )
    lines = [[line for line in text.splitlines() if line] for text in (metric, hypothesis)]
    assert len(lines[0]) <= 25
    assert [line for line in lines[0] if "import" in line] == ["from aniso_core import Metric, Moments, hookimpl"]
    assert len(lines[1]) < 50
    assert "metric=METRIC, streams=(STREAM,), tokens=(TOKENS,), sizes=sizes" in hypothesis
    assert "from aniso_core.inference import" in hypothesis


def test_versions_end_where_they_may_break():
    """Before 1.0 a minor version may break a plugin, afterwards a major one."""
    assert [_versions(own) for own in ("0.1.0", "0.12.3", "1.4.0")] == [">=0.1,<0.2", ">=0.12,<0.13", ">=1.4,<2"]


@pytest.mark.parametrize("own", ["0.2rc1", "0.2.0.dev3", "2", "1.0a1+local"])
def test_versions_hold_the_one_that_wrote_them(own):
    """A version of any form is among those that a plugin written by it asks for, a prerelease too."""
    assert SpecifierSet(_versions(own)).contains(own, prereleases=True)


@pytest.mark.parametrize(
    ("kind", "name", "wanted"),
    [
        (
            "metric",
            "Loud",
            "'Loud' cannot name a plugin; wanted at most 40 lower-case letters, digits and single hyphens",
        ),
        ("metric", "two words", "cannot name a plugin"),
        ("metric", "snake_case", "cannot name a plugin"),
        ("metric", "1st", "a letter first"),
        ("metric", "two--hyphens", "single hyphens between them"),
        ("metric", "ends-", "cannot name a plugin"),
        ("metric", "../up", "cannot name a plugin"),
        ("metric", "x" * 41, "at most 40"),
        ("metric", "", "'' cannot name a plugin"),
        ("metric", "new\n", r"'new\\\\x0a' cannot name a plugin"),
        ("metric", "aniso-new", "Leave aniso- out: new gives aniso-new."),
        ("metric", "isoscore", r"There is a metric isoscore already, from aniso \d.*; choose another name."),
        ("metric", "avg-cos-sim", "There is a metric avg-cos-sim already"),
        ("adapter", "pythia", "There is an adapter pythia already, from aniso-pythia"),
        ("hypothesis", "bell-curve", "There is a hypothesis bell-curve already, from aniso-bellcurve"),
        ("metric", "core", "The module aniso_core is installed already, so aniso-core cannot bring it"),
        ("metric", "report", "The module aniso_report is installed already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(kind, name, wanted, aniso, tmp_path):
    """A name that no distribution may have, or that is taken, is refused in one sentence, and nothing is written."""
    ran = aniso("new", kind, "--out", tmp_path / "new", "--", name)
    assert (ran.code, ran.out) == (1, "")
    assert re.search(wanted, ran.err), ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_none_is_a_wrong_command_line(aniso):
    """What is no kind of plugin is refused with those that there are."""
    ran = aniso("new", "colour", "mine")
    assert ran.code == 2
    assert "'metric', 'adapter', 'hypothesis', 'reporter'" in ran.err


@pytest.mark.parametrize("there", ["empty", "full", "file", "dangling link"])
def test_what_exists_is_never_touched(there, aniso, tmp_path):
    """A folder that exists, be it empty, a file or a link that leads nowhere is left as it was."""
    target = tmp_path / "there"
    if there == "file":
        target.write_text("mine")
    elif there == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
        if there == "full":
            (target / "mine").write_text("mine")
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    ran = aniso("new", "metric", "mine", "--out", target)
    assert ran.code in {1, 2}
    assert "there" in ran.err
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_folder_is_written_whole_or_not_at_all(aniso, tmp_path, monkeypatch):
    """Where a file cannot be written nothing stays."""
    honest, done = store.write_file, []

    def failing(path, data):
        done.append(path)
        if len(done) == 3:
            raise OSError(28, "No space left on device", str(path))
        honest(path, data)

    monkeypatch.setattr(store, "write_file", failing)
    ran = aniso("new", "metric", "mine", "--out", tmp_path / "mine")
    assert ran.code == 1
    assert "No space left on device" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_without_out_the_folder_is_named_after_the_distribution(aniso, tmp_path, monkeypatch):
    """The folder is aniso-NAME, here, and stderr says what to do next."""
    monkeypatch.chdir(tmp_path)
    ran = aniso("new", "metric", "mine")
    assert (ran.code, ran.out) == (0, "aniso-mine\n")
    assert ran.err == 'Next: pip install -e "aniso-mine[dev]", then aniso metrics show mine, then pytest aniso-mine.\n'
    assert (tmp_path / "aniso-mine" / "pyproject.toml").exists()


def test_what_to_do_next_shows_what_a_folder_is_called(aniso, tmp_path):
    """A folder whose name holds a control character is named on stderr with its escape."""
    ran = aniso("new", "metric", "mine", "--out", tmp_path / "mi\x1b[2Jne")
    assert ran.code == 0
    assert "\x1b" not in ran.err
    assert "mi\\x1b[2Jne" in ran.err


@pytest.mark.real
def test_what_is_written_installs_and_passes_its_tests(write, tmp_path):
    """Each kind, installed with pip from its folder into an environment of its own, is listed and passes its tests."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    (purelib,) = home.glob("lib/python*/site-packages")
    # aniso and torch are those of this environment; what builds the plugins comes from the package index.
    shared = "; ".join(f"site.addsitedir({folder!r})" for folder in site.getsitepackages())
    (purelib / "shared.pth").write_text(f"import site; {shared}\n")

    def run(*command, cwd=tmp_path):
        ran = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    for kind in WRITTEN:
        name = f"brand-new-{kind}"
        folder = write(kind, name)
        run(python, "-m", "pip", "install", "--quiet", "-e", f"{folder}[dev]")
        shown = run(python, "-c", "from aniso_core.cli import main; main()", _GROUPS[kind], "list")
        assert name in shown
        assert re.search(r"[2-9] passed", run(python, "-m", "pytest", cwd=folder))
        assert "2 passed" in run(python, "-m", "pytest", f"--aniso-check=aniso-{name}", "-k", "aniso-check", cwd=folder)
