"""The figure `profile`: what the notebooks drew, in four panels, or six where norms were measured."""

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aniso_core.records import Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import curve, norms
from aniso_report.figures.looks import SERIES
from aniso_report.figures.media import Medium
from aniso_report.figures.powers import label_powers
from aniso_report.figures.sheet import Sheet, caption

Panel = Callable[[Axes, Profile], None]

_OVERLAID = {
    reading.SHARE: "share",
    "eigenvalue-variance": "eigenvalue variance",
    "effective-rank": "effective rank",
    "cosine-to-mean": "cosine",
    "norm-cv": "norm CV",
}


def draw(profile: Profile, label: str, name: str, medium: Medium) -> Iterator[ReportFile]:
    """Yield the profile figure, none where the profile holds nothing to draw."""
    panels = list(_panels(profile))
    if not panels:
        return
    sheet = Sheet(medium, caption(profile), len(panels), 0.52)
    for panel, place in zip(panels, sheet.axes, strict=True):
        panel(place, profile)
    if _overlay in panels:
        sheet.legend_below(sheet.axes[-1])
    yield from sheet.finish(label, sheet.axes[0], name)


def _panels(profile: Profile) -> Iterator[Panel]:
    stream = reading.main_stream(profile)
    there = {c.metric for c in profile.curves if reading.curve(profile, c.metric, stream, c.tokens)}
    for metric, panel in _PANELS.items():
        if metric in there:
            yield panel
    if there & {"norm-mean", "norm-cv"} and len(there & _OVERLAID.keys()) > 1:
        yield _overlay


def _share(axes: Axes, profile: Profile) -> None:
    curve.draw(axes, profile, reading.SHARE)
    axes.set(title="Share of the first direction", ylabel="share of variance")
    axes.set(ylim=(0, 1.2), yticks=(0, 0.25, 0.5, 0.75, 1))  # room above 1 for the mark of L*
    peak = reading.peak(profile, reading.main_stream(profile))
    if peak is not None:
        right = peak.depth > 0.6  # noqa: PLR2004 - past here the text would leave the panel
        axes.axvline(peak.layer, color="0.35", linewidth=0.8, linestyle="-.", zorder=0)
        axes.annotate(
            f"L* = {peak.layer} (all)",
            (peak.layer, 1.06), xytext=(-4 if right else 4, 0), textcoords="offset points",
            ha="right" if right else "left", fontsize=rcParams["legend.fontsize"], color="0.2",
        )  # fmt: skip


def _variance(axes: Axes, profile: Profile) -> None:
    curve.draw(axes, profile, "eigenvalue-variance")
    axes.set(title="Variance of the eigenvalues", ylabel="state units⁴", yscale="log")
    label_powers(axes.yaxis)


def _rank(axes: Axes, profile: Profile) -> None:
    curve.draw(axes, profile, "effective-rank")
    axes.set(title="Effective rank", ylabel="dimensions")
    axes.set_ylim(bottom=0)


def _cosine(axes: Axes, profile: Profile) -> None:
    curve.draw(axes, profile, "cosine-to-mean")
    axes.set(title="Mean cosine to the mean state", ylabel="cosine")


def _overlay(axes: Axes, profile: Profile) -> None:
    stream = reading.main_stream(profile)
    there = {metric: reading.curve(profile, metric, stream) for metric in _OVERLAID}
    for (metric, found), look in zip(there.items(), SERIES, strict=False):
        if found is None:
            continue
        layers, values = curve.line(profile, found)
        spread = np.nanmax(values) - np.nanmin(values) if np.isfinite(values).any() else 0.0
        if spread > 0:
            scaled = (values - np.nanmin(values)) / spread
            axes.plot(layers, scaled, label=_OVERLAID[metric], **look.of(2 * len(layers)))
    axes.set(title="All, each on a scale of 0 to 1", ylabel="scaled value", xlabel=curve.LAYERS)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


_PANELS: dict[str, Panel] = {
    reading.SHARE: _share,
    "eigenvalue-variance": _variance,
    "effective-rank": _rank,
    "cosine-to-mean": _cosine,
    "norm-mean": norms.mean,
}
"""The metric that each panel needs."""
