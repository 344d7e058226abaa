"""The reporter `html`, without a browser: one safe file, its answers, and what it does with poor or many profiles."""

import base64
import hashlib
import itertools
import re
from dataclasses import replace

import numpy as np
import pages
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aniso_core.plugins import registry
from aniso_core.records import (
    About,
    Curve,
    Failure,
    Missing,
    ModelInfo,
    Profile,
    PromptsInfo,
    Report,
    Spectrum,
    Verdict,
)
from aniso_core.testing import example_profile
from aniso_core.text import short
from aniso_report import lineages, names, reading
from aniso_report.html import answers, claims, differ, sources, training

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "$\\frac{1 b$",
    "\x1b[31mred\x00\x08",
    "\u202eRTL",
    "שלום مرحبا",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "漢字\u0301 🙂",
    "x" * 10_000,
)


@pytest.fixture(scope="module")
def single():
    """Return the page of one example profile."""
    return pages.Page(pages.drawn(pages.one()))


@pytest.fixture(scope="module")
def pair():
    """Return the page of two example profiles."""
    return pages.Page(pages.drawn(pages.two()))


def test_the_page_fetches_nothing(single, pair):
    """No element names a file or an address, but links to papers that a reader may follow."""
    for page in (single, pair):
        named = [(tag, a) for tag, a in page.tags if {"src", "srcset", "data", "poster", "action"} & a.keys()]
        assert named == []
        links = [a["href"] for tag, a in page.tags if tag == "a"]
        assert links
        assert all(re.fullmatch(r"#[a-z]+|https://arxiv\.org/abs/[\d.]+", link) for link in links)
        assert not any(tag in {"link", "iframe", "object", "embed", "base", "form"} for tag, _ in page.tags)
        assert "url(" not in page.raw["style"]
        assert "@import" not in page.raw["style"]


def test_the_policy_allows_one_style_sheet_and_one_script_by_their_hashes(single):
    """The hashes in the policy are those of what the page holds, and nothing else is allowed."""
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(single.raw[kind].encode()).digest()).decode()
        assert single.policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert single.policy["default-src"] == "'none'"
    assert single.policy.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}


def test_nothing_needs_what_the_policy_forbids(single):
    """There is no inline style, no event handler, and no script beside the data and the page's own."""
    assert not any("style" in a or any(name.startswith("on") for name in a) for _, a in single.tags)
    assert [a.get("type") for tag, a in single.tags if tag == "script"] == ["application/json", "module"]


def test_each_question_has_its_answer(single):
    """Where the peak is, how sure that is, whose doing it is and what shape: all in words, in this order."""
    found = answers.answers(pages.one().profiles[0], pages.one().verdicts)
    assert [a.question for a in found] == [
        "Where does the profile peak?",
        "How sure is that?",
        "Is it one token's doing?",
        "Is there a single peak?",
    ]
    share = pages.one().profiles[0].curve("top-eigenvalue-share")
    top = share.layers[int(share.array().argmax())]
    assert found[0].short.startswith(f"Layer {top} of 6")
    assert "in 95 of 100 samples" in " ".join(found[1].why).lower()
    assert found[2].short == "Yes: a few tokens make it"
    for answer in found:
        assert answer.short in single.text
        assert all(" ".join(sentence.split()) in single.text for sentence in answer.why)


def test_a_published_profile_says_that_nobody_knows():
    """Without documents there is no set of layers, and without bulk tokens nobody knows whose doing a peak is."""
    published = registry().adapter("pythia").published()["pythia-6.9b"]
    found = answers.answers(published, pages.of([published]).verdicts)
    assert found[0].short == "Layer 7 of 32"
    assert [a.short for a in found[1:3]] == ["Not known", "Not known"]
    assert found[3].short == "Yes, by a weak rule"
    assert "39\u00a0% of cases" in found[3].why[1]
    assert "cannot be measured again" in pages.Page(pages.drawn(pages.of([published], commands=[""]))).text


