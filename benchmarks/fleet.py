"""A thousand workers that fail, and one driver that merges what they send: a simulation by discrete events.

Times are in units of the median shard. Shards are handed out lowest number first and at most `window` of them beyond
those merged. A worker that fails loses its shard, which goes to whoever is free next, and is back after `away`. The
driver merges results in the order of their numbers, one at a time. With `tree`, workers merge results two by two
instead, before they take new shards.
"""

import heapq
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

# Threads that wait for each other would measure what else runs on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from costs import forward_operations, merge_bytes
from hardware import CARDS, COPYING, LLAMA_2_70B, PYTHIA_1_4B, PYTHIA_12B, REACHED
from numpy.typing import NDArray
from results import record
from timing import seconds

from aniso_core import engine
from aniso_core.contracts import ModelRequest
from aniso_core.plugins import registry
from aniso_core.shards import TOKENS

SEED = 0
WORKERS, SHARDS = 1000, 30_518  # 10^9 tokens in shards of 32,768
AWAY = 5.0
MTBFS = (float("inf"), 10_000.0, 1000.0, 100.0, 10.0)
WINDOWS = (1.1, 2.0, 4.0)
FEW, MANY = 64, 24

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fleet:
    """Workers, and the driver's window; times are in units of the median shard, `mtbf` is a worker's mean time to fail.

    `merge` is the time of one merge.
    """

    workers: int
    window: int
    merge: float = 0.0
    mtbf: float = float("inf")
    away: float = AWAY
    tree: bool = False


@dataclass
class Outcome:
    """When all was merged, worker time that was lost, failures, the most results that waited, and the driver's work.

    `merged` are numbers of shards in the order in which they were merged; with a tree, in that of their results.
    """

    end: float = 0.0
    wasted: float = 0.0
    failures: int = 0
    waiting: int = 0
    merging: float = 0.0
    merged: list[int] = field(default_factory=list)


_Job = tuple[int, int]
"""Minus a level and a number: a shard (level 0), or a merge of two results of the level below, which goes first."""


