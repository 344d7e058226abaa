"""Reporters that send: asked only where they are named, after the run is saved, and no trouble of theirs costs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.plugins import registry
from aniso_core.records import Report
from aniso_core.testing import example_profile
from aniso_loggers import content, to_mlflow

FEW = ("--metric", "isoscore", "--hypothesis", "norm-uniformity")
SENDER = """
from pathlib import Path
from aniso_core import Reporter, ReportFile, hookimpl


def render(report):
    {line}
    return [ReportFile("sent.txt", ",".join(file.name for file in report.files).encode(), show=True)]


@hookimpl
def aniso_reporters():
    return [
        Reporter("late", "sends", render, sends=True),
        Reporter("early", "draws", lambda report: [ReportFile("early.txt", b"x")]),
    ]
"""


@pytest.fixture
def absent(monkeypatch):
    """Make the services' packages missing, whether they are installed here or not."""
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)


# What every reporter that sends can rely on


def test_who_sends_is_asked_where_it_is_named(install, measure):
    """A reporter that sends is left out unless it is named; `default` stands for all the others beside it."""
    install(SENDER.format(line="pass"))
    listed = {item.name: item.value.on_request for item in registry().items("reporter")}
    assert (listed["late"], listed["early"]) == (True, False)
    for options, wanted in (
        ((), {"early.txt"}),
        (("--reporter", "late"), {"sent.txt"}),
        (("--reporter", "default", "--reporter", "late"), {"early.txt", "sent.txt"}),
    ):
        run = measure(*FEW, *options, out="-".join(options) or "usual").run
        assert wanted <= {path.name for path in (run / store.REPORT).iterdir()}
        assert ("sent.txt" in wanted) == (run / store.REPORT / "sent.txt").exists()


def test_who_sends_finds_the_whole_run_saved(install, measure, tmp_path):
    """When a reporter sends, the run is on disk; it gets the run's files and those of the others, and is shown."""
    install(SENDER.format(line=f"assert Path({str(tmp_path / 'run')!r}, 'profile.json').exists()"))
    ran = measure(*FEW, "--reporter", "early", "--reporter", "late")
    assert ran.code == 0, ran.err
    said = (ran.run / store.REPORT / "sent.txt").read_text()
    assert said == "profile.json,run.json,verdicts.json,arrays.safetensors,run.toml,early.txt"
    assert said in ran.err


@pytest.mark.parametrize("line", ["raise ValueError('no network')", "raise SystemExit(1)", "import absent_package"])
def test_a_failing_sender_costs_nothing(line, install, measure):
    """A reporter that fails to send is named; the run is whole, and the exit code is 3."""
    install(SENDER.format(line=line))
    ran = measure(*FEW, "--reporter", "early", "--reporter", "late")
    assert ran.code == 3
    assert "The reporter late (strangers-thing 1.0) failed" in ran.err
    assert (ran.run / store.REPORT / "early.txt").exists()
    assert store.load(ran.run).curves


def test_an_interrupted_sender_leaves_the_run(install, measure):
    """Who does not want to wait for a service interrupts it and has the run."""
    install(SENDER.format(line="raise KeyboardInterrupt"))
    ran = measure(*FEW, "--reporter", "late")
    assert ran.code == 130
    assert store.load(ran.run).curves


def test_a_stored_run_is_sent(install, good_run, tmp_path, aniso):
    """`aniso report` sends a run that was measured before, and leaves what it says in its report."""
    install(SENDER.format(line="pass"))
    run = Path(shutil.copytree(good_run, tmp_path / "run"))
    ran = aniso("report", run, "--reporter", "late")
    assert ran.code == 0
    assert "profile.json" in (run / store.REPORT / "sent.txt").read_text()


# The loggers


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
@pytest.mark.usefixtures("absent")
def test_a_missing_package_is_one_line(name, measure):
    """Where a service's package is missing, one line says so and how to get it; the run is whole, the exit code 3."""
    ran = measure(*FEW, "--reporter", name)
    assert ran.code == 3
    (line,) = [line for line in ran.err.splitlines() if f"pip install {name}" in line]
    assert f"failed: {name} is not installed, so that nothing was sent: " in line
    assert store.load(ran.run).curves


