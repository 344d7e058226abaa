"""The experiment with twins: its page is what the stored profiles make of it, and what does not belong is refused."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from norm_twins import design, evidence, report, run
from norm_twins.design import PROFILES, TRAININGS
from norm_twins.evidence import judged, planted, planted_ratio, power, read

from aniso_core import prereg, store
from aniso_core.errors import AnisoError
from aniso_twins import plan as plans
from aniso_twins.plan import Training

LAST = "step500"


@pytest.fixture(scope="module")
def designed():
    return design.read()


@pytest.fixture(scope="module")
def found(designed):
    return read(designed)


@pytest.fixture
def stored(tmp_path):
    """Return a folder of links to the stored profiles."""
    for path in PROFILES.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture
def went_wrong(designed, tmp_path, monkeypatch):
    """Return what is stored of an experiment in which one twin diverged: the second seed's with RMSNorm."""
    work, name = tmp_path / "work", "8x128-seed1-rmsnorm"
    shutil.copytree(TRAININGS, work / "twins")
    (work / "runs").symlink_to(PROFILES)
    training = plans.decode((work / "twins" / name / plans.RECORD).read_bytes(), work)
    ended = replace(training, finished=False, diverged_at=40, because="not finite", curve=())
    plans.write(work / "twins" / name, ended)
    monkeypatch.setattr(run, "PROFILES", tmp_path / "profiles")
    monkeypatch.setattr(run, "TRAININGS", tmp_path / "trainings")
    pairs = designed.only(["pairs"])
    checkpoints = [checkpoint for checkpoint in pairs.checkpoints() if checkpoint.plan.name != name]
    assert run.record(pairs, checkpoints, work) == 0
    assert run.compare(pairs, work) == 1  # its profiles are there and should not be
    return read(designed, tmp_path / "profiles", tmp_path / "trainings")


def test_the_page_is_what_the_profiles_make_of_it():
    """Every number on the page comes out of the stored profiles and the registered claims."""
    assert report.main(["--check"]) == 0


def test_a_page_that_says_something_else_is_found_out(found, tmp_path, monkeypatch, capsys):
    """The first line that differs is named, and the exit code is 1; so it is without a page."""
    monkeypatch.setattr(report, "PAGES", tmp_path)
    monkeypatch.setattr(report, "read", lambda _designed: found)
    monkeypatch.setattr(report, "page", lambda _found: "# Question\n\nNo.\n")
    assert report.main(["--check"]) == 1
    (tmp_path / "norm-twins.md").write_text("# Question\n\nYes.\n")
    assert report.main(["--check"]) == 1
    assert "norm-twins.md:3 has 'Yes.', and the profiles make 'No.'" in capsys.readouterr().err


def test_claims_were_registered_before_any_profile(found):
    """No profile of a twin was begun before both files of claims were registered."""
    begun = [prereg.moment(profile.provenance.started) for profile in found.profiles.values()]
    for name in ("h1", "h2"):
        registered = prereg.read(design.HERE / f"{name}.prereg.json")
        assert prereg.moment(registered.registered) < min(begun)
        again = prereg.register(design.HERE / f"{name}.toml", datetime.now(UTC), "0.1.0")
        assert again.sha256 == registered.sha256


def test_claims_are_about_what_was_designed(designed, found):
    """The models of the claims are the pairs of the design, by name, and their texts those that were measured."""
    wanted = {c.name for c in designed.only(["pairs"]).checkpoints() if c.whole}
    claims = [c for name in ("h1", "h2") for c in prereg.read(design.HERE / f"{name}.prereg.json").claims]
    assert {model for claim in claims for model in claim.models} == wanted
    assert {claim.prompts_sha256 for claim in claims} == {p.prompts.sha256 for p in found.profiles.values()}


def test_the_smallest_effects_are_found_as_often_as_was_planned():
    """The power of eight pairs is what stands beside the registered claims, and without an effect it is the level."""
    for size, alpha, wanted in ((1.5, 0.05, 0.98), (1.5, 0.0125, 0.84), (1.0, 0.05, 0.80), (1.0, 0.0125, 0.49)):
        assert power(8, size, alpha) == pytest.approx(wanted, abs=0.02)
    assert power(8, 0.0) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("ratio", [3.0, 10.0])
