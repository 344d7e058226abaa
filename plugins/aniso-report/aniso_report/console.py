"""The reporter `console`: tables and verdicts as plain text, 80 columns wide, without colour codes."""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aniso_core.records import PAPER, Profile, Report, ReportFile, Verdict
from aniso_core.text import short, visible
from aniso_core.words import paragraphs, told
from aniso_report import layers, reading, summary, words
from aniso_report.layers import number, whole
from aniso_report.names import labels
from aniso_report.sparkline import sparkline

WIDTH = 80
_SPARK = 26  # columns for a curve; deeper models share them
_NO_LINES = "    \n    \n    \n    \n    \n    \n    \n    \n"
_HEAD_LINE = "    \n    \n -- \n    \n    \n    \n    \n    \n"


def render(report: Report) -> Iterator[ReportFile]:
    """Yield console.txt, which the terminal shows too."""
    out = io.StringIO()
    # Markup, emoji and highlighting stay off: names come from outside and are shown as they are.
    console = Console(
        file=out, width=WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    profiles, named = report.profiles, labels(report.profiles)
    cautions = words.cautions(profiles, named)
    for profile, label in zip(profiles, named, strict=True):
        _profile(console, profile, label, cautions.get((label,), ()))
    if len(profiles) > 1:
        _comparison(console, profiles)
        for models, said in cautions.items():
            if len(models) > 1:
                _paragraph(console, f"{words.whom(models, len(profiles))}: {' '.join(said)}", "- ")
    _verdicts(console, report)
    for failed in words.failures(report, named):
        _paragraph(console, f"Failed: {failed}", "! ")
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    yield ReportFile("console.txt", ("\n".join(lines).strip("\n") + "\n").encode(), show=True)


def _profile(console: Console, profile: Profile, label: str, cautions: Iterable[str]) -> None:
    console.print()
    _paragraph(console, label)
    _pairs(console, words.facts(profile))
    console.print()
    shown, left_out = layers.rows(profile)
    columns = layers.columns(profile)
    if columns:
        table = _table(["\nlayer", *(f"{column.top}\n{column.below}" for column in columns)])
        for layer in shown:
            table.add_row(str(layer), *(column.cells[layer] for column in columns))
        console.print(table)
        _paragraph(console, f"{_key(columns)} {left_out}".strip(), "  ")
        console.print()
    _sparklines(console, profile)
    peaks = list(words.peaks(profile, layers.SHARES))
    _pairs(console, [(f"L* {view}", where) for view, where in peaks] or [("L*", "the share was not measured")])
    for caution in cautions:
        _paragraph(console, caution, "- ")


def _sparklines(console: Console, profile: Profile) -> None:
    """Print each metric's curve in a line, of the main stream and all tokens (or what there is), with its extremes."""
    stream = reading.main_stream(profile)
    curves = [c for c in profile.curves if c.stream == stream and c.tokens == "all" and np.isfinite(c.array()).any()]
    if not curves:
        return
    table = _table([f"{stream} stream, all tokens", "first layer to last", "lowest", "highest", "at"], left=2)
    for curve in curves:
        lowest, highest = np.nanmin(curve.array()), np.nanmax(curve.array())
        where = str(curve.layers[int(np.nanargmax(curve.array()))])
        line = sparkline(curve.values, _SPARK)
        ends = (number(float(value), whole=whole(curve)) for value in (lowest, highest))
        table.add_row(visible(curve.metric), line, *ends, where)
    console.print(table)
    console.print()


def _key(columns: Sequence[layers.Column]) -> str:
    said = []
    if any(column.top == "share" for column in columns):
        said.append("share: of the variance, along its first direction; * its largest (L*).")
    if any((column.top, column.below) == ("first", "token") for column in columns):
        said.append("first token: the part of it that first tokens hold.")
    if len(columns) > 1:
        said.append("Columns without a stream: residual, all tokens; docs/concepts.md explains each.")
    return " ".join(said)


def _comparison(console: Console, profiles: Sequence[Profile]) -> None:
    console.print()
    _paragraph(console, f"All models, view {PAPER}, all tokens: the share over layers")
    table = _table(["model", "norm", "layers", "L*", "max", "range", "variance"], left=2)
    for profile, label in zip(profiles, labels(profiles, 28), strict=True):
        found = summary.summary(profile)
        peak = reading.peak(profile, PAPER)
        numbers = (found[key] for key in ("max_anisotropy", "profile_range", "profile_variance"))
        where = str(peak.layer) if peak else ""
        table.add_row(label, words.norm(profile), str(profile.model.layers), where, *map(number, numbers))
    console.print(table)


def _verdicts(console: Console, report: Report) -> None:
    """Print what there is to say of each verdict, and in one sentence which claims lack the metric that they are on."""
    if not report.verdicts:
        return
    console.print()
    _paragraph(console, "Verdicts")
    measured = {curve.metric for profile in report.profiles for curve in profile.curves}
    lacking = {each.name: each.metric for each in report.about if each.metric and each.metric not in measured}

    def is_moot(verdict: Verdict) -> bool:
        return verdict.outcome == "not_testable" and verdict.hypothesis in lacking

    for heading, verdict in paragraphs([verdict for verdict in report.verdicts if not is_moot(verdict)]):
        _paragraph(console, heading, "  ")
        _paragraph(console, told(verdict), "    ")
    names = dict.fromkeys(verdict.hypothesis for verdict in report.verdicts if is_moot(verdict))
    if names:
        said = ", ".join(f"{short(name)} ({short(lacking[name])})" for name in names)
        _paragraph(console, f"Not testable, as their metric was not measured: {said}.", "  ")


def _table(headings: Sequence[str], left: int = 0) -> Table:
    """Return a table whose first `left` columns are text and the rest numbers."""
    table = Table(box=Box(_HEAD_LINE, ascii=True), padding=(0, 1, 0, 0), show_edge=False)
    for i, title in enumerate(headings):
        table.add_column(title, justify="left" if i < left else "right", overflow="fold")
    return table


def _pairs(console: Console, pairs: Sequence[tuple[str, str]]) -> None:
    table = Table(box=Box(_NO_LINES, ascii=True), padding=(0, 1, 0, 1), show_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    console.print(table)


def _paragraph(console: Console, text: str, start: str = "") -> None:
    """Print foreign or own text, wrapped, its lines under each other after `start`."""
    if not start:
        console.print(Text(text), overflow="fold")
        return
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(start), Text(text))
    console.print(grid)
