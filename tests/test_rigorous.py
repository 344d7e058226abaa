"""Claims about profiles tested over documents: the right verdict with the right words, or why there is none."""

from dataclasses import replace

import numpy as np
import pytest
from simulate import bell, flat, plateau, pseudo_values, three_phases

from aniso_core import engine, intervals
from aniso_core.contracts import Metric
from aniso_core.plugins import registry
from aniso_core.records import Count, Curve, Missing, ModelInfo, Profile, PromptsInfo, Provenance, PseudoValues
from aniso_core.words import heading, told

STATES = 13


def model(norm="layernorm", name="made", architecture="Made"):
    return ModelInfo(name, architecture, "folder", "", "", STATES - 1, 64, 0, norm, "pre", "float32", "cpu", "sdpa")


def profile(shares, documents=48, norm="layernorm", seed=0, **named):
    """Return a profile whose share is what `shares` says by token set, with pseudo-values of so many documents."""
    rng = np.random.default_rng(seed)
    curves, pseudo = [], []
    for stream in ("residual", "normed"):
        for tokens, theta in shares.items():
            values = pseudo_values(np.asarray(theta) + 0.3, documents, rng, spread=0.05)
            for metric, shift in (("top-eigenvalue-share", 0.0), ("cross-fit-share", -0.005)):
                curves.append(curve(metric, stream, tokens, values.mean(axis=0) + shift))
            pseudo.append(PseudoValues("top-eigenvalue-share", stream, tokens, tuple(range(STATES)), values))
            curves.append(curve("norm-cv", stream, tokens, values.mean(axis=0)))
            pseudo.append(PseudoValues("norm-cv", stream, tokens, tuple(range(STATES)), values))
        curves.append(curve("first-token-share", stream, "all", np.full(STATES, named.get("first", 0.05))))
    counts = tuple(
        Count(stream, tokens, tuple(range(STATES)), (9000,) * STATES)
        for stream in ("residual", "normed")
        for tokens in shares
    )
    prompts = PromptsInfo("made", "ab", documents, documents, 9000, 512, "auto", "none", units=documents)
    about = model(norm, named.get("name", "made"), named.get("architecture", "Made"))
    return Profile(about, tuple(curves), prompts, counts=counts, provenance=Provenance(), pseudo=tuple(pseudo))


def curve(metric, stream, tokens, values):
    return Curve(metric, "1", stream, tokens, tuple(range(STATES)), tuple(float(value) for value in values))


def judged(name, *profiles):
    """Return the rigorous verdicts of a hypothesis; that it failed is a failure here, too."""
    judged = engine.judge([registry().hypothesis(name)], profiles)
    verdicts = judged.verdicts
    assert not judged.failures
    return [verdict for verdict in verdicts if verdict.criterion == "rigorous"]


BELL, FLAT = bell(STATES, 0.3), flat(STATES)


def test_a_bell_is_supported_on_both_streams_and_token_sets():
    """A clear hump is supported for all and for bulk tokens of either stream, with its place, height and documents."""
    found = judged("bell-curve", profile({"all": BELL, "bulk": BELL}))
    assert [(v.outcome, v.stream, v.tokens, v.flags) for v in found] == [
        ("supported", "residual", "all", ()),
        ("supported", "residual", "bulk", ()),
        ("supported", "normed", "all", ()),
        ("supported", "normed", "bulk", ()),
    ]
    assert found[0].low < 0.3 < found[0].high
    assert 6 in found[0].details["L_star_set"]
    assert (found[0].details["documents"], found[0].details["token_count"], found[0].details["width"]) == (48, 9000, 64)
    assert "L* at layer" in told(found[0])
    assert heading(found[0]) == "bell-curve, made, residual stream, all tokens"


def test_a_bell_is_asked_of_each_stream_for_itself():
    """What norms put out can be flat where the residual stream is a bell, and is left out where it was not measured."""
    made = profile({"all": BELL, "bulk": BELL})
    level = profile({"all": FLAT, "bulk": FLAT})
    mixed = tuple(r if r.stream == "residual" else n for r, n in zip(made.curves, level.curves, strict=True))
    drawn = tuple(r if r.stream == "residual" else n for r, n in zip(made.pseudo, level.pseudo, strict=True))
    outcomes = [(v.stream, v.outcome) for v in judged("bell-curve", replace(made, curves=mixed, pseudo=drawn))]
    assert outcomes == [("residual", "supported")] * 2 + [("normed", "refuted")] * 2
    alone = replace(made, curves=tuple(c for c in made.curves if c.stream == "residual"))
    assert {v.stream for v in judged("bell-curve", alone)} == {"residual"}