def test_planted_tokens_make_the_share_that_is_said(ratio):
    """One state in 11 along one direction, the others each along its own, makes the share and norm-cv of its length."""
    others = np.eye(1001)[1:]
    states = np.vstack([others, np.tile(ratio * np.eye(1001)[0], (100, 1))])
    values = np.linalg.eigvalsh(np.cov(states.T))
    assert values[-1] / values.sum() == pytest.approx(planted(ratio, 11), rel=0.01)
    norms = np.linalg.norm(states, axis=1)
    assert planted_ratio(norms.std() / norms.mean(), 11) == pytest.approx(ratio)


def test_a_missing_profile_is_refused(designed, stored):
    """Without one of the profiles there is no page, and the sentence names the folder."""
    (stored / f"8x128-seed3-rmsnorm@{LAST}").unlink()
    with pytest.raises(AnisoError, match=f"8x128-seed3-rmsnorm@{LAST} is no run directory"):
        read(designed, stored)


@pytest.mark.parametrize(
    "other", [f"8x128-seed4-rmsnorm@{LAST}", f"8x128-seed3-layernorm@{LAST}", "8x128-seed3-rmsnorm@step256"]
)
def test_a_profile_of_another_twin_is_refused(other, designed, stored):
    """A profile in the place of another is found out, be it of another seed, norm or step."""
    place = stored / f"8x128-seed3-rmsnorm@{LAST}"
    place.unlink()
    place.symlink_to(PROFILES / other)
    with pytest.raises(AnisoError, match=f"rmsnorm@{LAST} is of another twin, plan or corpus"):
        read(designed, stored)


def test_another_corpus_is_refused(designed):
    """Trainings on other texts than the design names are refused with both hashes."""
    other = replace(designed, corpus_sha256="0" * 64)
    with pytest.raises(AnisoError, match="was begun with something else: texts"):
        read(other)


@pytest.mark.parametrize("change", ["alpha", "time"])
def test_claims_that_were_changed_afterwards_are_refused(change, found, tmp_path, monkeypatch):
    """Claims that were edited, or registered after the profiles were measured, give no verdict."""
    registered = prereg.read(design.HERE / "h2.prereg.json")
    if change == "alpha":
        changed, wanted = replace(registered, claims=(replace(registered.claims[0], alpha=0.2),)), "was changed"
    else:
        changed, wanted = replace(registered, registered="2100-01-01T00:00:00+00:00"), "registered too late"
    store.write_file(tmp_path / "h2.prereg.json", store.encode(changed))
    monkeypatch.setattr(evidence, "HERE", tmp_path)
    with pytest.raises(AnisoError, match=wanted):
        judged("gauge-flatness", "h2", found, LAST)


def test_a_verdict_that_one_model_lacks_is_refused(found):
    """No claim is met by some of its models: a profile that allows no test stops the page, with the reason."""
    name = f"8x128-seed3-rmsnorm@{LAST}"
    bare = replace(found.profiles[name], pseudo=())
    with pytest.raises(AnisoError, match=r"bell-residual-all of h1.prereg.json is not met: .*nothing of single"):
        judged("bell-curve", "h1", replace(found, profiles={**found.profiles, name: bare}), LAST)


def test_a_pair_of_which_one_diverged_is_left_out(went_wrong):
    """Neither twin counts, as the claims say beforehand; the others are judged, and the page says so."""
    pairs = went_wrong.pairs(["pairs"], "rmsnorm", LAST)
    assert [pair.seed for pair in pairs] == [0, 2, 3, 4, 5, 6, 7]
    assert len(judged("gauge-flatness", "h2", went_wrong, LAST)) == 4
    assert len(judged("bell-curve", "h1", went_wrong, LAST)) == 4 * 14
    assert "8x128-seed1-rmsnorm diverged at step 40 and is left out." in report.page(went_wrong)


