r"""A LaTeX table (booktabs): for each model where a metric is extreme, how large it is there, and its interval."""

import re
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from aniso_core.export.rows import Selection
from aniso_core.records import PAPER, Curve, Profile
from aniso_core.text import visible

_METRICS, _STREAMS, _TOKENS = ("top-eigenvalue-share",), (PAPER,), ("all",)
"""What a table holds unless told otherwise: what `aniso compare` shows."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{char: f"\\{char}" for char in "{}$&#_%"},
    '"': r"\char34{}",  # a command in some languages
}


class _Extreme(NamedTuple):
    layer: int
    value: float
    low: float | None
    high: float | None


def to_latex(profiles: Sequence[Profile], wanted: Selection, lower: Container[str] = ()) -> str:
    """Return a `tabular` with a line for each model, stream and token set, and a pair of columns for each metric.

    The pair is the layer where the metric is largest (for those in `lower`, where it is smallest) and its value there
    with the 95 % interval over documents. Every name is escaped. Raises AnisoError where nothing is to be shown.
    """
    chosen = Selection(wanted.metrics or _METRICS, wanted.streams or _STREAMS, wanted.tokens or _TOKENS)
    chosen.check(profiles)
    curves = [(profile, {(c.stream, c.tokens, c.metric): c for c in chosen.curves(profile)}) for profile in profiles]
    named = [name for name in chosen.metrics if any(key[2] == name for _, found in curves for key in found)]
    units = {curve.metric: curve.unit for _, found in curves for curve in found.values()}
    lines = [
        (profile.model.name, stream, tokens, [found.get((stream, tokens, name)) for name in named])
        for profile, found in curves
        for stream, tokens in dict.fromkeys(key[:2] for key in found)
    ]
    several = [len({line[n] for line in lines}) > 1 for n in (1, 2)]
    about = ["model", *(word for word, shown in zip(("stream", "tokens"), several, strict=True) if shown)]
    return "\n".join(
        [
            *_remarks(lines[0][1:3], several),
            rf"\begin{{tabular}}{{{'l' * len(about)}{'rl' * len(named)}}}",
            r"\toprule",
            *_head(len(about), named, units),
            _line([*about, *(word for name in named for word in ("layer", "min" if name in lower else "max"))]),
            r"\midrule",
            *(_line(_cells(line, several, named, lower)) for line in lines),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return foreign text as LaTeX shows it: on one line, with nothing in it that LaTeX would act on."""
    told = "".join(_ESCAPES.get(char, char) for char in visible(text))
    # At the start of a line these would be arguments of the command before it.
    return re.sub(r"^(\s*)([\[*])", r"\1{\2}", told)


def _remarks(place: tuple[str, str], several: Sequence[bool]) -> Iterator[str]:
    yield r"% Needs \usepackage{booktabs}. In brackets: 95 % intervals over documents at that layer."
    same = [
        f"{word} {visible(name)}"
        for word, name, more in zip(("stream", "tokens"), place, several, strict=True)
        if not more
    ]
    if same:
        yield f"% In all lines: {', '.join(same)}."


def _head(first: int, names: Sequence[str], units: dict[str, str]) -> Iterator[str]:
    """Yield the line with the metrics' names over their pairs of columns, and the rules under it."""
    titles = [name if units[name] == "1" else f"{name} ({units[name]})" for name in names]
    over = [rf"\multicolumn{{2}}{{c}}{{{escaped(title)}}}" for title in titles]
    yield rf"{' & ' * first}{' & '.join(over)} \\"
    starts = range(first + 1, first + 1 + 2 * len(names), 2)
    yield " ".join(rf"\cmidrule(lr){{{start}-{start + 1}}}" for start in starts)


def _cells(
    line: tuple[str, str, str, list[Curve | None]], several: Sequence[bool], names: Sequence[str], lower: Container[str]
) -> Iterator[str]:
    model, stream, tokens, curves = line
    yield escaped(model)
    yield from (escaped(place) for place, shown in zip((stream, tokens), several, strict=True) if shown)
    for name, curve in zip(names, curves, strict=True):
        found = _extreme(curve, lowest=name in lower)
        if found is None:
            yield from ("--", "--")
        else:
            yield str(found.layer)
            yield _number(found.value) + _interval(found)


def _extreme(curve: Curve | None, *, lowest: bool) -> _Extreme | None:
    """Return where a curve is largest (or smallest) first, None where it has no value."""
    if curve is None:
        return None
    known = [
        (value, layer, i)
        for i, (layer, value) in enumerate(zip(curve.layers, curve.values, strict=True))
        if value is not None
    ]
    if not known:
        return None
    value, layer, i = min(known, key=lambda k: (k[0] if lowest else -k[0], k[1]))
    low, high = (side[i] if side else None for side in (curve.low, curve.high))
    return _Extreme(layer, value, low, high)


def _interval(found: _Extreme) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" [{_number(found.low)}, {_number(found.high)}]"


def _number(value: float) -> str:
    """Return three significant digits, a large or a tiny number as a power of ten."""
    text = f"{value:#.3g}".rstrip(".")
    mantissa, _, power = text.partition("e")
    sign = "$-$" if mantissa.startswith("-") else ""
    return rf"{sign}{mantissa.lstrip('-')}" + (rf"$\times 10^{{{int(power)}}}$" if power else "")


def _line(cells: Sequence[str] | Iterator[str]) -> str:
    return rf"{' & '.join(cells)} \\"
