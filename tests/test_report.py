"""The reporters: each number where a reader looks for it, and foreign text that stays text everywhere."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import aniso_report
from aniso_core import export, metrics
from aniso_core.engine import render
from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments
from aniso_core.records import (
    Curve,
    Failure,
    Missing,
    ModelInfo,
    Profile,
    PromptsInfo,
    Report,
    ReportFile,
    Spectrum,
    Verdict,
)
from aniso_report import figures, layers, markdown, names, summary
from aniso_report.figures import sheet

PYTHIA = """.0601 .1776 .1497 .1164 .9403 .9901 .9935 .9941 .9935 .9930 .9924 .9918 .9911 .9901 .9890 .9881 .9871 .9862
.9851 .9836 .9819 .9794 .9769 .9738 .9709 .9680 .9650 .9618 .9582 .9547 .9497 .9376 .0950"""
GEMMA = """.7297 .8788 .9026 .9146 .9162 .9197 .9170 .9199 .9600 .9725 .9724 .9701 .9667 .9601 .9385 .9053 .8517 .7891
.2799"""
"""The notebooks' published shares, to four digits."""

HOSTILE = (
    "<script>alert(1)</script>",
    "$\\frac{1 b$",
    "\x1b[31mred\x1b]8;;http://evil\x07",
    "=1+1",
    "\t=cmd|' /C calc'!A0",
    "\u202emodel",
    "a | b ` c [d](http://e) *f* _g_",
    "[bold]rich[/bold",
    "漢字\u0301 🙂",
    "../../etc/passwd",
    "x" * 10_000,
)
MADE = "2026-11-21T05:56:57+00:00"
VERDICTS = (
    Verdict("bell-curve", "paper", "tiny", "supported", "it peaks at 4", "bell", false_positive_rate=0.368),
    Verdict("bell-curve", "rigorous", "tiny", "not_testable", "needs 8 documents"),
)


def model(name="tiny", n_layers=6, width=16, norm="rmsnorm"):
    """Return what a model is, as an adapter would say it."""
    return ModelInfo(
        name=name, architecture="Tiny", source="memory", revision="", weights_sha256="", layers=n_layers, width=width,
        parameters=1000, norm=norm, placement="pre", dtype="float32", device="cpu", attention="eager",
    )  # fmt: skip


def published(name, shares, norm="layernorm", width=4096):
    """Return a profile as a plugin publishes one: the share over the view paper, and no more."""
    values = tuple(float(value) for value in shares.split())
    curve = Curve("top-eigenvalue-share", "share", "paper", "all", tuple(range(len(values))), values)
    return Profile(model(name, len(values) - 1, width, norm), (curve,))


def measured(name="tiny", n_layers=6):
    """Return a profile of seeded states with a massive first token at layer 4, through the real metrics."""
    rng, curves, spectra = np.random.default_rng(0), [], []
    for stream in ("residual", "normed"):
        for tokens in ("all", "bulk"):
            moments = [_states(rng, layer, stream, tokens) for layer in range(n_layers + 1)]
            spectra += [Spectrum(stream, tokens, layer, m.spectrum) for layer, m in enumerate(moments)]
            asked = [metric for metric in metrics.aniso_metrics() if metric.contrast is None]
            curves += [_curve(metric, stream, tokens, moments) for metric in asked]
    prompts = PromptsInfo("seeded", "ab", 5, 5, 40, 64, "auto", "nothing before each window")
    return Profile(model(name, n_layers), tuple(curves), prompts, spectra=tuple(spectra))


def _states(rng, layer, stream, tokens):
    states = rng.standard_normal((40, 16)) * (1 + layer)
    if stream == "residual" and tokens == "all" and layer == 4:
        states[:5, 3] += 1000
    return Moments.of(states)


def _curve(metric, stream, tokens, moments):
    values = []
    for m in moments:
        try:
            values.append(metric.of(m))
        except UndefinedMetricError:
            values.append(None)
    return Curve(metric.name, metric.unit, stream, tokens, tuple(range(len(moments))), tuple(values))


def made(*profiles, verdicts=VERDICTS, only=None, files=()):
    """Return the files of all reporters by name, after making sure that none failed."""
    reporters = [r for r in aniso_report.aniso_reporters() if only is None or r.name in only]
    drawn = render(reporters, Report(profiles, verdicts, files, (), MADE))
    assert drawn.failures == ()
    assert drawn.remarks == ()
    return {file.name: file.data for file in drawn.files}


@pytest.fixture(scope="module")
def tiny():
    """Return all files about one measured profile."""
    return made(measured())


