"""The one loop: documents through a model into a fold, a profile out of it; then verdicts and reports.

The engine is given adapters' probes, metrics, hypotheses and reporters; it never looks one up.
"""

import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, get_args

from aniso_core import standing, store
from aniso_core.contracts import BosRule, Hypothesis, Kernels, Metric, Probe, Reporter
from aniso_core.documents import group_size, units_of
from aniso_core.errors import AnisoError, out_of_memory
from aniso_core.fold import Fold
from aniso_core.isolation import LONGEST, isolated, log_traceback, said, waiting_for, watched
from aniso_core.limits import require_timer
from aniso_core.prereg import Registered
from aniso_core.records import (
    STREAMS,
    Failure,
    NormSummary,
    Profile,
    PromptsInfo,
    Provenance,
    Report,
    ReportFile,
    Site,
)
from aniso_core.shards import TOKENS, Shard, cut
from aniso_core.text import is_file_name, nearest_first, short, visible
from aniso_core.tokens import (
    TOKEN_SETS,
    Document,
    Tokenized,
    Window,
    check_token_sets,
    ids_sha256,
    texts_sha256,
)

if TYPE_CHECKING:
    from aniso_core.batches import Batch
    from aniso_core.executing import Ahead, Elsewhere, Part
    from aniso_core.extending import Earlier
    from aniso_core.intake import Share
    from aniso_core.statefile import Reached
    from aniso_core.unfinished import Unfinished

_FULL = 0.95
"""Share of tokens in a batch from which packing has nothing worth sparing."""

Progress = Callable[[str, int, int], object]
"""Told the phase, the steps of it that are done and those there are: tokens of `forward`, sites and token sets of
`spectra`, hypotheses of `inference`, reporters of `report`."""


def unheard(_phase: str, _done: int, _total: int) -> None:
    """Tell nobody how far a run is."""


@dataclass(frozen=True)
class Plan:
    """What to measure and how: streams (None: all that the model has), token sets, metrics, and batches.

    `batch_tokens` bounds the padded tokens of a batch, `shard_tokens` are those from which a shard is full, `kernels`
    names the matrix kernels that run the model; no value depends on them beyond rounding. With `intervals` it is kept
    what each document holds, for intervals and tests. A metric that takes longer than `time_limit` seconds (None: no
    limit) at a site and token set has failed. `owners` are the distributions and versions behind the metrics, by name.
    """

    metrics: Sequence[Metric]
    streams: Sequence[str] | None = None
    tokens: Sequence[str] = tuple(TOKEN_SETS)
    bos: BosRule = "auto"
    max_length: int | None = None
    batch_tokens: int = 1024
    shard_tokens: int = TOKENS
    kernels: Kernels = "default"
    intervals: bool = True
    time_limit: float | None = None
    seed: int = 0
    owners: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@watched()
