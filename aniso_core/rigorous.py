"""What the hypotheses share that judge by tests over documents (criterion `rigorous`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aniso_core.records import Array, Profile, Verdict

SHARE = "top-eigenvalue-share"
JUDGED = ("all", "bulk")
"""Token sets that each claim is judged on: what holds with all tokens alone may be the work of first tokens."""

_ISOTROPIC = 1.5

HELD = 0.5
"""Share of lambda_1 beyond which first tokens, or massive ones, make the peak."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Pseudo-values of a metric over the documents of a profile, float64[units, states], in order of depth.

    `units` numbers the rows; a profile of the same texts has the same units.
    """

    profile: Profile
    metric: str
    stream: str
    tokens: str
    layers: tuple[int, ...]
    pv: Array
    units: tuple[int, ...]

    def of(self, units: Sequence[int]) -> "Sample":
        """Return the sample of some of its units."""
        rows = [self.units.index(unit) for unit in units]
        return replace(self, pv=self.pv[rows], units=tuple(units))

    @property
    def estimand(self) -> str:
        """What the test is about, in words."""
        prompts, model = self.profile.prompts, self.profile.model
        text = f" of {prompts.documents:,} documents like these" if prompts else ""
        return (
            f"{self.metric} of {self.tokens} tokens{text} on the {self.stream} stream, layers {self.layers[0]} to "
            f"{self.layers[-1]} of {model.layers}, d = {model.width:,}"
        )

    @property
    def count(self) -> int:
        """The number of tokens, at the layer where it is least."""
        found = [c for c in self.profile.counts if (c.stream, c.tokens) == (self.stream, self.tokens)]
        return min((number for counts in found for number in counts.counts), default=0)

    @property
    def bracket_gap(self) -> float | None:
        """How far the plain share lies above the cross-fit share at most, None where the latter was not measured."""
        share, cross = (self.profile.find(name, self.stream, self.tokens) for name in (SHARE, "cross-fit-share"))
        if share is None or cross is None or None in (*share.values, *cross.values):
            return None
        return float((share.array() - cross.array()).max())

    def details(self) -> dict[str, Any]:
        """Return what must stand beside every verdict over documents."""
        prompts = self.profile.prompts
        return {
            "estimand": self.estimand,
            "metric": self.metric,
            "documents": prompts.documents if prompts else 0,
            "units": len(self.pv),
            "groups": prompts.units if prompts else 0,
            "token_count": self.count,
            "width": self.profile.model.width,
            "layers": list(self.layers),
            "estimates": self.pv.mean(axis=0).tolist(),
            "bracket_gap": self.bracket_gap,
        }


def sample(profile: Profile, metric: str, stream: str, tokens: str) -> Sample | str:
    """Return the sample to judge, or why there is none; documents without such tokens are left out."""
    if profile.model.source == "published":
        return "a published profile has no documents to leave out"
    curve, found = profile.find(metric, stream, tokens), profile.pseudo_values(metric, stream, tokens)
    if curve is None:
        return f"{metric} of {tokens} tokens was not measured on the {stream} stream"
    if curve.missing:
        return f"{metric} has no value at layer {curve.missing[0].layer}: {curve.missing[0].reason}"
    if found is None:
        none = (
            "the run kept nothing of single documents (one document, --no-intervals or an older aniso); profile the "
            "model again on several"
        )
        return curve.no_interval or none
    known = np.isfinite(found.values).all(axis=1)
    if not known.any():
        return f"no document has {tokens} tokens at every layer"
    units = tuple(np.flatnonzero(known).tolist())
    return Sample(profile, metric, stream, tokens, found.layers, found.values[known], units)


Drawing = Callable[..., np.random.Generator]


def drawing(rng: np.random.Generator) -> Drawing:
    """Return a function that gives a generator for each subject by name, whatever else is judged before it."""
    root = int(rng.integers(2**32))
    return lambda *names: np.random.default_rng([root, *"\0".join(names).encode()])


def not_testable(hypothesis: str, subject: str, reason: str, stream: str = "", tokens: str = "") -> Verdict:
    """Return the verdict that a claim cannot be judged over documents, with the reason."""
    return Verdict(hypothesis, "rigorous", subject, "not_testable", reason, stream=stream, tokens=tokens)


def left_out(values: Array, estimate: float) -> Array:
    """Return the estimate without each unit, float64[units], from pseudo-values and the estimate of all."""
    n = len(values)
    without: Array = (n * estimate - values) / (n - 1)
    return without


def robust(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts of one claim on several token sets, flagged where they differ."""
    outcomes = {v.outcome for v in verdicts if v.outcome != "not_testable"}
    if len(outcomes) < 2:  # noqa: PLR2004 - two outcomes differ
        return list(verdicts)
    return [replace(verdict, flags=(*verdict.flags, "not robust to first tokens")) for verdict in verdicts]


