"""The reporter `csv`: every curve as tidy rows."""

from collections.abc import Iterator

from aniso_core.export import to_csv
from aniso_core.records import Report, ReportFile


def render(report: Report) -> Iterator[ReportFile]:
    """Yield curves.csv, in UTF-8."""
    yield ReportFile("curves.csv", to_csv(report.profiles).encode())
