"""How twins and the tiny pair learn: losses, the order of the data, AdamW's groups, the learning rate."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from aniso_twins.corpus import CONTEXT, END

BATCH = 8
PEAK_RATE, FINAL_SHARE = 2e-3, 0.05
WARM_UP_STEPS = 100
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
CLIP = 1.0
# A sixth of the held-out text is enough for the curve; the final figure uses it all.
CURVE_STRIDE = 6


@dataclass(frozen=True)
class Point:
    """Mean losses in nats per token at one step of a training."""

    step: int
    train: float
    """Over the batches since the point before."""
    held_out: float


def token_loss(model: PreTrainedModel, batch: torch.Tensor) -> torch.Tensor:
    """Return the mean loss in nats per predicted token of a batch, int64[b, 256]."""
    loss: torch.Tensor = model(batch, labels=batch, use_cache=False).loss
    return loss


def held_out_loss(model: PreTrainedModel, sequences: np.ndarray) -> float:
    """Return the mean loss in nats per predicted token over `sequences`: int64[m, 256]."""
    model.train(mode=False)
    with torch.no_grad():
        # Each sequence predicts equally many tokens, so the weights are the batch sizes.
        batches = torch.split(torch.from_numpy(sequences).to(model.device), BATCH)
        total = math.fsum(token_loss(model, batch).item() * len(batch) for batch in batches)
    model.train()
    return total / len(sequences)


def data_order(count: int, steps: int, batch: int, seed: int) -> torch.Tensor:
    """Return which of `count` sequences each step takes, int64[steps, batch]: pass after pass, shuffled by the seed."""
    generator = torch.Generator().manual_seed(seed)
    passes = math.ceil(steps * batch / count)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
    return order[: steps * batch].reshape(steps, batch)


def decay_groups(model: PreTrainedModel) -> list[dict[str, object]]:
    """Return the parameters in two groups: matrices, which decay, then gains and biases, which do not."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    return [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]


def rate_share(step: int, steps: int, warm_up: int = WARM_UP_STEPS) -> float:
    """Return the learning rate as a share of its peak: linear warm-up, then half a cosine down to FINAL_SHARE."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / (steps - warm_up)
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done))


def write_model(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights, configuration and tokenizer, so that AutoModel and AutoTokenizer read them from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    # The generation settings only repeat the configuration.
    (folder / "generation_config.json").unlink(missing_ok=True)
    # The weights come readable by their owner alone, which a wheel would keep.
    (folder / "model.safetensors").chmod(0o644)
    # transformers leaves this call untyped.
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        model_max_length=CONTEXT,
    ).save_pretrained(folder)
