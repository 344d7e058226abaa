"""Preregistration: claims fixed in a file before the model is measured, with a hash that tells of any change."""

import dataclasses
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from aniso_core import store
from aniso_core.contracts import Hypothesis
from aniso_core.errors import AnisoError
from aniso_core.records import FORMAT, PAPER, STREAMS, Profile
from aniso_core.text import nearest_first, short, visible
from aniso_core.tokens import TOKEN_SETS


@dataclass(frozen=True)
class Preregistration:
    """A claim as it was fixed beforehand.

    `models` are names as a run records them, NAME or NAME@REVISION; `prompts_sha256` is that of the texts in order.
    `sesoi` names the smallest effects of interest (as delta, eps, eta) in the unit of the metric; `alpha` is between 0
    and 1, `breaks` are two relative depths. `subject` is that of the verdict, empty for any: a hypothesis may judge
    each two models as well as "the norm in twins". `claim`, `statistic`, `direction`, `draws`, `exclusions` and
    `exploratory_ok` (whether exploratory results will be told as well) are for readers; the rest decides which verdicts
    are confirmatory.
    """

    id: str
    claim: str
    hypothesis: str
    models: tuple[str, ...]
    prompts_sha256: str
    tokens: str
    stream: str
    metric: str
    statistic: str
    direction: str
    sesoi: Mapping[str, float]
    alpha: float
    draws: int
    seed: int
    documents_planned: int
    family: str
    subject: str = ""
    breaks: tuple[float, ...] = ()
    exclusions: tuple[str, ...] = ()
    exploratory_ok: bool = False


@dataclass(frozen=True)
class Registered:
    """The content of a `.prereg.json`: claims, the SHA-256 of their canonical form, time (ISO 8601, UTC), version."""

    claims: tuple[Preregistration, ...]
    sha256: str
    registered: str
    aniso: str
    format: int = FORMAT


def canonical(claims: Sequence[Preregistration]) -> bytes:
    """Return claims as JSON, UTF-8: keys sorted, no spaces, each float as Python's repr writes it.

    An empty subject is left out, as claims were hashed before they could name one.
    """
    plain = [dataclasses.asdict(claim) for claim in claims]
    plain = [{key: value for key, value in claim.items() if key != "subject" or value} for claim in plain]
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def register(path: Path, time: datetime, version: str) -> Registered:
    """Return the claims of a TOML file as registered at `time`; raises AnisoError, one sentence, for what is wrong."""
    try:
        content = tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"{visible(path)} is no TOML ({visible(error)}); correct the file."
        raise AnisoError(message) from error
    if set(content) != {"claim"}:
        got = ", ".join(content) or "nothing"
        message = f"{visible(path)}: wanted tables [[claim]] and nothing else, got {short(got)}; correct the file."
        raise AnisoError(message)
    claims = _claims(content["claim"], path)
    return Registered(claims, _sha256(claims), time.isoformat(timespec="seconds"), version)


def require_testable(registered: Registered, hypotheses: Mapping[str, Hypothesis], path: Path) -> None:
    """Raise AnisoError where a claim names what the test of its hypothesis, by name, does not go by."""
    for number, claim in enumerate(registered.claims, start=1):
        hypothesis = hypotheses[claim.hypothesis]
        for what, given, known in (
            ("metric", claim.metric, (hypothesis.metric,) if hypothesis.metric else ()),
            ("stream", claim.stream, hypothesis.streams),
            ("token set", claim.tokens, hypothesis.tokens),
        ):
            if known and given not in known:
                message = (
                    f"{visible(path)}, claim {number}: {claim.hypothesis} tests the {what} {' or '.join(known)}, and "
                    f"the claim has {short(given)}; correct the file."
                )
                raise AnisoError(message)
        sizes = hypothesis.sizes
        fits = claim.sesoi.keys() == sizes.keys() and all(math.isclose(claim.sesoi[k], sizes[k]) for k in sizes)
        if sizes and not fits:
            wanted, got = (", ".join(f"{k} = {v:.6g}" for k, v in given.items()) for given in (sizes, claim.sesoi))
            message = (
                f"{visible(path)}, claim {number}: {claim.hypothesis} tests with sesoi {wanted}, and the claim has "
                f"{short(got) or 'none'}; correct the file."
            )
            raise AnisoError(message)


def save(path: Path, registered: Registered) -> None:
    """Write a preregistration, whole or not at all; raises AnisoError where there is a file already."""
    if path.exists():
        message = f"{visible(path)} exists already and is not replaced; name another file with --out."
        raise AnisoError(message)
    store.write_file(path, store.encode(registered))


