"""Windows side by side in batches, and where their tokens lie in them."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aniso_core.tokens import CLASSES, OUTLIER_RATIO, Runs, TokenClass, Tokens, Window

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows in rows, padded on the right; a row may hold several, one after the other (packed).

    Arrays are made when they are asked for, so that a plan of many batches is small.
    """

    rows: tuple[tuple[Window, ...], ...]

    @property
    def windows(self) -> tuple[Window, ...]:
        """All windows, row by row."""
        return tuple(window for row in self.rows for window in row)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens in a row, padding included."""
        return len(self.rows), max(map(_length, self.rows))

    @property
    def packed(self) -> bool:
        """Whether a row holds several windows."""
        return len(self.windows) > len(self.rows)

    @property
    def count(self) -> int:
        """The number of tokens, padding not counted."""
        return sum(map(_length, self.rows))

    @cached_property
    def window(self) -> Integers:
        """The number of the window that a token belongs to, -1 on padding; int64[rows, time]."""
        numbers = iter(range(len(self.windows)))
        return self._laid([np.full(len(window.ids), next(numbers)) for window in row] for row in self.rows)

    @property
    def mask(self) -> Booleans:
        """Where tokens are, bool[rows, time]."""
        return self.window >= 0

    @property
    def ids(self) -> Integers:
        """Token ids, 0 on padding, int64[rows, time]."""
        return np.maximum(self._laid([window.ids for window in row] for row in self.rows), 0)

    @property
    def position(self) -> Integers:
        """Positions from the start of the window, 0 on padding, int64[rows, time]."""
        return np.maximum(self._laid([np.arange(len(window.ids)) for window in row] for row in self.rows), 0)

    @property
    def first(self) -> Booleans:
        """Which tokens are special or the first of their window, bool[rows, time]."""
        marked: Booleans = self._laid([window.is_first() for window in row] for row in self.rows) == 1
        return marked

    def _laid(self, rows: "Iterable[list[Any]]") -> Integers:
        """Return the windows' values side by side in their rows, -1 on padding."""
        laid = np.full(self.shape, -1)
        for line, parts in zip(laid, rows, strict=True):
            values = np.concatenate(parts)
            line[: len(values)] = values
        return laid


