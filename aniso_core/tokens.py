"""From documents to batches of tokens, and the disjoint classes that token sets are merged from."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from aniso_core.errors import AnisoError
from aniso_core.text import visible

if TYPE_CHECKING:
    import torch

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
TokenClass = Literal["first", "outlier", "rest"]

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


@dataclass(frozen=True)
class Document:
    """A text to be measured, the unit of uncertainty; `id` is unique within its prompt set."""

    id: str
    text: str


@dataclass(frozen=True)
class Window:
    """A run of token ids that goes through the model at once: special tokens, then content of one document."""

    ids: tuple[int, ...]
    document: int
    prefix: int
    suffix: int

    def is_first(self) -> Booleans:
        """Return bool[time]: the special tokens and the first content token."""
        first = np.zeros(len(self.ids), dtype=np.bool_)
        first[: self.prefix + 1] = True
        first[len(self.ids) - self.suffix :] = True
        return first


@dataclass(frozen=True)
class Tokenized:
    """Documents as windows, and what was done about BOS (in words, for the record)."""

    windows: tuple[Window, ...]
    documents: int
    bos_done: str
    max_length: int

    @property
    def count(self) -> int:
        """The number of tokens, special ones included."""
        return sum(len(window.ids) for window in self.windows)


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows side by side, padded on the right.

    `ids` int64[batch, time], `mask` bool[batch, time] (True on tokens), `first` bool[batch, time],
    `document` int64[batch].
    """

    ids: Integers
    mask: Booleans
    first: Booleans
    document: Integers

    @property
    def count(self) -> int:
        """The number of tokens, padding not counted."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens at one site, padding gone.

    `states` float[n, d] (a torch tensor, float32 or float64, on the model's device), `norms` float[n] their
    Euclidean norms, `document` and `position` int64[n] (position counts from the start of the window).
    """

    states: "torch.Tensor"
    norms: "torch.Tensor"
    document: "torch.Tensor"
    position: "torch.Tensor"

    def __len__(self) -> int:
        """Return the number of tokens."""
        return int(self.states.shape[0])

    def take(self, index: "torch.Tensor") -> "Tokens":
        """Return the tokens at `index` (int64[m]), copied."""
        return Tokens(self.states[index], self.norms[index], self.document[index], self.position[index])

    @classmethod
    def of(cls, states: "torch.Tensor | NDArray[np.floating]", document: Sequence[int] | None = None) -> "Tokens":
        """Return loose states float[n, d] as tokens (of one document unless told), as tests and plugins need them."""
        import torch

        held = torch.as_tensor(states)
        where = torch.zeros(len(held), dtype=torch.int64) if document is None else torch.as_tensor(document)
        return cls(held, held.square().sum(-1).sqrt(), where, torch.arange(len(held)))


class Layout:
    """Where the tokens of a batch lie once its padding is dropped, as index tensors on one device."""

    def __init__(self, batch: Batch, device: "torch.device") -> None:
        """Copy the batch's indices to `device`."""
        import torch

        row, column = np.nonzero(batch.mask)
        self.shape = batch.mask.shape
        self._mask = torch.from_numpy(batch.mask).to(device)
        self.first = torch.from_numpy(batch.first[batch.mask]).to(device)
        self.row = torch.from_numpy(row).to(device)
        self.position = torch.from_numpy(column).to(device)
        self.document = torch.from_numpy(batch.document[row]).to(device)

    def tokens(self, states: "torch.Tensor") -> Tokens:
        """Return the tokens of a padded site, float[batch, time, d], in float32 or float64."""
        held = states[self._mask]
        held = held if held.dtype.itemsize >= 4 else held.float()  # noqa: PLR2004 - bytes of float32
        return Tokens(held, held.square().sum(-1).sqrt(), self.document, self.position)

    def classes(self, tokens: Tokens) -> dict[TokenClass, "torch.Tensor"]:
        """Return the indices of each token class that occurs; the classes are disjoint and cover all tokens."""
        padded = tokens.norms.new_full(self.shape, float("nan"))
        padded[self._mask] = tokens.norms
        median = padded.nanmedian(dim=1).values[self.row]
        outlier = (tokens.norms > OUTLIER_RATIO * median) & ~self.first
        found: dict[TokenClass, torch.Tensor] = {
            "first": self.first.nonzero()[:, 0],
            "outlier": outlier.nonzero()[:, 0],
            "rest": (~self.first & ~outlier).nonzero()[:, 0],
        }
        return {name: index for name, index in found.items() if len(index)}


class Layouts:
    """The layout of one batch on every device that its states come from."""

    def __init__(self, batch: Batch) -> None:
        """Hold the batch; layouts are made when first asked for."""
        self.batch = batch
        self._made: dict[torch.device, Layout] = {}

    def on(self, device: "torch.device") -> Layout:
        """Return the layout on `device`."""
        if device not in self._made:
            self._made[device] = Layout(self.batch, device)
        return self._made[device]


def plan_batches(windows: Sequence[Window], batch_tokens: int) -> list[Batch]:
    """Return the windows, longest first, in batches of at most `batch_tokens` padded tokens (one window at least).

    Longest first so that memory runs out at once or not at all, and so that neighbours pad each other little.
    """
    order = sorted(range(len(windows)), key=lambda i: (-len(windows[i].ids), i))
    batches = []
    while order:
        rows = max(1, batch_tokens // len(windows[order[0]].ids))
        batches.append(_batch([windows[i] for i in order[:rows]]))
        order = order[rows:]
    return batches


def texts_sha256(documents: Iterable[Document]) -> str:
    """Return the SHA-256 of the texts in order, each followed by a NUL, in UTF-8."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.text.encode() + b"\0")
    return digest.hexdigest()


def check_token_sets(names: Iterable[str]) -> None:
    """Raise AnisoError on a name that is no token set."""
    for name in names:
        if name not in TOKEN_SETS:
            message = f"There is no token set {visible(name)!r}; ask for some of {', '.join(TOKEN_SETS)}."
            raise AnisoError(message)


def _batch(windows: Sequence[Window]) -> Batch:
    shape = (len(windows), max(len(window.ids) for window in windows))
    ids, mask, first = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for row, window in enumerate(windows):
        length = len(window.ids)
        ids[row, :length], mask[row, :length], first[row, :length] = window.ids, True, window.is_first()
    return Batch(ids, mask, first, np.array([window.document for window in windows], np.int64))
