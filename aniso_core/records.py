"""The records that cross aniso's floors, in one long file because a run directory is these records and no others.

They are frozen, typed, and saved as they stand.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from aniso_core.errors import AnisoError
from aniso_core.text import nearest_first

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
else:
    # Lists do without numpy, which takes as long to load as all the rest; the name must be there for msgspec.
    Array = Any

FORMAT = 1
"""Version of the run directory's files; docs/format.md says what each version holds."""

Outcome = Literal["supported", "refuted", "inconclusive", "not_testable", "descriptive"]
"""What a test says of a claim; `descriptive` says a number and judges nothing."""

Criterion = Literal["paper", "rigorous"]
"""How a claim is judged: by a published yes/no rule, or by a test over documents."""

NormKind = Literal["layernorm", "rmsnorm"]
"""Whether a norm subtracts the mean (LayerNorm) or not (RMSNorm)."""

FigureStyle = Literal["screen", "column", "page"]
"""What figures are made for: a screen, or one column or the whole width of a paper's page."""

STREAMS = ("residual", "normed")
"""The streams that are measured; the view `paper` is composed of both."""

PAPER = "paper"
"""The view that `output_hidden_states` gives: residual 0..L-1, then the final norm's output."""


class Site(NamedTuple):
    """A place in the model where states are read."""

    layer: int
    """Blocks before it: 0 is the input of the first, L the output of the last."""
    stream: str
    """`residual` or `normed`."""

    @property
    def key(self) -> str:
        """The site's name in files and messages, as in `12.residual`."""
        return f"{self.layer}.{self.stream}"


@dataclass(frozen=True, eq=False)
class Norm:
    """What a normalisation layer does to a state."""

    kind: NormKind
    """Kind of norm."""
    gain: Array
    """float64[d], the factor that the module applies, so Gemma's is 1 + w."""
    bias: Array | None
    """float64[d]; None where there is none."""
    eps: float | None
    """What is added to the mean square (RMSNorm) or the variance (LayerNorm) before the root; None where it is too
    small for the module's precision."""


@dataclass(frozen=True)
class NormSummary:
    """A norm as a run keeps it."""

    layer: int
    """Layer of stream `normed` that the norm feeds."""
    kind: NormKind
    """Kind of norm."""
    eps: float | None
    """What is added to the variance or the mean square before the root; None where it is too small to show in this
    precision."""
    gain_mean: float
    """Mean of the effective gain (Gemma: of 1 + w)."""
    gain_sd: float
    """Standard deviation of the effective gain, divisor d."""
    has_bias: bool
    """Whether there is a bias."""

    @classmethod
    def of(cls, layer: int, norm: Norm) -> "NormSummary":
        """Return the summary of the norm that feeds the `normed` stream at `layer`."""
        gain = norm.gain
        return cls(layer, norm.kind, norm.eps, float(gain.mean()), float(gain.std()), norm.bias is not None)


@dataclass(frozen=True)
class ModelInfo:
    """The measured model: its name, where its weights came from and how they were run."""

    name: str
    """The preset with its adapter, the folder's or file's name, or the hub id."""
    architecture: str
    """Class of the model in transformers."""
    source: str
    """`bundled`, `folder`, `gguf`, `hub`, `memory` or `published`."""
    revision: str
    """Commit of a hub model, else empty."""
    weights_sha256: str
    """SHA-256 over the names and contents of the weight files; empty for a model in memory."""
    layers: int
    """Number of blocks, L."""
    width: int
    """Width of the states, d."""
    parameters: int
    """Number of parameters without the head."""
    norm: NormKind | None
    """Kind of its norms; None where none was recognised."""
    placement: Literal["pre", "post"]
    """`pre` where norms stand before the sublayers, `post` where they stand after them."""
    dtype: str
    """Precision of the weights, as `float32`."""
    device: str
    """Devices that held weights."""
    attention: str
    """Implementation of attention, as `sdpa`."""
    threads: int = 0
    """Number of CPU threads."""
    twin: str = ""
    """The same text for models that were trained alike but for their norms, as their configs say; empty for others.
    What follows an `@` in it tells checkpoints of one training apart."""
    twin_norm: str = ""
    """The norm that tells it from its twins, as its config names it; empty for others, and where it names none."""
    notes: tuple[str, ...] = ()
    """Sentences about how the model was loaded."""


