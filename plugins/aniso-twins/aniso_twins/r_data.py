"""Reads character vectors out of R lazy-load databases, without R.

The layout is that of the R Internals manual: an index (.rdx) of offsets and
lengths beside a file (.rdb) of zlib streams, both in XDR serialisation.
"""

from __future__ import annotations

import gzip
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathlib import Path

# The header: a format mark of two bytes, then three versions of four bytes each.
HEADER_BYTES = 14

HAS_ATTRIBUTES = 0x200


class Kind(IntEnum):
    """Type numbers of the serialisation."""

    SYMBOL = 1
    PAIR_LIST = 2
    STRING = 9
    LOGICALS = 10
    INTEGERS = 13
    STRINGS = 16
    LIST = 19
    EMPTY = 254
    SYMBOL_AGAIN = 255


class Vector(list[object]):
    """An R vector; `attributes` holds its names."""

    attributes: dict[str, list[str]]


def read_database(index: Path, data: Path) -> dict[str, list[str]]:
    """Read every character vector of the database, by name."""
    table = cast("list[Vector]", _Reader(gzip.decompress(index.read_bytes())).read())
    # The first part of the index says where each variable lies.
    places = cast("list[tuple[int, int]]", table[0])
    blob = data.read_bytes()
    vectors = {}
    for name, (offset, length) in zip(table[0].attributes["names"], places, strict=True):
        # Four bytes of uncompressed length stand before each stream.
        stream = blob[offset + 4 : offset + length]
        vectors[name] = cast("list[str]", _Reader(zlib.decompress(stream)).read())
    return vectors


class _Reader:
    """Reads the few kinds of object that lists of text are made of."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = HEADER_BYTES
        self._symbols: list[str] = []
        # Version 3 names the native encoding after the header.
        self._bytes(self._int())

    def read(self) -> object:
        """Return the next object."""
        flags = self._int()
        value = self._value(flags)
        if isinstance(value, Vector) and flags & HAS_ATTRIBUTES:
            value.attributes = dict(cast("list[tuple[str, list[str]]]", self.read()))
        return value

    def _value(self, flags: int) -> object:
        match flags & 0xFF:
            case Kind.EMPTY:
                return []
            case Kind.SYMBOL_AGAIN:
                return self._symbols[(flags >> 8) - 1]
            case Kind.SYMBOL:
                self._symbols.append(str(self.read()))
                return self._symbols[-1]
            case Kind.PAIR_LIST:
                tag, head = self.read(), self.read()
                return [(tag, head), *cast("list[object]", self.read())]
            case Kind.STRING:
                return self._bytes(self._int()).decode("utf-8")
            case Kind.LOGICALS | Kind.INTEGERS | Kind.STRINGS | Kind.LIST as kind:
                item = self._int if kind in {Kind.LOGICALS, Kind.INTEGERS} else self.read
                return Vector(item() for _ in range(self._int()))
            case kind:
                message = f"wanted an R object made of text, got type {kind}; teach the reader this type"
                raise ValueError(message)

    def _int(self) -> int:
        return int.from_bytes(self._bytes(4), signed=True)

    def _bytes(self, size: int) -> bytes:
        self._at += size
        return self._raw[self._at - size : self._at]
