"""The claims about a profile's shape, tested over documents (criterion `rigorous`).

All of them read the top-eigenvalue share with all tokens and with bulk tokens, on the residual stream, whose last state
lies before the final norm. Whether the profile is a bell is asked of what the norms put out, too.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from aniso_bellcurve import DELTA, EPS, ETA
from aniso_core.comparing import MOST_PAIRS, differences, too_many
from aniso_core.inference import Bounds, PeakTest, agreement, peak_layers, peak_test, phase_test, range_interval
from aniso_core.inference.matrix import CONCLUSIVE, thin
from aniso_core.records import STREAMS, Outcome, Profile, Verdict
from aniso_core.rigorous import (
    SHARE,
    Drawing,
    artefacts,
    drawing,
    flags,
    inadequate,
    not_testable,
    over_token_sets,
    plain,
    sample,
    span,
)

BREAKS = (7 / 32, 28 / 32)
"""Relative depths at which the notebook's phases meet, fixed before any other model was seen."""

EXCELLENT, GOOD = 3 / 32, 5 / 32
"""The notebook's distances between peaks, in relative depth."""

_CONSTANT = 28 / 32
_BY_DESIGN = "a true profile at the limit of the claim, by design; measured rates: docs/statistics.md"
_ALPHA = 0.05
_DRAWS = 999


def bell_curve(profiles: Sequence[Profile], rng: np.random.Generator) -> Iterator[Verdict]:
    """Test for each profile whether it rises to a single peak and falls after it."""
    draw = drawing(rng)
    for profile in profiles:
        measured = {curve.stream for curve in profile.curves}
        for stream in STREAMS:
            if stream in measured or stream == "residual":
                yield from over_token_sets(partial(_bell, profile, draw, stream))