def test_what_never_came_down_to_the_loss_is_left_out_where_nothing_was_claimed(designed, tmp_path, found):
    """A ladder twin is left out at the same loss; without a twin that the claims name there is no verdict."""
    trainings = tmp_path / "trainings"
    shutil.copytree(TRAININGS, trainings)
    for name in ("8x128-seed1-no-gain", "8x128-seed1-rmsnorm"):
        plans.write(trainings / name, replace(found.trainings[name], matched_at=None))
    left = read(designed, trainings=trainings)
    assert [pair.seed for pair in left.pairs(["pairs", "ladder"], "no-gain", "matched")] == [0, 2]
    assert [pair.seed for pair in left.pairs(["pairs", "ladder"], "no-gain", LAST)] == [0, 1, 2]
    with pytest.raises(AnisoError, match=r"flat-loss-residual-all of h2.prereg.json is not met: .*without 8x"):
        judged("gauge-flatness", "h2", left, "matched")


def test_a_training_without_a_checkpoint_is_refused(designed, tmp_path):
    """What the design wants to measure must be there before anything is measured."""
    pairs = designed.only(["pairs"])
    (plan, *_) = pairs.plans(pairs.arm[0])
    with pytest.raises(AnisoError, match="holds no training that has ended"):
        run.trained(pairs, tmp_path)
    folder = tmp_path / "twins" / plan.name
    folder.mkdir(parents=True)
    plans.write(folder, Training(plan, finished=True))
    with pytest.raises(AnisoError, match="has no checkpoint step0; remove the folder to train it again"):
        run.trained(pairs, tmp_path)


def test_a_diverged_training_is_not_measured(designed, tmp_path, caplog):
    """Checkpoints of a training that diverged are left out, which is said."""
    pairs = designed.only(["pairs"])
    for plan in pairs.plans(pairs.arm[0]):
        folder = tmp_path / "twins" / plan.name
        folder.mkdir(parents=True)
        plans.write(folder, Training(plan, diverged_at=7, because="the loss is not finite"))
    assert run.trained(pairs, tmp_path) == []
    assert "8x128-seed0-layernorm@step0 diverged at step 7 and is left out." in caplog.messages


def test_profiles_are_compared_by_the_size_of_their_curves(found):
    """The distance is 0 from a profile to itself, else the largest difference by the largest value of the curve."""
    profile = found.profiles[f"8x128-seed0-rmsnorm@{LAST}"]
    assert run.distance(profile, profile) == 0
    curve = profile.curves[0]
    moved = replace(curve, values=(curve.values[0] + 0.5 * max(curve.values), *curve.values[1:]))
    assert run.distance(profile, replace(profile, curves=(moved, *profile.curves[1:]))) == pytest.approx(0.5)
    unknown = replace(curve, values=(np.nan, *curve.values[1:]))
    assert run.distance(profile, replace(profile, curves=(unknown, *profile.curves[1:]))) == np.inf
    other = [replace(p, values=p.values * np.linspace(1, 2, len(p.layers))) for p in profile.pseudo]
    assert run.distance(profile, replace(profile, pseudo=tuple(other))) > run.TOLERANCE


def test_what_is_measured_again_is_compared_with_what_is_stored(designed, tmp_path):
    """The same profiles are the same, and one that is missing, this time or before, is not."""
    (tmp_path / "runs").mkdir()
    for path in PROFILES.iterdir():
        (tmp_path / "runs" / path.name).symlink_to(path)
    assert run.compare(designed, tmp_path) == 0
    (tmp_path / "runs" / f"8x128-seed0-rmsnorm@{LAST}").unlink()
    assert run.compare(designed, tmp_path) == 1


def test_nothing_is_stored_that_is_not_designed(designed, found):
    """Trainings and profiles are those of the arms that were run, and no others lie among them."""
    assert {path.name for path in PROFILES.iterdir()} == set(found.profiles)
    assert {path.name for path in TRAININGS.iterdir()} == set(found.trainings)
    assert set(found.trainings) <= {checkpoint.plan.name for checkpoint in designed.checkpoints()}
