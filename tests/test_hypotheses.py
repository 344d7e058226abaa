"""The notebooks' criteria on the published figures and on profiles whose shape is known."""

import numpy as np
import pytest

from aniso_bellcurve import shape
from aniso_core import engine
from aniso_core.contracts import Hypothesis
from aniso_core.paper import is_bell
from aniso_core.plugins import registry
from aniso_core.records import Curve, ModelInfo, Profile, Verdict
from aniso_gaugeflat import gauge
from aniso_gemma import aniso_adapters as gemma_adapters
from aniso_pythia import aniso_adapters as pythia_adapters

PYTHIA = pythia_adapters()[0].published()["pythia-6.9b"]
GEMMA = gemma_adapters()[0].published()["gemma-2b"]

# Rates from 10,000 simulated profiles elsewhere; both sides have a standard error of at most .005.
MONTE_CARLO = 0.02


def made(values, norm="layernorm", metric="top-eigenvalue-share", name="made"):
    values = tuple(map(float, values))
    layers = tuple(range(len(values)))
    info = ModelInfo(name, "", "memory", "", "", len(values) - 1, 8, 0, norm, "pre", "float32", "cpu", "sdpa")
    return Profile(info, (Curve(metric, "share", "paper", "all", layers, values),))


def only(test, *profiles):
    (verdict,) = (v for v in test(list(profiles), np.random.default_rng(0)) if v.criterion == "paper")
    return verdict


@pytest.mark.parametrize(
    ("profile", "peak", "slopes", "correlations"),
    [
        (PYTHIA, 7, (0.18627, -0.009323), (0.8837, -0.4103)),
        (GEMMA, 9, (0.01797, -0.05039), (0.7504, -0.7160)),
    ],
    ids=["pythia", "gemma"],
)
def test_published_bell_curves_are_reproduced(profile, peak, slopes, correlations):
    """The published profiles give the published L*, slopes and correlations, to four digits."""
    verdict = only(shape.bell_curve, profile)
    assert verdict.outcome == "supported"
    assert verdict.details["L_star"] == peak
    assert (verdict.details["phase1_slope"], verdict.details["phase2_slope"]) == pytest.approx(slopes, rel=1e-3)
    assert (verdict.details["phase1_r"], verdict.details["phase2_r"]) == pytest.approx(correlations, abs=1e-4)


def test_published_gauge_test_is_reproduced():
    """Gemma's published range and maximum are below the Pythia constants, and the verdict names its reference."""
    verdict = only(gauge.gauge_flatness, GEMMA)
    assert (verdict.outcome, verdict.label) == ("supported", "flatter")
    assert "published Pythia-6.9B" in verdict.reference
    details = verdict.details
    assert details["profile_variance"] == pytest.approx(0.023620, abs=1e-5)
    assert details["profile_range"] == pytest.approx(0.692645, abs=1e-4)
    assert details["max_anisotropy"] == pytest.approx(0.972545, abs=1e-4)
    assert details["percent_flatter"] == pytest.approx(25.8, abs=0.1)


def test_measured_layernorm_profile_replaces_the_constants():
    """With a LayerNorm profile at hand the RMSNorm one is held against it, whatever the order."""
    narrow = made(np.linspace(0.4, 0.5, 9), name="narrow")
    for profiles in ([narrow, GEMMA], [GEMMA, narrow]):
        verdicts = {v.subject: v for v in gauge.gauge_flatness(profiles, np.random.default_rng(0))}
        assert verdicts["google/gemma-2b"].outcome == "refuted"
        assert verdicts["google/gemma-2b"].reference == "measured narrow"
        assert verdicts["narrow"].outcome == "not_testable"


@pytest.mark.parametrize(
    ("values", "bell"),
    [
        ([0, 1, 2, 3, 2, 1, 0], True),
        (range(9), False),
        (range(9, 0, -1), False),
        ([0, 3, 2, 1, 0, 0, 0], False),
        ([2, 1, 0, 3, 2, 1, 0], False),
        ([0, 1, 2, 3, 0, 1, 2.9], False),
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.9, 0.5, 0.2], False),
    ],
)
def test_bell_needs_a_rise_before_the_peak_and_a_fall_from_it_on(values, bell):
    """A monotone profile, a peak at layer 1, a falling first phase or a rising second one is no bell."""
    assert only(shape.bell_curve, made(values)).outcome == ("supported" if bell else "refuted")


