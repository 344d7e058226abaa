"""Times side by side: whatever is compared with a bare pass runs between two of them, so that drift cancels."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Action = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Seconds of one run, and the mean of the bare passes right before and right after it."""

    seconds: float
    bare: float

    @property
    def ratio(self) -> float:
        """The run's time over the bare pass's."""
        return self.seconds / self.bare

    def plus(self, extra: float) -> "Pair":
        """Return the pair with `extra` seconds added to the run."""
        return Pair(self.seconds + extra, self.bare)


def seconds(action: Action) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Action, repeats: int) -> float:
    """Return the median wall time of a call, after one that warms up."""
    action()
    return statistics.median(seconds(action) for _ in range(repeats))


def alternate(bare: Action, runs: Iterable[Action]) -> list[Pair]:
    """Return the runs paired with their neighbours: bare, run, bare, run, ..., bare."""
    before, pairs = seconds(bare), []
    for run in runs:
        taken, after = seconds(run), seconds(bare)
        pairs.append(Pair(taken, (before + after) / 2))
        before = after
    return pairs
