"""What the stored profiles say: verdicts on the claims, and numbers beside them that test nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aniso_core import engine, prereg, store
from aniso_core.errors import AnisoError
from aniso_core.inference import Bounds, flatness, sign_flip, sign_flip_interval
from aniso_core.plugins import registry
from aniso_core.prereg import Preregistration
from aniso_core.records import Array, Profile, Verdict
from aniso_core.rigorous import SHARE, sample
from aniso_twins import plan as plans
from aniso_twins.plan import Training
from norm_twins.design import HERE, PROFILES, TRAININGS, Arm, Checkpoint, Design

Place = tuple[str, str]
"""A stream and a token set."""

PLACES: tuple[Place, ...] = tuple((stream, tokens) for stream in ("residual", "normed") for tokens in ("all", "bulk"))


@dataclass(frozen=True)
class Pair:
    """Twins of one seed, measured at the same checkpoint: the one with another norm, and the one with LayerNorm."""

    seed: int
    other: Profile
    layernorm: Profile

    def flatness(self, place: Place, first: int = 0) -> tuple[float, float]:
        """Return the flatness of the other and of the one with LayerNorm, from a first layer on."""
        return flat(self.other, place, first), flat(self.layernorm, place, first)

    def difference(self, place: Place) -> float:
        """Return how much less flat the other is: above 0 where its share varies more over layers."""
        other, layernorm = self.flatness(place)
        return other - layernorm


@dataclass(frozen=True)
class Evidence:
    """The profiles and the records of trainings, by name, of all arms that were run.

    There is no profile of what diverged, nor at the same loss of what never came down to it.
    """

    designed: Design
    profiles: Mapping[str, Profile]
    trainings: Mapping[str, Training]

    @property
    def diverged(self) -> Mapping[str, Training]:
        """The trainings that ended because they went wrong."""
        return {name: training for name, training in self.trainings.items() if training.diverged_at is not None}

    def arm(self, name: str) -> Arm:
        """Return an arm of the design."""
        return next(arm for arm in self.designed.arm if arm.name == name)

    def pairs(self, arms: Sequence[str], norm: str, folder: str) -> list[Pair]:
        """Return the twins of a norm and of LayerNorm at a checkpoint, seed by seed, that were both measured there."""
        plans = [plan for name in arms for plan in self.designed.plans(self.arm(name))]
        names = {(plan.norm, plan.seed): f"{plan.name}@{folder}" for plan in plans}
        known = {key: self.profiles[name] for key, name in names.items() if name in self.profiles}
        return [
            Pair(seed, profile, known["layernorm", seed])
            for (own, seed), profile in known.items()
            if own == norm and ("layernorm", seed) in known
        ]


def read(designed: Design, profiles: Path = PROFILES, trainings: Path = TRAININGS) -> Evidence:
    """Return what is stored of the arms that were begun.

    Raises AnisoError for what is missing of them, and for what was made by another plan or from other texts.
    """
    found: dict[str, Profile] = {}
    records: dict[str, Training] = {}
    begun = [arm.name for arm in designed.arm if any((trainings / p.name).exists() for p in designed.plans(arm))]
    for checkpoint in designed.only(begun).checkpoints():
        plan = checkpoint.plan
        training = plans.begun(trainings / plan.name, plan)
        if training is None:
            message = f"{trainings / plan.name} is missing; `make experiment RECORD=1` trains and stores it."
            raise AnisoError(message)
        records[plan.name] = training
        if checkpoint.is_of(training):
            profile = store.load(profiles / checkpoint.name)
            if not _is_of(profile, checkpoint):
                message = f"{profiles / checkpoint.name} is of another twin, plan or corpus; measure the right one."
                raise AnisoError(message)
            found[checkpoint.name] = profile
    if len({profile.prompts and profile.prompts.sha256 for profile in found.values()}) > 1:
        message = f"The profiles in {profiles} are not all of the same texts; measure them again."
        raise AnisoError(message)
    return Evidence(designed, found, records)


def _is_of(profile: Profile, checkpoint: Checkpoint) -> bool:
    model, plan = profile.model, checkpoint.plan
    # Twins share the name that they are paired by, so that it does not tell one norm from another.
    planned = model.twin.rpartition(" @ ")[0] == plan.twin("").rpartition(" @ ")[0]
    return planned and model.twin_norm == plan.norm and model.name == checkpoint.name


def judged(hypothesis: str, claims: str, found: Evidence, folder: str) -> list[Verdict]:
    """Return the confirmatory verdicts of a hypothesis over the pairs at a checkpoint, by a file of claims beside this.

    As the claims exclude it beforehand, a pair of which one diverged is no part of them. Raises AnisoError where the
    file was changed, and where a verdict does not meet its claim, as when the profiles are older.
    """
    pairs = found.pairs(["pairs"], "rmsnorm", folder)
    profiles = [profile for pair in pairs for profile in (pair.other, pair.layernorm)]
    planned = found.designed.plans(found.arm("pairs"))
    wrong = {plan.seed for plan in planned if plan.name in found.diverged}
    wanted = {f"{plan.name}@{folder}" for plan in planned if plan.seed not in wrong}
    registered = prereg.read(HERE / f"{claims}.prereg.json")
    own = [claim for claim in registered.claims if wanted & set(claim.models)]
    left = [replace(claim, models=tuple(name for name in claim.models if name in wanted)) for claim in own]
    seed = left[0].seed
    tested = engine.judge(
        [registry().hypothesis(hypothesis)], profiles, seed, registered=replace(registered, claims=tuple(left))
    )
    if tested.failures:
        message = f"{hypothesis} failed: {tested.failures[0].reason}."
        raise AnisoError(message)
    met: list[Verdict] = []
    for claim in left:
        verdicts = [v for v in tested.verdicts if _is_about(v, claim)]
        confirmed = [v for v in verdicts if v.standing == "confirmatory"]
        if len(confirmed) != (1 if claim.subject else len(claim.models)):
            others = (verdict for verdict in verdicts if verdict not in confirmed)
            why = next(("; ".join((v.because, *v.flags)) for v in others), "nothing judged it")
            message = f"The claim {claim.id} of {claims}.prereg.json is not met: {why}."
            raise AnisoError(message)
        met += confirmed
    return met


def _is_about(verdict: Verdict, claim: Preregistration) -> bool:
    if verdict.criterion != "rigorous" or (verdict.stream, verdict.tokens) != (claim.stream, claim.tokens):
        return False
    return verdict.subject in ({claim.subject} if claim.subject else claim.models)


def flat(profile: Profile, place: Place, first: int = 0) -> float:
    """Return the standard deviation of the share over layers from a first one on, free of noise, 0 for a level profile.

    Raises AnisoError where documents were not kept apart.
    """
    found = sample(profile, SHARE, *place)
    if isinstance(found, str):
        message = f"{profile.model.name} has no flatness: {found}."
        raise AnisoError(message)
    return flatness(found.pv[:, first:]).flatness


def spread(profile: Profile, place: Place) -> float:
    """Return the standard deviation of the share over layers, with what noise adds to it."""
    return float(profile.curve(SHARE, *place).array().std())


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
    largest eigenvalue of the covariance is ratio**2 p (1 - p) and the others sum to 1 - p.
    """
    weight = ratio**2 / tokens
    return weight / (1 + weight)


def planted_ratio(norm_cv: float, tokens: int) -> float:
    """Return how many times as long as the others one in so many states is, from norm-cv, below sqrt(tokens - 1)."""
    return 1 + norm_cv * tokens / (math.sqrt(tokens - 1) - norm_cv)


def power(pairs: int, size: float, alpha: float = 0.05) -> float:
    """Return how often sign flips over so many pairs find a mean difference of `size` of its standard deviations.

    One-sided, of 4,000 draws of normal differences, so that its standard error is below 0.008.
    """
    drawn = np.random.default_rng(0).normal(-size, 1.0, (4000, pairs))
    return float(np.mean([sign_flip(differences, "less", alpha).p <= alpha for differences in drawn]))
