"""The fold: every statistic at every site and token class, fed batch by batch and asked at the end.

A profile is a fold, so what is measured here merges over batches, documents, machines and resumed runs alike.
"""

import contextlib
import math
import numbers
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from aniso_core.contracts import Metric, Statistic
from aniso_core.errors import OutOfRangeError, UndefinedMetricError, range_advice
from aniso_core.moments import RunningMoments
from aniso_core.records import Count, Curve, Failure, Missing, Site, Spectrum
from aniso_core.text import visible
from aniso_core.tokens import CLASSES, TOKEN_SETS, Batch, Layout, Layouts, TokenClass, Tokens

if TYPE_CHECKING:
    import torch

Maker = Callable[[], Statistic]


@dataclass(frozen=True)
class Measured:
    """What a fold says when it is asked: curves, spectra, counts, and what failed."""

    curves: tuple[Curve, ...]
    spectra: tuple[Spectrum, ...]
    counts: tuple[Count, ...]
    failures: tuple[Failure, ...]


class Fold:
    """Statistics of disjoint token classes at each site; token sets are merges of classes and cost nothing extra."""

    def __init__(self, metrics: Sequence[Metric], document_ids: Sequence[str]) -> None:
        """Keep one statistic for all metrics that ask about the same one."""
        self._metrics = tuple(metrics)
        self._makers = tuple(dict.fromkeys(metric.over for metric in metrics))
        self._document_ids = document_ids
        self._held: dict[tuple[Maker, Site, TokenClass], Statistic] = {}
        self._counts: dict[tuple[Site, TokenClass], int] = {}
        self._failed: dict[Maker, str] = {}

    def sink(self, batch: Batch) -> "Callable[[Site, torch.Tensor], None]":
        """Return the function that takes in the states of one batch, site by site."""
        layouts = Layouts(batch)
        return lambda site, states: self._take(site, layouts.on(states.device), states)

    def ask(self, sites: Iterable[Site], token_sets: Sequence[str], owner: Callable[[Metric], str]) -> Measured:
        """Return every metric at every site and token set, in the order in which they were asked for."""
        answers = _Answers(owner)
        by_stream: dict[str, list[int]] = {}
        for site in sites:
            by_stream.setdefault(site.stream, []).append(site.layer)
        spectra, counts = [], []
        for stream, layers in by_stream.items():
            for tokens in token_sets:
                for layer in layers:
                    spectra += self._ask_site(Site(layer, stream), tokens, answers)
                counts.append(Count(stream, tokens, tuple(layers), tuple(self._count(stream, tokens, layers))))
        return Measured(
            curves=tuple(
                answers.curve(metric, stream, tokens, layers)
                for metric in self._metrics
                for stream, layers in by_stream.items()
                for tokens in token_sets
            ),
            spectra=tuple(sorted(spectra, key=lambda spectrum: spectrum.place)),
            counts=tuple(counts),
            failures=tuple(answers.failures.values()),
        )

    def _take(self, site: Site, layout: Layout, states: "torch.Tensor") -> None:
        tokens = layout.tokens(states)
        self._require_finite(site, tokens, states)
        for name, index in layout.classes(tokens).items():
            self._counts[site, name] = self._counts.get((site, name), 0) + len(index)
            for maker in self._makers:
                if maker not in self._failed:
                    # A copy for each, so that a statistic that writes into its tokens spoils no other.
                    self._update(maker, site, name, tokens.take(index))

    def _update(self, maker: Maker, site: Site, name: TokenClass, part: Tokens) -> None:
        try:
            with quiet_plugin():
                key = (maker, site, name)
                if key not in self._held:
                    self._held[key] = maker()
                self._held[key].update(part)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's statistic may raise anything
            self._failed[maker] = f"its statistic failed at {site.key}: {_said(error)}"

    def _require_finite(self, site: Site, tokens: Tokens, states: "torch.Tensor") -> None:
        finite = tokens.norms.isfinite()
        if bool(finite.all()):
            return
        worst = int((~finite).nonzero()[0, 0])
        dtype = str(states.dtype).removeprefix("torch.")
        document = self._document_ids[int(tokens.document[worst])]
        message = (
            f"States at site {site.key} are not finite in {dtype} (document {visible(document)}, token "
            f"{int(tokens.position[worst])} of its window); {range_advice(dtype)}."
        )
        raise OutOfRangeError(message)

    def _count(self, stream: str, tokens: str, layers: Sequence[int]) -> Iterator[int]:
        for layer in layers:
            yield sum(self._counts.get((Site(layer, stream), name), 0) for name in TOKEN_SETS[tokens])

    def _ask_site(self, site: Site, tokens: str, answers: "_Answers") -> list[Spectrum]:
        results: dict[tuple[Maker, TokenClass | None], Any] = {}
        for metric in self._metrics:
            key = (metric.name, site, tokens)
            try:
                parts = self._parts(metric, tokens)
                for part, classes in parts.items():
                    if (metric.over, part) not in results:
                        results[metric.over, part] = self._result(metric.over, site, classes)
                answers.values[key] = evaluate(metric, *(results[metric.over, part] for part in parts))
            except UndefinedMetricError as reason:
                answers.undefined[key] = str(reason)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's metric may raise anything
                answers.fail(metric, key, _said(error))
        return [
            Spectrum(site.stream, tokens, site.layer, result.spectrum)
            for (maker, contrast), result in results.items()
            if maker is RunningMoments and contrast is None and "spectrum" in vars(result)
        ]

    def _parts(self, metric: Metric, tokens: str) -> dict[TokenClass | None, Sequence[TokenClass]]:
        """Return the classes behind each result that a metric asks for: the token set's (None), its contrast's."""
        if metric.over in self._failed:
            raise _StatisticError(self._failed[metric.over])
        parts: dict[TokenClass | None, Sequence[TokenClass]] = {None: TOKEN_SETS[tokens]}
        if metric.contrast is not None:
            if metric.contrast not in TOKEN_SETS[tokens]:
                message = f"the token set {tokens} has no {metric.contrast} tokens"
                raise UndefinedMetricError(message)
            parts[metric.contrast] = (metric.contrast,)
        return parts

    def _result(self, maker: Maker, site: Site, classes: Sequence[TokenClass]) -> Any:
        held = [
            self._held[maker, site, name] for name in CLASSES if name in classes and (maker, site, name) in self._held
        ]
        if not held:
            message = "no token belongs to this token set here"
            raise UndefinedMetricError(message)
        with quiet_plugin():
            return reduce(lambda left, right: left.merge(right), held).result()


