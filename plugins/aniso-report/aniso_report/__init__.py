"""Reporters: what a profile and its verdicts look like in a terminal, a spreadsheet, a figure and a page."""

from aniso_core.contracts import Reporter
from aniso_core.hookspecs import hookimpl
from aniso_report import bundle, console, curves, figures, markdown, summary


@hookimpl
def aniso_reporters() -> list[Reporter]:
    """Return the reporters; those that draw on the files of others come after them."""
    return [
        Reporter("console", "tables and verdicts for a terminal of 80 columns", console.render),
        Reporter("json", "the notebooks' summary under their own keys", summary.render),
        Reporter("csv", "every number as one tidy row", curves.render),
        Reporter("figures", "profile, spectra, norms and comparison as PNG and PDF", figures.render),
        Reporter("markdown", "a page with facts, tables, figures and verdicts", markdown.render, order=1),
        Reporter("bundle", "the whole run in one zip", bundle.render, order=2),
    ]
