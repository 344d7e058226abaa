"""A worker: another process that opens the model as the run's own process did, and measures shards for it."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aniso_core.api import installed_versions, processor
from aniso_core.contracts import ModelRequest, Probe
from aniso_core.errors import AnisoError
from aniso_core.executing import Job, Part, Task
from aniso_core.plugins import Registry, registry
from aniso_core.sources import on_disk
from aniso_core.unfinished import differences


def facts(known: Registry, adapter: str, model: str | None, probe: Probe, owners: Mapping[str, str]) -> dict[str, Any]:
    """Return what a result depends on beside the request: weights, machine, versions and plugins, by name.

    `owners` are the distributions and versions behind the metrics.
    """
    info = probe.info
    return {
        "weights": info.weights_sha256,
        "commit": info.revision,
        "config.json": _config_sha256(model),
        "precision": info.dtype,
        "placed on": info.device if "," in info.device else info.device.partition(":")[0],
        "processor": processor(info.device),
        "threads": info.threads,
        "attention": info.attention,
        "plugins": sorted({known.distribution("adapter", adapter), *owners.values()}),
        **installed_versions(),
    }


def as_opened(request: ModelRequest, probe: Probe) -> ModelRequest:
    """Return the request that opens the same model elsewhere: nothing left to choose, paths as any folder sees them."""
    info, model = probe.info, request.model
    if model is not None and on_disk(Path.exists, Path(model)):
        model = str(Path(model).absolute())
    folder = request.offload_folder
    return replace(
        request,
        model=model,
        dtype=info.dtype,
        device=None if request.device_map else info.device.partition(":")[0],
        offload_folder=folder and folder.absolute(),
    )


def measure(job: Job, task: Task) -> Part:
    """Return what came of a shard, measured in this process, which opens a model the first time that it is asked.

    Raises AnisoError where the shard does not fit into memory, and where the model or this process's surroundings are
    not what the run has.
    """
    if not _opened or _opened[0].job != job:
        before = _opened.pop() if _opened else None
        # A sweep has runs of one model; two models may not fit.
        probe = before.probe if before is not None and _of_one_model(before.job, job) else None
        del before
        _opened.append(_Worker(job, probe))
    return _opened[0].measure(task)


def _of_one_model(one: Job, other: Job) -> bool:
    return (one.adapter, one.request, one.facts) == (other.adapter, other.request, other.facts)


class _Worker:
    """A model that was opened for a job, ready to measure its shards."""

    def __init__(self, job: Job, probe: Probe | None) -> None:
        """Open the model if it is not; raises AnisoError where it or its surroundings are not as the job's process has.

        `probe` is the model, opened by such a process before.
        """
        import torch

        from aniso_core import kernels

        torch.set_num_threads(job.threads)
        kernels.go_by({width: kernels.Probed(*found) for width, found in job.probed.items()})
        known = registry()
        self.job, self._metrics = job, [known.metric(name) for name in job.metrics]
        self._owners = {name: known.distribution("metric", name) for name in job.metrics}
        self.probe = known.adapter(job.adapter).open(job.request) if probe is None else probe
        here = facts(known, job.adapter, job.request.model, self.probe, self._owners)
        if other := differences(job.facts, here, ("the run has", "the worker")):
            message = f"A worker is not like the process that asks it: {other}. Make them the same."
            raise AnisoError(message)

    def measure(self, task: Task) -> Part:
        """Return what came of a shard."""
        from aniso_core import engine, kernels
        from aniso_core.fold import Fold

        job, info = self.job, self.probe.info
        part = Fold(self._metrics, job.documents, job.units, job.time_limit, self._owners)
        with kernels.running(job.kernels, info.width, info.device):
            batch_tokens = engine.measure(self.probe, job.sites, part, task.windows, task.batch_tokens)
        return Part(part.state(), batch_tokens)


_opened: list[_Worker] = []


def _config_sha256(model: str | None) -> str | None:
    """Return the SHA-256 of a model folder's config.json, None where there is none; weights do not tell of it."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # no folder, no name of one, no home
        return hashlib.sha256((Path(model or "").expanduser() / "config.json").read_bytes()).hexdigest()
    return None
