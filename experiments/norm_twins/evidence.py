"""What the stored profiles say: verdicts on the claims, and numbers beside them that test nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aniso_core import engine, prereg, store
from aniso_core.errors import AnisoError
from aniso_core.inference import Bounds, flatness, sign_flip, sign_flip_interval
from aniso_core.plugins import registry
from aniso_core.records import Array, Profile, Verdict
from aniso_core.rigorous import SHARE, sample
from aniso_core.standing import unmet
from aniso_twins import plan as plans
from aniso_twins.plan import Plan, Training
from norm_twins.design import HERE, PROFILES, TRAININGS, Arm, Design

Place = tuple[str, str]
"""A stream and a token set."""

PLACES: tuple[Place, ...] = tuple((stream, tokens) for stream in ("residual", "normed") for tokens in ("all", "bulk"))


@dataclass(frozen=True)
class Evidence:
    """The profiles and the records of trainings, by name, of all that the design wants and that did not diverge."""

    designed: Design
    profiles: Mapping[str, Profile]
    trainings: Mapping[str, Training]

    def arm(self, name: str) -> Arm:
        """Return an arm of the design."""
        return next(arm for arm in self.designed.arm if arm.name == name)

    def profile(self, plan: Plan, place: str) -> Profile:
        """Return the profile of a checkpoint."""
        return self.profiles[f"{plan.name}@{place}"]

    def twins(self, arms: Sequence[str], norm: str, place: str) -> list[tuple[Profile, Profile]]:
        """Return the profiles of a norm with those of their LayerNorm twins, seed by seed, none of which diverged."""
        known = {(p.norm, p.seed): p for name in arms for p in self.designed.plans(self.arm(name))}
        pairs = [(p, known["layernorm", seed]) for (other, seed), p in known.items() if other == norm]
        whole = [pair for pair in pairs if all(self.trainings[plan.name].diverged_at is None for plan in pair)]
        return [(self.profile(one, place), self.profile(other, place)) for one, other in whole]


def read(designed: Design, profiles: Path = PROFILES, trainings: Path = TRAININGS) -> Evidence:
    """Return what is stored; raises AnisoError for what is missing, or was made by another plan or from other texts."""
    found: dict[str, Profile] = {}
    records: dict[str, Training] = {}
    for checkpoint in designed.checkpoints():
        plan = checkpoint.plan
        training = plans.begun(trainings / plan.name, plan)
        if training is None:
            message = f"{trainings / plan.name} is missing; `make experiment` trains it."
            raise AnisoError(message)
        records[plan.name] = training
        if training.diverged_at is not None:
            continue
        profile = store.load(profiles / checkpoint.name)
        if profile.model.twin.rpartition(" @ ")[0] != plan.twin("").rpartition(" @ ")[0]:
            message = f"{profiles / checkpoint.name} is of a twin by another plan or corpus; measure the right one."
            raise AnisoError(message)
        found[checkpoint.name] = profile
    return Evidence(designed, found, records)


def judged(hypothesis: str, claims: str, profiles: Sequence[Profile]) -> list[Verdict]:
    """Return the confirmatory verdicts of a hypothesis over profiles, by the claims of a file beside this one.

    Raises AnisoError where the file was changed, and where a claim about these profiles is not met, as when it was
    registered after they were measured.
    """
    registered = prereg.read(HERE / f"{claims}.prereg.json")
    seed = registered.claims[0].seed
    found = engine.judge([registry().hypothesis(hypothesis)], profiles, seed, registered=registered)
    if found.failures:
        message = f"{hypothesis} failed: {found.failures[0].reason}."
        raise AnisoError(message)
    names = {profile.model.name for profile in profiles}
    for claim, why in unmet(found.verdicts, registered, profiles, seed):
        if names & set(claim.models):
            message = f"The claim {claim.id} of {claims}.prereg.json is not met: {why}."
            raise AnisoError(message)
    return [verdict for verdict in found.verdicts if verdict.standing == "confirmatory"]


def flat(profile: Profile, place: Place) -> float:
    """Return the standard deviation of the share over layers: free of noise where documents were kept apart."""
    found = sample(profile, SHARE, *place)
    if isinstance(found, str):
        return float(profile.curve(SHARE, *place).array().std())
    return flatness(found.pv).flatness


def highest(profile: Profile, metric: str, stream: str = "residual") -> float:
    """Return the largest value of a metric over layers, all tokens."""
    return float(np.nanmax(profile.curve(metric, stream, "all").array()))


def apart(pairs: Sequence[tuple[float, float]]) -> Bounds:
    """Return how much the first of each pair is above the second, with the exact 95 % interval where there is one."""
    return sign_flip_interval(np.array([one - other for one, other in pairs]))


def over_seeds(curves: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return mean, least and largest over seeds, each float64[layers]."""
    values = np.stack(curves)
    return values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def planted(ratio: float, tokens: int) -> float:
    """Return the share of states of which one in so many is `ratio` times as long as the others, along one direction.

    The others are of equal length and point evenly in all directions of a wide space, so that with p = 1 / tokens the
    share is ratio**2 p / (1 + ratio**2 p).
    """
    weight = ratio**2 / tokens
    return weight / (1 + weight)


def planted_ratio(norm_cv: float, tokens: int) -> float:
    """Return how many times as long as the others one in so many states is where norms have this norm-cv."""
    return 1 + norm_cv * tokens / (math.sqrt(tokens - 1) - norm_cv)


def power(pairs: int, size: float, alpha: float = 0.05) -> float:
    """Return how often sign flips over so many pairs find a mean difference of `size` of its standard deviations.

    One-sided, of 4,000 draws of normal differences, so that its standard error is below 0.008.
    """
    drawn = np.random.default_rng(0).normal(-size, 1.0, (4000, pairs))
    return float(np.mean([sign_flip(differences, "less", alpha).p <= alpha for differences in drawn]))
