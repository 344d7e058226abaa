"""Figures for papers: their widths, texts, lines and formats, and style sheets on top."""

import re
import tomllib
from dataclasses import replace
from itertools import combinations, permutations
from xml.etree import ElementTree as ET

import pages
import pytest
from matplotlib.figure import Figure
from test_report import HOSTILE, measured, published

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.records import Report, ReportFile
from aniso_report import figures, lineages, markdown, names
from aniso_report.figures import comparison, norms, sheet, trajectory
from aniso_report.figures.media import MEDIA, style

WIDTHS = {"column": 3.25, "page": 5.5}
"""Inches."""

SOME_SHEET = """
font.size: 9
figure.figsize: 3.5, 2.6
axes.prop_cycle: cycler(color=["112233", "445566"])
lines.linewidth: 1.5
text.usetex: True
savefig.bbox: tight
pdf.fonttype: 3
"""


def drawn(*profiles, **more):
    """Return the files of a report by name."""
    return {file.name: file.data for file in figures.render(Report(profiles, **more))}


def sheets_of(profiles, monkeypatch, check, **more):
    """Draw all figures of profiles and let `check` see each as it is saved; return how many there were."""
    seen = []

    def save(figure, name, _kinds):
        check(figure, name)
        seen.append(name)
        return ()

    monkeypatch.setattr(sheet, "files", save)
    assert not drawn(*profiles, **more)
    return len(seen)


def svg(data):
    """Return an SVG as elements."""
    return ET.fromstring(data.decode())  # noqa: S314 - matplotlib wrote it


def texts(figure):
    """Return the texts of a laid-out figure that show something; ticks keep labels that lie beyond the axis."""
    from matplotlib.text import Text

    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low <= tick.get_loc() <= high:
                beyond |= {tick.label1, tick.label2}
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in shown if text not in beyond]


@pytest.fixture(scope="module", params=WIDTHS)
def paper(request):
    """Return the style and the figures of two profiles in it."""
    return request.param, drawn(measured(), measured("other", 30), style=request.param)


def test_a_paper_gets_pdf_and_svg_of_its_width(paper):
    """Each figure is as wide as the style says, in points, and no taller than a page with a caption."""
    width, files = WIDTHS[paper[0]] * 72, paper[1]
    names = {f"{model}-{kind}" for model in ("tiny", "other") for kind in ("norms", "profile", "spectra")}
    assert set(files) == {f"{name}.{end}" for name in names | {"comparison"} for end in ("pdf", "svg")}
    for name, data in files.items():
        if name.endswith("pdf"):
            box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", data)
            wide, high = map(float, box.groups())
        else:
            root = svg(data)
            wide, high = (float(root.get(side).removesuffix("pt")) for side in ("width", "height"))
        assert wide == pytest.approx(width, abs=0.01), name
        assert high <= 8 * 72, name


def test_a_pdf_brings_its_fonts(paper):
    """Fonts are embedded as TrueType (type 42), which journals ask for, and none as type 3."""
    for name, data in paper[1].items():
        if name.endswith("pdf"):
            assert b"/FontFile2" in data, name
            assert b"/Subtype /Type3" not in data, name


def test_an_svg_needs_nothing_from_elsewhere(paper):
    """Letters are paths, so that they show without fonts, and every reference stays in the file."""
    for name, data in paper[1].items():
        if name.endswith("svg"):
            elements = list(svg(data).iter())
            assert not [e for e in elements if e.tag.rpartition("}")[2] in {"text", "image", "script"}], name
            links = [value for e in elements for key, value in e.attrib.items() if key.rpartition("}")[2] == "href"]
            assert links, name
            assert all(link.startswith("#") for link in links), name
            assert b"url(http" not in data, name


def test_paper_figures_are_the_same_bytes_each_time(paper):
    """Drawing again gives the same PDF and SVG: no date, and ids that are not random."""
    assert drawn(measured(), measured("other", 30), style=paper[0]) == paper[1]


