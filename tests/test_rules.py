"""Each rule of the checks for plugin authors is broken once, alone, and told in one sentence."""

import random
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from aniso_core import Hypothesis, Metric, Preset, PromptSet, ReportFile, UndefinedMetricError, Verdict, testing
from aniso_core.contracts import Adapter, Reporter
from aniso_core.plugins import registry
from aniso_core.records import Curve, ModelInfo, Profile
from aniso_core.testing import adapter as adapters
from aniso_core.tokens import Document
from aniso_core.transformer import TransformerProbe
from aniso_core.weights import open_model

# Metrics


class Norms:
    """The mean norm, kept by document so that each can be left out: a statistic that keeps every rule."""

    def __init__(self):
        self.found = {}

    def update(self, tokens):
        for document, norm in zip(tokens.document.tolist(), tokens.norms.tolist(), strict=True):
            self.found.setdefault(document, []).append(norm)

    def merge(self, other):
        both = type(self)()
        for part in (self, other):
            for document, norms in part.found.items():
                both.found.setdefault(document, []).extend(norms)
        return both

    def result(self):
        return Found({document: list(norms) for document, norms in self.found.items()})


class Found:
    """Norms by document, and what is left of them without each."""

    def __init__(self, norms):
        self.norms = norms

    def without_each(self):
        return {document: Found({d: n for d, n in self.norms.items() if d != document}) for document in self.norms}


def mean_norm(found):
    """Return the mean norm."""
    return float(np.mean([norm for norms in found.norms.values() for norm in norms]))


def metric(of=mean_norm, over=Norms, **fields):
    """Return an honest metric of a statistic of its own but for what is given."""
    return Metric(
        "strange",
        of,
        **({"over": over, "unit": "state units", "summary": "a length", "source": "a test", "low": 0.0} | fields),
    )


def ratio(found, some):
    """Return the mean norm of some tokens over that of all."""
    if mean_norm(found) == 0:
        message = "all states are zero"
        raise UndefinedMetricError(message)
    return mean_norm(some) / mean_norm(found)


def over(**methods):
    """Return the honest statistic with other methods."""
    return type("Broken", (Norms,), methods)


def largest_coordinate(m):
    """Return what turning states changes."""
    return float(np.abs(m.mean).max())


def moments(of, **fields):
    """Return a metric over moments."""
    return Metric("strange", of, summary="a number", source="a test", **fields)


def last_norm(self, tokens):
    """Keep the last token alone."""
    self.found = {0: [float(tokens.norms[-1])]}


def mean_of_blocks(self, tokens):
    """Keep the mean of each block, however long."""
    self.found.setdefault(0, []).append(float(tokens.norms.mean()))


def forgetting(self, _other):
    """Merge with nothing."""
    return Norms.merge(self, Norms())


def into_self(self, other):
    """Merge into the left part."""
    for document, norms in other.found.items():
        self.found.setdefault(document, []).extend(norms)
    return self


def sharing(self, other):
    """Merge without copying."""
    both = Norms()
    both.found = {**self.found, **{-1 - document: norms for document, norms in other.found.items()}}
    return both


def doubled(self, tokens):
    """Write into the tokens."""
    Norms.update(self, tokens)
    tokens.states.mul_(2)


def growing(self):
    """Keep another number each time that it is asked."""
    self.found.setdefault(0, []).append(1e3)
    return Norms.result(self)


def draining(found):
    """Empty the result."""
    value = mean_norm(found)
    for norms in found.norms.values():
        norms[:] = [0.0] * len(norms)
    return value


def seeding(generator):
    """Return a metric function that touches a global generator and still has the same value twice."""

    def of(found):
        generator()
        return mean_norm(found)

    return of


def say(words):
    """Print, as no plugin may; return how much."""
    return sys.stdout.write(words)


def seed_numpy():
    """Seed numpy's global generator, as no plugin may."""
    np.random.seed(0)  # noqa: NPY002 - the fault that is looked for


def without_words(found):
    """Raise without a reason where all norms are zero."""
    if mean_norm(found) == 0:
        raise UndefinedMetricError
    return mean_norm(found)


def never(_found):
    """Be undefined everywhere."""
    message = "nothing is known"
    raise UndefinedMetricError(message)


