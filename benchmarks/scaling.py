"""How the fold's cost grows with tokens, layers, batches and width, and how near it comes to a plain product's rate."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from results import record
from timing import Action, median_seconds
from ways import BATCH_TOKENS, METRICS

from aniso_core.batches import plan_batches
from aniso_core.fold import Fold
from aniso_core.records import Site
from aniso_core.running import RunningMoments
from aniso_core.tokens import Tokens, Window

REPEATS = 5
LENGTH = 128
WIDTH = 576
TOKENS = (4096, 8192, 16384, 32768)
LAYERS = (1, 2, 4, 8)
BATCHES = (512, 1024, 2048, 4096)
WIDTHS = (64, 128, 256, 512, 1024, 1536)
STREAMED = 8192
STACKED = 4

GROWTH_NOTE = """\
Median seconds of {repeats} runs and the exponent fitted to them on logarithmic axes. Random float32 states go straight
into the fold: {streamed:,} tokens of {stacked} layers of width {width} in batches of {batch:,}, unless the row says
otherwise. Widths are those of one running covariance; its spectrum includes the last merge. What a token costs besides
products flattens the exponent of narrow states."""

RATE_NOTE = """\
One running covariance over {streamed:,} tokens in batches of {batch:,}, median of {repeats} runs. The fold's rate
counts the d^2 operations a token that half a symmetric product takes, in the time of everything that the fold does; a
plain product's counts 2 d^2 in the time of `torch.mm` alone, on the same states."""


def main(repeats: int = REPEATS) -> None:
    """Fit the exponents and compare the rates."""
    covariance = {width: median_seconds(streaming(width), repeats) for width in WIDTHS}
    curves = (
        ("tokens", 1, {n: median_seconds(folding(tokens=n), repeats) for n in TOKENS}),
        ("layers", 1, {n: median_seconds(folding(layers=n), repeats) for n in LAYERS}),
        ("tokens of a batch", 0, {n: median_seconds(folding(batch_tokens=n), repeats) for n in BATCHES}),
        ("width, streaming", 2, covariance),
        ("width, spectrum", 3, {n: median_seconds(spectrum(n), repeats) for n in WIDTHS}),
    )
    rows = [
        (what, ends(times, "d"), ends(times.values(), ".3g"), f"{exponent(times):.2f}", f"{expected}")
        for what, expected, times in curves
    ]
    sizes = {"repeats": repeats, "streamed": STREAMED, "stacked": STACKED, "width": WIDTH, "batch": BATCH_TOKENS}
    record("Scaling", ("what grows", "range", "seconds", "exponent", "expected"), rows, GROWTH_NOTE.format(**sizes))
    rates = []
    for width, taken in covariance.items():
        half, whole = width**2 * STREAMED / taken, 2 * width**2 * STREAMED / median_seconds(product(width), repeats)
        rates.append((f"{width}", f"{half / 1e9:.0f}", f"{whole / 1e9:.0f}", f"{half / whole:.2f}"))
    record("Rate", ("width", "fold, Gflop/s", "plain product, Gflop/s", "ratio"), rates, RATE_NOTE.format(**sizes))


def ends(values: Iterable[float], form: str) -> str:
    """Return the first and the last of some values."""
    first, *_, last = values
    return f"{first:{form}} to {last:{form}}"


def exponent(times: Mapping[int, float]) -> float:
    """Return the slope of log time on log size."""
    slope, _ = np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)
    return float(slope)


def folding(tokens: int = STREAMED, layers: int = STACKED, batch_tokens: int = BATCH_TOKENS) -> Action:
    """Return what folds random states of some layers, batch by batch."""
    windows = [Window((0,) * LENGTH, number, prefix=0, suffix=0) for number in range(tokens // LENGTH)]
    batches = plan_batches(windows, batch_tokens)
    states = torch.randn(*batches[0].ids.shape, WIDTH)

    def run() -> None:
        fold = Fold(METRICS, [str(window.document) for window in windows])
        for batch in batches:
            with fold.taking(batch) as sink:
                for layer in range(layers):
                    sink(Site(layer, "residual"), states)

    return run


def streaming(width: int) -> Callable[[], RunningMoments]:
    """Return what feeds random states to one running covariance."""
    tokens = Tokens.of(torch.randn(BATCH_TOKENS, width))

    def run() -> RunningMoments:
        moments = RunningMoments()
        for _ in range(STREAMED // BATCH_TOKENS):
            moments.update(tokens)
        return moments

    return run


def spectrum(width: int) -> Action:
    """Return what computes the spectrum of a running covariance."""
    moments = streaming(width)()
    return lambda: moments.result().spectrum


def product(width: int) -> Action:
    """Return what multiplies the same states with themselves, transposed, and nothing else."""
    states = torch.randn(BATCH_TOKENS, width)
    return lambda: [torch.mm(states.T, states) for _ in range(STREAMED // BATCH_TOKENS)]


if __name__ == "__main__":
    main()
