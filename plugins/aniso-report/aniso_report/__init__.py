"""Reporters: what a profile and its verdicts look like in a terminal, a spreadsheet, a figure and a page."""

from aniso_core.contracts import Reporter, later
from aniso_core.hookspecs import hookimpl


@hookimpl
def aniso_reporters() -> list[Reporter]:
    """Return the reporters; those that draw on the files of others come after them."""
    return [
        Reporter(
            "console", "tables and verdicts for a terminal of 80 columns", later("aniso_report.console", "render")
        ),
        Reporter("json", "the notebooks' summary under their own keys", later("aniso_report.summary", "render")),
        Reporter("csv", "every number as one tidy row", later("aniso_report.curves", "render")),
        Reporter(
            "figures",
            "profile, spectra, norms and comparison, for screens or papers",
            later("aniso_report.figures", "render"),
        ),
        Reporter(
            "markdown",
            "a page with facts, tables, figures and verdicts",
            later("aniso_report.markdown", "render"),
            order=1,
        ),
        Reporter("html", "one page that opens offline, with charts", later("aniso_report.html", "render")),
        Reporter("bundle", "the whole run in one zip", later("aniso_report.bundle", "render"), order=2),
    ]
