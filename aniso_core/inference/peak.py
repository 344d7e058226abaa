"""The shape of one profile: is there a single peak, where, and how high.

The claim of a single peak is that some state lies above both ends by more than delta, and that no valley is deeper than
eps. Its parts (rise, fall, valley) must all be shown, each at alpha (Berger 1982), so that none needs a correction.
"""

from dataclasses import dataclass

import numpy as np

from aniso_core.inference.flips import MaxT, Pairs, Signs, draw_signs, flip_test
from aniso_core.inference.matrix import (
    CONCLUSIVE,
    Bounds,
    depth_bins,
    in_order,
    matrix,
    p_above,
    require_probability,
    t_critical,
    thin,
    untestable,
)
from aniso_core.records import Array, Outcome

_UNKNOWN = Bounds()


@dataclass(frozen=True)
class PeakTest:
    """Whether a profile has a single peak; p-values are 0 to 1, estimates in the unit of the pseudo-values.

    `p` is the largest of `p_rise` (some state is above the first one by more than delta), `p_fall` (above the last one)
    and `p_valley` (no valley is as deep as eps). `p_refuted` is twice the smaller of `p_level` (no state is above both
    ends by delta) and `p_split` (a valley is deeper than eps), 1 at most; `refuted_by` names those that refute.

    `rise` and `fall` are how far the highest state is above the first and the last, `prominence` is the smaller of them
    and `valley` the depth of the deepest valley (negative: none), both with two-sided bounds at alpha. `groups` are the
    first and last state of each bin of depth, `raw_valley` is the deepest valley before states were averaged into them,
    and `estimand` says in words what profile all this is about.
    """

    outcome: Outcome
    reason: str
    estimand: str
    delta: float
    eps: float
    alpha: float
    documents: int
    groups: tuple[tuple[int, int], ...]
    p: float = np.nan
    p_rise: float = np.nan
    p_fall: float = np.nan
    p_valley: float = np.nan
    p_refuted: float = np.nan
    p_level: float = np.nan
    p_split: float = np.nan
    refuted_by: tuple[str, ...] = ()
    rise: float = np.nan
    fall: float = np.nan
    prominence: Bounds = _UNKNOWN
    valley: Bounds = _UNKNOWN
    raw_valley: float = np.nan


@dataclass(frozen=True, eq=False)
class PeakLayers:
    """The states that may be L*, the state of the largest theta, with confidence 1 - alpha.

    `layers` are column numbers; all of them where nothing can be tested. `p`, float64[states], is that of another state
    being larger.
    """

    layers: tuple[int, ...]
    p: Array
    alpha: float
    documents: int
    outcome: Outcome = "descriptive"
    reason: str = ""


def peak_test(  # noqa: PLR0913 - what is preregistered has a name of its own
    pv: Array,
    rng: np.random.Generator,
    *,
    delta: float = 0.05,
    eps: float = 0.05,
    alpha: float = 0.05,
    draws: int = 999,
) -> PeakTest:
    """Test whether a profile, float64[documents, states] in order of depth, has a single peak.

    `delta` is the least prominence that matters and `eps` the deepest valley that does not. More than 16 states are
    averaged into 12 bins. With fewer than 16 documents only a valley can refute, and nothing supports.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    documents, states = pv.shape
    bins = depth_bins(pv)
    estimand = f"the profile of {states} states"
    if len(bins.groups) < states:
        estimand += f" averaged into {len(bins.groups)} bins of depth; a hump thinner than a bin does not show"
    reason = untestable(documents, states)
    if reason:
        return PeakTest("not_testable", reason, estimand, delta, eps, alpha, documents, bins.groups)
    signs, pairs = draw_signs(rng, draws, documents), Pairs.of(bins.pv)
    rises, falls = (bins.pv[:, 1:-1] - bins.pv[:, end : end + 1 or None] for end in (0, -1))
    p_rise, p_fall = (flip_test(columns - delta, signs).p for columns in (rises, falls))
    p_valley = min(1.0, 2 * _valley(p_above(-pairs.t(eps), documents)))
    p = max(p_rise, p_fall, p_valley)
    p_level = min(1.0, 2 * _peak(p_above(-pairs.t(delta), documents)))
    deepest = pairs.simultaneous(_valley(pairs.t(eps)), signs)
    p_refuted = min(1.0, 2 * min(p_level, deepest.p))
    ways = {f"no state is above both ends by {delta:g}": p_level, f"a valley is deeper than {eps:g}": deepest.p}
    outcome, reason = _decide(p, p_refuted, deepest.p, documents, alpha)
    return PeakTest(
        outcome,
        reason,
        estimand,
        delta,
        eps,
        alpha,
        documents,
        bins.groups,
        p=p,
        p_rise=p_rise,
        p_fall=p_fall,
        p_valley=p_valley,
        p_refuted=p_refuted,
        p_level=p_level,
        p_split=deepest.p,
        refuted_by=tuple(way for way, p_way in ways.items() if p_way <= alpha / 2),
        rise=float(rises.mean(axis=0).max()),
        fall=float(falls.mean(axis=0).max()),
        prominence=_prominence(pairs, rises, falls, signs, alpha),
        valley=_valley_bounds(pairs, deepest, alpha),
        raw_valley=_valley(Pairs.of(pv).mean),
    )


def valley_bounds(pv: Array, rng: np.random.Generator, alpha: float = 0.05, draws: int = 999) -> Bounds:
    """Return how deep the deepest valley of a profile is, float64[documents, states], with two-sided bounds.

    V = max over j of min(largest theta before j, largest after j) - theta_j, negative where the profile rises and then
    falls, or does only one of both. The upper bound takes each pair of states by itself, the lower one all at once.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    reason = untestable(*pv.shape)
    if reason:
        return Bounds(outcome="not_testable", reason=reason)
    pairs = Pairs.of(pv)
    return _valley_bounds(pairs, pairs.simultaneous(0.0, draw_signs(rng, draws, len(pv))), alpha)


