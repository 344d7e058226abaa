"""Whether flatness goes with the norm: over twins, which differ in it alone, or over lineages of models.

One model against one cannot tell, and models of one lineage are no independent observations of it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from aniso_core.comparing import pairwise
from aniso_core.inference import Bounds, ExactTest, exact_permutation, flatness, sign_flip, sign_flip_interval
from aniso_core.inference.exact import Alternative
from aniso_core.inference.matrix import CONCLUSIVE, thin, untestable
from aniso_core.records import STREAMS, Outcome, Profile, Verdict
from aniso_core.rigorous import SHARE, inadequate, not_testable, over_token_sets, plain, sample
from aniso_gaugeflat import SESOI

Twins = tuple[Profile, Profile]


@dataclass(frozen=True)
class Compared:
    """How much flatter the models with RMSNorm are than those with LayerNorm."""

    said: str
    """What is compared, as the start of a sentence."""
    test: Callable[[Alternative, float], ExactTest]
    """Tests whether the difference is less, or greater, than a number."""
    bounds: Bounds
    """The difference and its 95 % interval; NaN where there is none."""


Compare = Callable[[dict[int, float]], Compared]
"""Takes the flatness of each profile, by its id."""

_ALPHA = 0.05
_LADDER = ("layernorm", "no-gain", "no-bias", "no-centre", "rmsnorm")
"""Norms by what they lack of LayerNorm."""
_CONFOUNDED = (
    "with one model per arm the norm cannot be told from depth, width, data, tokenizer and all else that differs; it "
    "takes families of models or twins"
)


def over_models(profiles: Sequence[Profile]) -> Iterator[Verdict]:
    """Yield the verdicts on the norm: over twins, one for each norm but the fullest, and over lineages."""
    arms = [profile for profile in profiles if profile.model.norm]
    lineages = {(profile.model.architecture, profile.model.norm) for profile in arms}
    twins = twins_by_norm(arms)
    for (norm, fuller), pairs in twins.items():
        plain_pair = (norm, fuller) == ("rmsnorm", "layernorm")
        subject = "the norm in twins" if plain_pair else f"{norm} against {fuller} in twins"
        yield from _on_streams(subject, [p for pair in pairs for p in pair], partial(_over_twins, norm, pairs))
    if all(sum(norm == arm for _, norm in lineages) > 1 for arm in ("rmsnorm", "layernorm")):
        yield from _on_streams("the norm", arms, partial(_over_lineages, arms))
    elif not twins:
        names = " and ".join(profile.model.name for profile in profiles)
        yield replace(not_testable("gauge-flatness", "the norm", _CONFOUNDED), reference=names)


def twins_by_norm(profiles: Sequence[Profile]) -> dict[tuple[str, str], list[Twins]]:
    """Return pairs of twins by their two norms: each norm against the fullest that there is, in the order of _LADDER.

    Of several profiles of one twin name and norm the first is taken.
    """
    named: dict[str, dict[str, Profile]] = {}
    for profile in profiles:
        if profile.model.twin:
            norm = profile.model.twin_norm or str(profile.model.norm)
            named.setdefault(profile.model.twin, {}).setdefault(norm, profile)
    norms = sorted({norm for group in named.values() for norm in group}, key=lambda norm: (_rung(norm), norm))
    found = {}
    for norm in norms[1:]:
        groups = [group for _, group in sorted(named.items()) if {norm, norms[0]} <= group.keys()]
        if groups:
            found[norm, norms[0]] = [(group[norm], group[norms[0]]) for group in groups]
    return found


def _rung(norm: str) -> int:
    return _LADDER.index(norm) if norm in _LADDER else len(_LADDER)


def _on_streams(subject: str, profiles: Sequence[Profile], compare: Compare) -> Iterator[Verdict]:
    """Yield a verdict for each stream and token set."""
    names = " and ".join(profile.model.name for profile in profiles)
    pairs = ((f"for {a.model.name} and {b.model.name}", found.refused) for a, b, found in pairwise(profiles))
    refused = next((f"{both}: {why}" for both, why in pairs if why), "")
    for stream in STREAMS:
        if refused:
            verdicts = [not_testable("gauge-flatness", subject, refused, stream)]
        else:
            verdicts = over_token_sets(partial(_judged, subject, profiles, compare, stream))
        yield from (replace(verdict, reference=names) for verdict in verdicts)


def _judged(subject: str, profiles: Sequence[Profile], compare: Compare, stream: str, tokens: str) -> Verdict:
    found, weak, least = {}, [], CONCLUSIVE
    for profile in profiles:
        one = sample(profile, SHARE, stream, tokens)
        reason = one if isinstance(one, str) else untestable(*one.pv.shape)
        if isinstance(one, str) or reason:
            return not_testable("gauge-flatness", subject, f"for {profile.model.name}: {reason}", stream, tokens)
        found[id(profile)] = flatness(one.pv).flatness
        least = min(least, len(one.pv))
        weak += [f"for {profile.model.name}: {why}" for why in (inadequate(one, SESOI),) if why]
    compared = compare(found)
    flatter = compared.test("less", 0.0)
    if flatter.outcome == "not_testable":
        return not_testable("gauge-flatness", subject, flatter.reason, stream, tokens)
    p_refuted, p_small = compared.test("greater", -SESOI).p, compared.test("less", SESOI).p
    p_equivalent = max(p_refuted, p_small)
    outcome: Outcome = "inconclusive"
    if not weak and least >= CONCLUSIVE:
        if flatter.p <= _ALPHA and flatter.estimate <= -SESOI:
            outcome = "supported"
        elif p_refuted <= _ALPHA:
            outcome = "refuted"
    few = f"{thin(least)}; " if least < CONCLUSIVE else ""
    same = "; within what matters they are equally flat" if p_equivalent <= _ALPHA else ""
    low, high = compared.bounds.low, compared.bounds.high
    known = math.isfinite(low)
    span = f" (95 %: {low:+.3f} to {high:+.3f})" if known else ""
    return Verdict(
        "gauge-flatness",
        "rigorous",
        subject,
        outcome,
        f"{few}{compared.said} differs by {flatter.estimate:+.3f} on average{span}; what matters begins at "
        f"{-SESOI}{same}",
        label="equivalent" if same else "",
        estimate=flatter.estimate,
        low=low if known else None,
        high=high if known else None,
        p=flatter.p,
        p_refuted=p_refuted,
        false_positive_rate=_ALPHA,
        false_positive_null="labels handed out at random",
        stream=stream,
        tokens=tokens,
        flags=tuple(weak),
        details={
            **plain(flatter),
            "metric": SHARE,
            "sesoi": SESOI,
            "p_equivalent": p_equivalent,
            "flatness": list(found.values()),
        },
    )


def _over_twins(norm: str, twins: Sequence[Twins], found: dict[int, float]) -> Compared:
    # Checkpoints of one training, told apart behind the @ of their twin names, are no independent observations.
    gathered: dict[str, list[float]] = {}
    for one, other in twins:
        gathered.setdefault(one.model.twin.partition("@")[0], []).append(found[id(one)] - found[id(other)])
    apart = np.array([np.mean(values) for values in gathered.values()])
    said = (
        f"over {len(apart)} pairs of twins{f' (means over {len(twins)} of checkpoints)' * (len(twins) > len(apart))}, "
        f"which differ in the norm alone, flatness with {'RMSNorm' if norm == 'rmsnorm' else norm}"
    )

    def test(alternative: Alternative, beyond: float) -> ExactTest:
        return sign_flip(apart - beyond, alternative, _ALPHA)

    return Compared(said, test, sign_flip_interval(apart, _ALPHA))


def _over_lineages(arms: Sequence[Profile], found: dict[int, float]) -> Compared:
    lineages: dict[tuple[str, str], list[float]] = {}
    for profile in arms:
        lineages.setdefault((str(profile.model.norm), profile.model.architecture), []).append(found[id(profile)])
    labels = np.array([norm == "rmsnorm" for norm, _ in lineages], dtype=np.bool_)
    means = np.array([np.mean(values) for values in lineages.values()])
    said = (
        f"over {labels.sum()} RMSNorm and {(~labels).sum()} LayerNorm lineages, which may differ in more than the norm,"
        " flatness with RMSNorm"
    )

    def test(alternative: Alternative, beyond: float) -> ExactTest:
        return exact_permutation(means - beyond * labels, labels, alternative, _ALPHA)

    return Compared(said, test, Bounds())
