"""What makes runs comparable, and the command that compares them."""

import json
import re
import shutil
import signal
from dataclasses import fields, replace

import pytest
from conftest import TEXTS

from aniso_core import engine, store
from aniso_core.cli import compare
from aniso_core.comparing import Comparison, differences
from aniso_core.records import Curve, ModelInfo, Profile, PromptsInfo, Provenance, Verdict

MODEL = ModelInfo("one", "Tiny", "memory", "", "w1", 2, 8, 100, "rmsnorm", "pre", "float32", "cpu", "eager")
PROMPTS = PromptsInfo("four", "ab", 4, 4, 40, 32, "auto", "auto: nothing before each window", 0, 4)
MADE = Provenance({"torch": "2.13"}, {"norm-cv": "aniso 0.1"}, kernels="default", started="2026-11-21T05:56:57+00:00")
ADVICE = "which alone changes a profile; measure both on one text"
HOSTILE = "x\x1b[31m\u202e"


def curve(stream="residual", tokens="all", metric="norm-cv"):
    return Curve(metric, "1", stream, tokens, (0, 1, 2), (0.1, 0.2, 0.3))


A = Profile(MODEL, (curve(), curve("normed")), PROMPTS, provenance=MADE)
B = replace(A, model=replace(MODEL, name="two", weights_sha256="w2", layers=3))
PUBLISHED = replace(B, prompts=None, provenance=Provenance(), curves=(curve("paper"),))


def prompts(**changed):
    return replace(B, prompts=replace(PROMPTS, **changed))


def made(**changed):
    return replace(B, provenance=replace(MADE, **changed))


def test_profiles_that_differ_in_the_model_alone_are_comparable():
    """Another model, of other depth, on the same text by the same means: nothing to say."""
    assert differences(A, B) == Comparison("", ())


@pytest.mark.parametrize(
    ("b", "reason"),
    [
        (A, "a run cannot be compared with itself"),
        (replace(A, model=replace(MODEL, name="one [copy]")), "a run cannot be compared with itself"),
        (replace(A, curves=A.curves[:1]), "a run cannot be compared with itself"),
        (
            prompts(name="other", sha256="cd", documents=1),
            f"they measured different texts, four (4 documents) against other (1 document), {ADVICE}",
        ),
        (
            replace(B, curves=(curve(metric="isoscore"),)),
            "they have no metric in common, norm-cv against isoscore; measure both alike",
        ),
        (
            replace(B, curves=(curve("middle"),)),
            "they have no stream in common, normed, paper, residual against middle; measure both alike",
        ),
        (
            replace(B, curves=(curve(tokens="bulk"),)),
            "they have no token set in common, all against bulk; measure both alike",
        ),
        (replace(B, curves=()), "they have no metric in common, norm-cv against none; measure both alike"),
        (
            replace(B, curves=(curve(tokens="bulk"), curve("middle"))),
            "no metric is on the same stream and token set of both; measure both alike",
        ),
    ],
    ids=["itself", "renamed", "same start", "texts", "metrics", "streams", "token sets", "nothing", "no curve"],
)
def test_meaningless_comparisons_are_refused(b, reason):
    """Each reason that makes a comparison meaningless is one sentence, and there are no notes beside it."""
    assert differences(A, b) == Comparison(reason)


def test_a_published_profile_is_not_compared_with_itself():
    """A profile that has no time of measurement is known by its numbers, whatever it is called."""
    again = replace(PUBLISHED, model=replace(PUBLISHED.model, name="again"))
    assert differences(PUBLISHED, again).refused == "a run cannot be compared with itself"


def test_the_final_norm_s_output_alone_is_no_stream_in_common():
    """Stream `normed` of one layer comes along with `residual`, and does not make it comparable with `normed`."""
    alone = replace(curve("normed"), layers=(2,), values=(0.3,))
    residual, normed = replace(A, curves=(curve(), alone)), replace(B, curves=(curve("normed"),))
    assert "no stream in common" in differences(residual, normed).refused