def test_a_package_that_is_broken_is_not_missing(tmp_path, monkeypatch):
    """A package that is installed and lacks something itself fails by its own words."""
    (tmp_path / "broken_service.py").write_text("import something_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AnisoError, match="absent_service is not installed"):
        content.package("absent_service")
    with pytest.raises(ModuleNotFoundError, match="something_absent"):
        content.package("broken_service")


def test_what_is_logged_is_the_profile():
    """Values are those of the curves by layer, gaps left out; facts are plain values that are not empty."""
    profile = example_profile(layers=3)
    logged = dict(content.by_layer(profile))
    assert list(logged) == [0, 1, 2, 3]
    for curve in profile.curves:
        for layer, value in zip(curve.layers, curve.values, strict=True):
            name = f"{curve.metric}/{curve.stream}/{curve.tokens}"
            assert logged[layer].get(name) == value
    facts = content.facts(profile)
    assert (facts["model.name"], facts["model.layers"], facts["prompts.documents"]) == ("example", 3, 16)
    assert {type(value) for value in facts.values()} <= {str, int, float, bool}
    assert "model.revision" not in facts


def test_files_of_several_profiles_are_nobodys():
    """Files go with a single profile, which they are about."""
    one = example_profile(layers=3)
    for report in (Report([one]), Report([one, one], files=content.receipt("x", "y"))):
        with content.files(report) as folder:
            assert folder is None
    with content.files(Report([one], files=content.receipt("x", "y"))) as folder:
        assert (folder / "x.txt").read_text() == "y\n"
    assert not folder.exists()


def test_no_password_is_written():
    """The address of a server is told without the name and password in it."""
    assert to_mlflow.without_login("https://me:secret@host:5000/a@b") == "https://host:5000/a@b"
    assert to_mlflow.without_login("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


# The services' own packages

READ = """
import json, mlflow
client = mlflow.MlflowClient()
(experiment,) = client.search_experiments(filter_string="name = 'aniso'")
(run,) = client.search_runs([experiment.experiment_id])
history = client.get_metric_history(run.info.run_id, "isoscore/residual/all")
print(json.dumps({
    "status": run.info.status,
    "params": run.data.params,
    "tags": run.data.tags,
    "curve": sorted([point.step, point.value] for point in history),
    "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
}))
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory) -> Path:
    """Return a folder with the packages of both services."""
    folder = tmp_path_factory.mktemp("services")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*pip, "wandb==0.31.0", "mlflow-skinny==3.17.2"], env=alone, check=True)
    return folder


@pytest.mark.real
@pytest.mark.timeout(900)
def test_both_services_take_a_run(services, good_run, tmp_path, shell):
    """MLflow, over a folder, and Weights & Biases, offline, hold the curves, facts, verdicts and files of a run."""
    run = shutil.copytree(good_run, tmp_path / "run")
    kept = (tmp_path / "mlruns").as_uri()
    more = {
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(services)])),
        "MLFLOW_TRACKING_URI": kept,
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(tmp_path),
        "WANDB_DATA_DIR": str(tmp_path / "data"),
    }
    ran = shell("report", run, "--reporter", "mlflow", "--reporter", "wandb", timeout=300, **more)
    assert ran.code == 0, ran.err
    assert (
        f"was logged to MLflow: run {next(iter(Path(tmp_path, 'mlruns').glob('*/*/meta.yaml'))).parent.name}" in ran.err
    )

    profile, judged = store.load(run), store.load_judged(run)
    done = subprocess.run(
        [sys.executable, "-c", READ], env=os.environ | more, check=True, capture_output=True, text=True, cwd=tmp_path
    )
    told = json.loads(done.stdout.splitlines()[-1])
    curve = profile.curve("isoscore")
    assert told["status"] == "FINISHED"
    assert told["curve"] == [[layer, value] for layer, value in zip(curve.layers, curve.values, strict=True)]
    assert told["params"]["model.name"] == "tiny-neox"
    assert {v.outcome for v in judged.verdicts} <= set(told["tags"].values())
    files = sorted(path.name for path in run.iterdir() if path.is_file())
    assert told["files"] == files

    (offline,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    record = offline.read_bytes()
    assert record.count(b"isoscore/residual/bulk") >= len(curve.layers)
    for word in (b"tiny-neox", *(name.encode() for name in files), *(v.hypothesis.encode() for v in judged.verdicts)):
        assert word in record
