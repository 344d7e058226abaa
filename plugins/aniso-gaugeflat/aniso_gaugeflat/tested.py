"""The claims about RMSNorm, tested over documents that both models read (criterion `rigorous`).

Both are judged on the residual stream, which the norms of the blocks never touch, and on their outputs.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from aniso_core.comparing import differences
from aniso_core.inference import exact_permutation, flatness, flatness_difference, interval, p_mean_above, sign_flip
from aniso_core.records import STREAMS, Array, Outcome, Profile, Verdict
from aniso_core.rigorous import SHARE, Sample, inadequate, left_out, not_testable, over_token_sets, plain, sample
from aniso_gaugeflat import EVEN, SESOI

_ALPHA = 0.05
_BY_DESIGN = "profiles that vary equally, by design; measured rates: docs/statistics.md"
_CONFOUNDED = (
    "with one model per arm the norm cannot be told from depth, width, data, tokenizer and all else that differs; it "
    "takes families of models or twins"
)


@dataclass(frozen=True)
class Pair:
    """An RMSNorm model and a LayerNorm model that read the same documents."""

    rms: Profile
    layer: Profile

    @property
    def name(self) -> str:
        """Both models' names."""
        return f"{self.rms.model.name} against {self.layer.model.name}"


def gauge_flatness(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Test whether each RMSNorm profile is flatter than each LayerNorm profile, and whether the norm goes with it.

    The latter over twins, which were trained alike but for their norms, or over lineages of models, which are
    architectures; never over models of one lineage as if they were independent.
    """
    pairs = _pairs(profiles)
    if not pairs:
        yield _alone("gauge-flatness", profiles)
        return
    for pair in pairs:
        for stream in STREAMS:
            yield from over_token_sets(partial(_flatter, pair, stream))
    twins = _twins(pairs)
    arms = {(p.model.architecture, p.model.norm) for p in profiles}
    families = all(sum(norm == arm for _, norm in arms) > 1 for arm in ("rmsnorm", "layernorm"))
    if not twins and not families:
        names = " and ".join(profile.model.name for profile in profiles)
        yield replace(not_testable("gauge-flatness", "the norm", _CONFOUNDED), reference=names)
    for stream in STREAMS:
        if twins:
            yield from over_token_sets(partial(_over_twins, twins, stream))
        if families:
            yield from over_token_sets(partial(_over_lineages, profiles, stream))


def norm_uniformity(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Test whether norms vary less over the tokens of each RMSNorm model than over those of each LayerNorm model."""
    pairs = _pairs(profiles)
    if not pairs:
        yield _alone("norm-uniformity", profiles)
    for pair in pairs:
        for stream in STREAMS:
            yield from over_token_sets(partial(_more_even, pair, stream))


def _pairs(profiles: Sequence[Profile]) -> list[Pair]:
    rms, layer = ([p for p in profiles if p.model.norm == norm] for norm in ("rmsnorm", "layernorm"))
    return [Pair(one, other) for one, other in itertools.product(rms, layer)]


def _twins(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of twins; a model that has several twins of one name is paired with the first."""
    named = {pair.rms.model.twin: pair for pair in reversed(pairs) if pair.rms.model.twin == pair.layer.model.twin}
    return [pair for name, pair in sorted(named.items()) if name]


def _alone(hypothesis: str, profiles: Sequence[Profile]) -> Verdict:
    subject = profiles[0].model.name if len(profiles) == 1 else f"{len(profiles)} models"
    reason = (
        "the claim compares an RMSNorm model with a LayerNorm model on the same documents; give runs of both to "
        "`aniso compare`"
    )
    return not_testable(hypothesis, subject, reason)


def _samples(pair: Pair, metric: str, stream: str, tokens: str) -> tuple[Sample, Sample] | str:
    """Return both models' samples over the same documents, or why there are none."""
    found = []
    for profile in (pair.rms, pair.layer):
        one = sample(profile, metric, stream, tokens)
        if isinstance(one, str):
            return f"{profile.model.name}: {one}"
        found.append(one)
    refused = differences(pair.rms, pair.layer).refused
    if refused:
        return refused
    both = sorted(set(found[0].units) & set(found[1].units))
    if pair.rms.prompts and pair.layer.prompts and pair.rms.prompts.units != pair.layer.prompts.units:
        return "documents were left out in other groups in each model, so they make no pairs; profile both anew"
    if not both:
        return "no document has such tokens in both models"
    return found[0].of(both), found[1].of(both)


def _flatter(pair: Pair, stream: str, tokens: str) -> Verdict:
    found = _samples(pair, SHARE, stream, tokens)
    if isinstance(found, str):
        return not_testable("gauge-flatness", pair.name, found, stream, tokens)
    one, other = found
    test = flatness_difference(one.pv, other.pv, sesoi=SESOI, alpha=_ALPHA)
    if test.outcome == "not_testable":
        return not_testable("gauge-flatness", pair.name, test.reason, stream, tokens)
    weak = [reason for reason in (inadequate(one, SESOI), inadequate(other, SESOI)) if reason]
    same = "; within what matters they are equally flat" if test.p_equivalent <= _ALPHA else ""
    level = [p.profile.model.name for p, f in ((one, test.a), (other, test.b)) if not f.distinguishable]
    unclear = f"; {' and '.join(level)} cannot be told from a level profile" if level else ""
    return Verdict(
        "gauge-flatness",
        "rigorous",
        pair.name,
        "inconclusive" if weak else test.outcome,
        f"over layers the share varies by {test.a.flatness:.3f} in {pair.rms.model.name} and {test.b.flatness:.3f} in "
        f"{pair.layer.model.name} (standard deviations free of noise), a difference of {test.difference.estimate:+.3f} "
        f"(95 %: {test.difference.low:+.3f} to {test.difference.high:+.3f}); what matters begins at {-SESOI}"
        f"{same}{unclear}",
        label="equivalent" if same else "",
        estimate=test.difference.estimate,
        low=test.difference.low,
        high=test.difference.high,
        p=test.p,
        p_refuted=test.p_refuted,
        false_positive_rate=_ALPHA,
        false_positive_null=_BY_DESIGN,
        stream=stream,
        tokens=tokens,
        flags=tuple(weak),
        details={
            **one.details(),
            "reference": other.details(),
            "sesoi": SESOI,
            "p_equivalent": test.p_equivalent,
            "log_ratio": [test.log_ratio.low, test.log_ratio.estimate, test.log_ratio.high],
        },
    )


def _over_twins(twins: Sequence[Pair], stream: str, tokens: str) -> Verdict:
    subject, names = "the norm in twins", " and ".join(pair.name for pair in twins)
    differences = []
    for pair in twins:
        found = _samples(pair, SHARE, stream, tokens)
        if isinstance(found, str):
            return replace(
                not_testable("gauge-flatness", subject, f"{pair.name}: {found}", stream, tokens), reference=names
            )
        differences.append(flatness(found[0].pv).flatness - flatness(found[1].pv).flatness)
    test = sign_flip(np.array(differences), "less", _ALPHA)
    if test.outcome == "not_testable":
        return replace(not_testable("gauge-flatness", subject, test.reason, stream, tokens), reference=names)
    small = test.outcome == "supported" and test.estimate > -SESOI
    return Verdict(
        "gauge-flatness",
        "rigorous",
        subject,
        "inconclusive" if small else test.outcome,
        f"over {len(twins)} pairs of twins the RMSNorm model's flatness differs by {test.estimate:+.3f} on average; "
        f"what matters begins at {-SESOI}; twins differ in the norm alone",
        estimate=test.estimate,
        p=test.p,
        false_positive_rate=_ALPHA,
        false_positive_null="signs of twins' differences handed out at random",
        stream=stream,
        tokens=tokens,
        reference=names,
        details={
            **plain(test),
            "metric": SHARE,
            "sesoi": SESOI,
            "twins": [pair.rms.model.twin for pair in twins],
            "differences": differences,
        },
    )


def _over_lineages(profiles: Sequence[Profile], stream: str, tokens: str) -> Verdict:
    lineages: dict[tuple[str, str], list[float]] = {}
    for profile in profiles:
        found = sample(profile, SHARE, stream, tokens)
        if profile.model.norm and not isinstance(found, str):
            value = flatness(found.pv).flatness
            lineages.setdefault((profile.model.architecture, profile.model.norm), []).append(value)
    labels = np.array([norm == "rmsnorm" for _, norm in lineages], dtype=bool)
    subject = "the norm"
    if labels.sum() < 2 or (~labels).sum() < 2:  # noqa: PLR2004 - one lineage per arm is one model per arm
        return not_testable("gauge-flatness", subject, _CONFOUNDED, stream, tokens)
    values = np.array([np.mean(values) for values in lineages.values()])
    test = exact_permutation(values, labels, "less", _ALPHA)
    return Verdict(
        "gauge-flatness",
        "rigorous",
        subject,
        test.outcome,
        f"{test.reason + '; ' if test.reason else ''}over {labels.sum()} RMSNorm and {(~labels).sum()} LayerNorm "
        f"lineages flatness differs by {test.estimate:+.3f} on average; this is association, not cause",
        estimate=test.estimate,
        p=test.p,
        false_positive_rate=_ALPHA,
        false_positive_null="labels handed out at random over lineages",
        stream=stream,
        tokens=tokens,
        details={
            **plain(test),
            "metric": SHARE,
            "lineages": [f"{name} ({norm})" for name, norm in lineages],
            "flatness": values.tolist(),
        },
    )


def _more_even(pair: Pair, stream: str, tokens: str) -> Verdict:
    found = _samples(pair, "norm-cv", stream, tokens)
    if isinstance(found, str):
        return not_testable("norm-uniformity", pair.name, found, stream, tokens)
    one, other = found
    ratio = _log_means(one) - _log_means(other)
    if not np.isfinite(ratio).all():
        reason = "all norms of a layer are equal, so their variation has no logarithm"
        return not_testable("norm-uniformity", pair.name, reason, stream, tokens)
    if len(ratio) < 8:  # noqa: PLR2004 - as every test over documents
        return not_testable(
            "norm-uniformity", pair.name, f"the test needs 8 documents and there are {len(ratio)}", stream, tokens
        )
    mean = interval(ratio[:, None])
    estimate, low, high = (float(part[0]) for part in (mean.estimate, mean.low, mean.high))
    p, p_refuted = p_mean_above(-ratio, 0.0), p_mean_above(ratio, -EVEN)
    enough = len(ratio) >= 16  # noqa: PLR2004 - as every test over documents
    outcome: Outcome = "inconclusive"
    if enough and p <= _ALPHA and estimate <= -EVEN:
        outcome = "supported"
    elif enough and p_refuted <= _ALPHA:
        outcome = "refuted"
    return Verdict(
        "norm-uniformity",
        "rigorous",
        pair.name,
        outcome,
        f"averaged over layers the coefficient of variation of the norms of {pair.rms.model.name} is "
        f"{math.exp(estimate):.2f} times that of {pair.layer.model.name} (95 %: {math.exp(low):.2f} to "
        f"{math.exp(high):.2f}); what matters begins at {math.exp(-EVEN):.2f}",
        estimate=estimate,
        low=low,
        high=high,
        p=p,
        p_refuted=p_refuted,
        false_positive_rate=_ALPHA,
        false_positive_null=_BY_DESIGN,
        stream=stream,
        tokens=tokens,
        details={**one.details(), "reference": other.details(), "sesoi": EVEN},
    )


def _log_means(found: Sample) -> Array:
    """Return the pseudo-values of the mean over layers of the logarithm, float64[units]."""
    curve = found.profile.curve(found.metric, found.stream, found.tokens).array()
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(curve).mean()
        without = np.log(np.stack([left_out(values, at) for values, at in zip(found.pv.T, curve, strict=True)])).mean(0)
    n = len(found.pv)
    return np.asarray(n * logs - (n - 1) * without)
