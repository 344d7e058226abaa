"""Architectures and training loop of the tiny pair."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tiny_data import CONTEXT, VOCABULARY
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

logger = logging.getLogger(__name__)

WIDTH, BLOCKS, HEADS = 128, 8, 4
BATCH = 8
PEAK_RATE, FINAL_RATE = 2e-3, 1e-4
WARM_UP_STEPS = 100
WEIGHT_DECAY = 0.1
CLIP = 1.0
EVERY = 50
# A sixth of the held-out text is enough for the curve; the final figure uses it all.
CURVE_STRIDE = 6


@dataclass(frozen=True)
class Point:
    """Mean losses in nats per token at one step of the training."""

    step: int
    train: float
    held_out: float


def neox() -> GPTNeoXForCausalLM:
    """Return an untrained GPT-NeoX model laid out as Pythia is."""
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=CONTEXT,
        use_parallel_residual=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(config)


def gemma() -> GemmaForCausalLM:
    """Return an untrained model of the first Gemma architecture."""
    config = GemmaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=WIDTH // HEADS,
        # Three matrices of 344 columns hold as many weights as two of 512.
        intermediate_size=344,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=0,
        # A padding entry would keep the embedding of token 0 from being trained.
        pad_token_id=None,
    )
    return GemmaForCausalLM(config)


ARCHITECTURES = {"neox": neox, "gemma": gemma}


def train(  # noqa: PLR0913 - what is trained on what, and who sees it grow
    name: str,
    train_set: np.ndarray,
    held_out: np.ndarray,
    *,
    passes: float,
    seed: int,
    keep: Callable[[PreTrainedModel, int], None] | None = None,
) -> tuple[PreTrainedModel, list[Point]]:
    """Train one model; the order of the sequences depends on `seed` alone.

    `keep` is given the model after steps 0, 1, 2, 4, 8, ... and the last.
    """
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]()
    batches = _batches(torch.from_numpy(train_set), passes, seed)
    if keep:
        keep(model, 0)
    optimiser = torch.optim.AdamW(_decay_groups(model), lr=PEAK_RATE, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, len(batches)))
    curve, recent, started = [], [], time.monotonic()
    for step, batch in enumerate(batches, start=1):
        loss = _loss(model, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        recent.append(loss.item())
        if keep and (step.bit_count() == 1 or step == len(batches)):  # powers of two, and the end
            keep(model, step)
        if step % EVERY == 0 or step == len(batches):
            point = Point(step, sum(recent) / len(recent), held_out_loss(model, held_out[::CURVE_STRIDE]))
            logger.info("%s %s of %d, %.0f s", name, point, len(batches), time.monotonic() - started)
            curve.append(point)
            recent = []
    return model, curve


def held_out_loss(model: PreTrainedModel, sequences: np.ndarray) -> float:
    """Return the mean loss in nats per predicted token over `sequences`: int64[m, 256]."""
    model.train(mode=False)
    with torch.no_grad():
        # Each sequence predicts equally many tokens, so the weights are the batch sizes.
        batches = torch.split(torch.from_numpy(sequences), BATCH)
        total = math.fsum(_loss(model, batch).item() * len(batch) for batch in batches)
    model.train()
    return total / len(sequences)


def _loss(model: PreTrainedModel, batch: torch.Tensor) -> torch.Tensor:
    loss: torch.Tensor = model(batch, labels=batch, use_cache=False).loss
    return loss


def _batches(sequences: torch.Tensor, passes: float, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(len(sequences), generator=generator) for _ in range(math.ceil(passes))])
    steps = int(passes * len(sequences)) // BATCH
    return [sequences[part] for part in torch.split(order[: steps * BATCH], BATCH)]


def _decay_groups(model: PreTrainedModel) -> list[dict[str, object]]:
    # Gains and biases are not decayed.
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    return [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]


def _rate(step: int, steps: int) -> float:
    """Return the learning rate as a share of its peak: linear warm-up, then half a cosine."""
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    done = (step - WARM_UP_STEPS) / (steps - WARM_UP_STEPS)
    floor = FINAL_RATE / PEAK_RATE
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
