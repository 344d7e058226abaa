"""Model cards of the tiny pair, written from the record of the training."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass
from importlib.metadata import version
from string import Template
from typing import TYPE_CHECKING

from aniso_twins.corpus import VOCABULARY

if TYPE_CHECKING:
    from pathlib import Path

    from aniso_twins.learning import Point

TABLE_ROWS = 10


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


TITLES = {"neox": "Tiny GPT-NeoX", "gemma": "Tiny Gemma"}
ARCHITECTURES = {
    "neox": (
        "`GPTNeoXForCausalLM`, laid out as Pythia is: LayerNorm with gain and bias, attention\n"
        "and MLP in parallel, rotary positions on a quarter of each head, GELU MLP of width\n"
        "512, input and output embeddings apart"
    ),
    "gemma": (
        "`GemmaForCausalLM`, the first Gemma: RMSNorm with gain 1 + w, attention before MLP,\n"
        "rotary positions on the whole head, gated GELU MLP of width 344, embeddings scaled by\n"
        "the square root of the width and tied to the output"
    ),
}

CARD = Template("""\
---
license: apache-2.0
language: en
library_name: transformers
---

# $title

A very small language model for trying out aniso and for its tests. It has learnt some
English, which a model of random weights has not, but it is no model to write or to
judge text with. Its twin of the other architecture saw the same tokens in the same order.

## Architecture

$architecture.

8 blocks of width 128, 4 heads of 32, context of 256 tokens, $parameters parameters,
trained in float32 and rounded once to bfloat16.

## Text

- Jane Austen's six novels (Debian package `r-cran-janeaustenr`): public domain.
- The King James Bible (Debian package `bible-kjv-text`): public domain, in the United
  Kingdom printed under letters patent of the Crown.

Of each novel and of the Bible 5 % of the chapters, drawn with the seed, were held out
whole. Neighbouring paragraphs were joined by a line break into documents of about 1,000
characters; each document follows an `<|endoftext|>`.

## Tokenizer

Byte-level BPE with 4,096 entries, trained on the training part of the text.
`<|endoftext|>`, entry 0, begins and ends a text and stands for the unknown; the
tokenizer adds none by itself. There is no padding token.

## Training

$steps steps of 8 sequences of 256 tokens ($passes passes over $training_tokens tokens), AdamW
(0.9, 0.95, weight decay 0.1 on matrices), learning rate up to 2e-3 in 100 steps, then
down to 1e-4 on a cosine, gradients clipped to norm 1, seed $seed. $minutes minutes on one CPU
thread, with the twin training beside it.

    python scripts/train_tiny_pair.py --texts DIR --out plugins --passes $passes --seed $seed

Made with $versions. The file
`training.json` holds the whole curve; here is a part. Losses are in nats per token; the
held-out column uses a sixth of the held-out text.

| step | training loss | held-out loss |
|---:|---:|---:|
$curve

## Held-out text

Measured on the rounded weights, over all $held_out_tokens held-out tokens in sequences of
256; the unigram model has add-one smoothed token frequencies of the training text.

| model | nats per token | perplexity | bits per byte |
|---|---:|---:|---:|
$comparison

## Licence

The weights and the tokenizer are under the Apache licence 2.0.
""")


def write_card(record: Record, folder: Path) -> None:
    """Write the README.md of one model."""
    losses = {"this model": record.held_out_loss, "unigram": record.unigram_loss, "uniform": math.log(VOCABULARY)}
    card = CARD.substitute(
        title=TITLES[record.name],
        architecture=ARCHITECTURES[record.name],
        parameters=f"{record.parameters:,}",
        steps=f"{record.curve[-1].step:,}",
        passes=record.passes,
        training_tokens=f"{record.training_tokens:,}",
        held_out_tokens=f"{record.held_out_tokens:,}",
        seed=record.seed,
        minutes=round(record.seconds / 60),
        versions=_versions(),
        curve="\n".join(map(_curve_row, _thinned(record.curve))),
        comparison="\n".join(_loss_row(name, loss, record.bytes_per_token) for name, loss in losses.items()),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _versions() -> str:
    packages = (f"{name} {version(name)}" for name in ("torch", "transformers", "tokenizers"))
    return ", ".join((f"Python {platform.python_version()}", *packages))


def _thinned(curve: tuple[Point, ...]) -> tuple[Point, ...]:
    # Counted from the end, so that the last point is always there.
    return curve[:: -max(1, len(curve) // TABLE_ROWS)][::-1]


def _curve_row(point: Point) -> str:
    return f"| {point.step:,} | {point.train:.3f} | {point.held_out:.3f} |"


def _loss_row(name: str, loss: float, bytes_per_token: float) -> str:
    bits_per_byte = loss / math.log(2) / bytes_per_token
    return f"| {name} | {loss:.3f} | {math.exp(loss):,.1f} | {bits_per_byte:.3f} |"