@pytest.mark.parametrize(
    ("first", "massive", "bulk", "said"),
    [
        (0.9, 0.05, (0.1, 0.2, 0.1), "Yes: a few tokens make it"),
        (0.3, 0.3, (0.1, 0.2, 0.1), "Yes: a few tokens make it"),
        (0.1, 0.1, (0.1, 0.2, 0.1), "In part"),
        (0.1, 0.1, (0.5, 0.79, 0.6), "No"),
        (0.1, 0.1, (0.82, 0.79, 0.6), "In part"),
        (0.9, 0.05, None, "Yes: a few tokens make it"),
        (0.1, 0.1, None, "Not known"),
        (None, None, None, "Not known"),
    ],
)
def test_a_peak_is_blamed_on_tokens_that_hold_it(first, massive, bulk, said):
    """Tokens that hold more than half make the peak; a bulk peak elsewhere or lower is partly theirs."""
    made = [Curve("top-eigenvalue-share", "share", "residual", "all", (0, 1, 2), (0.2, 0.8, 0.2))]
    if bulk:
        made.append(Curve("top-eigenvalue-share", "share", "residual", "bulk", (0, 1, 2), bulk))
    for name, value in (("first-token-share", first), ("massive-token-share", massive)):
        if value is not None:
            made.append(Curve(name, "share", "residual", "all", (0, 1, 2), (0.0, value, 0.0)))
    whole = example_profile("one")
    peak = answers.Peak(1, 0.5, 0.8)
    assert answers.whose(replace(whole, curves=tuple(made)), "residual", peak)[0] == said


def test_the_standing_and_the_outcome_are_words(single):
    """A verdict's outcome and standing are text, not colour alone, and each flag stands under its verdict."""
    tested = [v for v in pages.one().verdicts if v.criterion == "rigorous" and v.outcome != "not_testable"]
    assert tested
    assert single.text.count("exploratory") >= len(tested)
    assert any(v.flags for v in tested)
    assert "⚑ Token artefact" in single.text
    assert "Claim: Anisotropy rises to a single peak at a layer L* and falls after it." in single.text


def test_pictures_are_there_without_a_script(single):
    """Each claim about the profile has a picture with a text for readers who do not see it, and no id twice."""
    pictures = [a for tag, a in single.tags if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) >= 4
    assert all("highest at layer" in a["aria-label"] for a in pictures)
    ids = [a["id"] for _, a in single.tags if "id" in a]
    assert len(ids) == len(set(ids))
    uses = {a["href"][1:] for tag, a in single.tags if tag == "use"}
    assert uses
    assert uses <= set(ids)


