"""The claims about RMSNorm, tested over documents that both models read (criterion `rigorous`).

Both are judged on the residual stream, which the norms of the blocks never touch, and on their outputs.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from aniso_core.comparing import MOST_PAIRS, differences, too_many
from aniso_core.inference import flatness_difference, mean_test
from aniso_core.inference.matrix import untestable
from aniso_core.records import STREAMS, Array, Profile, Verdict
from aniso_core.rigorous import SHARE, Sample, inadequate, left_out, not_testable, over_token_sets, sample
from aniso_gaugeflat import EVEN, SESOI
from aniso_gaugeflat.families import over_models, twins_by_norm

_ALPHA = 0.05
_BY_DESIGN = "profiles that vary equally, by design; measured rates: docs/statistics.md"


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
    if not pairs and not twins_by_norm(profiles):
        yield _alone("gauge-flatness", profiles)
        return
    yield from _each(pairs, "gauge-flatness", _flatter)
    yield from over_models(profiles)


def norm_uniformity(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Test whether norms vary less over the tokens of each RMSNorm model than over those of each LayerNorm model."""
    pairs = _pairs(profiles)
    if not pairs:
        yield _alone("norm-uniformity", profiles)
    yield from _each(pairs, "norm-uniformity", _more_even)


def _each(pairs: Sequence[Pair], hypothesis: str, judge: Callable[[Pair, str, str], Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts on each pair, stream and token set; one that says why where there are too many pairs."""
    if len(pairs) > MOST_PAIRS:
        yield not_testable(hypothesis, f"{len(pairs)} pairs of models", too_many(len(pairs)))
        return
    for pair in pairs:
        for stream in STREAMS:
            yield from over_token_sets(partial(judge, pair, stream))


def _pairs(profiles: Sequence[Profile]) -> list[Pair]:
    rms, layer = ([p for p in profiles if p.model.norm == norm] for norm in ("rmsnorm", "layernorm"))
    return [Pair(one, other) for one, other in itertools.product(rms, layer)]


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
            return f"for {profile.model.name}: {one}"
        found.append(one)
    refused = differences(pair.rms, pair.layer).refused
    if refused:
        return refused
    both = sorted(set(found[0].units) & set(found[1].units))
    one, other = (each.of(both) for each in found)
    few = min(len(one.layers), len(other.layers))
    return untestable(len(both), few) or (one, other)


def _flatter(pair: Pair, stream: str, tokens: str) -> Verdict:
    found = _samples(pair, SHARE, stream, tokens)
    if isinstance(found, str):
        return not_testable("gauge-flatness", pair.name, found, stream, tokens)
    one, other = found
    test = flatness_difference(one.pv, other.pv, sesoi=SESOI, alpha=_ALPHA)
    weak = [f"for {s.profile.model.name}: {reason}" for s in found if (reason := inadequate(s, SESOI))]
    same = "; within what matters they are equally flat" if test.p_equivalent <= _ALPHA else ""
    level = [p.profile.model.name for p, f in ((one, test.a), (other, test.b)) if not f.distinguishable]
    unclear = f"; {' and '.join(level)} cannot be told from a level profile" if level else ""
    a, b = (f"{flat.flatness:.3f} in {p.model.name}" for p, flat in ((pair.rms, test.a), (pair.layer, test.b)))
    apart = test.difference
    return Verdict(
        "gauge-flatness",
        "rigorous",
        pair.name,
        "inconclusive" if weak else test.outcome,
        f"{_first(test.reason)}over layers the share varies by {a} and {b} (standard deviations free of noise), a "
        f"difference of {apart.estimate:+.3f} (95 %: {apart.low:+.3f} to {apart.high:+.3f}); what matters begins at "
        f"{-SESOI}{same}{unclear}",
        label="equivalent" if same else "",
        estimate=apart.estimate,
        low=apart.low,
        high=apart.high,
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


def _more_even(pair: Pair, stream: str, tokens: str) -> Verdict:
    found = _samples(pair, "norm-cv", stream, tokens)
    if isinstance(found, str):
        return not_testable("norm-uniformity", pair.name, found, stream, tokens)
    one, other = found
    logs = _log_means(one) - _log_means(other)
    if not np.isfinite(logs).all():
        reason = "all norms of a layer are equal, so their variation has no logarithm"
        return not_testable("norm-uniformity", pair.name, reason, stream, tokens)
    test = mean_test(logs, EVEN, _ALPHA)
    ratio, low, high = (math.exp(log) for log in (test.mean.estimate, test.mean.low, test.mean.high))
    return Verdict(
        "norm-uniformity",
        "rigorous",
        pair.name,
        test.outcome,
        f"{_first(test.reason)}over layers the geometric mean of the norms' coefficient of variation is in "
        f"{pair.rms.model.name} {ratio:.2f} times that in {pair.layer.model.name} (95 %: {low:.2f} to {high:.2f}); "
        f"what matters begins at {math.exp(-EVEN):.2f}",
        estimate=test.mean.estimate,
        low=test.mean.low,
        high=test.mean.high,
        p=test.p,
        p_refuted=test.p_refuted,
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


def _first(reason: str) -> str:
    return f"{reason}; " if reason else ""
