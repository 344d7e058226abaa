"""Verdicts as the page shows them: a card for each claim, tests over documents before the notebooks' rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from aniso_core.records import About, Profile, Report, Verdict
from aniso_core.text import names_in, sentence, short, slug
from aniso_core.words import reasons
from aniso_report import reading
from aniso_report.html import marks, pictures
from aniso_report.html.pictures import Line

MOST_PICTURES = 8
"""Pictures of a claim."""

MOST_SUBJECTS = 24
"""Subjects of a claim whose verdicts are told; of the others the page counts outcomes."""

_SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?", "descriptive": "i", "not_testable": "–"}  # noqa: RUF001 - a dash

_BY_RULE = {"supported": "passed", "refuted": "not passed"}
_OFTEN = 0.1
"""The rate at which a false claim passes a rule from which passing it is shown as no support."""


@dataclass(frozen=True)
class Told:
    """One verdict in words."""

    outcome: str
    sign: str
    label: str
    rule: str
    where: str
    because: str
    behind: str
    flags: tuple[str, ...]
    standing: str


@dataclass(frozen=True)
class Subject:
    """The verdicts of a claim on one subject."""

    name: str
    told: tuple[Told, ...]


@dataclass(frozen=True)
class Group:
    """Subjects of a claim that one picture shows."""

    subjects: tuple[Subject, ...]
    picture: Markup | None = None
    caption: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim with its verdicts; `counts` are how often each outcome occurs, `more` the subjects that are not told."""

    name: str
    title: str
    said: str
    source: str
    groups: tuple[Group, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    more: int = 0


def claims(report: Report, labels: Sequence[str]) -> list[Claim]:
    """Return the claims on which something was concluded, in the order of the verdicts."""
    known = {about.name: about for about in report.about if about.kind == "hypothesis"}
    reached: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        if verdict.outcome != "not_testable":
            reached.setdefault(verdict.hypothesis, []).append(verdict)
    return [_claim(report, labels, known.get(name), verdicts) for name, verdicts in reached.items()]


def untested(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Return each reason why claims were not tested, with those claims and how many verdicts it is the reason of."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome == "not_testable":
            found.setdefault(sentence(short(verdict.because, 400)), []).append(short(verdict.hypothesis))
    return [(", ".join(dict.fromkeys(names)), reason) for reason, names in found.items()][:MOST_SUBJECTS]


def _claim(report: Report, labels: Sequence[str], about: About | None, verdicts: Sequence[Verdict]) -> Claim:
    name, metric = verdicts[0].hypothesis, (about.metric if about else "") or reading.SHARE
    by_subject: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda v: v.criterion == "paper"):
        by_subject.setdefault(verdict.subject, []).append(verdict)
    shown = [by_subject[subject] for subject in dict.fromkeys(v.subject for v in verdicts)][:MOST_SUBJECTS]
    grouped: dict[tuple[int, ...], list[list[Verdict]]] = {}
    for own in shown:
        grouped.setdefault(_judged(report.profiles, own), []).append(own)
    groups, lines = [], pictures.lines(report.profiles, labels)
    for number, (judged, members) in enumerate(grouped.items()):
        together = [verdict for own in members for verdict in own]
        profiles = [report.profiles[i] for i in judged]
        wanted = bool(judged) and number < MOST_PICTURES
        drawn = _picture([lines[i] for i in judged], together, metric, slug(f"{name}-{number}")) if wanted else None
        subjects = tuple(Subject(short(own[0].subject, 120), tuple(map(_told, own))) for own in members)
        groups.append(Group(subjects, drawn, " ".join(_captions(profiles, together, metric)) if drawn else ""))
    return Claim(
        short(name),
        short(name).replace("-", " ").capitalize(),
        sentence(short(about.said, 400)) if about else "",
        short(about.source, 200) if about else "",
        tuple(groups),
        {sign: count for sign in _SIGNS if (count := sum(v.outcome == sign for v in verdicts))},
        len(by_subject) - len(shown),
    )


def _judged(profiles: Sequence[Profile], own: Sequence[Verdict]) -> tuple[int, ...]:
    """Return which profiles the verdicts name, in their subjects and in what they were held against."""
    text = "\n".join(f"{v.subject}\n{v.reference}" for v in own)
    named = names_in(text, {p.model.name for p in profiles})
    return tuple(i for i, profile in enumerate(profiles) if profile.model.name in named)


def _told(verdict: Verdict) -> Told:
    because, behind, *flags = reasons(verdict)
    paper = verdict.criterion == "paper"
    weak = paper and (verdict.false_positive_rate or 0.0) > _OFTEN and verdict.outcome in _BY_RULE
    where = f"{short(verdict.stream)} stream, {short(verdict.tokens)} tokens" if verdict.stream and not paper else ""
    return Told(
        _BY_RULE[verdict.outcome] if weak else verdict.outcome,
        _SIGNS["descriptive" if weak else verdict.outcome],
        short(verdict.label),
        "the notebooks' rule, which chance passes often"
        if weak
        else "the notebooks' rule"
        if paper
        else "tested over documents",
        where,
        because,
        behind,
        tuple(flags),
        verdict.standing,
    )


def _picture(judged: Sequence[Line], own: Sequence[Verdict], metric: str, name: str) -> Markup | None:
    """Return the profile that is judged; where several are, all over relative depth."""
    one = judged[0].profile
    stream = next((v.stream for v in own if v.stream), "") or reading.main_stream(one)
    if len(judged) > 1:
        return pictures.depth(judged, metric, stream, name)
    marked = pictures.Marked(
        sets=reading.peak_sets(own, one.model.name),
        breaks=next(filter(None, map(marks.break_layers, own)), ()),
    )
    return pictures.profile(one, metric, stream, name, marked)


def _captions(profiles: Sequence[Profile], own: Sequence[Verdict], metric: str) -> Iterator[str]:
    stream = next((v.stream for v in own if v.stream), "")
    bands = "; bands are 95 % intervals" if pictures.banded(profiles, metric) else ""
    yield f"{short(metric)}{f', {short(stream)} stream' if stream else ''}{bands}."
    if any(reading.peak_sets(own, v.subject) for v in own):
        yield "Shaded: the layers that may be the highest."
    if any(map(marks.break_layers, own)):
        yield "Vertical lines: where the claim's phases end."