class Halved(Found):
    """A result whose leaving out is wrong."""

    def without_each(self):
        return {document: Halved({document: norms}) for document, norms in self.norms.items()}


class Steps(Norms):
    """The mean length of steps from token to token of a window, by document; each step once, whatever the classes."""

    wants = ("windows",)

    def update(self, tokens):
        lengths = tokens.states.diff(dim=0).norm(dim=1)
        there = (tokens.window.diff() == 0) & (tokens.own[1:] | tokens.own[:-1])
        for document, length in zip(tokens.document[1:][there].tolist(), lengths[there].tolist(), strict=True):
            self.found.setdefault(document, []).append(length)


class EveryStep(Steps):
    """The same, which counts steps between classes twice, or never."""

    def update(self, tokens):
        Steps.update(self, replace(tokens, own=torch.ones_like(tokens.own)))


def mean_step(found):
    """Return the mean length of a step, undefined where there is none."""
    if not found.norms:
        message = "no two tokens of a window belong to this token set"
        raise UndefinedMetricError(message)
    return mean_norm(found)


class Moves(Norms):
    """How far tokens moved from the layer below."""

    wants = ("before",)

    def update(self, tokens):
        moved = tokens.states - tokens.before
        Norms.update(self, replace(tokens, norms=moved.norm(dim=1)))


class Moved(Moves):
    """The same, which writes into the states of the layer below."""

    def update(self, tokens):
        Moves.update(self, replace(tokens, before=tokens.before.mul_(0.5)))


def kept(found):
    """Return what is kept of norms in place of a number."""
    return np.array([mean_norm(found), float(len(found.norms))])


BROKEN_METRICS = {
    "counts what classes share twice": (
        metric(mean_step, over=EveryStep),
        "as before, got .* one class merged with the other",
    ),
    "writes into the layer below": (metric(over=Moved), "wanted the tokens left as they were, got others"),
    "keeps no array": (metric(keeps=True), "got TypeError: returned float, wanted an array of float64"),
    "keeps another array": (
        metric(kept, over=over(update=last_norm), keeps=True),
        "wanted an array of shape .* as before, got .* tokens in another order",
    ),
    "keeps what its bound forbids": (metric(kept, keeps=True, high=2.5), "wanted at most 2.5 as declared"),
    "no unit": (metric(unit=""), "wanted a unit, got '' "),
    "no summary": (metric(summary=""), "wanted a summary, got '' "),
    "no source": (metric(source=" "), "wanted a source, got ' ' "),
    "unknown direction": (metric(direction="up"), "wanted a direction of higher is more anisotropic, .* got 'up'"),
    "unknown invariance": (metric(invariances=("turning",)), "wanted invariances of rotation, scale, shift, got"),
    "unknown class": (metric(contrast="last"), "wanted a contrast of first, outlier, rest, got 'last'"),
    "bounds the wrong way round": (metric(low=1.0, high=0.0), "wanted low below high, got 1.0 and 0.0"),
    "undefined everywhere": (metric(never), "wanted a value on ordinary states, got none"),
    "drawn": (metric(lambda _: float(np.random.default_rng().random())), "as before, got .* measured a second time"),
    "asked twice": (metric(over=over(result=growing)), "as before, got .* a statistic asked a second time"),
    "writes into its result": (metric(draining), "as before, got 0 .* a result asked about a second time"),
    "order of tokens": (metric(over=over(update=last_norm)), "as before, got .* tokens in another order"),
    "merges into a part": (metric(over=over(merge=into_self)), "as before, got .* the left half after a merge"),
    "merges without copying": (
        metric(over=over(merge=sharing)),
        "as before, got .* merged before the left one took in",
    ),
    "means of blocks": (metric(over=over(update=mean_of_blocks)), "as before, got .* in 2 pieces, taken in one after"),
    "forgets a part": (metric(over=over(merge=forgetting)), "as before, got .* in 2 pieces, merged"),
    "writes into tokens": (metric(over=over(update=doubled)), "wanted the tokens left as they were, got others"),
    "turned": (moments(largest_coordinate, invariances=("rotation",)), "as before, got .* rotated, as declared"),
    "scaled": (metric(invariances=("scale",)), "as before, got .* scaled by 3, as declared"),
    "shifted": (metric(invariances=("shift",)), "as before, got .* shifted, as declared"),
    "below its bound": (metric(low=0.5), "wanted at least 0.5 as declared, got .*, tiny"),
    "above its bound": (metric(high=500.0), "wanted at most 500 as declared, got .*, far from zero"),
    "divides by zero": (metric(lambda f: 1.0 / mean_norm(f)), "wanted a finite number or an .*, got ZeroDivisionError"),
    "nan": (moments(lambda m: m.trace / np.float64(m.norm_var)), "got ValueError: returned (nan|inf), wanted a finite"),
    "an array": (moments(lambda m: m.mean), "got TypeError: returned ndarray, wanted a real number"),
    "writes into moments": (moments(lambda m: m.mean.fill(0.0) or 1.0), "got ValueError: .*read-only"),
    "undefined without words": (metric(without_words), "wanted a reason in UndefinedMetricError, got no words"),
    "takes no contrast": (metric(contrast="first"), "got TypeError: mean_norm"),
    "an update that fails": (metric(over=over(update=lambda _, tokens: tokens[0])), "a statistic that takes in tokens"),
    "prints": (metric(seeding(lambda: say("here"))), r"wanted nothing on stdout and stderr, got 'here"),
    "complains": (metric(seeding(lambda: sys.stderr.write("no"))), r"wanted nothing on stdout and stderr, got 'no"),
    "seeds numpy": (metric(seeding(seed_numpy)), "left alone, got those of numpy in"),
    "draws from python": (metric(seeding(random.random)), "left alone, got those of python in"),
    "draws from torch": (metric(seeding(lambda: torch.rand(1))), "left alone, got those of torch in"),
    "wrong without a document": (
        metric(over=over(result=lambda self: Halved(self.found))),
        "as of the other documents, got .* without_each at document 0",
    ),
}


