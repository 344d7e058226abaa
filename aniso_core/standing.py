"""Which verdicts are confirmatory: those that meet all that a claim fixed before the model was measured."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from aniso_core.prereg import Preregistration, Registered, moment
from aniso_core.records import Profile, Verdict
from aniso_core.text import names_in, short

_Q = 0.1
"""Share of false ones allowed among the exploratory results that are reported."""

_OWN_WORD = "exploratory by its own word"

NOT_CONFIRMATORY = "not confirmatory: "
"""How the flag begins that says why a verdict is not the one that was registered."""


def mark(
    verdicts: Sequence[Verdict], registered: Registered | None, profiles: Sequence[Profile], seed: int
) -> tuple[Verdict, ...]:
    """Return verdicts with their standing; `profiles` and `seed` are what they were judged with.

    A rigorous verdict is confirmatory where it meets all that a claim fixed, else exploratory, with a flag that says
    why where its hypothesis was registered. Confirmatory ones of a family get p_adjusted by Holm over all that the
    family registered, judged here or not; what its claim's alpha no longer supports or refutes becomes inconclusive.
    Exploratory ones that are lost among all exploratory tests (Benjamini and Hochberg, q = 0.1) get a flag.
    """
    marked = [_plain(verdict) for verdict in verdicts]
    if registered is not None:
        _mark_registered(marked, verdicts, registered, profiles, seed)
    return tuple(_explored(marked))


def _mark_registered(
    marked: list[Verdict],
    verdicts: Sequence[Verdict],
    registered: Registered,
    profiles: Sequence[Profile],
    seed: int,
) -> None:
    """Mark in place what was registered."""
    fitting: dict[int, Preregistration] = {}
    for i, verdict in enumerate(verdicts):
        against = [(claim, _against(claim, verdict, registered, profiles, seed)) for claim in registered.claims]
        tried = [(claim, reasons) for claim, reasons in against if reasons is not None]
        if not tried:
            continue
        claim, reasons = min(tried, key=lambda pair: len(pair[1]))
        if reasons:
            marked[i] = replace(marked[i], flags=(*verdict.flags, NOT_CONFIRMATORY + ", ".join(reasons)))
        else:
            rate = marked[i].false_positive_rate
            level = rate if rate is None else min(rate, claim.alpha)
            marked[i] = replace(marked[i], standing="confirmatory", false_positive_rate=level)
            fitting[i] = claim
    for family in {claim.family for claim in fitting.values()}:
        members = [i for i, claim in fitting.items() if claim.family == family]
        judged = [(marked[i], fitting[i]) for i in members]
        left = sum(_unjudged(claim, judged, profiles) for claim in registered.claims if claim.family == family)
        for i, verdict in zip(members, _adjusted(judged, left), strict=True):
            marked[i] = verdict


def unmet(
    verdicts: Sequence[Verdict], registered: Registered, profiles: Sequence[Profile], seed: int
) -> Iterator[tuple[Preregistration, str]]:
    """Yield the claims that no marked verdict meets, each with what the nearest one differs in, a few words."""
    for claim in registered.claims:
        tried = []
        for verdict in verdicts:
            reasons = _against(claim, replace(verdict, standing=""), registered, profiles, seed)
            if reasons is not None:
                own = [] if verdict.standing == "confirmatory" or reasons else [_OWN_WORD]
                tried.append([*reasons, *own])
        nearest = min(tried, key=len, default=["nothing judged it here"])
        if nearest:
            yield claim, ", ".join(nearest)


def _against(
    claim: Preregistration, verdict: Verdict, registered: Registered, profiles: Sequence[Profile], seed: int
) -> list[str] | None:
    """Return in what a verdict differs from a claim; None where it judges something else."""
    if verdict.criterion != "rigorous" or claim.hypothesis != verdict.hypothesis:
        return None
    if claim.subject not in {"", verdict.subject}:
        return None
    about = _about(verdict, profiles)
    absent = [model for model in claim.models if not any(_is(profile, model) for profile in profiles)]
    # Leaving models out of a comparison would leave tests out of its family.
    missing = [f"without {', '.join(map(short, absent))}"] if absent and len(about) > 1 else []
    return [*_other(claim, verdict, seed), *_unfit(claim, about, registered), *missing]


def _explored(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Yield verdicts, exploratory ones flagged where they would not be reported among all exploratory tests."""
    tests = [
        (i, name, getattr(verdict, name))
        for i, verdict in enumerate(verdicts)
        for name in ("p", "p_refuted")
        if verdict.standing == "exploratory" and verdict.outcome != "not_testable"
        if 0 <= _number(getattr(verdict, name)) <= 1
    ]
    reported = set()
    if tests:
        import numpy as np

        from aniso_core.inference.several import benjamini_hochberg

        kept = benjamini_hochberg(np.array([p for *_, p in tests]), _Q)
        reported = {(i, name) for (i, name, _), keep in zip(tests, kept, strict=True) if keep}
    for i, verdict in enumerate(verdicts):
        about = (i, "p_refuted" if verdict.outcome == "refuted" else "p")
        judged = verdict.outcome in {"supported", "refuted"} and any(about == test[:2] for test in tests)
        lost = f"lost among {len(tests)} exploratory tests (Benjamini and Hochberg, q = {_Q})"
        yield replace(verdict, flags=(*verdict.flags, lost)) if judged and about not in reported else verdict


