"""What makes the numbers of two profiles comparable: what forbids it, and what merely weakens it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from aniso_core.records import PAPER, Profile, PromptsInfo
from aniso_core.text import short

Views = set[tuple[str, str, str]]

MOST_PAIRS = 66
"""Pairs of models that claims are tested on one by one, those of twelve models: of more, chance decides too many."""


@dataclass(frozen=True)
class Comparison:
    """Whether the numbers of two profiles may be compared.

    Both hold the value of the first profile, then that of the second; neither begins with a capital or has a stop.
    """

    refused: str = ""
    """One sentence on why they may not; empty where they may."""
    notes: tuple[str, ...] = ()
    """What weakens it, each a few words."""


def differences(a: Profile, b: Profile) -> Comparison:
    """Return what a comparison of two profiles must know; depth is no part of it, since layers have relative depths."""
    return _compared(a, b, _views(a), _views(b))


def pairwise(profiles: Sequence[Profile]) -> Iterator[tuple[Profile, Profile, Comparison]]:
    """Yield every two profiles with their `differences`."""
    views = [(profile, _views(profile)) for profile in profiles]  # once for each, as pairs of hundreds are many
    for (a, mine), (b, theirs) in combinations(views, 2):
        yield a, b, _compared(a, b, mine, theirs)


def too_many(pairs: int) -> str:
    """Return why so many pairs are not tested one by one."""
    return (
        f"{pairs:,} pairs of models are more than the {MOST_PAIRS} that are tested one by one, as chance alone would "
        "decide many of them; give `aniso compare` the models that you mean"
    )


def _compared(a: Profile, b: Profile, mine: Views, theirs: Views) -> Comparison:
    refused = next(_refusals(a, b, mine, theirs), "")
    return Comparison(refused) if refused else Comparison(notes=tuple(_notes(a, b)))


def _refusals(a: Profile, b: Profile, mine: Views, theirs: Views) -> Iterator[str]:
    if _is_same_run(a, b):
        yield "a run cannot be compared with itself"
    if a.prompts and b.prompts and a.prompts.sha256 != b.prompts.sha256:
        texts = f"{_text(a.prompts)} against {_text(b.prompts)}"
        yield f"they measured different texts, {texts}, which alone changes a profile; measure both on one text"
    for number, part in enumerate(("metric", "stream", "token set")):
        first, second = ({view[number] for view in views} for views in (mine, theirs))
        if not first & second:
            held = " against ".join(short(", ".join(sorted(names)) or "none") for names in (first, second))
            yield f"they have no {part} in common, {held}; measure both alike"
    if not mine & theirs:
        yield "no metric is on the same stream and token set of both; measure both alike"


def _is_same_run(a: Profile, b: Profile) -> bool:
    """Return whether one measurement is there twice, under whatever name."""
    # When it started and how many milliseconds it took tell one measurement of a model from every other; small ones in
    # memory, whose weights have no checksum, are measured several in a second.
    one, other = ((p.provenance, p.prompts, replace(p.model, name="")) for p in (a, b))
    if a.provenance.started and one == other:
        return True
    return replace(a, model=replace(a.model, name=b.model.name)) == b


def _views(profile: Profile) -> Views:
    """Return metric, stream and token set of each curve, the composed view `paper` among them.

    A curve of one layer is left out: the final norm's output comes along even where stream `normed` was not asked for.
    """
    held = {(c.metric, c.stream, c.tokens): c.layers for c in profile.curves}
    found = {view for view, layers in held.items() if len(layers) > 1}
    last = profile.model.layers
    return found | {
        (metric, PAPER, tokens)
        for metric, stream, tokens in found
        if stream == "residual"
        and set(range(last)) <= set(held[metric, stream, tokens])
        and last in {*held[metric, stream, tokens], *held.get((metric, "normed", tokens), ())}
    }


def _notes(a: Profile, b: Profile) -> Iterator[str]:
    for profile in (a, b):
        if profile.prompts is None:
            yield f"{short(profile.model.name)} has no documents, so only the notebooks' criterion applies"
    if a.prompts and b.prompts:
        yield from _text_notes(a.prompts, b.prompts)
        yield from _size_note(a, b)
    yield from _pair("dtype", a.model.dtype, b.model.dtype)
    # What follows the kernels' name is what a probe measured, which differs from run to run.
    yield from _pair("kernels", *(profile.provenance.kernels.partition(" ")[0] for profile in (a, b)))
    yield from _named("versions", a.provenance.versions, b.provenance.versions)
    yield from _named("plugins of metrics", a.provenance.plugins, b.provenance.plugins)


def _text_notes(a: PromptsInfo, b: PromptsInfo) -> Iterator[str]:
    # `auto` and `add` may do the same, so what was done is compared and not the rule.
    yield from _pair("special tokens", *(prompts.bos_done.removeprefix(f"{prompts.bos_rule}: ") for prompts in (a, b)))
    if a.windows > a.documents or b.windows > b.documents:  # a limit that no document reached changes nothing
        yield from _pair("longest window", a.max_length, b.max_length)
    if a.units != b.units:
        yield f"units of uncertainty: {a.units} against {b.units}"


def _size_note(a: Profile, b: Profile) -> Iterator[str]:
    """Yield how many tokens there are in which width where ranks end at the number of tokens, not of both alike."""
    sizes = [(p.prompts.tokens, p.model.width) for p in (a, b) if p.prompts]
    if sizes[0] != sizes[1] and any(tokens <= width for tokens, width in sizes):
        told = " against ".join(f"{tokens:,} in {width:,} dimensions" for tokens, width in sizes)
        yield f"too few tokens to compare effective ranks: {told}"


def _pair(what: str, first: object, second: object) -> Iterator[str]:
    if first and second and first != second:
        yield f"{what}: {short(first)} against {short(second)}"


def _named(what: str, mine: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    """Yield in one note what both name and give differently."""
    differ = [
        f"{short(name)} {short(mine[name])} against {short(theirs[name])}"
        for name in mine
        if name in theirs and mine[name] != theirs[name]
    ]
    if differ:
        yield f"{what}: {', '.join(differ)}"


def _text(prompts: PromptsInfo) -> str:
    return f"{short(prompts.name)} ({prompts.documents:,} document{'s' * (prompts.documents != 1)})"
