"""What a twin is trained by, what its training has come to, and the file that tells of it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.text import visible
from aniso_core.unfinished import differences
from aniso_twins.learning import Point

RECORD = "training.json"


@dataclass(frozen=True)
class Recipe:
    """What all twins of an experiment share."""

    blocks: int
    width: int
    heads: int
    vocabulary: int
    steps: int
    batch: int
    rate: float
    """Peak learning rate."""
    check: int
    """Steps from one look at the held-out loss to the next."""
    checkpoints: int
    """Number of steps whose weights are kept, at most."""
    until_loss: float | None
    """Held-out loss in nats per token at which twins are compared, too."""
    bfloat16: bool
    """Whether checkpoints are rounded to bfloat16."""

    def grid(self) -> tuple[int, ...]:
        """Return the steps whose weights are kept: 0, the largest powers of two, the end."""
        powers = [1 << i for i in range(self.steps.bit_length()) if 1 << i < self.steps]
        return (0, *powers[max(0, len(powers) + 2 - self.checkpoints) :], self.steps)


@dataclass(frozen=True)
class Plan:
    """One training: a norm, a seed, and what it shares with its twins."""

    norm: str
    seed: int
    corpus_sha256: str
    recipe: Recipe

    @property
    def name(self) -> str:
        """The folder of its checkpoints, as in `8x128-seed0-rmsnorm`."""
        return f"{self.recipe.blocks}x{self.recipe.width}-seed{self.seed}-{self.norm}"

    def twin(self, where: str) -> str:
        """Return what twins have in common at a step or a loss: all of the plan that weights come of, but the norm."""
        recipe = self.recipe
        rounded = ", in bfloat16" if recipe.bfloat16 else ""
        return (
            f"{recipe.blocks}x{recipe.width}, {recipe.heads} heads, {recipe.vocabulary} tokens, corpus "
            f"{self.corpus_sha256[:12]}, seed {self.seed}, {recipe.steps} steps of {recipe.batch}, rate "
            f"{recipe.rate:g}{rounded} @ {where}"
        )


@dataclass(frozen=True)
class Training:
    """What `training.json` holds: the plan, and what became of it up to the last stored step."""

    plan: Plan
    parameters: int = 0
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    step: int = 0
    """Last step that is stored."""
    finished: bool = False
    matched_at: int | None = None
    """Step at which the held-out loss first was `until_loss` or less, of those that were looked at."""
    diverged_at: int | None = None
    """Step at which the training ended because it went wrong, and why."""
    because: str = ""
    seconds: float = 0.0
    """Wall time, with looks at the held-out loss."""
    curve: tuple[Point, ...] = ()
    """Losses in nats per token, after each step that was looked at or kept."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to train."""
        return self.finished or self.diverged_at is not None


def encode(training: Training) -> bytes:
    """Return a training as the bytes of its file."""
    return json.dumps(asdict(training), indent=1, allow_nan=False).encode() + b"\n"


def decode(data: bytes, path: Path) -> Training:
    """Return the training that `encode` made bytes of; raises AnisoError where they are damaged."""
    try:
        return msgspec.json.decode(data, type=Training)
    except msgspec.DecodeError as error:
        message = f"{visible(path)} is damaged ({visible(error)}); remove its folder to train again."
        raise AnisoError(message) from error


def write(folder: Path, training: Training) -> None:
    """Write a training's file, whole or not at all."""
    store.write_file(folder / RECORD, encode(training))


def begun(folder: Path, plan: Plan) -> Training | None:
    """Return the training of a folder, None where there is none; raises AnisoError for one by another plan."""
    path = folder / RECORD
    if not path.exists():
        return None
    training = decode(path.read_bytes(), path)
    if other := differences(_asked(training.plan), _asked(plan)):
        message = (
            f"{visible(folder)} was begun with something else: {other}. Ask for what it was begun with, or name "
            "another --out."
        )
        raise AnisoError(message)
    return training


def _asked(plan: Plan) -> dict[str, object]:
    """Return what a training goes by, by option."""
    options = {"norm": plan.norm, "seed": plan.seed, **asdict(plan.recipe)}
    return {"texts": plan.corpus_sha256} | {f"--{name.replace('_', '-')}": value for name, value in options.items()}