def test_a_hump_of_first_tokens_alone_is_not_robust():
    """Where bulk tokens have no hump both verdicts say that the claim hangs on first tokens, and why."""
    found = judged("bell-curve", profile({"all": BELL, "bulk": FLAT}, first=0.9))
    assert found[0].outcome == "supported"
    assert found[1].outcome != "supported"
    assert all("not robust to first tokens" in verdict.flags for verdict in found)
    assert any("token_artefact: first tokens hold 90%" in flag for flag in found[0].flags)


def test_a_rise_that_stays_is_no_bell():
    """A profile that rises and stays up is refuted, by name of what is missing."""
    found = judged("bell-curve", profile({"all": plateau(STATES, 0.3), "bulk": plateau(STATES, 0.3)}))
    assert [v.outcome for v in found] == ["refuted"] * 4
    assert "no state tops both ends by 0.05" in found[0].because
    assert "p against the claim" in told(found[0])


def test_too_few_documents_are_not_testable():
    """Seven documents are too few for any test, and the verdict says how many it takes."""
    for verdict in judged("bell-curve", profile({"all": BELL, "bulk": BELL}, documents=7)):
        assert (verdict.outcome, verdict.because) == (
            "not_testable",
            "the test needs 8 documents and there are 7",
        )


def test_text_too_short_for_the_share_caps_the_verdict():
    """Where leaving documents out moves an estimate by more than half of what matters, nothing is concluded."""
    made = profile({"all": BELL, "bulk": BELL})
    moved = [
        replace(c, values=tuple(v + 0.04 for v in c.values)) if c.metric == "top-eigenvalue-share" else c
        for c in made.curves
    ]
    for verdict in judged("bell-curve", replace(made, curves=tuple(moved))):
        assert verdict.outcome == "inconclusive"
        assert any("too little text" in flag for flag in verdict.flags)


def test_massive_tokens_are_named_as_first_ones_are():
    """Massive tokens that hold most of the variance at the peak make it an artefact of theirs."""
    made = profile({"all": BELL, "bulk": BELL})
    massive = curve("massive-token-share", "residual", "all", np.full(STATES, 0.8))
    found = judged("bell-curve", replace(made, curves=(*made.curves, massive)))[0]
    assert found.flags[0].startswith("token_artefact: massive tokens hold 80% of the variance")
    assert "Token artefact: massive tokens hold 80%" in told(found)


def test_shares_of_isotropic_noise_are_flagged():
    """Layers whose share is no more than noise would have are named."""
    made = profile({"all": BELL - 0.28, "bulk": BELL - 0.28})
    assert "not told from isotropic noise at layer" in judged("bell-curve", made)[0].flags[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pseudo": ()}, "the run kept nothing of single documents"),
        ({"curves": ()}, "top-eigenvalue-share of all tokens was not measured on the residual stream"),
    ],
)
def test_runs_without_what_it_takes_say_so(change, reason):
    """An older run, and one without the metric, are not testable for a reason that says what is missing."""
    assert reason in judged("bell-curve", replace(profile({"all": BELL, "bulk": BELL}), **change))[0].because


def test_a_layer_without_a_value_is_named():
    """A profile with a gap cannot be tested, and the gap is named."""
    made = profile({"all": BELL, "bulk": BELL})
    gap = [replace(c, missing=(Missing(3, "all states are the same"),)) for c in made.curves]
    assert "no value at layer 3: all states" in judged("bell-curve", replace(made, curves=tuple(gap)))[0].because


def test_published_profiles_have_no_documents():
    """A published profile is judged by the notebooks' criterion alone."""
    published = registry().adapter("pythia").published()["pythia-6.9b"]
    for name in ("bell-curve", "three-phases", "peak-agreement"):
        assert {v.outcome for v in judged(name, published)} == {"not_testable"}
        assert "published profile has no documents" in judged(name, published)[0].because


def test_three_phases_are_supported():
    """A rise, a level and a drop at the notebook's depths are supported, a bell is not."""
    phases = three_phases(STATES, 0.3, 0.3)
    assert [v.outcome for v in judged("three-phases", profile({"all": phases, "bulk": phases}))] == ["supported"] * 2
    assert "supported" not in [v.outcome for v in judged("three-phases", profile({"all": BELL, "bulk": BELL}))]


