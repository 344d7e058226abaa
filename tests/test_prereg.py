"""Preregistration: claims are fixed whole and unchanged, and only verdicts that meet them are confirmatory."""

import hashlib
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from conftest import FEW, TEXTS

from aniso_core import engine, plugins, prereg, store
from aniso_core.contracts import Hypothesis
from aniso_core.errors import AnisoError
from aniso_core.plugins import registry
from aniso_core.prereg import Preregistration, Registered
from aniso_core.records import ModelInfo, Profile, PromptsInfo, Provenance, Verdict
from aniso_core.standing import mark, unmet
from aniso_core.tokens import Document, texts_sha256

SHA = texts_sha256([Document(text, text) for text in TEXTS])
PAGES = Path(__file__).parents[1] / "docs"

FULL = {
    "id": '"one"',
    "claim": '"it rises and falls"',
    "hypothesis": '"bell-curve"',
    "models": '["m"]',
    "prompts_sha256": f'"{SHA}"',
    "tokens": '"bulk"',
    "stream": '"residual"',
    "metric": '"top-eigenvalue-share"',
    "statistic": '"max-t"',
    "direction": '"up, then down"',
    "sesoi": "{ delta = 0.05, eps = 0.05 }",
    "alpha": "0.05",
    "draws": "999",
    "seed": "3",
    "documents_planned": "4",
    "family": '"first"',
}

CLAIM = Preregistration(
    id="one",
    claim="it rises and falls",
    hypothesis="bell-curve",
    models=("m",),
    prompts_sha256=SHA,
    tokens="bulk",
    stream="residual",
    metric="top-eigenvalue-share",
    statistic="max-t",
    direction="up, then down",
    sesoi={"delta": 0.05, "eps": 0.05},
    alpha=0.05,
    draws=999,
    seed=3,
    documents_planned=4,
    family="first",
)
VERDICT = Verdict(
    "bell-curve",
    "rigorous",
    "m",
    "supported",
    "it peaks",
    p=0.01,
    stream="residual",
    tokens="bulk",
    flags=("thin",),
    details={"metric": "top-eigenvalue-share", "delta": 0.05, "eps": 0.05},
)


def toml(**changed):
    """Return a claim as TOML; None leaves a key out."""
    lines = [f"{key} = {value}" for key, value in (FULL | changed).items() if value is not None]
    return "\n".join(["[[claim]]", *lines, ""])


def registered(*claims, time="2026-01-01T12:00:00+00:00"):
    return Registered(claims or (CLAIM,), "ab", time, "0.1.0")


def profile(name="m", revision="", sha256=SHA, documents=4, started="2026-01-02T12:00:00+00:00"):
    """Return a measured profile without curves."""
    model = ModelInfo(name, "", "hub", revision, "", 2, 4, 0, "rmsnorm", "pre", "float32", "cpu", "sdpa")
    prompts = PromptsInfo("four", sha256, documents, documents, 40, 32, "auto", "none")
    return Profile(model, (), prompts, provenance=Provenance(started=started))


def only(verdict=VERDICT, claims=None, profiles=None, seed=3):
    (marked,) = mark([verdict], claims or registered(), profiles or [profile()], seed)
    return marked


@pytest.fixture
def register(tmp_path):
    """Return a function that registers a TOML text."""

    def run(text):
        path = tmp_path / "claims.toml"
        path.write_text(text, encoding="utf-8")
        return prereg.register(path, datetime(2026, 1, 1, tzinfo=UTC), "0.1.0")

    return run


# Files


def test_a_file_becomes_the_claims_that_it_holds(register):
    """Every key of a claim arrives in its field, those that may be left out by their defaults."""
    assert register(toml()).claims == (CLAIM,)
    more = register(toml(breaks="[0.25, 0.75]", exclusions='["poems"]', exploratory_ok="true")).claims[0]
    assert (more.breaks, more.exclusions, more.exploratory_ok) == ((0.25, 0.75), ("poems",), True)
    assert register(toml(subject='"the norm"')).claims[0].subject == "the norm"
    two = register(toml() + toml(id='"two"'))
    assert [claim.id for claim in two.claims] == ["one", "two"]


