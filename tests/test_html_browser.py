"""The page in a real browser: it opens from disk, draws, switches, reads out and prints, and says nothing amiss.

Chromium of the system, driven by playwright (`make test-browser`); nothing of the network is used.
"""

import os
import re
import shutil
from dataclasses import replace
from importlib.resources import files

import pages
import pytest

from aniso_core.plugins import registry
from aniso_core.records import Failure, Report

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("ANISO_CHROMIUM") or shutil.which("chromium")
# Without a sandbox, since the tests may run as root in a container; and quiet, since nothing may call out.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HOSTILE = (
    "<script>document.title='broken'</script>",
    "</script><img src=x onerror=\"document.title='broken'\">",
    "</script <script>document.title='broken'</script>",
    "שלום \u202emodel",
    "\"quotes\" 'and' `ticks` ${1+1}",
    "x" * 10_000,
)
LIVE = ("explore-chart", "spectra-chart", "norms-chart")


@pytest.fixture(scope="session")
def chromium():
    """Return the browser, headless, for the whole session."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "Chromium is not installed; `make test-browser` installs it where it may."
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Return a function that opens the page of a report from disk; whatever went wrong in it fails the test."""
    wrong, contexts = [], []

    def open_page(report, *, size=WIDE, scheme="light", script=True):
        path = tmp_path / "report.html"
        path.write_text(pages.drawn_once(report) if callable(report) else pages.drawn(report), encoding="utf-8")
        context = chromium.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def lines(page, chart):
    """Return the paths of the lines in a chart, those of its key left out."""
    return page.locator(f"#{chart} .live .line").evaluate_all("all => all.map((line) => line.getAttribute('d'))")


def test_the_page_opens_and_draws(opened):
    """Every chart has lines of some extent, in place of the picture that stands there without a script."""
    page = opened(pages.one)
    for chart in LIVE:
        found = lines(page, chart)
        assert found, chart
        assert max(map(len, found)) > 50, chart
        box = page.locator(f"#{chart} .live svg").bounding_box()
        assert box["width"] > 800, chart
        assert box["height"] > 200, chart
    assert page.locator("#explore-chart .static").is_hidden()
    assert page.locator(".controls").first.is_visible()
    assert page.locator("h1").inner_text() == "Anisotropy profile of one"


def test_the_metric_switches_the_chart(opened):
    """Another metric draws other lines, with its own name on the axis, its own words and its own numbers."""
    page = opened(pages.one)
    before = lines(page, "explore-chart")
    page.select_option("#explore-metric", "effective-rank")
    assert lines(page, "explore-chart") != before
    assert "dimensions" in page.locator("#explore-chart .live text").all_text_contents()
    assert page.locator("#explore-said").inner_text().startswith("effective-rank: ")
    page.select_option("#explore-metric", "top-eigenvalue-share")
    assert lines(page, "explore-chart") == before


def test_the_view_paper_has_its_last_state_apart(opened):
    """The state after the final norm is an open diamond on a dotted line, for each token set, and nowhere else."""
    page = opened(pages.one)
    diamonds = page.locator("#explore-chart .live path.open")
    assert diamonds.count() == 0
    page.select_option("#explore-stream", "paper")
    assert diamonds.count() == 2
    assert page.locator("#explore-chart .live .join").count() == 2
    assert "all tokens, after the final norm" in page.locator("#explore-chart .key").inner_text()


def test_token_sets_and_scale_switch(opened):
    """A token set more is a line more, the last one cannot be taken away, and a logarithmic axis moves the lines."""
    page = opened(pages.one)
    start = lines(page, "explore-chart")
    page.get_by_role("checkbox", name="no-first").check()
    assert len(lines(page, "explore-chart")) == len(start) + 1
    for name in ("no-first", "all", "bulk"):
        page.locator(f"#explore-tokens input[value={name}]").click()
    assert page.locator("#explore-tokens input:checked").count() == 1
    before = lines(page, "explore-chart")
    page.get_by_label("logarithmic").check()
    assert lines(page, "explore-chart") != before


