"""What a plugin hands to aniso: adapters, metrics, hypotheses, reporters, prompt sets and executors."""

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
    from concurrent.futures import Future

    import numpy as np
    import torch

    from aniso_core.batches import Batch
    from aniso_core.executing import Job, Part, Task

Direction = Literal["higher is more anisotropic", "lower is more anisotropic", "neither"]
"""What a larger value of a metric means."""

Invariance = Literal["rotation", "scale", "shift"]
"""What may be done to all states alike without changing a metric: turning about the origin, scaling, shifting."""

BosRule = Literal["auto", "add", "omit"]
"""BOS token before each window: as the tokenizer does, always, or no special tokens at all."""

Kernels = Literal["default", "fast"]

Sink = Callable[[Site, "torch.Tensor"], None]
"""Takes in the states of a site, float[rows, time, d], and keeps none of them."""

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

    A result with a method `without_each()` gives its metrics intervals: it returns the results without each unit of
    uncertainty, by unit. Units are those of `Tokens.runs`, not documents: where there are more than 64 documents, or
    texts repeat, a unit is several of them. Where a longer text has coarser units, `aniso extend` asks such a statistic
    for `regrouped(size)`: the same statistic with unit // size in place of each unit, itself left as it was.
    """

    def update(self, tokens: Tokens) -> None:
        """Take in tokens; they are a copy of its own. A window is never split."""

    def merge(self, other: Self) -> Self:
        """Return the statistic of both parts together."""

    def result(self) -> Any:
        """Return what the metrics over this statistic ask about."""


@dataclass(frozen=True)
class Metric:
    """A question about a statistic: `of` takes the statistic's result and returns one number."""

    name: str
    """Its name, unique among metrics."""
    of: Callable[..., Any]
    """Function from the statistic's result to one finite real number; raises UndefinedMetricError where there is
    none."""
    over: Callable[[], Statistic] = RunningMoments
    """Makes an empty statistic."""
    unit: str = "1"
    """Unit of the number; `1` for a pure number."""
    summary: str = ""
    """A few words for lists."""
    low: float | None = None
    """Smallest possible value; None where unbounded or known only from the width."""
    high: float | None = None
    """Largest possible value, likewise."""
    direction: Direction = "neither"
    """What a larger number means."""
    invariances: tuple[Invariance, ...] = ()
    """What leaves the number as it is."""
    source: str = ""
    """Publication."""
    contrast: TokenClass | None = None
    """A token class: `of` takes the result over that class alone as a second argument, and is asked only for token sets
    that contain the class."""
    aliases: tuple[str, ...] = ()
    """Other names that look-ups accept."""
    keeps: bool = False
    """Whether `of` returns an array float64 of at most MOST_KEPT finite numbers, which the run keeps in place of a
    curve and `Profile.kept` gives back by layer."""
    on_request: bool = False
    """Whether it is measured only where it is named, as what costs much should be; `--metric default --metric NAME`
    measures it beside the others."""
    counts: bool = False
    """Whether the number moves in whole steps, so that leaving out documents gives no interval."""


@dataclass(frozen=True)
class PromptSet:
    """A named collection of documents that a plugin ships."""

    name: str
    """Its name, unique among prompt sets."""
    summary: str
    """A few words for lists."""
    source: str
    """Where the texts come from."""
    licence: str
    """Under which terms."""
    load: Callable[[], Sequence[Document]]
    """Function that returns the documents; called when the set is used."""


@dataclass(frozen=True)
class Preset:
    """A model that an adapter knows by name."""

    name: str
    """Its name, unique within the adapter."""
    where: str
    """A folder that the plugin ships, or a hub id."""
    summary: str = ""
    """A few words."""
    bundled: bool = False
    """Whether `where` is a folder that the plugin ships."""
    gated: bool = False
    """Whether its licence must be accepted on the hub."""


