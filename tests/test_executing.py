"""Shards that other processes measure: the order, the window, what a worker must be like, and a stranger's executor."""

import json
import pickle
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import FEW
from test_shards import DOCUMENTS, METRICS, PROBE, kept_all, numbers, stopping
from test_shards import StopError as StoppedError

from aniso_core import AnisoError, OutOfRangeError, engine, kernels, testing, working
from aniso_core.api import make_plan
from aniso_core.contracts import ModelRequest
from aniso_core.executing import Ahead, Elsewhere, Part, Task
from aniso_core.fold import Fold
from aniso_core.plugins import registry
from aniso_core.shards import Shard
from aniso_core.tokens import Window

POOL = '''
"""An executor of the standard library's processes."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from aniso_core import Executor, hookimpl
from aniso_core.working import measure


class Pool:
    threads = 1

    def __init__(self, count, pool):
        self.count, self._pool = count, pool

    def start(self, job):
        return lambda task: self._pool.submit(measure, job, task)


@contextmanager
def opened(options):
    count = int(options.get("workers", 2))
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        yield Pool(count, pool)


@hookimpl
def aniso_executors():
    return [Executor("pool", "processes of this machine", opened, {"workers": "how many"})]
'''


class Late:
    """Workers that are threads of this process and hand in late and out of order."""

    def __init__(self, count=2, fail=None):
        self.count, self.threads = count, torch.get_num_threads()
        self.tasks = []
        self._fail, self._rng, self._lock = fail or {}, random.Random(0), threading.Lock()  # noqa: S311 - times, no secrets
        self._pool = ThreadPoolExecutor(count)

    def start(self, job):
        self.job = pickle.loads(pickle.dumps(job))
        return self._submit

    def _submit(self, task):
        self.tasks.append(task)
        return self._pool.submit(self._measured, pickle.dumps(task), self._rng.uniform(0, 0.03))

    def _measured(self, sent, seconds):
        task = pickle.loads(sent)
        time.sleep(seconds)
        if task.number in self._fail:
            raise self._fail[task.number]
        with self._lock:  # a process of its own would need none
            part = Fold(METRICS, self.job.documents, self.job.units)
            batch_tokens = engine.measure(PROBE, self.job.sites, part, task.windows, task.batch_tokens)
        return pickle.loads(pickle.dumps(Part(part.state(), batch_tokens)))


def measured(workers=None, unfinished=None):
    """Return the profile of the seeded probe, six shards, measured by workers or here."""
    elsewhere = workers and Elsewhere(workers, "seeded", ModelRequest())
    plan = engine.Plan(METRICS, shard_tokens=150)
    heard = []
    found = engine.profile(
        PROBE,
        DOCUMENTS,
        plan,
        "texts",
        unfinished=unfinished,
        elsewhere=elsewhere,
        progress=lambda *told: heard.append(told),
    )
    forward = [done for phase, done, _ in heard if phase == "forward"]
    assert forward == sorted(forward)
    assert forward[-1] == found.prompts.tokens
    return found


@pytest.fixture(scope="module")
def whole():
    return measured()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_workers_measure_is_what_this_process_measures(count, whole):
    """Whoever is faster, the profile is the same to the bit."""
    workers = Late(count)
    assert numbers(measured(workers)) == numbers(whole)
    assert [task.number for task in workers.tasks] == list(range(len(workers.tasks)))


def test_two_shards_a_worker_are_under_way_and_no_more():
    """No more shards are measured ahead than two for each worker, so that memory stays bounded."""
    under_way, most = [], []

    def submit(task):
        under_way.append(task.number)
        most.append(len(under_way))
        future = Future()
        future.set_result(task.number)
        return future

    shards = [Shard(number, (Window((1,), number, 0, 0),)) for number in range(20)]
    ahead = Ahead(submit, shards, 3)
    for number in range(20):
        assert ahead.take(10) == number
        under_way.remove(number)
    assert max(most) == 6


def test_a_shard_is_begun_with_what_memory_allowed_before():
    """Where a shard had to be cut into smaller batches, shards that are begun later are cut so from the start."""
    sizes = []

    def submit(task):
        sizes.append(task.batch_tokens)
        future = Future()
        future.set_result(Part(None, task.batch_tokens))
        return future

    ahead = Ahead(submit, [Shard(number, ()) for number in range(4)], 1)
    assert [ahead.take(size).batch_tokens for size in (64, 32, 16, 8)] == [64, 64, 32, 16]
    assert sizes == [64, 64, 32, 16]