def read(path: Path) -> Registered:
    """Return a preregistration; raises AnisoError where the file is none or its claims were changed."""
    try:
        content = json.loads(_text(path))
        version = content["format"]
        if isinstance(version, int) and version > FORMAT:
            message = f"{visible(path)} has format {version} and this aniso reads up to {FORMAT}; upgrade aniso."
            raise AnisoError(message)
        claims = _claims(content["claims"], path)
        registered = msgspec.convert(content | {"claims": claims}, Registered)
        moment(registered.registered)
        found = _sha256(claims)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else short(error)
        todo = (
            "run `aniso preregister` on it" if path.suffix == ".toml" else "give a file that `aniso preregister` wrote"
        )
        message = f"{visible(path)} is no preregistration ({found}); {todo}."
        raise AnisoError(message) from error
    if found != registered.sha256:
        message = (
            f"{visible(path)} was changed: the SHA-256 of its claims is {found[:12]} and "
            f"{visible(registered.sha256[:12])} was registered; restore the file, or register the claims anew."
        )
        raise AnisoError(message)
    return registered


def noted(profile: Profile, registered: Registered | None) -> Profile:
    """Return a profile with what was preregistered for it in its provenance."""
    if registered is None:
        return profile
    made = dataclasses.replace(profile.provenance, prereg=registered.sha256, preregistered=registered.registered)
    return dataclasses.replace(profile, provenance=made)


def moment(text: str) -> datetime:
    """Return a time of ISO 8601 with its zone; raises ValueError where it is none."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        message = f"the time {visible(text)} has no zone"
        raise ValueError(message)
    return time


def _sha256(claims: Sequence[Preregistration]) -> str:
    return hashlib.sha256(canonical(claims)).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{visible(path)} cannot be read ({visible(error.strerror or error)}); name another file."
        raise AnisoError(message) from error
    except UnicodeDecodeError as error:
        message = f"{visible(path)} is not in UTF-8 ({visible(error)}); save it as UTF-8."
        raise AnisoError(message) from error


def _claims(tables: Any, path: Path) -> tuple[Preregistration, ...]:
    """Return tables as claims; raises AnisoError for the first that is wrong."""
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        message = f"{visible(path)}: wanted one table [[claim]] for each claim, got something else; correct the file."
        raise AnisoError(message)
    claims: list[Preregistration] = []
    for number, table in enumerate(tables, start=1):
        fault = next(_wrong_keys(table), None)
        if fault is None:
            try:
                claim = msgspec.convert(table, Preregistration)
            except msgspec.ValidationError as error:
                fault = re.sub(r" - at `\$\.?(.*)`$", r" for \1", str(error))
            else:
                fault = next(chain(_wrong_names(claim, {other.id for other in claims}), _wrong_numbers(claim)), None)
                claims.append(claim)
        if fault is not None:
            message = f"{visible(path)}, claim {number}: {visible(fault)}; correct the file."
            raise AnisoError(message)
    return tuple(claims)


def _wrong_keys(table: Mapping[str, Any]) -> Iterator[str]:
    fields = dataclasses.fields(Preregistration)
    names = [field.name for field in fields]
    for key in table:
        if key not in names:
            yield f"there is no key {short(key)!r}; the keys are {', '.join(nearest_first(key, names))}"
    for field in fields:
        if field.name not in table and field.default is dataclasses.MISSING:
            yield f"wanted the key {field.name!r}, and it is missing"


def _wrong_names(claim: Preregistration, taken: set[str]) -> Iterator[str]:
    for name in ("id", "claim", "hypothesis", "metric", "family"):
        if not getattr(claim, name).strip():
            yield f"wanted a text for {name}, got a blank one"
    if claim.id in taken:
        yield f"wanted another id for each claim, got {short(claim.id)!r} twice"
    for name, given, known in (("token set", claim.tokens, TOKEN_SETS), ("stream", claim.stream, (*STREAMS, PAPER))):
        if given not in known:
            yield f"there is no {name} {short(given)!r}; the {name}s are {', '.join(nearest_first(given, known))}"
    if not claim.models or not all(re.fullmatch(r"\S(.*[^\s@])?", model) for model in claim.models):
        yield f"wanted models as NAME or NAME@REVISION, got {short(list(claim.models))}"
    if not re.fullmatch("[0-9a-f]{64}", claim.prompts_sha256):
        yield f"wanted 64 digits 0-9 and a-f (lower case) for prompts_sha256, got {short(claim.prompts_sha256)!r}"


def _wrong_numbers(claim: Preregistration) -> Iterator[str]:
    if not 0 < claim.alpha < 1:
        yield f"wanted alpha between 0 and 1, got {claim.alpha}"
    for name, count, least in (
        ("draws", claim.draws, 1),
        ("seed", claim.seed, 0),
        ("documents_planned", claim.documents_planned, 1),
    ):
        if count < least:
            yield f"wanted {name} of {least} or more, got {count}"
    for name, size in claim.sesoi.items():
        if not math.isfinite(size):
            yield f"wanted a number for sesoi {short(name)}, got {size}"
    if claim.breaks and not (len(claim.breaks) == 2 and 0 < claim.breaks[0] < claim.breaks[1] < 1):  # noqa: PLR2004
        yield f"wanted two breaks a and b with 0 < a < b < 1, got {short(list(claim.breaks))}"
