"""Profiles in words, shared by console and page."""

from collections.abc import Iterable, Iterator, Sequence

from aniso_core.records import PAPER, Failure, Profile, Report
from aniso_core.text import sentence, short
from aniso_report import reading
from aniso_report.reading import RESIDUAL, SHARE

NOTABLE = 0.05
"""Difference of shares (0..1) from which a note is made."""

_NAMED = 3  # models that a sentence names; of more it gives the number
_NORMS = {"layernorm": "LayerNorm", "rmsnorm": "RMSNorm"}
_PLACES = {"pre": "before the sublayers", "post": "after the sublayers"}


def norm(profile: Profile) -> str:
    """Return the kind of norm in words."""
    return _NORMS.get(profile.model.norm or "", "none recognised")


def facts(profile: Profile) -> list[tuple[str, str]]:
    """Return what was measured and how, as pairs of a name and a value; empty values are left out."""
    model, prompts, made = profile.model, profile.prompts, profile.provenance
    text = (
        f"{many(prompts.documents, 'document')}, {many(prompts.tokens, 'token')} ({prompts.name})"
        if prompts
        else "not recorded"
    )
    parameters = f", {model.parameters:,} parameters" if model.parameters else ""
    how = [model.dtype, f"on {model.device}" if model.device else ""]
    where = " ".join(part for part in how if part) + (f", attention {model.attention}" if model.attention else "")
    pairs = [
        ("norm", f"{norm(profile)}, {_PLACES[model.placement]}" if model.norm else norm(profile)),
        ("size", f"{model.layers} layers, d = {model.width:,}{parameters}"),
        ("text", text),
        ("BOS", prompts.bos_done if prompts else ""),
        ("dtype", where),
        ("streams", ", ".join(dict.fromkeys(c.stream for c in profile.curves))),
        ("source", made.source),
    ]
    return [(name, short(value, 200)) for name, value in pairs if value]


def provenance(profile: Profile) -> list[tuple[str, str]]:
    """Return where the numbers come from, in full, as pairs of a name and a value; empty values are left out."""
    model, prompts, made = profile.model, profile.prompts, profile.provenance
    pairs = [
        ("architecture", model.architecture),
        ("weights", model.source),
        ("revision", model.revision),
        ("SHA-256 of the weights", model.weights_sha256),
        ("SHA-256 of the texts", prompts.sha256 if prompts else ""),
        ("longest window", f"{prompts.max_length:,} tokens" if prompts else ""),
        ("seed", str(made.seed) if prompts else ""),
        ("started", made.started),
        ("seconds", f"{made.seconds:.1f}" if made.seconds else ""),
        ("versions", ", ".join(f"{name} {version}" for name, version in made.versions.items())),
    ]
    return [(name, short(value, 300)) for name, value in pairs if value]


def many(number: int, thing: str) -> str:
    """Return a number of things, as in `1 document` and `16 documents`."""
    return f"{number:,} {thing}" + "s" * (number != 1)


def units(profile: Profile, number: int) -> str:
    """Return so many units of uncertainty of a profile, as in `16 documents` and `43 groups of documents`."""
    prompts = profile.prompts
    grouped = prompts is not None and 0 < prompts.units < prompts.documents
    return f"{many(number, 'group')} of documents" if grouped else many(number, "document")


