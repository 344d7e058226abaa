"""The figure `profile`: what the notebooks drew, in four panels, or six where norms were measured."""

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aniso_core.records import Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import curve, norms, sheet

Panel = Callable[[Axes, Profile], None]

_OVERLAID = {
    reading.SHARE: "share",
    "eigenvalue-variance": "eigenvalue variance",
    "effective-rank": "effective rank",
    "cosine-to-mean": "cosine",
    "norm-cv": "norm CV",
}


def draw(profile: Profile, label: str, name: str) -> Iterator[ReportFile]:
    """Yield the profile figure, none where the profile holds nothing to draw."""
    panels = list(_panels(profile))
    if not panels:
        return
    with sheet.style():
        figure, axes = sheet.new(sheet.caption(profile), ((len(panels) + 1) // 2, 2), (3.45, 1.8))
        for panel, place in zip(panels, axes, strict=False):
            panel(place, profile)
        for empty in axes[len(panels) :]:
            empty.set_visible(False)
        sheet.head(figure, label, axes[0], below=0.35 if _overlay in panels else 0.0)
        yield from sheet.files(figure, name)


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
    axes.set(ylim=(0, 1.16), yticks=(0, 0.25, 0.5, 0.75, 1))  # room above 1 for the mark of L*
    peak = reading.peak(profile, reading.main_stream(profile))
    if peak is not None:
        right = peak.depth > 0.6  # noqa: PLR2004 - past here the text would leave the panel
        axes.axvline(peak.layer, color="0.35", linewidth=0.8, linestyle="-.", zorder=0)
        axes.annotate(
            f"L* = {peak.layer} (all)",
            (peak.layer, 1.07), xytext=(-4 if right else 4, 0), textcoords="offset points",
            ha="right" if right else "left", fontsize=8, color="0.2",
        )  # fmt: skip


def _variance(axes: Axes, profile: Profile) -> None:
    curve.draw(axes, profile, "eigenvalue-variance")
    axes.set(title="Variance of the eigenvalues", ylabel="state units⁴", yscale="log")
    sheet.label_powers(axes.yaxis)


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
    for (metric, found), look in zip(there.items(), sheet.SERIES, strict=False):
        if found is None:
            continue
        layers, values = curve.line(profile, found)
        spread = np.nanmax(values) - np.nanmin(values) if np.isfinite(values).any() else 0.0
        if spread > 0:
            scaled = (values - np.nanmin(values)) / spread
            axes.plot(layers, scaled, label=_OVERLAID[metric], **look.of(2 * len(layers)))
    axes.set(title="All, each on its own scale of 0 to 1", ylabel="scaled value", xlabel=curve.LAYERS)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right", bbox_to_anchor=(1.04, -0.24), ncols=3, fontsize=7.5)


_PANELS: dict[str, Panel] = {
    reading.SHARE: _share,
    "eigenvalue-variance": _variance,
    "effective-rank": _rank,
    "cosine-to-mean": _cosine,
    "norm-mean": norms.mean,
}
"""The metric that each panel needs."""
