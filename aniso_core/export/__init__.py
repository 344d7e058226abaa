"""Ways out of a profile: tidy rows as CSV, JSON, Parquet and data frames, a labelled data set, and a LaTeX table.

Nothing but the standard library is needed for the first two and the last; the others want `aniso[data]`.
"""

from aniso_core.export.latex import to_latex
from aniso_core.export.plain import to_csv, to_json
from aniso_core.export.rows import Row, Selection, tidy_rows

__all__ = ["Row", "Selection", "tidy_rows", "to_csv", "to_json", "to_latex"]
