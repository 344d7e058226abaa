"""Tidy rows as CSV and as JSON."""

import csv
import io
import json
from collections.abc import Sequence

from aniso_core.export.rows import EVERYTHING, Row, Selection, tidy_rows
from aniso_core.records import Profile
from aniso_core.text import visible

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - read as formulas too
"""Beginnings that make a spreadsheet take a text for a formula, full-width forms included."""


def to_csv(profiles: Sequence[Profile], wanted: Selection = EVERYTHING) -> str:
    """Return the tidy rows as CSV with a header; floats at full precision, empty where there is no number.

    A text that a spreadsheet would run as a formula gets a leading apostrophe; control characters are escaped.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in tidy_rows(profiles, wanted):
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def to_json(profiles: Sequence[Profile], wanted: Selection = EVERYTHING) -> str:
    """Return the tidy rows as a JSON list of objects, one a line; null where there is no number."""
    rows = ",\n".join(json.dumps(row._asdict(), allow_nan=False) for row in tidy_rows(profiles, wanted))
    return f"[\n{rows}\n]\n"


def _inert(text: str) -> str:
    return f"'{visible(text)}" if text.startswith(_FORMULA_STARTS) else visible(text)
