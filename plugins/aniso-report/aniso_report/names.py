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
    """Return a short name for each profile; profiles of one model are numbered from the second on."""
    return [
        f"{short(p.model.name, width)} ({k})" if k > 1 else short(p.model.name, width) for p, k in _counted(profiles)
    ]


def stems(profiles: Sequence[Profile]) -> list[str]:
    """Return the beginning of each profile's file names, distinct for each."""
    return [f"{_stem(p.model.name)}-{k}" if k > 1 else _stem(p.model.name) for p, k in _counted(profiles)]


def _counted(profiles: Sequence[Profile]) -> list[tuple[Profile, int]]:
    seen: dict[str, int] = {}
    counted = []
    for profile in profiles:
        seen[profile.model.name] = seen.get(profile.model.name, 0) + 1
        counted.append((profile, seen[profile.model.name]))
    return counted


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
