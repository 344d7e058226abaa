"""Intervals over documents of metrics other than the first share, from states on, as a run computes them.

Populations have one layer. A metric of the whole spectrum has no interval in some draws, where there are too many
states for it; those draws are not counted.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from simulate_states import Population
from true_metrics import TRUTHS

from aniso_core.intervals import bounds, pseudo_values
from aniso_core.metrics import aniso_metrics
from aniso_core.moments import Moments
from aniso_core.records import Array
from scenarios.truth import Claim, Hits, at_least, generators

RANK, RATIO, UNBIASED = "effective-rank", "participation-ratio", "participation-ratio-unbiased"
TO_MEAN, PAIRS, CV = "cosine-to-mean", "mean-pairwise-cosine", "norm-cv"
METRICS = {metric.name: metric for metric in aniso_metrics() if metric.name in TRUTHS}
BULK, WIDE, MEAN = 0.25, 256, 1.0

_EVERY = (RANK, RATIO, UNBIASED, TO_MEAN, PAIRS, CV)
_SHARE = np.array([0.3])


@dataclass(frozen=True, eq=False)
class Layer:
    """A population of one layer, and the metrics that are asked of it."""

    name: str
    population: Population
    metrics: tuple[str, ...] = _EVERY

    @property
    def part(self) -> int:
        """One in so many of the draws is made: leaving wide documents out costs the most."""
        return 4 if self.population.width == WIDE else 1

    def true(self, metric: str) -> float:
        """Return what a metric is in the population."""
        return float(TRUTHS[metric](self.population)[0])


PLAIN = Layer("share of 0.3", Population(_SHARE, mean=MEAN))
MASSIVE = Layer("massive first tokens, share of 0.6", Population(np.array([0.6]), BULK, mean=MEAN))
NO_MEAN = Layer("share of 0.3, no mean", Population(_SHARE), (PAIRS, CV))
EVEN = Layer("share of 0.3, even tail", Population(_SHARE, tail=np.ones(47)), (RANK, RATIO, UNBIASED))
WIDER = Layer("share of 0.3, width 256", Population(_SHARE, width=WIDE, mean=MEAN), _EVERY[1:])
WIDER_EVEN = Layer(
    "share of 0.3, even tail, width 256", Population(_SHARE, width=WIDE, tail=np.ones(WIDE - 1)), (RATIO,)
)


@cache
def measured(layer: Layer, documents: int, draws: int) -> dict[str, Array]:
    """Return by metric plain value, estimate free of first-order bias and ends of the interval, float64[draws, 4]."""
    rng, _ = generators(layer.name, documents)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in layer.metrics}
    for _ in range(draws):
        drawn = layer.population.draw(documents, rng)
        whole = Moments.of(drawn.states[0], drawn.document.tolist())
        without = whole.without_each()
        for name, rows in found.items():
            value = METRICS[name].of(whole)
            values = pseudo_values(METRICS[name], value, [whole], [without])
            estimate, _, low, high = bounds(np.array(list(values.values()))[:, None], METRICS[name])
            rows.append((value, estimate[0], low[0], high[0]))
    return {name: np.array(rows) for name, rows in found.items()}


def covered(layer: Layer, metric: str) -> Hits:
    """Count draws whose interval holds the true value."""
    true = layer.true(metric)
    return lambda n, draws: [low <= true <= high for _, _, low, high in measured(layer, n, draws)[metric]]


def relative(layer: Layer, metric: str, column: int) -> Hits:
    """Return for each draw the plain value (column 0) or the estimate (column 1) over the true one."""
    true = layer.true(metric)
    return lambda n, draws: (measured(layer, n, draws)[metric][:, column] / true).tolist()


def claim(layer: Layer, metric: str, least: float | None = None) -> Claim:
    """Return the claim that intervals hold the true value."""
    target = None if least is None else at_least(least)
    return Claim(layer.name, f"{metric} covered", "1", (16, 32), covered(layer, metric), target, layer.part)


CLAIMS = (
    *(claim(layer, RATIO, 0.8) for layer in (PLAIN, EVEN, MASSIVE, WIDER, WIDER_EVEN)),
    *(claim(layer, UNBIASED, 0.84) for layer in (PLAIN, EVEN, MASSIVE, WIDER)),
    *(claim(layer, TO_MEAN, 0.88) for layer in (PLAIN, MASSIVE, WIDER)),
    *(claim(layer, PAIRS, 0.88) for layer in (PLAIN, NO_MEAN, MASSIVE, WIDER)),
    *(claim(layer, CV, 0.84) for layer in (PLAIN, NO_MEAN, MASSIVE, WIDER)),
    claim(MASSIVE, RANK, 0.84),
    *(
        claim_
        for layer in (EVEN, PLAIN)
        for claim_ in (
            claim(layer, RANK),
            Claim(layer.name, f"{RANK}, plain over true", "1", (16, 32), relative(layer, RANK, 0), part=layer.part),
            Claim(layer.name, f"{RANK}, estimate over true", "1", (16, 32), relative(layer, RANK, 1), part=layer.part),
        )
    ),
)
"""What is asked of a layer's interval. Of effective rank nothing is, but where few directions hold nearly all."""