def test_peaks_at_the_same_depth_agree():
    """Two bells of the same peak agree, a bell and one that ends high do not, and a constant is called one."""
    one, other = (profile({"all": BELL, "bulk": BELL}, seed=seed, name=f"m{seed}") for seed in (1, 2))
    late = np.maximum(0, np.linspace(-1, 0.4, STATES))
    assert judged("peak-agreement", one, other)[0].outcome == "supported"
    assert judged("peak-agreement", one, profile({"all": late, "bulk": late}, seed=3))[0].outcome == "refuted"
    assert "an external constant without uncertainty" in judged("peak-agreement", one)[0].because


def arms(low, high, **named):
    return (
        profile({"all": bell(STATES, low), "bulk": bell(STATES, low)}, norm="rmsnorm", name="r", seed=4, **named),
        profile({"all": bell(STATES, high), "bulk": bell(STATES, high)}, name="l", seed=5, **named),
    )


def test_a_flatter_profile_is_flatter_but_not_because_of_the_norm():
    """One model against one gives a verdict about the two profiles and none about the norm."""
    found = judged("gauge-flatness", *arms(0.1, 0.4))
    assert [(v.outcome, v.stream, v.tokens) for v in found[:-1]] == [
        ("supported", stream, tokens) for stream in ("residual", "normed") for tokens in ("all", "bulk")
    ]
    assert (found[-1].subject, found[-1].outcome) == ("the norm", "not_testable")
    assert "one model per arm" in found[-1].because


def test_equally_flat_profiles_are_called_equivalent():
    """With many documents equal profiles are shown to be equal within what matters."""
    found = judged("gauge-flatness", *arms(0.3, 0.3, documents=200))
    assert {v.label for v in found[:-1]} == {"equivalent"}
    assert "supported" not in {v.outcome for v in found}


def families(arms, low=0.1):
    """Return `arms` lineages a norm, two models each: bells, those of RMSNorm `low`."""
    made = []
    for number in range(2 * arms * 2):
        norm, lineage = ("rmsnorm", "layernorm")[number % 2], number // 4
        height = low if norm == "rmsnorm" else 0.4
        shares = {"all": bell(STATES, height), "bulk": bell(STATES, height)}
        made.append(profile(shares, norm=norm, name=f"m{number}", architecture=f"{norm}{lineage}", seed=number))
    return made


def test_lineages_are_counted_once():
    """Families are compared by architectures: two models of one are one observation of it."""
    few = [v for v in judged("gauge-flatness", *families(2)) if v.subject == "the norm"]
    assert {(v.outcome, v.because) for v in few} == {
        ("not_testable", "with 2 against 2 families the smallest p is 0.17")
    }
    found = [v for v in judged("gauge-flatness", *families(3)) if v.subject == "the norm"]
    assert [(v.outcome, v.p) for v in found] == [("supported", 1 / 20)] * 4
    assert "may differ in more than the norm" in found[0].because
    alike = [v for v in judged("gauge-flatness", *families(3, low=0.4)) if v.subject == "the norm"]
    assert {(v.outcome, v.label, v.p_refuted, v.low) for v in alike} == {("refuted", "equivalent", 1 / 20, None)}


def test_models_of_other_texts_make_no_families():
    """Families whose models read different texts, or too few documents, are not compared, and nothing fails."""
    made = families(3)
    made[0] = replace(made[0], prompts=replace(made[0].prompts, sha256="cd"))
    norm = [v for v in judged("gauge-flatness", *made) if v.subject == "the norm"]
    assert {v.outcome for v in norm} == {"not_testable"}
    assert "different texts" in norm[0].because
    shares = {"all": FLAT, "bulk": FLAT}
    small = [
        replace(m, model=replace(m.model, twin="a"))
        for m in (profile(shares, documents=4, norm="rmsnorm", name="r"), profile(shares, documents=4, name="l"))
    ]
    assert {v.outcome for v in judged("gauge-flatness", *small)} == {"not_testable"}


def twins(count, low=0.1):
    """Return pairs of models trained alike but for their norms."""
    made = []
    for number in range(count):
        for height, norm in ((low, "rmsnorm"), (0.4, "layernorm")):
            shares = {"all": bell(STATES, height), "bulk": bell(STATES, height)}
            found = profile(shares, norm=norm, name=f"{norm}-{number}", seed=len(made))
            made.append(replace(found, model=replace(found.model, twin=f"seed {number}")))
    return made


