"""Licence text of library128, with the version of each package it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from library_sources import ADDRESSES, MOBY_DICK

from aniso_twins.texts import TRAINING_PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

    from library_passages import Passage

OTHER_PACKAGES = ("dict-devil", "golang-1.19-src", "golang-github-golang-snappy-dev")
DEBIAN, NPM = (*TRAINING_PACKAGES, *OTHER_PACKAGES), (MOBY_DICK, ADDRESSES)


@dataclass(frozen=True)
class Origin:
    """Where a book was read, and why it may be shared."""

    package: str
    reason: str


NOVELS = Origin("r-cran-janeaustenr", "published before 1929")
ORIGINS = {
    "Moby-Dick": Origin(MOBY_DICK, "published before 1929"),
    "The Adventures of Tom Sawyer": Origin("golang-github-golang-snappy-dev", "published before 1929"),
    "The King James Bible": Origin(
        "bible-kjv-text", "published before 1929; in the United Kingdom under letters patent of the Crown"
    ),
    "Opticks": Origin("golang-1.19-src", "published before 1929"),
    "The Devil's Dictionary": Origin("dict-devil", "published before 1929"),
    "State of the Union address": Origin(ADDRESSES, "work of the United States Government (17 U.S.C. 105)"),
}

HEAD = """# Licence of library128

`library128.jsonl` holds 128 passages of English prose. Every text is in the
public domain in the United States, for the reason given beside it. No right is
claimed in their selection: it is dedicated to the public domain under CC0 1.0.

White space was normalised and marks of emphasis were removed; a State of the
Union address is quoted in runs of whole sentences, every other book in runs of
whole paragraphs, dictionary entries or groups of verses. The passages of Jane
Austen and of the King James Bible come from chapters that the tiny trained pair
of models did not see. `scripts/make_library128.py` makes the set again.

| passages | author | title | year | kind | package | public domain because |
|---:|---|---|---|---|---|---|
"""


def write_licence(path: Path, cache: Path, passages: list[Passage]) -> None:
    """Write one line for each book, in the order of the set."""
    books: dict[tuple[str, str], list[Passage]] = {}
    for passage in passages:
        books.setdefault((passage.author, passage.title), []).append(passage)
    rows = [_row(cache, *book, members) for book, members in books.items()]
    path.write_text(HEAD + "".join(rows), encoding="utf-8")


def _row(cache: Path, author: str, title: str, passages: list[Passage]) -> str:
    origin = ORIGINS.get(title, NOVELS)
    years = sorted({passage.year for passage in passages})
    span = ", ".join(map(str, years))
    return (
        f"| {len(passages)} | {author} | {title} | {span} | {passages[0].kind} "
        f"| {_versioned(cache, origin.package)} | {origin.reason} |\n"
    )


def _versioned(cache: Path, package: str) -> str:
    if package in NPM:
        return f"npm `{package}`"
    # A Debian package is named name_version_architecture.deb.
    version = next(cache.glob(f"{package}_*.deb")).name.split("_")[1]
    return f"Debian `{package}` {version}"
