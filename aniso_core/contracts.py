"""What a plugin hands to aniso: adapters, metrics, hypotheses, reporters and prompt sets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from aniso_core.records import ModelInfo, Norm, Profile, Report, ReportFile, Site, Verdict
from aniso_core.running import RunningMoments
from aniso_core.tokens import Document, TokenClass, Tokenized, Tokens

if TYPE_CHECKING:
    import numpy as np
    import torch

    from aniso_core.batches import Batch

Direction = Literal["higher is more anisotropic", "lower is more anisotropic", "neither"]
Invariance = Literal["rotation", "scale", "shift"]
BosRule = Literal["auto", "add", "omit"]
Kernels = Literal["default", "fast"]
Sink = Callable[[Site, "torch.Tensor"], None]

WANTS = ("before", "windows")
"""What a statistic may ask for in its class attribute `wants`, beside tokens of one class at one site.

before: the same tokens' states at the layer measured before this one (`Tokens.before`). windows: with the tokens of a
class those of all later classes, in order (`Tokens.window`, `Tokens.own`), for what relates tokens to each other: it
belongs to the first class that one of its tokens is of, so that a token set holds what lies within it.
"""


MOST_KEPT = 2**17
"""Numbers in an array that a metric keeps of one site and token set."""


class Statistic(Protocol):
    """Something measured at a site as tokens stream by.

    `update` takes tokens in, `merge` returns the statistic of both parts and leaves both as they were, `result`
    may be asked at any time and changes nothing. What comes out does not depend on how the tokens were cut. A
    class attribute `wants`, a tuple of some of WANTS, asks for more than the tokens of one class at one site.
    """

    def update(self, tokens: Tokens) -> None:
        """Take in tokens; they are a copy of its own. A window is never split."""

    def merge(self, other: Self) -> Self:
        """Return the statistic of both parts together."""

    def result(self) -> Any:
        """Return what the metrics over this statistic ask about."""


@dataclass(frozen=True)
class Metric:
    """A question about a statistic: `of` takes the statistic's result and returns one number.

    `of` raises UndefinedMetricError where the number does not exist. With `contrast`, `of` takes a second result,
    that of the named token class alone, and is asked only for token sets that contain the class. `low` and `high`
    bound the possible values (None: unbounded or known only from the width). With `keeps`, `of` returns an array
    float64, of at most MOST_KEPT numbers, that the run keeps in place of a curve. What is `on_request` is measured only
    where it is named.
    """

    name: str
    of: Callable[..., Any]
    over: Callable[[], Statistic] = RunningMoments
    unit: str = "1"
    summary: str = ""
    low: float | None = None
    high: float | None = None
    direction: Direction = "neither"
    invariances: tuple[Invariance, ...] = ()
    source: str = ""
    contrast: TokenClass | None = None
    aliases: tuple[str, ...] = ()
    keeps: bool = False
    on_request: bool = False


@dataclass(frozen=True)
class PromptSet:
    """A named collection of documents that a plugin ships, with its source and licence."""

    name: str
    summary: str
    source: str
    licence: str
    load: Callable[[], Sequence[Document]]


@dataclass(frozen=True)
class Preset:
    """A model that an adapter knows by name: `where` is a folder that the plugin ships or a hub id."""

    name: str
    where: str
    summary: str = ""
    bundled: bool = False
    gated: bool = False


@dataclass(frozen=True)
class ModelRequest:
    """How a model is asked for.

    `model` is a preset's name, a folder, a `.gguf` file or a hub id; `None` anywhere leaves the choice to aniso
    (model: the adapter's first preset; dtype: float32 on a CPU, bfloat16 on a GPU). `revision` may be REVISION@COMMIT,
    which pins a branch or tag to a commit; `trust_remote_code` is `ORG/NAME@COMMIT`.
    """

    model: str | None = None
    revision: str | None = None
    dtype: str | None = None
    device: str | None = None
    device_map: str | None = None
    offload_folder: Path | None = None
    allow_pickle: bool = False
    trust_remote_code: str | None = None
    offline: bool = False


class Probe(Protocol):
    """A model opened for reading: its sites, its tokenizer's rules, and its states."""

    @property
    def info(self) -> ModelInfo:
        """What the model is."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site that can be read, by stream, then layer."""

    @property
    def row_tokens(self) -> int:
        """Tokens up to which several windows may share a row of a batch; 0 where they may not."""

    def norm_at(self, site: Site) -> Norm | None:
        """Return the norm whose output is `site`; None where it is neither LayerNorm nor RMSNorm."""

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, max_length: int | None) -> Tokenized:
        """Return the documents as windows of token ids, split where they outgrow the window."""

    def reading(self, sites: Sequence[Site], sink: Sink) -> AbstractContextManager[Callable[["Batch"], None]]:
        """Return a context in which the yielded function runs a batch and hands each site's states to `sink`.

        The sink gets a tensor [batch, time, d] as soon as the site's module has run and must not keep it; the sites
        of a stream come in order of depth.
        """


@dataclass(frozen=True)
class Adapter:
    """A family of models: how one is opened, the presets it offers, and profiles of it that others published."""

    name: str
    summary: str
    open: Callable[[ModelRequest], Probe]
    presets: tuple[Preset, ...] = ()
    published: Callable[[], Mapping[str, Profile]] = dict


@dataclass(frozen=True)
class Hypothesis:
    """A claim about profiles and the test that judges it.

    `test` takes profiles and a seeded random generator and yields one verdict or more; it yields `not_testable`
    with the reason where it cannot judge. `metric`, `streams`, `tokens` and `sizes` (the smallest effects that matter,
    by name, in the metric's unit) are what its rigorous test goes by; a preregistration must name the same. Where one
    is empty, a preregistration may name anything.
    """

    name: str
    claim: str
    test: Callable[[Sequence[Profile], "np.random.Generator"], Iterable[Verdict]]
    estimand: str = ""
    source: str = ""
    metric: str = ""
    streams: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reporter:
    """A way of showing results: `render` returns files and writes none itself.

    Reporters are asked by rising `order` and find the files of those before them in the report (a bundle needs them).
    """

    name: str
    summary: str
    render: Callable[[Report], Iterable[ReportFile]]
    order: int = 0


def in_turn(*tests: Callable[..., Iterable[Verdict]]) -> Callable[..., Iterable[Verdict]]:
    """Return a hypothesis's test that yields the verdicts of several, as those of two criteria."""

    def test(*given: Any) -> Iterable[Verdict]:
        for each in tests:
            yield from each(*given)

    return test


def later(module: str, name: str) -> Callable[..., Any]:
    """Return a function that takes `name` from `module` when it is called, and imports nothing before.

    A list shows records and calls none of their functions, so it need not wait for numpy or matplotlib.
    """

    def imported(*given: Any) -> Any:
        return getattr(import_module(module), name)(*given)

    return imported
