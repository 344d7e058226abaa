"""The figure `spectra`: eigenvalue spectra at five depths, of all tokens and of the bulk."""

from collections.abc import Iterator

import numpy as np

from aniso_core.records import Array, Profile, ReportFile
from aniso_report import reading
from aniso_report.figures.looks import SERIES, TOKEN_SETS
from aniso_report.figures.media import Medium
from aniso_report.figures.powers import label_powers
from aniso_report.figures.sheet import Sheet, caption

_ROUNDING = 1e-10
"""Share below which an eigenvalue is zero up to rounding: of n tokens no more than n - 1 are not."""


def draw(profile: Profile, label: str, name: str, medium: Medium) -> Iterator[ReportFile]:
    """Yield the spectra figure, none where the profile kept no spectra."""
    layers = _layers(profile)
    held = {tokens: _shares(profile, tokens, layers) for tokens in TOKEN_SETS}
    held = {tokens: shares for tokens, shares in held.items() if shares}
    if not held:
        return
    sheet = Sheet(medium, caption(profile), len(held), 0.61, sharey=True)
    for place, (tokens, spectra) in zip(sheet.axes, held.items(), strict=True):
        for layer, look in zip(layers, SERIES, strict=False):
            if layer in spectra:
                share = spectra[layer]
                marks = np.unique(np.geomspace(1, len(share), 8).astype(int) - 1).tolist()
                line = look.of(len(share)) | {"markevery": marks}
                place.plot(np.arange(1, len(share) + 1), share, label=_name(profile, layer), **line)
        place.set(title=f"{tokens} tokens", xlabel="rank of the eigenvalue", xscale="log", yscale="log")
        label_powers(place.xaxis, place.yaxis)
    for place in sheet.axes[:: sheet.columns]:
        place.set_ylabel("share of variance")
    yield from sheet.finish(label, sheet.axes[0], name)


def _layers(profile: Profile) -> list[int]:
    """Return layers 0, L*/2, L*, midway to the last, and the last; quarters of the depth where there is no L*."""
    last = profile.model.layers
    peak = reading.peak(profile, reading.main_stream(profile))
    top = peak.layer if peak else last // 2
    return sorted({0, top // 2, top, (top + last) // 2, last})


def _shares(profile: Profile, tokens: str, layers: list[int]) -> dict[int, Array]:
    found: dict[int, Array] = {}
    for spectrum in profile.spectra:
        if (spectrum.stream, spectrum.tokens) == (reading.RESIDUAL, tokens) and spectrum.layer in layers:
            total = float(spectrum.values.sum())
            share = spectrum.values / total if total > 0 else spectrum.values[:0]
            kept = share[share > _ROUNDING]
            if kept.size:
                found[spectrum.layer] = kept
    return found


def _name(profile: Profile, layer: int) -> str:
    peak = reading.peak(profile, reading.main_stream(profile))
    return f"layer {layer} (L*)" if peak and peak.layer == layer else f"layer {layer}"
