"""Names of models as reports show them and as files carry them."""

from collections.abc import Sequence

from aniso_core.records import Profile
from aniso_core.text import short, slug


def labels(profiles: Sequence[Profile], width: int = 60) -> list[str]:
    """Return a short name for each profile; those of one name are numbered from the second on."""
    return _distinct([short(profile.model.name, width) for profile in profiles], " ({})")


def stems(profiles: Sequence[Profile]) -> list[str]:
    """Return the beginning of each profile's file names, distinct for each."""
    return _distinct([slug(profile.model.name) for profile in profiles], "-{}")


def _distinct(names: Sequence[str], ending: str) -> list[str]:
    given: list[str] = []
    for name in names:
        choices = (name + ending.format(k) if k > 1 else name for k in range(1, len(names) + len(given) + 2))
        given.append(next(choice for choice in choices if choice not in {*given, *(set(names) - {name})}))
    return given