def peak_layers(pv: Array, rng: np.random.Generator, alpha: float = 0.05, draws: int = 999) -> PeakLayers:
    """Return the states that may be the largest of a profile, float64[documents, states] (Hsu 1984).

    A state leaves the set where max-t shows another one above it. Each state that is the largest, or ties with it, is
    kept with probability 1 - alpha.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    documents, states = pv.shape
    reason = untestable(documents, states)
    if reason:
        every = tuple(range(states))
        return PeakLayers(every, np.full(states, np.nan), alpha, documents, "not_testable", reason)
    p = Pairs.of(pv).beaten(draw_signs(rng, draws, documents))
    return PeakLayers(tuple(np.flatnonzero(p > alpha).tolist()), p, alpha, documents)


def range_interval(pv: Array, rng: np.random.Generator, alpha: float = 0.05, draws: int = 999) -> Bounds:
    """Return the range of a profile over its states, float64[documents, states], with two-sided bounds, 0 or more.

    The estimate, largest minus smallest mean, is too large by its noise; the bounds allow for that.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    reason = untestable(*pv.shape)
    if reason:
        return Bounds(outcome="not_testable", reason=reason)
    n, pairs = len(pv), Pairs.of(pv)
    least = pairs.simultaneous(0.0, draw_signs(rng, draws, n)).critical(alpha / 2)
    low = float((pairs.mean - _times(least, pairs.se)).max())
    return Bounds(float(pairs.mean.max()), max(0.0, low), float(_raised(pairs, alpha / 2).max()))


def _decide(p: float, p_refuted: float, p_split: float, documents: int, alpha: float) -> tuple[Outcome, str]:
    if documents < CONCLUSIVE and p_split > alpha / 2:
        return "inconclusive", thin(documents)
    if p <= alpha:
        return "supported", ""
    return ("refuted", "") if p_refuted <= alpha else ("inconclusive", "")


def _prominence(pairs: Pairs, rises: Array, falls: Array, signs: Signs, alpha: float) -> Bounds:
    """Return how far the peak is above the higher end: a lower bound on both sides, an upper one on either."""
    lows = []
    for columns, end in ((rises, 0), (falls, -1)):
        critical = flip_test(columns - columns.mean(axis=0), signs).critical(alpha / 2)
        lows.append((pairs.mean[1:-1, end] - _times(critical, pairs.se[1:-1, end])).max())
    return Bounds(_peak(pairs.mean), float(min(lows)), _peak(_raised(pairs, alpha / 4)))


def _valley_bounds(pairs: Pairs, simultaneous: MaxT, alpha: float) -> Bounds:
    low = _valley(pairs.mean - _times(simultaneous.critical(alpha / 2), pairs.se))
    return Bounds(_valley(pairs.mean), low, _valley(_raised(pairs, alpha / 2)))


def _raised(pairs: Pairs, alpha: float) -> Array:
    return pairs.mean + t_critical(alpha, pairs.documents) * pairs.se


def _times(critical: float, se: Array) -> Array:
    """Return critical * se, 0 where se is, for an infinite critical value too."""
    return np.multiply(critical, se, out=np.zeros_like(se), where=se > 0)


def _peak(m: Array) -> float:
    """Return max over k of min(m[k, first], m[k, last]) for a matrix over pairs of states, k between the ends."""
    return float(np.minimum(m[1:-1, 0], m[1:-1, -1]).max())


def _valley(m: Array) -> float:
    """Return max over j of min(max over i < j of m[i, j], max over k > j of m[k, j]), j between the ends."""
    order = np.arange(len(m))
    before = np.where(order[:, None] < order, m, -np.inf).max(axis=0)
    after = np.where(order[:, None] > order, m, -np.inf).max(axis=0)
    return float(np.minimum(before, after)[1:-1].max())
