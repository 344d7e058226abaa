"""The reporter `figures`: profile, spectra and norms of each model, and a comparison of several."""

from collections.abc import Iterator

from aniso_core.records import Report, ReportFile
from aniso_report.figures import comparison, norms, overview, spectra
from aniso_report.names import labels, stems


def render(report: Report) -> Iterator[ReportFile]:
    """Yield each figure as PNG and PDF; what a profile does not hold is left out."""
    several = len(report.profiles) > 1
    for profile, label, stem in zip(report.profiles, labels(report.profiles), stems(report.profiles), strict=True):
        start = f"{stem}-" if several else ""
        yield from overview.draw(profile, label, f"{start}profile")
        yield from spectra.draw(profile, label, f"{start}spectra")
        yield from norms.draw(profile, label, f"{start}norms")
    if several:
        yield from comparison.draw(report.profiles, "comparison")
