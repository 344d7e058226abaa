"""What uncertainty costs: sums of each document during the pass, intervals and verdicts after it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from results import Target, cells, record
from subjects import cut, smollm2, text_ids
from timing import seconds
from ways import BATCH_TOKENS, BOTH, RESIDUAL, Folding, bare, states_of

from aniso_core import engine
from aniso_core.batches import plan_batches
from aniso_core.fold import Measured
from aniso_core.plugins import registry
from aniso_core.records import Profile, PromptsInfo, Site
from aniso_core.transformer import TransformerProbe

ROUNDS = 31
LENGTHS = (512, 128)
ADDED = Target("at most", 0.05)

DOCUMENTS, LENGTH, LAYERS = 256, 32, 33
JUDGED = ("all", "bulk")
AFTER = Target("at most", 5)

SUMS_NOTE = """\
What keeping sums of each document adds to a pass over {batch:,} tokens of prose, as a share of the bare trunk pass:
SmolLM2-135M in float32, windows x tokens, each window a document, all installed metrics. States of one batch go into a
fold with these sums and into one without, by turns; {rounds} rounds, and as many bare passes after them. The difference
of two times is divided by the median of the bare passes."""

AFTER_NOTE = """\
Seconds after the pass, for {layers} layers of {documents} documents of {length} tokens, the states of SmolLM2's layers
over and over, token sets all and bulk, all installed metrics: values alone, then values and intervals; and the verdicts
of all installed hypotheses over two such models, one of them called an RMSNorm model. Held against the target are one
model's intervals and all verdicts together."""


def main(rounds: int = ROUNDS) -> None:
    """Measure the pass and what comes after it."""
    probe = smollm2()
    rows = []
    for length in LENGTHS:
        for name, streams in (("residual", RESIDUAL), ("both", BOTH)):
            found = cells(added(probe, length, streams, rounds), ADDED, "+.3f")
            rows.append((f"{BATCH_TOKENS // length} x {length}", name, *found))
    columns = ("windows", "streams", "added", "quartiles", "target", "reached")
    record("Sums of documents", columns, rows, SUMS_NOTE.format(batch=BATCH_TOKENS, rounds=rounds))
    note = AFTER_NOTE.format(layers=LAYERS, documents=DOCUMENTS, length=LENGTH)
    record("Intervals and verdicts", ("what", "seconds", "target", "reached"), list(after(probe)), note)


def added(probe: TransformerProbe, length: int, streams: Sequence[str] | None, rounds: int) -> list[float]:
    """Return by how much of a bare pass the fold takes longer with sums of each document, once a round."""
    windows = cut(text_ids(probe, BATCH_TOKENS), length)
    (batch,) = plan_batches(windows, BATCH_TOKENS)
    plain, kept = (Folding(probe, streams, len(windows), intervals=intervals) for intervals in (False, True))
    states = states_of(probe, plain.sites, batch)
    differences = []
    for _ in range(rounds + 1):  # the first warms up
        without, with_sums = (seconds(partial(way.feed, batch, states)) for way in (plain, kept))
        differences.append(with_sums - without)
    passes = median(seconds(partial(bare, probe, batch)) for _ in range(rounds + 1))
    return [difference / passes for difference in differences[1:]]


def after(probe: TransformerProbe) -> Iterable[tuple[str, ...]]:
    """Yield the rows of what comes after the pass."""
    windows = cut(text_ids(probe, DOCUMENTS * LENGTH), LENGTH)
    plain, kept = (Folding(probe, RESIDUAL, DOCUMENTS, intervals=intervals) for intervals in (False, True))
    for way in (plain, kept):
        way.sites = tuple(Site(layer, "residual") for layer in range(LAYERS))
    for batch in plan_batches(windows, BATCH_TOKENS):
        states = states_of(probe, [site for site in probe.sites if site.stream == "residual"], batch)
        again = dict(zip(plain.sites, (*states.values(), *states.values()), strict=False))
        for way in (plain, kept):
            way.feed(batch, again)
    values = seconds(lambda: plain.ask(JUDGED))
    found: list[Measured] = []
    intervals = seconds(lambda: found.append(kept.ask(JUDGED)))
    profiles = [as_profile(probe, found[0], norm) for norm in ("rmsnorm", "layernorm")]
    hypotheses = [item.value for item in registry().items("hypothesis")]
    verdicts = seconds(lambda: engine.judge(hypotheses, profiles))
    yield "values", f"{values:.2f}", "", ""
    yield "values and intervals", f"{intervals:.2f}", "", ""
    yield "verdicts", f"{verdicts:.2f}", "", ""
    both = intervals - values + verdicts
    yield "intervals and verdicts", f"{both:.2f}", *AFTER.cells(both)


def as_profile(probe: TransformerProbe, measured: Measured, norm: str) -> Profile:
    """Return what was measured as the profile of a model with this norm."""
    info = replace(probe.info, name=norm, norm=norm, layers=LAYERS - 1)  # type: ignore[arg-type] # one of two
    prompts = PromptsInfo("prose", "0" * 64, DOCUMENTS, DOCUMENTS, DOCUMENTS * LENGTH, LENGTH, "omit", "none", 0, 64)
    return Profile(info, measured.curves, prompts, counts=measured.counts, pseudo=measured.pseudo)


if __name__ == "__main__":
    torch.set_grad_enabled(mode=False)
    main()