def test_twins_tell_the_norm_from_all_else():
    """Five pairs of twins are compared by all ways to swap them: p is 1/32, and the norm is what differs."""
    found = [v for v in judged("gauge-flatness", *twins(5)) if v.subject == "the norm in twins"]
    assert [(v.outcome, v.p, v.stream, v.tokens) for v in found] == [
        ("supported", 1 / 32, stream, tokens) for stream in ("residual", "normed") for tokens in ("all", "bulk")
    ]
    low, high = np.reshape(found[0].details["flatness"], (5, 2)).T
    assert found[0].estimate == pytest.approx(np.mean(low - high))


@pytest.mark.parametrize(
    ("low", "outcome", "label"), [(0.1, "supported", ""), (0.4, "refuted", "equivalent"), (0.7, "refuted", "")]
)
def test_twins_are_flatter_or_equally_flat_or_less_flat(low, outcome, label):
    """Eight pairs tell which, with an interval on the side of what matters where the verdict is."""
    found = [v for v in judged("gauge-flatness", *twins(8, low=low)) if v.subject == "the norm in twins"]
    assert {(v.outcome, v.label, min(v.p, v.p_refuted)) for v in found} == {(outcome, label, 1 / 256)}
    for verdict in found:
        assert verdict.low < verdict.estimate < verdict.high
        assert {0.1: verdict.high < -0.02, 0.4: -0.02 < verdict.low < verdict.high < 0.02, 0.7: verdict.low > 0.02}[low]
        assert f"(95 %: {verdict.low:+.3f} to {verdict.high:+.3f})" in verdict.because


def test_checkpoints_of_one_training_count_once():
    """Five pairs of twins at two steps each, told apart behind an @, are five observations: their means."""
    made = [
        replace(p, model=replace(p.model, twin=f"{p.model.twin} @ step {step}", name=f"{p.model.name}@{step}"))
        for step in (1, 2)
        for p in twins(5)
    ]
    found = [v for v in judged("gauge-flatness", *made) if v.subject == "the norm in twins"]
    assert {(v.outcome, v.p) for v in found} == {("supported", 1 / 32)}
    assert "over 5 pairs of twins (means over 10 of checkpoints)" in found[0].because


def test_few_twins_are_not_testable():
    """With four pairs of twins no arrangement has a p of 0.05, whatever the profiles are."""
    found = [v for v in judged("gauge-flatness", *twins(4)) if v.subject == "the norm in twins"]
    assert {(v.outcome, v.because) for v in found} == {("not_testable", "with 4 pairs the smallest p is 0.062")}


def test_documents_of_other_texts_make_no_pairs():
    """Runs of two texts cannot be compared document by document."""
    one, other = arms(0.1, 0.4)
    other = replace(other, prompts=replace(other.prompts, sha256="cd"))
    for name in ("gauge-flatness", "peak-agreement", "norm-uniformity"):
        assert "different texts" in judged(name, one, other)[0].because


def test_pairs_are_of_the_same_documents():
    """A document that one model has no tokens of is left out of both, and the others stay paired."""
    one, other = arms(0.1, 0.4)
    shared = one.pseudo[0].values - one.pseudo[0].values.mean(axis=0)

    def lacking(made, row):
        values = {p.place: p.values.mean(axis=0) + shared for p in made.pseudo}
        for found in values.values():
            found[row] = np.nan
        return replace(made, pseudo=tuple(replace(p, values=values[p.place]) for p in made.pseudo))

    verdict = judged("gauge-flatness", lacking(one, 0), lacking(other, 31))[0]
    assert verdict.details["units"] == len(shared) - 2
    assert verdict.high - verdict.low < 0.01  # documents that stray alike cancel


def test_one_layer_is_no_profile():
    """The final norm's output, which comes along with the residual stream, is not judged as a profile."""

    def cut(made):
        curves = [
            c if c.stream == "residual" else replace(c, layers=c.layers[-1:], values=c.values[-1:]) for c in made.curves
        ]
        pseudo = [
            p if p.stream == "residual" else replace(p, layers=p.layers[-1:], values=p.values[:, -1:])
            for p in made.pseudo
        ]
        return replace(made, curves=tuple(curves), pseudo=tuple(pseudo))

    found = [v for v in judged("norm-uniformity", *map(cut, arms(0.1, 0.1))) if v.stream == "normed"]
    assert {v.because for v in found} == {"the test needs 5 states and there are 1"}


def test_a_verdict_does_not_depend_on_what_else_is_judged():
    """The p of a profile is the same alone and after others."""
    one, other = (profile({"all": BELL, "bulk": BELL}, seed=seed, name=f"m{seed}") for seed in (1, 2))
    alone = judged("bell-curve", one)
    assert [v for v in judged("bell-curve", other, one) if v.subject == "m1"] == alone