def test_each_heading_follows_the_one_above(pair):
    """Headings go down one level at a time, and everything that a label or a link names is there."""
    levels = [int(tag[1]) for tag, _ in pair.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = {a["id"] for _, a in pair.tags if "id" in a}
    wanted = [a["aria-labelledby"] for _, a in pair.tags if "aria-labelledby" in a]
    wanted += [a["href"][1:] for tag, a in pair.tags if tag == "a" and a["href"].startswith("#")]
    wanted += [a["for"] for tag, a in pair.tags if tag == "label" and "for" in a]
    assert set(wanted) <= ids


def hostile_report(text):
    """Return a report in which everything that comes from outside is one text."""
    whole = example_profile("one")
    prompts = replace(whole.prompts, name=text, bos_done=text)
    info = replace(whole.model, name=text, architecture=text, device=text, attention=text, notes=(text,))
    made = replace(whole.provenance, versions={text: text}, plugins={text: text}, source=text, kernels=text)
    curve = Curve(text, text, "residual", text, (0, 1), (0.5, None), missing=(Missing(1, text),))
    failed = Failure("metric", text, text, text)
    profile = replace(
        whole, model=info, prompts=prompts, provenance=made, curves=(*whole.curves, curve), remarks=(failed,)
    )
    said = Verdict(
        text, "rigorous", text, "supported", text, label=text, stream=text, tokens=text, flags=(text,),
        reference=text, false_positive_null=text, details={"L_star_set": [1], text: text},
    )  # fmt: skip
    verdicts = (said, replace(said, outcome="not_testable"), replace(said, criterion="paper", false_positive_rate=0.5))
    told = (About("metric", text, text, text), About("hypothesis", text, text, text, text))
    return Report([profile, profile], verdicts, (), (failed,), text, told, (text, text))


@pytest.fixture(scope="module")
def harmless():
    """Return the tags of a page whose foreign text is a plain word."""
    return [tag for tag, _ in pages.Page(pages.drawn(hostile_report("harmless"))).tags]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_stays_text(text, harmless):
    """Whatever a model, a prompt set, a plugin or an error is called, the page has the same elements and shows it."""
    source = pages.drawn(hostile_report(text))
    page = pages.Page(source)
    assert [tag for tag, _ in page.tags] == harmless
    assert " ".join(short(text, 60).split()) in page.text
    assert not set(source) & {"\x00", "\x08", "\x1b", "\u202e"}
    assert page.raw["data"].isascii()
    assert "<" not in page.raw["data"]
    assert page.policy == pages.Page(pages.drawn(pages.one())).policy


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_stays_text(text):
    """The same holds for text that nobody thought of."""
    told = (About("metric", text, text, text), About("hypothesis", text, text, text))
    verdict = Verdict(text, "rigorous", text, "refuted", text, label=text, stream=text, tokens=text, flags=(text,))
    failed = Failure("metric", text, text, text)
    source = pages.drawn(Report((), (verdict, replace(verdict, outcome="not_testable")), (), (failed,), text, told))
    found = [tag for tag, _ in pages.Page(source).tags]
    assert [found.count(tag) for tag in ("script", "img", "svg")] == [2, 0, 0]


def test_numbers_are_rounded_to_what_is_shown(single):
    """Values have six digits at most, and those of spectra four."""
    model = single.data["models"][0]
    values = [
        v for streams in model["curves"].values() for sets in streams.values() for c in sets.values() for v in c["v"]
    ]
    values += [
        v
        for sets in model["spectra"].values()
        for layers in sets.values()
        for _, shares in layers.values()
        for v in shares
    ]
    assert len(values) > 500
    assert all(v is None or float(f"{v:.6g}") == v for v in values)
    share = pages.one().profiles[0].curve("top-eigenvalue-share")
    shown = model["curves"]["top-eigenvalue-share"]["residual"]["all"]
    assert shown["v"] == pytest.approx(list(share.values), rel=1e-5)
    assert shown["lo"] == pytest.approx(list(share.low), rel=1e-5)
    assert "paper" in model["curves"]["top-eigenvalue-share"]


def test_layers_are_flagged_that_a_few_tokens_hold(single):
    """The page marks the layers where first tokens hold more than half, and the set of layers that may be L*."""
    model = single.data["models"][0]
    one = pages.one().profiles[0]
    held = sum(np.nan_to_num(one.curve(f"{who}-token-share").array()) for who in ("first", "massive"))
    wanted = np.flatnonzero(held > 0.5).tolist()
    assert wanted
    found = [layers for stream, _, _, layers, said in model["flags"] if "tokens hold" in said and stream == "residual"]
    assert found == [wanted]
    assert ["residual", "all"] in [peak[:2] for peak in model["peaks"]]


def test_runs_of_layers_are_spans():
    """Neighbouring layers make one span, others their own."""
    assert reading.runs([3, 4, 5, 8, 1]) == [(1, 1), (3, 5), (8, 8)]
    assert reading.runs([]) == []


def test_models_are_held_against_each_other(pair):
    """Two models get a line each, the depths at which their shares differ, and the verdicts that name both."""
    assert "Do the models differ?" in pair.text
    assert re.search(
        r"All tokens: the shares are told apart at \d of 7 depths \(all depths tested at once, paired", pair.text
    )
    assert "gauge-flatness, residual stream: all tokens " in pair.text
    assert pair.data["models"][1]["layers"] == 5
    commands = [f"aniso profile --model {number}" for number in (0, 1)]
    assert all(command in pair.text for command in commands)


def shifted(whole, token_sets):
    """Return a profile as of another model, the share of some token sets higher by a hundredth at every layer."""
    pseudo = tuple(
        replace(p, values=p.values + 0.01) if p.metric == reading.SHARE and p.tokens in token_sets else p
        for p in whole.pseudo
    )
    other = replace(whole.model, name="other", weights_sha256="f" * 64)
    return replace(whole, model=other, pseudo=pseudo, provenance=replace(whole.provenance, started="later"))


@pytest.mark.parametrize(
    ("token_sets", "said"),
    [
        ((), "Not shown"),
        (("all",), "Yes, in the share, for all tokens alone"),
        (("bulk",), "Yes, in the share, for bulk tokens alone"),
        (("all", "bulk"), "Yes, in the share"),
    ],
)
def test_models_differ_where_their_documents_do(token_sets, said):
    """The share that is higher in each document differs at every depth; one that is the same differs at none."""
    one = example_profile("one")
    (answer,) = differ.pairs([one, shifted(one, token_sets)], ["one", "other"], ())
    assert answer.short == said
    for tokens in ("all", "bulk"):
        (told,) = [text for text in answer.why if text.startswith(f"{tokens.capitalize()} tokens:")]
        number = 7 if tokens in token_sets else 0
        assert f"told apart at {number} of 7 depths" in told
        assert f"other at {number}; they are furthest apart" in told
        assert told.endswith("by 0.010." if number else "by less than 0.001.")


def test_rounding_is_no_difference():
    """A depth where two models differ by rounding alone counts for nothing, however alike its documents are."""
    one = example_profile("one")
    steps = np.array([1e-17, *[0.01] * (len(one.curve(reading.SHARE).layers) - 1)])
    other = shifted(one, ())
    flat, raised = (tuple(replace(p, values=0 * p.values + step) for p in one.pseudo) for step in (0, steps))
    (answer,) = differ.pairs([replace(one, pseudo=flat), replace(other, pseudo=raised)], ["one", "other"], ())
    assert "told apart at 6 of 7 depths" in answer.why[1]


def test_models_without_a_document_in_common_are_not_tested():
    """Where no document has tokens at every layer of both models, there is nothing to pair and the page says so."""
    one = example_profile("one")

    def half(profile, rows):
        pseudo = [replace(p, values=p.values.copy()) for p in profile.pseudo]
        held = tuple(
            replace(p, values=np.where(rows(np.arange(len(p.values)))[:, None], p.values, np.nan)) for p in pseudo
        )
        return replace(profile, pseudo=held)

    both = [half(one, lambda i: i % 2 == 0), half(shifted(one, ()), lambda i: i % 2 == 1)]
    (answer,) = differ.pairs(both, ["one", "other"], ())
    assert answer.short == "Not known"
    assert answer.why[-1] == "The documents that both read do not allow a test of the share."


def test_of_many_checkpoints_the_ends_of_trainings_are_compared():
    """Of checkpoints the last and first of each training make the pairs, of other models the first ten are told."""
    names = [f"{model}@step{step}" for model in ("a", "b") for step in (0, 1, 16, 2)]
    pairs = [(names[i], names[j]) for i, j in differ.chosen(names)]
    ends = ("a@step16", "b@step16", "a@step0", "b@step0")
    assert pairs == list(itertools.combinations(ends, 2))
    assert differ.chosen(names[:5]) == list(itertools.combinations(range(5), 2))
    assert differ.chosen([*names, "c"]) == list(itertools.combinations(range(9), 2))[:10]


def test_what_is_left_out_of_a_large_comparison_is_said():
    """Of more pairs than are told the page gives the number, and of a picture of some models how many these are."""
    text = pages.Page(pages.drawn(pages.sweep())).text
    assert "Of 36 pairs of models the page tells 1 in words." in text
    assert "before the final norm, of 5 of 9 models" in text
    text = pages.Page(pages.drawn(pages.two())).text
    assert "pairs of models the page tells" not in text
    assert " of 2 models" not in text


def test_only_tests_that_are_not_corrected_are_counted():
    """Confirmatory verdicts are corrected for each other (Holm), and what judges nothing is no test."""
    report = pages.one()
    free = [v for v in report.verdicts if v.criterion == "rigorous" and v.outcome != "not_testable"]
    assert f"{len(free)} tests over documents" in pages.Page(pages.drawn(report)).text
    kept = (replace(free[0], p_adjusted=0.01, standing="confirmatory"), replace(free[1], outcome="descriptive"))
    text = pages.Page(pages.drawn(replace(report, verdicts=(*kept, *free[2:])))).text
    assert f"{len(free) - 2} tests over documents" in text


def test_groups_of_documents_are_called_so():
    """Where documents are left out in groups, these and not documents are what layers are compared within."""
    one = pages.one().profiles[0]
    many = replace(one, prompts=replace(one.prompts, documents=128, units=64))
    for profile, said in (
        (one, f"each of {one.prompts.documents} documents"),
        (many, "each of 64 groups of documents"),
    ):
        assert said in answers.answers(profile, pages.one().verdicts)[1].why[0]


def test_a_plateau_is_not_taken_for_a_point():
    """The layers whose share comes within a hundredth of the peak's are named beside it."""
    share = Curve(reading.SHARE, "share", "residual", "all", (0, 1, 2, 3), (0.2, 0.805, 0.81, 0.3))
    whole = replace(example_profile("one"), curves=(share,), pseudo=())
    assert "Within 0.01 of it: layers 1 to 2." in answers.answers(whole, ())[0].why[-1]
    sharp = replace(whole, curves=(replace(share, values=(0.2, 0.7, 0.81, 0.3)),))
    assert "No other layer is within 0.01 of it." in answers.answers(sharp, ())[0].why[-1]


@pytest.mark.parametrize(("rate", "sign", "outcome"), [(0.05, "✓", "supported"), (0.4, "i", "passed")])
def test_a_rule_that_chance_passes_often_supports_nothing(rate, sign, outcome):
    """A yes/no rule whose false alarms are many is told as passed or not, without the sign of support."""
    verdict = Verdict("bell-curve", "paper", "one", "supported", "it rises", false_positive_rate=rate)
    (claim,) = claims.claims(pages.of([example_profile("one")], [], verdicts=(verdict,)), ["one"])
    told = claim.groups[0].subjects[0].told[0]
    assert (told.outcome, told.sign) == (outcome, sign)


def test_models_without_intervals_are_not_said_to_differ():
    """Where one has no intervals, nothing is concluded from the curves."""
    adapters = registry()
    both = [adapters.adapter(name).published()[run] for name, run in (("pythia", "pythia-6.9b"), ("gemma", "gemma-2b"))]
    text = pages.Page(pages.drawn(pages.of(both))).text
    assert "Not known Peaks at depths 0.22 (0.994) and 0.50 (0.973). The documents that both read do not allow" in text


def test_checkpoints_stand_in_their_order():
    """A sweep is called one, its steps ascend, and its models are called by their revisions."""
    page = pages.Page(pages.drawn(pages.sweep()))
    assert "Anisotropy profiles of 9 checkpoints of org/model" in page.text
    names = [page.data["models"][i]["brief"] for i in page.data["order"]]
    assert names == [f"step{2**i}" for i in range(9)]
    assert "Every checkpoint at every depth" in page.text


@pytest.mark.parametrize(
    ("label", "step"),
    [("a@step512", 512), ("a@step0", 0), ("a", None), ("pythia-70m", None), ("a@main", None), ("a@v2", 2)],
)
def test_the_step_is_the_number_of_the_revision(label, step):
    """Only what stands behind the @ is a revision."""
    assert names.step(label) == step


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ([3], "whose 95 % sets have no layer in common"),
        ([1, 3], "whose 95 % sets share layers, so that it need not have moved"),
        ([], "and whether that is more than chance was not tested"),
    ],
)
def test_a_training_is_told_by_its_first_and_last_step(later, said):
    """L* and the share there are told in a sentence, with what the 95 % sets of both ends allow to say."""
    peaks = [reading.Peak(1, 0.5, 0.1), reading.Peak(2, 0.5, 0.7), reading.Peak(3, 0.5, 0.4)]
    sets = [(1,), (1,), tuple(later)]
    points = [lineages.Point(*each, 0.0, 1.0) for each in zip((0, 8, 512), peaks, sets, strict=True)]
    text = training._course(points)
    assert text.startswith("L* is layer 1 at step 0 and layer 3 at step 512")
    assert said in text
    assert text.endswith("the share there is 0.100 at step 0, 0.400 at step 512, and largest with 0.700 at step 8")