@pytest.mark.parametrize(
    ("b", "note"),
    [
        (prompts(bos_rule="add", bos_done="add: <s> before each window"),
         "special tokens: nothing before each window against <s> before each window"),
        (prompts(max_length=16, windows=5), "longest window: 32 against 16"),
        (prompts(units=0), "units of uncertainty: 4 against 0"),
        (prompts(tokens=7), "too few tokens to compare effective ranks: 40 in 8 dimensions against 7 in 8 dimensions"),
        (replace(B, model=replace(B.model, width=64)),
         "too few tokens to compare effective ranks: 40 in 8 dimensions against 40 in 64 dimensions"),
        (replace(B, model=replace(B.model, dtype="bfloat16")), "dtype: float32 against bfloat16"),
        (made(kernels="fast (oneDNN 1.4 times as fast)"), "kernels: default against fast"),
        (made(versions={"torch": "2.12", "gguf": "1"}), "versions: torch 2.13 against 2.12"),
        (made(plugins={"norm-cv": "mine 2"}), "plugins of metrics: norm-cv aniso 0.1 against mine 2"),
        (PUBLISHED, "two has no documents, so only the notebooks' criterion applies"),
        (replace(B, model=replace(B.model, dtype=HOSTILE)), r"dtype: float32 against x\x1b[31m\u202e"),
    ],
    ids=["special tokens", "window", "units", "tokens", "width", "dtype", "kernels", "versions", "plugins",
         "published", "hostile"],
)  # fmt: skip
def test_what_weakens_a_comparison_is_noted(b, note):
    """Each difference that weakens a comparison is one note with both values, and refuses nothing."""
    assert differences(A, b) == Comparison("", (note,))


@pytest.mark.parametrize(
    "b",
    [
        prompts(bos_rule="omit", bos_done="omit: nothing before each window"),
        prompts(max_length=16),
        prompts(tokens=41),
        made(kernels="default (fast kernels are for a CPU, not cuda)"),
    ],
    ids=["rule of the same effect", "window that none reached", "tokens enough", "kernels"],
)
def test_what_changes_no_number_is_not_noted(b):
    """A difference without effect on the numbers is passed over."""
    assert differences(A, b) == Comparison()