def test_order_and_comments_do_not_change_the_hash(register):
    """The canonical form is that of the content: keys in another order, comments and 1 for 1.0 change nothing."""
    plain = register(toml(sesoi="{ delta = 1.0, eps = 0.5 }"))
    turned = {key: FULL[key] for key in reversed(FULL)} | {"sesoi": "{ eps = 5e-1, delta = 1 }  # generous"}
    lines = [f"{key} = {value}" for key, value in turned.items()]
    other = register("# a comment\n[[claim]]\n" + "\n\n".join(lines))
    assert prereg.canonical(plain.claims) == prereg.canonical(other.claims)
    assert plain.sha256 == other.sha256 == hashlib.sha256(prereg.canonical(plain.claims)).hexdigest()


def test_the_canonical_form_is_plain_json(register):
    """The canonical form is sorted JSON in UTF-8 without spaces, floats as Python writes them."""
    made = prereg.canonical(register(toml(claim='"größer"', alpha="1e-7")).claims)
    assert made == json.dumps(json.loads(made), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert b'"alpha":1e-07,"breaks":[],"claim":"gr\xc3\xb6\xc3\x9fer"' in made


@pytest.mark.parametrize("key", FULL)
def test_any_other_content_has_another_hash(key, register):
    """A claim that differs in one value has another hash."""
    other = {
        "models": '["n"]',
        "prompts_sha256": f'"{"0" * 64}"',
        "tokens": '"all"',
        "stream": '"normed"',
        "sesoi": "{}",
        "alpha": "0.01",
    }
    changed = other.get(key, f"{FULL[key]}1" if FULL[key][-1].isdigit() else '"another"')
    assert register(toml(**{key: changed})).sha256 != register(toml()).sha256


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (toml(alfa="0.05"), r"claim 1: there is no key 'alfa'; the keys are alpha, .+; correct the file\."),
        (toml(family=None), r"wanted the key 'family', and it is missing"),
        (toml(alpha='"small"'), r"Expected `float`, got `str` for alpha;"),
        (toml(seed="1.5"), r"Expected `int`, got `float` for seed;"),
        (toml(models='"m"'), r"Expected `array`, got `str` for models;"),
        (toml(models="[]"), r"wanted models as NAME or NAME@REVISION, got \[\]"),
        (toml(models='["m@"]'), r"wanted models as NAME or NAME@REVISION, got \['m@'\]"),
        (toml(alpha="0"), r"wanted alpha between 0 and 1, got 0\.0"),
        (toml(alpha="1.5"), r"wanted alpha between 0 and 1, got 1\.5"),
        (toml(alpha="nan"), r"wanted alpha between 0 and 1, got nan"),
        (toml(tokens='"bulky"'), r"there is no token set 'bulky'; the token sets are bulk, "),
        (toml(stream='"norm"'), r"there is no stream 'norm'; the streams are normed, "),
        (toml(breaks="[0.8, 0.2]"), r"wanted two breaks a and b with 0 < a < b < 1, got \[0\.8, 0\.2\]"),
        (toml(breaks="[0.5]"), r"wanted two breaks"),
        (toml(breaks="[0, 0.5]"), r"wanted two breaks"),
        (toml(sesoi="{ delta = inf }"), r"wanted a number for sesoi delta, got inf"),
        (toml(prompts_sha256='"ab"'), r"wanted 64 digits 0-9 and a-f \(lower case\) for prompts_sha256, got 'ab'"),
        (toml(documents_planned="0"), r"wanted documents_planned of 1 or more, got 0"),
        (toml(seed="-1"), r"wanted seed of 0 or more, got -1"),
        (toml(id='" "'), r"wanted a text for id, got a blank one"),
        (toml() + toml(), r"claim 2: wanted another id for each claim, got 'one' twice"),
        ("", r"wanted tables \[\[claim\]\] and nothing else, got nothing"),
        ("alpha = 1\n" + toml(), r"wanted tables \[\[claim\]\] and nothing else, got alpha, claim"),
        (toml().replace("[[claim]]", "[claim]"), r"wanted one table \[\[claim\]\] for each claim"),
        ("[[claim", r"claims\.toml is no TOML \(.+\); correct the file\."),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_sentence(text, wanted, register):
    """A file that is no list of whole claims is refused with what was wanted, what came and what to do."""
    with pytest.raises(AnisoError, match=wanted) as refused:
        register(text)
    assert "\n" not in str(refused.value)


def test_a_preregistration_comes_back(register, tmp_path):
    """What was written is what is read, and no file is replaced."""
    path = tmp_path / "claims.prereg.json"
    made = register(toml(sesoi="{ eta = 0.3333333333333333, delta = 1e-17 }"))
    prereg.save(path, made)
    assert prereg.read(path) == made
    with pytest.raises(AnisoError, match="exists already and is not replaced"):
        prereg.save(path, made)


def test_a_changed_preregistration_is_refused_with_both_hashes(register, tmp_path):
    """A file whose claims were edited is refused, with the first 12 digits of the hash it has and the one it says."""
    path, made = tmp_path / "claims.prereg.json", register(toml())
    prereg.save(path, made)
    path.write_text(path.read_text().replace('"alpha": 0.05', '"alpha": 0.1'))
    changed = hashlib.sha256(prereg.canonical([replace(CLAIM, alpha=0.1)])).hexdigest()
    with pytest.raises(AnisoError, match=f"was changed: .+ {changed[:12]} and {made.sha256[:12]} was registered"):
        prereg.read(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{", "is no preregistration"),
        ("[]", "is no preregistration"),
        ("{}", "is no preregistration"),
        ("[" * 100_000, "is no preregistration"),
        ('{"format": 1, "claims": 3}', r"wanted one table \[\[claim\]\]"),
        ('{"format": 99}', "has format 99 and this aniso reads up to"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_preregistration_is_refused(text, wanted, tmp_path):
    """A file that `aniso preregister` did not write is refused in one sentence."""
    path = tmp_path / "claims.prereg.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnisoError, match=wanted):
        prereg.read(path)


def test_a_time_without_a_zone_is_refused(register, tmp_path):
    """A preregistration whose time cannot be compared is refused."""
    path = tmp_path / "claims.prereg.json"
    prereg.save(path, replace(register(toml()), registered="2026-01-01T12:00:00"))
    with pytest.raises(AnisoError, match="has no zone"):
        prereg.read(path)


# Standing


def test_a_verdict_that_meets_a_claim_is_confirmatory():
    """A rigorous verdict on what was registered is confirmatory, alone in its family with its own p."""
    assert only() == replace(VERDICT, standing="confirmatory", p_adjusted=0.01)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"verdict": replace(VERDICT, stream="normed")}, "other stream"),
        ({"verdict": replace(VERDICT, tokens="all")}, "other tokens"),
        ({"verdict": replace(VERDICT, details={**VERDICT.details, "metric": "norm-cv"})}, "other metric"),
        ({"verdict": replace(VERDICT, details={**VERDICT.details, "delta": 0.1})}, "other delta"),
        ({"verdict": replace(VERDICT, details={"metric": "top-eigenvalue-share"})}, "other delta, other eps"),
        ({"verdict": replace(VERDICT, details={"delta": 0.05, "eps": 0.05})}, "other metric"),
        ({"verdict": replace(VERDICT, details={**VERDICT.details, "draws": 99})}, "other draws"),
        ({"verdict": replace(VERDICT, p=None)}, "no p-value"),
        ({"verdict": replace(VERDICT, p=1.5)}, "no p-value"),
        ({"verdict": replace(VERDICT, p_refuted=1.5)}, "no p-value"),
        ({"verdict": replace(VERDICT, outcome="refuted")}, "no p-value"),
        ({"verdict": replace(VERDICT, standing="exploratory")}, "exploratory by its own word"),
        ({"verdict": replace(VERDICT, subject="nobody")}, "other model than m"),
        ({"seed": 4}, "other seed"),
        ({"claims": registered(replace(CLAIM, models=("n", "m@abc")))}, "other model than n or m@abc"),
        ({"claims": registered(time="2026-01-02T12:00:01+00:00")}, "registered too late"),
        ({"claims": registered(replace(CLAIM, breaks=(0.25, 0.75)))}, "other breaks"),
        ({"profiles": [profile(sha256="0" * 64)]}, "other texts"),
        ({"profiles": [profile(documents=3)]}, "fewer documents than 4"),
        ({"profiles": [profile(started="")]}, "registered too late"),
        ({"profiles": [replace(profile(), prompts=None)]}, "other texts"),
        ({"profiles": [profile(sha256="0" * 64)], "seed": 0}, "other seed, other texts"),
    ],
)
def test_a_verdict_that_misses_a_claim_is_exploratory_and_says_why(given, why):
    """A rigorous verdict that differs from the registered one in anything is exploratory, flagged with what differs."""
    marked = only(**given)
    before = given.get("verdict", VERDICT)
    assert marked == replace(before, standing="exploratory", flags=("thin", f"not confirmatory: {why}"))


