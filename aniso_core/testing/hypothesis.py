"""Checks a hypothesis: its verdicts on example profiles, on what is left of them, and on a null of its claim."""

import copy
import math
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from aniso_core import store
from aniso_core.contracts import Hypothesis
from aniso_core.records import PAPER, STREAMS, Profile, Verdict
from aniso_core.testing.remainders import examples, remainders
from aniso_core.testing.rules import Checked, RuleError, seedless, silent, want, wanting
from aniso_core.tokens import TOKEN_SETS

Null = Callable[[np.random.Generator], Sequence[Profile]]

_JUDGED = ("supported", "refuted", "inconclusive")
_ONE_SENTENCE = re.compile(r"(?![\s\S]*\n)(?!.*\w{3}[.!?] +[A-Z])\S.*")
"""One line in which no word of three letters or more ends a sentence before a capital."""


def check_hypothesis(hypothesis: Hypothesis, *, null: Null | None = None, draws: int = 200) -> Checked:
    """Return what was checked of a hypothesis; raises AssertionError, one sentence, for the first rule that it breaks.

    It judges example profiles, and the same without metrics, streams, documents or values: its verdicts are complete,
    there for whatever a profile lacks, and the same for the same seed. `null` draws profiles for
    which the claim is false: over so many draws it may say "supported" no oftener than it declares, plus three standard
    errors.
    """
    about = f"Hypothesis {hypothesis.name}"
    rules = ["its record is complete", "its verdicts are complete", "the same seed gives the same verdicts"]
    rules += ["profiles are left as they were", "it judges whatever a profile lacks"]
    with silent(about), seedless(about):
        want(hypothesis.claim.strip(), about, "a claim", repr(hypothesis.claim), "in its record")
        for where, profiles in examples():
            verdicts = _judged(hypothesis, profiles, where)
            again = _judged(hypothesis, profiles, where)
            want(verdicts == again, about, "the same verdicts from the same seed", "others", where)
        for where, profile in remainders():
            verdicts = _judged(hypothesis, [profile], where)
            if not profile.curves:
                said = [verdict.outcome for verdict in verdicts if verdict.outcome in {"supported", "refuted"}]
                want(not said, about, "not_testable where nothing was measured", ", ".join(said), where)
        if null is not None:
            _check_rate(hypothesis, null, draws)
            rules.append("it is not wrong oftener than it declares")
    return Checked("hypothesis", hypothesis.name, tuple(rules))


def _judged(hypothesis: Hypothesis, profiles: Sequence[Profile], where: str, seed: int = 0) -> list[Verdict]:
    """Return the verdicts as a run keeps them, each of them whole, on profiles that are left as they were."""
    about = f"Hypothesis {hypothesis.name}"
    given = copy.deepcopy(list(profiles))
    with wanting(about, "verdicts that can be kept", where):
        verdicts = list(hypothesis.test(given, np.random.default_rng(seed)))
        settled = [store.settled(verdict) for verdict in verdicts]
    want(settled, about, "one verdict or more", "none", where)
    want(given == list(profiles), about, "the profiles left as they were", "others", where)
    for verdict in verdicts:
        for wanted, got in _flaws(verdict, hypothesis.name, [profile.model.name for profile in profiles]):
            raise RuleError(about, wanted, got, f"a verdict of criterion {verdict.criterion} on {where}")
    return settled


def _flaws(verdict: Verdict, name: str, models: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield what a verdict lacks: what was wanted and what came."""
    if verdict.hypothesis != name:
        yield f"its own name, {name}, in hypothesis", repr(verdict.hypothesis)
    for field, known in (("stream", (PAPER, *STREAMS)), ("tokens", tuple(TOKEN_SETS))):
        if getattr(verdict, field) not in {"", *known}:
            yield f"{field} to be one of {', '.join(known)}, or empty", repr(getattr(verdict, field))
    if not verdict.subject.strip() or not any(model in verdict.subject + verdict.reference for model in models):
        yield f"a subject, and a model ({', '.join(models)}) in it or in reference", repr(verdict.subject)
    if not _ONE_SENTENCE.fullmatch(verdict.because):
        yield "one sentence in because", repr(verdict.because)
    for field in ("p", "p_refuted", "false_positive_rate"):
        number = getattr(verdict, field)
        if number is not None and not 0 <= number <= 1:
            yield f"{field} between 0 and 1", number
    if verdict.outcome in _JUDGED and verdict.false_positive_rate is None:
        yield f"a false_positive_rate where the outcome is {verdict.outcome}", "None"
    bounds = [n for n in (verdict.low, verdict.estimate, verdict.high) if n is not None]
    if not all(map(math.isfinite, bounds)):
        yield "finite numbers or None in low, estimate and high", bounds
    if bounds != sorted(bounds):
        yield "low <= estimate <= high", bounds


def _check_rate(hypothesis: Hypothesis, null: Null, draws: int) -> None:
    """Raise RuleError where a criterion supports the claim on the null oftener than it declares."""
    about = f"Hypothesis {hypothesis.name}"
    told: dict[tuple[str, str, str], list[Verdict]] = {}
    for draw in range(draws):
        profiles = null(np.random.default_rng([draw]))
        for verdict in _judged(hypothesis, profiles, f"draw {draw} of the null", draw):
            told.setdefault((verdict.criterion, verdict.stream, verdict.tokens), []).append(verdict)
    for place, verdicts in told.items():
        rates = [v.false_positive_rate for v in verdicts if v.false_positive_rate is not None]
        if not rates:
            continue
        declared, found = float(np.mean(rates)), float(np.mean([v.outcome == "supported" for v in verdicts]))
        most = declared + 3 * math.sqrt(declared * (1 - declared) / draws)
        where = f"{draws} draws of the null, {' '.join(filter(None, place))}"
        wanted = f'"supported" in at most {most:.3f} of cases, with {declared:.3g} declared'
        want(found <= most, about, wanted, f"{found:.3f}", where)
