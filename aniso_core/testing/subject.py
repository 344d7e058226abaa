"""A metric under check: asked about statistics that took in tokens in whatever parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from aniso_core.answers import evaluate, evaluate_array
from aniso_core.contracts import Metric, Statistic
from aniso_core.errors import UndefinedMetricError
from aniso_core.records import Array
from aniso_core.testing.clouds import ORDINARY, Cloud
from aniso_core.testing.rules import want, wanting
from aniso_core.tokens import CLASSES, Tokens

Value = float | Array
"""What a metric returns: a number, or an array where it keeps one."""

Fed = tuple[Statistic, Statistic | None]
"""A statistic of all tokens, and one of the contrast's class where a metric has a contrast."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A metric and how it is asked."""

    metric: Metric
    tolerance: float

    @property
    def about(self) -> str:
        """What a fault's sentence begins with."""
        return f"Metric {self.metric.name}"

    @cached_property
    def wants(self) -> tuple[str, ...]:
        """What its statistic asks for beside the tokens of one class at one site."""
        wants: tuple[str, ...] = getattr(self.metric.over(), "wants", ())
        return wants

    def tokens(self, cloud: Cloud, places: Sequence[int]) -> Tokens:
        """Return the tokens at some places as a run hands them to its statistic."""
        return cloud.tokens(places, self.wants)

    def fed(self, cloud: Cloud, *blocks: Sequence[int]) -> Fed:
        """Return a statistic that took in blocks of the cloud's tokens in turn, and one that took in the contrast's."""
        whole = self._fed(cloud, [self.tokens(cloud, places) for places in blocks])
        if not self.metric.contrast:
            return whole, None
        held = (cloud.tokens(places, self.wants, self.metric.contrast) for places in blocks)
        some = [tokens for tokens in held if len(tokens)]
        return whole, self._fed(cloud, some) if some else None

    def by_class(self, cloud: Cloud) -> Fed:
        """Return what `fed` does where the classes come apart, as they do in a run, and are merged."""
        parts = [cloud.tokens(cloud.everything, self.wants, name) for name in CLASSES]
        whole, _ = self.merged(cloud, *((self._fed(cloud, [tokens]), None) for tokens in parts if len(tokens)))
        return whole, self.fed(cloud, cloud.everything)[1]

    def _fed(self, cloud: Cloud, blocks: Iterable[Tokens]) -> Statistic:
        with wanting(self.about, "a statistic that takes in tokens", str(cloud)):
            statistic = self.metric.over()
            for tokens in blocks:
                statistic.update(tokens)
            return statistic

    def merged(self, cloud: Cloud, *parts: Fed) -> Fed:
        """Return the statistics merged from left to right; what took in nothing takes no part, as in a run."""
        with wanting(self.about, "a statistic that merges", str(cloud)):
            some = [part for _, part in parts if part is not None]
            return reduce(_merged, (whole for whole, _ in parts)), reduce(_merged, some) if some else None

    def asked(self, *results: Any) -> Value:
        """Return the metric over results: a number, or an array where it keeps one."""
        return evaluate_array(self.metric, *results) if self.metric.keeps else evaluate(self.metric, *results)

    def answer(self, cloud: Cloud, whole: Statistic, some: Statistic | None) -> Value | None:
        """Return the metric over a statistic (and over its contrast's, where it has one), None where undefined."""
        if self.metric.contrast and some is None:
            return None  # as a run has it where no token is of the class
        with wanting(self.about, "a finite number or an UndefinedMetricError", str(cloud)):
            try:
                return self.asked(*results(whole, some))
            except UndefinedMetricError as reason:
                want(str(reason).strip(), self.about, "a reason in UndefinedMetricError", "no words", str(cloud))
                return None

    def value(self, cloud: Cloud, *blocks: Sequence[int]) -> Value | None:
        """Return the metric over a cloud, None where it is undefined.

        Each of several blocks of tokens goes to statistics of its own, and these are merged in turn.
        """
        blocks = blocks or (cloud.everything,)
        return self.answer(cloud, *self.merged(cloud, *(self.fed(cloud, places) for places in blocks)))

    def number(self, cloud: Cloud, *blocks: Sequence[int]) -> float | None:
        """Return what `value` does, of a metric that keeps no array."""
        value = self.value(cloud, *blocks)
        return None if value is None else float(value)

    @cached_property
    def ordinary(self) -> Sequence[tuple[Cloud, Value | None]]:
        """Ordinary states with the metric's value on each."""
        return [(cloud, self.value(cloud)) for cloud in ORDINARY]

    @cached_property
    def usual(self) -> float:
        """The largest |value| on ordinary states, to which what rounding leaves is compared."""
        return max((_size(value) for _, value in self.ordinary if value is not None), default=0.0)

    def stays(self, wanted: Value | None, got: Value | None, where: str, tolerance: float | None = None) -> None:
        """Raise RuleError unless a value is what it was, up to the tolerance."""
        if wanted is None or got is None:
            same = wanted is got
        elif np.shape(wanted) != np.shape(got):
            same = False
        else:
            scale = max(_size(wanted), _size(got), self.usual)
            same = _size(np.subtract(wanted, got)) <= (self.tolerance if tolerance is None else tolerance) * scale
        want(same, self.about, staying(wanted), shown(got), where)


def _size(value: Value) -> float:
    return float(np.abs(value).max())


def _merged(one: Statistic, other: Statistic) -> Statistic:
    return one.merge(other)


def results(whole: Statistic, some: Statistic | None) -> list[Any]:
    """Return what a metric is asked about."""
    return [part.result() for part in (whole, some) if part is not None]


def staying(value: Value | None) -> str:
    """Return in words that a value is wanted to stay."""
    return "no value as before" if value is None else f"the value to stay {shown(value)}"


def shown(value: Value | None) -> str:
    """Return a value in words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and norm {np.linalg.norm(value):.9g}"
    return "no value" if value is None else f"{value:.9g}"