# The command


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Return the run directories of the two bundled toys on four prompts, and one of the second on two prompts."""
    from click.testing import CliRunner

    from aniso_core.cli import main

    handler = signal.getsignal(signal.SIGTERM)
    folder = tmp_path_factory.mktemp("pair")
    few = ("--metric", "top-eigenvalue-share", "--stream", "residual", "--reporter", "json", "--quiet")
    runs = []
    for name, adapter, texts in (("gemma", "gemma", TEXTS), ("pythia", "pythia", TEXTS), ("two", "pythia", TEXTS[:2])):
        (folder / f"{name}.txt").write_text("\n".join(texts))
        given = ("--adapter", adapter, "--prompts", folder / f"{name}.txt", *few, "--out", folder / name)
        result = CliRunner().invoke(main, ["profile", *map(str, given)])
        assert result.exit_code == 0, result.stderr
        runs.append(folder / name)
    signal.signal(signal.SIGTERM, handler)
    return runs


def test_two_models_are_compared(pair, aniso):
    """The toys stand in one table, and the claim that compares them follows; what judges one alone is left out."""
    ran = aniso("compare", *pair[:2])
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["model", "norm", "layers", "L*", "max", "range"]
    assert re.fullmatch(r"gemma-tiny +rmsnorm +8 +\d +0\.\d{3} +0\.\d{3}", lines[4])
    assert re.fullmatch(r"pythia-tiny +layernorm +8 +\d +0\.\d{3} +0\.\d{3}", lines[5])
    assert "gauge-flatness, gemma-tiny\n  paper: " in ran.out
    assert "bell-curve" not in ran.out


def test_a_folder_of_runs_stands_for_its_runs(pair, aniso, tmp_path):
    """A folder, and FOLDER/* of one that has a report, name the runs in it, for whatever takes several."""
    for run in pair[:2]:
        shutil.copytree(run, tmp_path / run.name)
    wanted = aniso("compare", *pair[:2])
    (tmp_path / "report").mkdir()
    for given in ([tmp_path], sorted(tmp_path.iterdir())):
        assert aniso("compare", *given) == wanted
        assert aniso("test", *given).code == 0
        assert aniso("export", *given, "--format", "csv").code == 0


def test_a_comparison_as_json_has_all_fields(pair, aniso):
    """`--json` is one object of models, notes and verdicts with every field."""
    ran = aniso("compare", *pair[:2], "published:pythia-6.9b", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert list(found) == ["models", "notes", "verdicts"]
    names = ["gemma-tiny", "pythia-tiny", "EleutherAI/pythia-6.9b"]
    assert [model["model"] for model in found["models"]] == names
    assert found["models"][2] == {
        "model": names[2],
        "norm": "layernorm",
        "layers": 32,
        "L_star": 7,
        "max_anisotropy": 0.9941,
        "profile_range": pytest.approx(0.934),
    }
    assert {"models": [names[0], names[2]], "note": "dtype: float32 against float16"} in found["notes"]
    subjects = {verdict["subject"] for verdict in found["verdicts"] if verdict["criterion"] == "rigorous"}
    assert {"the norm", "gemma-tiny against pythia-tiny", "gemma-tiny against EleutherAI/pythia-6.9b"} <= subjects
    assert set(found["verdicts"][0]) == {field.name for field in fields(Verdict)}


def test_a_published_profile_is_compared_with_a_note(pair, aniso):
    """A published profile is no reason to refuse; that it has no documents is said, once for two pairs."""
    ran = aniso("compare", *pair[:2], "published:pythia-6.9b")
    assert ran.code == 0
    heading = "Note: gemma-tiny and EleutherAI/pythia-6.9b (and 1 other pair)\n"
    assert f"{heading}  EleutherAI/pythia-6.9b has no documents, so only" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_named_hypothesis_is_told_in_full(pair, aniso):
    """Verdicts of a hypothesis that was named are shown although they compare nothing; its generator has the seed."""
    ran = aniso("compare", *pair[:2], "--hypothesis", "bell-curve", "--seed", 3)
    assert ran.code == 0
    assert "bell-curve, gemma-tiny\n" in ran.out
    assert "bell-curve, pythia-tiny\n" in ran.out
    assert "gauge-flatness" not in ran.out


def test_a_reason_names_a_model_as_it_is_called(aniso):
    """No sentence begins with the name of a model, which a capital would change."""
    said = aniso("test", "published:pythia-6.9b", "published:gemma-2b", "--hypothesis", "gauge-flatness").out
    assert "For google/gemma-2b: a published profile" in " ".join(said.split())


def test_models_that_no_claim_compares_are_still_shown(pair, aniso, monkeypatch):
    """Without a comparing verdict the table stays, and a note on stderr says so."""
    monkeypatch.setattr(engine, "judge", lambda *_, **__: store.Judged())
    ran = aniso("compare", pair[1], "published:pythia-6.9b")
    assert ran.code == 0
    assert "pythia-tiny" in ran.out
    assert ran.err == "Note: no hypothesis compares these models; `aniso test` judges each alone.\n"


def test_a_run_is_not_compared_with_itself(pair, aniso, tmp_path):
    """The same run, or a copy of it, is refused in one sentence that names the pair."""
    copy = shutil.copytree(pair[0], tmp_path / "copy")
    for other, name in ((pair[0], "gemma"), (copy, "copy")):
        ran = aniso("compare", pair[0], other)
        assert (ran.code, ran.out) == (1, "")
        said = f"gemma-tiny [gemma] and gemma-tiny [{name}] are not comparable: a run cannot be compared with itself."
        assert ran.err == f"Error: {said}\n"


def test_one_clash_among_several_is_named_and_the_others_are_compared(pair, aniso, tmp_path):
    """Of three runs, two of which cannot be compared, the other pairs are; a note says why, and the exit code is 3."""
    ran = aniso("compare", *pair[:2], shutil.copytree(pair[0], tmp_path / "copy"))
    assert (ran.code, ran.err) == (3, "")
    note = "Note: gemma-tiny [gemma] and gemma-tiny [copy] not comparable, a run cannot be compared with itself."
    assert note in " ".join(ran.out.split())
    assert "gemma-tiny [gemma] against pythia-tiny" in ran.out
    found = json.loads(aniso("compare", *pair[:2], tmp_path / "copy", "--json").out)
    clash = ["gemma-tiny [gemma]", "gemma-tiny [copy]"]
    assert {"models": clash, "note": "not comparable, a run cannot be compared with itself"} in found["notes"]
    told = [verdict for verdict in found["verdicts"] if verdict["outcome"] != "not_testable"]
    assert told
    assert not [verdict for verdict in told if set(clash) <= _models(verdict)]


def _models(verdict):
    return compare._models(Verdict(**verdict), ["gemma-tiny [gemma]", "gemma-tiny [copy]", "pythia-tiny"])


def test_more_pairs_than_are_tested_are_said(pair, aniso, tmp_path):
    """Of more than 66 pairs the table is shown, and a sentence says why no two models were tested on their own."""
    runs = []
    for number in range(13):
        runs.append(shutil.copytree(pair[0], tmp_path / str(number)))
        path = runs[-1] / "profile.json"
        profile = json.loads(path.read_text())
        profile["provenance"]["started"] = f"2026-01-{number + 1:02d}T00:00:00+00:00"
        path.write_text(json.dumps(profile))
    ran = aniso("compare", *runs)
    assert ran.code == 0, ran.err
    assert "78 pairs of models are more than the 66 that are tested one by one" in " ".join(ran.out.split())
    assert all(f"gemma-tiny [{number}]" in ran.out for number in range(13))


def test_long_names_fit_80_columns(pair, aniso, tmp_path):
    """Runs with long names, told apart by them, are noted and judged within 80 columns."""
    longer = [shutil.copytree(run, tmp_path / name / ("run-" * 9)) for name, run in zip("ab", pair[:2], strict=True)]
    for run in longer:
        profile = json.loads((run / "profile.json").read_text())
        profile["model"]["name"] = "organisation/" + "model-" * 6
        profile["prompts"]["units"] = len(profile["model"]["norm"])
        (run / "profile.json").write_text(json.dumps(profile))
    ran = aniso("compare", *longer)
    assert ran.code == 0, ran.err
    assert "units of uncertainty: 7 against 9" in " ".join(ran.out.split())
    assert max(map(len, ran.out.splitlines())) <= 80


def test_runs_of_other_texts_are_refused_and_noted(pair, aniso, tmp_path):
    """`compare` refuses runs of different texts; `test` and `report` judge each and say the same on stderr."""
    why = f"they measured different texts, gemma.txt (4 documents) against two.txt (2 documents), {ADVICE}."
    refused = aniso("compare", pair[0], pair[2])
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"Error: gemma-tiny and pythia-tiny are not comparable: {why}\n"
    note = f"Note: gemma-tiny and pythia-tiny: not comparable, {why}\n"
    tested = aniso("test", pair[0], pair[2], "--hypothesis", "bell-curve")
    assert (tested.code, tested.err) == (0, note)
    drawn = aniso("report", pair[0], pair[2], "--out", tmp_path / "both")
    assert drawn.code == 0
    assert note in drawn.err


def test_a_name_within_a_name_is_not_two_models():
    """A verdict about one model does not pass for a comparison because another's name begins its own."""
    names = ["pythia", "pythia-6.9b"]
    alone = Verdict("h", "paper", "pythia-6.9b", "supported", "")
    assert compare._models(alone, names) == {"pythia-6.9b"}
    assert compare._models(replace(alone, reference="measured pythia"), names) == set(names)