class _StatisticError(Exception):
    """Carries what went wrong with a statistic to each metric that asks about it."""


@dataclass
class _Answers:
    """The values, gaps and failures that gather while a fold is asked, by (metric, site, token set)."""

    owner: Callable[[Metric], str]
    values: dict[tuple[str, Site, str], float] = field(default_factory=dict)
    undefined: dict[tuple[str, Site, str], str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def fail(self, metric: Metric, key: tuple[str, Site, str], reason: str) -> None:
        self.undefined[key] = f"failed: {reason}"
        self.failures.setdefault(metric.name, Failure("metric", metric.name, self.owner(metric), reason))

    def curve(self, metric: Metric, stream: str, tokens: str, layers: Sequence[int]) -> Curve:
        keys = [(layer, (metric.name, Site(layer, stream), tokens)) for layer in layers]
        return Curve(
            metric=metric.name,
            unit=metric.unit,
            stream=stream,
            tokens=tokens,
            layers=tuple(layers),
            values=tuple(self.values.get(key) for _, key in keys),
            missing=tuple(Missing(layer, self.undefined[key]) for layer, key in keys if key in self.undefined),
        )


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


@contextlib.contextmanager
def quiet_plugin() -> Iterator[None]:
    """Keep what a plugin prints off stdout, where data goes, and its warnings off the screen."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _said(error: BaseException) -> str:
    return visible(str(error) if isinstance(error, _StatisticError) else f"{type(error).__name__}: {error}")
