"""Model cards of the tiny pair, written from the record of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_models import Point


@dataclass(frozen=True)
class Record:
    """What one training run measured; losses are in nats per token."""

    name: str
    seed: int
    passes: float
    training_tokens: int
    held_out_tokens: int
    parameters: int
    held_out_loss: float
    unigram_loss: float
    bytes_per_token: float
    seconds: float
    curve: tuple[Point, ...]


def write_card(record: Record, folder: Path) -> None:
    """Write the README.md of one model."""
    (folder / "README.md").write_text(f"# {record.name}\n")