@pytest.mark.parametrize("case", BROKEN_METRICS)
def test_a_metric_that_breaks_a_rule_is_told_so(case):
    """For each rule a metric that breaks it alone is refused in one sentence that names it, what came and where."""
    broken, wanted = BROKEN_METRICS[case]
    said = fault(testing.check_metric, broken)
    assert said.startswith("Metric strange: wanted ")
    assert re.search(wanted, said), said


HONEST_METRICS = {
    "of norms": metric(),
    "with a contrast": metric(ratio, contrast="first"),
    "with an invariance": metric(invariances=("rotation",)),
    "of windows": metric(mean_step, over=Steps, invariances=("rotation", "shift")),
    "of layers": metric(over=Moves, invariances=("rotation", "shift")),
    "that keeps an array": metric(kept, keeps=True),
}


@pytest.mark.parametrize("honest", HONEST_METRICS.values(), ids=HONEST_METRICS)
def test_an_honest_metric_passes(honest):
    """Metrics that the broken ones differ from by one thing keep every rule."""
    checked = testing.check_metric(honest)
    assert checked.seconds_per_token > 0
    assert str(checked).startswith("metric strange: 11 rules held, ")


def fault(check, broken, **options):
    """Return the sentence in which a check refuses something, after making sure that it is one line."""
    with pytest.raises(AssertionError) as found:
        check(broken, **options)
    said = str(found.value)
    assert "\n" not in said
    assert said.endswith(").")
    return said


# Hypotheses


def claims(**fields):
    """Return a hypothesis with a verdict of its own for each profile; `fields` are values or functions of it."""

    def test(profiles, rng):
        for profile in profiles:
            found = {
                "hypothesis": "strange",
                "criterion": "paper",
                "subject": profile.model.name,
                "outcome": "descriptive",
                "because": "there is a profile",
                "estimate": float(rng.random()),
            }
            given = {name: value(profile) if callable(value) else value for name, value in fields.items()}
            yield Verdict(**(found | given))

    return Hypothesis("strange", "a claim", test)


def after(body, **fields):
    """Return a hypothesis whose test runs something first."""
    honest = claims(**fields)

    def test(profiles, rng):
        body(profiles)
        yield from honest.test(profiles, rng)

    return replace(honest, test=test)


