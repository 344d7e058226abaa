"""A text in shards: runs of whole documents that are measured one after the other.

Batches do not cross them, so that between two shards all that is known is one state of the fold, from which another
process goes on. To the bit a profile depends on the size of shards, as sums do on the order of their terms.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from aniso_core.tokens import Window

TOKENS = 32_768
"""Tokens from which a shard is full: enough for batches of windows of like length, and few enough to measure again."""


@dataclass(frozen=True)
class Shard:
    """Number `number` of a text's shards, from 0: the windows of documents in a row, and their tokens."""

    number: int
    windows: tuple[Window, ...]

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return sum(len(window.ids) for window in self.windows)


def cut(windows: Iterable[Window], tokens: int = TOKENS) -> list[Shard]:
    """Return windows, in the order of their documents, as shards that end where a document brings them to `tokens`."""
    shards: list[Shard] = []
    held: list[Window] = []
    size = 0
    for _, document in groupby(windows, key=lambda window: window.document):
        own = list(document)
        held += own
        size += sum(len(window.ids) for window in own)
        if size >= tokens:
            shards.append(Shard(len(shards), tuple(held)))
            held, size = [], 0
    return [*shards, Shard(len(shards), tuple(held))] if held else shards
