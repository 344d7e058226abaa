"""Ways out: what is exported and read back is the profile, whatever cannot be read is named, and names stay names."""

import csv
import io
import json
import math
import re
import shutil
import sys
import xml.dom.minidom
from dataclasses import replace

import numpy as np
import pytest

from aniso_core import export, store
from aniso_core.errors import AnisoError
from aniso_core.export import Row, Selection
from aniso_core.export.frames import to_parquet
from aniso_core.records import Curve, Failure, Profile
from aniso_core.testing import example_profile

HOSTILE = (
    r"\input{/etc/passwd}",
    "50%_of $x$ & #1 ~ ^",
    "[opt]*",
    "<script>alert(1)</script>",
    "a\nb\x1b[31m\u202e",
    "\"'`{}|<>",
    "=1+1",
)


@pytest.fixture(scope="module")
def profile(good_run) -> Profile:
    """Return the profile of an honest run."""
    return store.load(good_run)


def numbers(profile):
    """Return each number that a profile holds by where it is, fields by name, NaN where there is none."""
    views = {(c.metric, "paper", c.tokens) for c in profile.curves} | {
        (c.metric, c.stream, c.tokens) for c in profile.curves
    }
    curves = filter(None, (profile.find(*view) for view in views))
    fields = ("values", "low", "high", "corrected", "se")
    return {
        (c.metric, c.stream, c.tokens, layer): [
            math.nan if not getattr(c, field) or getattr(c, field)[i] is None else getattr(c, field)[i]
            for field in fields
        ]
        for c in curves
        for i, layer in enumerate(c.layers)
    }


def same(frame, profile):
    """Assert that a data frame holds the numbers of a profile to the bit, and nothing else."""
    assert tuple(frame.columns) == Row._fields
    wanted = numbers(profile)
    found = {
        (row.metric, row.stream, row.tokens, row.layer): [row.value, row.low, row.high, row.corrected, row.se]
        for row in frame.itertuples()
    }
    assert found.keys() == wanted.keys()
    assert len(frame) == len(wanted)
    for place, given in wanted.items():
        np.testing.assert_array_equal(found[place], given)
    assert set(frame["model"]) == {profile.model.name}
    assert (frame["depth"] == frame["layer"] / profile.model.layers).all()


# Round trips


