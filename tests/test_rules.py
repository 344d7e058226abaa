"""Each rule of the checks for plugin authors is broken once, alone, and named in one sentence."""

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


def units_of(tokens):
    """Return the unit of uncertainty of each token."""
    return [unit for unit, number in tokens.runs for _ in range(number)]


class Norms:
    """The mean norm, kept by unit so that each can be left out: a statistic that keeps every rule."""

    def __init__(self):
        self.found = {}

    def update(self, tokens):
        for unit, norm in zip(units_of(tokens), tokens.norms.tolist(), strict=True):
            self.found.setdefault(unit, []).append(norm)

    def merge(self, other):
        both = type(self)()
        for part in (self, other):
            for unit, norms in part.found.items():
                both.found.setdefault(unit, []).extend(norms)
        return both

    def result(self):
        return Found({unit: list(norms) for unit, norms in self.found.items()})


class Found:
    """Norms by unit, and what is left of them without each."""

    def __init__(self, norms):
        self.norms = norms

    def without_each(self):
        return {unit: Found({u: n for u, n in self.norms.items() if u != unit}) for unit in self.norms}


def mean_norm(found):
    """Return the mean norm, undefined where there is none."""
    if not found.norms:
        message = "nothing was measured"
        raise UndefinedMetricError(message)
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
    for unit, norms in other.found.items():
        self.found.setdefault(unit, []).extend(norms)
    return self


def sharing(self, other):
    """Merge without copying."""
    both = Norms()
    both.found = {**self.found, **{-1 - unit: norms for unit, norms in other.found.items()}}
    return both


def doubled(self, tokens):
    """Write into the tokens."""
    Norms.update(self, tokens)
    tokens.states.mul_(2)


def joined(self, place):
    """Return the statistic with other units."""
    made = Norms()
    for unit, norms in self.found.items():
        made.found.setdefault(place(unit), []).extend(norms)
    return made


