"""The executor `ray`: its options, what it does when workers die, and real clusters on this machine."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest
import torch
from same import contents
from test_shards import numbers

from aniso_core import AnisoError, engine, store, working
from aniso_core.api import make_plan
from aniso_core.contracts import ModelRequest
from aniso_core.executing import Ahead, Elsewhere, Part, Task
from aniso_core.plugins import registry
from aniso_ray import actors, cluster


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [([16], 2, 8), ([16], 3, 5), ([8, 8], 3, 4), ([1, 7], 2, 3), ([2], 3, 0), ([], 1, 0), ([4, 4, 4], 3, 4)],
)
def test_cores_are_shared_out_within_machines(cores, workers, threads):
    """Workers get as many cores as all of them can have, each on one machine."""
    assert cluster._share(cores, workers) == threads


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("workers=0", "Wanted a whole number above 0 for --executor-option workers=, got '0'"),
        ("workers=two", "Wanted a whole number above 0"),
        ("threads-per-worker=1.5", "Wanted a whole number above 0"),
        ("gpus-per-worker=-1", "Wanted a number from 0 for --executor-option gpus-per-worker=, got '-1'"),
        ("gpus-per-worker=nan", "Wanted a number from 0"),
        ("cores=2", "no option 'cores=2'; its options are"),
        ("address=127.0.0.1:1", "No cluster of Ray answers at 127.0.0.1:1 .ConnectionRefusedError"),
        ("address=nowhere", "Wanted HOST:PORT or auto for --executor-option address=, got 'nowhere'.$"),
        ("address=127.0.0.1:99999", "Wanted HOST:PORT or auto for --executor-option address="),
    ],
)
def test_what_it_cannot_use_is_one_sentence(option, said, refused):
    """An option that makes no sense, and an address where nobody answers, are said before anything is opened."""
    begun = time.monotonic()
    refused("--executor", "ray", "--executor-option", option, wants=(said,))
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_that_is_no_clusters_is_one_sentence(answer, refused, monkeypatch):
    """Something else that listens at an address, silent or not, does not keep the run waiting."""
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)

    def answer_once():
        with server.accept()[0] as line:
            line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_once, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        refused("--executor", "ray", "--executor-option", f"address={address}", wants=("No cluster of Ray answers at",))


def test_auto_is_the_address_that_ray_would_take(refused, monkeypatch):
    """With `address=auto`, what stands in RAY_ADDRESS is asked like any address."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    refused(
        "--executor", "ray", "--executor-option", "address=auto", wants=("No cluster of Ray answers at 127.0.0.1:1",)
    )