def test_only_profiles_that_a_verdict_names_must_fit():
    """A verdict answers for the profiles of its subject and its reference, and for no other."""
    other = profile("pythia", sha256="0" * 64)
    assert only(profiles=[profile(), other]).standing == "confirmatory"
    against = only(replace(VERDICT, reference="measured pythia"), profiles=[profile(), other])
    assert against.flags[-1] == "not confirmatory: other model than m, other texts"


@pytest.mark.parametrize(
    ("wanted", "name", "revision", "fits"),
    [
        ("org/m", "org/m", "c0ffee", True),
        ("org/m@c0ffee", "org/m", "c0ffee", True),
        ("org/m@step5", "org/m@step5", "c0ffee", True),
        ("org/m@c0ffee", "org/m@step5", "c0ffee", True),
        ("org/m", "org/m@step5", "c0ffee", False),
        ("org/m@beef", "org/m", "c0ffee", False),
        ("m", "org/m", "c0ffee", False),
    ],
)
def test_a_model_is_named_with_or_without_its_revision(wanted, name, revision, fits):
    """A claim names a model as the run does, or with the commit behind it; another revision is another model."""
    claims = registered(replace(CLAIM, models=(wanted,)))
    marked = only(replace(VERDICT, subject=name), claims, [profile(name, revision)])
    assert (marked.standing == "confirmatory") == fits


