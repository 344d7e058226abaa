"""aniso from Python: a model in memory, its texts, and what is refused."""

import numpy as np
import pytest
from models import KINDS, tiny
from test_architectures import Letters

import aniso_core as aniso
from aniso_core import AnisoError, Document, Metric, Moments, Tokens, store
from aniso_core.running import RunningMoments

LLAMA = next(kind for kind in KINDS if kind.name == "llama")
TEXTS = ["the river rose in the night", "seven ships", "and no harbour for any of them"]


def measured(texts=TEXTS, **choices):
    return aniso.profile(tiny(LLAMA), Letters(), texts, **({"metrics": ["isoscore"]} | choices))


def test_a_model_in_memory_is_measured():
    """Every stream, layer and token set of a model in memory has its value; texts are numbered documents."""
    profile = measured(metrics=None)
    assert profile.prompts.documents == 3
    assert len(profile.curve("isoscore", "residual", "bulk").values) == 4
    assert {curve.stream for curve in profile.curves} == {"residual", "normed"}
    assert not profile.failures
    assert repr(profile).startswith("<Profile LlamaModel: 3 layers, d 32")


def test_documents_and_texts_may_be_mixed():
    """Documents keep their ids, and the texts between them are numbered by their place."""
    assert measured([Document("mine", TEXTS[0]), TEXTS[1]]).prompts.documents == 2


def test_values_do_not_depend_on_batches():
    """Batches of any size give the same profile but for rounding."""
    one, other = measured(batch_tokens=1), measured(batch_tokens=10_000)
    assert np.allclose(one.curve("isoscore").array(), other.curve("isoscore").array(), rtol=1e-4)


def test_windows_hold_all_of_a_long_document():
    """A document longer than the window is split, and no token is lost."""
    profile = measured(["a" * 150])
    assert (profile.prompts.windows, profile.prompts.tokens) == (3, 150)
    assert measured(["a" * 150], max_length=10).prompts.windows == 15


def test_run_is_written_and_read_back(tmp_path):
    """With `out` the run directory holds the same profile, spectra included."""
    profile = measured(out=tmp_path / "run", metrics=["top-1-share"])
    assert aniso.load(tmp_path / "run") == profile
    assert profile.spectra
    assert {verdict.hypothesis for verdict in store.load_judged(tmp_path / "run").verdicts} >= {"bell-curve"}


def test_an_encoder_is_measured_on_the_streams_that_it_has():
    """A model with norms after its sublayers has no stream `normed`, and by default that is no obstacle."""
    bert = tiny(next(kind for kind in KINDS if kind.name == "bert"))
    profile = aniso.profile(bert, Letters(), TEXTS, metrics=["isoscore"])
    assert {curve.stream for curve in profile.curves} == {"residual"}
    assert profile.curve("isoscore", "paper").values == profile.curve("isoscore", "residual").values
    with pytest.raises(AnisoError, match="no stream normed"):
        aniso.profile(bert, Letters(), TEXTS, streams=["normed"])


def test_repeated_choices_count_once():
    """A metric, stream or token set that is named twice, or by its alias, is measured once."""
    names = ["top-eigenvalue-share", "intrinsic-dim-ratio", "top-eigenvalue-share"]
    profile = measured(metrics=names, streams=["residual", "residual"], tokens=["all", "all"])
    assert sorted((c.stream, c.tokens) for c in profile.curves) == [("normed", "all"), ("residual", "all")]


def test_two_metrics_of_one_name_are_refused():
    """Results are told apart by name, so a second metric of the same name must be renamed."""
    with pytest.raises(AnisoError, match="Two metrics are called 'isoscore'; rename one"):
        measured(metrics=["isoscore", Metric("isoscore", lambda m: m.norm_mean)])


def test_metric_given_as_a_record_is_not_credited_to_a_plugin():
    """A metric handed over in Python says so in the provenance, whatever it is called."""
    profile = measured(metrics=[Metric("norm-mean", lambda _: 1.0, unit="1")])
    assert profile.provenance.plugins == {"norm-mean": "given"}


class Doubled(RunningMoments):
    """A stranger's statistic whose result is also called Moments."""

    def update(self, tokens: Tokens) -> None:
        super().update(Tokens.of(2 * tokens.states))


def test_spectra_are_those_of_the_states():
    """A statistic of another's making changes no spectrum that is kept."""

    def spread(m: Moments) -> float:
        return float(m.spectrum.sum())

    plain = measured(metrics=["top-1-share"])
    mixed = measured(metrics=["top-1-share", Metric("doubled", spread, over=Doubled)])
    assert mixed.spectra == plain.spectra
    total = plain.spectrum(2).sum()
    assert mixed.curve("doubled").at(2) == pytest.approx(4 * total)


@pytest.mark.parametrize(
    ("texts", "choices", "wanted"),
    [
        ("one text", {}, "put it into a list"),
        ([], {}, "no prompts"),
        (["a", 7], {}, "wanted text"),
        (TEXTS, {"bos": "never"}, "rules are auto, add, omit"),
        (TEXTS, {"max_length": 0}, "1 or more"),
        (TEXTS, {"batch_tokens": 0}, "1 or more"),
        (TEXTS, {"streams": ["residul"]}, "streams are residual"),
        (TEXTS, {"tokens": ["most"]}, "all, no-first, bulk"),
        (TEXTS, {"metrics": []}, "No metric"),
        (TEXTS, {"metrics": ["isoscor"]}, "isoscore"),
    ],
)
def test_what_cannot_be_measured_is_refused(texts, choices, wanted):
    """Each wrong argument is one sentence that says what was wanted."""
    with pytest.raises(AnisoError, match=wanted):
        measured(texts, **choices)


def test_unknown_curve_names_what_there_is():
    """A curve that the profile does not hold is an error that lists what it holds."""
    with pytest.raises(AnisoError, match=r"no effective-rank on stream residual.* its metrics are isoscore"):
        measured().curve("effective-rank")
    with pytest.raises(AnisoError, match=r"no isoscore on stream resid.* it has it on .*residual/all"):
        measured().curve("isoscore", "resid")
    assert measured().find("effective-rank") is None
