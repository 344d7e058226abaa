"""A profile's numbers as tidy rows: one row per model, stream, token set, layer and metric."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aniso_core.errors import AnisoError
from aniso_core.records import PAPER, Curve, Profile
from aniso_core.text import nearest_first, short


class Row(NamedTuple):
    """One number and what it is about; None where it is undefined or was not computed.

    `depth` is from 0 to 1; `low` and `high` bound it at 95 %, `corrected` is it without first-order bias, `se` the
    standard error of that, `n` the number of tokens behind it.
    """

    model: str
    stream: str
    tokens: str
    layer: int
    depth: float
    metric: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    corrected: float | None
    se: float | None
    n: int | None


@dataclass(frozen=True)
class Selection:
    """Which curves are wanted: those of the named metrics, streams and token sets, and of all where none is named."""

    metrics: Sequence[str] = ()
    streams: Sequence[str] = ()
    tokens: Sequence[str] = ()

    def curves(self, profile: Profile) -> Iterator[Curve]:
        """Yield each stored curve that is wanted, then those of the view `paper` wherever it can be composed."""
        for curve in [*profile.curves, *_paper_views(profile)]:
            wanted = ((curve.metric, self.metrics), (curve.stream, self.streams), (curve.tokens, self.tokens))
            if all(not names or name in names for name, names in wanted):
                yield curve

    def check(self, profiles: Sequence[Profile]) -> None:
        """Raise AnisoError where none of the profiles has a metric that is named, or nothing is wanted of any."""
        held = {curve.metric for profile in profiles for curve in profile.curves}
        for name in self.metrics:
            if name not in held:
                known = ", ".join(nearest_first(name, held)) or "none"
                message = f"There is no metric {short(name)!r} here; what was measured is {known}."
                raise AnisoError(message)
        if not any(True for profile in profiles for _ in self.curves(profile)):
            places = sorted({f"{c.stream}/{c.tokens}" for p in profiles for c in Selection(self.metrics).curves(p)})
            message = f"There is nothing on these streams and token sets; there is {', '.join(places) or 'no curve'}."
            raise AnisoError(message)


EVERYTHING = Selection()


def tidy_rows(profiles: Sequence[Profile], wanted: Selection = EVERYTHING) -> Iterator[Row]:
    """Yield each stored number that is wanted, then those of the view `paper` wherever it can be composed."""
    for profile in profiles:
        counts = _counts(profile)
        for curve in wanted.curves(profile):
            for i, layer in enumerate(curve.layers):
                yield Row(
                    model=profile.model.name,
                    stream=curve.stream,
                    tokens=curve.tokens,
                    layer=layer,
                    depth=profile.depth(layer),
                    metric=curve.metric,
                    value=_finite(curve.values[i]),
                    low=_finite(curve.low[i]) if curve.low else None,
                    high=_finite(curve.high[i]) if curve.high else None,
                    unit=curve.unit,
                    corrected=_finite(curve.corrected[i]) if curve.corrected else None,
                    se=_finite(curve.se[i]) if curve.se else None,
                    n=counts.get((curve.stream, curve.tokens, layer)),
                )


def _paper_views(profile: Profile) -> Iterator[Curve]:
    stored = {(curve.metric, curve.tokens) for curve in profile.curves if curve.stream == PAPER}
    for metric, tokens in dict.fromkeys((curve.metric, curve.tokens) for curve in profile.curves):
        if (metric, tokens) not in stored:
            view = profile.find(metric, PAPER, tokens)
            if view is not None:
                yield view


def _counts(profile: Profile) -> dict[tuple[str, str, int], int]:
    """Return the number of tokens by stream, token set and layer, those of the view `paper` among them."""
    last = profile.model.layers
    known = {(c.stream, c.tokens, n): k for c in profile.counts for n, k in zip(c.layers, c.counts, strict=False)}
    ends = {(PAPER, tokens, n): k for (stream, tokens, n), k in known.items() if stream == "normed" and n == last}
    before = {(PAPER, tokens, n): k for (stream, tokens, n), k in known.items() if stream == "residual"}
    return known | before | ends


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
