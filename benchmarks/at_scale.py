"""What large models and a whole suite cost on GPUs, by the arithmetic of costs.py: nothing of it was run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from costs import (
    BLOCK_ROWS,
    HALF,
    KEPT_UNITS,
    Shape,
    absorption_bytes,
    forward_operations,
    merge_bytes,
    merged_units_bytes,
    product_operations,
    spectrum_operations,
    state_traffic,
    sums_bytes,
    unit_operations,
    units_bytes,
)
from hardware import (
    CARDS,
    CHECKPOINTS,
    COPYING,
    EIGEN,
    HUB,
    LLAMA_2_70B,
    NETWORK,
    PYTHIA,
    PYTHIA_1_4B,
    PYTHIA_12B,
    REACHED,
    START,
    THREADS,
    USED,
    Card,
)
from results import record

from aniso_core.shards import TOKENS

CORPUS, WINDOW, SUITE_TOKENS = 1e9, 2048, 1e6
COUNTS = (1, 8, 64)
GIGA, HOUR = 1e9, 3600.0
LARGE = (PYTHIA_1_4B, PYTHIA_12B, LLAMA_2_70B)

HELD_NOTE = """\
On paper, GB (10^9 bytes): weights in bfloat16; sums of one token class, of both streams and of the residual stream
with the final norm's output; what a worker sends for a shard (class rest, units and half of the rows that can wait;
first tokens are few); what a run that is underway has on disk (two states of the classes rest and first; a third
while it is written); and what {units} units hold for each class, however many shards were merged."""

LARGE_NOTE = """\
On paper, hours for 10^9 tokens in windows of {window:,}, by docs/scale.md: {reached:.0%} of a card's dense bfloat16
peak for all products, its whole memory rate for what only moves bytes, {threads} threads of {eigen:g} Gflop/s for
spectra, a driver of {copying:g} GB/s behind {network:g} GB/s of network. A copy of the model takes as many cards as
its weights and sums need, of which one works at a time (a device map has no pipeline). Products are those of states
that arrive in half precision and need no split; with the split they are three times as much. As it comes: both
streams, three token sets, batches of {rows:,} tokens (that is, of a window), shards of {small:,}. Chosen: residual
stream, token sets all and bulk, batches of {many:,}, shards of {large:,}. A job of one copy merges on its card and has
no driver. Total is the longer of workers and driver, and spectra."""

SUITE_NOTE = """\
On paper, hours for {checkpoints} checkpoints of each size, {tokens:g} tokens each, on one {card} with the
assumptions of the tables above; both streams, three token sets, and beside it the residual stream with one. Fetching
is the bytes of all weights in half precision at {hub:g} GB/s, start {start:g} s a run. On 8 cards means that each
works with {each} threads of its own, or that all share {threads}; fetching is divided in neither case."""


@dataclass(frozen=True)
class Choice:
    """What is measured and in what portions."""

    name: str
    both: bool
    sets: int
    batch: int
    shard: int

    def sites(self, shape: Shape) -> int:
        """Return the number of sites."""
        return shape.sites if self.both else shape.residual_sites


DEFAULT = Choice("as it comes", both=True, sets=3, batch=BLOCK_ROWS, shard=TOKENS)
CHOSEN = Choice("chosen", both=False, sets=2, batch=16 * BLOCK_ROWS, shard=128 * TOKENS)
LEAN = Choice("one stream, one set", both=False, sets=1, batch=16 * BLOCK_ROWS, shard=TOKENS)


class Hours(NamedTuple):
    """Hours of the workers' parts, of the driver and of the end, and cards that a copy takes."""

    cards: int
    forward: float
    products: float
    moving: float
    driver: float
    spectra: float

    @property
    def total(self) -> float:
        """Hours until all is done."""
        return max(self.forward + self.products + self.moving, self.driver) + self.spectra


def main() -> None:
    """Write three tables."""
    held()
    large()
    suite()


def result_bytes(shape: Shape, choice: Choice) -> float:
    """Return what a worker sends for a shard."""
    width = shape.width
    waiting = min(width, BLOCK_ROWS) / 2 * 4 * width
    return choice.sites(shape) * (sums_bytes(width) + units_bytes(width, 2) + waiting)


def cards_of(shape: Shape, card: Card, choice: Choice, *, alone: bool) -> int:
    """Return how many cards a copy takes: weights, a shard's sums, and alone those of all shards in two classes."""
    sums = choice.sites(shape) * (sums_bytes(shape.width) + units_bytes(shape.width, KEPT_UNITS))
    return math.ceil((HALF * shape.parameters + sums * (3 if alone else 1)) / (USED * card.memory))


