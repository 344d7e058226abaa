"""Architectures and training loop of the tiny pair."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
)

from aniso_twins.corpus import CONTEXT, VOCABULARY
from aniso_twins.learning import (
    BATCH,
    BETAS,
    CLIP,
    CURVE_STRIDE,
    PEAK_RATE,
    Point,
    data_order,
    decay_groups,
    held_out_loss,
    rate_share,
    token_loss,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

logger = logging.getLogger(__name__)

WIDTH, BLOCKS, HEADS = 128, 8, 4
EVERY = 50


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
    steps = int(passes * len(train_set)) // BATCH
    order = data_order(len(train_set), steps, BATCH, seed)
    if keep:
        keep(model, 0)
    optimiser = torch.optim.AdamW(decay_groups(model), lr=PEAK_RATE, betas=BETAS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_share(step, steps))
    curve, recent, started = [], [], time.monotonic()
    for step, chosen in enumerate(order, start=1):
        loss = token_loss(model, torch.from_numpy(train_set)[chosen])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        recent.append(loss.item())
        if keep and (step.bit_count() == 1 or step == steps):  # powers of two, and the end
            keep(model, step)
        if step % EVERY == 0 or step == steps:
            point = Point(step, sum(recent) / len(recent), held_out_loss(model, held_out[::CURVE_STRIDE]))
            logger.info("%s %s of %d, %.0f s", name, point, steps, time.monotonic() - started)
            curve.append(point)
            recent = []
    return model, curve