@dataclass(frozen=True)
class PromptsInfo:
    """The measured text, and how it became tokens."""

    name: str
    """Prompt set or file name; `texts` from Python."""
    sha256: str
    """SHA-256 of the texts in order, each followed by a NUL."""
    documents: int
    """Number of documents."""
    windows: int
    """Number of windows that they became."""
    tokens: int
    """Number of tokens, special ones included."""
    max_length: int
    """Longest window in tokens."""
    bos_rule: str
    """`auto`, `add` or `omit`."""
    bos_done: str
    """What that came to, in words."""
    duplicates: int = 0
    """Number of documents that repeat another."""
    units: int = 0
    """Number of units of uncertainty: documents, or groups of them where there are many or texts repeat; 0 where it was
    not kept what they hold."""


@dataclass(frozen=True)
class Missing:
    """A layer where a metric has no value."""

    layer: int
    """The layer."""
    reason: str
    """Why."""


@dataclass(frozen=True)
class Curve:
    """One metric over the layers of one stream and token set, with intervals over documents."""

    metric: str
    """Name of the metric."""
    unit: str
    """Its unit."""
    stream: str
    """`residual` or `normed`; `paper` in published profiles and in the view that `Profile.curve` composes."""
    tokens: str
    """Token set."""
    layers: tuple[int, ...]
    """Layers, ascending."""
    values: tuple[float | None, ...]
    """One value a layer; None where the metric is undefined."""
    low: tuple[float | None, ...] = ()
    """Lower ends of 95 % intervals over documents; empty where none was computed."""
    high: tuple[float | None, ...] = ()
    """Upper ends."""
    missing: tuple[Missing, ...] = ()
    """The layers without a value, and why."""
    corrected: tuple[float | None, ...] = ()
    """Estimates free of first-order bias; empty where there is no interval."""
    se: tuple[float | None, ...] = ()
    """Their standard errors."""
    no_interval: str = ""
    """Why there is no interval, else empty."""

    def array(self) -> Array:
        """Return the values as float64[layers], NaN where the metric is undefined."""
        import numpy as np

        return np.array([math.nan if value is None else value for value in self.values], dtype=np.float64)

    def at(self, layer: int) -> float | None:
        """Return the value at `layer`, None where it was not measured or is undefined."""
        return self.values[self.layers.index(layer)] if layer in self.layers else None


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the covariance at one site and token set."""

    stream: str
    """Stream of the site."""
    tokens: str
    """Token set."""
    layer: int
    """Layer of the site."""
    values: Array
    """float64[d], descending, in squared state units."""

    @property
    def place(self) -> tuple[str, str, int]:
        """What the spectrum is of; a profile holds its spectra in this order."""
        return self.stream, self.tokens, self.layer

    def __eq__(self, other: object) -> bool:
        """Return whether the other is the spectrum of the same site and token set, with the same eigenvalues."""
        import numpy as np

        if not isinstance(other, Spectrum):
            return NotImplemented
        return self.place == other.place and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment] # arrays have no hash


@dataclass(frozen=True, eq=False)
class PseudoValues:
    """Pseudo-values of one metric on one stream and token set.

    n * value - (n - 1) * value(-u) for each of n units u of uncertainty (a document, or several that are left out
    together).
    """

    metric: str
    """Name of the metric."""
    stream: str
    """Stream."""
    tokens: str
    """Token set."""
    layers: tuple[int, ...]
    """Those of the curve of the same metric, stream and token set."""
    values: Array
    """float64[units, layers]; NaN where a unit has no such token or the metric no value."""

    @property
    def place(self) -> tuple[str, str, str]:
        """What the values are of."""
        return self.metric, self.stream, self.tokens

    def __eq__(self, other: object) -> bool:
        """Return whether the other holds the same values of the same metric, stream, token set and layers."""
        import numpy as np

        if not isinstance(other, PseudoValues):
            return NotImplemented
        same = (self.place, self.layers) == (other.place, other.layers)
        return same and np.array_equal(self.values, other.values, equal_nan=True)

    __hash__ = None  # type: ignore[assignment] # arrays have no hash


@dataclass(frozen=True, eq=False)
class KeptArray:
    """What a metric keeps at one site and token set in place of a number."""

    metric: str
    """Name of the metric."""
    stream: str
    """Stream of the site."""
    tokens: str
    """Token set."""
    layer: int
    """Layer of the site."""
    values: Array
    """float64, of the shape that the metric says."""

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What the array is of; a profile holds its arrays in this order."""
        return self.metric, self.stream, self.tokens, self.layer

    def __eq__(self, other: object) -> bool:
        """Return whether the other is the same array of the same metric, site and token set."""
        import numpy as np

        if not isinstance(other, KeptArray):
            return NotImplemented
        return self.place == other.place and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment] # arrays have no hash