def test_the_layers_that_may_be_the_peak_are_shaded_and_flags_marked(opened):
    """The share has its 95 % set and its flags on the stream that was tested; another metric has no set."""
    page = opened(pages.one)
    sets, flags = page.locator("#explore-chart .live .set"), page.locator("#explore-chart .live .flag")
    assert sets.count() > 0
    held = pages.one().profiles[0].curve("first-token-share")
    assert flags.count() == sum(value is not None and value > 0.5 for value in held.values)
    page.select_option("#explore-metric", "norm-mean")
    assert sets.count() == 0


def test_spectra_and_norms_switch(opened):
    """The slider picks the layer of the spectrum; norms have three things to show."""
    page = opened(pages.one)
    before = lines(page, "spectra-chart")
    page.locator("#spectra-layer").fill("1")
    assert page.locator("#spectra-number").inner_text() == "1 of 6"
    assert lines(page, "spectra-chart") != before
    page.select_option("#spectra-tokens", "bulk")
    seen = set()
    for what in ("norm-mean", "norm-cv", "gains"):
        page.select_option("#norms-show", what)
        seen.add(str(lines(page, "norms-chart")))
    assert len(seen) == 3


def test_keys_move_along_the_layers(opened):
    """The chart is a slider: Home, End and arrows move it, and the values under it are read out."""
    page = opened(pages.one)
    share = pages.one().profiles[0].curve("top-eigenvalue-share")
    chart, readout = page.locator("#explore-chart .live svg"), page.locator("#explore-chart .readout")
    chart.focus()
    page.keyboard.press("Home")
    assert readout.inner_text().startswith(f"Layer 0 of 6: all tokens {share.values[0]:.3f} (95 % interval ")
    page.keyboard.press("ArrowRight")
    assert chart.get_attribute("aria-valuetext") == "Layer 1 of 6"
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith(f"Layer 6 of 6: all tokens {share.values[6]:.3f}")
    assert readout.get_attribute("aria-live") == "polite"
    page.select_option("#explore-metric", "norm-mean")
    assert readout.inner_text().startswith("Layer 6 of 6: all tokens")