def profile(  # noqa: PLR0913 - what is measured, and who is told of it
    probe: Probe,
    documents: Sequence[Document],
    plan: Plan,
    prompts_name: str,
    *,
    progress: Progress = unheard,
    unfinished: "Unfinished | None" = None,
    earlier: "Earlier | None" = None,
    elsewhere: "Elsewhere | None" = None,
) -> Profile:
    """Return the anisotropy profile of a model on documents; what is `unfinished` goes on where it was.

    Where nothing is there yet it begins with what an `earlier` run kept, whose documents are the first of these. Shards
    are measured `elsewhere`, or here where there is no such place. The profile is the same to the bit, but for what is
    made of units of uncertainty that are joined because the longer text has coarser ones.

    Raises AnisoError for a plan that the model cannot meet and OutOfRangeError where states stop being finite.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    sites = choose_sites(probe, plan.streams)
    _check(plan)
    tokenized = probe.tokenize(documents, bos=plan.bos, max_length=plan.max_length)
    units = units_of(documents) if plan.intervals else []
    ids = [document.id for document in documents]
    empty = partial(Fold, plan.metrics, ids, units, plan.time_limit, plan.owners)
    fold = empty()
    from aniso_core import kernels
    from aniso_core.statefile import Reached

    shards = cut(tokenized.windows, plan.shard_tokens)
    full = sum(shard.tokens >= plan.shard_tokens for shard in shards)
    came = Reached(0, 0, tokenized.count, plan.batch_tokens, 0.0, started.isoformat(timespec="seconds"), {})
    found = None
    if unfinished is not None:
        unfinished.agree({"token ids": ids_sha256(tokenized.windows)})
        found = unfinished.restore(fold, probe.info.device)
    if found is None and earlier is not None:
        found = _from_earlier(earlier, fold, tokenized, documents, probe.info.device)
    came = found or came
    kernels.found.update({int(width): kernels.Probed(*each) for width, each in came.kernels.items()})
    if unfinished is not None and came.shards == full:
        unfinished.settle(fold, came)
    left = shards[came.shards :]
    done, batch_tokens = came.tokens, came.batch_tokens

    def heard(tokens: int) -> None:
        nonlocal done
        done += tokens
        progress("forward", done, tokenized.count)

    heard(0)
    with kernels.running(plan.kernels, probe.info.width, probe.info.device) as ran:
        ahead = None if elsewhere is None else _begun(elsewhere, probe, sites, plan, ids, units, left)
        for shard in left:
            part = empty()
            if ahead is None:
                batch_tokens = measure(probe, sites, part, shard.windows, batch_tokens, heard=heard)
            else:
                batch_tokens = _take(part, ahead.take(batch_tokens), batch_tokens, probe.info.device)
                heard(shard.tokens)
            with _adding_up():
                fold.merge(part)
            if unfinished is not None:
                reached = replace(
                    came,
                    shards=shard.number + 1,
                    tokens=done,
                    batch_tokens=batch_tokens,
                    seconds=came.seconds + time.monotonic() - clock,
                    kernels={str(width): (each.error, each.speedup) for width, each in kernels.found.items()},
                )
                if reached.shards == full:
                    unfinished.settle(fold, reached)
                unfinished.keep(fold, reached)
    measured = fold.ask(sites, plan.tokens, partial(progress, "spectra"))
    texts = Counter(document.text for document in documents)
    return Profile(
        model=probe.info,
        curves=measured.curves,
        prompts=PromptsInfo(
            name=prompts_name,
            sha256=texts_sha256(documents),
            documents=tokenized.documents,
            windows=len(tokenized.windows),
            tokens=tokenized.count,
            max_length=tokenized.max_length,
            bos_rule=plan.bos,
            bos_done=tokenized.bos_done,
            duplicates=sum(texts.values()) - len(texts),
            units=len(set(units)),
        ),
        norms=tuple(_norms(probe, sites)),
        counts=measured.counts,
        failures=measured.failures,
        remarks=measured.remarks,
        provenance=Provenance(
            versions=dict(plan.versions),
            plugins={name: plan.owners[name] for name in sorted(plan.owners)},
            seed=plan.seed,
            batch_tokens=batch_tokens,
            kernels=ran,
            started=came.started,
            seconds=round(came.seconds + time.monotonic() - clock, 3),
        ),
        spectra=measured.spectra,
        pseudo=measured.pseudo,
        arrays=measured.arrays,
    )


def _from_earlier(
    earlier: "Earlier", fold: Fold, tokenized: Tokenized, documents: Sequence[Document], device: str
) -> "Reached":
    """Put into an empty fold what an earlier run keeps; return how far that had come of this text."""
    own = len(earlier.documents)
    earlier.agree({"token ids": ids_sha256(window for window in tokenized.windows if window.document < own)})
    reached = earlier.restore(fold, device)
    size = group_size(documents) // group_size(earlier.documents)
    if fold.units and size > 1:
        with _adding_up():
            fold.regroup(size)
    return replace(reached, total=tokenized.count)


def _check(plan: Plan) -> None:
    """Raise AnisoError for a plan that no model can meet."""
    check_token_sets(plan.tokens)
    if plan.bos not in get_args(BosRule):
        message = f"There is no BOS rule {visible(plan.bos)!r}; the rules are {', '.join(get_args(BosRule))}."
        raise AnisoError(message)
    if plan.kernels not in get_args(Kernels):
        message = f"There are no kernels {visible(plan.kernels)!r}; use {' or '.join(get_args(Kernels))}."
        raise AnisoError(message)
    if plan.batch_tokens < 1 or (plan.max_length is not None and plan.max_length < 1):
        message = f"Wanted batch_tokens and max_length of 1 or more, got {plan.batch_tokens} and {plan.max_length}."
        raise AnisoError(message)
    if plan.time_limit is not None:
        if plan.time_limit <= 0:
            message = f"Wanted a time_limit above 0 seconds, got {plan.time_limit:g}."
            raise AnisoError(message)
        require_timer()
    if not plan.metrics:
        message = "No metric was asked for; name one with --metric (`aniso metrics list` shows them)."
        raise AnisoError(message)


def measure(  # noqa: PLR0913 - what is measured, and who is told of it
    probe: Probe,
    sites: Sequence[Site],
    fold: Fold,
    windows: Sequence[Window],
    batch_tokens: int,
    *,
    heard: Callable[[int], object] = lambda _tokens: None,
) -> int:
    """Take windows into a fold; return the padded tokens of a batch, at most `batch_tokens`, that memory allowed.

    `heard` is told the tokens of each batch that is done. Raises AnisoError for a window that does not fit into memory.
    """
    passing = _Pass(probe, sites, fold, batch_tokens)
    for tokens in passing.run(windows):
        heard(tokens)
    return passing.batch_tokens


def _begun(  # noqa: PLR0913, PLR0917 - all that a worker must know
    elsewhere: "Elsewhere",
    probe: Probe,
    sites: Sequence[Site],
    plan: Plan,
    ids: Sequence[str],
    units: Sequence[int],
    left: Sequence[Shard],
) -> "Ahead":
    """Return the shards that are left, as workers will measure them."""
    from aniso_core import kernels
    from aniso_core.executing import Ahead, Job

    told = kernels.tell(probe.info.width, probe.info.device)
    job = Job(
        adapter=elsewhere.adapter,
        request=elsewhere.request,
        facts=elsewhere.facts,
        threads=elsewhere.workers.threads,
        metrics=tuple(metric.name for metric in plan.metrics),
        sites=tuple(sites),
        documents=tuple(ids),
        units=tuple(units),
        time_limit=plan.time_limit,
        kernels=plan.kernels,
        probed={width: (each.error, each.speedup) for width, each in told.items()},
    )
    return Ahead(elsewhere.workers.start(job), left, elsewhere.workers.count)


def _take(part: Fold, came: "Part", batch_tokens: int, device: str) -> int:
    """Put what came of a shard into an empty fold; return the padded tokens of a batch that memory allows by now."""
    part.restore(came.state, None if "," in device else device)
    return min(batch_tokens, came.batch_tokens)


class _Pass:
    """Every window through the model into the fold, in smaller batches from where memory runs out."""

    def __init__(self, probe: Probe, sites: Sequence[Site], fold: Fold, batch_tokens: int) -> None:
        self._probe, self._sites, self._fold = probe, sites, fold
        self.batch_tokens = batch_tokens

    def run(self, windows: Sequence[Window], taken: "Iterable[Share]" = ()) -> Iterator[int]:
        """Yield the number of tokens of each batch that is done; what is in `taken` is left out.

        Raises AnisoError for a window that does not fit into memory.
        """
        left = deque(self._plan(windows))
        while left:
            batch, size = left.popleft(), self.batch_tokens
            self._give(batch, taken)
            if self.batch_tokens < size:
                left = deque(self._plan([window for later in left for window in later.windows]))
            yield batch.count

    def _plan(self, windows: Sequence[Window]) -> "list[Batch]":
        """Return the batches, windows packed into rows where that spares enough padding and the model allows it."""
        from aniso_core.batches import padded, plan_batches

        plain = plan_batches(windows, self.batch_tokens)
        if sum(batch.count for batch in plain) > _FULL * padded(plain) or not self._probe.row_tokens:
            return plain
        packed = plan_batches(windows, self.batch_tokens, self._probe.row_tokens)
        return packed if padded(packed) <= _FULL * padded(plain) else plain

    def _give(self, batch: "Batch", taken: "Iterable[Share]") -> None:
        """Run a batch; where memory runs out, give it again in halves, without what was taken in already."""
        now = set(taken)
        shortage = self._try(batch, now)
        if shortage is None:
            return
        if len(batch.windows) == 1:
            message = (
                f"A window of {batch.count} tokens does not fit into memory ({shortage}); give a smaller "
                "--max-length, a smaller --dtype or fewer --stream."
            )
            raise AnisoError(message)
        self.batch_tokens = min(self.batch_tokens, math.prod(batch.shape) // 2)
        for _ in self.run(batch.windows, now):
            pass

    def _try(self, batch: "Batch", taken: "set[Share]") -> str | None:
        """Return None, or what was said when memory ran out; by then what the batch held is free again."""
        try:
            with self._fold.taking(batch, taken) as sink, self._probe.reading(self._sites, sink) as run:
                run(batch)
        except Exception as error:
            if not out_of_memory(error):
                raise
            return visible(str(error).strip().split("\n")[0] or type(error).__name__)[:200]
        return None


@contextlib.contextmanager
def _adding_up() -> Iterator[None]:
    """Add statistics up; raises AnisoError where there is no memory for it."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        message = "There is no memory to add up what was measured; give fewer --stream or --metric, or --no-intervals."
        raise AnisoError(message) from error