def test_sizes_and_breaks_are_those_that_the_test_used():
    """Breaks and sizes that the verdict's details give as registered are fine, to rounding."""
    claims = registered(replace(CLAIM, sesoi={"eta": 0.3333333333}, breaks=(0.21875, 0.875)))
    details = {"metric": CLAIM.metric, "eta": 1 / 3, "breaks": [0.21875, 0.875]}
    assert only(replace(VERDICT, details=details), claims).standing == "confirmatory"
    assert only(replace(VERDICT, details=details | {"breaks": 0.5}), claims).standing == "exploratory"


def test_of_several_claims_the_nearest_counts():
    """Where a hypothesis was registered more than once, one claim that fits suffices, else the nearest says why not."""
    far = replace(CLAIM, id="two", tokens="all", prompts_sha256="0" * 64)
    assert only(claims=registered(far, CLAIM)).standing == "confirmatory"
    near = replace(CLAIM, seed=9)
    assert only(claims=registered(far, near)).flags[-1] == "not confirmatory: other seed"


def test_a_claim_about_one_subject_is_met_by_no_other():
    """A claim that names its subject leaves verdicts on others alone, which take no place in its family either."""
    claims = registered(replace(CLAIM, subject="the norm in twins", models=("m", "n")))
    twins = replace(VERDICT, subject="the norm in twins", reference="m and n", p=0.04)
    pair = replace(VERDICT, subject="m against n")
    marked = mark([pair, twins], claims, [profile(), profile("n")], 3)
    assert [(v.standing, v.flags, v.p_adjusted) for v in marked] == [
        ("exploratory", ("thin",), None),
        ("confirmatory", ("thin",), 0.04),
    ]


def test_a_subject_changes_the_hash_and_its_lack_does_not(register):
    """A claim without a subject has the canonical form that it had before there were any."""
    assert register(toml(subject='""')).sha256 == register(toml()).sha256 != register(toml(subject='"m"')).sha256
    assert b"subject" not in prereg.canonical([CLAIM])


