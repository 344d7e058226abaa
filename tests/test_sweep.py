"""Many runs in one command: each measured once, all that is wrong with the file said before, and no run lost."""

import io
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from conftest import FEW, TEXTS
from terminals import CODE, on_terminal

from aniso_core import sources, store
from aniso_core.cli import overview
from aniso_core.cli import profile as profiling
from aniso_core.unfinished import Unfinished

ROOT = Path(__file__).parents[1]
SHORT = f"""
metric = ["{FEW[1]}", "{FEW[3]}"]
stream = ["residual"]
hypothesis = ["norm-uniformity"]
"""


@pytest.fixture
def checkpoints(tmp_path, neox) -> Path:
    """Return a folder with two checkpoints of one model, and prompts beside it."""
    for number in (0, 512):
        shutil.copytree(neox, tmp_path / "mine" / f"step{number}")
    (tmp_path / "four.txt").write_text("\n".join(TEXTS))
    return tmp_path


@pytest.fixture
def sweep(aniso, checkpoints):
    """Return a function that sweeps a file of some lines beside the checkpoints, with options, into `runs`."""

    def run(*options: object, table: str = "", shared: str = 'prompts = "four.txt"\n' + SHORT):
        path = checkpoints / "some.toml"
        table = table or '[sweep]\nmodel = ["mine/step0", "mine/step512"]\n'
        path.write_text(f"{shared}\n{table}", encoding="utf-8")
        return aniso("sweep", path, "--out", checkpoints / "runs", *options)

    return run


def states(ran) -> dict[str, str]:
    """Return the state of each run by name, as JSON tells it."""
    return {run["name"]: run["state"] for run in json.loads(ran.out)["runs"]}


# Each run once


def test_a_sweep_measures_each_run_once(sweep, checkpoints, aniso):
    """Runs are named by what varies; what is whole is left alone, and what came to be absent is measured."""
    first = sweep("--json")
    assert first.code == 0, first.err
    assert states(first) == {"mine@step0": "measured", "mine@step512": "measured"}
    assert store.load(checkpoints / "runs/mine@step512").model.name == "mine@step512"
    shutil.rmtree(checkpoints / "runs/mine@step0")
    before = (checkpoints / "runs/mine@step512" / store.PROFILE).stat().st_mtime_ns
    assert states(sweep("--dry-run", "--json")) == {"mine@step0": "absent", "mine@step512": "whole"}
    again = sweep()
    assert (again.code, again.out.strip()) == (0, str(checkpoints / "runs"))
    assert again.err.splitlines() == [
        "aniso: mine@step0 measured, 1 of 2.",
        "aniso: mine@step512 whole, 2 of 2.",
        "Of 2 runs 1 was measured, 1 was whole already, and 0 failed.",
    ]
    assert (checkpoints / "runs/mine@step512" / store.PROFILE).stat().st_mtime_ns == before
    listed = aniso("runs", "list", checkpoints / "runs", "--json")
    assert sorted(entry["model"] for entry in json.loads(listed.out)) == ["mine@step0", "mine@step512"]


def test_a_run_is_what_profile_makes(sweep, checkpoints, aniso, monkeypatch):
    """A run of a sweep has the very numbers, and the file to repeat it, of `aniso profile` with its options."""
    assert sweep("--quiet", table='[sweep]\nmodel = ["mine/step0"]\n').err == ""
    options = [word for name in ("top-eigenvalue-share", "norm-mean") for word in ("--metric", name)]
    options += ["--stream", "residual", "--hypothesis", "norm-uniformity"]
    monkeypatch.chdir(checkpoints)
    alone = checkpoints / "runs/alone"
    assert aniso("profile", "--model", "mine/step0", "--prompts", "four.txt", *options, "--out", alone).code == 0
    one, other = store.load(alone), store.load(checkpoints / "runs/mine@step0")
    assert (one.curves, one.pseudo, one.prompts) == (other.curves, other.pseudo, other.prompts)
    repeated = aniso("profile", "--config", "runs/mine@step0/run.toml", "--out", "again")
    assert repeated.code == 0, repeated.err
    assert store.load(checkpoints / "again").curves == one.curves


