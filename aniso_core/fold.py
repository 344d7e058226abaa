"""The fold: every statistic at every site and token class, fed batch by batch and asked at the end.

A profile is a fold, so what is measured here merges over batches, documents, machines and resumed runs alike.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NoReturn

from aniso_core.answers import Answers, StatisticError, evaluate
from aniso_core.contracts import WANTS, Metric, Statistic
from aniso_core.errors import (
    NO_TOKENS,
    AnisoError,
    OutOfRangeError,
    UndefinedMetricError,
    out_of_memory,
    range_advice,
)
from aniso_core.isolation import isolated, log_traceback, said, waiting_for
from aniso_core.limits import TimeLimitError
from aniso_core.moments import SPECTRA, Moments, decompose, sites_at_once, threads_for
from aniso_core.records import Count, Curve, Failure, KeptArray, PseudoValues, Site, Spectrum
from aniso_core.running import RunningMoments
from aniso_core.text import visible
from aniso_core.tokens import CLASSES, TOKEN_SETS, TokenClass, Tokens

if TYPE_CHECKING:
    from aniso_core.batches import Batch
    from aniso_core.intake import Intake, Share
    from aniso_core.states import State

Maker = Callable[[], Statistic]


@dataclass(frozen=True)
class FoldState:
    """A fold as plain data: what its statistics hold, by metric, site and token class, and what became of the metrics.

    A statistic that several metrics share stands under the first of them.
    """

    held: Mapping[tuple[str, Site, TokenClass], "State"]
    counts: Mapping[tuple[Site, TokenClass], int]
    failed: Mapping[str, str]
    said: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """What a fold says when it is asked: curves, pseudo-values, spectra, kept arrays, counts, failures, remarks."""

    curves: tuple[Curve, ...]
    pseudo: tuple[PseudoValues, ...]
    spectra: tuple[Spectrum, ...]
    arrays: tuple[KeptArray, ...]
    counts: tuple[Count, ...]
    failures: tuple[Failure, ...]
    remarks: tuple[Failure, ...]


class Fold:
    """Statistics of disjoint token classes at each site; token sets are merges of classes and cost nothing extra."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        document_ids: Sequence[str],
        units: Sequence[int] = (),
        time_limit: float | None = None,
        owners: Mapping[str, str] | None = None,
    ) -> None:
        """Keep one statistic for all metrics that ask about the same one.

        `units` are the documents' units of uncertainty, from 0; without them there are no pseudo-values. A metric that
        takes longer than `time_limit` seconds at a site and token set, or a plugin's statistic for a batch there, has
        failed and is asked no more. `owners` are the distributions and versions behind the metrics, by name.
        """
        self._limit, self._owners = time_limit, owners or {}
        self._metrics = tuple(metrics)
        self.makers: tuple[Maker, ...] = tuple(dict.fromkeys(metric.over for metric in metrics))
        self._document_ids = document_ids
        self.units = units
        self._held: dict[tuple[Maker, Site, TokenClass], Statistic] = {}
        self._counts: dict[tuple[Site, TokenClass], int] = {}
        self._failed: dict[Maker, str] = {}
        self._said: dict[Maker, str] = {}
        self._wanted = {maker: self._asked(maker) for maker in self.makers}
        self.streams: dict[Any, Any] = {}
        """The stream that statistics run on, by CUDA device; one for the whole fold, since memory is kept by stream."""

    @contextlib.contextmanager
    def taking(self, batch: "Batch", taken: "set[Share] | None" = None) -> "Iterator[Intake]":
        """Yield the sink of a batch's states; what is in `taken` is left out, and what is taken in is added to it.

        Raises OutOfRangeError where states are not finite.
        """
        from aniso_core.intake import Intake

        intake = Intake(self, batch, set() if taken is None else taken)
        try:
            yield intake
            intake.finish()
        finally:
            intake.join()

    def ask(
        self,
        sites: Iterable[Site],
        token_sets: Sequence[str],
        progress: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Measured:
        """Return every metric at every site and token set, in the order in which they were asked for.

        `progress` is told after each site and token set how many are done, and how many there are.
        """
        answers = Answers(self._owners, max(self.units, default=-1) + 1)
        for metric in self._metrics:
            if metric.over in self._said:
                answers.remark(metric, f"{self._said[metric.over]} (its statistic)")
        by_stream: dict[str, list[int]] = {}
        for site in sites:
            by_stream.setdefault(site.stream, []).append(site.layer)
        places = [Site(layer, stream) for stream, layers in by_stream.items() for layer in layers]
        spectra: list[Spectrum] = []
        known: dict[str, Moments] = {}
        done, total = 0, len(places) * len(token_sets)
        progress(done, total)
        while places:
            # What is asked of moments shows at the first site; from then on it is computed at several sites at once.
            together = _together(known.values())
            asked = [_SiteResults(self._held, site) for site in places[:together]]
            for tokens, like in known.items():
                decompose((found for results in asked for found in results.moments(tokens)), like)
            for results in asked:
                with threads_for([found for tokens in token_sets for found in results.moments(tokens)]):
                    for tokens in token_sets:
                        spectra += self._answer(results, tokens, answers)
                        done += 1
                        progress(done, total)
            if not known:
                known = {tokens: found for tokens in token_sets for found in asked[0].moments(tokens)}
            places = places[together:]
        found = [
            answers.curve(metric, stream, tokens, layers)
            for metric in self._metrics
            if not metric.keeps
            for stream, layers in by_stream.items()
            for tokens in token_sets
        ]
        return Measured(
            curves=tuple(curve for curve, _ in found),
            pseudo=tuple(pseudo for _, pseudo in found if pseudo is not None),
            spectra=tuple(sorted(spectra, key=lambda spectrum: spectrum.place)),
            arrays=tuple(sorted(answers.arrays, key=lambda array: array.place)),
            counts=tuple(
                Count(stream, tokens, tuple(layers), tuple(self._count(stream, tokens, layers)))
                for stream, layers in by_stream.items()
                for tokens in token_sets
            ),
            failures=tuple(answers.failures.values()),
            remarks=tuple(answers.remarks.values()),
        )

    def wants(self, what: str, maker: Maker | None = None) -> bool:
        """Return whether a statistic (None: any) wants one of WANTS beside the tokens of a class."""
        return any(what in self._wanted[each] for each in (self.makers if maker is None else (maker,)))

    def count(self, site: Site, name: TokenClass, number: int) -> None:
        """Count tokens of a class."""
        self._counts[site, name] = self._counts.get((site, name), 0) + number

    def take(self, maker: Maker, site: Site, name: TokenClass, part: Tokens) -> None:
        """Take tokens of a class into one statistic; a plugin's is left out from then on, and let go, if it fails.

        Raises what says that memory ran out where the core's own statistic meets it.
        """
        if maker in self._failed:
            return
        try:
            with contextlib.nullcontext() if maker is RunningMoments else self._guarded(maker):
                key = (maker, site, name)
                if key not in self._held:
                    self._held[key] = maker()
                self._held[key].update(part)
        except Exception as error:
            if maker is RunningMoments and out_of_memory(error):
                raise
            self._fail(maker, f"its statistic failed at {site.key}: {said(error)}")
            log_traceback(f"statistic at {site.key}", error)

    @contextlib.contextmanager
    def _guarded(self, maker: Maker) -> Iterator[None]:
        """Run a plugin's statistic; the first that it says is noted."""
        metric = next(metric for metric in self._metrics if metric.over is maker)
        with (
            waiting_for(f"statistic of {self._named(metric)}"),
            isolated(lambda text: self._said.setdefault(maker, text), self._limit),
        ):
            yield

    def _named(self, metric: Metric) -> str:
        return f"metric {metric.name} ({self._owners.get(metric.name, 'unknown')})"

    def merge(self, other: "Fold") -> None:
        """Add what another fold of the same metrics took in; its statistics stay as they were."""
        for counted, number in other._counts.items():
            self.count(*counted, number)
        self._said = other._said | self._said
        for maker, reason in other._failed.items():
            self._fail(maker, reason)
        for key, theirs in other._held.items():
            maker, site, _ = key
            if maker in self._failed:
                continue
            try:
                with contextlib.nullcontext() if maker is RunningMoments else self._guarded(maker):
                    self._held[key] = self._held[key].merge(theirs) if key in self._held else theirs
            except Exception as error:
                if maker is RunningMoments:
                    raise
                self._fail(maker, f"its statistic failed to merge at {site.key}: {said(error)}")

    def state(self) -> FoldState:
        """Return what was taken in as plain data; raises AnisoError, naming the metric, where a statistic is none."""
        from aniso_core.states import StateError, pack

        first = {metric.over: metric for metric in reversed(self._metrics)}
        held = {}
        for (maker, site, name), statistic in self._held.items():
            try:
                held[first[maker].name, site, name] = pack(statistic)
            except Exception as error:
                if out_of_memory(error):
                    raise
                fault = f"it {error}" if isinstance(error, StateError) else said(error)
                message = f"the statistic of {self._named(first[maker])} cannot be stored: {fault}"
                raise AnisoError(message) from error
        failed = {first[maker].name: reason for maker, reason in self._failed.items()}
        told = {first[maker].name: text for maker, text in self._said.items()}
        return FoldState(held, dict(self._counts), failed, told)

    def restore(self, state: FoldState, device: str | None) -> None:
        """Take in what another fold of the same metrics held; what was on an accelerator goes to `device`.

        Without a device each array goes where it was. Raises StateError, KeyError or TypeError where the state is of
        other metrics; nothing is taken in then.
        """
        from aniso_core.states import unpack

        makers = {metric.name: metric.over for metric in self._metrics}
        held = {
            (makers[metric], site, name): unpack(packed, makers[metric](), device)
            for (metric, site, name), packed in state.held.items()
        }
        failed = {makers[metric]: reason for metric, reason in state.failed.items()}
        told = {makers[metric]: text for metric, text in state.said.items()}
        self._held, self._counts = held, dict(state.counts)
        self._failed |= failed
        self._said |= told

    def regroup(self, size: int) -> None:
        """Take every `size` units of uncertainty for one, as a longer text has them.

        A plugin's statistic that fails at it is left out. Raises AnisoError, naming the metric, where a statistic tells
        units apart and cannot join them.
        """
        first = {metric.over: metric for metric in reversed(self._metrics)}
        for maker in self.makers:
            own = {key: held for key, held in self._held.items() if key[0] is maker}
            joining = {key: getattr(held, "regrouped", None) for key, held in own.items()}
            if None not in joining.values():
                try:
                    with contextlib.nullcontext() if maker is RunningMoments else self._guarded(maker):
                        self._held |= {key: join(size) for key, join in joining.items() if join is not None}
                except Exception as error:
                    if maker is RunningMoments:
                        raise
                    self._fail(maker, f"its statistic failed to join units: {said(error)}")
            elif self._tells_units(maker, own.values()):
                message = (
                    "Of more than 64 documents several are left out together, and the statistic of "
                    f"{self._named(first[maker])} cannot join those that it told apart; measure both texts with "
                    "`aniso profile`."
                )
                raise AnisoError(message)

    def _tells_units(self, maker: Maker, held: Iterable[Statistic]) -> bool:
        """Return whether a plugin's statistics have results without each unit; one that has no result cannot tell."""
        for statistic in held:
            with contextlib.suppress(Exception), self._guarded(maker):
                return hasattr(statistic.result(), "without_each")
        return False

    def _fail(self, maker: Maker, reason: str) -> None:
        """Leave a plugin's statistic out from now on, and let it go."""
        self._held = {key: held for key, held in self._held.items() if key[0] is not maker}
        self._failed.setdefault(maker, reason)

    def refuse(self, site: Site, tokens: Tokens, dtype: str) -> NoReturn:
        """Raise OutOfRangeError, naming the first token whose state is not finite."""
        worst = int((~tokens.norms.isfinite()).nonzero()[0, 0])
        document = self._document_ids[int(tokens.document[worst])]
        message = (
            f"States at site {site.key} are not finite in {dtype} (document {visible(document)}, token "
            f"{int(tokens.position[worst])} of its window); {range_advice(dtype)}."
        )
        raise OutOfRangeError(message)

    def _asked(self, maker: Maker) -> tuple[str, ...]:
        """Return what an empty statistic asks for; one that cannot be made says so once tokens come."""
        with contextlib.suppress(Exception), self._guarded(maker):
            wanted = tuple(getattr(maker(), "wants", ()))
            if set(wanted) <= set(WANTS):
                return wanted
            self._failed[maker] = f"its statistic wants {wanted}; there are {WANTS}"
        return ()

    def _count(self, stream: str, tokens: str, layers: Sequence[int]) -> Iterator[int]:
        for layer in layers:
            yield sum(self._counts.get((Site(layer, stream), name), 0) for name in TOKEN_SETS[tokens])

    def _answer(self, held: "_SiteResults", tokens: str, answers: "Answers") -> Iterator[Spectrum]:
        """Evaluate every metric at one site and token set; yield the spectrum if one of them asked for it."""
        for metric in self._metrics:
            key = (metric.name, held.site, tokens)
            if metric.name in answers.late:
                answers.fail(metric, key, answers.late[metric.name])
                continue
            try:
                with waiting_for(self._named(metric)), isolated(partial(answers.remark, metric), self._limit):
                    self._ask(metric, key, held, answers)
            except UndefinedMetricError as reason:
                answers.undefined[key] = str(reason)
            except TimeLimitError as error:
                answers.late[metric.name] = f"{error} at {held.site.key}, {tokens} tokens"
                answers.fail(metric, key, answers.late[metric.name])
            except StatisticError as error:
                answers.fail(metric, key, str(error))
            except Exception as error:  # noqa: BLE001 - a plugin's metric may raise anything
                answers.fail(metric, key, said(error), error)
        for moments in held.moments(tokens):
            if "spectrum" in vars(moments):
                yield Spectrum(held.site.stream, tokens, held.site.layer, moments.spectrum)

    def _ask(self, metric: Metric, key: tuple[str, Site, str], held: "_SiteResults", answers: "Answers") -> None:
        """Ask one metric at one site and token set."""
        results = [held.of(metric.over, classes) for classes in self._parts(metric, key[2])]
        if metric.keeps:
            answers.keep(metric, key, results)
            return
        answers.values[key] = value = evaluate(metric, *results)
        if self.units:
            answers.leave_out(metric, key, value, results, [held.without(result) for result in results])

    def _parts(self, metric: Metric, tokens: str) -> Iterator[Sequence[TokenClass]]:
        """Yield the classes behind each result that a metric asks for: the token set's, then its contrast's."""
        if metric.over in self._failed:
            raise StatisticError(self._failed[metric.over])
        yield TOKEN_SETS[tokens]
        if metric.contrast is not None:
            if metric.contrast not in TOKEN_SETS[tokens]:
                message = f"the token set {tokens} has no {metric.contrast} tokens"
                raise UndefinedMetricError(message)
            yield (metric.contrast,)


class _SiteResults:
    """The results of the statistics at one site; token sets with the same tokens share them."""

    def __init__(self, held: Mapping[tuple[Maker, Site, TokenClass], Statistic], site: Site) -> None:
        self._held, self.site = held, site
        self._made: dict[tuple[Maker, tuple[TokenClass, ...]], Any] = {}
        self._without: dict[int, Mapping[int, Any]] = {}

    def of(self, maker: Maker, classes: Sequence[TokenClass]) -> Any:
        """Return the statistic's result over the classes; raises UndefinedMetricError where they hold no token."""
        there = tuple(name for name in CLASSES if name in classes and (maker, self.site, name) in self._held)
        if not there:
            raise UndefinedMetricError(NO_TOKENS)
        if (maker, there) not in self._made:
            merged = reduce(lambda a, b: a.merge(b), (self._held[maker, self.site, name] for name in there))
            self._made[maker, there] = merged.result()
        return self._made[maker, there]

    def without(self, result: Any) -> Mapping[int, Any]:
        """Return one of the results without each unit of uncertainty, by unit; empty where it cannot tell."""
        if id(result) not in self._without:
            self._without[id(result)] = result.without_each() if hasattr(result, "without_each") else {}
        return self._without[id(result)]

    def moments(self, tokens: str) -> Iterator[Moments]:
        """Yield the moments of a token set if it has any."""
        with contextlib.suppress(UndefinedMetricError):
            yield self.of(RunningMoments, TOKEN_SETS[tokens])


def _together(known: Collection[Moments]) -> int:
    """Return at how many sites to decompose at once: one a core, as far as memory allows."""
    if not any(name in vars(m) for m in known for name in SPECTRA):
        return 1
    return max(1, min(os.cpu_count() or 1, sites_at_once(known)))