@dataclass(frozen=True)
class Count:
    """How many tokens a token set holds at each layer of a stream (the outlier class differs by site)."""

    stream: str
    """The stream."""
    tokens: str
    """The token set."""
    layers: tuple[int, ...]
    """Layers, ascending."""
    counts: tuple[int, ...]
    """Number of tokens at each."""


@dataclass(frozen=True)
class Failure:
    """A plugin's part that failed while the rest went on, or that printed or warned."""

    kind: str
    """`metric`, `hypothesis` or `reporter`; `remark` for what a metric printed or warned of."""
    name: str
    """Its name."""
    distribution: str
    """Distribution and version that provide it."""
    reason: str
    """What it raised; of a remark, the first that it said."""


@dataclass(frozen=True)
class Provenance:
    """What made a profile."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of Python, aniso and the libraries that a value depends on."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Distribution and version of each metric's plugin."""
    seed: int = 0
    """Seed of the tests."""
    batch_tokens: int = 0
    """Padded tokens in a batch, as far as memory allowed."""
    kernels: str = ""
    """Matrix kernels that ran the model, and what a probe of the fast ones found."""
    started: str = ""
    """When the measurement started, ISO 8601 in UTC."""
    seconds: float = 0.0
    """How long the measuring took; opening the model, verdicts and report left out."""
    source: str = ""
    """Where a published profile comes from, else empty."""
    prereg: str = ""
    """SHA-256 of the claims that were preregistered for this run, else empty."""
    preregistered: str = ""
    """When they were, else empty."""


