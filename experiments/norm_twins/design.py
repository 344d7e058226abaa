"""What the experiment trains and measures, as design.toml says."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from aniso_core.errors import AnisoError
from aniso_twins.plan import Plan, Recipe, Training
from aniso_twins.training import MATCHED

HERE = Path(__file__).parent
PROFILES, TRAININGS = HERE / "profiles", HERE / "trainings"


@dataclass(frozen=True)
class Measured:
    """Metrics that are measured on a set of checkpoints."""

    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """Twins of one size; `followed` says whether their checkpoints before the last are measured, too."""

    name: str
    blocks: int
    width: int
    heads: int
    norms: tuple[str, ...]
    seeds: tuple[int, ...]
    followed: bool


@dataclass(frozen=True)
class Checkpoint:
    """A model to measure: its training, its folder in that, and whether it is measured whole."""

    plan: Plan
    folder: str
    whole: bool

    @property
    def name(self) -> str:
        """What a run calls the model, as in `8x128-seed0-rmsnorm@step500`."""
        return f"{self.plan.name}@{self.folder}"

    def is_of(self, training: Training) -> bool:
        """Return whether a training that ended came to it: one that diverged did not, nor one to a loss too low."""
        return training.diverged_at is None and (self.folder != MATCHED or training.matched_at is not None)


@dataclass(frozen=True)
class Design:
    """The content of design.toml."""

    corpus_sha256: str
    prompts: str
    recipe: Mapping[str, Any]
    """How all twins are trained, whatever their size: fields of a Recipe."""
    measured: Measured
    followed: Measured
    arm: tuple[Arm, ...]

    @property
    def last(self) -> str:
        """The checkpoint after the last step, as `step500`."""
        return f"step{self.recipe['steps']}"

    def only(self, names: Sequence[str] = ()) -> "Design":
        """Return the design of some of its arms, or of all; raises AnisoError for an arm that it has not."""
        unknown = [name for name in names if name not in {arm.name for arm in self.arm}]
        if unknown:
            message = f"There is no arm {unknown[0]!r}; the arms are {', '.join(arm.name for arm in self.arm)}."
            raise AnisoError(message)
        return replace(self, arm=tuple(arm for arm in self.arm if not names or arm.name in names))

    def plans(self, arm: Arm) -> list[Plan]:
        """Return the trainings of an arm, seed by seed."""
        sized = {"blocks": arm.blocks, "width": arm.width, "heads": arm.heads, "bfloat16": False}
        recipe = msgspec.convert({**self.recipe, **sized}, Recipe)
        return [Plan(norm, seed, self.corpus_sha256, recipe) for seed in arm.seeds for norm in arm.norms]

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all that is measured."""
        for arm in self.arm:
            for plan in self.plans(arm):
                earlier = [f"step{step}" for step in plan.recipe.grid()[:-1]] if arm.followed else []
                for folder in (*earlier, self.last, MATCHED):
                    yield Checkpoint(plan, folder, whole=folder not in earlier)


def read() -> Design:
    """Return the design."""
    return msgspec.convert(tomllib.loads((HERE / "design.toml").read_text()), Design)
