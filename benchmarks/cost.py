"""What a profile costs by arithmetic (costs.py) beside what it costs here.

Everything runs on one thread and is measured in its processor seconds, which other programs on the machine disturb
less than they do its wall time.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from costs import (
    BLOCK_ROWS,
    SINGLE,
    Shape,
    absorption_bytes,
    forward_operations,
    leaving_out_operations,
    product_operations,
    spectrum_operations,
    state_traffic,
    sums_bytes,
    unit_operations,
    units_bytes,
)
from memory import give_back, resident
from results import record
from subjects import GivenTokens
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from ways import DEFAULT, METRICS, bare, states_of

from aniso_core.batches import Batch, plan_batches
from aniso_core.fold import Fold
from aniso_core.records import Site
from aniso_core.tokens import Window
from aniso_core.transformer import TransformerProbe

REPEATS, ROUNDS = 5, 2
LENGTH, BATCH = 128, 1024
SMALLEST = Shape("", 96, 4)
SHAPES = {
    Shape("", 128, 6): 16_384,
    Shape("", 256, 4): 16_384,
    Shape("", 512, 4): 8_192,
    Shape("", 1024, 2): 4_096,
}
PARTS = {
    "forward": "forward pass, s",
    "fold": "fold, s",
    "ask": "spectra and intervals, s",
    "states": "sums, MB",
    "resident": "resident, MB",
}
SIDES = (512, 1024, 2048, 4096)

COST_NOTE = """\
Processor seconds of one thread (medians of {repeats}) and MB (10^6 bytes) beside what docs/scale.md predicts: models
of Pythia's shape with random weights and a small vocabulary, windows of {length} tokens, each a document, batches of
{batch:,}, both streams, three token sets, all usual metrics with intervals. Predictions take four rates that are
measured right beside each shape (products of the pass and of the fold, eigenvalues of a matrix of side 256,
copying), and what a block, a site and a token set cost besides, measured once at width {smallest} and held to be the
same at any. The machine was shared with other programs, which processor time does not quite leave out: of a ratio,
trust the first digit. Sums are the arrays of all sites as they are stored and sent; resident is what the process
grew by."""

EIGEN_NOTE = """\
All eigenvalues of one symmetric float64 matrix by numpy on one thread, processor seconds, median of 3 runs ({single}
of the largest), and the rate at 4/3 d^3 operations."""


class Rates(NamedTuple):
    """Operations a second of the pass's products, the fold's and eigenvalues, and bytes a second of copying."""

    passing: float
    folding: float
    eigen: float
    copying: float


@dataclass(frozen=True)
class Cost:
    """Seconds of a forward pass, a fold and the answers, bytes of all states, and by how much memory grew."""

    forward: float
    fold: float
    ask: float
    states: float
    resident: float


def main() -> None:
    """Make two tables."""
    torch.set_num_threads(1)
    rows = []
    smallest = measured(SMALLEST, 8_192), predicted(SMALLEST, 8_192, rates(SMALLEST.width))
    besides = beside(SMALLEST, 8_192, *smallest)
    for shape, tokens in SHAPES.items():
        now = rates(shape.width)
        rows += list(compared(shape, tokens, predicted(shape, tokens, now, besides), measured(shape, tokens)))
    columns = ("width", "blocks", "tokens", "what", "predicted", "measured", "predicted / measured")
    told = {"repeats": REPEATS, "length": LENGTH, "batch": BATCH, "smallest": SMALLEST.width}
    record("Cost, predicted and measured", columns, rows, COST_NOTE.format(**told))
    spectra()


def seconds(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median processor seconds of a call, after one that warms up where there are several."""
    if repeats > 1:
        action()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def rates(width: int) -> Rates:
    """Return what this machine does a second, on one thread."""
    states, weights = torch.randn(BATCH, width), torch.randn(width, 4 * width)
    side = np.cov(np.random.default_rng(0).standard_normal((256, 1024)))
    bulk = torch.zeros(4_000_000, dtype=torch.float64)
    many = max(1, 1024 // width)
    return Rates(
        passing=many * 8 * BATCH * width**2 / seconds(lambda: [states @ weights for _ in range(many)]),
        folding=many * 2 * BATCH * width**2 / seconds(lambda: [states.T @ states for _ in range(many)]),
        eigen=spectrum_operations(256) / seconds(lambda: np.linalg.eigvalsh(side)),
        copying=2 * bulk.nbytes / seconds(bulk.clone),
    )


def sets(width: int, tokens: int) -> tuple[int, ...]:
    """Return the sides of the matrices of a site's distinct token sets: random weights make no outliers."""
    return tuple(min(width, number) for number in (tokens, tokens - tokens // LENGTH))


def predicted(shape: Shape, tokens: int, rate: Rates, besides: tuple[float, float, float] = (0, 0, 0)) -> Cost:
    """Return what the formulas say; `besides` are seconds a block and batch, a site and batch, a site and token set."""
    batches, width, windows = tokens // BATCH, shape.width, tokens // LENGTH
    forward = tokens * forward_operations(shape, LENGTH) / rate.passing + batches * shape.blocks * besides[0]
    token = (product_operations(width) + unit_operations(width)) / rate.folding + state_traffic(width) / rate.copying
    absorbed = tokens / BATCH * absorption_bytes(width) / rate.copying
    fold = shape.sites * (tokens * token + absorbed + batches * besides[1])
    units = min(windows, 64)
    sides = sets(width, tokens)
    ask = sum(
        spectrum_operations(side) / rate.eigen + leaving_out_operations(side, units) / rate.folding + besides[2]
        for side in sides
    )
    left = windows * 4 * width if windows < width else sums_bytes(width) + units_bytes(width, units)
    states = sums_bytes(width) + units_bytes(width, units) + left
    scratch = 2 * SINGLE * 2 * BLOCK_ROWS * width
    return Cost(forward, fold, shape.sites * ask, shape.sites * states, shape.sites * states + scratch)


def beside(shape: Shape, tokens: int, found: Cost, said: Cost) -> tuple[float, float, float]:
    """Return what a block and batch, a site and batch, a site and token set take that the formulas leave out."""
    batches = tokens // BATCH
    return (
        max(found.forward - said.forward, 0) / (batches * shape.blocks),
        max(found.fold - said.fold, 0) / (batches * shape.sites),
        max(found.ask - said.ask, 0) / (len(sets(shape.width, tokens)) * shape.sites),
    )


def measured(shape: Shape, tokens: int) -> Cost:
    """Return what a model of this shape costs, part by part."""
    windows = [Window((1,) * LENGTH, number, prefix=0, suffix=0) for number in range(tokens // LENGTH)]
    probe = GivenTokens(model_of(shape), windows)
    batches = plan_batches(windows, BATCH)
    forward = seconds(lambda: bare(probe, batches[0])) * len(batches)
    one = states_of(probe, probe.sites, batches[0])
    # Others by turns, so that the sums are of full rank.
    states = [{site: held + 0.1 * torch.randn(held.shape) for site, held in one.items()} for _ in range(ROUNDS)]
    give_back()
    before = resident("VmRSS")
    fold = folded(probe, batches, states)
    give_back()
    grown = (resident("VmRSS") - before) * 1e6
    held = fold.state().held.values()
    return Cost(
        forward,
        seconds(lambda: folded(probe, batches, states), 3),
        seconds(lambda: fold.ask(probe.sites, DEFAULT), 1),
        sum(array.nbytes for state in held for array in state.arrays),
        grown,
    )


def model_of(shape: Shape) -> GPTNeoXForCausalLM:
    """Return a model of Pythia's kind with random weights and a small vocabulary."""
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=1000,
        hidden_size=shape.width,
        num_hidden_layers=shape.blocks,
        num_attention_heads=max(shape.width // 64, 2),
        intermediate_size=4 * shape.width,
    )
    model: GPTNeoXForCausalLM = GPTNeoXForCausalLM(config).train(mode=False)
    return model


def folded(probe: TransformerProbe, batches: Sequence[Batch], states: Sequence[dict[Site, torch.Tensor]]) -> Fold:
    """Return a fold that took in some batches' states by turns."""
    documents = sum(len(batch.windows) for batch in batches)
    grouped = max(1, documents // 64)
    fold = Fold(METRICS, [f"{n}" for n in range(documents)], [n // grouped for n in range(documents)])
    for number, batch in enumerate(batches):
        with fold.taking(batch) as sink:
            for site in probe.sites:
                sink(site, states[number % len(states)][site])
    return fold


def compared(shape: Shape, tokens: int, said: Cost, found: Cost) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a shape."""
    size = (f"{shape.width}", f"{shape.blocks}", f"{tokens:,}")
    for (name, what), unit in zip(PARTS.items(), (1, 1, 1, 1e6, 1e6), strict=True):
        mine, real = getattr(said, name) / unit, getattr(found, name) / unit
        yield *size, what, f"{mine:.3g}", f"{real:.3g}", f"{mine / real:.2f}"


def spectra() -> None:
    """Measure eigenvalues of wide states."""
    rows = []
    for side in SIDES:
        matrix = np.random.default_rng(0).standard_normal((side, side), dtype=np.float64)
        matrix = matrix + matrix.T
        taken = seconds(partial(np.linalg.eigvalsh, matrix), 1 if side == SIDES[-1] else 3)
        rows.append((f"{side}", f"{taken:.3g}", f"{spectrum_operations(side) / taken / 1e9:.0f}"))
    record("Eigenvalues", ("width", "seconds", "Gflop/s"), rows, EIGEN_NOTE.format(single="one"))


if __name__ == "__main__":
    main()
