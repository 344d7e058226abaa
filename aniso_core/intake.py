"""From a site's states to tokens of each class, while the model runs on.

On a GPU the numbers of outliers and of broken states come back one site late, and statistics run on a stream of
their own, so that the host has the next block queued before it waits for anything.
"""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from aniso_core.batches import Batch, Layout
from aniso_core.contracts import Statistic
from aniso_core.memory import room
from aniso_core.records import Site
from aniso_core.running import RunningMoments
from aniso_core.tokens import CLASSES, Runs, TokenClass, Tokens

if TYPE_CHECKING:
    from aniso_core.fold import Fold

Maker = Callable[[], Statistic]
Share = tuple[Maker | None, Site, TokenClass]
"""A part of a batch: a statistic's (None: the count's) share of a site and class."""

_LATE = {"cuda": 1}
"""How many sites late the states of a device are taken in."""


@dataclass(frozen=True)
class _Arrival:
    """A site's tokens, which of them are outliers, and how many are (and how many are not finite), perhaps underway."""

    site: Site
    layout: Layout
    dtype: str
    tokens: Tokens
    outlier: torch.Tensor
    tally: torch.Tensor
    ready: Any

    @classmethod
    def of(cls, site: Site, layout: Layout, states: torch.Tensor, *, keep: bool) -> "_Arrival":
        tokens = layout.tokens(states)
        outlier = layout.outliers(tokens)
        tally, ready = torch.stack([(~tokens.norms.isfinite()).sum(), outlier.sum()]), None
        handed = tokens.states.untyped_storage().data_ptr() == states.untyped_storage().data_ptr()
        if handed and (keep or states.is_cuda):
            tokens = tokens.copied()  # the pass may go on to write into what it handed over
        if states.is_cuda:
            home = torch.empty_like(tally, device="cpu", pin_memory=True)
            home.copy_(tally, non_blocking=True)
            tally, ready = home, torch.cuda.current_stream(states.device).record_event()
        return cls(site, layout, str(states.dtype).removeprefix("torch."), tokens, outlier, tally, ready)


def _lent(tokens: Tokens, index: torch.Tensor, runs: Runs) -> Tokens:
    """Return the tokens at `index` (int64[m]), their states in memory that the next call writes over."""
    states = room("tokens", tokens.states, (len(index), tokens.states.shape[1]))
    torch.index_select(tokens.states, 0, index, out=states)
    norms, document, position = (t.index_select(0, index) for t in (tokens.norms, tokens.document, tokens.position))
    return Tokens(states, norms, document, position, tokens.half, runs)


class Intake:
    """The sink of one batch.

    `taken` is the set of shares that were taken in, kept up to date, so that a batch that ran out of memory can be
    given again in parts without anything counting twice. (A token whose norm is within rounding of the outliers'
    bound may change class between the two, at a site where memory ran out between classes.)
    """

    def __init__(self, fold: "Fold", batch: Batch, taken: set[Share]) -> None:
        """Take in nothing yet; what is in `taken` is left out."""
        self._fold, self._batch, self._taken = fold, batch, taken
        self._layouts: dict[torch.device, Layout] = {}
        self._waiting: deque[_Arrival] = deque()
        self._before: dict[str, torch.Tensor] = {}

    def __call__(self, site: Site, states: torch.Tensor) -> None:
        """Take in the states of a site, float[rows, time, d]; they are not kept.

        Raises OutOfRangeError for states that are not finite.
        """
        device = states.device
        if device not in self._layouts:
            self._layouts[device] = Layout(self._batch, device, self._fold.units)
        keep = self._fold.wants("before")
        self._waiting.append(_Arrival.of(site, self._layouts[device], states, keep=keep))
        while len(self._waiting) > _LATE.get(device.type, 0):
            self._take_in(self._waiting.popleft())

    def finish(self) -> None:
        """Take in what still waits."""
        while self._waiting:
            self._take_in(self._waiting.popleft())

    def join(self) -> None:
        """Let what follows wait for what runs beside the pass, also where memory ran out on the way."""
        for device, stream in self._fold.streams.items():
            torch.cuda.current_stream(device).wait_stream(stream)

    def _take_in(self, arrival: _Arrival) -> None:
        # Statistics get ordinary tensors, which they may keep and write into wherever they like.
        with torch.inference_mode(mode=False), torch.no_grad(), self._beside(arrival):
            broken, outliers = arrival.tally.tolist()
            if broken:
                self._fold.refuse(arrival.site, arrival.tokens, arrival.dtype)
            found = arrival.layout.classes(arrival.outlier, outliers)
            for maker, name in itertools.product((None, *self._fold.makers), CLASSES):
                share = (maker, arrival.site, name)
                if share in self._taken:
                    continue
                if name in found and maker is None:
                    self._fold.count(arrival.site, name, len(found[name]))
                elif name in found and maker is not None:
                    self._fold.take(maker, arrival.site, name, self._part(arrival, maker, name, found))
                self._taken.add(share)
            if self._fold.wants("before"):
                self._before[arrival.site.stream] = arrival.tokens.states

    def _part(self, arrival: _Arrival, maker: Maker, name: TokenClass, found: dict[TokenClass, torch.Tensor]) -> Tokens:
        """Return the tokens of a class for one statistic, with what else it wants.

        Each gets a copy, so that a statistic that writes into its tokens or keeps them spoils no other; the core's own
        does neither.
        """
        tokens, layout, index = arrival.tokens, arrival.layout, found[name]
        if maker is RunningMoments:
            return _lent(tokens, index, layout.runs(index))
        if self._fold.wants("windows", maker):
            own = torch.zeros_like(arrival.outlier).index_fill_(0, index, value=True)
            tokens, index = replace(tokens, window=layout.window, own=own), layout.from_class_on(name, found)
        before = self._before.get(arrival.site.stream) if self._fold.wants("before", maker) else None
        if before is not None:
            tokens = replace(tokens, before=before.to(tokens.states.device))
        return tokens.take(index, layout.runs(index))

    @contextlib.contextmanager
    def _beside(self, arrival: _Arrival) -> Iterator[None]:
        """Run what follows on a stream of its own, once the arrival is there."""
        if arrival.ready is None:
            yield
            return
        device = arrival.tokens.states.device
        if device not in self._fold.streams:
            self._fold.streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream = self._fold.streams[device]
        arrival.ready.synchronize()
        stream.wait_event(arrival.ready)
        for tensor in (arrival.outlier, *arrival.tokens.tensors.values()):
            tensor.record_stream(stream)
        with torch.cuda.stream(stream):
            yield
