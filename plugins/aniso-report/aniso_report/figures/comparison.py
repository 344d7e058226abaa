"""The figure `comparison`: the share of several models against relative depth."""

from collections.abc import Iterator, Sequence

import numpy as np

from aniso_core.records import PAPER, Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import curve
from aniso_report.figures.looks import TOKEN_SETS, series
from aniso_report.figures.media import Medium
from aniso_report.figures.sheet import Sheet
from aniso_report.names import labels

_CAPTION = "Depth 0 is the input, 1 the last block. Open diamonds lie after the final norm. Published: others measured."


def draw(profiles: Sequence[Profile], name: str, medium: Medium) -> Iterator[ReportFile]:
    """Yield the comparison, none where no profile holds the share; open diamonds lie after a final norm."""
    there = [
        tokens
        for tokens in TOKEN_SETS
        if any(reading.curve(p, reading.SHARE, reading.main_stream(p), tokens) for p in profiles)
    ]
    if not there:
        return
    sheet = Sheet(medium, _CAPTION, len(there), 0.68, sharey=True)
    named = _names(profiles, sheet)
    for place, tokens in zip(sheet.axes, there, strict=True):
        for profile, label, look in zip(profiles, named, series(), strict=False):
            found = reading.curve(profile, reading.SHARE, reading.main_stream(profile), tokens)
            if found is None:
                continue
            layers, values = curve.line(profile, found)
            line = look.of(3 * len(layers))  # a third of the markers, so that dashes show between them
            place.plot(layers / profile.model.layers, values, label=curve.named(label), **line)
            after = reading.after_final_norm(profile, reading.SHARE, tokens)
            if after is not None:
                depth = profile.depth(profile.model.layers - 1)
                before = np.append(values[layers == profile.model.layers - 1], np.nan)[0]
                curve.diamond(place, (depth, 1.0), (before, after), look)
        place.set(title=f"{tokens} tokens", xlabel="relative depth", ylim=(0, 1.03))
    for place in sheet.axes[:: sheet.columns]:
        place.set_ylabel("share of variance")
    yield from sheet.finish("Share of the first direction over depth", sheet.axes[0], name)


def _names(profiles: Sequence[Profile], sheet: Sheet) -> list[str]:
    """Return what to call the profiles, cut to as many characters, of 40 to 12, as fit in the legend."""
    sources = [" (published)" if reading.main_stream(profile) == PAPER else "" for profile in profiles]
    for width in range(40, 11, -2):
        named = [f"{label}{source}" for label, source in zip(labels(profiles, width), sources, strict=True)]
        if sheet.fits(named):
            break
    return named