def test_a_sweep_shows_how_its_peak_moves():
    """Each lineage of three checkpoints has a picture and a table in the order of its steps; two models have none."""
    both = [*pages.sweep(3).profiles, *(pages.checkpoint(f"org/other@step{i}", 0.5) for i in (0, 1, 5))]
    page = pages.Page(pages.drawn(pages.of(both, ["bell-curve"])))
    assert "How the peak moves in training" in page.text
    called = [a["aria-label"].split(" the ")[0] for _, a in page.tags if a.get("aria-label", "").startswith("L* of ")]
    assert called == [f"L* of org/{name} {what}" for name in ("model", "other") for what in ("by step", "over")]
    assert "How the peak moves" not in pages.Page(pages.drawn_once(pages.two)).text


@pytest.mark.parametrize(
    ("steps", "far"),
    [
        ([0, 1, 2, 4, 8, 16], True),
        ([0, *(2**i for i in range(10)), *range(1000, 144000, 1000)], True),
        ([0, 8, 64, 512], True),
        ([1000, 2000, 3000, 4000, 5000], False),
        ([0, 10, 20], False),
        ([0], False),
    ],
)
def test_steps_that_reach_far_are_seen(steps, far):
    """Steps of which the last is sixteen times the first make the axis logarithmic."""
    assert lineages.spread(steps) is far


