"""Do the models differ? Two profiles held against each other, depth by depth and verdict by verdict."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from aniso_core.comparing import differences
from aniso_core.records import Profile, Verdict
from aniso_core.text import names_in, sentence, short
from aniso_core.words import outcome
from aniso_report import reading
from aniso_report.html.answers import NOT_KNOWN, Answer
from aniso_report.reading import SHARE

MOST_PAIRS = 10
"""Pairs that are told in words; beyond that the map of all models says more."""


def pairs(profiles: Sequence[Profile], labels: Sequence[str], verdicts: Sequence[Verdict]) -> list[Answer]:
    """Return for each of the first pairs whether they differ, and in what."""
    found = list(combinations(zip(profiles, labels, strict=True), 2))[:MOST_PAIRS]
    return [_pair((a, first), (b, second), verdicts) for (a, first), (b, second) in found]


def _pair(one: tuple[Profile, str], other: tuple[Profile, str], verdicts: Sequence[Verdict]) -> Answer:
    (a, first), (b, second) = one, other
    question = f"{first} and {second}"
    refused = differences(a, b).refused
    if refused:
        return Answer(question, "Not comparable", (sentence(short(refused, 300)),))
    apart = [(tokens, *counted) for tokens in ("all", "bulk") if (counted := _apart(a, b, tokens))]
    said = [*_peaks(a, b)]
    said += [
        f"{tokens.capitalize()} tokens: the 95 % intervals of the share are apart at {above + below} of {states} "
        f"depths; {first} is higher at {above} of them, {second} at {below}."
        for tokens, above, below, states in apart
    ]
    both = about_both(verdicts, (a.model.name, b.model.name))
    said += [
        f"{short(v.hypothesis)}, {short(v.stream)} stream: {outcome(v)}; {short(v.because.partition(';')[0], 300)}."
        for v in both
        if v.tokens == "all"
    ]
    if not apart:
        return Answer(question, NOT_KNOWN, (*said, "Not both have intervals."))
    return Answer(question, "Yes" if any(above + below for _, above, below, _ in apart) else "Not shown", tuple(said))


def about_both(verdicts: Sequence[Verdict], names: tuple[str, str]) -> list[Verdict]:
    """Return the verdicts of tests over documents that are about both models."""
    tested = [v for v in verdicts if v.criterion == "rigorous" and v.outcome != "not_testable"]
    return [v for v in tested if set(names) <= names_in(v.subject, names)]


def _peaks(a: Profile, b: Profile) -> Iterator[str]:
    peaks = [reading.peak(profile, reading.main_stream(profile)) for profile in (a, b)]
    if None not in peaks:
        yield "Peaks at depths {}.".format(" and ".join(f"{p.depth:.2f} ({p.value:.3f})" for p in peaks if p))


def _apart(a: Profile, b: Profile, tokens: str) -> tuple[int, int, int] | None:
    """Return at how many depths the interval of the share lies above the other's, below it, and the number of depths.

    The second profile is read at the depths of the first, from its nearest layers. None where one has no intervals.
    """
    bounds = []
    for profile in (a, b):
        found = reading.curve(profile, SHARE, reading.main_stream(profile), tokens)
        if found is None or not found.low or not found.high:
            return None
        low, high = (np.array(side, dtype=np.float64) for side in (found.low, found.high))
        bounds.append((np.array([profile.depth(layer) for layer in found.layers]), low, high))
    (depths, low, high), (others, lower, higher) = bounds
    nearest = np.abs(depths[:, None] - others).argmin(axis=1)
    return int((low > higher[nearest]).sum()), int((high < lower[nearest]).sum()), len(depths)
