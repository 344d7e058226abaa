"""The records that cross aniso's floors, in one long file because a run directory is these records and no others.

They are frozen, typed, and saved as they stand.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from aniso_core.errors import AnisoError
from aniso_core.text import nearest_first

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
else:
    # Lists do without numpy, which takes as long to load as all the rest; the name must be there for msgspec.
    Array = Any

FORMAT = 1
"""Version of the run directory's files; docs/format.md says what each version holds."""

Outcome = Literal["supported", "refuted", "inconclusive", "not_testable", "descriptive"]
Criterion = Literal["paper", "rigorous"]
NormKind = Literal["layernorm", "rmsnorm"]

STREAMS = ("residual", "normed")
"""The streams that are measured; the view `paper` is composed of both."""

PAPER = "paper"
"""The view that `output_hidden_states` gives: residual 0..L-1, then the final norm's output."""


class Site(NamedTuple):
    """A place in the model where states are read: a layer (0 is the input of block 0) and a stream."""

    layer: int
    stream: str

    @property
    def key(self) -> str:
        """The site's name in files and messages, as in `12.residual`."""
        return f"{self.layer}.{self.stream}"


@dataclass(frozen=True, eq=False)
class Norm:
    """What a normalisation layer does to a state: kind, effective gain and bias (both float64[d]), and eps.

    The gain is the factor that the module applies, so Gemma's is 1 + w. eps is added to the mean square
    (RMSNorm) or the variance (LayerNorm) before the root, and None where it is too small for the module's precision.
    """

    kind: NormKind
    gain: Array
    bias: Array | None
    eps: float | None


@dataclass(frozen=True)
class NormSummary:
    """A norm as a run keeps it: kind, eps, mean and standard deviation of the effective gain, presence of a bias."""

    layer: int
    kind: NormKind
    eps: float | None
    gain_mean: float
    gain_sd: float
    has_bias: bool

    @classmethod
    def of(cls, layer: int, norm: Norm) -> "NormSummary":
        """Return the summary of the norm that feeds the `normed` stream at `layer`."""
        gain = norm.gain
        return cls(layer, norm.kind, norm.eps, float(gain.mean()), float(gain.std()), norm.bias is not None)


@dataclass(frozen=True)
class ModelInfo:
    """The measured model: its name, where its weights came from and how they were run.

    `norm` is None where blocks have no recognised norm; `placement` says whether norms stand before the
    sublayers ("pre") or after them ("post"). `weights_sha256` is empty for a model handed over in memory. `twin` is the
    same text for two models that were trained alike but for their norms, as their configs say, and empty for others.
    """

    name: str
    architecture: str
    source: str
    revision: str
    weights_sha256: str
    layers: int
    width: int
    parameters: int
    norm: NormKind | None
    placement: Literal["pre", "post"]
    dtype: str
    device: str
    attention: str
    threads: int = 0
    twin: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptsInfo:
    """The measured text: name, hash of the texts in order, and how it became tokens.

    `units` is the number of units of uncertainty: documents, or groups of them where there are many or texts repeat; 0
    where it was not kept what they hold.
    """

    name: str
    sha256: str
    documents: int
    windows: int
    tokens: int
    max_length: int
    bos_rule: str
    bos_done: str
    duplicates: int = 0
    units: int = 0


@dataclass(frozen=True)
class Missing:
    """A layer where a metric has no value, and why."""

    layer: int
    reason: str


