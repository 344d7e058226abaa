"""Names of models as reports show them and as files carry them."""

import re
from collections.abc import Sequence

from aniso_core.records import Profile
from aniso_core.text import short, slug


def labels(profiles: Sequence[Profile], width: int = 60) -> list[str]:
    """Return a short name for each profile; those of one name are numbered from the second on."""
    return _distinct([short(profile.model.name, width) for profile in profiles], " ({})")


def stems(profiles: Sequence[Profile]) -> list[str]:
    """Return the beginning of each profile's file names, distinct for each."""
    return _distinct([slug(profile.model.name) for profile in profiles], "-{}")


def order(labels: Sequence[str]) -> list[int]:
    """Return the models in the order of their checkpoints, where all are checkpoints; else as they were given."""
    numbers = range(len(labels))
    if not are_checkpoints(labels):
        return list(numbers)
    return sorted(numbers, key=lambda i: (family(labels[i]), step(labels[i]) or 0))


def are_checkpoints(labels: Sequence[str]) -> bool:
    """Return whether several models are checkpoints all of them."""
    return len(labels) > 1 and None not in {step(label) for label in labels}


def step(label: str) -> int | None:
    """Return the number of a checkpoint, as in `ORG/NAME@step512`; None where a name has none."""
    found = re.search(r"@\D*(\d{1,12})\b", label)
    return int(found[1]) if found else None


def family(label: str) -> str:
    """Return the name of a model without its revision."""
    return label.partition("@")[0]


def _distinct(names: Sequence[str], ending: str) -> list[str]:
    given: list[str] = []
    for name in names:
        choices = (name + ending.format(k) if k > 1 else name for k in range(1, len(names) + len(given) + 2))
        given.append(next(choice for choice in choices if choice not in {*given, *(set(names) - {name})}))
    return given