class Simulation:
    """One run of a fleet over shards that take `times`, float64[shards]."""

    def __init__(self, fleet: Fleet, times: Floats, seed: int = SEED) -> None:
        """Start with all workers free and no shard done."""
        self._fleet, self._times, self._rng = fleet, times, np.random.default_rng(seed)
        self._todo = [(0, number) for number in range(len(times))]
        self._free = fleet.workers
        self._events: list[tuple[float, int, str, _Job]] = []
        self._count = 0
        self._results: set[tuple[int, int]] = set()
        self._next, self._busy = 0, False
        self._out = Outcome()

    def run(self) -> Outcome:
        """Return what came of it."""
        now = 0.0
        self._hand_out(now)
        while self._events:
            now, _, what, job = heapq.heappop(self._events)
            if what == "back":
                self._free += 1
            elif what == "failed":
                heapq.heappush(self._todo, job)
                self._later(now + self._fleet.away, "back", job)
            elif what == "merged":
                self._out.merged.append(job[1])
                self._next, self._busy = self._next + 1, False
                self._out.end = now
            else:
                self._free += 1
                self._finish(now, job)
            self._hand_out(now)
            if not self._fleet.tree:
                self._merge(now)
            if len(self._out.merged) == len(self._times) and (not self._fleet.tree or self._is_whole()):
                break  # workers that are still away change nothing
        return self._out

    def _later(self, at: float, what: str, job: _Job) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, what, job))

    def _hand_out(self, now: float) -> None:
        """Give jobs to free workers, as far as the window allows."""
        while self._free and self._todo:
            job = self._todo[0]
            level, number = -job[0], job[1]
            if not self._fleet.tree and number >= self._next + self._fleet.window:
                return
            heapq.heappop(self._todo)
            self._free -= 1
            taken = self._fleet.merge if level else float(self._times[number])
            # Time to failure has no memory, so it is drawn anew for each job.
            fails = self._rng.exponential(self._fleet.mtbf) if np.isfinite(self._fleet.mtbf) else np.inf
            if fails < taken:
                self._out.failures += 1
                self._out.wasted += fails + self._fleet.away
                self._later(now + fails, "failed", job)
            else:
                self._later(now + taken, "done", job)

    def _finish(self, now: float, job: _Job) -> None:
        """Take a result in."""
        level, number = -job[0], job[1]
        if self._fleet.tree:
            if level == 0:
                self._out.merged.append(number)
            else:
                self._out.merging += self._fleet.merge
            self._climb(now, level, number)
        else:
            self._results.add((0, number))
        self._out.waiting = max(self._out.waiting, len(self._results))

    def _climb(self, now: float, level: int, number: int) -> None:
        """Ask for the merge of a result with its neighbour, if that is there; the last of an odd level rises alone."""
        self._out.end = now
        width = -(-len(self._times) // 2**level)
        while number == width - 1 and number % 2 == 0 and number:
            level, number, width = level + 1, number // 2, -(-width // 2)
        self._results.add((level, number))
        pair = {(level, number), (level, number ^ 1)}
        if pair <= self._results:
            self._results -= pair
            heapq.heappush(self._todo, (-(level + 1), number // 2))

    def _is_whole(self) -> bool:
        """Return whether one result is left, and nobody makes another."""
        return not self._todo and len(self._results) == 1 and all(what == "back" for _, _, what, _ in self._events)

    def _merge(self, now: float) -> None:
        """Let the driver begin with the next result in order, if it is there."""
        if not self._busy and (0, self._next) in self._results:
            self._results.remove((0, self._next))
            self._busy = True
            self._out.merging += self._fleet.merge
            self._later(now + self._fleet.merge, "merged", (0, self._next))


def shard_times(rounds: int = 2) -> Floats:
    """Return measured seconds of shards over their median: the bundled Gemma model, shard by shard."""
    known = registry()
    probe = known.adapter("gemma").open(ModelRequest())
    documents = known.prompts("library128").load()
    metrics = [item.value for item in known.items("metric") if not item.value.on_request]
    taken = []
    for _ in range(rounds):
        for at in range(0, len(documents), 4):
            plan = engine.Plan(metrics[:1], tokens=("all",), intervals=False)
            some = documents[at : at + 4]
            taken.append(seconds(partial(engine.profile, probe, some, plan, "part")))
    return np.array(taken) / statistics.median(taken)


def draw(measured: Floats, shards: int, seed: int = SEED) -> Floats:
    """Return the times of shards, float64[shards], drawn from measured ones."""
    return np.random.default_rng([seed, 1]).choice(measured, shards)


NOTE = """\
A simulation (seed {seed}): {shards:,} shards, whose times in units of their median are drawn from {drawn} measured
ones (quartiles {low:.2f} and {high:.2f}, 99 in 100 below {top:.2f}, the longest {most:.2f}). Mean time to failure of
a worker, time away after a failure ({away:g}) and time of a merge are in the same unit. Ideal is all shards' time
over the number of workers. Wasted is time lost with shards that broke off and away, over all workers' time. Waiting
are results that the driver holds at most beside what is merged; the window is how far beyond the last merged shard
shards are handed out."""

SATURATION_NOTE = """\
How many workers, each an H100 at {reached:.0%} of its dense bfloat16 peak (docs/scale.md), keep a driver busy that
merges in order: forward time of a shard over the time of a merge, both streams. The driver reads and writes 11
passes of float64 sums at {copying:g} GB/s of one processor thread, an assumption, or at a card's own memory rate;
receiving is not counted. Simulated: completion over ideal at half of that number of workers, at that number and at
twice it, without failures, {rounds} shards a worker."""


def main() -> None:
    """Simulate and draw."""
    measured = shard_times()
    times = draw(measured, SHARDS)
    failing(times, measured)
    saturating(measured)


def failing(times: Floats, measured: Floats) -> None:
    """Write the table of failures and windows."""
    rows = []
    small = 0.1 / WORKERS
    cases = [(mtbf, 2.0, small, False) for mtbf in MTBFS]
    cases += [(1000.0, window, small, False) for window in WINDOWS if window != 2.0]  # noqa: PLR2004 - above
    cases += [(1000.0, 2.0, factor / WORKERS, False) for factor in (0.8, 1.0, 2.0, 10.0)]
    cases += [(1000.0, 2.0, factor / WORKERS, True) for factor in (0.1, 1.0, 10.0)]
    for mtbf, window, merge, tree in cases:
        fleet = Fleet(WORKERS, int(window * WORKERS), merge, mtbf, tree=tree)
        out = Simulation(fleet, times).run()
        ideal = times.sum() / WORKERS
        rows.append(
            (
                "tree" if tree else "driver",
                "never" if np.isinf(mtbf) else f"{mtbf:,.0f}",
                "" if tree else f"{window:g} x workers",
                f"{merge:g}",
                f"{out.end / ideal:.3f}",
                f"{out.failures:,}",
                f"{out.wasted / (WORKERS * out.end):.4f}",
                f"{out.waiting:,}",
                "" if tree else f"{out.merging / out.end:.2f}",
            )
        )
    low, high, top = np.quantile(measured, (0.25, 0.75, 0.99))
    columns = ("merged by", "fails after", "window", "merge", "completion / ideal", "failures", "wasted", "waiting")
    told = {"seed": SEED, "shards": SHARDS, "drawn": len(measured), "low": low, "high": high, "top": top}
    told |= {"most": measured.max(), "away": AWAY}
    record(f"{WORKERS:,} workers", (*columns, "driver busy"), rows, NOTE.format(**told))


def saturating(measured: Floats) -> None:
    """Write the table of saturation and draw it."""
    card = CARDS[-1]
    rows, drivers = [], (("processor thread", COPYING), (f"{card.name} itself", card.bandwidth))
    for shape in (PYTHIA_1_4B, PYTHIA_12B, LLAMA_2_70B):
        for tokens in (TOKENS, 32 * TOKENS, 1024 * TOKENS):
            forward = tokens * forward_operations(shape, 2048) / (REACHED * card.peak)
            for name, rate in drivers:
                merge = shape.sites * merge_bytes(shape.width) / rate
                most = forward / merge
                rows.append(
                    (
                        shape.name,
                        f"{tokens:,}",
                        name,
                        f"{forward:.3g}",
                        f"{merge:.3g}",
                        f"{most:,.1f}",
                        *(ratio(measured, most * part, merge / forward) for part in (0.5, 1.0, 2.0)),
                    )
                )
    columns = ("model", "tokens a shard", "driver", "forward, s", "merge, s", "saturates at workers")
    told = {"reached": REACHED, "copying": COPYING / 1e9, "rounds": MANY}
    record(
        "Where one driver saturates",
        (*columns, "at half", "at that", "at twice"),
        rows,
        SATURATION_NOTE.format(**told),
    )
    draw_figure(measured)


def ratio(measured: Floats, workers: float, merge: float) -> str:
    """Return completion over ideal; nothing where there would be less than one worker, or too many to simulate."""
    number = round(workers)
    if not 1 <= number <= WORKERS:
        return ""
    return f"{completion(measured, number, merge):.2f}"


def completion(measured: Floats, workers: int, merge: float, seed: int = SEED) -> float:
    """Return completion over ideal of so many workers that never fail."""
    times = draw(measured, max(FEW, MANY * workers), seed)
    end = Simulation(Fleet(workers, 2 * workers, merge), times, seed).run().end
    return float(end * workers / times.sum())


def draw_figure(measured: Floats) -> None:
    """Draw speed-up over the number of workers for shards of several sizes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    card, shape = CARDS[-1], PYTHIA_12B
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    counts = np.unique(np.geomspace(1, WORKERS, 10).round().astype(int))
    axes.plot(counts, counts, color="0.7", linewidth=1, label="ideal")
    for tokens, colour in zip((TOKENS, 8 * TOKENS, 64 * TOKENS, 512 * TOKENS), COLOURS, strict=True):
        forward = tokens * forward_operations(shape, 2048) / (REACHED * card.peak)
        merge = shape.sites * merge_bytes(shape.width) / COPYING / forward
        gained = [number / completion(measured, int(number), merge) for number in counts]
        axes.plot(counts, gained, color=colour, marker="o", markersize=3, label=f"{tokens / 1e6:.2g} million tokens")
    axes.set(xscale="log", yscale="log", xlabel="workers", ylabel="times as fast as one worker without merges")
    axes.legend(frameon=False, title="a shard", fontsize=8, title_fontsize=8)
    figure.savefig(Path(__file__).with_name("fleet.png"), dpi=150)
    plt.close(figure)


COLOURS: Sequence[str] = ("#d55e00", "#e69f00", "#009e73", "#0072b2")


if __name__ == "__main__":
    main()
