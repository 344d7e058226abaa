"""Three phases of one profile: a rise to the first break, a hold between the breaks, a drop after the second."""

from dataclasses import dataclass

import numpy as np

from aniso_core.inference.matrix import (
    CONCLUSIVE,
    in_order,
    matrix,
    p_above,
    require_probability,
    t_of,
    thin,
    untestable,
)
from aniso_core.records import Array, Outcome

_APART = 2


@dataclass(frozen=True)
class PhaseTest:
    """Whether a profile has three phases; p-values are 0 to 1, estimates in the unit of the pseudo-values.

    `p` is the largest of `p_rise`, `p_drop` (each more than delta) and `p_hold` (between the breaks no two states
    differ by as much as eta of the rise or of the drop). `p_refuted` is three times the smallest p of the contrary of
    one of them, 1 at most. `breaks` are columns; `sway` is the range of the mean profile between them.
    """

    outcome: Outcome
    reason: str
    breaks: tuple[int, int]
    delta: float
    eta: float
    alpha: float
    documents: int
    p: float = np.nan
    p_rise: float = np.nan
    p_hold: float = np.nan
    p_drop: float = np.nan
    p_refuted: float = np.nan
    rise: float = np.nan
    drop: float = np.nan
    sway: float = np.nan


def phase_test(
    pv: Array, breaks: tuple[float, float], delta: float = 0.05, eta: float = 1 / 3, alpha: float = 0.05
) -> PhaseTest:
    """Test whether a profile, float64[documents, states] in order of depth, has three phases.

    `breaks` are relative depths, 0 to 1, that were fixed before the data were seen; each goes to the nearest state.
    All parts must be shown at alpha, each contrast of states by itself, so that none needs a correction.
    """
    require_probability(alpha, "alpha")
    pv = in_order(matrix(pv))
    n, last = len(pv), pv.shape[1] - 1
    first, second = (round(depth * last) for depth in breaks)
    reason = untestable(n, last + 1)
    if not reason and not (0 < first <= second - _APART and second < last):
        reason = (
            f"the breaks fall on states {first} and {second} of 0 to {last}; they must lie inside, two states apart"
        )
    if reason:
        return PhaseTest("not_testable", reason, (first, second), delta, eta, alpha, n)
    rise, drop = pv[:, first] - pv[:, 0], pv[:, second] - pv[:, -1]
    middle = pv[:, first : second + 1]
    t_rise, t_drop = t_of(np.stack([rise, drop], axis=1) - delta)
    most = [t_of(state[:, None] - middle - eta * side[:, None]).max() for state in middle.T for side in (rise, drop)]
    contrasts = len(most) * middle.shape[1]
    t_sway = max(most)
    p_rise, p_drop, p_hold = (float(p_above(t, n)) for t in (t_rise, t_drop, -t_sway))
    against = (p_above(-t_rise, n), p_above(-t_drop, n), contrasts * p_above(t_sway, n))
    p, p_refuted = max(p_rise, p_drop, p_hold), float(min(1.0, 3 * min(against)))
    level = middle.mean(axis=0)
    outcome: Outcome = "supported" if p <= alpha else "refuted" if p_refuted <= alpha else "inconclusive"
    return PhaseTest(
        outcome if n >= CONCLUSIVE else "inconclusive",
        "" if n >= CONCLUSIVE else thin(n),
        (first, second),
        delta,
        eta,
        alpha,
        n,
        p=p,
        p_rise=p_rise,
        p_hold=p_hold,
        p_drop=p_drop,
        p_refuted=p_refuted,
        rise=float(rise.mean()),
        drop=float(drop.mean()),
        sway=float(level.max() - level.min()),
    )