def test_the_frame_of_a_profile_is_the_profile(profile):
    """Each row of the data frame is a number of the profile, with unit and number of tokens."""
    frame = profile.to_frame()
    same(frame, profile)
    units = {curve.metric: curve.unit for curve in profile.curves}
    assert (frame["unit"] == frame["metric"].map(units)).all()
    bulk = frame[(frame["stream"] == "residual") & (frame["tokens"] == "bulk")].drop_duplicates("layer")
    (count,) = (c.counts for c in profile.counts if (c.stream, c.tokens) == ("residual", "bulk"))
    assert tuple(bulk["n"]) == count


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_what_is_exported_and_read_back_with_pandas_is_the_profile(format_, profile, good_run, tmp_path, aniso):
    """A file that `aniso export` writes holds the profile's numbers to the bit, and is not replaced by another."""
    import pandas as pd

    path = tmp_path / f"out.{format_}"
    ran = aniso("export", good_run, "--format", format_, "--out", path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    read = {
        "csv": lambda: pd.read_csv(path, engine="python"),
        "json": lambda: pd.DataFrame(json.loads(path.read_text())).astype({"low": float, "high": float}),
        "parquet": lambda: pd.read_parquet(path),
    }
    same(read[format_](), profile)
    before = path.read_bytes()
    again = aniso("export", good_run, "--format", "csv", "--metric", "norm-mean", "--out", path)
    assert (again.code, path.read_bytes()) == (1, before)
    assert again.err == f"Error: {path} exists already and is not replaced; name another file with --out.\n"


def test_the_data_set_of_a_profile_is_the_profile(profile):
    """Each variable over stream, token set and layer holds a metric's numbers, with its unit; gaps are NaN."""
    data = profile.to_xarray()
    for (metric, stream, tokens, layer), (value, low, high, corrected, se) in numbers(profile).items():
        place = {"stream": stream, "tokens": tokens, "layer": layer}
        found = data[metric].sel(place)
        np.testing.assert_array_equal(found, value)
        for name, given in (("low", low), ("high", high), ("corrected", corrected), ("se", se)):
            if f"{metric}_{name}" in data:
                np.testing.assert_array_equal(data[f"{metric}_{name}"].sel(place), given)
            else:
                assert math.isnan(given)
    for curve in profile.curves:
        assert data[curve.metric].dims == ("stream", "tokens", "layer")
        assert data[curve.metric].attrs["units"] == curve.unit
    for spectrum in profile.spectra:
        place = {"stream": spectrum.stream, "tokens": spectrum.tokens, "layer": spectrum.layer}
        np.testing.assert_array_equal(data["spectrum"].sel(place), spectrum.values)
    assert [float(data["norm_gain_sd"].sel(layer=norm.layer)) for norm in profile.norms] == [
        norm.gain_sd for norm in profile.norms
    ]
    assert (data["depth"] == data["layer"] / profile.model.layers).all()
    assert data.attrs["model"] == profile.model.name


def test_a_data_set_survives_a_file(profile, tmp_path):
    """What xarray writes to netCDF and reads back is the same data set, attributes included."""
    import xarray as xr

    data = profile.to_xarray()
    data.to_netcdf(tmp_path / "x.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "x.nc", engine="scipy") as again:
        assert again.equals(data)
        assert again.attrs == data.attrs
        assert again["isoscore"].attrs == data["isoscore"].attrs


def test_a_published_profile_goes_out_as_well(aniso, tmp_path):
    """A profile without counts, intervals and spectra has rows with gaps, and a data set without those variables."""
    import pandas as pd

    from aniso_core.plugins import registry

    assert aniso("export", "published:pythia-6.9b", "--format", "parquet", "--out", tmp_path / "x.parquet").code == 0
    published = registry().adapter("pythia").published()["pythia-6.9b"]
    frame = pd.read_parquet(tmp_path / "x.parquet")
    same(frame, published)
    assert frame["n"].isna().all()
    assert not {"n", "spectrum", "norm_gain_mean"} & set(published.to_xarray())


def test_an_older_run_goes_out(profile, good_run, tmp_path, aniso):
    """A run that was written before there were errors, counts and norms is exported with gaps there."""
    plain = json.loads((good_run / store.PROFILE).read_text())
    for curve in plain["curves"]:
        del curve["se"], curve["corrected"], curve["no_interval"]
    del plain["counts"], plain["norms"], plain["remarks"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / store.PROFILE).write_text(json.dumps(plain))
    ran = aniso("export", tmp_path / "old", "--format", "csv")
    assert (ran.code, ran.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {(row["se"], row["corrected"], row["n"]) for row in rows} == {("", "", "")}
    assert [row["value"] for row in rows if row["value"]] == [
        str(r.value) for r in export.tidy_rows([profile]) if r.value is not None
    ]


# What is wanted


def test_filters_choose_rows(good_run, aniso):
    """--metric, --stream and --tokens leave the rows of what they name, an alias standing for its metric."""
    options = ("--metric", "isoscore", "--metric", "intrinsic-dim-ratio", "--stream", "paper", "--tokens", "bulk")
    ran = aniso("export", good_run, "--format", "json", *options)
    found = {(row["metric"], row["stream"], row["tokens"]) for row in json.loads(ran.out)}
    assert found == {("isoscore", "paper", "bulk"), ("top-eigenvalue-share", "paper", "bulk")}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--metric", "effective-ran"), "no metric 'effective-ran' here; what was measured is effective-rank,"),
        (("--stream", "normed"), "nothing on these streams and token sets; there is paper/all"),
    ],
    ids=["metric", "stream"],
)
def test_what_a_run_lacks_is_said(options, wanted, aniso):
    """A filter that leaves nothing is an error that says what there is, the nearest name first."""
    ran = aniso("export", "published:pythia-6.9b", "--format", "csv", *options)
    assert (ran.code, ran.out) == (1, "")
    assert wanted in ran.err


@pytest.mark.parametrize(
    ("package", "way"),
    [
        ("pandas", lambda profile: profile.to_frame()),
        ("xarray", lambda profile: profile.to_xarray()),
        ("pyarrow", lambda profile: to_parquet([profile])),
    ],
    ids=["pandas", "xarray", "pyarrow"],
)
def test_a_missing_package_is_one_sentence(package, way, profile, monkeypatch):
    """Where a package of aniso[data] is missing, one sentence names it and the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AnisoError, match=rf"^This needs {package}, .*pip install 'aniso\[data\]'\.$"):
        way(profile)


def test_parquet_is_not_thrown_at_a_terminal(good_run, aniso, monkeypatch):
    """Without --out Parquet goes into a pipe, and a terminal is refused."""
    from aniso_core.cli import export as command

    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(command, "sys", type("Sys", (), {"stdout": Terminal()}))
    ran = aniso("export", good_run, "--format", "parquet")
    assert (ran.code, ran.out) == (1, "")
    assert "--out" in ran.err


# Runs that cannot be read


def spoiled(good_run, folder):
    """Make runs that cannot be read; return them with what is said of each."""
    half, newer, foreign, file = (folder / name for name in ("half", "newer", "foreign", "file"))
    for made in (half, newer, foreign):
        made.mkdir()
    shutil.copy(good_run / store.RUN, half)
    (newer / store.PROFILE).write_text('{"format": 2, "model": {}, "curves": []}')
    (foreign / store.PROFILE).write_text("[1, 2]")
    file.write_text("x")
    return {half: "is no run directory", newer: "has format 2", foreign: "is damaged", file: "is no run directory"}


def test_runs_that_cannot_be_read_are_named_and_the_rest_is_written(good_run, profile, tmp_path, aniso):
    """Among good runs each bad one is told in one sentence; the numbers of the good are whole; the exit code is 1."""
    bad = spoiled(good_run, tmp_path)
    ran = aniso("export", *bad, good_run, "--format", "csv")
    assert ran.code == 1
    said = ran.err.splitlines()
    assert [line.startswith("Error: ") for line in said] == [True] * len(bad)
    for (path, wanted), line in zip(bad.items(), said, strict=True):
        assert str(path) in line
        assert wanted in line
    assert ran.out == export.to_csv([profile])
    alone = aniso("export", *bad, "--format", "csv")
    assert (alone.code, alone.out, len(alone.err.splitlines())) == (1, "", len(bad))


def test_an_output_that_cannot_be_written_is_said(good_run, tmp_path, aniso):
    """A file in a folder that there is not is one sentence."""
    ran = aniso("export", good_run, "--format", "csv", "--out", tmp_path / "absent" / "x.csv")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"Error: Cannot write .*x\.csv: No such file or directory .*\n", ran.err)


def test_two_hundred_runs_go_out_together(good_run, tmp_path, aniso):
    """As many runs as a sweep leaves are one table, runs of one model told apart."""
    runs = [tmp_path / f"run-{number:03d}" for number in range(200)]
    for run in runs:
        run.mkdir()
        shutil.copy(good_run / store.PROFILE, run)
    ran = aniso("export", *runs, "--format", "json", "--metric", "isoscore", "--stream", "paper", "--tokens", "all")
    assert ran.code == 0
    models = {row["model"] for row in json.loads(ran.out)}
    assert len(models) == 200
    assert "tiny-neox [run-123]" in models


def test_a_metric_that_failed_leaves_gaps(profile):
    """A profile with a failed metric and one without any value goes out whole, empty where there is no number."""
    curve = Curve("broken", "1", "residual", "all", (0, 1), (None, None))
    failed = replace(profile, curves=(*profile.curves, curve), failures=(Failure("metric", "broken", "x 1", "no"),))
    frame = failed.to_frame()
    same(frame, failed)
    assert frame[frame["metric"] == "broken"]["value"].isna().all()
    assert np.isnan(failed.to_xarray()["broken"]).all()
    assert " & -- & -- \\\\" in export.to_latex([failed], Selection(metrics=["broken"], streams=["residual"]))


# LaTeX


def cells(table):
    """Return the cells of a table's body."""
    body = re.search(r"(?s)\\midrule\n(.*)\\bottomrule", table)[1]
    return [line.removesuffix(r" \\").split(" & ") for line in body.splitlines()]


def test_latex_is_a_table_that_a_paper_takes(profile, good_run, aniso):
    """The table has a line for each model: the layer of the largest value, or of the smallest where less is more."""
    options = ("--metric", "top-eigenvalue-share", "--metric", "participation-ratio")
    ran = aniso("export", good_run, "published:pythia-6.9b", "--format", "latex", *options)
    assert ran.code == 0
    curve = profile.curve("top-eigenvalue-share", "paper")
    at = max(range(len(curve.values)), key=lambda i: curve.values[i])
    (own, published) = cells(ran.out)
    assert own[:2] == ["tiny-neox", str(curve.layers[at])]
    value, low, high = (float(number) for number in re.findall(r"[\d.]+", own[2]))
    assert (value, low, high) == pytest.approx((curve.values[at], curve.low[at], curve.high[at]), abs=5e-4)
    narrow = profile.curve("participation-ratio", "paper")
    assert own[3] == str(narrow.layers[narrow.values.index(min(narrow.values))])
    assert published[:3] == ["EleutherAI/pythia-6.9b", "7", "0.994"]
    for word in (r"\usepackage{booktabs}", r"\toprule", r"\bottomrule", r"\begin{tabular}{lrlrl}", "max & layer & min"):
        assert word in ran.out


def test_latex_has_a_line_for_each_place_that_is_named(profile):
    """Several token sets or streams are columns and lines of their own."""
    table = export.to_latex([profile], Selection(streams=["residual"], tokens=["all", "bulk"]))
    assert [line[:2] for line in cells(table)] == [["tiny-neox", "all"], ["tiny-neox", "bulk"]]
    assert "% In all lines: stream residual." in table


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_acts_on_no_name(name, profile):
    """A name of a model or metric is text: no command, comment, column, line or argument comes of it."""
    curve = replace(profile.curve("top-eigenvalue-share", "paper"), metric=name, unit=name)
    hostile = replace(profile, model=replace(profile.model, name=name), curves=(curve,))
    table = export.to_latex([hostile], Selection(metrics=[name]))
    plain = export.to_latex(
        [replace(hostile, model=replace(profile.model, name="m"), curves=(replace(curve, metric="n", unit="n"),))],
        Selection(metrics=["n"]),
    )
    assert len(table.splitlines()) == len(plain.splitlines())
    known = r"\\(?:text(?:backslash|asciitilde|asciicircum|less|greater|bar)\{\}|char34\{\}|[{}$&#_%])|^\s*\{[\[*]\}"
    # What is no escape must be no special character; brackets and stars are such where a line begins.
    for line in (cells(table)[0][0], re.search(r"\\multicolumn\{2\}\{c\}\{(.*)\} \\\\$", table, re.MULTILINE)[1]):
        assert not re.search(r"^\s*[\[*]|[\\{}$&#_%~^<>|\"\x00-\x1f]", re.sub(known, "", line)), line


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.5, "0.500"),
        (-12.34, "$-$12.3"),
        (123.4, "123"),
        (1e-7, r"1.00$\times 10^{-7}$"),
        (-123456.0, r"$-$1.23$\times 10^{5}$"),
        (0.0, "0.00"),
    ],
)
def test_latex_numbers_have_three_digits(value, wanted, profile):
    """A number has three significant digits, and a power of ten where it is large or tiny."""
    curve = Curve("m", "1", "paper", "all", (0,), (value,))
    assert cells(export.to_latex([replace(profile, curves=(curve,))], Selection(metrics=["m"])))[0][2] == wanted