def test_peaks_of_few_documents_are_not_agreed_on():
    """With fewer than 16 documents distances between peaks conclude nothing, and artefacts are flagged."""
    made = profile({"all": BELL, "bulk": BELL}, documents=10, first=0.9)
    found = judged("peak-agreement", made)[0]
    assert (found.outcome, found.label) == ("inconclusive", "")
    assert "fewer than 16" in found.because
    assert "token_artefact: first tokens hold 90%" in found.flags[0]


def test_three_phases_are_confirmed_by_their_breaks():
    """A claim that fixes the notebook's breaks is met by a real verdict of three-phases."""
    phases = three_phases(STATES, 0.3, 0.3)
    found = judged("three-phases", profile({"all": phases, "bulk": phases}))[0]
    assert found.details["breaks"] == [7 / 32, 28 / 32]
    assert found.details["break_layers"] == [3, 10]


def test_norms_that_vary_less_are_more_even():
    """The ratio of variations is estimated over documents, with its interval."""
    one, other = arms(0.1, 0.1)
    bigger = [replace(p, values=2 * p.values) if p.metric == "norm-cv" else p for p in other.pseudo]
    curves = [replace(c, values=tuple(2 * v for v in c.values)) if c.metric == "norm-cv" else c for c in other.curves]
    found = judged("norm-uniformity", one, replace(other, pseudo=tuple(bigger), curves=tuple(curves)))
    assert [v.outcome for v in found] == ["supported"] * 4
    assert found[0].low < np.log(0.5) < found[0].high
    assert "compares an RMSNorm model with a LayerNorm model" in judged("norm-uniformity", one)[0].because


def test_verdicts_are_the_same_twice():
    """The same profile and seed give the same verdicts, to the bit."""
    made = profile({"all": BELL, "bulk": plateau(STATES, 0.2)})
    assert judged("bell-curve", made) == judged("bell-curve", made)


def test_pseudo_values_are_n_of_the_whole_less_n_minus_1_of_the_rest():
    """A pseudo-value is n times the value of all less n - 1 times the value without the unit."""
    found = intervals.pseudo_values(Metric("plain", float), 3.0, [3.0], [{4: 2.0, 7: 3.5, 9: 3.0}])
    assert found == {4: 5.0, 7: 2.0, 9: 3.0}


def test_norms_that_vary_alike_are_not_more_even():
    """Models whose norms vary equally refute that those of one vary less by a fifth, with many documents."""
    found = judged("norm-uniformity", *arms(0.3, 0.3, documents=200))
    assert {v.outcome for v in found} == {"refuted"}
    assert max(v.p_refuted for v in found) <= 0.05


def test_too_little_text_caps_comparisons():
    """Where leaving out moves one of the profiles, neither their flatness nor that of families is concluded upon."""

    def moved(made):
        curves = [
            replace(c, values=tuple(v + 0.02 for v in c.values)) if c.metric == "top-eigenvalue-share" else c
            for c in made.curves
        ]
        return replace(made, curves=tuple(curves))

    found = [v for v in judged("gauge-flatness", *map(moved, families(3))) if v.outcome != "not_testable"]
    assert {v.outcome for v in found} == {"inconclusive"}
    assert all(any("too little text" in flag for flag in v.flags) for v in found)
    phases = three_phases(STATES, 0.3, 0.3)
    made = profile({"all": phases, "bulk": phases})
    far = [replace(c, values=tuple(v + 0.04 for v in c.values)) for c in made.curves]
    assert {v.outcome for v in judged("three-phases", replace(made, curves=tuple(far)))} == {"inconclusive"}


@pytest.mark.parametrize("hypothesis", ["peak-agreement", "norm-uniformity", "gauge-flatness"])
def test_many_models_are_not_tested_pair_by_pair(hypothesis):
    """Beyond 66 pairs one verdict says why none is tested and what to do, and what needs no pairs is still judged."""
    norms = ["rmsnorm", "layernorm"] * 9
    many = [profile({"all": BELL, "bulk": BELL}, 8, norm, i, name=f"m{i}") for i, norm in enumerate(norms)]
    said = [v for v in judged(hypothesis, *many) if "pairs of models are more than the 66" in v.because]
    (verdict,) = said
    assert verdict.outcome == "not_testable"
    assert "aniso compare" in verdict.because
    assert not any(" and " in v.subject or " against " in v.subject for v in judged(hypothesis, *many))