def three_phases(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Test for each profile whether it rises, holds and drops between the notebook's relative depths."""
    for profile in profiles:
        yield from over_token_sets(partial(_phases, profile))


def peak_agreement(profiles: Sequence[Profile], rng: np.random.Generator) -> Iterator[Verdict]:
    """Test whether peaks lie at the same relative depth: those of each two profiles, or one and the constant 28/32."""
    draw = drawing(rng)
    if len(profiles) == 1:
        yield from over_token_sets(partial(_agreement, profiles[0], None, draw))
    pairs = list(combinations(profiles, 2))
    if len(pairs) > MOST_PAIRS:
        yield not_testable("peak-agreement", f"{len(profiles)} models", too_many(len(pairs)))
        return
    for one, other in pairs:
        yield from over_token_sets(partial(_agreement, one, other, draw))


def _bell(profile: Profile, draw: Drawing, stream: str, tokens: str) -> Verdict:
    found = sample(profile, SHARE, stream, tokens)
    if isinstance(found, str):
        return not_testable("bell-curve", profile.model.name, found, stream, tokens)
    rng = draw(profile.model.name, stream, tokens)
    test = peak_test(found.pv, rng, delta=DELTA, eps=EPS, alpha=_ALPHA, draws=_DRAWS)
    peaks = [found.layers[state] for state in peak_layers(found.pv, rng).layers]
    spread = range_interval(found.pv, rng)
    if test.outcome == "not_testable":
        return not_testable("bell-curve", profile.model.name, test.reason, stream, tokens)
    outcome, weak = test.outcome, inadequate(found, DELTA)
    if weak and outcome != "inconclusive" and not (outcome == "refuted" and test.p_split <= _ALPHA / 2):
        outcome = "inconclusive"
    return Verdict(
        "bell-curve",
        "rigorous",
        profile.model.name,
        outcome,
        f"{_shape(test, outcome, weak)}{_bins(test)}; prominence {_bounded(test.prominence)}; L* at {span(peaks)} of "
        f"{profile.model.layers} (95 % set)",
        estimate=test.prominence.estimate,
        low=_finite(test.prominence.low),
        high=_finite(test.prominence.high),
        p=test.p,
        p_refuted=test.p_refuted,
        false_positive_rate=_ALPHA,
        false_positive_null=_BY_DESIGN,
        stream=stream,
        tokens=tokens,
        flags=tuple(filter(None, (*flags(found, peaks), weak))),
        details={
            **_numbers(test),
            "shape": test.estimand,
            **found.details(),
            "draws": _DRAWS,
            "L_star_set": peaks,
            "range": [spread.low, spread.estimate, spread.high],
        },
    )


def _bins(test: PeakTest) -> str:
    """Return that the shape is that of bins of depth, where there are any."""
    return f" (in {len(test.groups)} bins of depth)" if any(last > first for first, last in test.groups) else ""


def _shape(test: PeakTest, outcome: Outcome, weak: str) -> str:
    """Return in words what shape was shown, or not."""
    valley = f"a valley of {_bounded(test.valley)}"
    if outcome == "supported":
        return f"the share rises by {test.rise:.3f} and falls by {test.fall:.3f}, and no valley is {EPS} deep"
    if outcome == "refuted":
        level = f"no state tops both ends by {DELTA}"
        found = [words for p, words in ((test.p_level, level), (test.p_split, f"{valley} splits it")) if _refutes(p)]
        return f"{_first(test.reason)}{', and '.join(found)}"
    parts = (
        (test.p_rise, f"that the rise of {test.rise:.3f} is above {DELTA}"),
        (test.p_fall, f"that the fall of {test.fall:.3f} is above {DELTA}"),
        (test.p_valley, f"that {valley} is below {EPS}"),
    )
    unshown = [f"{words} (p {p:.2g})" for p, words in parts if p > _ALPHA]
    if weak or test.reason or not unshown:
        why = test.reason or "the text is too little"
        return f"{why}; the share rises by {test.rise:.3f} and falls by {test.fall:.3f}"
    return f"not shown: {', and '.join(unshown)}"


def _refutes(p: float) -> bool:
    return p <= _ALPHA / 2  # two ways to refute


def _phases(profile: Profile, tokens: str) -> Verdict:
    found = sample(profile, SHARE, "residual", tokens)
    if isinstance(found, str):
        return not_testable("three-phases", profile.model.name, found, "residual", tokens)
    test = phase_test(found.pv, BREAKS, delta=DELTA, eta=ETA, alpha=_ALPHA)
    if test.outcome == "not_testable":
        return not_testable("three-phases", profile.model.name, test.reason, "residual", tokens)
    first, second = (found.layers[state] for state in test.breaks)
    weak = inadequate(found, DELTA)
    return Verdict(
        "three-phases",
        "rigorous",
        profile.model.name,
        "inconclusive" if weak else test.outcome,
        f"{_first(test.reason)}the share {_moves(test.rise)} to layer {first}, varies by {test.sway:.3f} from there to "
        f"layer {second} and {_moves(-test.drop)} after it; the claim wants a rise and a fall above {DELTA}, and less "
        "than a third of either between them",
        estimate=min(test.rise, test.drop),
        p=test.p,
        p_refuted=test.p_refuted,
        false_positive_rate=_ALPHA,
        false_positive_null=_BY_DESIGN,
        stream="residual",
        tokens=tokens,
        flags=tuple(filter(None, (*flags(found), weak))),
        details={**_numbers(test), "break_layers": [first, second], **found.details(), "breaks": list(BREAKS)},
    )


def _agreement(one: Profile, other: Profile | None, draw: Drawing, tokens: str) -> Verdict:
    subject = one.model.name if other is None else f"{one.model.name} and {other.model.name}"
    refused = "" if other is None else differences(one, other).refused
    if refused:
        return not_testable("peak-agreement", subject, refused, "residual", tokens)
    depths: list[list[float]] = []
    weak: list[str] = []
    details: dict[str, object] = {"metric": SHARE}
    said: list[str] = []
    for profile in (one, other):
        if profile is None:
            depths.append([_CONSTANT])
            continue
        found = sample(profile, SHARE, "residual", tokens)
        if isinstance(found, str):
            return not_testable("peak-agreement", subject, f"{profile.model.name}: {found}", "residual", tokens)
        peaks = peak_layers(found.pv, draw(profile.model.name, "residual", tokens), alpha=_ALPHA / 2)
        if peaks.reason:
            return not_testable("peak-agreement", subject, peaks.reason, "residual", tokens)
        layers = [found.layers[state] for state in peaks.layers]
        depths.append([profile.depth(layer) for layer in layers])
        details[profile.model.name] = {**found.details(), "L_star_set": layers}
        where = f" in {profile.model.name}" if other is not None else ""
        said += [f"{flag}{where}" for flag in artefacts(found, layers)]
        if len(found.pv) < CONCLUSIVE:
            weak.append(thin(len(found.pv)))
        elif inadequate(found, DELTA):
            weak.append(f"{profile.model.name}: {inadequate(found, DELTA)}")
    test = agreement(depths[0], depths[1], excellent=EXCELLENT, good=GOOD)
    subjects = "the peak lies" if other is None else "the two peaks lie"
    against = "from 28/32, an external constant without uncertainty" if other is None else "apart"
    distance = f"{test.low:.2f}" if test.low == test.high else f"{test.low:.2f} to {test.high:.2f}"
    return Verdict(
        "peak-agreement",
        "rigorous",
        subject,
        "inconclusive" if weak else test.outcome,
        f"{_first('; '.join(weak))}{subjects} {distance} of the depth {against} (95 % set); {GOOD:.2f} or less is good",
        label="" if weak else test.label,
        low=_finite(test.low),
        high=_finite(test.high),
        false_positive_rate=_ALPHA,
        false_positive_null=_BY_DESIGN,
        stream="residual",
        tokens=tokens,
        flags=tuple(said),
        details=details,
    )


def _numbers(test: object) -> dict[str, object]:
    """Return a test's own numbers, its bounds as low, estimate and high."""
    return {
        name: [value.low, value.estimate, value.high] if isinstance(value, Bounds) else value
        for name, value in plain(test).items()
    }


def _bounded(found: Bounds) -> str:
    return f"{found.estimate:.3f} (95 %: {found.low:.3f} to {found.high:.3f})"


def _moves(by: float) -> str:
    return f"{'rises' if by >= 0 else 'falls'} by {abs(by):.3f}"


def _first(reason: str) -> str:
    return f"{reason}; " if reason else ""


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