def test_what_failed_is_told_and_the_rest_is_whole(sweep, checkpoints):
    """A model that there is not, and a run of another request, are told with reasons at once and at the end, exit 1."""
    assert sweep("--quiet", table='[sweep]\nmodel = ["mine/step0"]\n').code == 0
    (checkpoints / "four.txt").write_text("\n".join(TEXTS[:3]))
    table = '[sweep]\nmodel = ["mine/step0", "mine/step7", "mine/step512"]\n'
    dry = sweep("--dry-run", table=table)
    assert dry.code == 0
    assert "step7: mine/step7 is no folder here, so that it is looked for on the hub.\n" in dry.err
    ran = sweep("--json", table=table)
    assert ran.code == 1
    assert states(ran) == {"mine@step0": "failed", "step7": "failed", "mine@step512": "measured"}
    assert re.findall(r"^aniso: [^:\n]+", ran.err, re.MULTILINE) == [
        "aniso: mine@step0 failed, 1 of 3",
        "aniso: step7 failed, 2 of 3",
        "aniso: mine@step512 measured, 3 of 3.",
    ]
    other, absent, _ = ran.err.splitlines()[-3:]
    assert other.startswith("mine@step0 failed: ")
    assert "whole, but of something else: texts (then " in other
    assert absent.startswith("step7 failed: mine/step7 is no folder here")
    quiet = sweep("--quiet", table=table).err
    assert re.findall(r"^aniso: [^:\n]+", quiet, re.MULTILINE) == [
        "aniso: mine@step0 failed, 1 of 3",
        "aniso: step7 failed, 2 of 3",
    ]
    assert len(quiet.splitlines()) == 2


def test_a_part_that_fails_is_told(sweep, install):
    """A plugin's metric that fails in a run is named, the run is whole, and the exit code is 3."""
    install(
        "from aniso_core import Metric, hookimpl\n\n\n@hookimpl\ndef aniso_metrics():\n"
        "    return [Metric('odd', lambda m: 1 / 0)]\n"
    )
    ran = sweep(shared='prompts = "four.txt"\n' + SHORT.replace("norm-mean", "odd"))
    assert ran.code == 3
    assert "mine@step0 is whole but for the metric odd (strangers-thing 1.0): ZeroDivisionError" in ran.err


def test_a_run_that_broke_off_goes_on(sweep, checkpoints, monkeypatch):
    """Ctrl-C says what failed and how to go on; what was measured is whole, the same command measures the rest."""
    carried_out = profiling.carried_out
    monkeypatch.setattr("aniso_core.cli.sweep.carried_out", lambda *given: stop(carried_out, given))

    def stop(function, given):
        if "step512" in given[1].chosen["model"]:
            raise KeyboardInterrupt
        return function(*given)

    ran = sweep(table='[sweep]\nmodel = ["mine/step0", "mine/step7", "mine/step512"]\n')
    assert ran.code == 130
    again = f"aniso sweep {checkpoints / 'some.toml'} --out {checkpoints / 'runs'}"
    *_, failed, _, told = ran.err.splitlines()
    assert failed.startswith("step7 failed: mine/step7 is no folder here")
    assert told == f"Interrupted; 1 of 3 runs is whole; to go on: {again}"
    monkeypatch.undo()
    assert states(sweep("--json")) == {"mine@step0": "whole", "mine@step512": "measured"}


