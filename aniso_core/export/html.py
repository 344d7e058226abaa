"""A profile as a notebook shows it: a small static table with drawn curves, without scripts and colours."""

from collections.abc import Iterator
from html import escape

from aniso_core.records import Curve, Profile
from aniso_core.text import short

_METRICS = ("top-eigenvalue-share", "participation-ratio", "effective-rank", "cosine-to-mean", "norm-mean")
"""What is shown where it was measured; where none of it was, the first few metrics are."""

_STREAMS = ("residual", "paper", "normed")  # the first that a metric is on is shown
_TOKENS = ("all", "bulk")
_WIDTH, _HEIGHT = 120, 24  # pixels of a drawn curve
_POINTS = 120  # about as many as it draws; more would be seen as one


def to_html(profile: Profile) -> str:
    """Return what was measured, and a line for each of a few metrics with its curves over all and over bulk tokens.

    Everything foreign is escaped; what is drawn has the colour of the text, so that it shows on any background.
    """
    model, prompts = profile.model, profile.prompts
    said = [f"{model.layers} layers", f"width {model.width}", model.dtype]
    said += [f"{prompts.documents:,} documents", f"{prompts.tokens:,} tokens"] if prompts else []
    title = f"<b>{escape(short(model.name))}</b> <small>{escape(', '.join(filter(None, said)))}</small>"
    heads = "".join(f"<th>{text}</th>" for text in ("metric", *(f"{tokens} tokens" for tokens in _TOKENS)))
    return f"<div>{title}<table><tr>{heads}</tr>{''.join(_lines(profile))}</table></div>"


def _lines(profile: Profile) -> Iterator[str]:
    held = list(dict.fromkeys(curve.metric for curve in profile.curves))
    for metric in [name for name in _METRICS if name in held] or held[: len(_METRICS)]:
        on = [curve.stream for curve in profile.curves if curve.metric == metric]
        stream = next((stream for stream in _STREAMS if stream in on), on[0])
        cells = "".join(f"<td>{_cell(profile.find(metric, stream, tokens))}</td>" for tokens in _TOKENS)
        yield f"<tr><th>{escape(short(metric))}<br/><small>{escape(short(stream))}</small></th>{cells}</tr>"


def _cell(curve: Curve | None) -> str:
    pairs = zip(curve.layers, curve.values, strict=True) if curve else ()
    points = [(layer, value) for layer, value in pairs if value is not None]
    if not points:
        return ""
    (at_low, low), (at_high, high) = (pick(points, key=lambda point: point[1]) for pick in (min, max))
    said = f"{low:.3g} (layer {at_low}) to {high:.3g} (layer {at_high})"
    return f"{_drawn(points)}<br/><small>{said}</small>"


def _drawn(points: list[tuple[int, float]]) -> str:
    """Return a curve as SVG, its lowest value at the lower edge and its highest at the upper."""
    points = points[:: max(1, len(points) // _POINTS)]
    left, right, values = points[0][0], points[-1][0], [value for _, value in points]
    low = min(values)
    wide, tall = max(right - left, 1), (max(values) - low) or 1.0
    places = " ".join(
        f"{1 + (x - left) / wide * (_WIDTH - 2):.1f},{_HEIGHT - 1 - (y - low) / tall * (_HEIGHT - 2):.1f}"
        for x, y in points
    )
    line = f'<polyline fill="none" stroke="currentColor" points="{places}"/>'
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" xmlns="http://www.w3.org/2000/svg">{line}</svg>'
