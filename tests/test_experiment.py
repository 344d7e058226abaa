"""The experiment with twins: its page is what the stored profiles make of it, and what does not belong is refused."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from norm_twins import design, evidence, report, run
from norm_twins.design import PROFILES, TRAININGS
from norm_twins.evidence import judged, read

from aniso_core import prereg, store
from aniso_core.errors import AnisoError
from aniso_twins import plan as plans
from aniso_twins.plan import Training

pytestmark = pytest.mark.skipif(not PROFILES.exists(), reason="the twins are not measured yet")

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


def test_the_page_is_what_the_profiles_make_of_it():
    """Every number on the page comes out of the stored profiles and the registered claims."""
    assert report.main(["--check"]) == 0


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


def test_a_missing_profile_is_refused(designed, stored):
    """Without one of the profiles there is no page, and the sentence names the folder."""
    (stored / f"8x128-seed3-rmsnorm@{LAST}").unlink()
    with pytest.raises(AnisoError, match=f"8x128-seed3-rmsnorm@{LAST} is no run directory"):
        read(designed, stored)


def test_a_profile_of_another_twin_is_refused(designed, stored):
    """A profile in the place of another is found out by the twin that it names."""
    place = stored / f"8x128-seed3-rmsnorm@{LAST}"
    place.unlink()
    place.symlink_to(PROFILES / f"8x128-seed4-rmsnorm@{LAST}")
    with pytest.raises(AnisoError, match="is of a twin by another plan or corpus"):
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
    profiles = [profile for pair in found.twins(["pairs"], "rmsnorm", LAST) for profile in pair]
    with pytest.raises(AnisoError, match=wanted):
        judged("gauge-flatness", "h2", profiles)


def test_a_pair_that_diverged_is_left_out_of_the_pairs(found):
    """Where one twin diverged neither counts, as the claims say beforehand."""
    name = "8x128-seed2-rmsnorm"
    diverged = replace(found.trainings[name], diverged_at=40, because="the loss is not finite")
    left = replace(found, trainings={**found.trainings, name: diverged}).twins(["pairs"], "rmsnorm", LAST)
    assert len(left) == len(found.twins(["pairs"], "rmsnorm", LAST)) - 1
    assert not any("seed2" in profile.model.name for pair in left for profile in pair)


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


def test_stored_trainings_are_those_of_the_design(designed):
    """Nothing lies among the stored trainings and profiles that the design does not want."""
    wanted = list(designed.checkpoints())
    assert {path.name for path in PROFILES.iterdir()} <= {checkpoint.name for checkpoint in wanted}
    assert {path.name for path in TRAININGS.iterdir()} == {checkpoint.plan.name for checkpoint in wanted}