@pytest.mark.parametrize(
    ("address", "error", "wanted"),
    [
        (
            "auto",
            ConnectionError("set the `--address` flag"),
            "machine .* found none or several; join one with",
        ),
        ("ray:1", ConnectionError("Failed."), "answers at ray:1 .ConnectionError: Failed.; `ray status` on its head"),
        (
            "ray:1",
            RuntimeError("Mismatch."),
            "of Ray at ray:1: RuntimeError: Mismatch; join it with `ray start",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_sentence(address, error, wanted):
    """What Ray fails with comes with what to do here, and never with an option of Ray's own."""
    said = cluster._unusable(address, error)
    assert re.search(wanted, said)
    assert "or leave --executor-option address= out to use this machine alone." in said
    assert "--address`" not in said
    assert "this machine: RuntimeError: full; its logs in" in cluster._unusable(None, RuntimeError("full."))


def test_a_missing_ray_is_one_sentence(refused, monkeypatch):
    """Without Ray it is said what to install."""
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    refused("--executor", "ray", wants=("The executor ray needs Ray, which is not installed: pip install 'ray",))


class LostError(Exception):
    """Stands for an actor that died."""


class TaskError(Exception):
    """Stands for an error that Ray wraps."""

    def __init__(self, cause):
        super().__init__("wrapped")
        self.cause = cause


class Tiny:
    """As much of Ray as is used, with actors that do what a function says."""

    def __init__(self, measured, ready=lambda: None):
        self.exceptions = SimpleNamespace(
            RayActorError=LostError, ObjectLostError=LostError, WorkerCrashedError=LostError, RayTaskError=TaskError
        )
        self.made, self.killed = [], []
        self._measured, self._ready = measured, ready

    def remote(self, **_wants):
        return lambda _kind: SimpleNamespace(remote=self._actor)

    def _actor(self):
        number = len(self.made)
        self.made.append(
            SimpleNamespace(
                ready=SimpleNamespace(remote=lambda: self._ready),
                measure=SimpleNamespace(remote=lambda job, task: lambda: self._measured(number, job, task)),
            )
        )
        return self.made[-1]

    def put(self, value):
        return value

    def wait(self, refs, timeout):
        assert timeout == 60
        return refs, []

    def get(self, ref):
        return ref()

    def kill(self, actor):
        self.killed.append(actor)


def given(ray, number=6, workers=2):
    """Return what comes of so many tasks."""
    made = actors.Actors(ray, workers, 1, 0.0)
    submit = made.start("a job")
    futures = [submit(Task(each, (), 1)) for each in range(number)]
    came = [future.exception(10) or future.result(10) for future in futures]
    made.close()
    assert not any(thread.is_alive() for thread in made._serving)
    return came


def test_a_shard_whose_worker_died_is_measured_again():
    """Each actor that dies is replaced, and no shard is lost."""
    ray = Tiny(lambda number, _job, task: _fail(LostError("gone")) if number < 3 else Part(task.number, 1))
    assert [part.state for part in given(ray)] == list(range(6))
    assert len(ray.made) >= 4


def _fail(error):
    raise error


def test_a_shard_that_kills_its_workers_ends_the_run():
    """A shard that ends its worker four times is given up, the others are measured."""
    tries = Counter()

    def measured(_number, job, task):
        assert job == "a job"
        tries[task.number] += 1
        return _fail(LostError("killed, out of memory")) if task.number == 2 else Part(task.number, 1)

    came = given(Tiny(measured))
    assert str(came[2]) == "A worker died 4 times over shard 2: LostError: killed, out of memory."
    assert tries == {0: 1, 1: 1, 2: 4, 3: 1, 4: 1, 5: 1}


def test_errors_of_a_worker_are_those_that_it_raised():
    """An AnisoError comes back as it is, others unwrapped, and what Ray says in a sentence; none is tried again."""
    raised = [AnisoError("too small"), TaskError(ZeroDivisionError("by zero")), ValueError("no room")]

    def measured(_number, _job, task):
        error = raised[task.number]
        return error if isinstance(error, AnisoError) else _fail(error)

    ray = Tiny(measured)
    came = given(ray, 3, 1)
    assert [f"{type(error).__name__}: {error}" for error in came] == [
        "AnisoError: too small",
        "ZeroDivisionError: by zero",
        "AnisoError: Ray failed: ValueError: no room.",
    ]
    assert len(ray.made) == 1


def test_workers_that_cannot_start_say_why():
    """Where no actor can start, the run ends with the reason."""
    came = given(Tiny(None, ready=lambda: _fail(LostError("no module named aniso_ray"))), 2)
    assert {str(error) for error in came} == {"Ray could start no worker: LostError: no module named aniso_ray."}


@pytest.fixture
def subject():
    """Return a function that measures the bundled Gemma model on some prose in small shards, by workers or here."""
    known = registry()
    request, adapter = ModelRequest(device="cpu"), known.adapter("gemma")
    documents = known.prompts("library128").load()[:16]
    plan = make_plan(None, streams=None, tokens=("all", "bulk"), shard_tokens=300)

    def measured(workers=None, progress=engine.unheard):
        torch.set_num_threads(1)
        probe = adapter.open(request)
        elsewhere = workers and Elsewhere(
            workers, "gemma", working.as_opened(request, probe), working.facts(known, "gemma", None, probe, plan.owners)
        )
        return numbers(engine.profile(probe, documents, plan, "texts", elsewhere=elsewhere, progress=progress))

    return measured


def measurers():
    """Return the processes of actors that this process started."""
    return [each for each in psutil.Process().children(recursive=True) if _title(each).startswith("ray::Measurer")]


def _title(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")
def test_a_worker_that_is_killed_changes_nothing(subject):
    """A worker that is killed at a random time is replaced; the profile is the same to the bit."""
    wanted, killed = subject(), []

    def kill():
        while not (found := measurers()):
            time.sleep(0.05)
        time.sleep(random.uniform(2, 8))  # noqa: S311 - a time, no secret
        killed.append(random.choice(found))  # noqa: S311
        killed[0].kill()

    with cluster.opened({"workers": "2"}) as workers:
        assert (workers.count, workers.threads) == (2, 1)
        threading.Thread(target=kill, daemon=True).start()
        while not killed:
            assert subject(workers) == wanted
        assert subject(workers) == wanted
    assert measurers() == []


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")
def test_a_machine_that_is_gone_changes_nothing(subject):
    """Where a machine of two is gone in the middle of a run, the other one measures what is left, to the same bits."""
    from ray.cluster_utils import Cluster

    wanted = subject()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = made.add_node(num_cpus=1)
        made.wait_for_nodes()
        with cluster.opened({"address": made.address, "workers": "2"}) as workers:
            assert subject(workers) == wanted  # both are at work now

            def progress(phase, done, total):
                nonlocal node
                if phase == "forward" and node is not None and done > total / 4:
                    made.remove_node(node, allow_graceful=False)
                    node = None

            assert subject(workers, progress) == wanted
            assert node is None
    finally:
        made.shutdown()


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")
def test_a_sweep_outlives_a_machine(aniso, tmp_path, monkeypatch):
    """A sweep on a cluster of two machines, one of which is gone in its first run, gives the files of one without."""
    from ray.cluster_utils import Cluster

    torch.set_num_threads(1)
    documents = registry().prompts("library128").load()
    for number in range(2):
        lines = [json.dumps({"id": d.id, "text": d.text}) for d in documents[8 * number : 8 * number + 8]]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    file = tmp_path / "two.toml"
    file.write_text(
        'metric = ["norm-mean", "top-eigenvalue-share"]\nhypothesis = ["norm-uniformity"]\nshard-tokens = 300\n'
        '[sweep]\nadapter = "gemma"\nprompts = ["0.jsonl", "1.jsonl"]\n',
        encoding="utf-8",
    )
    here = aniso("sweep", file, "--out", tmp_path / "here")
    assert here.code == 0, here.err
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = []
    take = Ahead.take

    def taken(ahead, batch_tokens):
        part = take(ahead, batch_tokens)
        while nodes:  # the second shard may be under way there
            made.remove_node(nodes.pop(), allow_graceful=False)
        return part

    monkeypatch.setattr(Ahead, "take", taken)
    try:
        nodes.append(made.add_node(num_cpus=1))
        made.wait_for_nodes()
        options = ["--executor", "ray", "--executor-option", f"address={made.address}"]
        there = aniso("sweep", file, "--out", tmp_path / "there", *options, "--executor-option", "workers=2")
        assert (there.code, nodes) == (0, []), there.err
    finally:
        made.shutdown()
    runs = sorted(path.name for path in (tmp_path / "here").iterdir() if path.is_dir())
    assert len(runs) == 2
    for run in runs:
        wanted, got = contents(tmp_path / "here" / run), contents(tmp_path / "there" / run)
        assert [name for name in wanted | got if wanted.get(name) != got.get(name)] == []


@pytest.mark.cluster
def test_the_death_of_a_worker_is_said_in_a_sentence(tmp_path):
    """It is said on stderr by aniso alone, and no part of what a plugin said; stdout holds the result."""
    code = f"""
import psutil
from aniso_core.cli import main
from aniso_core.executing import Ahead
take, killed = Ahead.take, []
def taken(ahead, batch_tokens):
    part = take(ahead, batch_tokens)
    if not killed:
        killed.extend(p for p in psutil.Process().children(True) if " ".join(p.cmdline()).startswith("ray::Measurer"))
        killed[0].kill()
    return part
Ahead.take = taken
main(["profile", "--adapter", "gemma", "--prompts", "library128", "--hypothesis", "norm-uniformity", "--json",
      "--shard-tokens", "600", "--executor", "ray", "--executor-option", "workers=2",
      "--out", {str(tmp_path / "run")!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "A worker of Ray died; what it was measuring is measured again.\n" in done.stderr
    assert "raylet" not in done.stdout + done.stderr
    assert json.loads(done.stdout)["run"] == str(tmp_path / "run")
    assert store.load(tmp_path / "run").remarks == ()


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["workers=1", "gpus-per-worker=64"], "no room for 1 worker of 64 GPUs on . GPUs? of 1 machine; ask for fewer"),
        (
            ["workers=5000", "gpus-per-worker=0"],
            "no room for 5000 workers of 1 thread on .* cores? of 1 machine; ask",
        ),
    ],
    ids=["GPUs", "cores"],
)
def test_what_this_machine_never_has_is_refused_at_once(options, wanted, refused):
    """On a cluster of its own a run does not wait for cores or GPUs that cannot come."""
    given = [word for option in options for word in ("--executor-option", option)]
    refused("--executor", "ray", *given, wants=(wanted,))


@pytest.mark.cluster
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("when", ["measuring", "starting"])
def test_a_run_of_ray_that_is_terminated_says_how_it_goes_on(when, tmp_path):
    """SIGTERM ends it as it ends any run, also while Ray starts: 143, the command that goes on, no word of Ray's."""
    code = f"""
import importlib
import os
import signal
from functools import partial
from aniso_core.cli import main
from aniso_core.executing import Ahead
from aniso_core.unfinished import Unfinished
from aniso_ray.cluster import _ray
ray, command = _ray(own=True), importlib.import_module("aniso_core.cli.profile")
command.Unfinished = partial(Unfinished, every=0.0)
take, node, taken = Ahead.take, ray._private.services.canonicalize_bootstrap_address, []
def terminated(ahead, batch_tokens):
    if len(taken) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    taken.append(take(ahead, batch_tokens))
    return taken[-1]
def started(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    return node(*given)
if {when!r} == "measuring":
    Ahead.take = terminated
else:
    ray._private.services.canonicalize_bootstrap_address = started
main(["profile", "--adapter", "gemma", "--prompts", "library128", "--metric", "norm-mean", "--executor", "ray",
      "--shard-tokens", "600", "--executor-option", "workers=1", "--out", {str(tmp_path / "run")!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 143, done.stderr
    assert "SIGTERM" not in done.stderr
    assert "Error" not in done.stderr
    if when == "measuring":
        assert "Terminated; what was measured is kept; to go on: aniso profile" in done.stderr.splitlines()[-1]


@pytest.mark.cluster
def test_the_command_measures_on_a_cluster_of_its_own(shell, neox, texts, tmp_path):
    """The command gives with Ray what it gives without, says nothing of Ray's, and leaves no process behind."""
    given = ["profile", "--model", neox, "--prompts", texts, "--metric", "norm-mean"]
    here = shell(*given, "--out", tmp_path / "here", OMP_NUM_THREADS="1")
    there = shell(
        *given, "--executor", "ray", "--executor-option", "workers=2", "--out", tmp_path / "there", timeout=200
    )
    assert (here.code, there.code) == (0, 0), there.err
    assert [line for line in there.err.splitlines() if line not in here.err] == []
    assert (tmp_path / "here" / "arrays.safetensors").read_bytes() == (
        tmp_path / "there" / "arrays.safetensors"
    ).read_bytes()