@dataclass(frozen=True)
class Profile:
    """The anisotropy profile of one model on one text: every metric at every site and token set.

    A published profile has curves alone; a measured one has spectra and counts as well.
    """

    model: ModelInfo
    """The model."""
    curves: tuple[Curve, ...]
    """A curve for each metric, stream and token set."""
    prompts: PromptsInfo | None = None
    """The text; None in a published profile."""
    norms: tuple[NormSummary, ...] = ()
    """One for each measured site of stream `normed`."""
    counts: tuple[Count, ...] = ()
    """One for each stream and token set."""
    failures: tuple[Failure, ...] = ()
    """Metrics that failed."""
    remarks: tuple[Failure, ...] = ()
    """Metrics that printed or warned while they were measured."""
    provenance: Provenance = field(default_factory=Provenance)
    """What made it."""
    spectra: tuple[Spectrum, ...] = ()
    """One at each site and token set where a metric asked for eigenvalues."""
    pseudo: tuple[PseudoValues, ...] = ()
    """One for each curve with intervals."""
    arrays: tuple[KeptArray, ...] = ()
    """What metrics keep in place of numbers."""
    format: int = FORMAT
    """Version of the file."""

    def __post_init__(self) -> None:
        """Make the arrays read-only, since hypotheses and reporters share them."""
        held = [record.values for records in (self.spectra, self.pseudo, self.arrays) for record in records]
        for array in held:
            array.flags.writeable = False

    def curve(self, metric: str, stream: str = "residual", tokens: str = "all") -> Curve:
        """Return the curve of `metric`; the view `paper` is composed where it was not stored itself.

        Raises AnisoError, naming what the profile holds, where it holds no such curve.
        """
        found = self.find(metric, stream, tokens)
        if found is None:
            where = sorted({f"{c.stream}/{c.tokens}" for c in self.curves if c.metric == metric})
            have = nearest_first(metric, {c.metric for c in self.curves})
            held = f"it has it on {', '.join(where)}" if where else f"its metrics are {', '.join(have) or 'none'}"
            message = f"The profile of {self.model.name} has no {metric} on stream {stream}, tokens {tokens}; {held}."
            raise AnisoError(message)
        return found

    def find(self, metric: str, stream: str = "residual", tokens: str = "all") -> Curve | None:
        """Return the curve of `metric` as `curve` does, None where the profile holds no such curve."""
        found = self._stored(metric, stream, tokens)
        return self._paper_view(metric, tokens) if found is None and stream == PAPER else found

    def pseudo_values(self, metric: str, stream: str = "residual", tokens: str = "all") -> PseudoValues | None:
        """Return the pseudo-values of `metric`, None where the profile holds none."""
        wanted = (metric, stream, tokens)
        return next((found for found in self.pseudo if found.place == wanted), None)

    def spectrum(self, layer: int, stream: str = "residual", tokens: str = "all") -> Array:
        """Return the eigenvalues at a site, float64[d] descending; raises AnisoError where none were kept."""
        for spectrum in self.spectra:
            if (spectrum.layer, spectrum.stream, spectrum.tokens) == (layer, stream, tokens):
                return spectrum.values
        message = f"The profile of {self.model.name} kept no spectrum at {layer}.{stream} for tokens {tokens}."
        raise AnisoError(message)

    def kept(self, metric: str, stream: str = "residual", tokens: str = "all") -> dict[int, Array]:
        """Return the arrays that `metric` kept, by layer, ascending; raises AnisoError where there are none."""
        wanted = (metric, stream, tokens)
        found = {array.layer: array.values for array in self.arrays if array.place[:3] == wanted}
        if not found:
            where = sorted({"{}/{}".format(*array.place[1:3]) for array in self.arrays if array.metric == metric})
            held = f"it has them on {', '.join(where)}" if where else f"measure it with --metric {metric}"
            message = f"The profile of {self.model.name} kept no {metric} on stream {stream}, tokens {tokens}; {held}."
            raise AnisoError(message)
        return found

    def depth(self, layer: int) -> float:
        """Return the relative depth of `layer`, 0 (input of the first block) to 1 (output of the last)."""
        return layer / self.model.layers

    def to_frame(self) -> "pd.DataFrame":
        """Return every number as a row of a data frame, with the columns of `aniso export` (docs/format.md).

        Raises AnisoError where pandas is missing (`pip install 'aniso[data]'`).
        """
        from aniso_core.export.frames import to_frame

        return to_frame([self])

    def to_xarray(self) -> "xr.Dataset":
        """Return a data set with a variable for each metric over stream, token set and layer, its unit as `units`.

        docs/format.md says what else it holds. Raises AnisoError where xarray is missing (`pip install 'aniso[data]'`).
        """
        from aniso_core.export.labelled import to_xarray

        return to_xarray(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a small table with drawn curves."""
        from aniso_core.export.html import to_html

        return to_html(self)

    def __repr__(self) -> str:
        """Return one line: model, layers, width, tokens and metrics."""
        tokens = f", {self.prompts.tokens} tokens" if self.prompts else ""
        metrics = len({curve.metric for curve in self.curves})
        return (
            f"<Profile {self.model.name}: {self.model.layers} layers, d {self.model.width}{tokens}, {metrics} metrics>"
        )

    def _stored(self, metric: str, stream: str, tokens: str) -> Curve | None:
        wanted = (metric, stream, tokens)
        return next((c for c in self.curves if (c.metric, c.stream, c.tokens) == wanted), None)

    def _paper_view(self, metric: str, tokens: str) -> Curve | None:
        residual, normed = self._stored(metric, "residual", tokens), self._stored(metric, "normed", tokens)
        last = self.model.layers
        if residual is None:
            return None
        # Without a final norm (encoders with norms after) output_hidden_states ends with the residual stream itself.
        end = normed if normed is not None and last in normed.layers else residual
        pick = [(residual, layer) for layer in range(last)] + [(end, last)]
        if any(layer not in curve.layers for curve, layer in pick):
            return None
        take = [(curve, curve.layers.index(layer)) for curve, layer in pick]

        def picked(field: str) -> tuple[float | None, ...]:
            sides = [(getattr(curve, field), i) for curve, i in take]
            return tuple(side[i] for side, i in sides) if all(side for side, _ in sides) else ()

        return Curve(
            metric=metric,
            unit=residual.unit,
            stream=PAPER,
            tokens=tokens,
            layers=tuple(range(last + 1)),
            values=picked("values"),
            low=picked("low"),
            high=picked("high"),
            corrected=picked("corrected"),
            se=picked("se"),
            no_interval=residual.no_interval or end.no_interval,
            missing=tuple(m for curve, layer in pick for m in curve.missing if m.layer == layer),
        )


@dataclass(frozen=True)
class Verdict:
    """The answer of a hypothesis about its subject under one criterion."""

    hypothesis: str
    """Name of the hypothesis."""
    criterion: Criterion
    """How it was judged."""
    subject: str
    """What is judged, as a model's name."""
    outcome: Outcome
    """The answer."""
    because: str
    """One sentence."""
    label: str = ""
    """The criterion's own word, as `excellent`."""
    estimate: float | None = None
    """The number that is judged."""
    p: float | None = None
    """p-value of the claim, 0 to 1; None where the criterion has none."""
    p_refuted: float | None = None
    """p-value of its contrary, likewise."""
    low: float | None = None
    """Lower end of the estimate's 95 % interval; None where there is none."""
    high: float | None = None
    """Its upper end."""
    stream: str = ""
    """Stream that was judged; empty where the criterion names it in words."""
    tokens: str = ""
    """Token set, likewise."""
    flags: tuple[str, ...] = ()
    """What weakens the verdict, each a few words."""
    standing: Literal["", "confirmatory", "exploratory"] = ""
    """`confirmatory` where the claim was preregistered, `exploratory` where it was not, empty for `paper`; aniso sets
    it."""
    p_adjusted: float | None = None
    """p of the outcome among all confirmatory claims (Holm); None where there is none; aniso sets it."""
    false_positive_rate: float | None = None
    """How often this criterion says `supported` on profiles where the claim is false, for this number of states, 0 to
    1."""
    false_positive_null: str = ""
    """What was assumed there."""
    reference: str = ""
    """What it was held against."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """The numbers behind it."""


@dataclass(frozen=True)
class ReportFile:
    """A file that a reporter makes."""

    name: str
    """A plain file name inside `report/`, without folders."""
    data: bytes
    """Its bytes."""
    show: bool = False
    """Whether the terminal shows it too."""


@dataclass(frozen=True)
class About:
    """A metric or a hypothesis in words: what it asks or claims, whose idea it is, and the metric that it goes by."""

    kind: Literal["metric", "hypothesis"]
    """`metric` or `hypothesis`."""
    name: str
    """Its name."""
    said: str
    """The metric's summary, or the claim."""
    source: str
    """Whose idea it is."""
    metric: str = ""
    """The metric that a hypothesis goes by; empty for metrics."""


@dataclass(frozen=True)
class Report:
    """What reporters draw."""

    profiles: Sequence[Profile]
    """The profiles."""
    verdicts: Sequence[Verdict] = ()
    """The verdicts over them."""
    files: Sequence[ReportFile] = ()
    """The files made so far: the run's own JSON, then those of reporters of lower order."""
    failures: Sequence[Failure] = ()
    """Metrics and hypotheses that failed."""
    made: str = ""
    """Time of the measurement, or of the comparison, ISO 8601."""
    about: Sequence[About] = ()
    """An entry for each metric and hypothesis that occurs and is installed."""
    commands: Sequence[str] = ()
    """For each profile the command that measures it again, empty where none is known."""
    style: FigureStyle = "screen"
    """What figures are made for. `column` and `page` are for papers: 3.25 in and 5.5 in wide, text of 7 to 9 pt, as PDF
    and SVG, without title and caption, which the paper gives."""
    style_sheets: Sequence[Path] = ()
    """Style sheets of matplotlib to draw in on top of that, a later one on top of an earlier one."""
