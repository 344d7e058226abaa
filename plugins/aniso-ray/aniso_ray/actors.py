"""Workers of Ray: actors, each of which opens the model once; a shard whose actor died goes to whichever is free next.

A thread for each actor waits for it, so that none gets a shard before it runs: where a machine is gone and there is no
room for another actor, those that are left do the work.
"""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from queue import PriorityQueue
from typing import Any

from aniso_core.errors import AnisoError
from aniso_core.executing import Job, Part, Task
from aniso_core.isolation import PATIENCE, said

_TRIES = 4
"""Times that a shard is begun, and that an actor may fail to start; what ends a worker each time would go on so."""
_LEAVE = 10.0  # seconds for threads to notice that their actors are gone


def counted(number: float, what: str) -> str:
    """Return a number with what it counts, as `1 core` or `0.5 GPUs`."""
    return f"{number:g} {what}{'s' * (number != 1)}"


class Measurer:
    """What runs in an actor."""

    def ready(self) -> None:
        """Return as soon as the actor runs."""

    def measure(self, job: Job, task: Task) -> Part | AnisoError:
        """Return what came of a shard, or the error that its run is to raise; Ray would wrap it into one of its own."""
        from aniso_core import working

        try:
            return working.measure(job, task)
        except AnisoError as error:
            return error


@dataclass
class _Asked:
    """A shard that waits for its part; `job` is Ray's reference to it."""

    job: Any
    task: Task
    future: "Future[Part]"
    tries: int = 0


class Actors:
    """So many actors of so many CPU threads and GPUs each."""

    def __init__(self, ray: Any, number: int, threads: int, gpus: float) -> None:
        """Start them; they run by the time that there is a job."""
        self.count, self.threads = number, threads
        self._ray, self._wants = ray, counted(threads, "core") + f" and {counted(gpus, 'GPU')}" * bool(gpus)
        self._make = ray.remote(num_cpus=threads, num_gpus=gpus)(Measurer)
        errors = ray.exceptions
        self._gone = errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError
        # The shard that is merged first goes first, also when it is begun again.
        self._waiting: PriorityQueue[tuple[float, int, _Asked | None]] = PriorityQueue()
        self._places = count()
        self._actors: dict[int, Any] = {}
        self._closed = False
        self._serving = [threading.Thread(target=self._serve, args=(each,), daemon=True) for each in range(number)]
        for thread in self._serving:
            thread.start()

    def start(self, job: Job) -> Callable[[Task], "Future[Part]"]:
        """Return a function that has a shard measured by whichever actor is free first."""
        held = self._ray.put(job)

        def submit(task: Task) -> Future[Part]:
            asked = _Asked(held, task, Future())
            self._put(asked)
            return asked.future

        return submit

    def close(self) -> None:
        """End all actors, whatever they are doing."""
        self._closed = True
        for _ in self._serving:
            self._waiting.put((-1.0, next(self._places), None))
        for actor in list(self._actors.values()):
            self._ray.kill(actor)
        for thread in self._serving:
            thread.join(_LEAVE)

    def _put(self, asked: _Asked) -> None:
        self._waiting.put((float(asked.task.number), next(self._places), asked))

    def _serve(self, number: int) -> None:
        """Keep an actor alive and at work; one that cannot start answers with the reason."""
        failed, reason = 0, ""
        while not self._closed and failed < _TRIES:
            actor = self._actors[number] = self._make.remote()
            try:
                self._await(actor.ready.remote())
            except Exception as error:  # noqa: BLE001 - whatever keeps it from starting is told
                failed, reason = failed + 1, said(error)
                continue
            failed = 0
            while (asked := self._waiting.get()[2]) is not None and self._measured(actor, asked):
                pass
            self._ray.kill(actor)
        while not self._closed and (asked := self._waiting.get()[2]) is not None:
            asked.future.set_exception(AnisoError(f"Ray could start no worker: {reason.rstrip('.')}."))

    def _await(self, ready: Any) -> None:
        """Wait until an actor runs, and say so where there is no room for it."""
        if not self._ray.wait([ready], timeout=PATIENCE)[0] and not self._closed:
            sys.stderr.write(f"Still waiting for a machine of the cluster with {self._wants} to spare.\n")
        self._ray.get(ready)

    def _measured(self, actor: Any, asked: _Asked) -> bool:
        """Have a shard measured; return whether the actor can go on."""
        asked.tries += 1
        try:
            part = self._ray.get(actor.measure.remote(asked.job, asked.task))
        except self._gone as error:
            if asked.tries < _TRIES:
                if not self._closed:
                    sys.stderr.write("A worker of Ray died; what it was measuring is measured again.\n")
                self._put(asked)
            else:
                message = f"A worker died {_TRIES} times over shard {asked.task.number}: {said(error).rstrip('.')}."
                asked.future.set_exception(AnisoError(message))
            return False
        except self._ray.exceptions.RayTaskError as error:
            asked.future.set_exception(error.cause or error)
        except Exception as error:  # noqa: BLE001 - the future's reader must hear of it
            asked.future.set_exception(AnisoError(f"Ray failed: {said(error).rstrip('.')}."))
        else:
            if isinstance(part, AnisoError):
                asked.future.set_exception(part)
            else:
                asked.future.set_result(part)
        return True