@pytest.mark.parametrize(
    ("kind", "raised", "said"),
    [
        (AnisoError, AnisoError, "the second"),
        (OutOfRangeError, OutOfRangeError, "the second"),
        (ValueError, AnisoError, r"The executor could not measure shard 1: ValueError: the second\."),
    ],
)
def test_the_first_shard_that_fails_ends_the_run(kind, raised, said):
    """An error of a worker is raised as it was, and of several that of the earliest shard, as here."""
    with pytest.raises(raised, match=f"^{said}$"):
        measured(Late(2, {1: kind("the second"), 2: kind("the third"), 4: kind("the fifth")}))


def test_a_run_of_workers_goes_on_where_it_was(tmp_path, whole):
    """What workers measured before a run broke off serves whoever goes on with it."""
    first = kept_all(tmp_path)
    first.agree({"model": "seeded"})
    with pytest.raises(StoppedError), first.held():
        measured(Late(), stopping(first, 3))
    second, workers = kept_all(tmp_path), Late()
    with second.held():
        second.agree({"model": "seeded"})
        assert numbers(measured(workers, second)) == numbers(whole)
    assert [task.number for task in workers.tasks] == [3, 4, 5]


class Noting:
    """Workers that note the job and measure nothing."""

    count = 1

    def __init__(self):
        self.threads = torch.get_num_threads()

    def start(self, job):
        self.job = job
        raise StoppedError


@pytest.fixture
def job(neox):
    """Return a job on a real tiny model."""
    known, request, workers = registry(), ModelRequest(str(neox), device="cpu"), Noting()
    probe = known.adapter("auto").open(request)
    plan = make_plan(["norm-mean"], streams=None, tokens=("all",))
    told = working.facts(known, "auto", str(neox), probe, plan.owners)
    elsewhere = Elsewhere(workers, "auto", working.as_opened(request, probe), told)
    with pytest.raises(StoppedError):
        engine.profile(probe, DOCUMENTS[:2], plan, "texts", elsewhere=elsewhere)
    return workers.job


TASK = Task(0, (Window((3, 4, 5), 0, 0, 0),), 64)


def test_a_worker_opens_the_model_once(job, monkeypatch):
    """A worker measures shard after shard with the model that it opened for the first."""
    monkeypatch.setattr(working, "_opened", [])
    first, second = working.measure(job, TASK), working.measure(pickle.loads(pickle.dumps(job)), TASK)
    assert first.batch_tokens == 64
    assert sum(first.state.counts.values()) == 3 * len(job.sites)
    assert [opened.job == job for opened in working._opened] == [True]
    assert all(
        torch.equal(mine, other)
        for key, packed in first.state.held.items()
        for mine, other in zip(packed.arrays, second.state.held[key].arrays, strict=True)
    )


def test_a_worker_keeps_its_model_for_another_run_of_it(job, monkeypatch):
    """A run of other texts on the same model is measured with the one that is open; another model takes its place."""
    monkeypatch.setattr(working, "_opened", [])
    working.measure(job, TASK)
    probe = working._opened[0].probe
    part = working.measure(replace(job, documents=("other",), units=()), TASK)
    assert working._opened[0].probe is probe
    assert sum(part.state.counts.values()) == 3 * len(job.sites)
    with pytest.raises(AnisoError, match="A worker is not like the process"):
        working.measure(replace(job, facts={**job.facts, "weights": "0" * 64}), TASK)
    assert working._opened == []
    working.measure(replace(job, request=replace(job.request, offline=True)), TASK)
    assert working._opened[0].probe is not probe


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"torch": "1.0"}, r"torch \(the run has 1\.0, the worker 2\."),
        ({"weights": "0" * 64}, r"weights \(the run has 000000000000, the worker [0-9a-f]{12}\)"),
        ({"plugins": ["aniso-signs 2.0"]}, r"plugins \(the run has aniso-signs 2\.0, the worker aniso 0"),
        ({"aniso": "9", "threads": 64}, r"threads \(the run has 64, .*; .*aniso \(the run has 9, "),
    ],
)
def test_a_worker_that_differs_is_refused(job, changed, said):
    """A worker whose versions, plugins, weights or threads are others measures nothing and says which."""
    with pytest.raises(AnisoError, match=f"^A worker is not like the process that asks it: .*{said}"):
        working.measure(replace(job, facts={**job.facts, **changed}), TASK)