def wipe(profiles):
    """Write into what a profile holds."""
    for pseudo in profiles[0].pseudo:
        pseudo.values[:] = 0


def share(profile):
    """Return a value of a curve that a profile may lack."""
    return float(profile.curve("top-eigenvalue-share", "paper", "all").array()[3])


BROKEN_HYPOTHESES = {
    "no claim": (replace(claims(), claim=""), "wanted a claim, got ''"),
    "no verdict": (
        Hypothesis("strange", "a claim", lambda _profiles, _rng: []),
        "wanted one verdict or more, got none",
    ),
    "text": (Hypothesis("strange", "a claim", lambda _profiles, _rng: ["yes"]), "yielded a str, wanted a Verdict"),
    "another name": (claims(hypothesis="other"), "wanted its own name, strange, in hypothesis, got 'other'"),
    "another outcome": (claims(outcome="yes"), "cannot be kept .*outcome"),
    "another criterion": (claims(criterion="mine"), "cannot be kept .*criterion"),
    "another stream": (claims(stream="hidden"), "wanted stream to be one of paper, residual, normed, .* got 'hidden'"),
    "another token set": (claims(tokens="some"), "wanted tokens to be one of all, no-first, bulk, .* got 'some'"),
    "names no model": (claims(subject="it"), r"wanted a subject, and a model \(one\) in it or in reference, got 'it'"),
    "no reason": (claims(because=" "), "wanted one sentence in because, got ' '"),
    "two sentences": (claims(because="That is known. But why?"), "wanted one sentence in because"),
    "two lines": (claims(because="it is\nso"), "wanted one sentence in because"),
    "p of 2": (claims(p=2.0), "wanted p between 0 and 1, got 2.0"),
    "p not a number": (claims(p_refuted=float("nan")), "wanted p_refuted between 0 and 1, got nan"),
    "supports without a rate": (
        claims(outcome="supported"),
        "wanted a false_positive_rate where the outcome is supported, got None",
    ),
    "rate of 2": (claims(outcome="refuted", false_positive_rate=2.0), "wanted false_positive_rate between 0 and 1"),
    "estimate outside": (claims(low=2.0, high=3.0), "wanted low <= estimate <= high, got"),
    "estimate infinite": (claims(estimate=float("inf")), "wanted finite numbers or None in low, estimate and high"),
    "details that are no JSON": (claims(details={"x": object()}), "wanted verdicts that can be kept"),
    "draws on its own": (
        claims(estimate=lambda _: float(np.random.default_rng().random())),
        "wanted the same verdicts from the same seed, got others",
    ),
    "seeds numpy": (after(lambda _: seed_numpy()), "left alone, got those of numpy"),
    "prints": (after(lambda _: say("judging")), "wanted nothing on stdout and stderr, got 'judging"),
    "writes into a profile": (after(wipe), "wanted the profiles left as they were, got others"),
    "needs a curve": (claims(estimate=share), "got AnisoError: The profile of one has no top-eigenvalue-share"),
    "needs values": (
        claims(estimate=lambda profile: profile.curves and profile.curves[0].values[0] * 2.0),
        r"got TypeError: .* \(a profile with gaps\)",
    ),
    "needs depth": (
        claims(estimate=lambda profile: 1.0 / (profile.model.layers - 2)),
        "ZeroDivisionError.* two blocks",
    ),
    "judges nothing": (
        claims(outcome="refuted", false_positive_rate=0.1),
        "wanted not_testable where nothing was measured, got refuted",
    ),
}


@pytest.mark.parametrize("case", BROKEN_HYPOTHESES)
def test_a_hypothesis_that_breaks_a_rule_is_told_so(case):
    """For each rule a hypothesis that breaks it alone is refused in one sentence that names it, what came and where."""
    broken, wanted = BROKEN_HYPOTHESES[case]
    said = fault(testing.check_hypothesis, broken)
    assert said.startswith("Hypothesis strange: wanted ")
    assert re.search(wanted, said), said


def noise(rng):
    """Return a published profile that is nothing but noise over 13 states: no bell."""
    info = ModelInfo("noise", "", "published", "", "", 12, 8, 0, "layernorm", "pre", "", "", "")
    layers, values = tuple(range(13)), tuple(rng.random(13).tolist())
    return [Profile(info, (Curve("top-eigenvalue-share", "share", "paper", "all", layers, values),))]


