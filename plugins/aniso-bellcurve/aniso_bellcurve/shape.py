"""The notebooks' criteria on the shape of a profile, exactly as they computed them, and how often noise passes."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np

from aniso_core.paper import Line, is_bell, line, paper_shares, shape, shapeless, unmeasurable
from aniso_core.records import Array, Profile, Verdict

REFERENCE_PEAK, REFERENCE_LAYERS = 28, 32
EXCELLENT, GOOD = 3, 5
PHASES = (("compression", 0, 7), ("plateau", 7, 28), ("inversion", 28, 32))
"""The notebook's phases in layers of 32; other depths are cut at the same relative depths."""

_DRAWS = 10_000
_LEAST_STATES = 5


def bell_curve(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Judge each profile: L* is the argmax; a bell has a positive slope before it and a negative one from it on.

    The rising phase leaves L* out and the falling one includes it; L* at 0, 1 or the last layer is never a bell.
    """
    for profile in profiles:
        share = paper_shares(profile)
        reason = shapeless(profile, _LEAST_STATES)
        if share is None or reason:
            yield unmeasurable("bell-curve", profile, reason)
            continue
        found = shape(share)
        yield Verdict(
            "bell-curve",
            "paper",
            profile.model.name,
            "supported" if found.is_bell else "refuted",
            f"the share peaks at layer {found.peak} of {len(share) - 1}, with {_show(found.rise)} before it (positive "
            f"in a bell) and {_show(found.fall)} from it on (negative in a bell)",
            estimate=float(found.peak),
            false_positive_rate=noise_rate(len(share)),
            false_positive_null=(
                f"independent noise over {len(share)} states; where neighbouring layers correlate at 0.9 it passes in "
                f"{100 * noise_rate(len(share), correlation=0.9):.0f} of 100"
            ),
            details={
                "L_star": found.peak,
                "phase1_slope": found.rise.slope,
                "phase1_r": found.rise.r,
                "phase2_slope": found.fall.slope,
                "phase2_r": found.fall.r,
                "states": len(share),
                "false_positive_rate_autocorrelated": noise_rate(len(share), correlation=0.9),
            },
        )


def peak_agreement(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Judge models of 32 blocks: L* within 3 layers of 28 is excellent, within 5 good, else a discrepancy."""
    for profile in profiles:
        share, blocks = paper_shares(profile), profile.model.layers
        reason = (
            f"the constant {REFERENCE_PEAK} was read off a model of {REFERENCE_LAYERS} blocks, this one has {blocks}"
        )
        if share is None or blocks != REFERENCE_LAYERS:
            yield unmeasurable("peak-agreement", profile, shapeless(profile, 1) or reason)
            continue
        peak = int(share.argmax())
        gap = abs(peak - REFERENCE_PEAK)
        label = "excellent" if gap <= EXCELLENT else "good" if gap <= GOOD else "discrepancy"
        places = np.abs(np.arange(len(share)) - REFERENCE_PEAK)
        yield Verdict(
            "peak-agreement",
            "paper",
            profile.model.name,
            "refuted" if label == "discrepancy" else "supported",
            f"L* = {peak} is {gap} layers from {REFERENCE_PEAK}",
            label=label,
            estimate=float(gap),
            false_positive_rate=float((places <= GOOD).mean()),
            false_positive_null="a peak at a layer drawn at random",
            reference=f"external constant {REFERENCE_PEAK}, given without uncertainty",
            details={
                "L_star": peak,
                "expected": REFERENCE_PEAK,
                "chance_excellent": float((places <= EXCELLENT).mean()),
            },
        )


def three_phases(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Describe the three phases; the notebook draws no conclusion from its table, and neither does this."""
    for profile in profiles:
        share = paper_shares(profile)
        reason = shapeless(profile, _LEAST_STATES)
        if share is None or reason:
            yield unmeasurable("three-phases", profile, reason)
            continue
        table = [_phase(share, *phase) for phase in PHASES]
        steps = "; ".join(f"{row['phase']} {row['start']:.3f} to {row['end']:.3f}" for row in table)
        yield Verdict(
            "three-phases",
            "paper",
            profile.model.name,
            "descriptive",
            f"{steps}; the notebook gives no threshold, so this is a description",
            details={"phases": table},
        )


@cache
def noise_rate(states: int, correlation: float = 0.0) -> float:
    """Return how often pure noise over `states` states passes as a bell, 0 to 1, from 10,000 seeded profiles.

    `correlation` is that of neighbouring layers (AR(1)); the standard error is at most .005.
    """
    noise = np.random.default_rng(0).standard_normal((_DRAWS, states))
    for layer in range(1, states):
        noise[:, layer] = correlation * noise[:, layer - 1] + np.sqrt(1 - correlation**2) * noise[:, layer]
    return float(is_bell(noise).mean())


def _phase(share: Array, name: str, start: int, end: int) -> Mapping[str, float | int | str | None]:
    last = len(share) - 1
    first, final = round(start * last / REFERENCE_LAYERS), round(end * last / REFERENCE_LAYERS)
    part = share[first : final + 1]
    return {
        "phase": name,
        "from": first,
        "to": final,
        "start": float(part[0]),
        "end": float(part[-1]),
        "mean": float(part.mean()),
        "slope": line(share, first, final + 1).slope,
    }


def _show(fitted: Line) -> str:
    return "too few layers for a slope" if fitted.slope is None else f"slope {fitted.slope:+.3g}"
