"""What a fold is told when it asks its metrics: values, gaps, pseudo-values and failures, gathered into curves."""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aniso_core.contracts import MOST_KEPT, Metric
from aniso_core.errors import UndefinedMetricError
from aniso_core.isolation import said
from aniso_core.records import Array, Curve, Failure, KeptArray, Missing, PseudoValues, Site


class StatisticError(Exception):
    """Carries what went wrong with a statistic to each metric that asks about it."""


@dataclass
class Answers:
    """The values, gaps and failures that gather while a fold is asked, by (metric, site, token set)."""

    owners: Mapping[str, str]
    units: int
    pseudo: dict[tuple[str, Site, str], Mapping[int, float]] = field(default_factory=dict)
    no_interval: dict[tuple[str, str, str], str] = field(default_factory=dict)
    values: dict[tuple[str, Site, str], float] = field(default_factory=dict)
    arrays: list[KeptArray] = field(default_factory=list)
    undefined: dict[tuple[str, Site, str], str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, Failure] = field(default_factory=dict)

    def remark(self, metric: Metric, text: str) -> None:
        """Note what a metric said, the first time that it says something."""
        self.remarks.setdefault(metric.name, self._of(metric, text))

    def _of(self, metric: Metric, text: str) -> Failure:
        return Failure("metric", metric.name, self.owners.get(metric.name, "unknown"), text)

    def fail(self, metric: Metric, key: tuple[str, Site, str], reason: str) -> None:
        """Leave a gap, whatever was answered there, and note the metric as failed."""
        self.values.pop(key, None)
        self.pseudo.pop(key, None)
        self.undefined[key] = f"failed: {reason}"
        self.failures.setdefault(metric.name, self._of(metric, reason))

    def keep(self, metric: Metric, key: tuple[str, Site, str], results: Sequence[Any]) -> None:
        """Keep the array of a metric; raises TypeError or ValueError where it is none that can be kept."""
        name, site, tokens = key
        self.arrays.append(KeptArray(name, site.stream, tokens, site.layer, evaluate_array(metric, *results)))

    def leave_out(
        self,
        metric: Metric,
        key: tuple[str, Site, str],
        value: float,
        results: Sequence[Any],
        without: Sequence[Mapping[int, Any]],
    ) -> None:
        """Keep the pseudo-values of a value, or why there are none."""
        from aniso_core.intervals import pseudo_values

        name, site, tokens = key
        if (name, site.stream, tokens) in self.no_interval:
            return
        try:
            self.pseudo[key] = pseudo_values(metric, value, results, without)
        except Exception as error:  # noqa: BLE001 - a plugin's metric may raise anything on less than all
            reason = str(error) if isinstance(error, UndefinedMetricError) else said(error)
            self.no_interval[name, site.stream, tokens] = reason

    def curve(
        self, metric: Metric, stream: str, tokens: str, layers: Sequence[int]
    ) -> tuple[Curve, PseudoValues | None]:
        """Return a metric's curve, and its pseudo-values where every layer has them that has a value."""
        keys = [(layer, (metric.name, Site(layer, stream), tokens)) for layer in layers]
        reason = self.no_interval.get((metric.name, stream, tokens), "")
        made = Curve(
            metric=metric.name,
            unit=metric.unit,
            stream=stream,
            tokens=tokens,
            layers=tuple(layers),
            values=tuple(self.values.get(key) for _, key in keys),
            missing=tuple(Missing(layer, self.undefined[key]) for layer, key in keys if key in self.undefined),
            no_interval=reason,
        )
        if reason or not any(key in self.pseudo for _, key in keys):
            return made, None
        import numpy as np

        from aniso_core.intervals import bounds

        values = np.full((self.units, len(layers)), np.nan)
        for column, (_, key) in enumerate(keys):
            for unit, number in self.pseudo.get(key, {}).items():
                values[unit, column] = number
        corrected, se, low, high = (
            tuple(None if np.isnan(number) else float(number) for number in numbers)
            for numbers in bounds(values, metric)
        )
        made = replace(made, corrected=corrected, se=se, low=low, high=high)
        return made, PseudoValues(metric.name, stream, tokens, tuple(layers), values)


def evaluate(metric: Metric, *results: Any) -> float:
    """Return the metric's value; raises TypeError or ValueError where it is no finite real number."""
    value = metric.of(*results)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        message = f"returned {type(value).__name__}, wanted a real number"
        raise TypeError(message)
    number = float(value)
    if not math.isfinite(number):
        message = f"returned {number}, wanted a finite number"
        raise ValueError(message)
    return number


def evaluate_array(metric: Metric, *results: Any) -> Array:
    """Return the metric's array; raises TypeError or ValueError where it is not float64, finite and small enough."""
    import numpy as np

    array = metric.of(*results)
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        message = f"returned {getattr(array, 'dtype', type(array).__name__)}, wanted an array of float64"
        raise TypeError(message)
    if not 0 < array.size <= MOST_KEPT or not np.isfinite(array).all():
        message = f"returned an array of shape {array.shape}, wanted 1 to {MOST_KEPT} finite numbers"
        raise ValueError(message)
    return np.array(array, order="C")  # a copy, as the metric may go on to write into its own
