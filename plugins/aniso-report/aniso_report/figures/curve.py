"""One metric of one profile over its layers: both token sets, and apart from them the state after the final norm."""

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aniso_core.records import PAPER, Array, Curve, Profile
from aniso_report import reading
from aniso_report.figures.looks import TOKEN_SETS, Look

AFTER_NORM = "after final norm"
LAYERS = "layer (0: input of the first block)"


def draw(axes: Axes, profile: Profile, metric: str, stream: str = "") -> None:
    """Draw the metric for each token set that has it, on a stream (default: the main one).

    On the main one the last state of the view `paper` is an open diamond.
    """
    main = reading.main_stream(profile)
    stream = stream or main
    for tokens, look in TOKEN_SETS.items():
        curve = reading.curve(profile, metric, stream, tokens)
        if curve is None:
            continue
        layers, values = line(profile, curve)
        name = f"{tokens} tokens" if stream != PAPER else f"{tokens} tokens (published)"
        axes.plot(layers, values, label=name, **look.of(len(layers)))
        if curve.low and curve.high:
            low, high = (np.array([np.nan if v is None else v for v in side]) for side in (curve.low, curve.high))
            axes.fill_between(layers, low[: len(layers)], high[: len(layers)], color=look.colour, alpha=0.15, lw=0)
        after = reading.after_final_norm(profile, metric, tokens) if stream == main else None
        if after is not None:
            last = profile.model.layers
            before = np.append(values[layers == last - 1], np.nan)[0]
            diamond(axes, (last - 1, last), (before, after), look, f"{tokens}, {AFTER_NORM}")
    axes.set_xlabel(LAYERS)
    axes.set_xlim(-0.02 * profile.model.layers, 1.03 * profile.model.layers)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def named(label: str) -> str:
    """Return a foreign name as a legend's; matplotlib leaves out those that are empty or begin with an underscore."""
    return f"\N{NO-BREAK SPACE}{label}" if label[:1] in {"", "_"} else label


def line(profile: Profile, curve: Curve) -> tuple[Array, Array]:
    """Return the layers and values of the curve up to the final norm, both float64[n]."""
    layers, values = np.array(curve.layers, dtype=np.float64), curve.array()
    before = layers < profile.model.layers if curve.stream == PAPER else np.ones(len(layers), dtype=bool)
    return layers[before], values[before]


def diamond(axes: Axes, x: tuple[float, float], y: tuple[float, float], look: Look, label: str = "") -> None:
    """Draw the state after the final norm as an open diamond, joined by dots to the state before the last block."""
    axes.plot(x, y, color=look.colour, linestyle=":", linewidth=0.9)
    axes.plot(
        x[1:], y[1:], color=look.colour, linestyle="none", marker="D", markerfacecolor="white",
        markersize=look.diamond * rcParams["lines.markersize"], label=label or None, zorder=3, clip_on=False,
    )  # fmt: skip
