"""Memory that stays out of the way of a model's activations.

What a C library hands out in pieces, some kept and most given back, it cannot put together again: the next activation
finds no room that is whole, the process grows, and with a long corpus it goes on growing, by gigabytes. So what is
kept lies in pages of its own, and what is written once and read at once is written in the same place each time.
"""

import math
import mmap
import threading

import torch
from torch import Tensor

_MOST_KEPT = 2**23  # numbers in the memory that is kept to write into
_kept = threading.local()


def room(use: str, like: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a float[shape] to write into, of the type and on the device of `like`.

    On a CPU it is the same memory each time that this thread asks for the same use; fresh pages cost a pass over it.
    """
    size = math.prod(shape)
    if like.is_cuda or size > _MOST_KEPT:
        return like.new_empty(shape)
    held: Tensor | None = getattr(_kept, f"{use} {like.dtype}", None)
    if held is None or len(held) < size:
        with torch.inference_mode(mode=False):  # so that it serves in that mode and outside
            held = torch.empty(size, dtype=like.dtype)
        setattr(_kept, f"{use} {like.dtype}", held)
    return held[:size].view(shape)


class Rows:
    """Rows float[n, d] that are kept as they come, in pages of their own that double when they are full."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._pages: Tensor | None = None
        self._count = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    @property
    def held(self) -> Tensor:
        """The rows, float[n, d]; there must be some."""
        if self._pages is None:
            message = "no row is kept"
            raise ValueError(message)
        return self._pages[: self._count]

    def __getstate__(self) -> Tensor | None:
        """Return the rows, None where there are none; room for more is no part of them."""
        return self.held if self._count else None

    def __setstate__(self, rows: Tensor | None) -> None:
        """Keep a copy of rows, and no others."""
        self._pages, self._count = None, 0
        if rows is not None:
            self.append(rows)

    def append(self, rows: Tensor) -> None:
        """Keep a copy of rows float[m, d]; all of them, or none where memory runs out."""
        count = self._count + len(rows)
        pages = self._pages
        if pages is None or len(pages) < count:
            pages = _pages(rows, (max(count, 2 * self._count), rows.shape[1]))
            if self._pages is not None:
                pages[: self._count] = self.held
        pages[self._count : count] = rows
        self._pages, self._count = pages, count


def _pages(like: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a float[shape] to write into, of the type and on the device of `like`, and on a CPU nothing beside it.

    Where the system has no more pages, the C library may still have some that were given back to it.
    """
    if like.is_cuda:
        return like.new_empty(shape)
    try:
        pages = mmap.mmap(-1, math.prod(shape) * like.element_size(), access=mmap.ACCESS_COPY)
    except OSError:
        return like.new_empty(shape)
    with torch.inference_mode(mode=False):
        return torch.frombuffer(pages, dtype=like.dtype).view(shape)
