"""How much longer a forward pass over a corpus takes when it is profiled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from results import Target, cells, record
from subjects import cut, smollm2, text_ids, with_head
from timing import Pair, alternate, seconds
from ways import ALL, BATCH_TOKENS, BOTH, DEFAULT, RESIDUAL, Folding, Stacking, bare

from aniso_core.batches import plan_batches
from aniso_core.tokens import Window
from aniso_core.transformer import TransformerProbe

TOKENS = 8192
LENGTHS = (512, 128)
ROUNDS = 2  # each gives one ratio a batch, so 16 of each kind

# With AVX-512 there may be a float32 product twice as fast as the one that the pass uses: docs/performance.md.
RESIDUAL_LIMIT, BOTH_LIMIT = (1.05, 1.10) if "AVX512" in torch.backends.cpu.get_cpu_capability() else (1.07, 1.13)
RESIDUAL_SPECTRA_LIMIT, BOTH_SPECTRA_LIMIT = 1.08, 1.13

NOTE = """\
Time of a job over that of the bare trunk pass: SmolLM2-135M in float32, {tokens:,} tokens of prose in windows x tokens,
batches of {batch:,} tokens, all installed metrics. Every batch of every job runs between two bare passes and is
compared with their mean; what is done once, at the end of a corpus, is spread evenly over its batches. Median and
quartiles are over all batches of {rounds} rounds; the ratio of totals is that of their sums, so that nothing is left
out. With the residual stream the final norm's output is read. Stacking is the notebooks' way: one document at a time
through the model with its language-model head (tied to the embeddings), all states kept in float32, then each layer's
d x d covariance and its eigenvalues, or the singular values of its n x d states."""

MISSED = """\
Why targets are missed on two AVX2 cores: at equal rates the products of half a covariance, in four block rows, are 0.06
of the pass for the residual stream and 0.11 for both (docs/performance.md). They are thinner than the pass's and run at
some 110 Gflop/s where those run at 150 to 165, and each site adds 2 to 3 ms of small operations a batch. With batches
of 2,048 tokens the small operations weigh half as much, but the pass itself takes 12 to 19 % longer a token: beside the
bare pass of that batch size, aniso with batches of 1,024 and no spectra took 0.89 of its time for the residual stream
and 0.96 for both. Spectra: all eigenvalues of one matrix of width 576 take 12 to 20 ms, effective rank needs them all,
and there are 32 or 62 sites with up to three token sets each; this part is the same for a corpus of any length."""


@dataclass(frozen=True)
class Job:
    """What is wanted of a corpus: a way that takes in its batches, and what is asked of it at the end."""

    name: str
    way: str
    finish: Callable[[Any], object]
    limit: float | None = None


JOBS = (
    Job("residual stream, no spectra", "residual", lambda _way: None, RESIDUAL_LIMIT),
    Job("residual stream, one token set", "residual", lambda way: way.ask(ALL), RESIDUAL_SPECTRA_LIMIT),
    Job("residual stream, three token sets", "residual", lambda way: way.ask(DEFAULT), RESIDUAL_SPECTRA_LIMIT),
    Job("both streams, no spectra", "both", lambda _way: None, BOTH_LIMIT),
    Job("both streams, one token set", "both", lambda way: way.ask(ALL), BOTH_SPECTRA_LIMIT),
    Job("both streams, three token sets", "both", lambda way: way.ask(DEFAULT), BOTH_SPECTRA_LIMIT),
    Job("stacking, covariances", "stacking", lambda way: way.numbers()),
    Job("stacking, singular values", "stacking", lambda way: way.anisotropies()),
)


def main(tokens: int = TOKENS, lengths: Iterable[int] = LENGTHS, rounds: int = ROUNDS) -> None:
    """Profile SmolLM2-135M on prose, batch by batch between bare passes of the same shape."""
    probe = smollm2()
    model = with_head(probe.anatomy.trunk)
    ids = text_ids(probe, tokens)
    rows = []
    for length in lengths:
        windows = cut(ids, length)
        one_round(probe, model, windows[:1])  # warms up
        found = [one_round(probe, model, windows) for _ in range(rounds)]
        for job in JOBS:
            pairs = [pair for once in found for pair in once[job.name]]
            totals = sum(pair.seconds for pair in pairs) / sum(pair.bare for pair in pairs)
            target = Target("at most", job.limit) if job.limit else None
            median, *others = cells([pair.ratio for pair in pairs], target, ".3f")
            rows.append((f"{len(windows)} x {length}", job.name, median, f"{totals:.3f}", *others))
    columns = ("windows", "job", "ratio", "ratio of totals", "quartiles", "target", "reached")
    record("Speed", columns, rows, NOTE.format(tokens=tokens, batch=BATCH_TOKENS, rounds=rounds), MISSED)


def one_round(probe: TransformerProbe, model: torch.nn.Module, windows: Sequence[Window]) -> dict[str, list[Pair]]:
    """Return one pair a batch for each job."""
    batches = plan_batches(windows, BATCH_TOKENS)
    bare_pass = partial(bare, probe, batches[0])
    bare_pass()  # warms up
    ways: dict[str, Folding | Stacking] = {
        "residual": Folding(probe, RESIDUAL, len(windows)),
        "both": Folding(probe, BOTH, len(windows)),
        "stacking": Stacking(model),
    }
    pairs = alternate(bare_pass, [partial(way.take, batch) for batch in batches for way in ways.values()])
    found = {}
    for job in JOBS:
        finish = seconds(partial(job.finish, ways[job.way])) / len(batches)
        found[job.name] = [pair.plus(finish) for pair in pairs[list(ways).index(job.way) :: len(ways)]]
    return found


if __name__ == "__main__":
    main()