def hours(shape: Shape, card: Card, count: int, choice: Choice, tokens: float = CORPUS) -> Hours | None:
    """Return the hours on so many cards, None where they hold no copy of the model."""
    sites, width = choice.sites(shape), shape.width
    alone = cards_of(shape, card, choice, alone=True)
    single = count < 2 * cards_of(shape, card, choice, alone=False)
    cards = alone if single else cards_of(shape, card, choice, alone=False)
    if cards > count:
        return None
    copies, speed = count // cards, REACHED * card.peak
    shards = tokens / choice.shard
    moving = (
        tokens * sites * (state_traffic(width) + absorption_bytes(width) / max(choice.batch, WINDOW)) / card.bandwidth
    )
    merging = shards * sites * merge_bytes(width)
    if single:
        moving, driver = moving + merging / card.bandwidth, 0.0
    else:
        driver = max(merging / COPYING, shards * result_bytes(shape, choice) / NETWORK)
    products = tokens * sites * (product_operations(width) + unit_operations(width)) / speed
    forward = tokens * forward_operations(shape, WINDOW) / speed
    ending = sites * choice.sets * spectrum_operations(width) / (THREADS * EIGEN)
    parts = (forward / copies, products / copies, moving / copies, driver, ending)
    return Hours(cards, *(part / HOUR for part in parts))


def held() -> None:
    """Write what large models hold."""
    rows = []
    for shape in LARGE:
        width, sites = shape.width, shape.sites
        one = sites * sums_bytes(width)
        units = sites * (units_bytes(width, KEPT_UNITS) + merged_units_bytes(width, KEPT_UNITS))
        figures = (
            HALF * shape.parameters,
            one,
            shape.residual_sites * sums_bytes(width),
            result_bytes(shape, DEFAULT),
            2 * 2 * (one + units),
            units,
        )
        rows.append((shape.name, f"{sites}", *(f"{figure / GIGA:.3g}" for figure in figures)))
    columns = ("model", "sites", "weights", "sums of a class", "residual stream", "result of a shard", "on disk")
    record("What large models hold", (*columns, "units of a class"), rows, HELD_NOTE.format(units=KEPT_UNITS))


def large() -> None:
    """Write what 10^9 tokens cost on several cards."""
    rows = [row for shape in LARGE[1:] for card in CARDS for count in COUNTS for row in rows_of(shape, card, count)]
    columns = ("model", "cards", "what", "cards a copy", "forward", "products", "moving", "driver", "spectra", "total")
    told = {"window": WINDOW, "reached": REACHED, "threads": THREADS, "eigen": EIGEN / GIGA, "copying": COPYING / GIGA}
    told |= {"network": NETWORK / GIGA, "rows": BLOCK_ROWS, "small": TOKENS, "many": CHOSEN.batch}
    record("Large models on GPUs", columns, rows, LARGE_NOTE.format(**told, large=CHOSEN.shard))


def rows_of(shape: Shape, card: Card, count: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of both choices."""
    for choice in (DEFAULT, CHOSEN):
        found = hours(shape, card, count, choice)
        figures = [f"{found.cards}", *(f"{part:.3g}" for part in (*found[1:], found.total))] if found else ["none fits"]
        yield (shape.name, f"{count} {card.name}", choice.name, *figures, *[""] * (7 - len(figures)))


def suite() -> None:
    """Write what all checkpoints of Pythia cost."""
    card, rows, sums = CARDS[-1], [], [0.0] * 6
    for shape in PYTHIA:
        usual, lean = (hours(shape, card, 1, choice, SUITE_TOKENS) for choice in (DEFAULT, LEAN))
        if usual is None or lean is None:
            message = f"{shape.name} does not fit on one {card.name}"
            raise ValueError(message)
        figures = [
            CHECKPOINTS * HALF * shape.parameters / HUB / HOUR,
            CHECKPOINTS * START / HOUR,
            CHECKPOINTS * (usual.total - usual.spectra),
            CHECKPOINTS * usual.spectra,
            CHECKPOINTS * (lean.total - lean.spectra),
            CHECKPOINTS * lean.spectra,
        ]
        sums = [a + b for a, b in zip(sums, figures, strict=True)]
        rows.append((shape.name, *(f"{figure:.3g}" for figure in figures)))
    rows.append(("all, one card", *(f"{figure:.3g}" for figure in sums)))
    rows.append(("all, 8 cards, threads of their own", f"{sums[0]:.3g}", *(f"{figure / 8:.3g}" for figure in sums[1:])))
    shared = (sums[3], sums[4] / 8, sums[5])
    cells = (f"{figure:.3g}" for figure in (sums[0], sums[1] / 8, sums[2] / 8, *shared))
    rows.append(("all, 8 cards, threads shared", *cells))
    columns = ("model", "fetching", "start", "pass and fold", "spectra", "one stream: pass and fold")
    told = {"checkpoints": CHECKPOINTS, "tokens": SUITE_TOKENS, "card": card.name, "hub": HUB / GIGA, "start": START}
    note = SUITE_NOTE.format(**told, threads=THREADS, each=THREADS)
    record("The Pythia suite", (*columns, "one set: spectra"), rows, note)


if __name__ == "__main__":
    main()
