"""Documents, their windows and their tokens, and the disjoint classes that token sets are merged from."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from aniso_core.errors import AnisoError
from aniso_core.text import visible

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

TokenClass = Literal["first", "outlier", "rest"]
"""A class of tokens; CLASSES says which is which."""

Runs = Sequence[tuple[int, int]]
"""Units of uncertainty and how many tokens each has in a row: (unit, tokens) in the order of the tokens."""

CLASSES: tuple[TokenClass, ...] = ("first", "outlier", "rest")
"""first: special tokens that the tokenizer added and the first content token of each window; outlier: any other
whose norm exceeds OUTLIER_RATIO times the median norm of its window at that site; rest: all others."""

OUTLIER_RATIO = 5.0
"""Norm ratio above which a token counts as massive; a convention, stated with every result that depends on it."""

TOKEN_SETS: Mapping[str, tuple[TokenClass, ...]] = {
    "all": ("first", "outlier", "rest"),
    "no-first": ("outlier", "rest"),
    "bulk": ("rest",),
}
"""Each token set as the disjoint classes that it merges."""


_TENSORS = ("states", "norms", "document", "position", "before", "window", "own")


@dataclass(frozen=True)
class Document:
    """A text to be measured, the unit of uncertainty."""

    id: str
    """Its name, unique within its prompt set."""
    text: str
    """The text."""


@dataclass(frozen=True)
class Window:
    """A run of token ids that goes through the model at once: special tokens, then content of one document."""

    ids: tuple[int, ...]
    """Token ids."""
    document: int
    """Number of the document, from 0."""
    prefix: int
    """Special tokens before the content."""
    suffix: int
    """Special tokens after it."""

    def is_first(self) -> "NDArray[np.bool_]":
        """Return bool[time]: the special tokens and the first content token."""
        import numpy as np

        first = np.zeros(len(self.ids), dtype=np.bool_)
        first[: self.prefix + 1] = True
        first[len(self.ids) - self.suffix :] = True
        return first


@dataclass(frozen=True)
class Tokenized:
    """Documents as windows."""

    windows: tuple[Window, ...]
    """The windows, in the order of the documents."""
    documents: int
    """Number of documents."""
    bos_done: str
    """What was done about BOS, in words, for the record."""
    max_length: int
    """Longest window allowed, in tokens."""

    @property
    def count(self) -> int:
        """The number of tokens, special ones included."""
        return sum(len(window.ids) for window in self.windows)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens at one site, padding gone.

    `before`, `window` and `own` are None but for statistics that want them.
    """

    states: "torch.Tensor"
    """float[n, d], float32 or float64, on the model's device."""
    norms: "torch.Tensor"
    """float[n], their Euclidean norms."""
    document: "torch.Tensor"
    """int64[n], number of the document, from 0."""
    position: "torch.Tensor"
    """int64[n], place in the window, from 0."""
    half: "torch.dtype | None" = None
    """The half precision that the model gave; None where it gave more."""
    runs: "Runs" = ()
    """Units of uncertainty (a document, or several that are left out together) and how many tokens each has in a row;
    empty where nothing is left out later."""
    before: "torch.Tensor | None" = None
    """float[n, d], states of the same tokens at the layer measured before this one in the same stream; None at the
    first."""
    window: "torch.Tensor | None" = None
    """int64[n], tells the windows of one batch apart."""
    own: "torch.Tensor | None" = None
    """bool[n], marks the tokens of the class that is taken in; the others are of later classes."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return int(self.states.shape[0])

    def take(self, index: "torch.Tensor", runs: "Runs" = ()) -> "Tokens":
        """Return the tokens at `index` (int64[m]), copied; `runs` are theirs."""
        return self._made(lambda tensor: tensor.index_select(0, index), runs)

    def copied(self) -> "Tokens":
        """Return a copy."""
        return self._made(lambda tensor: tensor.clone(), self.runs)

    @property
    def tensors(self) -> "Mapping[str, torch.Tensor]":
        """The tensors that these tokens are, by field."""
        return {name: value for name in _TENSORS if (value := getattr(self, name)) is not None}

    def _made(self, make: "Callable[[torch.Tensor], torch.Tensor]", runs: "Runs") -> "Tokens":
        made: dict[str, Any] = {name: make(tensor) for name, tensor in self.tensors.items()}
        return replace(self, runs=runs, **made)

    @classmethod
    def of(cls, states: "torch.Tensor | NDArray[np.floating]", document: Sequence[int] | None = None) -> "Tokens":
        """Return loose states float[n, d] as tokens (of one document by default), as tests and plugins need them."""
        import torch

        held = torch.as_tensor(states)
        where = torch.zeros(len(held), dtype=torch.int64) if document is None else torch.as_tensor(document)
        norms = torch.linalg.vector_norm(held, dim=1)
        return cls(held, norms, where, torch.arange(len(held)), runs=runs_of(where.tolist()))


def runs_of(units: Iterable[int]) -> Runs:
    """Return the units of tokens in order as runs: (unit, tokens in a row)."""
    return tuple((unit, len(list(same))) for unit, same in groupby(units))


def texts_sha256(documents: Iterable[Document]) -> str:
    """Return the SHA-256 of the texts in order, each followed by a NUL, in UTF-8."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.text.encode() + b"\0")
    return digest.hexdigest()


def ids_sha256(windows: Iterable[Window]) -> str:
    """Return the SHA-256 of the token ids of windows in order, each window on a line."""
    digest = hashlib.sha256()
    for window in windows:
        digest.update(" ".join(map(str, window.ids)).encode() + b"\n")
    return digest.hexdigest()


def check_token_sets(names: Iterable[str]) -> None:
    """Raise AnisoError on a name that is no token set."""
    for name in names:
        if name not in TOKEN_SETS:
            message = f"There is no token set {visible(name)!r}; ask for some of {', '.join(TOKEN_SETS)}."
            raise AnisoError(message)
