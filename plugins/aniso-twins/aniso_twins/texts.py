"""Public-domain prose read out of ordinary distribution packages.

Each reader takes the folder that :func:`fetch` filled and returns chapters.
"""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from aniso_core.errors import AnisoError
from aniso_core.text import visible
from aniso_twins import r_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAINING_PACKAGES = ("r-cran-janeaustenr", "bible-kjv-text")

AUSTEN_TITLES = {
    "sensesensibility": ("Sense and Sensibility", 1811),
    "prideprejudice": ("Pride and Prejudice", 1813),
    "mansfieldpark": ("Mansfield Park", 1814),
    "emma": ("Emma", 1815),
    "northangerabbey": ("Northanger Abbey", 1817),
    "persuasion": ("Persuasion", 1817),
}
VERSES_PER_PARAGRAPH = 6
PARAGRAPHS_PER_CHAPTER = 20


@dataclass(frozen=True)
class Chapter:
    """A stretch of neighbouring paragraphs of one book, white space normalised."""

    title: str
    author: str
    year: int
    paragraphs: tuple[str, ...]


def fetch(folder: Path, debian: tuple[str, ...], npm: tuple[str, ...] = ()) -> None:
    """Download into `folder` the packages that are not there yet, and unpack them.

    Debian packages are given by name, npm packages as `name@version`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in debian:
        if not any(folder.glob(f"{name}_*.deb")):
            _run("apt-get", "download", name, cwd=folder)
        _run("dpkg-deb", "-x", next(folder.glob(f"{name}_*.deb")).name, name, cwd=folder)
    for specification in npm:
        stem = npm_stem(specification)
        if not (folder / f"{stem}.tgz").exists():
            _run("npm", "pack", specification, cwd=folder)
        (folder / stem).mkdir(exist_ok=True)
        _run("tar", "-xzf", f"{stem}.tgz", "-C", stem, cwd=folder)


def npm_stem(specification: str) -> str:
    """Return the file name, without suffix, that npm gives to a packed `name@version`."""
    name, _, version = specification.rpartition("@")
    return f"{name.lstrip('@').replace('/', '-')}-{version}"


def austen(folder: Path) -> list[Chapter]:
    """Read the six novels of Jane Austen, in the order of their publication."""
    data = folder / "r-cran-janeaustenr/usr/lib/R/site-library/janeaustenr/data"
    novels = r_data.read_database(data / "Rdata.rdx", data / "Rdata.rdb")
    return [
        Chapter(title, "Jane Austen", year, paragraphs)
        for name, (title, year) in AUSTEN_TITLES.items()
        for paragraphs in _novel_chapters(novels[name])
    ]


def king_james(folder: Path) -> list[Chapter]:
    """Read the King James Bible, one paragraph for every six verses of a chapter."""
    raw = (folder / "bible-kjv-text/usr/lib/bible.data").read_bytes()
    verses_of: dict[str, list[str]] = {}
    for line in _decompress_windows(raw).splitlines():
        # A line is "Ge1:1 In the beginning ...".
        match = re.match(r"(\w+):\d+\s+(.*)", line)
        if match:
            verses_of.setdefault(match[1], []).append(_clean_verse(match[2]))
    return [
        Chapter("The King James Bible", "King James translators", 1611, _join_verses(verses))
        for verses in verses_of.values()
    ]


def plain(path: Path) -> list[Chapter]:
    """Read a text file whose paragraphs stand apart by blank lines, a chapter for every twenty."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"Wanted text in UTF-8, got other bytes in {visible(path)} ({error.reason}); convert it."
        raise AnisoError(message) from error
    paragraphs = [p for p in map(normalise, re.split(r"\n\s*\n", text)) if p]
    starts = range(0, len(paragraphs), PARAGRAPHS_PER_CHAPTER)
    return [Chapter(path.stem, "", 0, tuple(paragraphs[start : start + PARAGRAPHS_PER_CHAPTER])) for start in starts]


def normalise(paragraph: str) -> str:
    """Return `paragraph` on one line, without the underscores that mark emphasis."""
    return " ".join(paragraph.replace("_", "").split())


def _novel_chapters(lines: list[str]) -> Iterator[tuple[str, ...]]:
    text = "\n".join(line.rstrip() for line in lines)
    # What stands before the first heading is the title page.
    for chapter in re.split(r"(?im)^ *chapter (?:\d+|[ivxl]+)\.?$", text)[1:]:
        paragraphs = map(normalise, re.split(r"\n\s*\n", chapter))
        kept = tuple(paragraph for paragraph in paragraphs if _is_prose(paragraph))
        if kept:
            yield kept


def _is_prose(paragraph: str) -> bool:
    return not re.fullmatch(r"|FINIS|THE END|(?i:volume \w+)", paragraph)


def _decompress_windows(raw: bytes) -> str:
    """Decompress a text store made of one `compress` (.Z) body per 64 KiB of text."""
    magic = b"\x1f\x9d\x90"
    count = struct.unpack_from(">I", raw, 0x58)[0]
    starts = struct.unpack_from(f">{count + 1}I", raw, 0x5C)
    windows = []
    for start, stop in pairwise(starts):
        # The standard library has no LZW; gzip reads .Z streams.
        command = ["gzip", "-dc"]
        done = subprocess.run(command, input=magic + raw[start:stop], capture_output=True, check=True)
        windows.append(done.stdout)
    return b"".join(windows).decode("ascii")


def _clean_verse(verse: str) -> str:
    # A psalm's title stands in double angle brackets, supplied words in square ones.
    without_title = re.sub(r"<<.*?>>", "", verse)
    return normalise(re.sub(r"[\[\]{}]", "", without_title))


def _join_verses(verses: list[str]) -> tuple[str, ...]:
    starts = range(0, len(verses), VERSES_PER_PARAGRAPH)
    return tuple(" ".join(verses[start : start + VERSES_PER_PARAGRAPH]) for start in starts)


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
