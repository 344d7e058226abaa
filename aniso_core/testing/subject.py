"""A metric under check: asked about statistics that took in tokens in whatever parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from aniso_core.answers import evaluate
from aniso_core.contracts import Metric, Statistic
from aniso_core.errors import UndefinedMetricError
from aniso_core.testing.clouds import ORDINARY, Cloud
from aniso_core.testing.rules import want, wanting

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

    def fed(self, cloud: Cloud, *blocks: Sequence[int]) -> Fed:
        """Return a statistic that took in blocks of the cloud's tokens in turn, and one that took in the contrast's."""
        firsts = [found for places in blocks if (found := cloud.firsts(places))] if self.metric.contrast else []
        return self._fed(cloud, blocks), self._fed(cloud, firsts) if firsts else None

    def _fed(self, cloud: Cloud, blocks: Iterable[Sequence[int]]) -> Statistic:
        with wanting(self.about, "a statistic that takes in tokens", str(cloud)):
            statistic = self.metric.over()
            for places in blocks:
                statistic.update(cloud.tokens(places))
            return statistic

    def merged(self, cloud: Cloud, *parts: Fed) -> Fed:
        """Return the statistics merged from left to right; what took in nothing takes no part, as in a run."""
        with wanting(self.about, "a statistic that merges", str(cloud)):
            some = [part for _, part in parts if part is not None]
            return reduce(_merged, (whole for whole, _ in parts)), reduce(_merged, some) if some else None

    def answer(self, cloud: Cloud, whole: Statistic, some: Statistic | None) -> float | None:
        """Return the metric over a statistic (and over its contrast's, where it has one), None where undefined."""
        with wanting(self.about, "a finite number or an UndefinedMetricError", str(cloud)):
            try:
                return evaluate(self.metric, *results(whole, some))
            except UndefinedMetricError as reason:
                want(str(reason).strip(), self.about, "a reason in UndefinedMetricError", "no words", str(cloud))
                return None

    def value(self, cloud: Cloud, *blocks: Sequence[int]) -> float | None:
        """Return the metric over a cloud, None where it is undefined.

        Each of several blocks of tokens goes to statistics of its own, and these are merged in turn.
        """
        blocks = blocks or (cloud.everything,)
        return self.answer(cloud, *self.merged(cloud, *(self.fed(cloud, places) for places in blocks)))

    @cached_property
    def ordinary(self) -> Sequence[tuple[Cloud, float | None]]:
        """Ordinary states with the metric's value on each."""
        return [(cloud, self.value(cloud)) for cloud in ORDINARY]

    @cached_property
    def usual(self) -> float:
        """The largest |value| on ordinary states, to which what rounding leaves is compared."""
        return max((abs(value) for _, value in self.ordinary if value is not None), default=0.0)

    def stays(self, wanted: float | None, got: float | None, where: str, tolerance: float | None = None) -> None:
        """Raise RuleError unless a value is what it was, up to the tolerance."""
        if wanted is None or got is None:
            same = wanted is got
        else:
            scale = max(abs(wanted), abs(got), self.usual)
            same = abs(wanted - got) <= (self.tolerance if tolerance is None else tolerance) * scale
        want(same, self.about, f"{shown(wanted)} as before", shown(got), where)


def _merged(one: Statistic, other: Statistic) -> Statistic:
    return one.merge(other)


def results(whole: Statistic, some: Statistic | None) -> list[Any]:
    """Return what a metric is asked about."""
    return [part.result() for part in (whole, some) if part is not None]


def shown(value: float | None) -> str:
    """Return a value in words."""
    return "no value" if value is None else f"{value:.9g}"