def test_summary_gives_the_pythia_notebook_s_numbers():
    """L*, slopes and correlations of the published Pythia shares come out as the notebook printed them."""
    found = summary.summary(published("pythia-6.9b", PYTHIA))
    assert (found["L_star_anisotropy"], found["is_bell_curve"], found["normalization"]) == (7, True, "LayerNorm")
    # The published values carry four digits, so what is computed from them does too.
    wanted = {"phase1_slope": 0.18627, "phase2_slope": -0.009323, "phase1_r": 0.8837, "phase2_r": -0.4103}
    assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-3)


def test_summary_gives_the_gemma_notebook_s_numbers():
    """The published Gemma shares give its slopes, correlations, variance, range and maximum."""
    found = summary.summary(published("gemma-2b", GEMMA, "rmsnorm", 2048))
    assert (found["L_star_anisotropy"], found["is_bell_curve"], found["normalization"]) == (9, True, "RMSNorm")
    wanted = {
        "phase1_slope": 0.01797, "phase2_slope": -0.05039, "phase1_r": 0.7504, "phase2_r": -0.7160,
        "profile_variance": 0.023620, "profile_range": 0.692645, "max_anisotropy": 0.972545,
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-3)
    assert found["n_prompts"] is None
    assert found["effective_rank"] is None


@pytest.mark.parametrize(
    ("shares", "slopes", "bell"),
    [
        (".9 .5 .1", (None, -0.4), False),  # the peak is the first state
        (".1 .5 .9", (0.4, None), False),  # and the last
        (".2 .2 .9 .3 .1", (0.0, -0.4), False),  # level, then falling
        (".1 .2 .9 .3 .1", (0.1, -0.4), True),
    ],
)
def test_a_bell_needs_two_points_on_either_side(shares, slopes, bell):
    """A phase of one point has no slope, a level one has slope 0 and no correlation, and neither makes a bell."""
    found = summary.summary(published("x", shares))
    assert (found["phase1_slope"], found["phase2_slope"]) == pytest.approx(slopes)
    assert found["is_bell_curve"] is bell
    assert (found["phase1_r"] is None) == (slopes[0] in {None, 0.0})


def test_missing_values_stay_null():
    """A layer without a value is null in JSON and empty in CSV, and no reporter stumbles over it."""
    profile = published("holes", ".1 .2 .9 .3 .1 .1")
    curve = replace(profile.curves[0], values=(None, 0.2, 0.9, None, 0.1, None), missing=(Missing(0, "one token"),))
    files = made(replace(profile, curves=(curve,)))
    found = json.loads(files["summary.json"], parse_constant=pytest.fail)
    assert found["intrinsic_dim_ratio"] == [None, 0.2, 0.9, None, 0.1, None]
    assert found["L_star_anisotropy"] is None
    rows = list(csv.DictReader(io.StringIO(files["curves.csv"].decode())))
    assert [row["value"] for row in rows] == ["", "0.2", "0.9", "", "0.1", ""]


def test_a_profile_without_values_is_reported_all_the_same():
    """Where every value is missing there is no L* and no figure, and no reporter fails."""
    profile = published("nothing", ".1 .2 .3")
    files = made(replace(profile, curves=(replace(profile.curves[0], values=(None, None, None)),)))
    assert json.loads(files["summary.json"])["L_star_anisotropy"] is None
    assert "profile.png" not in files
    assert "L* the share was not measured" in " ".join(files["console.txt"].decode().split())


def test_the_gauge_test_is_that_of_the_notebook_about_this_model():
    """The paper verdict about this very model fills gauge_theory_test, numbers JSON can hold included."""
    details = {"profile_range": np.float64(0.5), "percent_flatter": float("nan")}
    about = Verdict("gauge-flatness", "paper", "x", "supported", "", reference="pythia-6.9b", details=details)
    profile = published("x", ".1 .9 .1")
    assert summary.summary(profile, [replace(about, subject="y")])["gauge_theory_test"] is None
    found = summary.summary(profile, [replace(about, criterion="rigorous", outcome="refuted"), about])
    wanted = {"reference": "pythia-6.9b", "flatter": True, "profile_range": 0.5, "percent_flatter": None}
    assert found["gauge_theory_test"] == wanted


def test_console_fits_80_columns_and_says_what_was_found(tiny):
    """No line is longer than 80; the peak's cause, the outcome and its error rate are in words."""
    text = tiny["console.txt"].decode()
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    assert "The peak is held by first or massive tokens" in said
    assert "L* residual/all layer 4 of 6, relative depth 0.67" in said
    assert "paper: supported (bell). It peaks at 4. A false claim passes this rule in 37 of 100 cases." in said
    assert "not testable. Needs 8 documents." in said
    assert set(text) - set(" ▁▂▃▄▅▆▇█") <= {chr(code) for code in range(128)}


