"""How to cite: aniso, and whose idea each metric and each claim is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aniso_core.records import About, Profile
from aniso_core.text import short

_ARXIV = re.compile(r"(?<![\d.])(\d{4}\.\d{4,5})(?![\d.])")


@dataclass(frozen=True)
class Source:
    """A source, the metrics and claims that go by it, and its pieces: text and numbers of arXiv, in turn."""

    names: tuple[str, ...]
    pieces: tuple[str, ...]


def sources(about: Sequence[About]) -> list[Source]:
    """Return each source once; odd pieces are numbers of arXiv, which the page makes links of."""
    found: dict[str, list[str]] = {}
    for one in about:
        if one.source:
            found.setdefault(short(one.source, 300), []).append(short(one.name))
    return [Source(tuple(names), tuple(_ARXIV.split(text))) for text, names in found.items()]


def versions(profiles: Sequence[Profile]) -> list[str]:
    """Return the versions of aniso that measured the profiles."""
    return list(
        dict.fromkeys(short(p.provenance.versions["aniso"]) for p in profiles if "aniso" in p.provenance.versions)
    )
