"""A fold fed with given states, cut into batches in many ways."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from aniso_core.batches import plan_batches
from aniso_core.contracts import Metric
from aniso_core.documents import units_of
from aniso_core.fold import Fold, Measured
from aniso_core.records import Site
from aniso_core.tokens import TOKEN_SETS, Document, Window

States = Mapping[Site, Sequence[np.ndarray]]
"""The states of each window, float[time, d], by site."""


def windows_of(lengths: Mapping[int, Sequence[int]]) -> list[Window]:
    """Return windows of these lengths by document; the first id of a window is its number, by which it is known."""
    owners = [(document, length) for document, each in lengths.items() for length in each]
    return [Window((number,) * length, document, 0, 0) for number, (document, length) in enumerate(owners)]


def folded(
    metrics: Sequence[Metric],
    windows: Sequence[Window],
    states: States,
    batch_tokens: int = 64,
    row_tokens: int = 0,
) -> Measured:
    """Return what a fold of the states measures at every site and token set."""
    documents = [Document(str(i), f"text {i}") for i in range(1 + max(window.document for window in windows))]
    fold = Fold(metrics, [document.id for document in documents], units_of(documents))
    for batch in plan_batches(windows, batch_tokens, row_tokens):
        with fold.taking(batch) as sink:
            for site, held in states.items():
                sink(site, laid(batch, held))
    return fold.ask(tuple(states), tuple(TOKEN_SETS))


def laid(batch, held: Sequence[np.ndarray]) -> torch.Tensor:
    """Return the states of a batch as a model hands them over, float[rows, time, d], padding full of ones."""
    rows = torch.ones((*batch.shape, held[0].shape[1]), dtype=torch.from_numpy(held[0]).dtype)
    for line, row in zip(rows, batch.rows, strict=True):
        joined = np.concatenate([held[window.ids[0]] for window in row])
        line[: len(joined)] = torch.from_numpy(joined)
    return rows


def cloud(windows: Sequence[Window], layers: int, width: int = 8, seed: int = 0, dtype: str = "float64") -> States:
    """Return random states whose norms make a tenth of the tokens outliers, at the sites of one stream."""
    rng = np.random.default_rng(seed)

    def drawn(window: Window) -> np.ndarray:
        states = rng.standard_normal((len(window.ids), width)) + 0.3
        return (states * np.where(rng.random((len(states), 1)) < 0.1, 20, 1)).astype(dtype)

    return {Site(layer, "residual"): [drawn(window) for window in windows] for layer in range(layers)}


def classes_of(states: np.ndarray) -> np.ndarray:
    """Return the class of each token of a window by the rule, for windows without special tokens."""
    norms = np.linalg.norm(states, axis=1)
    median = np.sort(norms)[(len(norms) - 1) // 2]
    found = np.where(norms > 5 * median, "outlier", "rest")
    found[0] = "first"
    return found