def test_a_model_whose_name_begins_another_is_not_meant():
    """A verdict about m-deduped is not about m, though its name begins so."""
    claims = registered(replace(CLAIM, models=("m-deduped",)))
    found = only(replace(VERDICT, subject="m-deduped"), claims, [profile("m"), profile("m-deduped")])
    assert found.standing == "confirmatory"


def test_a_comparison_without_all_its_models_is_exploratory():
    """Judging some pairs of a registered comparison would leave the others out of its family."""
    claims = registered(replace(CLAIM, models=("m", "n", "o")))
    found = only(replace(VERDICT, subject="m against n"), claims, [profile("m"), profile("n")])
    assert found.flags[-1] == "not confirmatory: without o"


def test_a_registered_level_is_the_level_that_is_told():
    """A claim at a stricter level than the test's is told at its own, and judged by it."""
    strict = registered(replace(CLAIM, alpha=0.02))
    marked = only(replace(VERDICT, false_positive_rate=0.05), strict)
    assert (marked.outcome, marked.false_positive_rate) == ("supported", 0.02)


def test_claims_without_a_verdict_are_told():
    """A claim that no verdict meets is told with what the nearest lacks; one that is met is not."""
    claims = registered(CLAIM, replace(CLAIM, id="two", seed=9), replace(CLAIM, id="three", hypothesis="three-phases"))
    found = {
        claim.id: reason for claim, reason in unmet(mark([VERDICT], claims, [profile()], 3), claims, [profile()], 3)
    }
    assert found == {"two": "other seed", "three": "nothing judged it here"}


def test_what_nobody_registered_has_no_flag():
    """A rigorous verdict of another hypothesis is exploratory without a flag; one by the paper has no standing."""
    other = replace(VERDICT, hypothesis="three-phases")
    assert only(other) == replace(other, standing="exploratory")
    paper = replace(VERDICT, criterion="paper")
    assert only(paper) == paper


def test_without_a_preregistration_nothing_is_confirmatory():
    """Judging without claims makes rigorous verdicts exploratory, whatever a plugin calls them."""
    boastful = replace(VERDICT, standing="confirmatory", p_adjusted=0.01)
    paper = replace(VERDICT, criterion="paper")
    made = Hypothesis("bell-curve", "claim", lambda _profiles, _rng: [VERDICT, boastful, paper])
    judged = engine.judge([made], [profile()])
    verdicts = judged.verdicts
    assert not judged.failures
    assert [verdict.standing for verdict in verdicts] == ["exploratory", "exploratory", ""]
    assert [verdict.p_adjusted for verdict in verdicts] == [None, None, None]


def test_a_family_is_adjusted_by_holm():
    """Confirmatory verdicts of one family get Holm's p; support that it takes becomes inconclusive and says so."""
    claims = [replace(CLAIM, id=name, models=(name,)) for name in ("a", "b", "c")]
    verdicts = [replace(VERDICT, subject=name, p=p) for name, p in (("a", 0.02), ("b", 0.001), ("c", 0.03))]
    profiles = [profile(name) for name in ("a", "b", "c")]
    marked = mark(verdicts, registered(*claims), profiles, 3)
    assert [verdict.p_adjusted for verdict in marked] == pytest.approx([0.04, 0.003, 0.04])
    assert {verdict.outcome for verdict in marked} == {"supported"}
    strict = [replace(claim, alpha=0.03) for claim in claims]
    marked = mark(verdicts, registered(*strict), profiles, 3)
    assert [verdict.outcome for verdict in marked] == ["inconclusive", "supported", "inconclusive"]
    assert marked[0].because == "it peaks; p = 0.02, by Holm over 3 claims 0.04, is above the registered level 0.03"
    assert marked[1].because == "it peaks"


def test_what_was_registered_and_not_judged_counts():
    """Judging some models of a family, or one at a time, gains nothing: the others count with p = 1."""
    claims = registered(replace(CLAIM, models=("m", "n")), replace(CLAIM, id="two", hypothesis="three-phases"))
    marked = only(replace(VERDICT, p=0.02), claims)
    assert (marked.outcome, marked.p_adjusted) == ("inconclusive", pytest.approx(0.06))
    assert marked.because.endswith("; p = 0.02, by Holm over 3 claims 0.06, is above the registered level 0.05")
    apart = registered(CLAIM, replace(CLAIM, id="two", hypothesis="three-phases", family="second"))
    assert only(claims=apart).p_adjusted == pytest.approx(0.01)