def test_two_hundred_models_fit_on_a_page():
    """The page stays below 3 MB, says what it leaves out, and has the share of every model."""
    many = [replace(pages.checkpoint(f"model-{i}", 1 / (1 + i)), pseudo=()) for i in range(200)]
    source = pages.drawn(pages.of(many, ["bell-curve"]))
    page = pages.Page(source)
    assert len(source) < 3e6
    assert "Of 200 models the first 12 are here with every metric" in page.text
    assert all("top-eigenvalue-share" in model["curves"] for model in page.data["models"])
    assert re.search(r"\d+ more are not told here. All verdicts on this claim: \d+ (supported|refuted)", page.text)


def deep(layers=33, width=4096):
    """Return a measured profile as large as they come: every metric, both streams, three token sets, intervals."""
    rng = np.random.default_rng(0)
    across = tuple(range(layers))
    names = [item.value.name for item in registry().items("metric") if not item.value.keeps]

    def numbers():
        return tuple(rng.standard_normal(layers).tolist())

    views = [(stream, tokens) for stream in ("residual", "normed") for tokens in ("all", "no-first", "bulk")]
    curves = [
        Curve(name, "1", *view, across, numbers(), numbers(), numbers(), (), numbers(), numbers())
        for name in (*names, "top-eigenvalue-share")
        for view in views
    ]
    spectra = [Spectrum(*view, layer, np.sort(rng.random(width))[::-1]) for view in views for layer in across]
    info = ModelInfo(
        name="deep", architecture="Deep", source="hub", revision="a" * 40, weights_sha256="b" * 64, layers=layers - 1,
        width=width, parameters=7 * 10**9, norm="rmsnorm", placement="pre", dtype="float32", device="cpu",
        attention="sdpa",
    )  # fmt: skip
    prompts = PromptsInfo("texts", "c" * 64, 128, 128, 30_000, 2048, "auto", "nothing", units=64)
    return Profile(info, tuple(curves), prompts, spectra=tuple(spectra))