def _norms(probe: Probe, sites: Sequence[Site]) -> Iterator[NormSummary]:
    for site in sites:
        norm = probe.norm_at(site) if site.stream == "normed" else None
        if norm is not None:
            yield NormSummary.of(site.layer, norm)


def choose_sites(probe: Probe, streams: Sequence[str] | None) -> tuple[Site, ...]:
    """Return the sites of the wanted streams; the final norm's output always comes along, for the view `paper`."""
    if streams is None:
        return tuple(probe.sites)
    for stream in streams:
        if stream not in STREAMS:
            known = ", ".join(nearest_first(stream, STREAMS))
            message = f"There is no stream {visible(stream)!r}; the streams are {known}."
            raise AnisoError(message)
        if not any(site.stream == stream for site in probe.sites):
            message = f"{visible(probe.info.name)} has no stream {stream} (no norm precedes its blocks); leave it out."
            raise AnisoError(message)
    final = Site(probe.info.layers, "normed")
    return tuple(site for site in probe.sites if site.stream in streams or site == final)


@dataclass(frozen=True)
class Rendered:
    """What reporters made: their files, those that failed, and what they printed and warned of."""

    files: tuple[ReportFile, ...]
    failures: tuple[Failure, ...]
    remarks: tuple[Failure, ...]