def test_a_run_that_was_begun_with_something_else_is_other(sweep, checkpoints, monkeypatch):
    """What is unfinished is begun to the sweep that began it, and other to one that asks for something else."""
    monkeypatch.setattr(profiling, "Unfinished", partial(Unfinished, every=0.0))
    monkeypatch.setattr("aniso_core.engine.Fold.ask", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    one = '[sweep]\nmodel = ["mine/step0"]\n'
    assert sweep(table=one).code == 130
    assert states(sweep("--dry-run", "--json", table=one)) == {"mine@step0": "begun"}
    (checkpoints / "four.txt").write_text("\n".join(TEXTS[:3]))
    dry = sweep("--dry-run", table=one)
    assert "0 of 1 run would be measured" in dry.err
    assert "mine@step0 was begun with something else: texts (then 4 documents of " in dry.err.replace("\n", " ")
    assert states(sweep("--json", table=one)) == {"mine@step0": "failed"}


def test_a_model_is_opened_once_for_several_prompts(sweep, checkpoints, monkeypatch):
    """Runs of one model one after the other share it, and differ in their names by the prompts."""
    (checkpoints / "three.txt").write_text("\n".join(TEXTS[:3]))
    opened, opening = [], profiling.open_model
    monkeypatch.setattr("aniso_core.cli.sweep.open_model", lambda *given: (opened.append(1), opening(*given))[1])
    table = '[sweep]\nmodel = ["mine/step0"]\nprompts = ["four.txt", "three.txt"]\n'
    ran = sweep("--json", table=table, shared=SHORT)
    assert states(ran) == {"mine@step0,prompts=four": "measured", "mine@step0,prompts=three": "measured"}
    assert len(opened) == 1


def test_several_tables_are_families(sweep):
    """[[sweep]] tables differ in more than one option at once; what is no list holds for all runs of its table."""
    table = '[[sweep]]\nadapter = "pythia"\n[[sweep]]\nadapter = "gemma"\ndtype = "bfloat16"\nseed = [0, 1]\n'
    ran = sweep("--dry-run", "--json", table=table)
    assert list(states(ran)) == ["pythia-tiny", "gemma-tiny,seed=0", "gemma-tiny,seed=1"]


def test_runs_of_one_model_by_several_adapters_are_called_after_these_too(sweep):
    """A name tells the adapter where two runs would else have one name, and not where it is clear without."""
    table = '[sweep]\nadapter = ["auto", "pythia"]\nmodel = ["mine/step0"]\n'
    assert list(states(sweep("--dry-run", "--json", table=table))) == ["auto-mine@step0", "pythia-mine@step0"]
    table = '[[sweep]]\nadapter = "pythia"\nmodel = "mine/step0"\n[[sweep]]\nmodel = "mine/step512"\n'
    assert list(states(sweep("--dry-run", "--json", table=table))) == ["mine@step0", "mine@step512"]


def test_a_dry_run_says_which_models_there_are_not(sweep):
    """What is no preset, nothing on disk and no hub id is said of its run; a hub id alone is not looked up."""
    ran = sweep(
        "--dry-run", table='[sweep]\nmodel = ["mine/step0", "a/b/absent", "absent.gguf", "some-org/some-model"]\n'
    )
    assert ran.code == 0
    said = [line for line in ran.err.splitlines() if ": there is no model" in line]
    assert [line.partition(":")[0] for line in said] == ["absent", "absent.gguf"]
    assert "some-model:" not in ran.err


# What is wrong with a file is said before anything is measured


def test_a_model_that_is_not_there_is_refused_before_any_is_measured(sweep, checkpoints):
    """What is no preset, nothing on disk and no hub id is refused at once, and a dry run says it of its run."""
    table = '[sweep]\nmodel = ["mine/step0", "nosuch", "~/absent"]\n'
    ran = sweep(table=table)
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(
        r"Error: .*some.toml: there is no model '.*nosuch': it is no preset of adapter auto \(it has none\), no "
        r"folder, no .gguf file, and no hub id \(ORG/NAME\). Correct the file. 1 more of its models are not there "
        "either.\n",
        ran.err,
    ), ran.err
    assert not (checkpoints / "runs").exists()
    dry = sweep("--dry-run", table=table)
    assert dry.code == 0
    assert "there is no model '~/absent': " in dry.err


OWN_NAMES = """
from aniso_core.contracts import Adapter
from aniso_core.errors import AnisoError
from aniso_core.hookspecs import hookimpl

def refused(request):
    raise AnisoError(f"The zoo keeps no {request.model}; visit another.")

@hookimpl
def aniso_adapters():
    return [Adapter("zoo", "", refused, own_names=True)]
"""


def test_an_adapter_may_have_names_of_its_own(sweep, install):
    """What is no preset, path or hub id is left to an adapter that says that it knows such names, unchanged."""
    install(OWN_NAMES)
    ran = sweep(table='adapter = "zoo"\n[sweep]\nmodel = ["emu"]\n')
    assert ran.code == 1
    assert "emu failed, 1 of 1: The zoo keeps no emu; visit another." in ran.err


def test_the_folder_of_a_file_makes_no_hub_id_of_a_name(aniso, tmp_path, monkeypatch):
    """A name that is not there is refused in a file of another folder, too, where it would read as ORG/NAME."""
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    Path("deep/some.toml").write_text('adapter = "pythia"\n[sweep]\nmodel = ["tiny", "nosuch"]\n')
    ran = aniso("sweep", "deep/some.toml")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no model './deep/nosuch': it is no preset of adapter pythia" in ran.err
    assert not Path("runs").exists()


def test_a_model_of_a_whole_run_may_go(sweep, checkpoints):
    """A sweep whose folder of a measured model was removed is not refused; the other runs are measured."""
    shutil.copytree(checkpoints / "mine/step0", checkpoints / "gone")
    table = '[sweep]\nmodel = ["gone", "mine/step512"]\n'
    assert sweep("--quiet", table='[sweep]\nmodel = ["gone"]\n').code == 0
    shutil.rmtree(checkpoints / "gone")
    assert states(sweep("--json", table=table))["mine@step512"] == "measured"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('modle = "a"\n[sweep]\nseed = [0]\n', "there is no option 'modle'; the nearest is 'model'"),
        ('[sweep]\nmodle = ["a"]\n', "there is no option 'sweep.modle'; the nearest is 'model'"),
        ("[[sweep]]\nseed = [0]\n[[sweep]]\nsede = [1]\n", "no option 'sweep 2.sede'; the nearest is 'seed'"),
        ("[sweep]\nseed = []\n", "sweep.seed is an empty list"),
        ("[sweep]\nseed = [0, 0]\n", "2 runs would be called 'pythia-tiny,seed=0'"),
        ("[[sweep]]\nseed = 0\n[[sweep]]\nseed = 1\n", "2 runs would be called 'pythia-tiny'"),
        ("[sweep\n", "is no TOML"),
        ('model = "a"\n', r"has no table \[sweep\]"),
        ("sweep = 3\n", r"has no table \[sweep\]"),
        ('[sweep]\nseed = ["x"]\n', "sweep.seed"),
        ("[sweep]\nseed = [-1]\n", "seed: -1 is not in the range"),
        ('[sweep]\ndtype = ["float31"]\n', "dtype: 'float31' is not one of"),
        (
            "resume = true\n[sweep]\nseed = [0]\n",
            "'resume' is no option of a sweep's file; a sweep goes on by itself; leave it",
        ),
        ("foo = 1\n[sweep]\nseed = [0]\n", "there is no option 'foo'. `aniso profile --help` lists them; correct"),
        ("[sweep]\nfoo = 1\n", "there is no option 'sweep.foo'. `aniso profile --help`"),
        ("quiet = true\n[sweep]\nseed = [0]\n", "'quiet' is no option of a sweep's file; give it on the command line"),
        ('[sweep]\nout = ["a"]\n', "'sweep.out' is no option of a sweep's table; put it above the tables"),
        ("allow-pickle = true\n[sweep]\nseed = [0]\n", "asks for --allow-pickle, which no file may grant"),
        ('[sweep]\nmetric = ["isoscroe"]\n', "isoscore"),
        ('[sweep]\nprompts = ["paper3", "absent.txt"]\n', "There is no file .*absent.txt"),
    ],
)
def test_a_file_that_is_no_sweep_is_one_sentence(text, wanted, aniso, tmp_path):
    """Unknown keys, wrong values, nothing to run, names that clash: exit 1, a sentence, nothing written."""
    path = tmp_path / "some.toml"
    path.write_text(text if "adapter" in text else f'adapter = "pythia"\n{text}')
    ran = aniso("sweep", path, "--out", tmp_path / "runs")
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert re.search(wanted, ran.err), ran.err
    assert not (tmp_path / "runs").exists()