def over_token_sets(judge: Callable[[str], Verdict]) -> list[Verdict]:
    """Return the verdicts of a claim on each token set that claims are judged on."""
    return robust([judge(tokens) for tokens in JUDGED])


def flags(found: Sample, peaks: Sequence[int] = ()) -> tuple[str, ...]:
    """Return what weakens a verdict over the share's profile; `peaks` are the layers that its peak may be at."""
    said = []
    values, layers = found.pv.mean(axis=0), np.array(found.layers)
    noise = noise_share(found.count, found.profile.model.width)
    low = layers[values < noise]
    if len(low):
        said.append(f"not told from isotropic noise at {_named(low)}, where shares below {noise:.3f} are")
    said += artefacts(found, peaks)
    return tuple(said)


def noise_share(count: int, width: int) -> float:
    """Return the share below which a profile of so many tokens is not told from isotropic noise: 1.5 times noise's."""
    noise: float = (1 + np.sqrt(width / max(count - 1, 1))) ** 2 / width  # Marchenko & Pastur
    return _ISOTROPIC * noise


def inadequate(found: Sample, delta: float) -> str:
    """Return why the metric is too uncertain in itself to conclude anything, empty where it is not.

    Leaving documents out frees estimates from bias of first order. Where that moves a layer by more than half of the
    smallest effect that matters, what is left of the bias may matter, too.
    """
    plain = found.profile.curve(found.metric, found.stream, found.tokens).array()
    moved = found.pv.mean(axis=0) - plain
    worst = int(np.abs(moved).argmax())
    if abs(moved[worst]) <= delta / 2:
        return ""
    return (
        f"too little text: at layer {found.layers[worst]} the estimate is {plain[worst]:.3f}, and freed from bias "
        f"{plain[worst] + moved[worst]:.3f}"
    )


def artefacts(found: Sample, peaks: Sequence[int]) -> list[str]:
    """Return, in one flag or none, whether first or massive tokens make the peak of all tokens."""
    if found.tokens != "all" or found.metric != SHARE:
        return []
    values = found.pv.mean(axis=0)
    top = found.layers[int(values.argmax())]
    said = []
    for name, tokens in (("first-token-share", "first tokens"), ("massive-token-share", "massive tokens")):
        share = found.profile.find(name, found.stream, "all")
        held = share.at(top) if share else None
        if held is not None and held > HELD:
            said.append(f"{tokens} hold {held:.0%} of the variance along the first direction at L* = {top}")
    bulk = found.profile.find(SHARE, found.stream, "bulk")
    if peaks and bulk is not None and None not in bulk.values:
        other = bulk.layers[int(bulk.array().argmax())]
        if other not in peaks:
            said.append(f"without first and massive tokens L* is {other}")
    return [f"token_artefact: {'; '.join(said)}"] if said else []


def span(layers: Sequence[int]) -> str:
    """Return layers in words, as in `layers 3 to 7` or `layers 3, 5 to 7`."""
    return _named(np.array(sorted(layers)))


def _named(layers: Any) -> str:
    runs = np.split(layers, np.flatnonzero(np.diff(layers) > 1) + 1)
    said = ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    return f"layer {said}" if len(layers) == 1 else f"layers {said}"


def plain(record: Any) -> Mapping[str, Any]:
    """Return a test's result as the plain numbers of a verdict's details."""
    return {name: value for name, value in vars(record).items() if not isinstance(value, np.ndarray)}