class Layout:
    """Where the tokens of a batch lie once its padding is dropped, as index tensors on one device."""

    def __init__(self, batch: Batch, device: torch.device, units: Sequence[int] = ()) -> None:
        """Copy the batch's indices to `device`; `units` are the documents' units of uncertainty, none if not wanted."""

        def placed(array: NDArray[np.generic]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        mask = batch.mask
        window, position, first = batch.window[mask], batch.position[mask], batch.first[mask]
        self._index = None if mask.all() else placed(np.flatnonzero(mask))
        self._first, self._rest = placed(np.flatnonzero(first)), placed(np.flatnonzero(~first))
        self._every, self._ordinary = placed(np.arange(len(first))), placed(~first)
        self.window, self._position = placed(window), placed(position)
        self._document = placed(np.array([w.document for w in batch.windows], np.int64)[window])
        self._shape = (len(batch.windows), max(len(w.ids) for w in batch.windows))
        self._unit = np.array([units[w.document] for w in batch.windows], np.int64)[window] if units else None
        self._usual = {id(index): self._runs(index) for index in (self._first, self._rest, self._every)}

    def tokens(self, states: torch.Tensor) -> Tokens:
        """Return the tokens of a site, float[rows, time, d], in float32 or float64; perhaps a view of them."""
        held = states.reshape(-1, states.shape[-1])
        held = held if self._index is None else held.index_select(0, self._index)
        half = held.dtype if held.dtype.itemsize < 4 else None  # noqa: PLR2004 - bytes of float32
        held = held if half is None else held.float()
        return Tokens(held, torch.linalg.vector_norm(held, dim=1), self._document, self._position, half)

    def outliers(self, tokens: Tokens) -> torch.Tensor:
        """Return bool[n]: the tokens of class outlier."""
        if math.prod(self._shape) == len(tokens):
            by_window = tokens.norms.view(self._shape)
        else:
            by_window = tokens.norms.new_full(self._shape, float("nan"))
            by_window[self.window, self._position] = tokens.norms
        median = by_window.nanmedian(dim=1).values
        return (tokens.norms > OUTLIER_RATIO * median[self.window]) & self._ordinary

    def classes(self, outlier: torch.Tensor, number: int) -> dict[TokenClass, torch.Tensor]:
        """Return the indices of each token class that occurs, given the `number` of outliers.

        The classes are disjoint and cover all tokens.
        """
        found: dict[TokenClass, torch.Tensor] = {"first": self._first, "rest": self._rest}
        if number:
            # Indices of a known number of hits, as nonzero() would have to ask the device for it.
            found["outlier"] = outlier.byte().topk(number).indices.sort().values
            found["rest"] = (self._ordinary & ~outlier).byte().topk(len(self._rest) - number).indices.sort().values
        return {name: found[name] for name in CLASSES if name in found and len(found[name])}

    def from_class_on(self, name: TokenClass, found: Mapping[TokenClass, torch.Tensor]) -> torch.Tensor:
        """Return the indices, in order, of the tokens of a class and of later ones, as `classes` `found` them."""
        there = [found[later] for later in CLASSES[CLASSES.index(name) :] if later in found]
        if len(there) == 1:
            return there[0]
        return self._every if name == CLASSES[0] else torch.cat(there).sort().values

    def runs(self, index: torch.Tensor) -> Runs:
        """Return the units of the tokens at `index`, as `classes` or `from_class_on` returned it, as runs."""
        # The usual ones are known beforehand, since reading an index back would make a device stop.
        return self._usual[id(index)] if id(index) in self._usual else self._runs(index)

    def _runs(self, index: torch.Tensor) -> Runs:
        if self._unit is None or not len(index):
            return ()
        units = self._unit[index.cpu().numpy()]
        starts = np.flatnonzero(np.diff(units, prepend=-1))
        lengths = np.diff(starts, append=len(units))
        return tuple(zip(units[starts].tolist(), lengths.tolist(), strict=True))


def plan_batches(windows: Sequence[Window], batch_tokens: int, row_tokens: int = 0) -> list[Batch]:
    """Return the windows, longest first, in batches of at most `batch_tokens` padded tokens (one row at least).

    Longest first so that memory runs out at once or not at all, and so that neighbours pad each other little. With
    `row_tokens` short windows share rows as long as the longest window or that, whichever is more.
    """
    ordered = sorted(windows, key=lambda window: -len(window.ids))
    rows = _packed(ordered, min(row_tokens, batch_tokens)) if row_tokens else [(window,) for window in ordered]
    batches, start = [], 0
    while start < len(rows):
        stop = start + max(1, batch_tokens // _length(rows[start]))
        batches.append(Batch(tuple(rows[start:stop])))
        start = stop
    return batches


def padded(batches: Iterable[Batch]) -> int:
    """Return the number of tokens that batches put through the model, padding included."""
    return sum(height * time for height, time in (batch.shape for batch in batches))


def _packed(ordered: Sequence[Window], row_tokens: int) -> list[tuple[Window, ...]]:
    """Return rows of windows, longest row first: the longest window left, then as many of the shortest as fit."""
    left = deque(ordered)
    capacity = max(row_tokens, len(ordered[0].ids)) if ordered else 0
    rows = []
    while left:
        row = [left.popleft()]
        free = capacity - len(row[0].ids)
        while left and len(left[-1].ids) <= free:
            row.append(left.pop())
            free -= len(row[-1].ids)
        rows.append(tuple(row))
    return sorted(rows, key=_length, reverse=True)


def _length(row: Sequence[Window]) -> int:
    return sum(len(window.ids) for window in row)