def test_a_comparison_is_one_test():
    """A verdict about two models of its claim is one test of the family, not two."""
    pair = replace(VERDICT, subject="m against n")
    marked = only(pair, registered(replace(CLAIM, models=("m", "n"))), [profile("m"), profile("n")])
    assert marked.p_adjusted == pytest.approx(0.01)


def test_what_has_no_p_stays_as_it_is_and_counts():
    """A confirmatory verdict that is not testable keeps its outcome and has no adjusted p; the others count it."""
    claims = registered(CLAIM, replace(CLAIM, id="two", hypothesis="three-phases"))
    mute = replace(VERDICT, hypothesis="three-phases", outcome="not_testable", p=None)
    first, second = mark([mute, VERDICT], claims, [profile()], 3)
    assert (first.standing, first.outcome, first.p_adjusted) == ("confirmatory", "not_testable", None)
    assert second.p_adjusted == pytest.approx(0.02)


def test_refutations_are_adjusted_by_their_own_p():
    """Holm takes the p against the claim of what is refuted, and takes a refutation away as it takes support away."""
    refuted = replace(VERDICT, outcome="refuted", p=0.9, p_refuted=0.03)
    marked = only(refuted)
    assert (marked.outcome, marked.standing, marked.p_adjusted) == ("refuted", "confirmatory", 0.03)
    second = replace(CLAIM, id="two", hypothesis="three-phases")
    lost, _ = mark([refuted, replace(VERDICT, hypothesis="three-phases")], registered(CLAIM, second), [profile()], 3)
    assert (lost.outcome, lost.p_adjusted) == ("inconclusive", pytest.approx(0.06))
    assert (
        lost.because
        == "it peaks; p against the claim = 0.03, by Holm over 2 claims 0.06, is above the registered level 0.05"
    )


def test_exploratory_verdicts_that_many_tests_explain_are_flagged():
    """Of many exploratory tests, those are flagged that Benjamini and Hochberg would not report at q = 0.1."""
    dull = [replace(VERDICT, hypothesis=f"h{i}", outcome="inconclusive", p=0.5, p_refuted=0.6) for i in range(9)]
    clear, weak = replace(VERDICT, p=0.001), replace(VERDICT, hypothesis="w", outcome="refuted", p=0.8, p_refuted=0.04)
    marked = mark([clear, weak, *dull], None, [profile()], 0)
    assert [v.flags[len(VERDICT.flags) :] for v in marked[:3]] == [
        (),
        ("lost among 21 exploratory tests (Benjamini and Hochberg, q = 0.1)",),
        (),
    ]
    alone = mark([weak], None, [profile()], 0)
    assert alone[0].flags == VERDICT.flags


# The command


@pytest.fixture
def rigorous(monkeypatch):
    """Let the hypothesis bell-curve yield one rigorous verdict about each profile."""

    def test(profiles, _rng):
        return [replace(VERDICT, subject=one.model.name) for one in profiles]

    monkeypatch.setattr(plugins.Registry, "hypothesis", lambda _self, name: Hypothesis(name, "claim", test))


