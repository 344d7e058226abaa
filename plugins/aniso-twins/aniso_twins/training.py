"""Trains one twin so that it may be killed at any time: stored now and then, gone on with to the same bits on a CPU.

A training diverges, and ends there, when a loss or the size of the gradient is not finite, or when the training loss
since the last look or the held-out loss is more than EXPLODED nats above that of guessing all tokens alike.
"""

import copy
import fcntl
import io
import logging
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.text import visible
from aniso_twins import plan as plans
from aniso_twins.corpus import CONTEXT, END_ID, Corpus
from aniso_twins.learning import (
    BETAS,
    CLIP,
    CURVE_STRIDE,
    WARM_UP_STEPS,
    Point,
    data_order,
    decay_groups,
    held_out_loss,
    rate_share,
    token_loss,
    write_model,
)
from aniso_twins.model import GPTNeoXTwinConfig, GPTNeoXTwinForCausalLM
from aniso_twins.plan import Plan, Training

EXPLODED = 1.0
STATE, MATCHED = "state.pt", "matched"
_TEMPORARY = re.compile(r"\.\w+\.tmp")
_OURS = re.compile(r"step\d+|matched|\.(step\d+|matched)\.\w+\.tmp")

logger = logging.getLogger(__name__)


def untrained(plan: Plan) -> GPTNeoXTwinForCausalLM:
    """Return the model at step 0; weights that two norms both have are equal to the bit, as norms draw nothing."""
    recipe = plan.recipe
    config = GPTNeoXTwinConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.blocks,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=CONTEXT,
        use_parallel_residual=True,
        bos_token_id=END_ID,
        eos_token_id=END_ID,
        norm=plan.norm,
        corpus_sha256=plan.corpus_sha256,
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(plan.seed)
        return GPTNeoXTwinForCausalLM(config)


def train(out: Path, plan: Plan, corpus: Corpus, device: torch.device, *, following: int = 0) -> Training:
    """Train a twin in its folder under `out`, or go on with it, and return what became of it.

    Raises AnisoError where the folder holds a training by another plan, or another process trains in it. `following`
    is the number of trainings after this one, for the time that is left.
    """
    folder = out / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        training = plans.begun(folder, plan)
        if training is None or not training.ended:
            training = _Run(folder, plan, corpus, device, following).to_the_end()
        # Nothing goes on from it; a process that was killed before this has left it.
        (folder / STATE).unlink(missing_ok=True)
        return training


