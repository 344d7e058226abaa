"""Example profiles, whole and with parts missing, as plugins may meet them."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from aniso_core.records import PAPER, STREAMS, Array, Curve, Missing, Profile, PseudoValues
from aniso_core.testing.profiles import example_profile
from aniso_core.tokens import TOKEN_SETS


def examples() -> Iterator[tuple[str, list[Profile]]]:
    """Yield whole profiles, one and two at a time, each with the words that a fault on it names them by."""
    one, other = example_profile("one"), example_profile("other", norm="layernorm", layers=5)
    yield "an example profile", [one]
    yield "two example profiles", [one, other]


def incomplete() -> Iterator[tuple[str, Profile]]:
    """Yield profiles with parts missing, each with the words that a fault on it names it by."""
    whole = example_profile("one")
    yield "a profile without anything of single documents", without_documents(whole)
    for stream in STREAMS:
        yield f"a profile of the stream {stream} alone", _of(whole, [c for c in whole.curves if c.stream == stream])
    for tokens in TOKEN_SETS:
        yield f"a profile of the token set {tokens} alone", _of(whole, [c for c in whole.curves if c.tokens == tokens])
    names = sorted({curve.metric for curve in whole.curves})
    for half in (names[::2], names[1::2]):
        yield "a profile without half of the metrics", _of(whole, [c for c in whole.curves if c.metric in half])
    yield "a profile with gaps", with_gaps(whole, {0, whole.model.layers // 2})
    yield "a profile of nothing but gaps", with_gaps(whole, range(whole.model.layers + 1))
    yield "a profile without curves", _of(whole, [])
    yield "a profile of two blocks", example_profile("one", layers=2)
    yield "a profile of one document", example_profile("one", documents=1)
    yield "a profile of three documents", example_profile("one", documents=3)
    yield "a published profile", published(whole)


def without_documents(profile: Profile) -> Profile:
    """Return a profile as it is measured without intervals."""
    bare = tuple(replace(curve, low=(), high=(), corrected=(), se=()) for curve in profile.curves)
    prompts = profile.prompts and replace(profile.prompts, units=0)
    return replace(profile, curves=bare, pseudo=(), prompts=prompts)


def with_gaps(profile: Profile, layers: Collection[int]) -> Profile:
    """Return a profile as if no metric had a value at some layers."""
    curves = tuple(_gappy(curve, layers) for curve in profile.curves)
    pseudo = tuple(replace(found, values=_blank(found, layers)) for found in profile.pseudo)
    return replace(profile, curves=curves, pseudo=tuple(p for p in pseudo if np.isfinite(p.values).any()))


def published(profile: Profile) -> Profile:
    """Return a profile as others publish one: a curve of the view `paper`, and no more."""
    curve = without_documents(profile).curve("top-eigenvalue-share", PAPER)
    return Profile(replace(profile.model, source="published"), (curve,))


def _of(profile: Profile, curves: Collection[Curve]) -> Profile:
    """Return a profile of some of its curves alone."""
    places = {(curve.metric, curve.stream, curve.tokens) for curve in curves}
    return replace(profile, curves=tuple(curves), pseudo=tuple(p for p in profile.pseudo if p.place in places))


def _gappy(curve: Curve, layers: Collection[int]) -> Curve:
    gaps = tuple(Missing(layer, "a gap that the check made") for layer in curve.layers if layer in layers)
    columns: dict[str, Any] = {
        name: tuple(None if at in layers else value for at, value in zip(curve.layers, values, strict=True))
        for name in ("values", "low", "high", "corrected", "se")
        if (values := getattr(curve, name))
    }
    return replace(curve, missing=gaps, **columns)


def _blank(found: PseudoValues, layers: Collection[int]) -> Array:
    values: Array = found.values.copy()
    values[:, [layer in layers for layer in found.layers]] = np.nan
    return values