def test_how_often_a_false_claim_is_supported_is_held_against_what_is_declared():
    """Over draws of a null a hypothesis may support its claim as often as it says, and not oftener."""
    bell = registry().hypothesis("bell-curve")
    assert "it is not wrong oftener than it declares" in testing.check_hypothesis(bell, null=noise).rules

    def boasting(profiles, rng):
        return [replace(v, false_positive_rate=v.false_positive_rate and 0.1) for v in bell.test(profiles, rng)]

    said = fault(testing.check_hypothesis, replace(bell, test=boasting), null=noise)
    assert re.search(r'wanted "supported" in at most 0\.164 of cases, with 0\.1 declared, got 0\.[34]', said), said


# Reporters and prompt sets


def reporter(render, summary="a summary"):
    """Return a reporter."""
    return Reporter("strange", summary, render)


def page(data=b"x", name="page.txt"):
    """Return a file."""
    return ReportFile(name, data)


def blank(report):
    """Write into what a report holds."""
    for profile in report.profiles:
        for spectrum in profile.spectra:
            spectrum.values.flags.writeable = True
            spectrum.values[:] = 0
    return [page()]


BROKEN_REPORTERS = {
    "no summary": (reporter(lambda _: [page()], summary=""), "wanted a summary, got ''"),
    "text": (reporter(lambda _: ["page"]), "got TypeError: yielded a str, wanted a ReportFile"),
    "a path": (reporter(lambda _: [page(name="../page.txt")]), r"got ValueError: named a file '\.\./page\.txt'"),
    "twice a name": (reporter(lambda _: [page(), page()]), "which exists already"),
    "another's name": (reporter(lambda _: [page(name="run.json")]), "which exists already .a profile with verdicts"),
    "no bytes": (reporter(lambda _: [page("x")]), "got TypeError: gave str for the file 'page.txt', wanted bytes"),
    "other bytes": (
        reporter(lambda _: [page(np.random.default_rng().bytes(8))]),
        "wanted the same bytes for the same report, got others",
    ),
    "writes into the report": (reporter(blank), "wanted the report left as it was, got another one"),
    "needs values": (
        reporter(lambda report: [page(b"%f" % sum(report.profiles[0].curves[0].values))]),
        "got TypeError: .*three profiles with gaps",
    ),
    "needs prompts": (
        reporter(lambda report: [page(b"%d" % report.profiles[-1].prompts.tokens)]),
        "got AttributeError: .*without prompts",
    ),
    "needs verdicts": (reporter(lambda report: [page(report.verdicts[0].because.encode())]), "got IndexError"),
    "prints": (reporter(lambda _: say("drawing") and [page()]), "wanted nothing on stdout and stderr, got 'drawing"),
}


@pytest.mark.parametrize("case", BROKEN_REPORTERS)
def test_a_reporter_that_breaks_a_rule_is_told_so(case):
    """For each rule a reporter that breaks it alone is refused in one sentence that names it, what came and where."""
    broken, wanted = BROKEN_REPORTERS[case]
    said = fault(testing.check_reporter, broken)
    assert said.startswith("Reporter strange: wanted ")
    assert re.search(wanted, said), said


def prompts(*documents, **fields):
    """Return a prompt set."""
    facts = {"name": "strange", "summary": "a summary", "source": "a test", "licence": "any", "load": lambda: documents}
    return PromptSet(**(facts | fields))


GOOD = Document("1", "A text.")

