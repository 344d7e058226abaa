"""The figure `comparison`: the share of several models against relative depth."""

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np

from aniso_core.records import PAPER, Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import curve, sheet
from aniso_report.names import labels


def draw(profiles: Sequence[Profile], name: str) -> Iterator[ReportFile]:
    """Yield the comparison, none where no profile holds the share; open diamonds lie after a final norm."""
    there = [
        tokens
        for tokens in sheet.TOKEN_SETS
        if any(reading.curve(p, reading.SHARE, reading.main_stream(p), tokens) for p in profiles)
    ]
    if not there:
        return
    with sheet.style():
        caption = "Open diamonds lie after the final norm. Published profiles are those that others measured."
        figure, axes = sheet.new(caption, (1, len(there)), (4.1, 2.8), sharey=True)
        for place, tokens in zip(axes, there, strict=True):
            for profile, label, look in zip(profiles, labels(profiles, 40), cycle(sheet.SERIES), strict=False):
                stream = reading.main_stream(profile)
                found = reading.curve(profile, reading.SHARE, stream, tokens)
                if found is None:
                    continue
                layers, values = curve.line(profile, found)
                shown = f"{label} (published)" if stream == PAPER else label
                place.plot(layers / profile.model.layers, values, label=shown, **look.of(len(layers)))
                after = reading.after_final_norm(profile, reading.SHARE, tokens)
                if after is not None:
                    depth = profile.depth(profile.model.layers - 1)
                    before = np.append(values[layers == profile.model.layers - 1], np.nan)[0]
                    curve.diamond(place, (depth, 1.0), (before, after), look)
            place.set(title=f"{tokens} tokens", xlabel="relative depth (0: input, 1: last block)", ylim=(0, 1.03))
        axes[0].set_ylabel("share of variance")
        sheet.head(figure, "Share of the first direction over depth", axes[0])
        yield from sheet.files(figure, name)
