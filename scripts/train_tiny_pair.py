"""Train the tiny GPT-NeoX and Gemma models that ship with aniso, from nothing.

Run as `python scripts/train_tiny_pair.py --texts DIR --out plugins`. With `--checkpoints FOLDER` in place of `--out`
the weights of steps 0, 1, 2, 4, ... go to FOLDER/tiny-NAME/stepN, and what ships stays as it is; `--passes 0.5356`
makes that 512 steps.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import multiprocessing
import os
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tiny_card import Record, write_card
from tiny_models import ARCHITECTURES, train
from transformers import AutoModelForCausalLM

from aniso_twins import texts
from aniso_twins.corpus import SEED, VOCABULARY, Corpus, build_corpus, read_books
from aniso_twins.learning import held_out_loss, write_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

FOLDERS = {
    "neox": Path("aniso-pythia/aniso_pythia/tiny"),
    "gemma": Path("aniso-gemma/aniso_gemma/tiny"),
}


def main() -> None:
    """Read the texts, then train the models side by side, one process and one thread each."""
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    texts.fetch(arguments.texts, texts.TRAINING_PACKAGES)
    corpus = build_corpus(read_books(arguments.texts), arguments.seed)
    logger.info("%d training and %d held-out sequences", len(corpus.train), len(corpus.held_out))
    names = [arguments.only] if arguments.only else list(ARCHITECTURES)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make, args=(name, corpus, arguments)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="folder that caches the text packages")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, help="folder that holds the plugins")
    target.add_argument("--checkpoints", type=Path, help="folder for the weights of steps 0, 1, 2, 4, ... instead")
    parser.add_argument("--only", choices=sorted(ARCHITECTURES), help="train one of the two")
    parser.add_argument("--passes", type=float, default=2.0, help="passes over the training text")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def _make(name: str, corpus: Corpus, arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    chosen = {"passes": arguments.passes, "seed": arguments.seed}
    if arguments.checkpoints:
        folder = arguments.checkpoints / f"tiny-{name}"
        train(name, corpus.train, corpus.held_out, **chosen, keep=partial(keep, corpus, folder))
        return
    started = time.monotonic()
    model, curve = train(name, corpus.train, corpus.held_out, **chosen)
    seconds = time.monotonic() - started
    folder = arguments.out / FOLDERS[name]
    save(model, corpus, folder)
    # What ships is measured: the rounded weights, read back.
    shipped = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    record = Record(
        name=name,
        seed=arguments.seed,
        passes=arguments.passes,
        training_tokens=int(corpus.train.size),
        held_out_tokens=int(corpus.held_out.size),
        parameters=sum(p.numel() for p in shipped.parameters()),
        held_out_loss=held_out_loss(shipped, corpus.held_out),
        unigram_loss=unigram_loss(corpus),
        bytes_per_token=corpus.held_out_bytes_per_token,
        seconds=seconds,
        curve=tuple(curve),
    )
    (folder / "training.json").write_text(json.dumps(asdict(record), indent=1) + "\n")
    write_card(record, folder)


def keep(corpus: Corpus, folder: Path, model: PreTrainedModel, step: int) -> None:
    """Write the weights of a step to `stepN` in a folder; the model itself is trained on in float32."""
    save(copy.deepcopy(model), corpus, folder / f"step{step}")


def save(model: PreTrainedModel, corpus: Corpus, folder: Path) -> None:
    """Write the weights, rounded once to bfloat16, the configuration and the tokenizer."""
    write_model(model.bfloat16(), corpus.tokenizer, folder)


def unigram_loss(corpus: Corpus) -> float:
    """Return the held-out loss in nats per token of add-one smoothed token frequencies."""
    counts = np.bincount(corpus.train.ravel(), minlength=VOCABULARY) + 1
    # The first token of a sequence is not predicted by the models either.
    targets = corpus.held_out[:, 1:]
    return float(-np.log(counts / counts.sum())[targets].mean())


if __name__ == "__main__":
    # Threads of the tokenizer and of BLAS would take the other model's core.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
