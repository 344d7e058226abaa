"""What reporters share that draw with matplotlib: style sheets, settings that these cannot change, and files."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib import RcParams, get_data_path, rc_params_from_file, rcParams
from matplotlib import style as styles
from matplotlib.figure import Figure

from aniso_core.errors import AnisoError
from aniso_core.records import ReportFile
from aniso_core.text import nearest_first, short, visible

_ALWAYS = {
    "text.usetex": False,  # names of models would run as TeX
    "pdf.fonttype": 42,  # text stays text in the PDF, as journals ask
    "svg.fonttype": "path",  # fonts that a reader lacks are shown all the same
    "svg.hashsalt": "aniso",
    "savefig.bbox": None,  # the width is what was asked for
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}
"""What no style sheet changes."""

_INFORMATION = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None, "Creator": None},
}
"""What would make the same figure differ from one day or machine to the next."""

_DPI = 150


@cache
def shipped_sheets() -> dict[str, Path]:
    """Return the style sheets that matplotlib ships, by name."""
    found = Path(get_data_path(), "stylelib").glob("[!_]*.mplstyle")  # those with _ are its own tests'
    return {sheet.stem: sheet for sheet in sorted(found)}


def sheet_settings(sheet: Path) -> RcParams:
    """Return the settings of a style sheet; raises AnisoError where it has one that matplotlib does not take."""
    try:
        lines = sheet.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"The style sheet {visible(sheet)} cannot be read ({visible(error)}); name another file."
        raise AnisoError(message) from error
    for number, line in enumerate(lines, start=1):
        # matplotlib leaves such lines out, with many words.
        key, colon, _ = (part.strip() for part in line.partition("#")[0].partition(":"))
        if key and not colon:
            message = f"{visible(sheet)}, line {number}: {short(key)!r} has no colon; correct the style sheet."
            raise AnisoError(message)
        if key and key not in rcParams:
            message = (
                f"{visible(sheet)}, line {number}: matplotlib has no setting {short(key)!r}; the nearest is "
                f"{nearest_first(key, rcParams)[0]!r}. Correct the style sheet."
            )
            raise AnisoError(message)
    try:
        # As a path, since matplotlib would fetch a text that begins with http.
        return rc_params_from_file(sheet, fail_on_error=True, use_default_template=False)
    except Exception as error:  # each setting has a check of its own, which raises what it likes
        message = f"{visible(sheet)}: {short(error, 200).rstrip('.')}; correct the style sheet."
        raise AnisoError(message) from error


@contextmanager
def drawing(*looks: Mapping[str, Any], sheets: Sequence[Path] = ()) -> Iterator[None]:
    """Draw in matplotlib's defaults, in settings over them and in style sheets on top, the last one on top of all.

    The user's matplotlibrc changes nothing, and their settings are left as they were. Raises AnisoError for a style
    sheet that matplotlib does not take.
    """
    layers: list[Any] = ["default", *looks, *map(sheet_settings, sheets), _ALWAYS]
    with styles.context(layers), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn with boxes; that must not stop a run.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def files(figure: Figure, name: str, kinds: Sequence[str]) -> Iterator[ReportFile]:
    """Yield the figure in each format, the same bytes every time."""
    for kind in kinds:
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=_DPI, metadata=_INFORMATION[kind])
        yield ReportFile(f"{name}.{kind}", out.getvalue())
