"""Whether one mean over documents is below 0 by as much as matters."""

from dataclasses import dataclass

import numpy as np

from aniso_core.inference.matrix import (
    CONCLUSIVE,
    LEAST_STATES,
    Bounds,
    interval,
    matrix,
    p_above,
    require_probability,
    t_of,
    thin,
    untestable,
)
from aniso_core.records import Array, Outcome

_UNKNOWN = Bounds()


@dataclass(frozen=True)
class MeanTest:
    """Whether a mean is below 0; `p` is 0 to 1, and `p_refuted` that of a mean above -sesoi.

    Supported where p is at most alpha and the mean is estimated at -sesoi or below; refuted where `p_refuted` is at
    most alpha. `mean` has two-sided bounds at alpha.
    """

    outcome: Outcome
    reason: str
    sesoi: float
    alpha: float
    documents: int
    p: float = np.nan
    p_refuted: float = np.nan
    mean: Bounds = _UNKNOWN


def mean_test(values: Array, sesoi: float, alpha: float = 0.05) -> MeanTest:
    """Test whether values, float64[documents], have a mean below 0, by Student's t.

    Raises ValueError for values that are not finite or an alpha outside 0 to 1.
    """
    require_probability(alpha, "alpha")
    column = matrix(np.asarray(values)[:, None], "the values")
    n = len(column)
    reason = untestable(n, LEAST_STATES)
    if reason:
        return MeanTest("not_testable", reason, sesoi, alpha, n)
    column = np.sort(column, axis=0)
    p, p_refuted = (float(p_above(t_of(against)[0], n)) for against in (-column, column + sesoi))
    about = interval(column, 1 - alpha)
    outcome: Outcome = "inconclusive"
    if n >= CONCLUSIVE and p <= alpha and about.estimate[0] <= -sesoi:
        outcome = "supported"
    elif n >= CONCLUSIVE and p_refuted <= alpha:
        outcome = "refuted"
    bounds = Bounds(float(about.estimate[0]), float(about.low[0]), float(about.high[0]))
    return MeanTest(outcome, "" if n >= CONCLUSIVE else thin(n), sesoi, alpha, n, p, p_refuted, bounds)
