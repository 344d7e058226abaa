"""Verdicts in words: the outcome, the reason, and how often the criterion is wrong."""

from aniso_core.records import Verdict
from aniso_core.text import sentence, short


def told(verdict: Verdict) -> str:
    """Return a verdict as a paragraph: outcome, reason, and the criterion's error rate where it claimed something."""
    return " ".join(part for part in (f"{outcome(verdict)}.", because(verdict), error_rate(verdict)) if part)


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
    if rate is None:
        return "How often this criterion supports a false claim is not known."
    under = f" ({short(verdict.false_positive_null, 200)})" if verdict.false_positive_null else ""
    return f"Where the claim is false{under}, this criterion says supported {_often(rate)}."


def because(verdict: Verdict) -> str:
    """Return the verdict's reason as a sentence."""
    p = f" p = {verdict.p:.3g}." if verdict.p is not None else ""
    return (sentence(short(verdict.because, 600)) + p).strip()


def _often(rate: float) -> str:
    if 0 < rate < 0.01:  # noqa: PLR2004 - one in a hundred
        return f"in {1000 * rate:.1f} of 1,000 cases"
    return f"in {100 * rate:.0f} of 100 cases"
