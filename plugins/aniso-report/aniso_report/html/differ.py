"""Do the models differ? Two profiles held against each other, depth by depth and verdict by verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, islice
from math import comb

import numpy as np

from aniso_core.comparing import differences
from aniso_core.inference import max_t
from aniso_core.inference.matrix import t_of, untestable
from aniso_core.records import Profile, Verdict
from aniso_core.rigorous import sample
from aniso_core.text import names_in, sentence, short
from aniso_core.words import outcome
from aniso_report import reading
from aniso_report.html.answers import NOT_KNOWN, Answer
from aniso_report.names import are_checkpoints, family, order
from aniso_report.reading import SHARE
from aniso_report.words import units

MOST_PAIRS = 10
"""Pairs that are told in words; beyond that the map of all models says more."""

_ALPHA = 0.05
_LEAST = 0.001
_ROUNDING = 1e-12  # of the largest difference; less than this at every document is rounding, whatever its t


def pairs(profiles: Sequence[Profile], labels: Sequence[str], verdicts: Sequence[Verdict]) -> list[Answer]:
    """Return for each of the pairs that are told whether they differ, and in what."""
    return [_pair((profiles[i], labels[i]), (profiles[j], labels[j]), verdicts) for i, j in chosen(labels)]


def chosen(labels: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs that are told in words: all, or the first where there are many.

    Of many checkpoints these are pairs of the last and first of each training, which say more than two neighbours.
    """
    number = len(labels)
    if comb(number, 2) <= MOST_PAIRS or not are_checkpoints(labels):
        return list(islice(combinations(range(number), 2), MOST_PAIRS))
    trainings = [list(own) for _, own in groupby(order(labels), lambda i: family(labels[i]))]
    ends = dict.fromkeys([own[-1] for own in trainings] + [own[0] for own in trainings])
    return list(islice(combinations(ends, 2), MOST_PAIRS))


def _pair(one: tuple[Profile, str], other: tuple[Profile, str], verdicts: Sequence[Verdict]) -> Answer:
    (a, first), (b, second) = one, other
    question = f"{first} and {second}"
    refused = differences(a, b).refused
    if refused:
        return Answer(question, "Not comparable", (sentence(short(refused, 300)),))
    apart = {tokens: found for tokens in ("all", "bulk") if (found := _apart(a, b, tokens))}
    said = [*_peaks(a, b), *(_sentence(tokens, found, first, second) for tokens, found in apart.items())]
    said += _claimed(about_both(verdicts, (a.model.name, b.model.name)))
    if not apart:
        return Answer(question, NOT_KNOWN, (*said, "The documents that both read do not allow a test of the share."))
    where = [tokens for tokens, found in apart.items() if found.above or found.below]
    if not where:
        return Answer(question, "Not shown", tuple(said))
    alone = f", for {where[0]} tokens alone" if len(where) < len(apart) else ""
    return Answer(question, f"Yes, in the share{alone}", tuple(said))


def _sentence(tokens: str, found: "_Apart", first: str, second: str) -> str:
    return (
        f"{tokens.capitalize()} tokens: the shares are told apart at {found.above + found.below} of {found.states} "
        f"depths (all depths tested at once, paired over {found.units}, level {_ALPHA}); {first} is higher at "
        f"{found.above} of them, {second} at {found.below}; they are furthest apart at depth "
        f"{found.depth:.2f}, by {f'{found.most:.3f}' if found.most >= _LEAST else f'less than {_LEAST}'}."
    )


def _claimed(both: Sequence[Verdict]) -> Iterator[str]:
    """Yield a sentence for each claim and stream: what came of it for each token set, and why for the first."""
    grouped: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in both:
        grouped.setdefault((verdict.hypothesis, verdict.stream), []).append(verdict)
    for (hypothesis, stream), own in grouped.items():
        outcomes = "; ".join(f"{short(v.tokens)} tokens {outcome(v)}" for v in own)
        flags = f" ({len(own[0].flags)} flagged, see below)" if own[0].flags else ""
        because = f"Of {short(own[0].tokens)} tokens: {short(own[0].because.partition(';')[0], 300)}."
        yield f"{short(hypothesis)}, {short(stream)} stream: {outcomes}{flags}. {because}"


def about_both(verdicts: Sequence[Verdict], names: tuple[str, str]) -> list[Verdict]:
    """Return the verdicts of tests over documents that are about both models."""
    tested = [v for v in verdicts if v.criterion == "rigorous" and v.outcome != "not_testable"]
    return [v for v in tested if set(names) <= names_in(v.subject, names)]


def _peaks(a: Profile, b: Profile) -> Iterator[str]:
    peaks = [reading.peak(profile, reading.main_stream(profile)) for profile in (a, b)]
    if None not in peaks:
        yield "Peaks at depths {}.".format(" and ".join(f"{p.depth:.2f} ({p.value:.3f})" for p in peaks if p))


@dataclass(frozen=True)
class _Apart:
    """At how many of `states` depths one share is above and below the other, and where they are furthest apart.

    `most` is the largest mean difference (0..1), at relative depth `depth` (0..1); `units` says what was paired.
    """

    above: int
    below: int
    states: int
    units: str
    most: float
    depth: float


def _apart(a: Profile, b: Profile, tokens: str) -> _Apart | None:
    """Return where the shares of two profiles differ, all depths held to one level; None where that is not testable.

    Documents are paired. The second profile is read at the depths of the first, from its nearest layers.
    """
    one, other = (sample(profile, SHARE, reading.main_stream(profile), tokens) for profile in (a, b))
    if isinstance(one, str) or isinstance(other, str):
        return None
    both = sorted(set(one.units) & set(other.units))
    if untestable(len(both)):
        return None
    one, other = one.of(both), other.of(both)
    depths, others = (np.array([p.depth(layer) for layer in s.layers]) for p, s in ((a, one), (b, other)))
    apart = one.pv - other.pv[:, np.abs(depths[:, None] - others).argmin(axis=1)]
    size = np.abs(apart).max(axis=0, initial=0)
    apart = np.where(size > _ROUNDING * size.max(), apart, 0)
    # Both directions, so that the larger of them is judged.
    test = max_t(np.hstack([apart, -apart]), np.random.default_rng(0))
    t, critical, mean = t_of(apart), test.critical(_ALPHA), apart.mean(axis=0)
    widest = int(np.abs(mean).argmax())
    return _Apart(
        int((t >= critical).sum()),
        int((t <= -critical).sum()),
        len(depths),
        units(a, len(both)),
        float(abs(mean[widest])),
        float(depths[widest]),
    )