def test_a_deep_run_stays_below_one_and_a_half_megabytes():
    """33 states, both streams, three token sets, every installed metric, spectra of 4,096 directions."""
    report = pages.of([deep()])
    assert 5e5 < len(pages.drawn(report).encode()) < 1.5e6


def test_what_failed_is_named():
    """Failed metrics, runs that could not be read and remarks are sentences on the page; the rest is drawn."""
    whole = example_profile("one")
    remark = Failure("metric", "noisy", "a-plugin 1", "warned of zeros")
    failed = Failure("metric", "broken", "a-plugin 1", "ZeroDivisionError: division by zero")
    unread = Failure("run", "old", "", "old is no run directory: cannot read profile.json.")
    page = pages.Page(pages.drawn(pages.of([replace(whole, remarks=(remark,))], failures=(failed, unread))))
    assert "Metric broken (a-plugin 1): ZeroDivisionError: division by zero." in page.text
    assert "Run left out: old is no run directory: cannot read profile.json." in page.text
    assert "Metric noisy (a-plugin 1): warned of zeros." in page.text
    assert "No metric and no hypothesis failed." not in page.text
    assert "Where does the profile peak?" in page.text


def test_what_holds_for_several_models_is_told_once():
    """Notes, failures and remarks name the models that they hold for, three at most; those of all models come first."""
    remark = Failure("metric", "noisy", "a-plugin 1", "warned of zeros")
    failed = Failure("metric", "broken", "a-plugin 1", "ZeroDivisionError: no")
    made = [
        replace(
            profile,
            model=replace(profile.model, notes=("one note", "another note") if number else ("one note",)),
            remarks=(remark,) * (number > 2),
            failures=(failed,),
        )
        for number, profile in enumerate(pages.sweep(5).profiles)
    ]
    page = pages.Page(pages.drawn(pages.of(made, [], failures=(failed,) * 5)))
    some = "4 of 5 models (org/model@step1, org/model@step2, org/model@step4, …)"
    assert f"Before you believe it all 5 models : One note. {some} : Another note." in page.text
    assert page.text.count("One note.") == page.text.count("Another note.") == 1
    assert page.text.count("all 5 models: Metric broken (a-plugin 1): ZeroDivisionError: no.") == 1
    assert page.text.count("Metric broken") == 1
    assert page.text.count("org/model@step1, org/model@step2 Metric noisy (a-plugin 1): warned of zeros.") == 1