def test_console_is_shown_and_the_rest_is_not():
    """Only console.txt is for the terminal."""
    files = render(aniso_report.aniso_reporters(), Report((published("x", ".1 .9 .1"),))).files
    assert [file.name for file in files if file.show] == ["console.txt"]


@pytest.mark.parametrize("n_layers", [13, 14, 32, 80])
def test_a_deep_profile_is_thinned_around_its_peak(n_layers):
    """Beyond 14 states every k-th is shown, with L* and the last two, and the sentence says so."""
    shares = " ".join(str(0.9 if layer == 7 else 0.1) for layer in range(n_layers + 1))
    shown, said = layers.rows(published("deep", shares))
    assert len(shown) <= 14
    assert {0, 7, n_layers - 1, n_layers} <= set(shown)
    assert bool(said) == (len(shown) < n_layers + 1)


def test_several_models_are_compared(tiny):
    """Two profiles add a table, a figure and a list in JSON, and their figures carry their names."""
    both = published("pythia-6.9b", PYTHIA), published("gemma-2b", GEMMA, "rmsnorm")
    files = made(*both, only={"console", "figures", "json"})
    assert "comparison.png" not in tiny
    assert {"comparison.png", "comparison.pdf", "pythia-6.9b-profile.png", "gemma-2b-profile.pdf"} <= files.keys()
    assert [one["L_star_anisotropy"] for one in json.loads(files["summary.json"])] == [7, 9]
    assert "gemma-2b RMSNorm 18 9 0.973 0.693 0.024" in " ".join(files["console.txt"].decode().split())


def test_what_holds_for_several_models_is_told_once():
    """Console and Markdown tell a note on all models once, beside the comparison, and one on a model with that one."""
    whole = measured()
    prompts, failed = replace(whole.prompts, windows=9), Failure("metric", "broken", "a-plugin 1", "no")
    four = [
        replace(whole, model=replace(whole.model, name=name, notes=notes), prompts=prompts, failures=(failed,))
        for name, notes in (("one", ()), ("two", ("own note",)), ("three", ()), ("four", ()))
    ]
    files = made(*four, only={"console", "markdown"})
    for name, shared, end in (
        ("console.txt", "All models, view paper", "Verdicts"),
        ("report.md", "# Anisotropy profiles of 4 models", "## Model one"),
    ):
        text = " ".join(files[name].decode().split())
        split = "Long documents were split: 5 documents make 9 windows."
        assert text.count(split) == text.count("Own note.") == 1
        assert re.search(rf"{shared}.* all 4 models: .*{split}.*{end}", text)
        assert re.search(r"two .*Own note\..* three ", text)
        assert text.count("all 4 models: Metric broken (a-plugin 1): no.") == 1