@pytest.mark.usefixtures("rigorous")
def test_a_run_meets_what_was_registered_for_it(aniso, texts, tmp_path):
    """A claim on the bundled model, registered and then measured, is confirmatory in the run and judged again."""
    path, run = tmp_path / "claims.toml", tmp_path / "run"
    path.write_text(toml(models='["gemma-tiny"]'), encoding="utf-8")
    made = aniso("preregister", path)
    fixed = tmp_path / "claims.prereg.json"
    sha256 = prereg.read(fixed).sha256
    assert (made.code, made.out, made.err) == (0, f"{fixed}\n", f"SHA-256 {sha256}\n")

    options = ("--hypothesis", "bell-curve", "--seed", "3", "--prereg", fixed)
    ran = aniso("profile", "--adapter", "gemma", "--prompts", texts, *FEW, *options, "--out", run)
    assert ran.code == 0, ran.err
    assert f"SHA-256 {sha256[:12]}: 1 confirmatory." in ran.err
    (verdict,) = store.load_judged(run).verdicts
    assert (verdict.standing, verdict.p_adjusted) == ("confirmatory", 0.01)
    provenance = store.load(run).provenance
    assert (provenance.prereg, provenance.preregistered) == (sha256, prereg.read(fixed).registered)

    again = aniso("test", run, *options, "--json")
    assert json.loads(again.out)[0]["standing"] == "confirmatory"
    other = aniso("test", run, *options, "--seed", "4", "--json")
    assert json.loads(other.out)[0]["flags"] == ["thin", "not confirmatory: other seed"]
    assert "Note: claim one has no confirmatory verdict: other seed." in other.err
    plain = aniso("test", run, "--hypothesis", "bell-curve", "--json")
    assert json.loads(plain.out)[0]["standing"] == "exploratory"
    assert "confirmatory" not in plain.err


def test_a_preregistration_is_read_before_the_model(refused, tmp_path):
    """A preregistration that is missing ends the command before it opens a model."""
    said = refused("--prereg", tmp_path / "none.json", "--model", tmp_path / "nowhere", wants=("cannot be read",))
    assert "none.json" in said


def test_a_preregistration_is_written_once(aniso, tmp_path):
    """A second registration under one name is refused; --out names another."""
    path = tmp_path / "claims.toml"
    path.write_text(toml(), encoding="utf-8")
    assert aniso("preregister", path).code == 0
    again = aniso("preregister", path)
    assert (again.code, again.out) == (1, "")
    assert "exists already and is not replaced; name another file with --out." in again.err
    assert aniso("preregister", path, "--out", tmp_path / "two.json").out == f"{tmp_path / 'two.json'}\n"


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"hypothesis": '"bell-curv"'}, "no hypothesis 'bell-curv'; the hypotheses are bell-curve"),
        ({"metric": '"isoscor"'}, "no metric 'isoscor'; the metrics are isoscore"),
        (
            {"metric": '"norm-cv"'},
            "bell-curve tests the metric top-eigenvalue-share, and the claim has norm-cv; correct",
        ),
        ({"stream": '"paper"'}, "bell-curve tests the stream residual or normed, and the claim has paper; correct"),
        ({"tokens": '"no-first"'}, "bell-curve tests the token set all or bulk, and the claim has no-first; correct"),
        (
            {"sesoi": "{ delta = 0.1, eps = 0.05 }"},
            "with sesoi delta = 0.05, eps = 0.05, and the claim has delta = 0.1",
        ),
        ({"sesoi": "{ delta = 0.05 }"}, "with sesoi delta = 0.05, eps = 0.05, and the claim has delta = 0.05; correct"),
    ],
)
def test_a_claim_about_nothing_known_is_refused(changed, wanted, aniso, tmp_path):
    """A hypothesis or metric that is not installed is refused when it is registered, since no verdict would meet it."""
    path = tmp_path / "claims.toml"
    path.write_text(toml(**changed), encoding="utf-8")
    ran = aniso("preregister", path)
    assert (ran.code, ran.out) == (1, "")
    assert wanted in ran.err
    assert not (tmp_path / "claims.prereg.json").exists()


def test_the_documented_example_is_a_claim(register):
    """The documentation's example registers, and its hash is that of the texts that it speaks of."""
    page = next(text for path in PAGES.glob("*.md") if "\n## Preregistration\n" in (text := f"\n{path.read_text()}"))
    block = next(block for block in re.findall(r"(?ms)^```toml\n(.*?)^```", page) if "[[claim]]" in block)
    (claim,) = register(block).claims
    assert registry().hypothesis(claim.hypothesis).name == claim.hypothesis
    assert registry().metric(claim.metric).name == claim.metric
    code = next(block for block in re.findall(r"(?ms)^```python\n(.*?)^```", page) if "texts_sha256" in block)
    with redirect_stdout(StringIO()) as said:
        exec(code, {})  # noqa: S102 - what the page says to run
    assert said.getvalue() == f"{claim.prompts_sha256}\n"
