"""LayerNorm and RMSNorm: recognised by what a module does to numbers, not by what it is called.

LayerNorm computes gain * (x - mean x) / sqrt(var x + eps) + bias, RMSNorm gain * x / sqrt(mean x^2 + eps). Asking
the module itself gives the effective gain whatever its code calls it (Gemma applies 1 + w), and works where the
weights are offloaded and exist only while the module runs.
"""

from collections.abc import Callable

import numpy as np

from aniso_core.records import Array, Norm, NormKind

_TOLERANCE = 2e-2  # bfloat16 keeps 8 bits; the kinds differ by far more than this
_SCALE = 64.0  # states this long make eps invisible
_LARGEST_EPS = 1e-1


def recognise(apply: Callable[[Array], Array], width: int) -> Norm | None:
    """Return the norm that `apply` (float64[width] to float64[width]) computes, None where it is neither kind."""
    rng = np.random.default_rng(0)
    # No coordinate near zero, where a gain would not show.
    x = rng.choice([-1.0, 1.0], width) * rng.uniform(0.5, 1.5, width)
    x *= _SCALE / np.sqrt((x**2).mean())
    at, opposite = apply(x), apply(-x)
    bias, odd = (at + opposite) / 2, (at - opposite) / 2
    for kind in ("rmsnorm", "layernorm"):
        unit = _unit(x, kind)
        gain = np.divide(odd, unit, out=np.zeros(width), where=np.abs(unit) > 1e-3)  # noqa: PLR2004 - near a zero
        norm = Norm(kind, gain, bias if np.abs(bias).max() > 0 else None, _eps(apply, x, gain, bias, kind))
        if _explains(norm, apply, rng.standard_normal(width) * _SCALE + _SCALE):
            return norm
    return None


def apply_norm(norm: Norm, x: Array) -> Array:
    """Return what `norm` makes of x, float64[..., d]."""
    centred = x - x.mean(axis=-1, keepdims=True) if norm.kind == "layernorm" else x
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + (norm.eps or 0.0)) * norm.gain
    result: Array = scaled if norm.bias is None else scaled + norm.bias
    return result


def _unit(x: Array, kind: NormKind) -> Array:
    centred = x - x.mean() if kind == "layernorm" else x
    unit: Array = centred / np.sqrt((centred**2).mean())
    return unit


def _explains(norm: Norm, apply: Callable[[Array], Array], x: Array) -> bool:
    want = apply(x)
    scale = max(float(np.abs(want).max()), float(np.finfo(np.float32).tiny))
    return bool(np.abs(apply_norm(norm, x) - want).max() <= _TOLERANCE * scale)


def _eps(apply: Callable[[Array], Array], x: Array, gain: Array, bias: Array, kind: NormKind) -> float | None:
    """Return eps, None where it does not show.

    It is read where the states are as small as eps itself: |f| / |gain unit| = sqrt(s / (s + eps)), s their square.
    """
    unit = _unit(x, kind)
    size = 1e-6
    estimate = None
    for _ in range(3):
        small = apply(unit * np.sqrt(size)) - bias
        shrink = float(np.abs(small).sum() / max(np.abs(gain * unit).sum(), np.finfo(np.float64).tiny))
        if not 0 < shrink < 1:
            return estimate
        estimate = size * (1 / shrink**2 - 1)
        size = min(max(estimate, 1e-14), _LARGEST_EPS)
    return estimate