def test_the_pointer_reads_out_what_it_is_over(opened):
    """Hovering over the middle of the chart gives the layer in the middle."""
    page = opened(pages.one)
    chart = page.locator("#explore-chart .live svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 54 + (box["width"] - 66) / 2, box["y"] + 60)
    assert page.locator("#explore-chart .readout").inner_text().startswith("Layer 3 of 6: ")


def test_each_chart_has_its_numbers(opened):
    """Behind each chart is a table of what it draws, made anew when the chart changes."""
    page = opened(pages.one)
    share = pages.one().profiles[0].curve("top-eigenvalue-share")
    for chart in LIVE:
        page.locator(f"#{chart} summary").click()
        page.wait_for_selector(f"#{chart} details[open] tbody td")
    cells = page.locator("#explore-chart tbody tr").nth(2).locator("td").all_inner_texts()
    assert cells[0].startswith(f"{share.values[2]:.3f} (")
    page.select_option("#explore-metric", "effective-rank")
    assert page.locator("#explore-chart tbody tr").nth(2).locator("td").all_inner_texts() != cells


def test_models_are_compared_on_relative_depth(opened):
    """Both models are drawn, the model that is explored can be chosen, and the metric of the comparison too."""
    page = opened(pages.two)
    assert len(lines(page, "compare-chart")) == 2
    before = lines(page, "compare-chart")
    page.select_option("#compare-metric", "effective-rank")
    assert lines(page, "compare-chart") != before
    page.select_option("#model", "1")
    assert "of 5" in page.locator("#explore-chart .readout").inner_text()
    assert page.locator("#spectra-number").inner_text().endswith("of 5")
    page.locator(".choice summary").click()
    page.locator("#compare-models input").first.uncheck()
    assert len(lines(page, "compare-chart")) == 1
    assert page.locator("#map").is_hidden()


def test_a_sweep_has_a_map_and_a_grid(opened):
    """Checkpoints make a map with a cell for each layer, and a small chart each; keys move from cell to cell."""
    page = opened(pages.sweep)
    assert page.locator("#map-chart .live rect[fill^=rgb]").count() == 9 * 7 + 40
    assert page.locator("#grid .line").count() == 9
    drawing, readout = page.locator("#map-chart .live svg"), page.locator("#map-chart .readout")
    drawing.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("step2, layer 1, depth 0.17: ")
    assert len(lines(page, "compare-chart")) == 7


def bare(name, keep):
    """Return the example profile by another name, with some of its curves alone."""
    one = pages.checkpoint(name, 1)
    return replace(one, curves=tuple(curve for curve in one.curves if keep(curve)), pseudo=())


def test_profiles_without_a_value_leave_the_rest_alone(opened):
    """Where no metric has a value the chart says so, and spectra, norms and the other models are drawn all the same."""
    empty = bare("empty", lambda _curve: False)
    page = opened(pages.of([empty], []))
    assert page.locator("#explore-chart .live").inner_text() == "There is nothing to draw here."
    assert lines(page, "spectra-chart")
    page = opened(pages.of([empty, *pages.two().profiles], []))
    page.select_option("#model", "1")
    assert lines(page, "explore-chart")
    assert len(lines(page, "compare-chart")) == 2
    page.select_option("#model", "0")
    assert page.locator("#explore-chart .readout").is_hidden()


def test_only_metrics_that_models_share_are_compared(opened):
    """A metric that any two models hold can be compared, whichever they are; where there is none the chart says so."""
    first = bare("first", lambda curve: curve.metric == "norm-cv")
    others = [bare(name, lambda curve: curve.metric == "norm-mean") for name in ("second", "third")]
    page = opened(pages.of([first, *others], []))
    assert page.locator("#compare-metric option").all_text_contents() == ["norm-mean"]
    assert len(lines(page, "compare-chart")) == 2
    page = opened(pages.of([first, others[0]], []))
    assert page.locator("#compare-chart .live").inner_text() == "There is nothing to draw here."


def test_a_map_leaves_out_what_was_not_measured(opened):
    """A curve of some layers has its cells at their depths, and the pointer reads out the nearest of them."""
    kept = ("layers", "values", "low", "high", "corrected", "se")
    cut = [
        replace(c, **{name: getattr(c, name)[3:] for name in kept})
        for c in pages.one().profiles[0].curves
        if (c.metric, c.stream) == ("top-eigenvalue-share", "residual")
    ]
    late = replace(pages.checkpoint("late", 1), curves=tuple(cut), pseudo=())
    page = opened(pages.of([late, *pages.two().profiles], []))
    cells = page.locator("#map-chart .live rect[fill^=rgb]").evaluate_all(
        "all => all.map((one) => Number(one.getAttribute('x')))"
    )
    late, whole = cells[:4], cells[4:11]
    assert late == whole[3:]
    box = page.locator("#map-chart .live svg").bounding_box()
    page.mouse.move(box["x"] + whole[0] + 2, box["y"] + 10)
    assert page.locator("#map-chart .readout").inner_text().startswith("late, layer 3, depth 0.50: ")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(opened, text):
    """A model, a failure and a command of any name run nothing and are seen as they are."""
    profile = pages.checkpoint(text, 0.5)
    report = pages.of(
        [profile, pages.checkpoint("other", 0.4)], ["bell-curve"], failures=[Failure("metric", text, "", text)]
    )
    page = opened(report, size=NARROW)
    assert page.title().startswith("Anisotropy profiles of ")
    assert page.title().endswith(" and other – aniso")  # noqa: RUF001 - the page's dash
    start = text[:20].replace("\u202e", "\\u202e")
    assert start in page.locator("#trust").inner_text()
    assert start in page.locator("#short").inner_text()
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_pictures_are_there(opened):
    """Each verdict and the profile are shown, and no control that would do nothing."""
    page = opened(pages.one, script=False)
    pictures = page.locator("svg.picture")
    assert pictures.count() >= 5
    assert all(pictures.nth(i).bounding_box()["height"] > 100 for i in range(pictures.count()))
    assert page.locator(".controls:visible").count() == 0
    assert page.locator("#spectra").is_hidden()
    page.locator("#explore-chart summary").click()
    assert page.locator("#explore-chart tbody tr").count() == 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("report", [pages.one, pages.two, pages.sweep], ids=["one", "two", "sweep"])
def test_everybody_can_use_it(opened, report, size, scheme):
    """Axe finds no violation of WCAG level A or AA, and nothing is wider than the window."""
    page = opened(report, size=size, scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })")
    assert len(found["passes"]) > 15
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_themes_differ(opened):
    """Dark paper in the dark theme, light paper in the light one and in print."""
    paper = "getComputedStyle(document.body).backgroundColor"
    assert opened(pages.one).evaluate(paper) == "rgb(255, 255, 255)"
    page = opened(pages.one, scheme="dark")
    assert sum(map(int, re.findall(r"\d+", page.evaluate(paper)))) < 120
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()


