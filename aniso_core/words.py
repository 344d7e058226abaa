"""Verdicts in words: the outcome, the reason, and how often the criterion is wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from aniso_core.records import Verdict
from aniso_core.text import sentence, short


def heading(verdict: Verdict) -> str:
    """Return what a verdict is about: hypothesis, subject, and what was judged where the criterion has a choice."""
    where = f", {short(verdict.stream)} stream, {short(verdict.tokens)} tokens" if verdict.stream else ""
    return f"{short(verdict.hypothesis)}, {short(verdict.subject)}{where}"


def paragraphs(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Yield the heading of each verdict, those in a row that are not testable for the same reason as one."""
    alike = groupby(verdicts, lambda v: (v.hypothesis, v.subject, v.because, v.label, v.flags) if _mute(v) else id(v))
    for _, group in alike:
        same = list(group)
        if len(same) == 1:
            yield heading(same[0]), same[0]
        else:
            yield heading(replace(same[0], stream="")), same[0]


def _mute(verdict: Verdict) -> bool:
    return verdict.outcome == "not_testable"


def told(verdict: Verdict) -> str:
    """Return a verdict as a paragraph: outcome, reason, how often the criterion is wrong, and what weakens it."""
    return " ".join(part for part in (f"{outcome(verdict)}.", *reasons(verdict)) if part)


def reasons(verdict: Verdict) -> Iterator[str]:
    """Yield what stands behind an outcome, each part one sentence or more."""
    yield because(verdict)
    yield error_rate(verdict)
    yield from (sentence(short(_in_words(flag), 300)) for flag in verdict.flags)


def outcome(verdict: Verdict) -> str:
    """Return the outcome with the criterion in front where it is the notebooks' own, and the criterion's label."""
    said = verdict.outcome.replace("_", " ")
    label = f" ({short(verdict.label)})" if verdict.label else ""
    return f"paper: {said}{label}" if verdict.criterion == "paper" else f"{said}{label}"


def error_rate(verdict: Verdict) -> str:
    """Return how often the criterion is wrong when the claim is false, in words; empty where nothing was claimed."""
    if verdict.outcome in {"not_testable", "descriptive"}:
        return ""
    rate = verdict.false_positive_rate
    if verdict.criterion == "rigorous" and rate is not None:
        return f"Level {rate:g}{_sample(verdict)}{verdict.standing and '; '}{verdict.standing}."
    if rate is None:
        return "How often this criterion supports a false claim is not known."
    under = f" ({short(verdict.false_positive_null, 200)})" if verdict.false_positive_null else ""
    return f"A false claim passes this rule {_often(rate)}{under}."


def _sample(verdict: Verdict) -> str:
    """Return in words what was sampled, as far as the details of a verdict tell."""
    found = verdict.details
    names = ("documents", "units", "groups", "token_count", "width")
    documents, units, groups, tokens, width = (found.get(name) for name in names)
    if not (isinstance(documents, int) and isinstance(tokens, int)):
        return ""
    grouped = ""
    if isinstance(groups, int) and units != documents:
        grouped = f" (left out in {groups} groups{f', {units} of them here' * (units != groups)})"
    return f", {documents:,} documents{grouped}, {tokens:,} tokens, d = {width}"


def because(verdict: Verdict) -> str:
    """Return the verdict's reason as a sentence."""
    return f"{sentence(short(verdict.because, 600))} {_p(verdict)}".strip()


def _in_words(flag: str) -> str:
    """Return a flag whose name, before a colon, has no underscores."""
    name, colon, rest = flag.partition(":")
    return name.replace("_", " ") + colon + rest


def _p(verdict: Verdict) -> str:
    against = verdict.outcome == "refuted"
    value = verdict.p_refuted if against else verdict.p
    if value is None or (verdict.outcome == "inconclusive" and verdict.p_adjusted is not None):
        return ""  # what Holm took away says so itself
    what = "p against the claim" if against else "p"
    small = value < 0.001  # noqa: PLR2004 - below it nobody counts zeros
    p = f"{what} < 0.001" if small else f"{what} = {value:.3g}"
    joint = f", with all confirmatory claims {verdict.p_adjusted:.3g} (Holm)" if verdict.p_adjusted is not None else ""
    return f"{p}{joint}."


def _often(rate: float) -> str:
    if 0 < rate < 0.01:  # noqa: PLR2004 - one in a hundred
        return f"in {1000 * rate:.1f} of 1,000 cases"
    return f"in {100 * rate:.0f} of 100 cases"