@pytest.mark.parametrize("medium", MEDIA)
def test_no_text_is_cut_or_overlaps(medium, monkeypatch):
    """Texts lie within the figure and beside each other, whatever models are called and however many there are."""

    def check(figure, name):
        figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent().padded(-0.5)) for text in texts(figure)]
        for text, box in boxes:
            assert box.x0 >= 0, (name, text)
            assert box.y0 >= 0, (name, text)
            assert box.x1 <= figure.bbox.x1, (name, text)
            assert box.y1 <= figure.bbox.y1, (name, text)
        titles = [(axes.title.get_window_extent(), other.bbox) for axes, other in permutations(figure.axes, 2)]
        assert not any(title.overlaps(panel) for title, panel in titles), name
        overlapping = [(a, b) for (a, first), (b, second) in combinations(boxes, 2) if first.overlaps(second)]
        assert not overlapping, name

    named = [name for name in HOSTILE if name.isascii()]
    profiles = [published(name, ".1 .9 .3 .2") for name in [*named, "W" * 300, *map(str, range(7))]]
    assert sheets_of([measured(), measured("other", 30), *profiles], monkeypatch, check, style=medium) == 7 + 17


@pytest.mark.parametrize("medium", WIDTHS)
def test_text_and_lines_of_a_paper_are_legible(medium, monkeypatch):
    """Text is of 7 to 9 pt, no line is thinner than 0.5 pt, and nothing says what the paper's caption will say."""
    from matplotlib.lines import Line2D

    def check(figure, name):
        figure.draw_without_rendering()
        for text in texts(figure):
            assert 7 <= text.get_fontsize() <= 9, (name, text.get_text())
            assert "tiny" not in text.get_text(), name
        widths = [line.get_linewidth() for line in figure.findobj(Line2D) if line.get_visible()]
        assert min(widths) >= 0.5, name

    assert sheets_of([measured()], monkeypatch, check, style=medium) == 3


def test_every_model_is_in_the_legend(monkeypatch):
    """A name that begins with an underscore, which matplotlib leaves out, is in the legend of the comparison too."""
    seen = []

    def check(figure, name):
        if name == "comparison":
            seen.extend(text.get_text().strip() for text in figure.legends[0].get_texts())

    assert sheets_of([published(name, ".1 .9 .3 .2") for name in ("_one", "two")], monkeypatch, check)
    assert {"_one (published)", "two (published)"} <= set(seen)


@pytest.mark.parametrize("count", [2, 7, 20])
def test_curves_differ_in_grey(count, monkeypatch):
    """Every two curves of a comparison differ in dash or marker, since a copy in grey has no colours."""

    def check(figure, _name):
        for axes in figure.axes:
            named = [line for line in axes.lines if not line.get_label().startswith("_")]
            assert len(named) == count
            # matplotlib tells no public name for how a line is dashed.
            assert len({(line.get_marker(), str(line._unscaled_dash_pattern)) for line in named}) == count

    monkeypatch.setattr(sheet, "files", lambda figure, name, _kinds: check(figure, name) or ())
    profiles = [replace(measured(), model=replace(measured().model, name=str(i))) for i in range(count)]
    with style(MEDIA["column"]):
        assert not list(comparison.draw(profiles, "comparison", MEDIA["column"]))


def test_a_style_sheet_lies_on_top(tmp_path):
    """A sheet's width, colours and lines are used; TeX is not, nor what would change the width or the fonts."""
    own, thin = tmp_path / "own.mplstyle", tmp_path / "thin.mplstyle"
    own.write_text(SOME_SHEET)
    thin.write_text("lines.linewidth: 0.75\n")
    one = drawn(measured(), style="column", style_sheets=(own,))
    two = drawn(measured(), style="column", style_sheets=(own, thin))
    for files, width in ((one, "1.5"), (two, "0.75")):
        page = files["norms.svg"].decode()
        assert f'width="{3.5 * 72:g}pt"' in page
        assert "stroke: #112233" in page
        assert "#0072b2" not in page
        assert f"stroke-width: {width}" in page
        assert b"/FontFile2" in files["norms.pdf"]
        assert b"/Type3" not in files["norms.pdf"]


def test_a_style_sheet_without_room_is_refused_in_a_sentence(tmp_path):
    """Where no panel fits, the message says which of the sheet's settings is to change."""
    (tmp_path / "tiny.mplstyle").write_text("figure.figsize: 1, 1\n")
    with pytest.raises(
        AnisoError, match=r"1 in have no room for text of 8 pt; change the style sheet's figure\.figsize\."
    ):
        drawn(measured(), style="column", style_sheets=[tmp_path / "tiny.mplstyle"])


def test_a_page_of_markdown_shows_the_svg(paper):
    """report.md links figures for papers as well, in the format that browsers show."""
    files = [ReportFile(name, data) for name, data in paper[1].items()]
    (page,) = markdown.render(Report([measured(), measured("other", 30)], files=files))
    assert b"(comparison.svg)" in page.data
    assert b"(tiny-profile.svg)" in page.data


