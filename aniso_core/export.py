"""A profile's numbers as tidy rows: one row per model, stream, token set, layer and metric."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aniso_core.records import PAPER, Curve, Profile
from aniso_core.text import visible

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - read as formulas too
"""Beginnings that make a spreadsheet take a text for a formula, full-width forms included."""


class Row(NamedTuple):
    """One number and what it is about; None where it is undefined or has no interval (`low`, `high`: 95 %)."""

    model: str
    stream: str
    tokens: str
    layer: int
    depth: float
    metric: str
    value: float | None
    low: float | None
    high: float | None


def tidy_rows(profiles: Sequence[Profile]) -> Iterator[Row]:
    """Yield each stored number, then those of the view `paper` wherever it can be composed."""
    for profile in profiles:
        for curve in [*profile.curves, *_paper_views(profile)]:
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
                )


def to_csv(profiles: Sequence[Profile]) -> str:
    """Return the tidy rows as CSV with a header; floats at full precision, empty where there is no number.

    A text that a spreadsheet would run as a formula gets a leading apostrophe; control characters are escaped.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in tidy_rows(profiles):
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def to_json(profiles: Sequence[Profile]) -> str:
    """Return the tidy rows as a JSON list of objects, one a line; null where there is no number."""
    rows = ",\n".join(json.dumps(row._asdict(), allow_nan=False) for row in tidy_rows(profiles))
    return f"[\n{rows}\n]\n"


def _paper_views(profile: Profile) -> Iterator[Curve]:
    stored = {(curve.metric, curve.tokens) for curve in profile.curves if curve.stream == PAPER}
    for metric, tokens in dict.fromkeys((curve.metric, curve.tokens) for curve in profile.curves):
        if (metric, tokens) not in stored:
            view = profile.find(metric, PAPER, tokens)
            if view is not None:
                yield view


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _inert(text: str) -> str:
    return f"'{visible(text)}" if text.startswith(_FORMULA_STARTS) else visible(text)