def test_a_sweep_goes_on_by_itself(sweep):
    """--resume, which a sweep has not, is told to be left out; another option that it has not is none."""
    ran = sweep("--resume")
    assert ran.code == 2
    assert ran.err.endswith("Error: A sweep goes on by itself where it broke off; leave out --resume.\n")
    assert "No such option" in sweep("--resumed").err


def test_the_file_names_its_folder(aniso, tmp_path, monkeypatch):
    """`out` is relative to the file; without it the runs go to runs/ under the file's name."""
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    for text, wanted in (('out = "there"\n', "deep/there"), ("", "runs/some")):
        Path("deep/some.toml").write_text(f'{text}adapter = "pythia"\n[sweep]\nseed = [0]\n')
        assert json.loads(aniso("sweep", "deep/some.toml", "--dry-run", "--json").out)["folder"] == wanted


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("mine/step512", "mine@step512"),
        ("mine/checkpoint-500", "mine@checkpoint-500"),
        ("mine/step-by-step", "step-by-step"),
        ("step512/final", "final"),
    ],
)
def test_a_checkpoint_in_a_folder_is_called_as_a_revision(path, name):
    """A folder stepN or checkpoint-N is a checkpoint of the folder that it lies in."""
    assert sources.folder_name(Path("/models") / path) == name