# Notebooks


def test_a_notebook_shows_a_small_static_table(profile):
    """The HTML is well formed and small, has curves and no script, link, style or colour of its own."""
    shown = profile._repr_html_()
    document = xml.dom.minidom.parseString(shown)  # noqa: S318 - our own text
    tags = {element.tagName for element in document.getElementsByTagName("*")}
    assert tags == {"div", "b", "small", "table", "tr", "th", "td", "br", "svg", "polyline"}
    assert {line.getAttribute("stroke") for line in document.getElementsByTagName("polyline")} == {"currentColor"}
    assert len(shown) < 5_000
    assert "top-eigenvalue-share" in shown
    assert len(repr(profile).splitlines()) == 1


def test_a_notebook_shows_deep_models_as_lightly():
    """The HTML of a model of 120 blocks stays below 20 kB."""
    profile = example_profile(layers=120, documents=2)
    assert len(profile._repr_html_()) < 20_000


@pytest.mark.parametrize("name", HOSTILE)
def test_a_notebook_acts_on_no_name(name, profile):
    """A name of a model, metric or stream adds no element to the HTML."""
    curve = replace(profile.curves[0], metric=name, stream=name)
    hostile, plain = (
        replace(profile, model=replace(profile.model, name=said), curves=(replace(curve, metric=said, stream=said),))
        for said in (name, "plain")
    )
    elements = [
        [e.tagName for e in xml.dom.minidom.parseString(p._repr_html_()).getElementsByTagName("*")]  # noqa: S318
        for p in (hostile, plain)
    ]
    assert elements[0] == elements[1]


def test_a_profile_without_curves_is_shown(profile):
    """A profile with nothing measured is a heading."""
    assert "tiny-neox" in replace(profile, curves=())._repr_html_()