@watched()
def judge(  # noqa: PLR0913 - keyword arguments, each with a default
    hypotheses: Iterable[Hypothesis],
    profiles: Sequence[Profile],
    seed: int = 0,
    *,
    owners: Mapping[str, str] | None = None,
    registered: Registered | None = None,
    time_limit: float | None = None,
    progress: Progress = unheard,
) -> store.Judged:
    """Return the verdicts of each hypothesis over the profiles, the hypotheses that failed, and what they said.

    Each hypothesis draws from its own generator, so that its verdict does not depend on which others run; of several
    confirmatory verdicts (`registered`) only p_adjusted and what follows from it do. One that takes longer than
    `time_limit` seconds has failed.
    """
    import numpy as np

    given, watch = tuple(profiles), _Watch("hypothesis", owners or {}, time_limit)
    verdicts, asked = [], list(hypotheses)
    for done, hypothesis in enumerate(asked):
        progress("inference", done, len(asked))
        rng = np.random.default_rng([seed, *hypothesis.name.encode()])
        with watch.over(hypothesis.name):
            verdicts += [store.settled(verdict) for verdict in hypothesis.test(given, rng)]
    marked = standing.mark(verdicts, registered, given, seed)
    return store.Judged(marked, tuple(watch.failures), tuple(watch.remarks))


@watched()
def render(
    reporters: Iterable[Reporter],
    report: Report,
    owners: Mapping[str, str] | None = None,
    time_limit: float | None = None,
    *,
    progress: Progress = unheard,
) -> Rendered:
    """Return the files of each reporter, those that failed, and what they said; they are asked by their order.

    One that takes longer than `time_limit` seconds has failed.
    """
    files, watch = list(report.files), _Watch("reporter", owners or {}, time_limit)
    asked = sorted(reporters, key=lambda r: r.order)
    for done, reporter in enumerate(asked):
        progress("report", done, len(asked))
        verdicts = tuple(map(store.settled, report.verdicts))  # a copy, as the details of a verdict can be written to
        profiles, failures = tuple(report.profiles), tuple(report.failures)
        current = replace(report, profiles=profiles, verdicts=verdicts, files=tuple(files), failures=failures)
        with watch.over(reporter.name):
            made = list(reporter.render(current))
            _check_files(made, {file.name for file in files})
            files += made
    return Rendered(tuple(files[len(report.files) :]), tuple(watch.failures), tuple(watch.remarks))


class _Watch:
    """What becomes of plugins' parts of one kind that are asked in turn: which failed, and what they said."""

    def __init__(self, kind: str, owners: Mapping[str, str], time_limit: float | None) -> None:
        self._kind, self._owners, self._limit = kind, owners, time_limit
        self.failures: list[Failure] = []
        self.remarks: list[Failure] = []

    @contextlib.contextmanager
    def over(self, name: str) -> Iterator[None]:
        """Run the part `name`; where it raises, it has failed and the block is left."""
        about = partial(Failure, self._kind, name, self._owners.get(name, "unknown"))
        try:
            with (
                waiting_for(f"{self._kind} {name} ({self._owners.get(name, 'unknown')})"),
                isolated(lambda text: self.remarks.append(about(text)), self._limit),
            ):
                yield
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            reason = short(error, LONGEST) if isinstance(error, AnisoError) else said(error)
            self.failures.append(about(reason.rstrip(".")))
            log_traceback(f"{self._kind} {name}", error)


def _check_files(made: Sequence[ReportFile], taken: Container[str]) -> None:
    """Raise TypeError or ValueError where a reporter made something else than files with plain, new names."""
    for number, file in enumerate(made):
        if not isinstance(file, ReportFile):
            message = f"yielded a {type(file).__name__}, wanted a ReportFile"
            raise TypeError(message)
        if not isinstance(file.data, bytes):
            message = f"gave {type(file.data).__name__} for the file {file.name!r}, wanted bytes"
            raise TypeError(message)
        if file.show:
            file.data.decode()
        if not is_file_name(file.name):
            message = f"named a file {file.name!r}; wanted at most 100 characters of a-z, 0-9, '.', '_' and '-'"
            raise ValueError(message)
        if file.name in taken or file.name in {other.name for other in made[:number]}:
            message = f"named a file {file.name!r}, which exists already"
            raise ValueError(message)
