"""What merging shards costs beside the pass over them, on one thread, in its processor seconds."""

import copy
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cost import BATCH, model_of, rates, seconds  # which keeps to one thread: it comes before torch

# isort: split
import torch
from costs import BLOCK_ROWS, KEPT_UNITS, SINGLE, merge_bytes, merged_units_bytes, sums_bytes, units_bytes
from hardware import PYTHIA_1_4B as SHAPE
from results import Target, record
from subjects import GivenTokens
from ways import bare

from aniso_core.batches import plan_batches
from aniso_core.running import RunningMoments
from aniso_core.shards import TOKENS
from aniso_core.states import pack
from aniso_core.tokens import Tokens, Window

COUNTS, NEAR = (10, 100, 500, 1000), 5
LEFT_OVER = 512  # rows of a shard that wait to be absorbed, half of what can wait
TIME = Target("at most", 0.1)

NOTE = """\
What one driver does with a shard of {tokens:,} tokens of {name} (width {width}, {layers} layers), both streams and
one token class: {sites} sites. One site is measured and scaled to all; {last} shards, spread over {units} units in the
order of the text, each with {rows} rows left over; processor seconds of one thread, medians of {near} merges up to the
one that is named, and the mean of all. The pass is that of one block over {batch:,} tokens, scaled to all blocks and to
the shard. The state is that of one site and class, the prediction the most that it can be.
Reading and writing the sums alone would take {alone:.2f} s at the {copy:.1f} GB/s at which copying ran. The machine
was shared."""


@dataclass(frozen=True)
class Merged:
    """After so many merges: seconds of one, the mean of all, and bytes of the state, at one site and token class."""

    shards: int
    seconds: float
    mean: float
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
            sizes = (f"{merged.held / 1e6:.1f}", f"{state_bytes(intervals=intervals) / 1e6:.1f}")
            figures = (f"{taken:.2f}", f"{taken / forward:.4f}", *sizes)
            rows.append((what, f"{merged.shards}", *figures, *TIME.cells(taken / forward)))
        mean = SHAPE.sites * found[-1].mean
        rows.append((what, "mean of all", f"{mean:.2f}", f"{mean / forward:.4f}", "", "", *TIME.cells(mean / forward)))
    columns = ("what", "shards", "seconds", "over forward", "state, MB", "predicted, MB", "target", "reached")
    bytes_alone = SHAPE.sites * merge_bytes(SHAPE.width) / copying
    said = {"tokens": TOKENS, "name": SHAPE.name, "width": SHAPE.width, "layers": SHAPE.blocks + 1, "near": NEAR}
    said |= {"last": max(COUNTS), "units": KEPT_UNITS}
    said |= {"sites": SHAPE.sites, "rows": LEFT_OVER, "batch": BATCH, "copy": copying / 1e9, "alone": bytes_alone}
    record("Merging shards", columns, rows, NOTE.format(**said))


def pass_seconds() -> float:
    """Return the seconds of the bare pass over a shard."""
    probe = GivenTokens(model_of(replace(SHAPE, blocks=1)), [Window((1,) * BATCH, 0, prefix=0, suffix=0)])
    (batch,) = plan_batches(probe.windows, BATCH)
    return seconds(lambda: bare(probe, batch), 3) * SHAPE.blocks * TOKENS / BATCH


def merges(*, intervals: bool) -> Iterator[Merged]:
    """Merge shards one by one, as a driver does, and yield what was found about some numbers of them."""
    last, taken = max(COUNTS), []
    held = shard_of(0 if intervals else None)
    part, of = held, 0
    for number in range(1, last + 1):
        unit = number * KEPT_UNITS // (last + 1)
        if unit != of and intervals:
            part, of = shard_of(unit), unit
        another = copy.deepcopy(part)  # since each shard has directions of its own
        start = time.process_time()
        held = held.merge(another)
        taken.append(time.process_time() - start)
        if number in COUNTS:
            arrays = pack(held).arrays
            near, mean = statistics.median(taken[-NEAR:]), statistics.fmean(taken)
            yield Merged(number, near, mean, sum(array.nbytes for array in arrays))


def state_bytes(*, intervals: bool) -> float:
    """Return the most bytes that a site's state can have."""
    width = SHAPE.width
    more = units_bytes(width, KEPT_UNITS) + merged_units_bytes(width, KEPT_UNITS) if intervals else 0
    return sums_bytes(width) + more + SINGLE * BLOCK_ROWS * width


def shard_of(unit: int | None) -> RunningMoments:
    """Return running moments as a shard of one unit (None: of none) leaves them: sums, and rows that wait."""
    torch.manual_seed(unit or 0)
    running = RunningMoments()
    for rows in (2 * SHAPE.width, LEFT_OVER):
        tokens = Tokens.of(torch.randn(rows, SHAPE.width))
        running.update(replace(tokens, runs=() if unit is None else ((unit, rows),)))
    return running


if __name__ == "__main__":
    main()
