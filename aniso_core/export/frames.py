"""Tidy rows as a pandas data frame and as Parquet; both are imported when they are asked for."""

import importlib
import io
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from aniso_core.errors import AnisoError
from aniso_core.export.rows import EVERYTHING, Row, Selection, tidy_rows
from aniso_core.records import Profile

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = dict.fromkeys(("depth", "value", "low", "high", "corrected", "se"), "float64")
_NUMBERS |= {"layer": "int64", "n": "int64"}
"""The type of each column that is no text."""


def needed(package: str) -> ModuleType:
    """Return a package of `aniso[data]`; raises AnisoError, saying how to install it, where it cannot be imported."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        message = f"This needs {package}, which cannot be imported ({error}); run: pip install 'aniso[data]'."
        raise AnisoError(message) from error


def to_frame(profiles: Sequence[Profile], wanted: Selection = EVERYTHING) -> "pd.DataFrame":
    """Return the tidy rows as a data frame: text, int64 and float64, NaN where there is no number.

    `n` is pandas' Int64, which knows absent numbers.
    """
    pandas = needed("pandas")
    frame = pandas.DataFrame(_columns(profiles, wanted))
    kinds = {name: "Int64" if name == "n" else kind for name, kind in _NUMBERS.items()}
    return frame.astype({name: kinds.get(name, "str") for name in Row._fields})


def to_parquet(profiles: Sequence[Profile], wanted: Selection = EVERYTHING) -> bytes:
    """Return the tidy rows as a Parquet file: text, int64 and float64, null where there is no number."""
    arrow, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    schema = arrow.schema([(name, _NUMBERS.get(name, "string")) for name in Row._fields])
    out = io.BytesIO()
    parquet.write_table(arrow.table(_columns(profiles, wanted), schema=schema), out)
    return out.getvalue()


def _columns(profiles: Sequence[Profile], wanted: Selection) -> dict[str, list[Any]]:
    rows = list(tidy_rows(profiles, wanted))
    return {name: [row[i] for row in rows] for i, name in enumerate(Row._fields)}
