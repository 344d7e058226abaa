"""How near the metrics without a document come that are told from sums over documents, on SmolLM2's states."""

from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np
import torch
from results import Target, record
from subjects import cut, smollm2, text_ids

from aniso_core.batches import Layout, plan_batches
from aniso_core.metrics import aniso_metrics
from aniso_core.moments import Moments
from aniso_core.records import Array, Site
from aniso_core.running import RunningMoments
from aniso_core.tokens import TOKEN_SETS, Tokens
from aniso_core.transformer import TransformerProbe

DOCUMENTS, LENGTH, BATCH_TOKENS = 64, 128, 1024
SITES = (*(Site(layer, "residual") for layer in (0, 1, 8, 15, 29, 30)), Site(8, "normed"), Site(30, "normed"))
SETS = ("all", "bulk")
NAMES = ("top-eigenvalue-share", "participation-ratio", "cosine-to-mean", "mean-pairwise-cosine", "norm-cv")
TARGETS = {"top-eigenvalue-share": Target("at least", 0.9999)}

WINDOWS = 4  # of a document where it is spread over shards

NOTE = """\
Metrics without each of {documents} documents of {length} tokens, told from what is kept of documents while states
stream by, against the metrics of the states that remain, in float64: SmolLM2-135M in float32, {sites} sites, token sets
all and bulk. The worst site and set each: correlation over documents, relative error of a value, ratio of the standard
deviations of pseudo-values (told over exact, the one furthest from 1), and how far their means lie apart in standard
errors."""
SPREAD_NOTE = """\
The same, but of {windows} windows of {length} tokens a document, which lie far apart in the text: every batch of
{batch:,} tokens is a shard of its own, so that {shards} shards are merged and each document is in {windows} of them."""


def main() -> None:
    """Measure documents that lie in one shard, and such as are spread over many."""
    probe = smollm2()
    told = {"documents": DOCUMENTS, "length": LENGTH, "sites": len(SITES), "windows": WINDOWS, "batch": BATCH_TOKENS}
    told["shards"] = DOCUMENTS * LENGTH * WINDOWS // BATCH_TOKENS
    measure("Leaving out", probe, 1, NOTE.format(**told))
    measure("Leaving out over shards", probe, WINDOWS, SPREAD_NOTE.format(**told))


def measure(section: str, probe: TransformerProbe, windows: int, note: str) -> None:
    """Measure each site and token set for documents of so many windows, and write a section."""
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in NAMES}
    for parts in tokens_of(probe, windows):
        for tokens in SETS:
            wanted: dict[str, list[Tokens]] = {key: parts[key] for key in TOKEN_SETS[tokens] if key in parts}
            for name, compared in compare(wanted, in_shards=windows > 1).items():
                found[name].append(compared)
    rows = []
    for name, several in found.items():
        correlation, error, spread, apart = (list(column) for column in zip(*several, strict=True))
        worst = min(correlation)
        furthest = max(spread, key=lambda ratio: abs(ratio - 1))
        target = TARGETS[name].cells(worst) if name in TARGETS else ("", "")
        rows.append((name, f"{worst:.5f}", f"{max(error):.1e}", f"{furthest:.3f}", f"{max(apart):.2f}", *target))
    columns = ("metric", "correlation", "error", "spread", "means apart", "target", "reached")
    record(section, columns, rows, note)


def tokens_of(probe: TransformerProbe, each: int) -> Iterable[dict[str, list[Tokens]]]:
    """Yield the tokens of each site by class, in the batches that they came in; `each` windows are of a document."""
    windows = cut(text_ids(probe, DOCUMENTS * LENGTH * each), LENGTH)
    units = [number % DOCUMENTS for number in range(len(windows))]
    held: dict[Site, dict[str, list[Tokens]]] = {site: {} for site in SITES}
    for batch in plan_batches(windows, BATCH_TOKENS):
        layout = Layout(batch, torch.device("cpu"), units)

        def sink(site: Site, states: torch.Tensor, layout: Layout = layout) -> None:
            tokens = layout.tokens(states)
            outlier = layout.outliers(tokens)
            for name, index in layout.classes(outlier, int(outlier.sum())).items():
                held[site].setdefault(name, []).append(tokens.take(index, layout.runs(index)).copied())

        with probe.reading(SITES, sink) as run:
            run(batch)
    return held.values()


def compare(parts: Mapping[str, list[Tokens]], *, in_shards: bool) -> dict[str, tuple[float, float, float, float]]:
    """Return by metric how what is told and what is exact compare; `in_shards` merges the batches one by one."""
    folds = [[tokens] for several in parts.values() for tokens in several] if in_shards else parts.values()
    told = reduce(RunningMoments.merge, map(running, folds)).result()
    states = np.concatenate([t.states.double().numpy() for several in parts.values() for t in several])
    owner = np.concatenate([t.document.numpy() for several in parts.values() for t in several]) % DOCUMENTS
    without = told.without_each()
    exact = {unit: moments(states[owner != unit]) for unit in without}
    metrics = {metric.name: metric for metric in aniso_metrics()}
    return {
        name: agreement(*(np.array([metrics[name].of(m[unit]) for unit in exact]) for m in (without, exact)))
        for name in NAMES
    }


def running(parts: Iterable[Tokens]) -> RunningMoments:
    """Return the statistic over tokens that come in parts."""
    found = RunningMoments()
    for tokens in parts:
        found.update(tokens)
    return found


def moments(states: Array) -> Moments:
    """Return the moments of states float64[n, d], by numpy alone."""
    norms, centred = np.linalg.norm(states, axis=1), states - states.mean(axis=0)
    scatter = centred.T @ centred
    square = (centred**2).sum(axis=1)
    return Moments(
        count=len(states),
        mean=states.mean(axis=0),
        unit_mean=(states / norms[:, None]).mean(axis=0),
        norm_mean=float(norms.mean()),
        norm_var=float(norms.var()),
        trace=float(square.sum()) / (len(states) - 1),
        quartic=float(square @ square) / len(states),
        peak=float("nan"),
        peak_ratio=float("nan"),
        scatter=scatter,
    )


def agreement(told: Array, exact: Array) -> tuple[float, float, float, float]:
    """Return correlation, largest relative error, ratio of spreads, and distance of pseudo-values' means."""
    apart = abs(told.mean() - exact.mean()) / (exact.std(ddof=1) / np.sqrt(len(exact)))
    return (
        float(np.corrcoef(told, exact)[0, 1]),
        float(np.abs(told / exact - 1).max()),
        float(told.std() / exact.std()),
        float(apart),
    )


if __name__ == "__main__":
    main()