def joined_in_place(self, size):
    """Join units and keep no statistic of the units as they were."""
    self.found = joined(self, lambda unit: unit // size).found
    return self


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
        return {unit: Halved({unit: norms}) for unit, norms in self.norms.items()}


class Emptied(Found):
    """A result that leaving out empties."""

    def without_each(self):
        left = Found.without_each(self)
        self.norms.clear()
        return left


class ByDocument(Norms):
    """The same kept by document, which is no unit where there are many documents or texts repeat."""

    def update(self, tokens):
        Norms.update(self, replace(tokens, runs=tuple((document, 1) for document in tokens.document.tolist())))


class Steps(Norms):
    """The mean length of steps from token to token of a window, by unit; each step once, whatever the classes."""

    wants = ("windows",)

    def follows(self, tokens):
        """Return which tokens but the first follow the one before them in their window."""
        return (tokens.window.diff() == 0) & (tokens.position.diff() == 1)

    def update(self, tokens):
        lengths = tokens.states.diff(dim=0).norm(dim=1)
        there = self.follows(tokens) & (tokens.own[1:] | tokens.own[:-1])
        units = torch.tensor(units_of(tokens))
        for unit, length in zip(units[1:][there].tolist(), lengths[there].tolist(), strict=True):
            self.found.setdefault(unit, []).append(length)


class Leaps(Steps):
    """The same, which takes what is left of a window without tokens of another class for neighbours."""

    def follows(self, tokens):
        return tokens.window.diff() == 0


class Runs(Steps):
    """The same, which takes a document's windows for one."""

    def follows(self, tokens):
        return tokens.document.diff() == 0


class EveryStep(Steps):
    """The same, which counts steps between classes twice, or never."""

    def update(self, tokens):
        Steps.update(self, replace(tokens, own=torch.ones_like(tokens.own)))


class Moves(Norms):
    """How far tokens moved from the layer below; at the first layer there is none."""

    wants = ("before",)

    def update(self, tokens):
        if tokens.before is not None:
            moved = tokens.states - tokens.before
            Norms.update(self, replace(tokens, norms=moved.norm(dim=1)))


class Moved(Moves):
    """The same, which writes into the states of the layer below."""

    def update(self, tokens):
        if tokens.before is not None:
            tokens.before.mul_(0.5)
        Moves.update(self, tokens)


class AlwaysMoved(Moves):
    """The same, which takes the layer below for granted."""

    def update(self, tokens):
        Moves.update(self, replace(tokens, before=tokens.before * 1))


class MovedFromZero(Moves):
    """The same, which takes nothing below for zero."""

    def update(self, tokens):
        before = torch.zeros_like(tokens.states) if tokens.before is None else tokens.before
        Moves.update(self, replace(tokens, before=before))


def wanting_text():
    """Return the honest statistic, whose wants are text."""
    return type("Wanting", (Norms,), {"wants": "before"})


def kept(found):
    """Return what is kept of norms in place of a number."""
    return np.array([mean_norm(found), float(len(found.norms))])


def wanting(*wants):
    """Return the honest statistic, which wants this and that and makes no use of it."""
    return type("Wanting", (Norms,), {"wants": wants})


def softened(found):
    """Return a mean norm over itself and a little more, which small states alone show."""
    return mean_norm(found) / (mean_norm(found) + 1e-4)


def unless_alike(m):
    """Return a share that is above 1 where several states are all the same."""
    return 2.0 if m.count > 1 and m.trace < 1e-9 * m.norm_mean**2 else 0.5


BROKEN_METRICS = {
    "counts what classes share twice": (
        metric(over=EveryStep),
        "the value to stay .*, got .* the classes apart and merged",
    ),
    "takes what an outlier lay between for neighbours": (metric(over=Leaps), "to stay .* the classes apart and merged"),
    "takes windows of a document for one": (metric(over=Runs), "to stay .* windows in another order"),
    "writes into the layer below": (metric(over=Moved), "wanted the tokens left as they were, got others"),
    "takes the layer below for granted": (
        metric(over=AlwaysMoved),
        "wanted a statistic that takes in tokens, got TypeError: .* at the first layer",
    ),
    "has a value without a layer below": (
        metric(over=MovedFromZero),
        "wanted an UndefinedMetricError, as nothing is before, got .* at the first layer",
    ),
    "keeps no array": (metric(keeps=True), "got TypeError: returned float, wanted an array of float64"),
    "keeps another array": (
        metric(kept, over=over(update=last_norm), keeps=True),
        "wanted the value to stay an array of shape .*, got .* tokens in another order",
    ),
    "keeps what its bound forbids": (metric(kept, keeps=True, high=2.5), "wanted at most 2.5 as declared"),
    "counts in halves": (metric(counts=True), "wanted a whole number, as it counts, got"),
    "no name": (replace(metric(), name=""), "wanted a name, got ''"),
    "one text as aliases": (metric(aliases="abc"), "wanted a tuple of names as aliases, got 'abc'"),
    "a bound that is text": (metric(low="0"), "wanted a finite number or None as low, got '0'"),
    "a flag that is text": (metric(on_request="no"), "wanted True or False as on_request, got 'no'"),
    "lists as invariances": (metric(invariances=[["x"]]), "wanted a tuple of some of rotation, .* got .*'x'"),
    "a list as direction": (metric(direction=["neither"]), "wanted a direction of higher is more anisotropic, .* got"),
    "wants text": (metric(over=wanting_text()), "wanted a tuple of some of before, windows as wants, got 'before'"),
    "wants what there is not": (metric(over=wanting("gradients")), r"as wants, got \('gradients',\)"),
    "cannot be made": (metric(over=lambda: 1 / 0), "wanted a complete record, got ZeroDivisionError"),
    "no unit": (metric(unit=""), "wanted a unit, got '' "),
    "no summary": (metric(summary=""), "wanted a summary, got '' "),
    "no source": (metric(source=" "), "wanted a source, got ' ' "),
    "unknown direction": (metric(direction="up"), "wanted a direction of higher is more anisotropic, .* got 'up'"),
    "unknown invariance": (
        metric(invariances=("turning",)),
        "wanted a tuple of some of rotation, scale, shift as invariances, got",
    ),
    "unknown class": (metric(contrast="last"), "wanted a contrast of None, first, outlier, rest, got 'last'"),
    "bounds the wrong way round": (metric(low=1.0, high=0.0), "wanted low below high, got 1.0 and 0.0"),
    "undefined everywhere": (metric(never), "wanted a value on ordinary states, got none"),
    "drawn": (metric(lambda _: float(np.random.default_rng().random())), "to stay .*, got .* measured a second time"),
    "asked twice": (metric(over=over(result=growing)), "to stay .*, got .* a statistic asked a second time"),
    "writes into its result": (metric(draining), "to stay .*, got 0 .* a result asked about a second time"),
    "order of tokens": (metric(over=over(update=last_norm)), "to stay .*, got .* tokens in another order"),
    "merges into a part": (metric(over=over(merge=into_self)), "to stay .*, got .* the left half after a merge"),
    "merges without copying": (
        metric(over=over(merge=sharing)),
        "to stay .*, got .* merged before the left one took in",
    ),
    "means of blocks": (metric(over=over(update=mean_of_blocks)), "to stay .*, got .* in 2 pieces, taken in one after"),
    "forgets a part": (metric(over=over(merge=forgetting)), "to stay .*, got .* in 2 pieces, merged"),
    "writes into tokens": (metric(over=over(update=doubled)), "wanted the tokens left as they were, got others"),
    "turned": (
        moments(largest_coordinate, invariances=("rotation",)),
        "to stay .*, got .* rotated; the metric declares invariance to rotation",
    ),
    "scaled": (
        metric(invariances=("scale",)),
        "to stay .*, got .* divided by 1024; the metric declares invariance to scale",
    ),
    "shifted": (metric(invariances=("shift",)), "to stay .*, got .* shifted; the metric declares invariance to shift"),
    "scale shows where states are short": (
        metric(softened, invariances=("scale",)),
        "to stay .*, got .* divided by 1024; the metric declares invariance to scale",
    ),
    "below its bound": (metric(low=0.5), "wanted at least 0.5 as declared, got .*, tiny"),
    "above its bound where states are the same": (
        moments(unless_alike, high=1.0),
        "wanted at most 1 as declared, got 2 .*, all the same",
    ),
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
    "seeds numpy": (metric(seeding(seed_numpy)), "left alone, got a changed state of numpy's generator"),
    "draws from python": (metric(seeding(random.random)), "left alone, got a changed state of python's generator"),
    "draws from torch": (
        metric(seeding(lambda: torch.rand(1))),
        "left alone, got a changed state of torch's generator",
    ),
    "wrong without a unit": (
        metric(over=over(result=lambda self: Halved(self.found))),
        "as of the other units, got .* without_each at unit 0",
    ),
    "leaves out documents": (
        metric(over=ByDocument),
        r"wanted results without units \[0, 1, 2, 3\], got \[0, .*7\] .* two documents to a unit of Tokens.runs",
    ),
    "joins no units": (
        metric(over=over(regrouped=lambda self, _size: self)),
        r"wanted results without units \[0, 1\], got \[0, 1, 2, 3\] .* regrouped\(2\)",
    ),
    "joins the wrong units": (
        metric(over=over(regrouped=lambda self, size: joined(self, lambda unit: unit % size))),
        r"as of the other units, got .* regrouped\(2\), without_each at unit 0",
    ),
    "joins units in place": (
        metric(over=over(regrouped=joined_in_place)),
        r"wanted results without units \[0, 1, 2, 3\], got \[0, 1\] .* after regrouped",
    ),
    "leaving out empties the result": (
        metric(over=over(result=lambda self: Emptied(dict(self.found)))),
        "the value to stay .*, got UndefinedMetricError|wanted results without each unit that it takes, got Undefined",
    ),
}


@pytest.mark.parametrize("case", BROKEN_METRICS)
def test_a_metric_that_breaks_a_rule_is_refused(case):
    """For each rule a metric that breaks it alone is refused in one sentence that names it, what came and where."""
    broken, wanted = BROKEN_METRICS[case]
    said = fault(testing.check_metric, broken)
    assert said.startswith(f"Metric {broken.name}: wanted ")
    assert re.search(wanted, said), said


HONEST_METRICS = {
    "of norms": metric(),
    "with a contrast": metric(ratio, contrast="first"),
    "with an invariance": metric(invariances=("rotation",)),
    "of windows": metric(over=Steps, invariances=("rotation", "shift")),
    "of layers": metric(over=Moves, invariances=("rotation", "shift")),
    "that keeps an array": metric(kept, keeps=True),
    "that counts": moments(lambda m: float(m.count), unit="tokens", low=1.0, counts=True),
}


@pytest.mark.parametrize("honest", HONEST_METRICS.values(), ids=HONEST_METRICS)
def test_an_honest_metric_passes(honest):
    """Metrics that the broken ones differ from by one thing keep every rule."""
    checked = testing.check_metric(honest)
    assert checked.seconds_per_token > 0
    assert str(checked).startswith("metric strange: 12 rules held, ")


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


def measured(profile):
    """Return whether there is any value."""
    return any(value is not None for curve in profile.curves for value in curve.values)


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
    "seeds numpy": (after(lambda _: seed_numpy()), "left alone, got a changed state of numpy's generator"),
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
        "wanted not_testable where nothing was measured, got refuted .a profile of nothing but gaps",
    ),
    "weighs nothing": (
        claims(outcome=lambda profile: "descriptive" if measured(profile) else "inconclusive", false_positive_rate=0.1),
        "wanted not_testable where nothing was measured, got inconclusive .a profile of nothing but gaps",
    ),
}