def test_paths_and_choices_of_a_request_are_made_fast(neox, monkeypatch):
    """A worker is asked for what was opened here: precision and device are named, and paths hold in any folder."""
    monkeypatch.chdir(neox.parent)
    request = ModelRequest(neox.name, offload_folder=Path("weights"))
    probe = registry().adapter("auto").open(ModelRequest(str(neox), device="cpu"))
    made = working.as_opened(request, probe)
    assert (made.model, made.dtype, made.device) == (str(neox), "float32", "cpu")
    assert made.offload_folder == neox.parent / "weights"
    assert working.as_opened(ModelRequest("a-preset", device_map="auto"), probe).device is None


def test_workers_go_by_one_probe_of_the_kernels(monkeypatch):
    """What one process found of the fast kernels holds for all, for widths that it did not look at as well."""
    monkeypatch.setattr(kernels, "found", {})
    monkeypatch.setattr(kernels, "_told", {})
    monkeypatch.setattr(kernels, "_may_serve", lambda: True)
    monkeypatch.setattr(kernels, "_probe", lambda width: kernels.Probed(0.0, float(width)))
    assert kernels.tell(2000, "cuda:0") == {}
    told = kernels.tell(2000, "cpu") | kernels.tell(100, "cpu")
    assert {width: probed.speedup for width, probed in told.items()} == {1024: 1024.0, 100: 100.0}
    kernels.found.clear()
    kernels.go_by(told)
    assert [kernels.probed(width).speedup for width in (100, 103, 900)] == [100.0, 100.0, 1024.0]


def test_a_strangers_executor_needs_the_hook_alone(install, measure):
    """Processes of the standard library, as a plugin of fifteen lines, measure what this process does to the bit."""
    install(POOL)
    here = measure(*FEW, out="here")
    there = measure(*FEW, "--executor", "pool", "--executor-option", "workers=2", out="there")
    assert (here.code, there.code) == (0, 0), there.err
    assert contents(there.run) == contents(here.run)


def contents(run):
    """Return the files of a run by name, without when it was measured and how long that took."""
    held = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    for name in ("run.json", "profile.json"):
        made = json.loads(held[name])
        made["provenance"] |= {"started": "", "seconds": 0}
        held[name] = json.dumps(made).encode()
    return held


def test_a_strangers_executor_keeps_the_rules(install):
    """The check that plugin authors have passes an executor of processes, and one that measures here."""
    install(POOL)
    checked = testing.check_executor(registry().executor("pool"))
    assert len(checked.rules) == 3
    assert testing.check_executor(registry().executor("local")).rules == ("its record is complete",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--executor", "pol"], "There is no executor 'pol'; the executors are"),
        (
            ["--executor-option", "workers=2"],
            "local has no option 'workers=2'; it has none, and --executor pool or --executor ray takes workers.$",
        ),
        (["--executor-option", "wrkrs=2"], "Executor local has no option 'wrkrs=2'; it has none.$"),
        (
            ["--executor", "pool", "--executor-option", "worker=2"],
            "no option 'worker=2'; its options are workers,",
        ),
        (
            ["--executor", "pool", "--executor-option", "workers"],
            "no option 'workers'; its options are workers, each as",
        ),
        (["--executor", "pool", "--executor-option", "workers=x"], "The executor pool .strangers-thing 1.0. failed"),
    ],
)
def test_what_is_no_executor_is_refused(options, said, install, refused):
    """An executor that is not there, an option that it does not have and one that it fails on are one sentence each."""
    install(POOL)
    refused(*options, wants=(said,))


def test_an_executor_is_no_part_of_what_is_repeated(install, measure):
    """Who measured is not in the file that repeats a run, nor in the command that a report gives."""
    install(POOL)
    ran = measure(*FEW, "--executor", "local")
    assert "executor" not in (ran.run / "run.toml").read_text() + (ran.run / "run.json").read_text()
