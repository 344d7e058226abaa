"""The table over layers that console and page share: which columns, which rows, which cell is the largest."""

from dataclasses import dataclass

from aniso_core.records import PAPER, Curve, Profile
from aniso_report import reading
from aniso_report.reading import RESIDUAL, SHARE

_MOST_ROWS = 14
_MOST_COLUMNS = 6


@dataclass(frozen=True)
class Column:
    """A heading in two parts, and one text for each state 0..L, empty where there is no value."""

    top: str
    below: str
    cells: tuple[str, ...]


def columns(profile: Profile) -> list[Column]:
    """Return the columns that hold a value; the largest share of each view carries a star.

    Without the share and its company, the profile's own first metrics stand in.
    """
    main = reading.main_stream(profile)
    wanted = [
        *((SHARE, stream, tokens, "share", f"{stream} {tokens}") for stream, tokens in SHARES),
        ("effective-rank", main, "all", "effective", "rank"),
        ("cosine-to-mean", main, "all", "cosine", "to mean"),
        ("norm-cv", main, "all", "norm", "CV"),
        ("first-token-share", main, "all", "first", "token"),
    ]
    if not any(reading.curve(profile, metric, stream, tokens) for metric, stream, tokens, _, _ in wanted):
        others = [c for c in profile.curves if c.stream == main and c.tokens == "all"][:_MOST_COLUMNS]
        wanted = [(c.metric, main, "all", *_halves(c.metric)) for c in others]
    found = [(reading.curve(profile, metric, stream, tokens), top, low) for metric, stream, tokens, top, low in wanted]
    return [Column(top, low, _cells(profile, curve)) for curve, top, low in found if curve is not None]


SHARES = ((RESIDUAL, "all"), (RESIDUAL, "bulk"), (PAPER, "all"))
"""The views of the share that are always shown side by side."""


def rows(profile: Profile) -> tuple[list[int], str]:
    """Return the states to show where not all fit, and the sentence that says so (empty where all do).

    Every k-th, each view's L* and the last two, with the smallest k that keeps the table short.
    """
    last = profile.model.layers
    if last < _MOST_ROWS:
        return list(range(last + 1)), ""
    peaks = {peak.layer for stream, tokens in SHARES if (peak := reading.peak(profile, stream, tokens))}
    always = peaks | {last - 1, last}
    step, shown = 1, set(range(last + 1))
    while len(shown) > _MOST_ROWS:
        step += 1
        shown = {*range(0, last + 1, step), *always}
    return sorted(shown), f"Every {_ordinal(step)} of {last + 1} states, each L*, and the last two."


def number(value: float | None, *, whole: bool = False) -> str:
    """Return a number in at most seven characters and three digits or more, a `whole` one as it is; empty for none."""
    if value is None:
        return ""
    size = abs(value)
    if whole and size < 1e6:  # noqa: PLR2004 - six digits and a sign
        return f"{value:.0f}"
    if size >= 1e5 or 0 < size < 1e-3:  # noqa: PLR2004 - where digits no longer fit
        return f"{value:.1e}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"  # noqa: PLR2004 - digits


def whole(curve: Curve) -> bool:
    """Return whether a curve counts something: each value that it has is a whole number."""
    return all(value is None or float(value).is_integer() for value in curve.values)


def _cells(profile: Profile, curve: Curve) -> tuple[str, ...]:
    peak = reading.peak(profile, curve.stream, curve.tokens, curve.metric) if curve.metric == SHARE else None
    star = peak.layer if peak else None
    return tuple(
        number(curve.at(layer), whole=whole(curve)) + ("*" if layer == star else " " if star is not None else "")
        for layer in range(profile.model.layers + 1)
    )


def _halves(metric: str) -> tuple[str, str]:
    """Return a name in two parts, cut at the hyphen that makes the longer part as short as may be."""
    cuts = [at for at, char in enumerate(metric) if char == "-"] or [len(metric)]
    cut = min(cuts, key=lambda at: max(at, len(metric) - at - 1))
    return metric[:cut], metric[cut + 1 :]


def _ordinal(k: int) -> str:
    ending = "th" if k % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{ending}"
