"""Names of models as reports show them and as files carry them."""

import hashlib
from collections.abc import Sequence

from aniso_core.records import Profile
from aniso_core.text import slug, visible

_LONGEST_STEM = 60  # leaves room for a time and an ending within the 100 characters that every file system takes


def short(text: object, width: int = 60) -> str:
    """Return foreign text on one line, made visible, its middle cut out where it is longer than `width`."""
    # Cut before escaping, too: a text of megabytes must not be escaped character by character to show its ends.
    shown = visible(_cut(str(text), 10 * width))
    return _cut(shown, width)


def labels(profiles: Sequence[Profile], width: int = 60) -> list[str]:
    """Return a short name for each profile; those of one name are numbered from the second on."""
    return _distinct([short(profile.model.name, width) for profile in profiles], " ({})")


def stems(profiles: Sequence[Profile]) -> list[str]:
    """Return the beginning of each profile's file names, distinct for each."""
    return _distinct([_stem(profile.model.name) for profile in profiles], "-{}")


def _distinct(names: Sequence[str], ending: str) -> list[str]:
    given: list[str] = []
    for name in names:
        choices = (name + ending.format(k) if k > 1 else name for k in range(1, len(names) + len(given) + 2))
        given.append(next(choice for choice in choices if choice not in {*given, *(set(names) - {name})}))
    return given


def _stem(name: str) -> str:
    whole = slug(name)
    if len(whole) <= _LONGEST_STEM:
        return whole
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{whole[: _LONGEST_STEM - 9]}-{digest}"


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return f"{text[:head]}...{text[len(text) - (width - 3 - head) :]}"
