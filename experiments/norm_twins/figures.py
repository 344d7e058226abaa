"""The figures of the page."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aniso_core import drawing
from aniso_core.records import Profile, ReportFile
from aniso_core.rigorous import SHARE
from aniso_gaugeflat import SESOI
from aniso_report.figures.looks import SERIES
from aniso_report.figures.media import MEDIA, style
from aniso_twins.norms import NORMS
from aniso_twins.plan import Training
from aniso_twins.training import MATCHED
from norm_twins.evidence import PLACES, Evidence, Pair, Place, apart, highest, over_seeds, spread

_LOOKS = dict(zip(("layernorm", "rmsnorm"), SERIES, strict=False))
_SAID = {
    "layernorm": "LayerNorm",
    "rmsnorm": "RMSNorm",
    "no-gain": "no gain",
    "no-bias": "no bias",
    "no-centre": "no centring",
}
_WIDTH = 9.0
_KINDS = ("png",)


def draw(found: Evidence) -> Iterator[ReportFile]:
    """Yield every figure of the page as a file."""
    with style(MEDIA["screen"]):
        for name, figure in (
            ("profiles", profiles(found)),
            ("differences", differences(found)),
            ("training", training(found)),
            ("ladder", ladder(found)),
        ):
            yield from drawing.files(figure, f"norm-twins-{name}", _KINDS)


def profiles(found: Evidence) -> Figure:
    """Draw the share over layers after the last step, all seeds of both norms."""
    figure, panels = _sheet(2, 2, 5.6)
    pairs = found.pairs(["pairs"], "rmsnorm", found.designed.last)
    for axes, place in zip(panels, PLACES, strict=True):
        for norm, measured in _by_norm(pairs):
            curves = [profile.curve(SHARE, *place) for profile in measured]
            _band(axes, curves[0].layers, [curve.array() for curve in curves], norm)
        axes.set(title=_named(place), xlabel="layer", ylabel=SHARE.replace("-", " "))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend()
    return figure


def differences(found: Evidence) -> Figure:
    """Draw how much flatter RMSNorm twins are, pair by pair, with the mean and its exact interval."""
    figure, (axes,) = _sheet(1, 1, 3.4)
    at = ((found.designed.last, "last step"), (MATCHED, "same loss"))
    rows = [(place, where, said) for where, said in at for place in PLACES]
    for row, (place, where, _) in enumerate(rows):
        _row(axes, -row, found.pairs(["pairs"], "rmsnorm", where), place)
    axes.set_yticks([-row for row in range(len(rows))], [f"{said}: {_named(place)}" for place, _, said in rows])
    _about_zero(axes, "difference of unevenness, RMSNorm less LayerNorm; left: RMSNorm is flatter")
    return figure


def ladder(found: Evidence) -> Figure:
    """Draw how much flatter twins with each norm of the ladder are than with LayerNorm, seed by seed."""
    figure, panels = _sheet(2, 2, 5.0, shared=True)
    last = found.designed.last
    rows = [(_SAID[norm], found.pairs(["pairs", "ladder"], norm, last)) for norm in NORMS if norm != "layernorm"]
    if deeper := found.pairs(["deeper"], "rmsnorm", last):
        rows.append((f"RMSNorm, {found.arm('deeper').blocks} blocks", deeper))
    for axes, place in zip(panels, PLACES, strict=True):
        for row, (_, pairs) in enumerate(rows):
            _row(axes, -row, pairs, place)
        axes.set_yticks([-row for row in range(len(rows))], [f"{said}, {len(pairs)} seeds" for said, pairs in rows])
        axes.set_title(_named(place))
        _about_zero(axes, "difference of unevenness from LayerNorm")
        axes.label_outer()
    return figure


def training(found: Evidence) -> Figure:
    """Draw over the steps the held-out loss, how much the share varies, and how much first tokens stand out."""
    figure, panels = _sheet(2, 2, 5.6)
    plans = found.designed.plans(found.arm("pairs"))
    steps = plans[0].recipe.grid()
    _losses(panels[0], [found.trainings[plan.name] for plan in plans])
    measures: dict[str, Callable[[Profile], float]] = {
        "sd of the share over layers": lambda profile: spread(profile, ("residual", "bulk")),
        "largest first token share": lambda profile: highest(profile, "first-token-share"),
        "largest sink ratio": lambda profile: highest(profile, "sink-ratio"),
    }
    for axes, (said, value) in zip(panels[1:], measures.items(), strict=True):
        at = [dict(_by_norm(found.pairs(["pairs"], "rmsnorm", f"step{step}"))) for step in steps]
        for norm in _LOOKS:
            values = np.array([[value(profile) for profile in measured[norm]] for measured in at])
            _band(axes, steps, list(values.T), norm)
        axes.set(xlabel="step", ylabel=said)
    for axes in panels:
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(left=0)
    panels[0].legend()
    return figure


def _losses(axes: Axes, trainings: Sequence[Training]) -> None:
    for norm in _LOOKS:
        curves = [t.curve for t in trainings if t.plan.norm == norm and t.diverged_at is None]
        _band(axes, [p.step for p in curves[0]], [np.array([p.held_out for p in curve]) for curve in curves], norm)
    axes.axhline(trainings[0].plan.recipe.until_loss or 0.0, color="0.5", lw=0.8)
    axes.set(xlabel="step", ylabel="held-out loss, nats per token")


def _band(axes: Axes, at: Sequence[int], curves: Sequence[np.ndarray], norm: str) -> None:
    """Draw the mean over seeds as a line and their range as a band."""
    mean, least, most = over_seeds(curves)
    look = _LOOKS[norm]
    axes.plot(at, mean, label=f"{_SAID[norm]}, {len(curves)} seeds", **look.of(len(at)))
    axes.fill_between(at, least, most, color=look.colour, alpha=0.2, lw=0)


def _by_norm(pairs: Sequence[Pair]) -> list[tuple[str, list[Profile]]]:
    """Return the two norms of the pairs, each with its profiles."""
    return [("layernorm", [pair.layernorm for pair in pairs]), ("rmsnorm", [pair.other for pair in pairs])]


def _row(axes: Axes, height: float, pairs: Sequence[Pair], place: Place) -> None:
    """Draw the differences of pairs as dots, their mean as a bar with its interval where there is one."""
    bounds, values = apart([pair.flatness(place) for pair in pairs]), [pair.difference(place) for pair in pairs]
    axes.plot(values, [height] * len(values), "o", color="C0", mfc="none", ms=4, alpha=0.7)
    if np.isfinite(bounds.low):
        axes.plot([bounds.low, bounds.high], [height] * 2, color="C3", lw=1.6)
    axes.plot(bounds.estimate, height, "|", color="C3", ms=12, mew=1.8)


def _about_zero(axes: Axes, label: str) -> None:
    """Mark zero, and in grey what is too little to matter."""
    axes.axvspan(-SESOI, SESOI, color="0.92", zorder=0)
    axes.axvline(0, color="0.5", lw=0.8)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.12)


def _sheet(rows: int, columns: int, height: float, *, shared: bool = False) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, list(np.ravel(figure.subplots(rows, columns, sharex=shared, sharey=shared)))


def _named(place: Place) -> str:
    stream, tokens = place
    return f"{stream}, {tokens} tokens"
