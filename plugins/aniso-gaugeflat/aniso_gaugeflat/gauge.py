"""The notebooks' criteria on RMSNorm models, exactly as they computed them, and how often chance passes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from aniso_core.comparing import MOST_PAIRS, too_many
from aniso_core.paper import paper_shares, shapeless, unmeasurable
from aniso_core.records import PAPER, Array, Profile, Verdict

_DRAWS = 10_000


@dataclass(frozen=True)
class Reference:
    """The LayerNorm profile that RMSNorm models are held against."""

    name: str
    spread: float
    highest: float
    peak: int
    states: int


PUBLISHED = Reference("published Pythia-6.9B (range 0.934, max 0.994, L* 7)", 0.934, 0.994, 7, 33)
"""The constants of the Gemma notebook."""


def gauge_flatness(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Judge each RMSNorm profile: flatter if its range is below that of each LayerNorm profile at hand.

    Without a measured LayerNorm profile the published Pythia-6.9B constants serve, and the verdict says so.
    """
    references = [r for p in profiles if p.model.norm == "layernorm" and (r := _reference(p)) is not None]
    pairs = len(references) * sum(profile.model.norm == "rmsnorm" for profile in profiles)
    if pairs > MOST_PAIRS:
        yield Verdict("gauge-flatness", "paper", f"{len(profiles)} models", "not_testable", too_many(pairs))
        return
    for profile in profiles:
        share = paper_shares(profile)
        if share is None:
            yield unmeasurable("gauge-flatness", profile, shapeless(profile, 1))
        elif profile.model.norm != "rmsnorm":
            norm = "LayerNorm" if profile.model.norm else "no recognised norm"
            yield unmeasurable("gauge-flatness", profile, f"the claim is about RMSNorm models and this one has {norm}")
        else:
            for reference in references or [PUBLISHED]:
                yield _flatter(profile, share, reference)


def norm_uniformity(profiles: Sequence[Profile], _rng: np.random.Generator) -> Iterator[Verdict]:
    """Describe how much norms vary over tokens, on each stream that was measured, for all tokens and for bulk."""
    for profile in profiles:
        means = {}
        for stream in ("residual", "normed", PAPER):
            for tokens in ("all", "bulk"):
                curve = profile.find("norm-cv", stream, tokens)
                values = np.array([]) if curve is None else curve.array()
                if np.isfinite(values).any():
                    means[f"{stream}/{tokens}"] = float(np.nanmean(values))
        if not means:
            reason = "the coefficient of variation of the norms was not measured"
            yield unmeasurable("norm-uniformity", profile, reason)
            continue
        aside = "" if profile.model.norm == "rmsnorm" else "; the claim is about RMSNorm, which this model has not"
        shown = ", ".join(f"{where} {value:.3f}" for where, value in means.items())
        yield Verdict(
            "norm-uniformity",
            "paper",
            profile.model.name,
            "descriptive",
            f"mean coefficient of variation of the norms: {shown}; the notebook gives no threshold{aside}",
            details={"mean_cv": means},
        )


@cache
def chance_rate(states: int, reference_states: int) -> float:
    """Return how often a profile counts as flatter though both follow the same law, 0 to 1.

    From 10,000 seeded pairs of independent noise: fewer states have a smaller range by depth alone.
    """
    rng = np.random.default_rng(0)
    mine, theirs = (rng.standard_normal((_DRAWS, n)) for n in (states, reference_states))
    return float((np.ptp(mine, axis=1) < np.ptp(theirs, axis=1)).mean())


def _reference(profile: Profile) -> Reference | None:
    share = paper_shares(profile)
    if share is None:
        return None
    kind = "published" if profile.model.source == "published" else "measured"
    name = f"{kind} {profile.model.name}"
    return Reference(name, float(np.ptp(share)), float(share.max()), int(share.argmax()), len(share))


def _flatter(profile: Profile, share: Array, reference: Reference) -> Verdict:
    spread = float(np.ptp(share))
    flatter = spread < reference.spread
    return Verdict(
        "gauge-flatness",
        "paper",
        profile.model.name,
        "supported" if flatter else "refuted",
        f"its range is {spread:.4f} and that of {reference.name} is {reference.spread:.4f}; one model against one "
        "cannot tell the norm from depth, width, data or tokenizer",
        label="flatter" if flatter else "not flatter",
        estimate=spread - reference.spread,
        false_positive_rate=chance_rate(len(share), reference.states),
        false_positive_null=f"the same law in both models, {len(share)} against {reference.states} states",
        reference=reference.name,
        details={
            "profile_range": spread,
            "profile_variance": float(share.var()),
            "max_anisotropy": float(share.max()),
            "L_star": int(share.argmax()),
            "reference_range": reference.spread,
            "reference_max": reference.highest,
            "reference_L_star": reference.peak,
            "percent_flatter": 100.0 * (1.0 - spread / reference.spread) if reference.spread > 0 else None,
        },
    )