def test_the_command_takes_a_style(aniso, measure, tmp_path, monkeypatch, fresh_registry):
    """`aniso profile` and `aniso report` draw as --style says, and run.toml repeats it with paths that hold."""
    monkeypatch.delenv("ANISO_DISABLE_PLUGINS")
    fresh_registry()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.mplstyle").write_text("figure.figsize: 3.5, 2\n")
    asked = ("--reporter", "figures", "--style", "column", "--style", "ggplot", "--style", "own.mplstyle")
    ran = measure("--metric", "norm-mean", *asked)
    assert ran.code == 0, ran.err
    run = ran.run
    assert {path.suffix for path in (run / "report").iterdir()} == {".pdf", ".svg"}
    assert tomllib.loads((run / store.CONFIG).read_text())["style"] == ["column", "ggplot", "../own.mplstyle"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = aniso("profile", "--config", "../run/run.toml", "--out", "again")
    assert again.code == 0, again.err
    assert aniso("report", run, "--reporter", "figures", "--style", "page", "--out", "page").code == 0
    wide = {name: float(svg((tmp_path / name).read_bytes()).get("width").removesuffix("pt")) / 72 for name in _NORMS}
    assert list(wide.values()) == pytest.approx([3.5, 3.5, 5.5])


_NORMS = ("run/report/norms.svg", "elsewhere/again/report/norms.svg", "elsewhere/page/norms.svg")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (("colum",), "There is no style 'colum', nor a file of that name; the styles are column, "),
        (("ggplots",), "There is no style 'ggplots', nor a file of that name; the styles are ggplot, "),
        (("http://x/y.mplstyle",), "There is no style 'http://x/y.mplstyle', nor a file of that name; "),
        (("page", "column"), "The styles page and column exclude each other; name one of them."),
    ],
)
def test_a_style_that_there_is_not_is_said(given, wanted, refused):
    """An unknown style, and two that exclude each other, are refused in a sentence before anything is measured."""
    assert wanted in refused(*(word for name in given for word in ("--style", name)), wants=())


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "lines.linewdith: 2",
            "line 2: matplotlib has no setting 'lines.linewdith'; the nearest is 'lines.linewidth'. ",
        ),
        ("lines.linewidth 2", "line 2: 'lines.linewidth 2' has no colon; correct the style sheet."),
        ("lines.linewidth: thick", "Key lines.linewidth: Could not convert 'thick' to float; correct the style sheet."),
    ],
)
def test_a_fault_of_a_style_sheet_is_one_sentence(line, wanted, refused, tmp_path, caplog):
    """A key or a value that matplotlib does not take is refused in a sentence before anything is measured."""
    sheet = tmp_path / "own.mplstyle"
    sheet.write_text(f"font.size: 9  # points\n{line}\n")
    said = refused("--style", sheet, wants=())
    assert str(sheet) in said
    assert wanted in said
    assert not caplog.records


def test_every_style_sheet_of_matplotlib_has_a_name(monkeypatch):
    """`--style` takes what matplotlib.style.available lists, and each draws."""
    from matplotlib.style import available

    from aniso_core.cli.reporting import find_style

    monkeypatch.setattr(sheet, "files", lambda *_: ())
    assert "ggplot" in available
    for name in available:
        medium, sheets = find_style(["column", name])
        assert (medium, [sheet.stem for sheet in sheets]) == ("column", [name])
        with style(MEDIA[medium], sheets):
            assert not list(norms.draw(measured(), "tiny", "norms", MEDIA[medium]))


def test_checkpoints_have_a_trajectory():
    """Of three checkpoints there are L* and the share there over steps, whose axis is logarithmic if they reach far."""
    report = pages.sweep(5)
    (found,) = lineages.lineages(report.profiles, names.labels(report.profiles), report.verdicts)
    assert (found.name, [point.step for point in found.points["all"]]) == ("org/model", [1, 2, 4, 8, 16])
    seen = Figure().subplots()
    trajectory.panel(seen, found, ["all"])
    assert seen.get_xscale() == "symlog"
    assert list(seen.lines[-1].get_ydata()) == [point.peak.layer for point in found.points["all"]]
    files = {file.name for file in figures.render(report)}
    assert files >= {"trajectory.png", "trajectory.pdf"}
    assert not any(name.startswith("trajectory") for name in drawn(*report.profiles[:2]))
