"""Passages of chosen lengths, drawn from chapters by a seeded choice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aniso_twins.texts import Chapter

SHORTEST, LONGEST = 64, 256
"""Bounds of a passage's length in words."""
# A second passage from one stretch must fit its length better by this many words.
REUSE_PENALTY = 12
# A prompt set that people will print and show goes without the worst word of its century.
UNFIT = re.compile(r"(?i)nigger")


@dataclass(frozen=True)
class Source:
    """Chapters of one author, with the number of passages to take from them."""

    stem: str
    kind: str
    share: int
    chapters: list[Chapter]


@dataclass(frozen=True)
class Passage:
    """One line of the prompt set."""

    id: str
    text: str
    author: str
    title: str
    kind: str
    year: int


@dataclass(frozen=True)
class Span:
    """Neighbouring paragraphs `start` to `stop` of one chapter."""

    chapter: int
    start: int
    stop: int
    words: int

    def overlaps(self, other: Span) -> bool:
        """Tell whether both spans hold a paragraph in common."""
        return self.chapter == other.chapter and self.start < other.stop and other.start < self.stop


def choose(source: Source, rng: np.random.Generator) -> Iterator[Passage]:
    """Choose passages whose lengths spread evenly over the allowed range.

    The range of lengths is cut into as many strata as passages are wanted; one
    length is drawn in each, and the free span nearest to it is taken.
    """
    strata = (np.arange(source.share) + rng.random(source.share)) / source.share
    lengths = rng.permutation(SHORTEST + strata * (LONGEST - SHORTEST))
    candidates = list(_spans(source.chapters))
    # Spans of equal length are taken in no order of the book.
    rng.shuffle(candidates)
    chosen: list[Span] = []
    for length in lengths:
        used = [span.chapter for span in chosen]
        best = min(candidates, key=lambda s: abs(s.words - length) + REUSE_PENALTY * used.count(s.chapter))
        candidates = [span for span in candidates if not span.overlaps(best)]
        chosen.append(best)
    for number, span in enumerate(sorted(chosen, key=lambda s: (s.chapter, s.start)), start=1):
        chapter = source.chapters[span.chapter]
        yield Passage(
            id=f"{source.stem}-{number:03d}",
            text=_text(chapter, span),
            author=chapter.author,
            title=chapter.title,
            kind=source.kind,
            year=chapter.year,
        )


def _spans(chapters: list[Chapter]) -> Iterator[Span]:
    for number, chapter in enumerate(chapters):
        words = np.cumsum([0, *(len(paragraph.split()) for paragraph in chapter.paragraphs)])
        for start in range(len(chapter.paragraphs)):
            for stop in range(start + 1, len(words)):
                span = Span(number, start, stop, int(words[stop] - words[start]))
                if span.words > LONGEST:
                    break
                if span.words >= SHORTEST and is_fit(_text(chapter, span)):
                    yield span


def _text(chapter: Chapter, span: Span) -> str:
    return " ".join(chapter.paragraphs[span.start : span.stop])


def is_fit(text: str) -> bool:
    """Tell whether a text is a passage of whole sentences, within the lengths, on one line."""
    whole = re.match(r"[\"']?[A-Z]", text) and re.search(r"[.!?][\"')]*$", text)
    plain = " ".join(text.split()) == text and not re.search(r"[<>\[\]{}|_*\ufffd]", text)
    closed = text.count('"') % 2 == 0
    return bool(whole and plain and closed and SHORTEST <= len(text.split()) <= LONGEST and not UNFIT.search(text))