@pytest.fixture
def full_aniso(aniso, monkeypatch, fresh_registry):
    """Return `aniso` with the reporters that ship, which the other tests do without."""
    monkeypatch.delenv("ANISO_DISABLE_PLUGINS")
    fresh_registry()
    return aniso


@pytest.mark.parametrize(("file", "count"), [("pythia-suite.toml", 1540), ("norms.toml", 11)])
def test_example_sweeps_are_whole(file, count, full_aniso, tmp_path):
    """The sweeps that ship as examples name models and options that there are, and each run once."""
    ran = full_aniso("sweep", ROOT / "examples" / file, "--out", tmp_path / "runs", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert list(states(ran).values()) == ["absent"] * count
    assert not (tmp_path / "runs").exists()


# What people see


def test_a_terminal_has_a_table(checkpoints):
    """On a terminal a table shows the runs and their states, and goes away at the end."""
    path = checkpoints / "some.toml"
    path.write_text(f'prompts = "four.txt"\n{SHORT}\n[sweep]\nmodel = ["mine/step0", "mine/step512"]\n')
    shown = on_terminal(["sweep", path, "--out", checkpoints / "runs"], ANISO_DISABLE_PLUGINS="aniso-report")
    plain = CODE.sub("", shown)
    assert "2 runs: 2 waiting" in plain
    assert "2 runs: 1 measured, 1 waiting" in plain
    assert "mine@step0" in plain
    assert plain.rstrip().endswith(str(checkpoints / "runs"))


def test_the_table_shows_the_runs_around_the_one_that_is_measured():
    """Of many runs a few are shown, and all are counted."""
    from rich.console import Console

    seen = overview.Overview([f"run{number}" for number in range(100)], shown=False)
    for number in range(50):
        seen.ended(number, "failed" if number == 48 else "measured")
    console = Console(width=60, record=True, file=io.StringIO())
    with seen.following():
        console.print(seen.table(60))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["run48", "failed"] in lines
    assert ["run50", "running"] in lines
    assert ["run54", "waiting"] in lines
    assert len(lines) <= 12
    assert ["100", "runs:", "49", "measured,", "1", "failed,", "50", "waiting"] in lines
