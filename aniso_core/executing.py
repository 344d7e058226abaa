"""Shards that other processes measure: what they are told, what they give back, and the order in which it is merged.

A few more shards than there are workers are under way. What comes early waits for its turn, so that a profile does not
depend on who was faster, and memory holds as many parts as are under way and no more.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aniso_core.contracts import Kernels, ModelRequest, Workers
from aniso_core.errors import AnisoError
from aniso_core.isolation import said
from aniso_core.records import Site
from aniso_core.tokens import Window

if TYPE_CHECKING:
    from concurrent.futures import Future

    from aniso_core.shards import Shard

_AHEAD = 2
"""Shards under way for each worker: one that it measures and one that waits, so that it never does."""


@dataclass(frozen=True)
class Job:
    """What a worker must know before it measures any shard of a run."""

    adapter: str
    """Name of the adapter that opens the model."""
    request: ModelRequest
    """The model."""
    facts: Mapping[str, Any]
    """What the result depends on and must be the same at a worker's, by name."""
    threads: int
    """CPU threads to measure with."""
    metrics: tuple[str, ...]
    """Names of the metrics."""
    sites: tuple[Site, ...]
    """Where states are read."""
    documents: tuple[str, ...]
    """Ids of all documents."""
    units: tuple[int, ...]
    """Unit of uncertainty of each document; empty where nothing is kept of single documents."""
    time_limit: float | None
    """Seconds that a plugin's statistic may take for a batch at a site; None: any."""
    kernels: Kernels
    """Matrix kernels that were asked for."""
    probed: Mapping[int, tuple[float, float]]
    """Error and speed of the fast kernels by width, as one process found them for all."""


@dataclass(frozen=True)
class Task:
    """A shard to be measured."""

    number: int
    """Number of the shard, from 0."""
    windows: tuple[Window, ...]
    """Its windows."""
    batch_tokens: int
    """Padded tokens of a batch, at most."""


@dataclass(frozen=True)
class Part:
    """What came of a shard."""

    state: Any
    """What its statistics hold, as plain data."""
    batch_tokens: int
    """Padded tokens of a batch, as far as memory allowed."""


@dataclass(frozen=True)
class Elsewhere:
    """Workers, and what they must know of a model that this process has opened, too."""

    workers: Workers
    adapter: str
    request: ModelRequest
    facts: Mapping[str, Any] = field(default_factory=dict)


class Ahead:
    """Shards under way; they are given back in their order."""

    def __init__(self, submit: "Callable[[Task], Future[Part]]", shards: "Sequence[Shard]", workers: int) -> None:
        """Hold the shards that are left to measure by so many workers."""
        self._submit, self._left, self._most = submit, deque(shards), _AHEAD * workers
        self._under_way: deque[tuple[Task, Future[Part]]] = deque()

    def take(self, batch_tokens: int) -> Part:
        """Return the next shard's part; those that are submitted meanwhile get `batch_tokens`.

        Raises AnisoError where that shard could not be measured.
        """
        while self._left and len(self._under_way) < self._most:
            shard = self._left.popleft()
            task = Task(shard.number, shard.windows, batch_tokens)
            self._under_way.append((task, self._submit(task)))
        task, part = self._under_way.popleft()
        try:
            return part.result()
        except AnisoError:
            raise
        except Exception as error:
            message = f"The executor could not measure shard {task.number}: {said(error).rstrip('.')}."
            raise AnisoError(message) from error