BROKEN_PROMPTS = {
    "no source": (prompts(GOOD, source=""), "wanted a source, got ''"),
    "no licence": (prompts(GOOD, licence=""), "wanted a licence, got ''"),
    "no summary": (prompts(GOOD, summary=""), "wanted a summary, got ''"),
    "no document": (prompts(), "There are no prompts to measure"),
    "no Document": (prompts("A text."), "wanted a Document with text as id, got 'A text.' .document 1"),
    "a number as id": (prompts(Document(1, "A text.")), "wanted a Document with text as id, got .*document 1"),
    "twice an id": (prompts(GOOD, GOOD), "Two documents have the id '1'"),
    "blank": (prompts(Document("1", " ")), "Document 1 is blank"),
    "no text": (prompts(Document("1", b"A text.")), "Document 1 is of type bytes, wanted text"),
    "half a pair": (prompts(Document("1", "\ud83d")), "half a surrogate pair"),
    "fails": (prompts(load=lambda: 1 / 0), "wanted documents, got ZeroDivisionError"),
    "others each time": (
        prompts(load=lambda: [Document(str(np.random.default_rng().random()), "A text.")]),
        "the same documents twice",
    ),
    "prints": (prompts(load=lambda: say("loading") and [GOOD]), "wanted nothing on stdout and stderr, got 'loading"),
}


@pytest.mark.parametrize("case", BROKEN_PROMPTS)
def test_a_prompt_set_that_breaks_a_rule_is_told_so(case):
    """For each rule a prompt set that breaks it alone is refused in one sentence that names it and what came."""
    broken, wanted = BROKEN_PROMPTS[case]
    said = fault(testing.check_prompts, broken)
    assert said.startswith("Prompt set strange: wanted ")
    assert re.search(wanted, said), said


# Adapters


LLAMA = (Preset("small", "example-org/small", "a model on the hub"),)


def opening(change=lambda probe: probe, model_types=("llama",)):
    """Return the `open` of an adapter for Llama models whose probe is changed."""

    def open_(request):
        return change(open_model(request, presets=LLAMA, model_types=model_types, adapter="strange"))

    return open_


def adapter(open_=None, **fields):
    """Return an adapter for Llama models that keeps every rule but for what is given."""
    return Adapter(**({"name": "strange", "summary": "a test", "presets": LLAMA, "open": open_ or opening()} | fields))


def changing(**methods):
    """Return a change of a probe's methods or properties."""

    def change(probe):
        probe.__class__ = type("Changed", (type(probe),), methods)
        return probe

    return change


class Foreign:
    """A probe that is not aniso's own: it passes on all that another does."""

    def __init__(self, probe):
        self.probe = probe

    def __getattr__(self, name):
        return getattr(self.probe, name)


def reading_as(transform):
    """Return the method `reading` that hands on changed states."""

    def reading(self, sites, sink):
        return TransformerProbe.reading(self, sites, lambda site, states: sink(site, transform(states)))

    return reading


def leaving_a_hook(self, sites, sink):
    """Read, and leave a hook behind."""
    self.anatomy.blocks[0].register_forward_hook(lambda *_: None)
    return TransformerProbe.reading(self, sites, sink)


def training(self, sites, sink):
    """Read, and leave the model in training mode."""
    self.anatomy.trunk.train()
    return TransformerProbe.reading(self, sites, sink)


def learning(self, sites, sink):
    """Read, and change a parameter."""
    with torch.no_grad():
        next(self.anatomy.trunk.parameters())[0] += 1
    return TransformerProbe.reading(self, sites, sink)


def refusing_wrongly(request):
    """Fail by something else than aniso's error where a model is of another family."""
    if not str(request.model).endswith("llama"):
        raise KeyError(request.model)
    return opening()(request)


def anything(request):
    """Open a folder that holds nothing."""
    return Foreign(request)


def long_windows(self, documents, *, bos, max_length):
    """Heed no limit."""
    del max_length
    return TransformerProbe.tokenize(self, documents, bos=bos, max_length=None)


def few_windows(self, documents, *, bos, max_length):
    """Read the first document alone."""
    return TransformerProbe.tokenize(self, list(documents)[:1], bos=bos, max_length=max_length)


FOREIGN_PRESET = Preset("gone", "/nowhere/at/all", "a folder", bundled=True)

