"""Metrics that keep arrays in place of numbers, and metrics that are measured only where they are named."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_passes import measured

import aniso_core as aniso
from aniso_core import AnisoError, Metric, Moments, UndefinedMetricError
from aniso_core.contracts import MOST_KEPT

MEAN = Metric("mean-state", lambda m: np.array(m.mean), unit="state units", keeps=True)


def counted(m: Moments) -> np.ndarray:
    if m.norm_mean < 2:
        message = "the states are short"
        raise UndefinedMetricError(message)
    return np.array([[m.count, m.norm_mean]])


def test_arrays_are_kept_and_read_back(tmp_path):
    """What a metric keeps comes back by layer, from a measurement as from its run, and makes no curve."""
    profile = measured(metrics=["norm-mean", MEAN], out=tmp_path / "run")
    loaded = aniso.load(tmp_path / "run")
    assert loaded == profile
    assert {curve.metric for curve in loaded.curves} == {"norm-mean"}
    assert not profile.failures
    kept = loaded.kept("mean-state", "normed", "bulk")
    assert list(kept) == [0, 1, 2, 3]
    assert {array.shape for array in kept.values()} == {(32,)}
    assert 0 < np.linalg.norm(kept[2]) <= profile.curve("norm-mean", "normed", "bulk").at(2)


def test_a_name_with_slashes_comes_back(tmp_path):
    """A metric may be called as it likes."""
    metric = Metric("a/b", lambda m: np.array(m.mean), keeps=True)
    assert measured(metrics=[metric], out=tmp_path / "run") == aniso.load(tmp_path / "run")


def test_there_is_no_array_where_a_metric_is_undefined():
    """A layer where an array does not exist is left out, and nothing has failed."""
    profile = measured(metrics=["norm-mean", Metric("counted", counted, keeps=True)])
    long = [layer for layer, norm in enumerate(profile.curve("norm-mean").values) if norm >= 2]
    assert list(profile.kept("counted")) == long
    assert not profile.failures


def test_what_was_not_kept_says_how_to_keep_it():
    """Asking for arrays that a profile does not hold names what it holds, or the option that measures them."""
    profile = measured(metrics=[MEAN], streams=["residual"])
    with pytest.raises(AnisoError, match=r"no mean-state on stream residual, tokens some; it has them on normed/all"):
        profile.kept("mean-state", tokens="some")
    with pytest.raises(AnisoError, match=r"kept no gram .* measure it with --metric gram"):
        profile.kept("gram")


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (1.0, "TypeError: returned float, wanted an array of float64"),
        (np.ones(3, np.float32), "TypeError: returned float32, wanted an array of float64"),
        (np.array([1.0, np.nan]), "ValueError: returned an array of shape (2,), wanted 1 to 131072 finite numbers"),
        (np.ones(MOST_KEPT + 1), "ValueError: returned an array of shape (131073,), wanted 1 to 131072 finite numbers"),
        (np.ones((0, 3)), "ValueError: returned an array of shape (0, 3), wanted 1 to 131072 finite numbers"),
    ],
)
def test_what_cannot_be_kept_fails_alone(returned, wanted):
    """An array of another kind, size or content is named, and the rest is whole."""
    profile = measured(metrics=["isoscore", Metric("odd", lambda _: returned, keeps=True)])
    assert [(failure.name, failure.reason) for failure in profile.failures] == [("odd", wanted)]
    assert profile.arrays == ()
    assert None not in profile.curve("isoscore").values


def test_a_damaged_array_is_refused(tmp_path):
    """A kept array of another precision is one sentence."""
    measured(metrics=[MEAN], out=tmp_path / "run")
    path = tmp_path / "run" / "arrays.safetensors"
    arrays = load_file(path)
    save_file(arrays | {name: array.astype(np.float32) for name, array in arrays.items()}, path)
    with pytest.raises(AnisoError, match=r"damaged \(kept/\w+/.*/mean-state is float32\[32\], wanted float64\)"):
        aniso.load(tmp_path / "run")


@pytest.fixture
def costly(tmp_path, monkeypatch, fresh_registry):
    """Return a folder on the path with a plugin whose metric is on request."""
    package = tmp_path / "plugin"
    information = package / "aniso_costly-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: aniso-costly\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[aniso]\ncostly = aniso_costly\n")
    (package / "aniso_costly.py").write_text(
        "from aniso_core import Metric, hookimpl\n\n\n@hookimpl\ndef aniso_metrics():\n"
        "    return [Metric('costly', lambda m: m.norm_mean, summary='takes its time', on_request=True)]\n"
    )
    monkeypatch.syspath_prepend(str(package))
    fresh_registry()
    yield package
    shutil.rmtree(package)


@pytest.mark.usefixtures("costly")
def test_what_is_on_request_is_measured_where_it_is_named():
    """Without names it is left out; with its name it is measured, beside the others where `default` is named too."""
    assert all(curve.metric != "costly" for curve in measured().curves)
    assert {curve.metric for curve in measured(metrics=["costly"]).curves} == {"costly"}
    both = {curve.metric for curve in measured(metrics=["costly", "default"]).curves}
    assert both == {curve.metric for curve in measured().curves} | {"costly"}


@pytest.mark.usefixtures("costly")
def test_lists_say_what_is_on_request(aniso):
    """The list of metrics says which are on request, for people and as JSON."""
    assert "takes its time (on request)" in aniso("metrics", "list").out
    listed = {metric["name"]: metric["on_request"] for metric in json.loads(aniso("metrics", "list", "--json").out)}
    assert listed["costly"]
    assert not listed["isoscore"]
