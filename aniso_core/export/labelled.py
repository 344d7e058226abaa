"""A profile as a labelled data set of xarray, which is imported when it is asked for."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aniso_core.errors import AnisoError
from aniso_core.export.frames import needed
from aniso_core.export.rows import Row, tidy_rows
from aniso_core.records import Profile
from aniso_core.text import short

if TYPE_CHECKING:
    import xarray as xr

_DIMS = ("stream", "tokens", "layer")
_BESIDE = ("low", "high", "corrected", "se")
_Place = tuple[str, str, int]
_Variable = tuple[Sequence[str], Any, dict[str, str]]
"""The dimensions of a variable, its values and its attributes."""


def to_xarray(profile: Profile) -> "xr.Dataset":
    """Return a data set with a variable for each metric over stream, token set and layer; NaN where there is no number.

    Metrics have units of their own, so each is a variable with its `units`, beside `METRIC_low`, `METRIC_high`,
    `METRIC_corrected` and `METRIC_se` where it has intervals. `n` is the number of tokens, `spectrum` the
    eigenvalues (`rank` counts them, 1 the largest), `norm_gain_mean` and `norm_gain_sd` are over the layers alone, and
    `depth` goes with `layer`. Raises AnisoError where xarray is missing, or a metric has the name of one of these.
    """
    xarray = needed("xarray")
    rows = list(tidy_rows([profile]))
    grid = _Grid([*(_place(row) for row in rows), *(_place(spectrum) for spectrum in profile.spectra)])
    made: dict[str, _Variable] = {}
    for name, variable in [*_metrics(rows, grid), *_beside_metrics(profile, rows, grid)]:
        if name in {*made, *_DIMS, "depth", "rank"}:
            message = f"Two things in the data set would be called {short(name)!r}; measure without that metric."
            raise AnisoError(message)
        made[name] = variable
    coordinates: dict[str, Any] = dict(zip(_DIMS, grid.axes, strict=True))
    coordinates["depth"] = "layer", [profile.depth(layer) for layer in grid.axes[2]]
    if "spectrum" in made:
        coordinates["rank"] = range(1, profile.model.width + 1)
    data: xr.Dataset = xarray.Dataset(made, coordinates, _about(profile))
    return data


class _Grid:
    """The streams, token sets and layers that a data set is over."""

    def __init__(self, places: Sequence[_Place]) -> None:
        streams, tokens, layers = (list(dict.fromkeys(place[axis] for place in places)) for axis in range(3))
        self.axes: tuple[Sequence[Any], ...] = (streams, tokens, sorted(layers))
        self._index = [{label: i for i, label in enumerate(axis)} for axis in self.axes]

    def filled(self, cells: Iterable[tuple[_Place, Any]], *more: int) -> Any:
        """Return float64[stream, tokens, layer, *more] that holds the cells' numbers, and NaN elsewhere."""
        import numpy as np

        values = np.full((*map(len, self.axes), *more), np.nan)
        for place, number in cells:
            values[tuple(index[label] for index, label in zip(self._index, place, strict=True))] = number
        return values


def _place(of: Any) -> _Place:
    return of.stream, of.tokens, of.layer


def _metrics(rows: Sequence[Row], grid: _Grid) -> Iterator[tuple[str, _Variable]]:
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.metric, []).append(row)
    for name, own in by_name.items():
        for field in ("value", *_BESIDE):
            known = [(_place(row), getattr(row, field)) for row in own if getattr(row, field) is not None]
            if known or field == "value":
                called = name if field == "value" else f"{name}_{field}"
                yield called, (_DIMS, grid.filled(known), {"units": own[0].unit})


def _beside_metrics(profile: Profile, rows: Sequence[Row], grid: _Grid) -> Iterator[tuple[str, _Variable]]:
    """Yield the counts, the spectra and the norms' gains, where there are any."""
    counted = {_place(row): row.n for row in rows if row.n is not None}
    if counted:
        yield "n", (_DIMS, grid.filled(counted.items()), {"units": "1", "long_name": "number of tokens"})
    width = profile.model.width
    if profile.spectra:
        if any(len(spectrum.values) != width for spectrum in profile.spectra):
            message = (
                f"The profile of {short(profile.model.name)} is damaged: a spectrum has other than {width} values."
            )
            raise AnisoError(message)
        cells = [(_place(spectrum), spectrum.values) for spectrum in profile.spectra]
        about = {"units": "squared state units", "long_name": "eigenvalues of the covariance"}
        yield "spectrum", ((*_DIMS, "rank"), grid.filled(cells, width), about)
    for name in ("gain_mean", "gain_sd") if profile.norms else ():
        by_layer = {norm.layer: getattr(norm, name) for norm in profile.norms}
        values = [by_layer.get(layer, float("nan")) for layer in grid.axes[2]]
        yield f"norm_{name}", (("layer",), values, {"units": "1"})


def _about(profile: Profile) -> dict[str, str]:
    """Return what was measured, as attributes that every file format holds."""
    made, prompts = profile.provenance, profile.prompts
    about = {
        "model": profile.model.name,
        "revision": profile.model.revision,
        "prompts": prompts.name if prompts else "",
        "prompts_sha256": prompts.sha256 if prompts else "",
        "source": made.source or f"aniso {made.versions.get('aniso', '')}".strip(),
        "date": made.started,
    }
    return {name: text for name, text in about.items() if text}
