"""How flat a profile is, and whether one is flatter than another over the same documents."""

from dataclasses import dataclass

import numpy as np

from aniso_core.inference.matrix import (
    CONCLUSIVE,
    Bounds,
    in_order,
    matrix,
    p_above,
    require_probability,
    t_critical,
    t_ratio,
    thin,
    untestable,
)
from aniso_core.records import Array, Outcome

_UNKNOWN = Bounds()


@dataclass(frozen=True)
class Flatness:
    """How much a profile varies over its states; F in the unit of the pseudo-values, Q in its square.

    `variance` is Q, the variance of theta over states without bias from noise, and so below 0 at times; `flatness` is
    F = sign(Q) sqrt|Q|, 0 for a flat profile, and `se` its jackknife standard error. `distinguishable` says whether Q
    is above 0 at the one-sided level alpha.
    """

    variance: float = np.nan
    flatness: float = np.nan
    se: float = np.nan
    distinguishable: bool = False
    outcome: Outcome = "descriptive"
    reason: str = ""


@dataclass(frozen=True)
class FlatnessDifference:
    """Whether profile a is flatter than b: D = F_a - F_b in the unit of the pseudo-values, with bounds at 1 - alpha.

    `p` is one-sided for D < 0, `p_refuted` for D > -sesoi, `p_equivalent` for |D| < sesoi (two one-sided tests).
    `log_ratio` is log(F_a / F_b), and NaN where a profile is not distinguishable from a flat one. All this is about two
    given models and documents like these: what makes the models differ it cannot say.
    """

    outcome: Outcome
    reason: str
    sesoi: float
    alpha: float
    documents: int
    states: int
    difference: Bounds = _UNKNOWN
    p: float = np.nan
    p_refuted: float = np.nan
    p_equivalent: float = np.nan
    log_ratio: Bounds = _UNKNOWN
    a: Flatness = Flatness()
    b: Flatness = Flatness()


def flatness(pv: Array, alpha: float = 0.05) -> Flatness:
    """Return how much a profile, float64[documents, states], varies over its states.

    With z the rows less their own means, Q is the mean of z_c . z_c' / states over pairs of different documents: a
    document's noise never meets itself.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    reason = untestable(*pv.shape)
    return Flatness(outcome="not_testable", reason=reason) if reason else _flatness(pv, alpha)[0]


def flatness_difference(pv_a: Array, pv_b: Array, sesoi: float = 0.02, alpha: float = 0.05) -> FlatnessDifference:
    """Test whether profile a is flatter than b, float64[documents, states] each, row by row of the same documents.

    The deeper one is interpolated linearly to the relative depths of the other. Supported where D < 0 at alpha and D is
    -sesoi or less, refuted where D > -sesoi at alpha. Raises ValueError where the numbers of documents differ.
    """
    require_probability(alpha, "alpha")
    pv_a, pv_b = matrix(pv_a, "the pseudo-values of a"), matrix(pv_b, "those of b")
    n, states = len(pv_a), min(pv_a.shape[1], pv_b.shape[1])
    if len(pv_b) != n:
        message = f"both profiles must be of the same documents, and a has {n} and b {len(pv_b)}"
        raise ValueError(message)
    reason = untestable(n, states)
    if reason:
        return FlatnessDifference("not_testable", reason, sesoi, alpha, n, states)
    rows = in_order(np.hstack([_at_depths(pv_a, states), _at_depths(pv_b, states)]))
    (a, without_a), (b, without_b) = _flatness(rows[:, :states], alpha), _flatness(rows[:, states:], alpha)
    difference, se = a.flatness - b.flatness, _jackknife(without_a - without_b)
    p, p_refuted, p_small = (
        float(p_above(t_ratio(shown, se), n)) for shown in (-difference, difference + sesoi, sesoi - difference)
    )
    outcome: Outcome = "inconclusive"
    if n >= CONCLUSIVE and p <= alpha and difference <= -sesoi:
        outcome = "supported"
    elif n >= CONCLUSIVE and p_refuted <= alpha:
        outcome = "refuted"
    ratio = _UNKNOWN
    if a.distinguishable and b.distinguishable:
        relative = _jackknife(without_a / a.flatness - without_b / b.flatness)
        ratio = _bounds(float(np.log(a.flatness / b.flatness)), relative, n, alpha)
    return FlatnessDifference(
        outcome,
        "" if n >= CONCLUSIVE else thin(n),
        sesoi,
        alpha,
        n,
        states,
        difference=_bounds(difference, se, n, alpha),
        p=p,
        p_refuted=p_refuted,
        p_equivalent=max(p_refuted, p_small),
        log_ratio=ratio,
        a=a,
        b=b,
    )


def _flatness(pv: Array, alpha: float) -> tuple[Flatness, Array]:
    """Return the flatness and F with each document left out in turn, float64[documents]."""
    n, states = pv.shape
    rows = pv - pv.mean(axis=1, keepdims=True)
    products = rows @ rows.T / states
    np.fill_diagonal(products, 0.0)
    q = float(products.sum() / (n * (n - 1)))
    q_without = (products.sum() - 2 * products.sum(axis=0)) / ((n - 1) * (n - 2))
    without = _root(q_without)
    shown = q > t_critical(alpha, n) * _jackknife(q_without)
    return Flatness(q, float(_root(q)), _jackknife(without), distinguishable=bool(shown)), without


def _at_depths(pv: Array, states: int) -> Array:
    """Return pseudo-values at evenly spaced relative depths, float64[documents, states], by linear interpolation."""
    last = pv.shape[1] - 1
    place = np.arange(states) * last / (states - 1)
    below = np.minimum(place.astype(int), last - 1)
    part = place - below
    at_depths: Array = pv[:, below] * (1 - part) + pv[:, below + 1] * part
    return at_depths


def _root(q: Array | float) -> Array:
    return np.asarray(np.sign(q) * np.sqrt(np.abs(q)))


def _jackknife(without: Array) -> float:
    """Return the standard error of a number from its values with each document left out, float64[documents]."""
    n = len(without)
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def _bounds(estimate: float, se: float, documents: int, alpha: float) -> Bounds:
    half = t_critical(alpha / 2, documents) * se
    return Bounds(estimate, estimate - half, estimate + half)