def peaks(profile: Profile, views: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield for each view that exists its name and where its share is largest."""
    for stream, tokens in views:
        peak = reading.peak(profile, stream, tokens)
        if peak is not None:
            where = f"layer {peak.layer} of {profile.model.layers}, relative depth {peak.depth:.2f}"
            yield f"{stream}/{tokens}", f"{where}, share {peak.value:.3f}"


def gathered(labels: Sequence[str], said: Iterable[Iterable[str]]) -> dict[tuple[str, ...], list[str]]:
    """Return what is said of each model by the models that it is said of, each sentence once, those of most first."""
    models: dict[str, list[str]] = {}
    for label, sentences in zip(labels, said, strict=True):
        for each in dict.fromkeys(sentences):
            models.setdefault(each, []).append(label)
    found: dict[tuple[str, ...], list[str]] = {}
    for each, some in models.items():
        found.setdefault(tuple(some), []).append(each)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def whom(models: Sequence[str], count: int) -> str:
    """Return which of `count` models a sentence is about, as in `12 of 22 models (a, b, c, …)`."""
    if len(models) == count > _NAMED:
        return f"all {count} models"
    named = ", ".join(models[:_NAMED])
    return named if len(models) <= _NAMED else f"{len(models)} of {count} models ({named}, …)"


def cautions(profiles: Sequence[Profile], labels: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """Return what a reader must know before believing the numbers, by the models that it holds for."""
    return gathered(labels, map(_cautions, profiles))


def failure(failed: Failure) -> str:
    """Return one sentence about a plugin's part that failed, or a run that was left out."""
    if failed.kind == "run":  # the reason names it
        return sentence(short(f"run left out: {failed.reason}", 400))
    return sentence(f"{failed.kind} {short(failed.name)} ({short(failed.distribution)}): {short(failed.reason, 300)}")


def failures(report: Report, labels: Sequence[str]) -> list[str]:
    """Return what failed, each once; with several models, in which of them a metric did."""
    profiles, count = report.profiles, len(report.profiles)
    if count == 1:
        return [failure(failed) for failed in report.failures]
    measured = {failed for profile in profiles for failed in profile.failures}
    of_models = gathered(labels, (map(failure, profile.failures) for profile in profiles))
    return [
        *(failure(failed) for failed in report.failures if failed not in measured),
        *(f"{whom(models, count)}: {each}" for models, some in of_models.items() for each in some),
    ]


def _cautions(profile: Profile) -> Iterator[str]:
    yield from _first_token_note(profile)
    yield from _final_norm_note(profile)
    prompts, model = profile.prompts, profile.model
    if prompts and prompts.tokens <= model.width:
        yield (
            f"There are no more tokens ({prompts.tokens:,}) than d = {model.width:,}, so no rank can exceed "
            f"{prompts.tokens - 1:,} and effective ranks are lower bounds."
        )
    if prompts and prompts.duplicates:
        yield (
            f"{prompts.duplicates:,} of {prompts.documents:,} documents repeat an earlier one, so there is less text "
            "than it seems."
        )
    if prompts and prompts.windows > prompts.documents:
        yield f"Long documents were split: {prompts.documents:,} documents make {prompts.windows:,} windows."
    for note in model.notes:
        yield sentence(short(note, 300))


def _first_token_note(profile: Profile) -> Iterator[str]:
    whole, bulk = (reading.peak(profile, RESIDUAL, tokens) for tokens in ("all", "bulk"))
    if whole is None or bulk is None:
        return
    change = (
        f"with all tokens the share peaks at layer {whole.layer} ({whole.value:.3f}), "
        f"without first and massive tokens at layer {bulk.layer} ({bulk.value:.3f})."
    )
    if whole.value - bulk.value > NOTABLE:
        yield f"The peak is held by first or massive tokens: {change}"
    elif whole.layer != bulk.layer:
        yield f"L* is held by first or massive tokens: {change}"
    elif bulk.value - whole.value > NOTABLE:
        yield f"First or massive tokens lower the peak: {change}"


def _final_norm_note(profile: Profile) -> Iterator[str]:
    after = reading.after_final_norm(profile, SHARE)
    before = reading.curve(profile, SHARE, RESIDUAL)
    last = before.at(profile.model.layers) if before else None
    if after is None:
        return
    if last is None:
        yield f"The last value of the view {PAPER} ({after:.3f}) lies after the final norm: no part of the curve."
    elif abs(after - last) > NOTABLE:
        yield (
            f"The final norm alone moves the last share of the view {PAPER}: "
            f"{last:.3f} in the residual stream, {after:.3f} after it."
        )
