"""Trains twins: GPT-NeoX models that differ in their norm alone, from the same weights on the same data.

Run as `python -m aniso_twins.train --texts DIR --out FOLDER --norm layernorm rmsnorm --seed 0 1 2`. DIR holds .txt
files, each a book; into one without any Jane Austen's novels and the King James Bible are fetched (Debian's packages).
The same command goes on with what was stopped. The exit code is 1 where a training diverged, once the others are done.
"""

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

import torch
from transformers.utils.logging import disable_progress_bar

from aniso_core.errors import AnisoError
from aniso_twins.corpus import SEED, VOCABULARY, build_corpus, find_books
from aniso_twins.learning import BATCH, PEAK_RATE
from aniso_twins.norms import NORMS
from aniso_twins.plan import Plan, Recipe, Training, begun
from aniso_twins.training import train

_BYTES = 257
"""Entries of the smallest vocabulary: each byte, and the end of a text."""

_COUNTS = (
    ("blocks", 8, "blocks of the model"),
    ("width", 128, "width of its states"),
    ("heads", 4, "heads of a block"),
    ("batch", BATCH, "sequences of 256 tokens a step"),
    ("check", 50, "steps between looks at the held-out loss"),
    ("checkpoints", 12, "steps whose weights are kept at most: 0, powers of two, the end"),
    ("threads", 1, "threads of the processor"),
)
"""Options that are a number, with their defaults and what they count."""

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what was asked for, one after the other, and return the exit code."""
    given = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        ended = _trained(given)
    except AnisoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (OSError, CalledProcessError) as error:
        sys.stderr.write(f"Cannot go on: {error}; mend that and give the same command again.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; the same command goes on from the last stored steps.\n")
        return 130
    for training in ended:
        _tell(training)
    return int(any(training.diverged_at is not None for training in ended))


def _trained(given: argparse.Namespace) -> list[Training]:
    torch.set_num_threads(given.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call] # of writing a checkpoint
    device = _device(given.device)
    # The split is the tiny pair's for every seed, so that what it holds out, library128 may hold.
    corpus = build_corpus(find_books(given.texts), SEED, given.vocabulary)
    digest, sizes = corpus.sha256, (len(corpus.train), len(corpus.held_out))
    logger.info("corpus %s: %d training and %d held-out sequences", digest[:12], *sizes)
    recipe = Recipe(
        blocks=given.blocks,
        width=given.width,
        heads=given.heads,
        vocabulary=given.vocabulary,
        steps=given.steps or max(1, len(corpus.train) // given.batch),
        batch=given.batch,
        rate=given.rate,
        check=given.check,
        checkpoints=given.checkpoints,
        until_loss=given.until_loss,
        bfloat16=given.bfloat16,
    )
    seeds, norms = dict.fromkeys(given.seed), dict.fromkeys(given.norm)
    todo = [Plan(norm, seed, digest, recipe) for seed in seeds for norm in norms]
    # Refused before the first of them takes its hours.
    for plan in todo:
        begun(given.out / plan.name, plan)
    return [train(given.out, plan, corpus, device, following=len(todo) - i) for i, plan in enumerate(todo, start=1)]


def _device(given: str | None) -> torch.device:
    try:
        device = torch.device(given or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        message = f"There is no device {given!r} here; use cpu, cuda or cuda:N."
        raise AnisoError(message) from error
    return device


def _tell(training: Training) -> None:
    plan, until = training.plan, training.plan.recipe.until_loss
    if training.diverged_at is not None:
        logger.warning("%s diverged at step %d: %s.", plan.name, training.diverged_at, training.because)
        return
    held_out = training.curve[-1].held_out
    logger.info("%s: held-out loss %.3f after %.0f s", plan.name, held_out, training.seconds)
    if until is not None and training.matched_at is None:
        logger.warning("%s never had a held-out loss of %g or less, so it has no `matched`.", plan.name, until)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aniso_twins.train", description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="folder of .txt files, or to fetch texts into")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--norm", nargs="+", choices=NORMS, default=list(NORMS), help="default: all five")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], help="of weights and data order")
    for name, default, said in _COUNTS:
        parser.add_argument(f"--{name}", type=_count, default=default, help=f"{said} (default {default})")
    parser.add_argument("--steps", type=_count, help="default: one pass over the texts")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help=f"default {VOCABULARY}")
    rate = f"peak learning rate (default {PEAK_RATE:g})"
    parser.add_argument("--rate", type=_above_zero, default=PEAK_RATE, help=rate)
    parser.add_argument(
        "--until-loss", type=_above_zero, help="keep the first look at this held-out loss or less as `matched`"
    )
    parser.add_argument("--bfloat16", action="store_true", help="round checkpoints to bfloat16, half the disk")
    parser.add_argument("--device", help="cpu or cuda:N (default: a GPU if there is one)")
    given = parser.parse_args(arguments)
    width, heads, vocabulary = given.width, given.heads, given.vocabulary
    if width % (8 * heads):
        why = "since positions turn a quarter of a head"
        parser.error(f"wanted a width that is a multiple of 8 times the heads, {why}, got {width} for {heads}")
    if vocabulary < _BYTES:
        parser.error(f"wanted a vocabulary of {_BYTES} or more, each byte and the end of a text, got {vocabulary}")
    if given.checkpoints < 2:  # noqa: PLR2004 - the first step and the last
        parser.error(f"wanted 2 checkpoints or more, got {given.checkpoints}")
    return given


def _above_zero(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    message = f"wanted a number above 0, got {text}"
    raise argparse.ArgumentTypeError(message)


def _count(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    message = f"wanted a whole number from 1, got {text}"
    raise argparse.ArgumentTypeError(message)


if __name__ == "__main__":
    sys.exit(main())