class _Run:
    """A training under way: model, optimiser and what has been recorded."""

    def __init__(self, folder: Path, plan: Plan, corpus: Corpus, device: torch.device, following: int) -> None:
        """Begin at step 0, or at the last stored step."""
        self.folder, self.plan, self.corpus, self.following = folder, plan, corpus, following
        self.model = untrained(plan)
        nn.Module.to(self.model, device)  # transformers' own is typed for no device
        self.optimiser = torch.optim.AdamW(decay_groups(self.model), lr=plan.recipe.rate, betas=BETAS)
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.training = Training(plan, parameters, str(device), _versions())
        if (folder / STATE).exists():
            self._restore()
        self._sweep()
        plans.write(folder, self.training)
        self.first, self.started, self.before = self.training.step, time.monotonic(), self.training.seconds

    def to_the_end(self) -> Training:
        """Take all steps that are left, and return the record."""
        recipe, kept = self.plan.recipe, set(self.plan.recipe.grid())
        sequences = torch.from_numpy(self.corpus.train)
        order = data_order(len(sequences), recipe.steps, recipe.batch, self.plan.seed)
        if self.training.step == 0:
            self._keep("step0", "step 0")
        losses: list[float] = []
        for step in range(self.training.step + 1, recipe.steps + 1):
            batch = sequences[order[step - 1]].to(self.model.device)
            loss, gradient = self._step(step, batch)
            losses.append(loss)
            if not math.isfinite(loss + gradient):
                what = "training loss" if not math.isfinite(loss) else "gradient"
                return self._diverged(step, f"the {what} of step {step} is not finite")
            if step not in kept and step % recipe.check:
                continue
            held_out = held_out_loss(self.model, self.corpus.held_out[::CURVE_STRIDE])
            point = Point(step, float(np.mean(losses)), held_out)
            losses = []
            most = math.log(recipe.vocabulary) + EXPLODED
            if not (point.train <= most and held_out <= most):  # what is no number is not below it either
                said = f"losses of {point.train:.3g} in training and {held_out:.3g} held out"
                return self._diverged(step, f"{said} at step {step} are more than {most:.3g}")
            self._look(point, kept=step in kept)
        self._end(finished=True)
        return self.training

    def _step(self, step: int, batch: torch.Tensor) -> tuple[float, float]:
        """Take one step and return its loss and the size of the gradient; weights stay where either is not finite."""
        out = token_loss(self.model, batch)
        torch.autograd.backward(out)
        loss, gradient = out.item(), float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP))
        if math.isfinite(loss + gradient):
            recipe = self.plan.recipe
            share = rate_share(step - 1, recipe.steps, min(WARM_UP_STEPS, recipe.steps // 4))
            for group in self.optimiser.param_groups:
                group["lr"] = share * recipe.rate
            self.optimiser.step()
        self.optimiser.zero_grad()
        return loss, gradient

    def _look(self, point: Point, *, kept: bool) -> None:
        """Record a point and keep its weights where they are wanted; then store all that the next step needs."""
        until, matched = self.plan.recipe.until_loss, self.training.matched_at
        if until is not None and matched is None and point.held_out <= until:
            matched = point.step
            self._keep(MATCHED, f"held-out loss {until:g}")
        if kept:
            self._keep(f"step{point.step}", f"step {point.step}")
        curve = (*self.training.curve, point)
        self.training = replace(
            self.training, step=point.step, matched_at=matched, seconds=self._seconds(), curve=curve
        )
        self._store()
        plans.write(self.folder, self.training)
        self._say(point)

    def _keep(self, name: str, where: str) -> None:
        """Write a checkpoint, whole or not at all."""
        model = copy.deepcopy(self.model).bfloat16() if self.plan.recipe.bfloat16 else self.model
        model.config.aniso_twin = self.plan.twin(where)
        with store.fresh(self.folder / name) as folder:
            write_model(model, self.corpus.tokenizer, folder)
            for path in folder.iterdir():
                store.sync(path)

    def _store(self) -> None:
        """Replace the stored state; what it holds began no step that is not whole."""
        stream = io.BytesIO()
        state = {
            "training": plans.encode(self.training).decode(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, stream)
        store.write_file(self.folder / STATE, stream.getvalue())

    def _restore(self) -> None:
        path = self.folder / STATE
        try:
            state = torch.load(path, map_location=self.model.device, weights_only=True)
        except Exception as error:
            message = f"{visible(path)} is damaged ({type(error).__name__}); remove it to begin this training again."
            raise AnisoError(message) from error
        self.training = replace(plans.decode(state["training"].encode(), path), device=str(self.model.device))
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        logger.info("%s goes on from step %d", self.plan.name, self.training.step)

    def _sweep(self) -> None:
        """Remove what a killed process left: files under other names, and checkpoints beyond the stored state."""
        reached = self.training.step
        kept = {f"step{step}" for step in self.plan.recipe.grid() if step <= reached} if reached else set()
        kept |= {MATCHED} if self.training.matched_at is not None else set()
        for path in self.folder.iterdir():
            # What is called otherwise is somebody else's.
            if path.is_dir() and _OURS.fullmatch(path.name) and path.name not in kept:
                shutil.rmtree(path)
            elif path.is_file() and _TEMPORARY.fullmatch(path.name):
                path.unlink()

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _diverged(self, step: int, because: str) -> Training:
        self._end(diverged_at=step, because=because)
        logger.warning("%s diverged: %s; it ends there.", self.plan.name, because)
        return self.training

    def _end(self, **outcome: Any) -> None:
        self.training = replace(self.training, seconds=self._seconds(), **outcome)
        plans.write(self.folder, self.training)

    def _say(self, point: Point) -> None:
        """Log a point, and what steps cost since this process began."""
        recipe = self.plan.recipe
        pace = (time.monotonic() - self.started) / (point.step - self.first)
        left = pace * (recipe.steps - point.step)
        logger.info(
            "%s: step %d of %d, loss %.3f, held out %.3f; %.3g s a step, %.0f tokens/s, %s left%s",
            self.plan.name,
            point.step,
            recipe.steps,
            point.train,
            point.held_out,
            pace,
            recipe.batch * CONTEXT / pace,
            _duration(left),
            f" ({_duration(left + self.following * pace * recipe.steps)} with all that follow)" * bool(self.following),
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; the system lets go of it when this one ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another process trains in {visible(folder)}; wait for it, or name another --out."
            raise AnisoError(message) from error
        yield
    finally:
        os.close(handle)


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "transformers", "tokenizers")}
    return {"python": platform.python_version(), **packages}


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - then hours read better