def test_runs_of_one_model_get_distinct_names():
    """Equal names, and names that look like the numbered ones, never share a file."""
    profiles = [published(name, ".1 .9 .1") for name in ("a", "a", "a-2", "A", "b" * 200, "b" * 201)]
    assert len(set(names.stems(profiles))) == len(profiles)
    assert max(map(len, names.stems(profiles))) <= 62


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_stays_text(name):
    """Names from outside neither break a reporter nor reach a terminal, spreadsheet or page as commands."""
    profile = replace(published(name, ".1 .9 .1 .1"), failures=(Failure("metric", name, name, name),))
    verdict = Verdict(name, "paper", name, "supported", name, name, false_positive_rate=0.5, false_positive_null=name)
    files = made(profile, verdicts=[verdict])
    assert {"profile.png", "profile.pdf"} <= files.keys()
    text = files["console.txt"].decode()
    assert max(map(len, text.splitlines())) <= 80
    for shown in (text, files["report.md"].decode(), files["curves.csv"].decode()):
        assert not set(shown) & {"\x1b", "\x07", "\t", "\r", "\u202e"}
    cells = {row["model"] for row in csv.DictReader(io.StringIO(files["curves.csv"].decode()))}
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert json.loads(files["summary.json"])["model"] == name
    page = _Tags()
    page.feed(files["report.md"].decode())
    assert page.found == []
    assert all(len(file) <= 100 and "/" not in file for file in files)


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, _attributes):
        self.found.append(tag)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a|b`c", r"a\|b\`c"),
        ("[x](http://y) *z*_", r"\[x\](http&#58;//y) \*z\*\_"),
        ("<b>&$@", "&#60;b&#62;&#38;&#36;&#64;"),
        ("- x", r"\- x"),
    ],
)
def test_markdown_is_escaped(text, wanted):
    """Every character that Markdown or HTML would act on is shown instead."""
    assert markdown.escaped(text) == wanted


def test_csv_is_tidy(tiny):
    """One row per number, the view paper included: its last state is the final norm's output."""
    rows = list(csv.DictReader(io.StringIO(tiny["curves.csv"].decode())))
    assert tuple(rows[0]) == export.Row._fields
    share = {(r["stream"], r["layer"]): r for r in rows if (r["metric"], r["tokens"]) == ("isoscore", "all")}
    assert share["paper", "6"]["value"] == share["normed", "6"]["value"] != share["residual", "6"]["value"]
    assert share["paper", "5"]["value"] == share["residual", "5"]["value"]
    assert share["paper", "3"]["depth"] == "0.5"
    assert float(share["normed", "6"]["value"]) == measured().curve("isoscore", "normed").at(6)


def test_a_formula_in_a_cell_is_disarmed():
    """A text that begins like a formula gets an apostrophe; numbers below zero get none."""
    profile = published("=1+1", "-.5 .5")
    rows = list(csv.DictReader(io.StringIO(export.to_csv([profile]))))
    assert [(row["model"], row["value"]) for row in rows] == [("'=1+1", "-0.5"), ("'=1+1", "0.5")]


def test_rows_as_json_are_the_rows_as_csv():
    """Both exports hold the same numbers, and a value that is not finite is null."""
    curve = replace(published("x", ".25 .5").curves[0], values=(0.25, float("nan")))
    profile = replace(published("x", ".25 .5"), curves=(curve,))
    rows = json.loads(export.to_json([profile]), parse_constant=pytest.fail)
    assert [(row["layer"], row["value"], row["low"]) for row in rows] == [(0, 0.25, None), (1, None, None)]
    assert rows[0].keys() == set(export.Row._fields)


def test_figures_are_the_same_bytes_each_time(tiny):
    """Drawing again gives the same PNG and PDF, and leaves the user's matplotlib settings as they were."""
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    again = {file.name: file.data for file in figures.render(Report((measured(),)))}
    assert sorted(again) == [f"{kind}.{end}" for kind in ("norms", "profile", "spectra") for end in ("pdf", "png")]
    assert all(tiny[name] == data for name, data in again.items())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("scale", [1e-4, 1e5])
def test_nothing_sticks_out_of_a_figure(scale, monkeypatch):
    """Title, legends, labels and caption lie within the figure, however small or large the states are."""

    def check(figure, name, _kinds):
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0, name
        assert (box.x1 <= width, box.y1 <= height) == (True, True), name
        drawn.append(name)
        return ()

    drawn = []
    monkeypatch.setattr(sheet, "files", check)
    powers = {"eigenvalue-variance": 4, "norm-mean": 1, "norm-sd": 1}
    long = measured("organisation/" + "a-long-name-" * 5)
    grown = [
        replace(c, values=tuple(None if v is None else v * scale ** powers.get(c.metric, 0) for v in c.values))
        for c in long.curves
    ]
    assert not list(figures.render(Report((replace(long, curves=tuple(grown)), measured()))))
    assert len(drawn) == 7


def test_report_links_the_figures_that_there_are(tiny):
    """The page shows each figure of the report, and none that was not drawn."""
    assert b"(profile.png)" in tiny["report.md"]
    assert b"(spectra.png)" in tiny["report.md"]
    assert b".png)" not in made(measured(), only={"markdown"})["report.md"]


def test_bundle_holds_every_file_and_nothing_of_the_day(tiny):
    """The zip has every other file and those handed in, dated when the report was made, the same bytes each time."""
    record = ReportFile("run.json", b"{}")
    files, again = (made(measured(), only={"csv", "markdown", "bundle"}, files=[record]) for _ in range(2))
    name = "aniso-tiny-2026-11-21t055657z.zip"
    assert files[name] == again[name]
    with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
        assert archive.namelist() == ["curves.csv", "report.md", "run.json"]
        assert archive.read("curves.csv") == files["curves.csv"]
        assert {member.date_time for member in archive.infolist()} == {(2026, 11, 21, 5, 56, 56)}  # zip counts in twos
    assert name in tiny


def test_the_plugin_loads_without_drawing_anything():
    """Asking for the reporters imports neither numpy, matplotlib, rich, scipy nor torch."""
    import subprocess
    import sys

    code = (
        "import sys, aniso_report; aniso_report.aniso_reporters();"
        "print(sorted({'jinja2', 'numpy', 'matplotlib', 'rich', 'scipy', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