def test_it_prints(opened):
    """The page makes a PDF of several sheets, its charts drawn for paper and not for the screen that it was on."""
    page = opened(pages.two, size=NARROW)
    width = "document.querySelector('#explore-chart .live svg').getAttribute('width')"
    assert int(page.evaluate(width)) < 390
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {width}; }})")
    assert page.pdf().count(b"/Type /Page\n") > 3
    assert page.evaluate("window.printed") == "640"
    assert int(page.evaluate(width)) < 390


def test_the_table_of_models_stacks_on_a_phone(opened):
    """On a narrow screen each model is a card, whose every line says what it is, and nothing is out of sight."""
    page = opened(pages.two, size=NARROW)
    row = page.locator(".models tbody tr").first
    assert row.locator("td").evaluate_all("all => all.every((cell) => cell.dataset.is)")
    assert row.evaluate("row => row.scrollWidth <= innerWidth")
    assert row.locator("td").last.bounding_box()["x"] < 390


def test_a_band_below_a_logarithmic_axis_ends_at_its_foot(opened):
    """Where an interval reaches zero or below it is drawn to the foot of the axis at that layer, not left out."""
    one = pages.one().profiles[0]
    curves = tuple(
        replace(c, low=(-1.0, *c.low[1:])) if c.metric == "top-eigenvalue-share" and c.low else c for c in one.curves
    )
    page = opened(pages.of([replace(one, curves=curves)], ["bell-curve"]))
    page.get_by_label("logarithmic").check()
    band = page.locator("#explore-chart .live .band").first.get_attribute("d")
    assert len(band.split("L")) == 2 * len(one.curve("top-eigenvalue-share").layers)
    assert "log scale" in page.locator("#explore-chart .live").inner_text()


def test_charts_are_named_for_those_who_do_not_see_them(opened):
    """A screen reader finds each chart as a slider that says what it shows and how to move along it."""
    page = opened(pages.one)
    for name in ("one: top-eigenvalue-share", "one: spectrum of layer", "one: mean norm"):
        chart = page.get_by_role("slider", name=name)
        assert chart.count() == 1, name
        assert "Arrow keys move along" in chart.get_attribute("aria-label")


def test_published_profiles_and_nothing_are_pages_too(opened):
    """A profile of curves alone has no spectra and no norms section, and a report of nothing has no chart at all."""
    published = registry().adapter("pythia").published()["pythia-6.9b"]
    page = opened(pages.of([published]))
    assert len(lines(page, "explore-chart")) == 2  # the last state stands apart
    assert page.locator("#spectra").is_hidden()
    assert opened(Report(())).locator("svg").count() == 0


def test_two_hundred_models_can_be_used(opened):
    """The map has a row for each, seven are drawn over each other, and the page is there in good time."""
    many = [replace(pages.checkpoint(f"model-{i}", 1 / (1 + i)), pseudo=()) for i in range(200)]
    page = opened(pages.of(many, ["bell-curve"]))
    assert len(lines(page, "compare-chart")) == 7
    assert page.locator("#map-chart .live rect[fill^=rgb]").count() == 200 * 7 + 40
    assert "The first 60 of 200 are drawn." in page.locator("#grid-note").inner_text()
    page.select_option("#compare-metric", "top-eigenvalue-share")
    assert page.locator("#model option").count() == 12
