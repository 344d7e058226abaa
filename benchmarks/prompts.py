"""The notebooks' job, 16 prompts and spectra of few tokens in a wide model: their way against aniso's."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import torch
from results import Target, cells, record
from subjects import GivenTokens, random_pythia
from timing import alternate, seconds
from ways import (
    ALL,
    BATCH_TOKENS,
    BOTH,
    DEFAULT,
    METRICS,
    RESIDUAL,
    Folding,
    Stacking,
    bare,
    notebook_numbers,
    profile,
    states_of,
)

from aniso_core.batches import plan_batches
from aniso_core.running import RunningMoments
from aniso_core.tokens import Tokens, Window

WIDTHS = (("410M", 1024), ("1.4B", 2048))
LENGTHS = (8, 9, 9, 10, 10, 10, 11, 11, 11, 11, 12, 12, 13, 13, 14, 14)
ROUNDS = 5
SPECTRA_SHAPE = (180, 4096)
SPECTRA_LAYERS = 33
SPECTRA_TIMED = 3  # of these layers, in the slow way

PROMPTS_TARGETS = {
    "notebook / aniso as the notebook asks": Target("at least", 4.5),
    "aniso as the notebook asks / padded pass": Target("at most", 1.08),
    "metrics alone, notebook / aniso": Target("at least", 100),
}
SPECTRA_TARGETS = {"notebook / aniso": Target("at least", 300)}

PROMPTS_NOTE = """\
{prompts} prompts, {tokens} random tokens, on models of Pythia's shapes with random weights in float32; {rounds} rounds.
The notebook takes one prompt at a time with the language-model head, keeps all states, then computes d x d covariances
and their eigenvalues. aniso packs prompts into rows; as the notebook asks it reads the residual stream and the final
norm for one token set, by default both streams for three with intervals over prompts, and computes all installed
metrics in either case. The padded pass is one bare pass of the trunk over all prompts at once, padded on the right.
Whole jobs run between two padded passes, and ratios of jobs are ratios of their ratios to these. Metrics alone start
from states that are there."""

PROMPTS_MISSED = """\
Why metrics alone do not reach their target on two AVX2 cores: effective rank needs all eigenvalues of the 178 x 178
matrix of a site, and these alone, by the fastest routine found, take 1/26 of the notebook's time at 410M; the rest is
reading the states, classes of tokens, and the metrics that the notebook does not have."""

SPECTRA_NOTE = """\
All installed metrics that need no token classes, from {count} random states of width {width:,} with a decaying
spectrum, {layers} layers; {rounds} rounds. The notebook's way is a d x d covariance in float32 and its eigenvalues;
{timed} of the layers were timed, and the time scaled to {layers}."""


def main() -> None:
    """Measure the prompts and the spectra."""
    prompts()
    spectra()


def prompts(widths: Iterable[tuple[str, int]] = WIDTHS, rounds: int = ROUNDS) -> None:
    """Do the notebooks' job on models of Pythia's shapes."""
    rows = []
    for name, width in widths:
        job = PromptsJob(width)
        rows += [(name, *row) for row in summary([job.round() for _ in range(rounds + 1)], PROMPTS_TARGETS)]
    note = PROMPTS_NOTE.format(prompts=len(LENGTHS), tokens=sum(LENGTHS), rounds=rounds)
    columns = ("model", "what", "median", "quartiles", "target", "reached")
    record("A handful of prompts", columns, rows, note, PROMPTS_MISSED)


def summary(rounds: Sequence[dict[str, float]], targets: dict[str, Target]) -> list[tuple[str, ...]]:
    """Return a row for each thing measured; the first round warms up and is left out."""
    return [(what, *cells([once[what] for once in rounds[1:]], targets.get(what))) for what in rounds[0]]


class PromptsJob:
    """The notebooks' job on one model, done in each way."""

    def __init__(self, width: int) -> None:
        """Make the model and the prompts."""
        self.model = random_pythia(width)
        generator = np.random.default_rng(0)
        ids = [tuple(generator.integers(0, 50_000, length).tolist()) for length in LENGTHS]
        windows = [Window(tokens, number, prefix=0, suffix=0) for number, tokens in enumerate(ids)]
        self.probe = GivenTokens(self.model, windows)
        (self.batch,) = plan_batches(windows, BATCH_TOKENS)
        self.states = states_of(self.probe, Folding(self.probe, RESIDUAL, len(ids)).sites, self.batch)

    def round(self) -> dict[str, float]:
        """Return the seconds of each way, and the ratios."""
        stacking = Stacking(self.model)
        ways = [
            partial(profile, self.probe, RESIDUAL, ALL, intervals=False),
            partial(profile, self.probe, BOTH, DEFAULT),
            partial(stacking.take, self.batch),
        ]
        asked, default, reading = alternate(partial(bare, self.probe, self.batch), ways)
        numbers, metrics = seconds(stacking.numbers), seconds(self.metrics)
        notebook = reading.plus(numbers)
        return {
            "notebook, s": notebook.seconds,
            "notebook, metrics alone, s": numbers,
            "aniso as the notebook asks, s": asked.seconds,
            "aniso as the notebook asks, metrics alone, s": metrics,
            "aniso by default, s": default.seconds,
            "padded pass, s": asked.bare,
            "notebook / aniso as the notebook asks": notebook.ratio / asked.ratio,
            "notebook / aniso by default": notebook.ratio / default.ratio,
            "aniso as the notebook asks / padded pass": asked.ratio,
            "aniso by default / padded pass": default.ratio,
            "metrics alone, notebook / aniso": numbers / metrics,
        }

    def metrics(self) -> None:
        """Compute what the notebook asks for from the states."""
        folding = Folding(self.probe, RESIDUAL, len(LENGTHS))
        folding.feed(self.batch, self.states)
        folding.ask(ALL)


def spectra(shape: tuple[int, int] = SPECTRA_SHAPE, layers: int = SPECTRA_LAYERS, rounds: int = ROUNDS) -> None:
    """Compute the spectra of few tokens in a wide model, by the n x n side and by the d x d side."""
    generator = torch.Generator().manual_seed(0)
    decay = torch.arange(1, shape[1] + 1) ** -0.5
    states = [torch.randn(shape, generator=generator) * decay for _ in range(layers)]
    metrics = [metric for metric in METRICS if metric.over is RunningMoments and metric.contrast is None]

    def aniso() -> None:
        for layer in states:
            moments = RunningMoments()
            moments.update(Tokens.of(layer))
            result = moments.result()
            for metric in metrics:
                metric.of(result)

    def notebook() -> None:
        for layer in states[:SPECTRA_TIMED]:
            notebook_numbers(layer)

    found = []
    for _ in range(rounds + 1):
        theirs, ours = seconds(notebook) * layers / SPECTRA_TIMED, seconds(aniso)
        found.append({"notebook, s": theirs, "aniso, s": ours, "notebook / aniso": theirs / ours})
    note = SPECTRA_NOTE.format(count=shape[0], width=shape[1], layers=layers, rounds=rounds, timed=SPECTRA_TIMED)
    columns = ("what", "median", "quartiles", "target", "reached")
    record("Spectra of few tokens", columns, summary(found, SPECTRA_TARGETS), note)


if __name__ == "__main__":
    main()