def test_bell_criterion_on_many_profiles_is_that_on_each():
    """The vectorised criterion behind the error rates is the one behind the verdicts."""
    drawn = np.random.default_rng(1).standard_normal((300, 13)).cumsum(axis=1)
    one_by_one = [only(shape.bell_curve, made(values)).outcome == "supported" for values in drawn]
    slopes = [
        k > 1 and k < 12 and np.polyfit(range(k), y[:k], 1)[0] > 0 > np.polyfit(range(k, 13), y[k:], 1)[0]
        for y, k in zip(drawn, drawn.argmax(axis=1), strict=True)
    ]
    assert is_bell(drawn).tolist() == one_by_one == slopes
    assert 0 < sum(slopes) < 300


@pytest.mark.parametrize(("states", "iid", "correlated"), [(7, 0.271, 0.321), (19, 0.368, 0.572), (33, 0.385, 0.658)])
def test_verdicts_say_how_often_noise_is_a_bell(states, iid, correlated):
    """The rate given with a verdict is that of an independent simulation of the same criterion."""
    details = only(shape.bell_curve, made(np.sin(np.linspace(0, 3, states)))).details
    assert shape.noise_rate(states) == pytest.approx(iid, abs=MONTE_CARLO)
    assert details["false_positive_rate_autocorrelated"] == pytest.approx(correlated, abs=MONTE_CARLO)


@pytest.mark.parametrize(("states", "rate"), [(7, 0.91), (13, 0.79), (19, 0.693), (33, 0.50)])
def test_gauge_verdicts_say_how_often_depth_alone_is_flatter(states, rate):
    """Against 33 states of the same law, fewer states pass as flatter this often."""
    assert gauge.chance_rate(states, 33) == pytest.approx(rate, abs=MONTE_CARLO)


@pytest.mark.parametrize(
    ("peak", "label"), [(28, "excellent"), (25, "excellent"), (24, "good"), (23, "good"), (22, "discrepancy")]
)
def test_peak_agreement_counts_layers_from_28(peak, label):
    """Within 3 layers is excellent, within 5 good, beyond that a discrepancy."""
    verdict = only(shape.peak_agreement, made(np.arange(33) == peak))
    assert verdict.label == label
    assert verdict.outcome == ("refuted" if label == "discrepancy" else "supported")


def test_peak_agreement_gives_the_exact_rate_of_chance():
    """A layer drawn at random is within 3 of 28 in 7 of 33 cases and within 5 in 10 of 33."""
    verdict = only(shape.peak_agreement, PYTHIA)
    assert verdict.label == "discrepancy"
    assert verdict.details["chance_excellent"] == pytest.approx(7 / 33)
    assert verdict.false_positive_rate == pytest.approx(10 / 33)


def test_three_phases_are_described_and_not_judged():
    """The table has the notebook's three ranges with their values, and no conclusion."""
    verdict = only(shape.three_phases, PYTHIA)
    assert verdict.outcome == "descriptive"
    table = verdict.details["phases"]
    assert [(row["from"], row["to"]) for row in table] == [(0, 7), (7, 28), (28, 32)]
    assert (table[0]["start"], table[0]["end"], table[2]["end"]) == (0.0601, 0.9941, 0.0950)


def test_norm_uniformity_is_described_for_each_stream():
    """The mean coefficient of variation is given, without a threshold."""
    verdict = only(gauge.norm_uniformity, GEMMA)
    assert verdict.outcome == "descriptive"
    assert verdict.details["mean_cv"]["paper/all"] == pytest.approx(np.mean(GEMMA.curve("norm-cv", "paper").array()))


@pytest.mark.parametrize("name", ["bell-curve", "peak-agreement", "three-phases", "gauge-flatness", "norm-uniformity"])
@pytest.mark.parametrize(
    "profile", [made([1, 2, 1]), made([1, 2, 1], metric="other")], ids=["short", "without the metric"]
)
def test_what_cannot_be_judged_is_not_testable_with_a_reason(name, profile):
    """Too few states or a missing metric give `not_testable` and say why."""
    verdict = only(registry().hypothesis(name).test, profile)
    assert verdict.outcome == "not_testable"
    assert len(verdict.because) > 20


def drawing(name):
    """Return a hypothesis whose estimate is a random number."""

    def test(profiles, rng):
        yield Verdict(name, "rigorous", profiles[0].model.name, "inconclusive", "drawn", estimate=rng.random())

    return Hypothesis(name, "chance", test)


def test_each_hypothesis_draws_from_its_own_generator():
    """Company and repetition change no verdict; another seed or name draws other numbers."""
    one, two = drawing("one"), drawing("two")
    together = engine.judge([one, two], [PYTHIA], seed=3)
    assert not together.failures
    apart = [v for h in (one, two) for v in engine.judge([h], [PYTHIA], seed=3).verdicts]
    assert list(together.verdicts) == apart
    other = engine.judge([one], [PYTHIA], seed=4)
    assert len({v.estimate for v in (*together.verdicts, *other.verdicts)}) == 3