@pytest.mark.parametrize("case", BROKEN_HYPOTHESES)
def test_a_hypothesis_that_breaks_a_rule_is_refused(case):
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
    """Over draws of a null a hypothesis may support its claim as frequently as it declares, and no more."""
    bell = registry().hypothesis("bell-curve")
    assert "its false positives are no more frequent than declared" in testing.check_hypothesis(bell, null=noise).rules

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
    "other bytes for three profiles": (
        reporter(lambda report: [page(np.random.default_rng().bytes(8 if len(report.profiles) > 1 else 0))]),
        "wanted the same bytes for the same report, got others .three profiles",
    ),
    "draws from python": (
        reporter(lambda _: [page(b"%d" % (0 * random.getrandbits(8)))]),
        "left alone, got a changed state of python's generator",
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
def test_a_reporter_that_breaks_a_rule_is_refused(case):
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
    "draws from torch": (
        prompts(load=lambda: len(torch.rand(1)) and [GOOD]),
        "left alone, got a changed state of torch's generator",
    ),
    "prints": (prompts(load=lambda: say("loading") and [GOOD]), "wanted nothing on stdout and stderr, got 'loading"),
}


@pytest.mark.parametrize("case", BROKEN_PROMPTS)
def test_a_prompt_set_that_breaks_a_rule_is_refused(case):
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


