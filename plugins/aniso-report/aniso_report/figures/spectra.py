"""The figure `spectra`: eigenvalue spectra at five depths, of all tokens and of the bulk."""

from collections.abc import Iterator

import numpy as np

from aniso_core.records import Array, Profile, ReportFile
from aniso_report import reading
from aniso_report.figures import sheet

_ROUNDING = 1e-10
"""Share below which an eigenvalue is zero up to rounding: of n tokens no more than n - 1 are not."""


def draw(profile: Profile, label: str, name: str) -> Iterator[ReportFile]:
    """Yield the spectra figure, none where the profile kept no spectra."""
    layers = _layers(profile)
    held = {tokens: _shares(profile, tokens, layers) for tokens in sheet.TOKEN_SETS}
    held = {tokens: shares for tokens, shares in held.items() if shares}
    if not held:
        return
    with sheet.style():
        figure, axes = sheet.new(sheet.caption(profile), (1, len(held)), (4.1, 2.5), sharey=True)
        for place, (tokens, spectra) in zip(axes, held.items(), strict=True):
            for layer, look in zip(layers, sheet.SERIES, strict=False):
                if layer in spectra:
                    share = spectra[layer]
                    marks = np.unique(np.geomspace(1, len(share), 8).astype(int) - 1).tolist()
                    line = look.of(len(share)) | {"markevery": marks}
                    place.plot(np.arange(1, len(share) + 1), share, label=_name(profile, layer), **line)
            place.set(title=f"{tokens} tokens", xlabel="rank of the eigenvalue", xscale="log", yscale="log")
            sheet.label_powers(place.xaxis, place.yaxis)
        axes[0].set_ylabel("share of variance")
        sheet.head(figure, label, axes[0])
        yield from sheet.files(figure, name)


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
