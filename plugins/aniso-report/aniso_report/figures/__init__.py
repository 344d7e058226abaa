"""The reporter `figures`: profile, spectra and norms of each model, a comparison of several, trajectories of L*."""

from collections.abc import Iterator

from aniso_core.records import Report, ReportFile
from aniso_report.figures import comparison, norms, overview, spectra, trajectory
from aniso_report.figures.media import MEDIA, style
from aniso_report.lineages import lineages
from aniso_report.names import labels, stems


def render(report: Report) -> Iterator[ReportFile]:
    """Yield each figure in the style of the report; what a profile does not hold is left out."""
    medium, several = MEDIA[report.style], len(report.profiles) > 1
    with style(medium, report.style_sheets):
        for profile, label, stem in zip(report.profiles, labels(report.profiles), stems(report.profiles), strict=True):
            start = f"{stem}-" if several else ""
            yield from overview.draw(profile, label, f"{start}profile", medium)
            yield from spectra.draw(profile, label, f"{start}spectra", medium)
            yield from norms.draw(profile, label, f"{start}norms", medium)
        if several:
            yield from comparison.draw(report.profiles, "comparison", medium)
            found = lineages(report.profiles, labels(report.profiles), report.verdicts)
            yield from trajectory.draw(found, "trajectory", medium)
