"""Four questions about one profile, answered in plain words: where is its peak, how sure, whose doing, what shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aniso_core.records import PAPER, Curve, Profile, Verdict
from aniso_core.rigorous import HELD, span
from aniso_core.text import sentence, short
from aniso_report import reading
from aniso_report.layers import number
from aniso_report.reading import SHARE, Peak, peak_sets
from aniso_report.words import NOTABLE, norm, units


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a few words, and the sentences behind it."""

    question: str
    short: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One model among several: what its line in the table of models says, each as text."""

    model: str
    norm: str
    layers: int
    text: str
    peak: str
    sure: str
    share: str
    held: str
    bulk: str
    bell: str


NOT_KNOWN = "Not known"
_NEAR = 0.01
_SHAPES = {
    "supported": "Yes",
    "refuted": "No",
    "inconclusive": "Undecided",
    "not_testable": "Not tested",
    "descriptive": NOT_KNOWN,
}


def answers(profile: Profile, verdicts: Sequence[Verdict]) -> list[Answer]:
    """Return the four answers; where the share was not measured, that alone."""
    stream = reading.main_stream(profile)
    peak = reading.peak(profile, stream)
    if peak is None:
        return [Answer("Where does the profile peak?", NOT_KNOWN, (f"The {SHARE} of all tokens was not measured.",))]
    sure = _sure(profile, verdicts, stream, peak)
    return [_where(profile, stream, peak), sure, *_rest(profile, verdicts, stream, peak)]


def row(profile: Profile, verdicts: Sequence[Verdict], label: str) -> Row:
    """Return the line of one model among several."""
    stream = reading.main_stream(profile)
    peak, bulk = (reading.peak(profile, stream, tokens) for tokens in ("all", "bulk"))
    known = peak_sets(verdicts, profile.model.name).get((stream, "all"))
    return Row(
        label,
        norm(profile),
        profile.model.layers,
        f"{profile.prompts.tokens:,} ({profile.model.width:,})" if profile.prompts else "",
        f"layer {peak.layer} ({peak.depth:.2f})" if peak else NOT_KNOWN,
        span(known) if known else NOT_KNOWN,
        _with_interval(reading.curve(profile, SHARE, stream), peak.layer) if peak else "",
        whose(profile, stream, peak)[0] if peak else NOT_KNOWN,
        f"layer {bulk.layer}, {number(bulk.value)}" if bulk else NOT_KNOWN,
        _shape(profile, verdicts)[0],
    )


def whose(profile: Profile, stream: str, peak: Peak) -> tuple[str, tuple[str, ...]]:
    """Return whether a few tokens make the peak: in a word, and in sentences."""
    held = {
        who: value
        for metric, who in (("first-token-share", "first tokens"), ("massive-token-share", "other massive tokens"))
        if (found := reading.curve(profile, metric, stream)) and (value := found.at(peak.layer)) is not None
    }
    bulk = reading.peak(profile, stream, "bulk")
    there = reading.curve(profile, SHARE, stream, "bulk")
    without = there.at(peak.layer) if there else None
    said = [
        f"At layer {peak.layer} {who} hold {percent(value)} of the variance along the first direction."
        for who, value in held.items()
    ]
    fewer = reading.curve(profile, SHARE, stream, "no-first")
    second = fewer.at(peak.layer) if fewer else None
    if second is not None:
        said.append(f"Without first tokens alone the share there is {number(second)}.")
    if without is not None and bulk is not None:
        where = f"stays at layer {bulk.layer}" if bulk.layer == peak.layer else f"moves to layer {bulk.layer}"
        said.append(
            f"Without {_removed(profile, stream, peak.layer)} it is {number(without)} instead of {number(peak.value)}, "
            f"and the peak {where} ({number(bulk.value)})."
        )
    if not said:
        return NOT_KNOWN, ("Only all tokens together were measured.",)
    if sum(held.values()) > HELD:
        return "Yes: a few tokens make it", tuple(said)
    if bulk is None:
        return NOT_KNOWN, (*said, "The peak without them was not measured.")
    if bulk.layer != peak.layer or abs(bulk.value - peak.value) > NOTABLE:
        return "In part", tuple(said)
    return "No", tuple(said)


def _removed(profile: Profile, stream: str, layer: int) -> str:
    """Return how many tokens the set `bulk` leaves out at a layer."""
    counts = {c.tokens: dict(zip(c.layers, c.counts, strict=True)) for c in profile.counts if c.stream == stream}
    whole, bulk = (counts.get(tokens, {}).get(layer) for tokens in ("all", "bulk"))
    if whole is None or bulk is None:
        return "first and massive tokens"
    return f"the {whole - bulk:,} first and massive tokens (of {whole:,})"


def percent(share: float) -> str:
    """Return a share (0 to 1) in per cent, with a digit after the point where it is near either end."""
    digits = 0 if 0.01 <= share <= 0.99 else 1  # noqa: PLR2004 - near the ends whole numbers hide the rest
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _where(profile: Profile, stream: str, peak: Peak) -> Answer:
    last = profile.model.layers
    place = {0: " (the input of the first block)", last: " (the output of the last block)"}.get(peak.layer, "")
    after = ", which lies after the final norm," if stream == PAPER and peak.layer == last else ""
    bulk = reading.peak(profile, stream, "bulk")
    moved = f"; layer {bulk.layer} without a few tokens" if bulk and bulk.layer != peak.layer else ""
    return Answer(
        "Where does the profile peak?",
        f"Layer {peak.layer} of {last}{moved}",
        (
            f"There{place}{after} one direction holds {percent(peak.value)} of the variance of all tokens.",
            f"That is the largest top-eigenvalue share over the {_stream(stream)}.",
            f"Relative depth {peak.depth:.2f}. {_near(profile, stream, peak)}",
        ),
    )


def _near(profile: Profile, stream: str, peak: Peak) -> str:
    """Return which layers come near the peak, so that a plateau is not taken for a point."""
    found = reading.curve(profile, SHARE, stream)
    pairs = zip(found.layers, found.values, strict=True) if found else ()
    near = [layer for layer, value in pairs if value is not None and peak.value - value <= _NEAR]
    return f"Within {_NEAR} of it: {span(near)}." if len(near) > 1 else f"No other layer is within {_NEAR} of it."


def _sure(profile: Profile, verdicts: Sequence[Verdict], stream: str, peak: Peak) -> Answer:
    question = "How sure is that?"
    found = reading.curve(profile, SHARE, stream)
    layers = peak_sets(verdicts, profile.model.name).get((stream, "all"))
    prompts = profile.prompts
    value = f"The share there is {_with_interval(found, peak.layer, '95 % interval ')}." if found and found.low else ""
    if layers:
        alone = f"{span(layers).capitalize()} alone" if len(layers) == 1 else span(layers).capitalize()
        text = (
            "In 95 of 100 samples of documents like these, a set made this way holds the layer of the largest share. "
            f"This one compares layers within each of {_sampled(profile)}, which tells them apart even where their own "
            "intervals overlap."
        )
        return Answer(question, alone, tuple(filter(None, (text, value))))
    if value:
        return Answer(question, "Its place was not tested", (value,))
    reason = "the profile is a published one, without its documents" if prompts is None else ""
    reason = (found.no_interval if found else "") or reason or "the run kept nothing of single documents"
    return Answer(question, NOT_KNOWN, (sentence(f"there is no interval: {short(reason, 200)}"),))


def _sampled(profile: Profile) -> str:
    return units(profile, profile.prompts.units or profile.prompts.documents) if profile.prompts else "the documents"


def _rest(profile: Profile, verdicts: Sequence[Verdict], stream: str, peak: Peak) -> list[Answer]:
    whose_doing, shape = whose(profile, stream, peak), _shape(profile, verdicts)
    return [Answer("Is it one token's doing?", *whose_doing), Answer("Is there a single peak?", *shape)]


def _shape(profile: Profile, verdicts: Sequence[Verdict]) -> tuple[str, tuple[str, ...]]:
    """Return whether the profile is a bell by the tests over documents, else by the notebooks' rule."""
    about = [v for v in verdicts if (v.hypothesis, v.subject) == ("bell-curve", profile.model.name)]
    tested = {v.tokens: v for v in about if v.criterion == "rigorous" and v.outcome != "not_testable"}
    if tested:
        said = [f"{tokens.capitalize()} tokens: {v.outcome}; {_first_part(v)}." for tokens, v in tested.items()]
        words = {_SHAPES[v.outcome] for v in tested.values()}
        return words.pop() if len(words) == 1 else _by_tokens(tested), tuple(said)
    paper = next((v for v in about if v.criterion == "paper"), None)
    if paper is None or paper.outcome not in {"supported", "refuted"}:
        return "Not tested", ("No test of it was asked for, or none could be made.",)
    rate = paper.false_positive_rate
    often = (f"Noise without structure passes that rule in {percent(rate)} of cases.",) if rate is not None else ()
    return f"{_SHAPES[paper.outcome]}, by a weak rule", (f"The notebooks' rule: {_first_part(paper)}.", *often)


def _first_part(verdict: Verdict) -> str:
    return short(verdict.because.partition(";")[0], 300)


def _by_tokens(tested: Mapping[str, Verdict]) -> str:
    return "; ".join(f"{tokens} tokens: {_SHAPES[v.outcome].lower()}" for tokens, v in tested.items())


def _with_interval(found: Curve | None, layer: int, word: str = "") -> str:
    value = found.at(layer) if found else None
    if found is None or value is None:
        return ""
    i = found.layers.index(layer)
    ends = (found.low[i], found.high[i]) if found.low and found.high else (None, None)
    return number(value) + (f" ({word}{number(ends[0])} to {number(ends[1])})" if None not in ends else "")


def _stream(stream: str) -> str:
    names = {"residual": "residual stream", "normed": "states after each norm", PAPER: "published states"}
    return names.get(stream, f"stream {short(stream)}")
