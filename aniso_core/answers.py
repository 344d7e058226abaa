"""What metrics return when a fold asks them: values, gaps, pseudo-values and failures, gathered into curves."""

import contextlib
import io
import math
import numbers
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from aniso_core.contracts import MOST_KEPT, Metric
from aniso_core.errors import UndefinedMetricError
from aniso_core.limits import TimeLimitError
from aniso_core.records import Array, Curve, Failure, KeptArray, Missing, PseudoValues, Site
from aniso_core.text import visible


class StatisticError(Exception):
    """Carries what went wrong with a statistic to each metric that asks about it."""


@dataclass
class Answers:
    """The values, gaps and failures that gather while a fold is asked, by (metric, site, token set)."""

    owner: Callable[[Metric], str]
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
        self.remarks.setdefault(metric.name, Failure("remark", metric.name, self.owner(metric), text))

    def forget(self, key: tuple[str, Site, str]) -> None:
        """Take back a value."""
        self.values.pop(key, None)
        self.pseudo.pop(key, None)

    def fail(self, metric: Metric, key: tuple[str, Site, str], reason: str) -> None:
        """Leave a gap and note the metric as failed."""
        self.undefined[key] = f"failed: {reason}"
        self.failures.setdefault(metric.name, Failure("metric", metric.name, self.owner(metric), reason))

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
        from aniso_core.intervals import pseudo_values, require_units

        name, site, tokens = key
        if (name, site.stream, tokens) in self.no_interval:
            return
        try:
            with quiet_plugin():
                require_units(without[0], self.units)
                self.pseudo[key] = pseudo_values(metric, value, results, without)
        except TimeLimitError:
            raise
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
    with quiet_plugin():
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

    with quiet_plugin():
        array = metric.of(*results)
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        message = f"returned {getattr(array, 'dtype', type(array).__name__)}, wanted an array of float64"
        raise TypeError(message)
    if not 0 < array.size <= MOST_KEPT or not np.isfinite(array).all():
        message = f"returned an array of shape {array.shape}, wanted 1 to {MOST_KEPT} finite numbers"
        raise ValueError(message)
    return np.ascontiguousarray(array)


@contextlib.contextmanager
def quiet_plugin() -> Iterator[None]:
    """Keep what a plugin prints off stdout, where data goes, and its warnings off the screen; `hearing` hears both."""
    if _heard.get():
        yield
        return
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def hearing(note: Callable[[str], None]) -> Iterator[None]:
    """Note, in a few words, what was printed and warned of in the block when it ends; nothing reaches the screen."""
    printed = io.StringIO()
    token = _heard.set(True)
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        _heard.reset(token)
        for warning in caught[:1]:
            note(f"warned: {visible(warning.message)}")
        if printed.getvalue().strip():
            note(f"printed: {visible(printed.getvalue().strip())}")


_heard: ContextVar[bool] = ContextVar("heard", default=False)
"""Whether a block is inside `hearing`."""


def said(error: BaseException) -> str:
    """Return what went wrong in a few words."""
    return visible(str(error) if isinstance(error, StatisticError) else f"{type(error).__name__}: {error}")