def first_windows(self, documents, *, bos, max_length):
    """Read of each document the first window alone."""
    made = TransformerProbe.tokenize(self, documents, bos=bos, max_length=max_length)
    firsts = {window.document: window for window in reversed(made.windows)}
    return replace(made, windows=tuple(firsts[number] for number in sorted(firsts)))


def special_as_content(self, documents, *, bos, max_length):
    """Take special tokens for content."""
    made = TransformerProbe.tokenize(self, documents, bos=bos, max_length=max_length)
    return replace(made, windows=tuple(replace(window, prefix=0, suffix=0) for window in made.windows))


def content_as_special(self, documents, *, bos, max_length):
    """Take the first token of the text for a special one."""
    made = TransformerProbe.tokenize(self, documents, bos=bos, max_length=max_length)
    return replace(made, windows=tuple(replace(window, prefix=window.prefix + 1) for window in made.windows))


def norm_with(**changes):
    """Return the method norm_at of norms with other fields than the model's."""

    def norm_at(self, site):
        norm = TransformerProbe.norm_at(self, site)
        return norm and replace(norm, **{name: change(getattr(norm, name)) for name, change in changes.items()})

    return norm_at


def reading_longer(self, sites, sink):
    """Hand on normed states five times as long."""
    return TransformerProbe.reading(
        self, sites, lambda site, states: sink(site, 5 * states if site.stream == "normed" else states)
    )


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
    "a norm of another gain": (
        adapter(opening(changing(norm_at=norm_with(gain=lambda gain: 1.001 * gain)))),
        "wanted what the norm of norm_at makes of residual states, got states that are 0.001 of theirs off .*0.normed",
    ),
    "a norm of another eps": (
        adapter(opening(changing(norm_at=norm_with(eps=lambda _: None)))),
        "wanted what the norm of norm_at makes of residual states",
    ),
    "a norm of another kind": (
        adapter(opening(changing(norm_at=norm_with(kind=lambda _: "layernorm")))),
        "wanted what the norm of norm_at makes of residual states",
    ),
    "normed states too long": (
        adapter(opening(lambda probe: Foreign(changing(reading=reading_longer)(probe)))),
        "wanted what the norm of norm_at makes of residual states, got states that are 4 of theirs off",
    ),
    "windows left out": (
        adapter(opening(changing(tokenize=first_windows))),
        "wanted the tokens of each text between prefix and suffix, got others .*windows of 9 tokens",
    ),
    "special tokens as content": (
        adapter(opening(changing(tokenize=special_as_content))),
        "wanted the tokens of each text between prefix and suffix, got others .*--bos add",
    ),
    "content as special tokens": (
        adapter(opening(changing(tokenize=content_as_special))),
        "wanted the (tokens of each text between prefix and suffix|same special tokens around each window)",
    ),
    "seeds numpy": (
        adapter(opening(lambda probe: seed_numpy() or probe)),
        "left alone, got a changed state of numpy's generator",
    ),
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
        adapter(opening(changing(reading=reading_as(lambda states: states + 1), norm_at=lambda *_: None))),
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
def test_an_adapter_that_breaks_a_rule_is_refused(case):
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
    assert len(testing.check_adapter(adapter(), folder).rules) == 8
    assert "gpt2" in fault(testing.check_adapter, adapter(), model=testing.tiny_model(tmp_path / "other", "gpt2"))


@pytest.mark.usefixtures("few_stand_ins")
def test_a_probe_of_another_make_is_checked_without_its_model():
    """Of a probe that is no TransformerProbe only what a probe promises is checked, and its model is left out."""
    assert len(testing.check_adapter(adapter(opening(Foreign))).rules) == 6