BROKEN_ADAPTERS = {
    "no summary": (adapter(summary=""), "wanted a summary, got ''"),
    "twice a preset": (adapter(presets=LLAMA * 2), "wanted presets of different names, got small, small"),
    "undocumented preset": (adapter(presets=(Preset("small", "a/b"),)), "wanted a name, a place and a summary, got"),
    "bundled nowhere": (adapter(presets=(FOREIGN_PRESET,)), "wanted a folder for a bundled preset, got /nowhere"),
    "published as a list": (adapter(published=list), "wanted profiles by name, got list"),
    "published as text": (adapter(published=lambda: {"x": "y"}), "wanted a Profile, got str .published:x"),
    "published as measured": (
        adapter(published=lambda: {"x": testing.example_profile()}),
        'wanted the source "published" of its model, got .memory. .published:x',
    ),
    "prints": (adapter(opening(lambda probe: say("open") and probe)), "nothing on stdout and stderr, got 'open"),
    "opens a folder without a model": (adapter(anything), "wanted an AnisoError, got a probe"),
    "opens every family": (
        adapter(opening(model_types=())),
        "a model of another family than its presets', got a probe",
    ),
    "fails on another family": (adapter(refusing_wrongly), "wanted a probe or an AnisoError, got KeyError"),
    "opens nothing": (adapter(opening(model_types=("none",))), "wanted a model to open: a bundled preset"),
    "sites out of order": (
        adapter(opening(changing(sites=property(lambda self: self.anatomy.sites[::-1])))),
        "wanted sites once each, by stream, then layer",
    ),
    "sites left out": (
        adapter(opening(changing(sites=property(lambda self: self.anatomy.sites[1:])))),
        "wanted residual sites 0 to 2",
    ),
    "a norm that is none": (adapter(opening(changing(norm_at=lambda _self, _site: "norm"))), "wanted a Norm as wide"),
    "windows too long": (adapter(opening(changing(tokenize=long_windows))), "wanted windows of at most 9 tokens"),
    "documents left out": (adapter(opening(changing(tokenize=few_windows))), "wanted windows of each document, got"),
    "states of the batch": (
        adapter(opening(changing(reading=reading_as(lambda states: states + states.mean(dim=(0, 1)))))),
        "wanted the state that the window has alone, got one that is .*, padded beside longer windows",
    ),
    "narrow states": (
        adapter(opening(changing(reading=reading_as(lambda states: states[..., 1:])))),
        "wanted states of width 16, got 15",
    ),
    "other states": (
        adapter(opening(changing(reading=reading_as(lambda states: states + 1)))),
        "wanted the states of output_hidden_states, got some that are .* off .*site 0.residual",
    ),
    "a hook left behind": (adapter(opening(changing(reading=leaving_a_hook))), "wanted the model's hooks as they were"),
    "parameters changed": (adapter(opening(changing(reading=learning))), "wanted the model's parameters as they were"),
    "left in training": (
        adapter(opening(changing(reading=training))),
        "wanted the model's training modes as they were",
    ),
}


@pytest.fixture
def few_stand_ins(monkeypatch):
    """Offer adapters two tiny models rather than five, to save time."""
    monkeypatch.setattr(adapters, "STAND_INS", ("llama", "gpt2"))


@pytest.mark.parametrize("case", BROKEN_ADAPTERS)
@pytest.mark.usefixtures("few_stand_ins")
def test_an_adapter_that_breaks_a_rule_is_told_so(case):
    """For each rule an adapter that breaks it alone is refused in one sentence that names it, what came and where."""
    broken, wanted = BROKEN_ADAPTERS[case]
    said = fault(testing.check_adapter, broken)
    assert said.startswith("Adapter strange: wanted ")
    assert re.search(wanted, said), said


@pytest.mark.usefixtures("few_stand_ins")
def test_an_adapter_is_checked_on_what_it_takes_or_is_given(tmp_path):
    """Without a bundled model an adapter is checked on a tiny one of its family, or on the folder that it is given."""
    assert "the model is left as it was" in testing.check_adapter(adapter()).rules
    folder = testing.tiny_model(tmp_path / "mine", "llama", num_hidden_layers=3)
    assert len(testing.check_adapter(adapter(), folder).rules) == 7
    assert "gpt2" in fault(testing.check_adapter, adapter(), model=testing.tiny_model(tmp_path / "other", "gpt2"))


@pytest.mark.usefixtures("few_stand_ins")
def test_a_probe_of_another_make_is_checked_without_its_model():
    """Of a probe that is no TransformerProbe only what a probe promises is checked, and its model is left out."""
    assert len(testing.check_adapter(adapter(opening(Foreign))).rules) == 5
