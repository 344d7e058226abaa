"""Pseudo-values of metrics, and the intervals over documents that they give (docs/adr/0011)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aniso_core.contracts import Metric
from aniso_core.errors import UndefinedMetricError
from aniso_core.inference.matrix import interval
from aniso_core.records import Array


def pseudo_values(
    metric: Metric, value: float, results: Sequence[Any], without: Sequence[Mapping[int, Any]]
) -> dict[int, float]:
    """Return n * value - (n - 1) * value(-u) for each of n units u, as {u: pseudo-value}.

    `results` are what the metric was asked about, `without` those results without each unit; a unit that a later one
    lacks leaves it as it is. Raises UndefinedMetricError where the metric counts or has no value without some unit.
    """
    if metric.counts:
        message = "a count moves in whole steps, so leaving out documents gives no interval"
        raise UndefinedMetricError(message)
    units = without[0]
    if not units:
        message = "what single documents hold of this statistic was not kept"
        raise UndefinedMetricError(message)
    found = {}
    for unit, left in units.items():
        others = (each.get(unit, whole) for each, whole in zip(without[1:], results[1:], strict=True))
        number = float(metric.of(left, *others))
        if not math.isfinite(number):
            message = "it cannot be computed from sums over documents"
            raise UndefinedMetricError(message)
        found[unit] = len(units) * value - (len(units) - 1) * number
    return found


def require_units(without: Mapping[int, Any], units: int) -> None:
    """Raise UndefinedMetricError where results without each unit are by something else than one of so many units."""
    if any(unit not in range(units) for unit in without):
        message = "without_each gave results for documents, not for units; take the units from Tokens.runs"
        raise UndefinedMetricError(message)


def bounds(values: Array, metric: Metric) -> tuple[Array, Array, Array, Array]:
    """Return estimate free of first-order bias, standard error, and 95 % interval of each layer, float64[layers].

    `values` float64[units, layers] are pseudo-values, NaN where a unit has no token or the metric no value; an interval
    is cut where the metric's possible values end, and NaN where there are fewer than two units.
    """
    columns = np.full((4, values.shape[1]), np.nan)
    for layer, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if len(known) > 1:
            found = interval(known[:, None])
            columns[:, layer] = [part[0] for part in (found.estimate, found.se, found.low, found.high)]
    low, high = -np.inf if metric.low is None else metric.low, np.inf if metric.high is None else metric.high
    estimate, se, below, above = columns
    return estimate, se, np.clip(below, low, high), np.clip(above, low, high)