def test_only_so_many_notes_are_told():
    """Of many models with a note each those of some are told, and the page says of how many."""
    few = [pages.checkpoint(f"model-{i}", 1) for i in range(25)]
    noted = [replace(one, model=replace(one.model, notes=(f"note {i}",))) for i, one in enumerate(few)]
    text = pages.Page(pages.drawn(pages.of(noted, []))).text
    assert "Of notes on 26 models or groups of models the first 24 are told." in text
    assert ("Note 22." in text, "Note 23." in text) == (True, False)
    assert "Of notes on" not in pages.Page(pages.drawn(pages.of(noted[:20], []))).text


def test_sources_are_told_once_and_papers_are_links(single):
    """Metrics of one source stand together, and a number of arXiv is a link."""
    told = [
        About("metric", "a", "", "Sun et al. 2402.17762"),
        About("metric", "b", "", "Sun et al. 2402.17762"),
        About("metric", "c", "", ""),
        About("metric", "d", "", "version 1.2402.17762.3"),
    ]
    first, second = sources.sources(told)
    assert (first.names, first.pieces) == (("a", "b"), ("Sun et al. ", "2402.17762", ""))
    assert second.pieces == ("version 1.2402.17762.3",)
    links = {a["href"]: a["rel"] for tag, a in single.tags if tag == "a" and a["href"].startswith("https:")}
    assert links["https://arxiv.org/abs/2402.17762"] == "noopener noreferrer"


@pytest.mark.parametrize("names", [("_one", "_other"), ("", "_")])
def test_names_that_matplotlib_takes_for_none_are_in_the_legend(names):
    """A model whose name is empty or begins with an underscore is in the legend of the comparison like any other."""
    page = pages.Page(pages.drawn(pages.of([pages.checkpoint(name, 0.5) for name in names], [])))
    assert {name for name in names if name} <= {text.strip() for text in page.shown if text.startswith("\u00a0")}


def test_units_are_no_formulas():
    """A unit that would be a broken formula is shown as it is beside the axis of a claim about its metric."""
    whole = example_profile("one")
    curves = tuple(replace(c, unit="$\\frac{1 b$") if c.metric == "norm-mean" else c for c in whole.curves)
    said = Verdict("long", "rigorous", "one", "supported", "so it is", stream="residual", tokens="all")
    told = (About("hypothesis", "long", "States are long.", "", "norm-mean"),)
    report = pages.of([replace(whole, curves=curves)], [], verdicts=(said,), about=told)
    assert "$\\frac{1 b$" in [text.strip() for text in pages.Page(pages.drawn(report)).shown]


def test_a_report_of_nothing_is_a_page():
    """Without a profile the page says so and has no charts."""
    page = pages.Page(pages.drawn(Report(())))
    assert "This report holds no profile." in page.text
    assert page.data["models"] == []


@pytest.mark.parametrize("details", [{"L_star_set": "x"}, {"L_star_set": [None]}, {"one": 3}, {"break_layers": 7}, {}])
def test_details_of_other_plugins_are_not_trusted(details):
    """A verdict's details may hold anything, since its plugin writes them."""
    verdict = Verdict("bell-curve", "rigorous", "one", "supported", "so it is", stream="residual", tokens="all")
    report = replace(pages.one(), verdicts=(replace(verdict, details=details),))
    assert pages.Page(pages.drawn(report)).data["models"][0]["peaks"] == []


def test_the_same_report_gives_the_same_bytes():
    """Nothing of the day, the machine or the memory is in the page."""
    assert pages.drawn(pages.two()) == pages.drawn(pages.two())