def _number(p: float | None) -> float:
    return math.nan if p is None else p


def _plain(verdict: Verdict) -> Verdict:
    """Return a verdict as it stands without any registered claim."""
    return replace(verdict, standing="exploratory" if verdict.criterion == "rigorous" else "", p_adjusted=None)


def _other(claim: Preregistration, verdict: Verdict, seed: int) -> Iterator[str]:
    """Yield in what a verdict differs from what was registered, a few words each."""
    if verdict.standing == "exploratory":
        yield _OWN_WORD
    for name in ("stream", "tokens"):
        if getattr(verdict, name) != getattr(claim, name):
            yield f"other {name}"
    # What a test does not say that it used, it did not use.
    if verdict.details.get("metric") != claim.metric:
        yield "other metric"
    if verdict.details.get("draws", claim.draws) != claim.draws:  # tests without draws say nothing of them
        yield "other draws"
    for name, wanted in claim.sesoi.items():
        if not _same(verdict.details.get(name), wanted):
            yield f"other {name}"
    breaks = verdict.details.get("breaks")
    if claim.breaks and not (isinstance(breaks, list | tuple) and _all_same(breaks, claim.breaks)):
        yield "other breaks"
    if seed != claim.seed:
        yield "other seed"
    decisive = {"supported": verdict.p, "refuted": verdict.p_refuted}
    given = [p for p in (verdict.p, verdict.p_refuted) if p is not None]
    if decisive.get(verdict.outcome, 1.0) is None or not all(0 <= p <= 1 for p in given):
        yield "no p-value"


def _unfit(claim: Preregistration, about: Sequence[Profile], registered: Registered) -> Iterator[str]:
    """Yield in what the measured profiles differ from what was registered, a few words each."""
    if not about or not all(any(_is(profile, model) for model in claim.models) for profile in about):
        yield f"other model than {' or '.join(map(short, claim.models))}"
    texts = [profile.prompts for profile in about]
    if any(prompts is None or prompts.sha256 != claim.prompts_sha256 for prompts in texts):
        yield "other texts"
    if any(prompts is not None and prompts.documents < claim.documents_planned for prompts in texts):
        yield f"fewer documents than {claim.documents_planned}"
    if not all(_before(registered.registered, profile.provenance.started) for profile in about):
        yield "registered too late"


def _about(verdict: Verdict, profiles: Sequence[Profile]) -> list[Profile]:
    """Return the profiles that a verdict is about: those that its subject or its reference names."""
    named = names_in(f"{verdict.subject}\n{verdict.reference}", [profile.model.name for profile in profiles])
    return [profile for profile in profiles if profile.model.name in named]


def _is(profile: Profile, wanted: str) -> bool:
    model = profile.model
    return wanted in {model.name, f"{model.name.partition('@')[0]}@{model.revision}"}


def _same(found: Any, wanted: float) -> bool:
    return isinstance(found, int | float) and math.isclose(found, wanted)


def _all_same(found: Sequence[Any], wanted: Sequence[float]) -> bool:
    return len(found) == len(wanted) and all(map(_same, found, wanted))


def _before(registered: str, started: str) -> bool:
    """Return whether a claim was registered before a measurement started.

    Both times are whole seconds; in the second in which it starts, nothing is known of its result.
    """
    try:
        return moment(registered) <= moment(started)
    except ValueError:  # a published profile does not say when it was measured
        return False


def _unjudged(
    claim: Preregistration, judged: Sequence[tuple[Verdict, Preregistration]], profiles: Sequence[Profile]
) -> int:
    """Return the number of a claim's models that no verdict of it is about."""
    seen = [profile for verdict, own in judged if own is claim for profile in _about(verdict, profiles)]
    return sum(not any(_is(profile, model) for profile in seen) for model in claim.models)


def _adjusted(judged: Sequence[tuple[Verdict, Preregistration]], left: int) -> Iterator[Verdict]:
    """Yield the verdicts of a family with p_adjusted; `left` registered ones that are not judged count with p = 1."""
    import numpy as np

    from aniso_core.inference.several import holm

    def adjusted(ps: Sequence[float | None]) -> list[float]:
        found: list[float] = holm(np.array([1.0 if p is None else p for p in ps] + [1.0] * left)).tolist()
        return found

    supported = adjusted([verdict.p for verdict, _ in judged])
    refuted = adjusted([verdict.p_refuted for verdict, _ in judged])
    for number, (verdict, claim) in enumerate(judged):
        refuting = verdict.outcome == "refuted"
        own, joint = (verdict.p_refuted, refuted[number]) if refuting else (verdict.p, supported[number])
        if own is None:
            yield verdict
        elif verdict.outcome in {"supported", "refuted"} and joint > claim.alpha:
            against = "against the claim " if verdict.outcome == "refuted" else ""
            because = (
                f"{verdict.because}; p {against}= {own:.2g}, by Holm over {len(judged) + left} claims {joint:.2g}, is "
                f"above the registered level {claim.alpha:g}"
            )
            yield replace(verdict, outcome="inconclusive", because=because, p_adjusted=joint)
        else:
            yield replace(verdict, p_adjusted=joint)