@dataclass(frozen=True)
class ModelRequest:
    """How a model is asked for; None leaves a choice to aniso."""

    model: str | None = None
    """A preset's name, a folder, a `.gguf` file or a hub id; None: the adapter's first preset."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; `REVISION@COMMIT` where it is pinned to one."""
    dtype: str | None = None
    """Precision, as `float32`; None: float32 on a CPU, bfloat16 on a GPU."""
    device: str | None = None
    """As `cpu` or `cuda:0`; None: a GPU if there is one."""
    device_map: str | None = None
    """`auto`, or JSON of modules and devices."""
    offload_folder: Path | None = None
    """Folder for weights that a device map puts on disk."""
    allow_pickle: bool = False
    """Whether `.bin` weights may be read."""
    trust_remote_code: str | None = None
    """`ORG/NAME@COMMIT` whose code may run."""
    offline: bool = False
    """Whether the network is forbidden."""


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

        The sink gets a tensor [rows, time, d] as soon as the site's module has run and must not keep it; the sites
        of a stream come in order of depth. Of a `packed` batch `position` says where each window of a row begins.
        """


@dataclass(frozen=True)
class Adapter:
    """A family of models: how one is opened, the presets it offers, and profiles of it that others published."""

    name: str
    """Its name, unique among adapters."""
    summary: str
    """A few words for lists."""
    open: Callable[[ModelRequest], Probe]
    """Opens the model that is asked for; raises AnisoError for one of another family."""
    presets: tuple[Preset, ...] = ()
    """The models that it knows by name; the first is the default."""
    published: Callable[[], Mapping[str, Profile]] = dict
    """Function that returns profiles by name, for `published:NAME`."""
    brings: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """Architectures (`model_type`) that transformers lacks, each with a function that teaches it; `auto` opens such
    models, too."""
    own_names: bool = False
    """Whether it opens models by names that are neither a preset, nor a path, nor an id of the hub; `aniso sweep`
    otherwise refuses such a name before it measures anything."""


@dataclass(frozen=True)
class Hypothesis:
    """A claim about profiles and the test that judges it.

    A preregistration must name the same `metric`, `streams`, `tokens` and `sizes`; where one is empty, it may name
    anything.
    """

    name: str
    """Its name, unique among hypotheses."""
    claim: str
    """The claim in one sentence."""
    test: Callable[[Sequence[Profile], "np.random.Generator"], Iterable[Verdict]]
    """Takes profiles and a seeded random generator, draws from no other, and yields one verdict or more: `not_testable`
    with the reason where it cannot judge."""
    estimand: str = ""
    """What is estimated, in words."""
    source: str = ""
    """Where the claim comes from."""
    metric: str = ""
    """Metric that its rigorous test reads."""
    streams: tuple[str, ...] = ()
    """Streams that it judges."""
    tokens: tuple[str, ...] = ()
    """Token sets that it judges."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Smallest effects that matter, by name, in the metric's unit."""


@dataclass(frozen=True)
class Reporter:
    """A way of showing results."""

    name: str
    """Its name, unique among reporters."""
    summary: str
    """A few words for lists."""
    render: Callable[[Report], Iterable[ReportFile]]
    """Function of a report that returns files and writes none itself."""
    order: int = 0
    """Reporters are asked by rising order and find the files of those before them in the report, as a bundle must."""
    sends: bool = False
    """Whether `render` sends the report elsewhere, as a logger does: asked only where it is named, once the run is
    saved, and its files say where the report went."""

    @property
    def on_request(self) -> bool:
        """Whether it is asked only where it is named."""
        return self.sends


class Workers(Protocol):
    """Processes that measure shards of a text, on this machine or on others, each with the model open."""

    @property
    def count(self) -> int:
        """How many there are; each is kept busy with a shard and has one waiting."""

    @property
    def threads(self) -> int:
        """CPU threads of each, which this process then takes as well, as values depend on them by rounding."""

    def start(self, job: "Job") -> "Callable[[Task], Future[Part]]":
        """Return a function that has a task of this job measured and returns what its part will be.

        In a worker `aniso_core.working.measure(job, task)` gives the part; the first call opens the model. All three
        can be pickled. What measuring raises is handed on as it was raised and not tried again, an AnisoError above
        all; a task whose worker died may be.
        """


@dataclass(frozen=True)
class Executor:
    """A way of having the shards of a text measured: where, and by how many at the same time."""

    name: str
    """Its name, unique among executors."""
    summary: str
    """A few words for lists."""
    open: Callable[[Mapping[str, str]], "AbstractContextManager[Workers | None]"]
    """Takes the options that were given, by name, and returns a context with the workers, which are gone when it is
    left; None stands for this process. Raises AnisoError where there can be none."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What each option means that it takes, by name."""


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
