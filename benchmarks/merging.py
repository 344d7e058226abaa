"""What merging shards costs beside the pass over them, on one thread, in its processor seconds."""

import copy
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cost import BATCH, model_of, rates, seconds  # which keeps to one thread: it comes before torch

# isort: split
import numpy as np
import torch
from costs import merge_bytes, merged_units_bytes, sums_bytes
from hardware import PYTHIA_1_4B as SHAPE
from results import Target, record
from subjects import GivenTokens
from ways import bare

from aniso_core.batches import plan_batches
from aniso_core.running import RunningMoments
from aniso_core.shards import TOKENS
from aniso_core.states import pack
from aniso_core.tokens import Tokens, Window

SHARDS = 1000
COUNTS, NEAR = (10, 50, 100, 150), 5
LEFT_OVER = 512  # rows of a shard that wait to be absorbed, half of what can wait
TIME = Target("at most", 0.1)

NOTE = """\
What one driver does with a shard of {tokens:,} tokens of {name} (width {width}, {layers} layers), both streams and
one token class: {sites} sites. One site is measured and scaled to all; each shard is of one unit and has {rows} rows
left over; processor seconds of one thread, medians of {near} merges up to the one that is named. The pass is that of
one block over {batch:,} tokens, scaled to all blocks and to the shard. The state is that of one site and class. With
intervals, what units hold stays apart by shard, so that state and time grow with the shards that were merged.
Reading and writing the sums alone would take {alone:.2f} s at the {copy:.1f} GB/s at which copying ran. The machine
was shared."""


@dataclass(frozen=True)
class Merged:
    """After so many merges: seconds of one, and bytes of the state, at one site and token class."""

    shards: int
    seconds: float
    held: int


def main() -> None:
    """Measure both ways of merging, and the pass."""
    torch.set_num_threads(1)
    copying = rates(256).copying
    forward = pass_seconds()
    rows = [("forward pass of a shard", "", f"{forward:.0f}", "", "", "", "", "")]
    for intervals in (False, True):
        what = "with intervals" if intervals else "no intervals"
        found = list(merges(intervals=intervals))
        for merged in found:
            taken = SHAPE.sites * merged.seconds
            predicted = state_bytes(merged.shards, intervals=intervals)
            sizes = (f"{merged.held / 1e6:.1f}", f"{predicted / 1e6:.1f}")
            rows.append(
                (
                    what,
                    f"{merged.shards}",
                    f"{taken:.2f}",
                    f"{taken / forward:.4f}",
                    *sizes,
                    *TIME.cells(taken / forward),
                )
            )
        slope, start = np.polyfit([merged.shards for merged in found], [merged.seconds for merged in found], 1)
        mean = SHAPE.sites * (start + max(slope, 0) * SHARDS / 2)
        last = state_bytes(SHARDS, intervals=intervals) / 1e6
        cells = (f"{mean:.2f}", f"{mean / forward:.4f}", "", f"{last:.1f}", *TIME.cells(mean / forward))
        rows.append((f"{what}, mean of all", f"{SHARDS:,}, from a line", *cells))
    columns = ("what", "shards", "seconds", "over forward", "state, MB", "predicted, MB", "target", "reached")
    bytes_alone = SHAPE.sites * merge_bytes(SHAPE.width) / copying
    said = {"tokens": TOKENS, "name": SHAPE.name, "width": SHAPE.width, "layers": SHAPE.blocks + 1, "near": NEAR}
    said |= {"sites": SHAPE.sites, "rows": LEFT_OVER, "batch": BATCH, "copy": copying / 1e9, "alone": bytes_alone}
    record("Merging shards", columns, rows, NOTE.format(**said))


def pass_seconds() -> float:
    """Return the seconds of the bare pass over a shard."""
    probe = GivenTokens(model_of(replace(SHAPE, blocks=1)), [Window((1,) * BATCH, 0, prefix=0, suffix=0)])
    (batch,) = plan_batches(probe.windows, BATCH)
    return seconds(lambda: bare(probe, batch), 3) * SHAPE.blocks * TOKENS / BATCH


def merges(*, intervals: bool) -> Iterator[Merged]:
    """Merge shards one by one, as a driver does, and yield what was found about some numbers of them."""
    parts = [shard_of(unit if intervals else None) for unit in range(2)]
    held, taken = copy.deepcopy(parts[0]), []
    for number in range(1, max(COUNTS) + 1):
        # A copy, since each shard has directions of its own.
        part = copy.deepcopy(parts[number % 2])
        start = time.process_time()
        held = held.merge(part)
        taken.append(time.process_time() - start)
        if number in COUNTS:
            arrays = pack(held).arrays
            yield Merged(number, statistics.median(taken[-NEAR:]), sum(array.nbytes for array in arrays))


def state_bytes(shards: int, *, intervals: bool) -> float:
    """Return the predicted bytes of a site's state."""
    more = merged_units_bytes(SHAPE.width, shards, units=1) if intervals else 0
    return sums_bytes(SHAPE.width) + more


def shard_of(unit: int | None) -> RunningMoments:
    """Return running moments as a shard of one unit (None: of none) leaves them: sums, and rows that wait."""
    torch.manual_seed(0)
    running = RunningMoments()
    for rows in (2 * SHAPE.width, LEFT_OVER):
        tokens = Tokens.of(torch.randn(rows, SHAPE.width))
        running.update(replace(tokens, runs=() if unit is None else ((unit, rows),)))
    return running


if __name__ == "__main__":
    main()
