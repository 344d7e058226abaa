"""Everything that the page shows, in the order in which it shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from aniso_core.records import Profile, Report, Verdict
from aniso_core.text import short
from aniso_report import layers, reading, words
from aniso_report.figures.looks import SERIES
from aniso_report.html import answers as asked
from aniso_report.html import claims as claimed
from aniso_report.html import differ, pictures
from aniso_report.html.answers import Answer, Row
from aniso_report.html.claims import Claim
from aniso_report.html.data import MOST_WHOLE, briefly, data
from aniso_report.html.sources import Source, sources, versions
from aniso_report.html.training import Trajectory, trajectories
from aniso_report.layers import Column
from aniso_report.names import are_checkpoints, family, labels, order
from aniso_report.reading import peak_sets

_MOST_RECORDS = 24
"""Models whose record the page holds in full, and groups of models whose cautions it tells."""


Said = tuple[str, list[str]]
"""Models in words, and sentences that hold for them."""


@dataclass(frozen=True)
class Record:
    """What one model's numbers rest on: facts and provenance as pairs, and its table."""

    label: str
    facts: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    command: str
    published: bool
    table: list[Column]
    layers: int


@dataclass(frozen=True)
class Content:
    """What the templates of the page take."""

    title: str
    subtitle: str
    made: str
    several: bool
    sweep: bool
    count: int
    limits: list[str]
    answers: list[Answer]
    rows: list[Row]
    trajectories: list[Trajectory]
    pairs: list[Answer]
    cautions: list[Said]
    claims: list[Claim]
    tests: int
    untested: list[tuple[str, str]]
    failures: list[str]
    remarks: list[Said]
    overview: Any
    comparison: Any
    drawn: int
    banded: bool
    records: list[Record]
    metrics: list[tuple[str, str, str]]
    sources: list[Source]
    versions: list[str]
    data: dict[str, Any]


def content(report: Report) -> Content:
    """Return the content of the page for a report of any number of profiles, none included."""
    profiles, verdicts = report.profiles, report.verdicts
    named = labels(profiles)
    several = len(profiles) > 1
    first = profiles[0] if profiles else None
    shown = [profiles[i] for i in order(named)], [named[i] for i in order(named)]
    cautions = _said(words.cautions(*shown), len(profiles))
    remarks = words.gathered(shown[1], (map(words.failure, profile.remarks) for profile in shown[0]))
    return Content(
        title=_title(named),
        subtitle=_subtitle(first) if first and not several else "",
        made=short(report.made),
        several=several,
        sweep=are_checkpoints(named),
        count=len(profiles),
        limits=_limits(report, len(cautions)),
        answers=asked.answers(first, verdicts) if first and not several else [],
        rows=[asked.row(p, verdicts, label) for p, label in zip(*shown, strict=True)] if several else [],
        trajectories=list(trajectories(profiles, named, verdicts)),
        pairs=differ.pairs(profiles, named, verdicts) if several else [],
        cautions=cautions[:_MOST_RECORDS],
        claims=claimed.claims(report, named),
        tests=sum(map(_stands_alone, verdicts)),
        untested=claimed.untested(verdicts),
        failures=words.failures(report, named),
        remarks=_said(remarks, len(profiles)),
        overview=_overview(first, report) if first else None,
        comparison=_comparison(profiles, named) if several else None,
        drawn=len(_spread(named)),
        banded=pictures.banded(profiles, reading.SHARE),
        records=[
            _record(p, label, command)
            for p, label, command in zip(profiles, named, _padded(report.commands, len(profiles)), strict=True)
        ][:_MOST_RECORDS],
        metrics=[(short(a.name), short(a.said, 200), short(a.source, 200)) for a in report.about if a.kind == "metric"],
        sources=sources(report.about),
        versions=versions(profiles),
        data=data(report, named),
    )


def _title(named: Sequence[str]) -> str:
    if len(named) == 1:
        return f"Anisotropy profile of {named[0]}"
    if len(named) == 2:  # noqa: PLR2004 - two names fit a title
        return f"Anisotropy profiles of {named[0]} and {named[1]}"
    families = {family(label) for label in named}
    what = f"checkpoints of {families.pop()}" if are_checkpoints(named) and len(families) == 1 else "models"
    return f"Anisotropy profiles of {len(named)} {what}"


def _subtitle(profile: Profile) -> str:
    facts = dict(words.facts(profile))
    return " · ".join(facts[name] for name in ("norm", "size", "text", "dtype") if name in facts)


def _said(by_models: Mapping[tuple[str, ...], list[str]], count: int) -> list[Said]:
    return [(words.whom(models, count), sentences) for models, sentences in by_models.items()]


def _limits(report: Report, noted: int) -> list[str]:
    """Return what the page leaves out because there is too much of it."""
    number, said = len(report.profiles), []
    if number > MOST_WHOLE:
        said.append(
            f"Of {number} models the first {MOST_WHOLE} are here with every metric; of the others the page holds the "
            "share of the first direction alone. `aniso export` gives all numbers."
        )
    told = len(differ.chosen(labels(report.profiles)))
    if (pairs := comb(number, 2)) > told:
        said.append(f"Of {pairs:,} pairs of models the page tells {told} in words.")
    if noted > _MOST_RECORDS:
        said.append(f"Of notes on {noted} models or groups of models the first {_MOST_RECORDS} are told.")
    if number > _MOST_RECORDS:
        said.append(f"The records of the first {_MOST_RECORDS} models are shown; each run directory has its own.")
    return said


def _overview(profile: Profile, report: Report) -> Any:
    stream = reading.main_stream(profile)
    sets = peak_sets(report.verdicts, profile.model.name)
    return pictures.profile(profile, reading.SHARE, stream, "overview", pictures.Marked(sets))


def _comparison(profiles: Sequence[Profile], named: Sequence[str]) -> Any:
    some = _spread(named)
    drawn, names = [profiles[i] for i in some], [briefly(named)[i] for i in some]
    return pictures.depth(pictures.lines(drawn, names), reading.SHARE, reading.main_stream(profiles[0]), "comparison")


def _spread(named: Sequence[str]) -> list[int]:
    """Return the models of the picture: all, or as many as have looks of their own, evenly spread over their order."""
    return order(named)[:: max(1, -(-len(named) // len(SERIES)))]


def _record(profile: Profile, label: str, command: str) -> Record:
    facts = [("model", short(profile.model.name, 200)), *words.facts(profile)]
    provenance = [*words.provenance(profile), *_more(profile)]
    return Record(
        label,
        facts,
        provenance,
        short(command, 1000),
        profile.model.source == "published",
        layers.columns(profile),
        profile.model.layers,
    )


def _more(profile: Profile) -> list[tuple[str, str]]:
    made = profile.provenance
    plugins = ", ".join(dict.fromkeys(made.plugins.values()))
    pairs = [("plugins", plugins), ("preregistration", made.prereg), ("preregistered", made.preregistered)]
    return [(name, short(value, 300)) for name, value in pairs if value]


def _stands_alone(verdict: Verdict) -> bool:
    """Return whether a verdict is that of a test which is not corrected for others."""
    judged = verdict.criterion == "rigorous" and verdict.outcome not in {"not_testable", "descriptive"}
    return judged and verdict.p_adjusted is None


def _padded(commands: Sequence[str], number: int) -> list[str]:
    return [*commands, *[""] * number][:number]
