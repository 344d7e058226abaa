"""The figure `norms`: mean norm with its spread, and the coefficient of variation, over layers."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from aniso_core.records import Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import curve
from aniso_report.figures.looks import TOKEN_SETS
from aniso_report.figures.media import Medium
from aniso_report.figures.powers import label_powers
from aniso_report.figures.sheet import Sheet, caption


def draw(profile: Profile, label: str, name: str, medium: Medium) -> Iterator[ReportFile]:
    """Yield the norms figure, none where no norm was measured."""
    stream = reading.main_stream(profile)
    panels = [panel for metric, panel in _PANELS.items() if reading.curve(profile, metric, stream)]
    if not panels:
        return
    sheet = Sheet(medium, caption(profile), len(panels), 0.55)
    for panel, place in zip(panels, sheet.axes, strict=True):
        panel(place, profile)
    yield from sheet.finish(label, sheet.axes[-1], name)


def mean(axes: Axes, profile: Profile) -> None:
    """Draw the mean norm, and its band of one standard deviation on either side."""
    curve.draw(axes, profile, "norm-mean")
    stream = reading.main_stream(profile)
    lowest = []
    for tokens, look in TOKEN_SETS.items():
        middle, spread = (reading.curve(profile, metric, stream, tokens) for metric in ("norm-mean", "norm-sd"))
        if middle is None:
            continue
        layers, values = curve.line(profile, middle)
        lowest.append(np.nanmin(values))
        if spread is not None:
            sd = curve.line(profile, spread)[1]
            axes.fill_between(layers, values - sd, values + sd, color=look.colour, alpha=0.15, linewidth=0)
            lowest += [low for low in values - sd if low > 0]
    # A spread wider than its mean reaches below zero, where a log axis ends; the band is then cut by the frame.
    axes.set_yscale("log", nonpositive="clip")
    label_powers(axes.yaxis)
    if lowest and min(lowest) > 0:
        axes.set_ylim(bottom=0.7 * max(min(lowest), float(np.median(lowest)) / 100))
    axes.set(title="Norm of the states (mean ± 1 sd)", ylabel="state units")


def variation(axes: Axes, profile: Profile) -> None:
    """Draw the coefficient of variation of the norms."""
    curve.draw(axes, profile, "norm-cv")
    axes.set(title="Variation of the norm (CV)", ylabel="sd / mean")
    axes.set_ylim(bottom=0)


_PANELS = {"norm-mean": mean, "norm-cv": variation}
