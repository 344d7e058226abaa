"""How far the fold's spectral metrics are from a float64 reference on all states at once."""

from collections.abc import Sequence

import numpy as np
import torch
from results import Target, record
from subjects import cut, smollm2, text_ids
from torch import Tensor
from ways import ALL, BATCH_TOKENS, METRICS, states_of

from aniso_core.batches import Batch, plan_batches
from aniso_core.fold import Fold
from aniso_core.records import Array, Site

SIZES = (1024, 4096)  # the smallest eigenvalues are hardest where tokens are few more than the width
LENGTH = 256
REAL = (*(Site(layer, "residual") for layer in (0, 1, 8, 15, 29)), Site(30, "normed"))
MADE = Site(0, "residual")
WIDTH = 576
MASSIVE = 1e4
FAR = 100
LIMIT = Target("at most", 1e-6)

NOTE = """\
Largest relative error of each spectral metric (token set all) over corpora of {sizes} tokens in batches of {batch:,},
against numpy's covariance of all states at once in float64 and its eigenvalues. SmolLM2: prose at sites {sites}.
Massive: random states of width {width} with a decaying spectrum, one token in each window of {length} at
{massive:,.0f} times the norm of the others. Far: the same random states about a mean {far} times as long as their root
mean square distance from it. In the columns bf16 the states are rounded to bfloat16 first, for the reference too."""

States = dict[Site, Tensor]
"""The states of one batch, float[batch, time, d] by site."""


def main(sizes: Sequence[int] = SIZES) -> None:
    """Compare on real states and on two kinds of made ones, in two precisions."""
    probe = smollm2()
    generator = torch.Generator().manual_seed(0)
    worst: dict[str, dict[str, float]] = {}
    for tokens in sizes:
        batches = plan_batches(cut(text_ids(probe, tokens), LENGTH), BATCH_TOKENS)
        cases = {
            "SmolLM2": [states_of(probe, REAL, batch) for batch in batches],
            "massive": [{MADE: massive(batch, generator)} for batch in batches],
            "far": [{MADE: far(batch, generator)} for batch in batches],
        }
        for name, states in cases.items():
            for label, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
                for metric, error in worst_errors(batches, states, dtype).items():
                    row = worst.setdefault(metric, {})
                    row[f"{name}, {label}"] = max(row.get(f"{name}, {label}", 0.0), error)
    rows = [
        (metric, *(f"{error:.1e}" for error in row.values()), *LIMIT.cells(max(row.values())))
        for metric, row in worst.items()
    ]
    note = NOTE.format(
        batch=BATCH_TOKENS,
        sizes=" and ".join(f"{tokens:,}" for tokens in sizes),
        sites=", ".join(site.key for site in REAL),
        width=WIDTH,
        length=LENGTH,
        massive=MASSIVE,
        far=FAR,
    )
    record("Accuracy", ("metric", *next(iter(worst.values())), "target", "reached"), rows, note)


def massive(batch: Batch, generator: torch.Generator) -> Tensor:
    """Return random states in which one token of each window is massive, all of them along one direction."""
    states = decaying(batch, generator)
    direction = torch.nn.functional.normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(1)), dim=0)
    row = torch.arange(len(states))
    column = torch.randint(states.shape[1], (len(states),), generator=generator)
    states[row, column] += MASSIVE * states.norm(dim=-1).mean() * direction
    return states


def far(batch: Batch, generator: torch.Generator) -> Tensor:
    """Return random states about a mean that is long against their spread."""
    states = decaying(batch, generator)
    direction = torch.nn.functional.normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(1)), dim=0)
    distance = (torch.arange(1, WIDTH + 1) ** -1.0).sum().sqrt()
    return states + FAR * distance * direction


def decaying(batch: Batch, generator: torch.Generator) -> Tensor:
    """Return random states, float32[batch, time, d], whose variance falls as 1 / k over the coordinates k."""
    return torch.randn((*batch.ids.shape, WIDTH), generator=generator) * torch.arange(1, WIDTH + 1) ** -0.5


def worst_errors(batches: Sequence[Batch], states: Sequence[States], dtype: torch.dtype) -> dict[str, float]:
    """Return the largest relative error over sites of each metric."""
    fold = Fold(METRICS, [str(window.document) for batch in batches for window in batch.windows])
    rounded = [{site: given.to(dtype) for site, given in part.items()} for part in states]
    for batch, part in zip(batches, rounded, strict=True):
        with fold.taking(batch) as sink:
            for site, given in part.items():
                sink(site, given)
    curves = {(c.metric, c.stream): c for c in fold.ask(states[0], ALL).curves}
    worst: dict[str, float] = {}
    for site in states[0]:
        rows = torch.cat([part[site].flatten(0, 1) for part in rounded]).double().numpy()
        for metric, wanted in reference(rows).items():
            ours = curves[metric, site.stream].at(site.layer)
            error = float("inf") if ours is None else abs(ours / wanted - 1)
            worst[metric] = max(worst.get(metric, 0.0), error)
    return worst


def reference(states: Array) -> dict[str, float]:
    """Return the spectral metrics of states float64[n, d], by their formulas."""
    n, d = states.shape
    values = np.linalg.eigvalsh(np.cov(states.T))[::-1].clip(min=0)
    square = ((states - states.mean(axis=0)) ** 2).sum(axis=1)
    share = values / values.sum()
    positive = share[share > 0]
    ratio = 1 / (share**2).sum()
    trace, of_square = values.sum(), (values**2).sum()
    n_q = n * (square**2).sum() / (n - 1)
    above = 2 * of_square + (n**2 - 3 * n + 1) * trace**2 - n_q
    below = (n - 1) * (n - 2) * of_square + trace**2 - n_q
    return {
        "top-eigenvalue-share": share[0],
        "eigenvalue-variance": values.var(),
        "eigenvalue-dispersion": values.var() / values.mean() ** 2,
        "effective-rank": np.exp(-(positive * np.log(positive)).sum()),
        "participation-ratio": ratio,
        "participation-ratio-unbiased": above / below,
        "isoscore": (ratio - 1) / (d - 1),
        **{f"top-{k}-share": share[:k].sum() for k in (1, 10, 50)},
    }


if __name__ == "__main__":
    main()
