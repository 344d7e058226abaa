"""A text in shards: runs of whole documents that are measured apart and merged in order.

The profile does not depend on who measures a shard, when, or in what order; to the bit it depends on the size of a
shard alone, as sums do on the order of their terms.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from aniso_core.tokens import Window

TOKENS = 32_768
"""Tokens from which a shard is full: work enough to make little of what opening and merging it costs."""


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