@dataclass(frozen=True)
class Curve:
    """One metric over the layers of one stream and token set.

    `values[i]` belongs to `layers[i]` and is None where the metric is undefined (then `missing` says why). Over
    documents: `corrected` is the estimate free of first-order bias, `se` its standard error, `low` and `high` its 95 %
    interval; they are empty where none was computed, and `no_interval` says why.
    """

    metric: str
    unit: str
    stream: str
    tokens: str
    layers: tuple[int, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    missing: tuple[Missing, ...] = ()
    corrected: tuple[float | None, ...] = ()
    se: tuple[float | None, ...] = ()
    no_interval: str = ""

    def array(self) -> Array:
        """Return the values as float64[layers], NaN where the metric is undefined."""
        import numpy as np

        return np.array([math.nan if value is None else value for value in self.values], dtype=np.float64)

    def at(self, layer: int) -> float | None:
        """Return the value at `layer`, None where it was not measured or is undefined."""
        return self.values[self.layers.index(layer)] if layer in self.layers else None


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the covariance at one site and token set: float64[d], descending, in squared state units."""

    stream: str
    tokens: str
    layer: int
    values: Array

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
    """Pseudo-values of one metric on one stream and token set, float64[units, layers].

    n * value - (n - 1) * value(-u) for each of n units u of uncertainty (a document, or several that are left out
    together); NaN where a unit has no such token or the metric no value.
    """

    metric: str
    stream: str
    tokens: str
    layers: tuple[int, ...]
    values: Array

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
    """What a metric keeps at one site and token set in place of a number, float64 of the metric's own shape."""

    metric: str
    stream: str
    tokens: str
    layer: int
    values: Array

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
    tokens: str
    layers: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """A plugin's part that failed while the rest went on."""

    kind: str
    name: str
    distribution: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """What made a profile: versions, plugins of its metrics, seed, batch size, start (ISO 8601, UTC) and duration.

    `batch_tokens` is what memory allowed; `kernels` says which matrix kernels ran the model, and what a probe of the
    fast ones found. `prereg` is the SHA-256 of the claims that were preregistered for this run, `preregistered` their
    time.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    batch_tokens: int = 0
    kernels: str = ""
    started: str = ""
    seconds: float = 0.0
    source: str = ""
    prereg: str = ""
    preregistered: str = ""


@dataclass(frozen=True)
class Profile:
    """The anisotropy profile of one model on one text: every metric at every site and token set.

    A published profile has curves alone; a measured one has spectra and counts as well. `remarks` are what metrics
    printed or warned of while they were measured.
    """

    model: ModelInfo
    curves: tuple[Curve, ...]
    prompts: PromptsInfo | None = None
    norms: tuple[NormSummary, ...] = ()
    counts: tuple[Count, ...] = ()
    failures: tuple[Failure, ...] = ()
    remarks: tuple[Failure, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    spectra: tuple[Spectrum, ...] = ()
    pseudo: tuple[PseudoValues, ...] = ()
    arrays: tuple[KeptArray, ...] = ()
    format: int = FORMAT

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
        bounded = bool(residual.low) and bool(end.low)
        take = [(curve, curve.layers.index(layer)) for curve, layer in pick]
        return Curve(
            metric=metric,
            unit=residual.unit,
            stream=PAPER,
            tokens=tokens,
            layers=tuple(range(last + 1)),
            values=tuple(curve.values[i] for curve, i in take),
            low=tuple(curve.low[i] for curve, i in take) if bounded else (),
            high=tuple(curve.high[i] for curve, i in take) if bounded else (),
            corrected=tuple(curve.corrected[i] for curve, i in take) if bounded else (),
            se=tuple(curve.se[i] for curve, i in take) if bounded else (),
            no_interval=residual.no_interval or end.no_interval,
            missing=tuple(m for curve, layer in pick for m in curve.missing if m.layer == layer),
        )


@dataclass(frozen=True)
class Verdict:
    """The answer of a hypothesis about its subject under one criterion.

    `outcome` is the answer, `label` the criterion's own word for it (as "excellent"), `because` one sentence.
    `false_positive_rate` is how often this criterion says "supported" on profiles where the claim is false, measured
    for this number of states under the null that `false_positive_null` names. `low` and `high` bound the estimate at
    95 %; `flags` are what weakens the verdict. `p` is that of the claim, `p_refuted` that of its contrary, and
    `p_adjusted` that of the outcome among all confirmatory claims (Holm). `details` are the numbers behind it.
    """

    hypothesis: str
    criterion: Criterion
    subject: str
    outcome: Outcome
    because: str
    label: str = ""
    estimate: float | None = None
    p: float | None = None
    p_refuted: float | None = None
    low: float | None = None
    high: float | None = None
    stream: str = ""
    tokens: str = ""
    flags: tuple[str, ...] = ()
    standing: Literal["", "confirmatory", "exploratory"] = ""
    p_adjusted: float | None = None
    false_positive_rate: float | None = None
    false_positive_null: str = ""
    reference: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportFile:
    """A file that a reporter makes: its name inside `report/`, its bytes, and whether the terminal shows it too."""

    name: str
    data: bytes
    show: bool = False


@dataclass(frozen=True)
class About:
    """A metric or a hypothesis in words: what it asks or claims, whose idea it is, and the metric that it goes by."""

    kind: Literal["metric", "hypothesis"]
    name: str
    said: str
    source: str
    metric: str = ""


@dataclass(frozen=True)
class Report:
    """What reporters draw: profiles, the verdicts over them, and the files made so far.

    `about` tells of the metrics and hypotheses that occur. `commands` has, for each profile, the command that measures
    it again; empty where none is known.
    """

    profiles: Sequence[Profile]
    verdicts: Sequence[Verdict] = ()
    files: Sequence[ReportFile] = ()
    failures: Sequence[Failure] = ()
    made: str = ""
    about: Sequence[About] = ()
    commands: Sequence[str] = ()
