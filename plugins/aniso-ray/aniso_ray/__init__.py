"""Executor `ray`: workers of Ray measure the shards of a text, on a cluster or on the cores and GPUs of one machine."""

from aniso_core.contracts import Executor, later
from aniso_core.hookspecs import hookimpl

OPTIONS = {
    "address": "HOST:PORT of the cluster that this machine is a node of, or auto; without it one is started on this "
    "machine alone and ends with the run",
    "workers": "how many; without it one for the GPUs of each, or one for four cores and at least two",
    "threads-per-worker": "CPU threads of each; without it as many as the cores allow",
    "gpus-per-worker": "GPUs of each, as 1 or 0.5; without it 1 where this process sees a GPU, else 0",
}
"""What each option means."""


@hookimpl
def aniso_executors() -> list[Executor]:
    """Return the executor."""
    summary = "workers of Ray, on a cluster or on this machine"
    return [Executor("ray", summary, later("aniso_ray.cluster", "opened"), OPTIONS)]
