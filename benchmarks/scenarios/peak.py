"""bell-curve: one profile of 13 states, or of 33, with a single peak or without."""

from functools import cache

import numpy as np
from simulate import bell, flat, hump, monotone, plateau, two_humps

from aniso_core.inference import PeakTest, peak_layers, peak_test, range_interval, valley_bounds
from aniso_core.paper import is_bell
from scenarios.truth import ALPHA, Claim, Hits, Truth, at_least, at_most, shaped

DELTA = EPS = 0.05

FLAT, RISE = shaped("flat", flat(13)), shaped("rise of 0.3", monotone(13, 0.3))
PLATEAU, DEEP_PLATEAU = (shaped("rise of 0.3, then level", plateau(states, 0.3)) for states in (13, 33))
LOW_FALL = shaped("rise of 0.3, fall of 0.05", hump(13, 0.3, 0.05))
LOW_BELL, BELL, HIGH_BELL = (shaped(f"bell of {height:g}", bell(13, height)) for height in (0.05, 0.1, 0.2))
SHALLOW, DEEP = (shaped(f"two humps, valley of {depth:g}", two_humps(13, 0.3, depth)) for depth in (0.05, 0.15))


@cache
def peaks(truth: Truth, documents: int, draws: int, delta: float = DELTA) -> list[PeakTest]:
    """Return what the test of a single peak says of each draw."""
    return [peak_test(pv, rng, delta=delta, eps=EPS, alpha=ALPHA) for pv, rng in truth.matrices(documents, draws)]


def prominent(truth: Truth, delta: float) -> Hits:
    """Count draws with some state shown to be above both ends by more than delta."""
    return lambda n, draws: [max(r.p_rise, r.p_fall) <= ALPHA for r in peaks(truth, n, draws, delta)]


def outcome(truth: Truth, wanted: str) -> Hits:
    """Count draws with this outcome."""
    return lambda n, draws: [r.outcome == wanted for r in peaks(truth, n, draws)]


def paper(truth: Truth) -> Hits:
    """Count draws whose mean profile the notebooks' criterion calls a bell."""
    return lambda n, draws: is_bell(np.stack([pv.mean(axis=0) for pv, _ in truth.matrices(n, draws)])).tolist()


def prominence_covered(truth: Truth) -> Hits:
    """Count draws whose bounds of the prominence hold the true one."""
    true = truth.theta.max() - max(truth.theta[0], truth.theta[-1])
    return lambda n, draws: [r.prominence.low <= true <= r.prominence.high for r in peaks(truth, n, draws)]


def valley_above(truth: Truth, depth: float) -> Hits:
    """Count draws whose valley is shown to be deeper than that."""
    return lambda n, draws: [valley_bounds(pv, rng, ALPHA).low > depth for pv, rng in truth.matrices(n, draws)]


def valley_below(truth: Truth, depth: float) -> Hits:
    """Count draws whose valley is shown to be less deep than that."""
    return lambda n, draws: [valley_bounds(pv, rng, ALPHA).high < depth for pv, rng in truth.matrices(n, draws)]


def peak_kept(truth: Truth) -> Hits:
    """Count draws whose set of layers holds L*; where states tie, the share of them that it holds."""
    tied = np.flatnonzero(truth.theta == truth.theta.max())
    return lambda n, draws: [
        float(np.isin(tied, peak_layers(pv, rng, ALPHA).layers).mean()) for pv, rng in truth.matrices(n, draws)
    ]


def range_covered(truth: Truth) -> Hits:
    """Count draws whose bounds of the range hold the true one."""
    true = float(np.ptp(truth.theta))
    return lambda n, draws: [
        b.low <= true <= b.high for b in (range_interval(pv, rng, ALPHA) for pv, rng in truth.matrices(n, draws))
    ]


ABOVE, ABOVE_DELTA = "a state above both ends", "a state above both ends by 0.05"
IN_SET, RANGE = "L* in the set of layers", "range covered"

CLAIMS = (
    Claim(FLAT.name, ABOVE, "13", (32,), prominent(FLAT, 0), at_most(0.03)),
    Claim(PLATEAU.name, ABOVE, "13", (16, 32), prominent(PLATEAU, 0), at_most(0.08)),
    Claim(DEEP_PLATEAU.name, ABOVE, "33", (32,), prominent(DEEP_PLATEAU, 0), at_most(0.08)),
    Claim(LOW_FALL.name, ABOVE_DELTA, "13", (32,), prominent(LOW_FALL, DELTA), at_most(0.03)),
    Claim(BELL.name, ABOVE, "13", (16,), prominent(BELL, 0), at_least(0.55)),
    Claim(BELL.name, ABOVE, "13", (32,), prominent(BELL, 0), at_least(0.95)),
    Claim(HIGH_BELL.name, ABOVE_DELTA, "13", (16,), prominent(HIGH_BELL, DELTA), at_least(0.82)),
    Claim(HIGH_BELL.name, ABOVE_DELTA, "13", (32,), prominent(HIGH_BELL, DELTA), at_least(0.97)),
    Claim(FLAT.name, "supported", "13", (16, 32, 64), outcome(FLAT, "supported"), at_most(0.01)),
    Claim(RISE.name, "supported", "13", (16, 32, 64), outcome(RISE, "supported"), at_most(0.01)),
    Claim(PLATEAU.name, "supported", "13", (16, 32, 64), outcome(PLATEAU, "supported"), at_most(0.01)),
    Claim(DEEP.name, "supported", "13", (32,), outcome(DEEP, "supported"), at_most(0)),
    Claim(HIGH_BELL.name, "supported", "13", (32,), outcome(HIGH_BELL, "supported"), at_least(0.97)),
    Claim(HIGH_BELL.name, "refuted", "13", (32,), outcome(HIGH_BELL, "refuted"), at_most(0)),
    Claim(LOW_BELL.name, "refuted", "13", (64,), outcome(LOW_BELL, "refuted"), at_most(0.01)),
    Claim(RISE.name, "refuted", "13", (32,), outcome(RISE, "refuted"), at_least(0.95)),
    Claim(SHALLOW.name, "valley below 0.05", "13", (32, 128), valley_below(SHALLOW, EPS), at_most(0.08)),
    Claim(SHALLOW.name, "valley above 0.05", "13", (32, 128), valley_above(SHALLOW, EPS), at_most(0.03)),
    Claim(DEEP.name, "valley above 0", "13", (32,), valley_above(DEEP, 0), at_least(0.95)),
    Claim(BELL.name, "prominence covered", "13", (32,), prominence_covered(BELL), at_least(0.93)),
    Claim(FLAT.name, IN_SET, "13", (32,), peak_kept(FLAT), at_least(0.91)),
    Claim(BELL.name, IN_SET, "13", (32,), peak_kept(BELL), at_least(0.97)),
    Claim(HIGH_BELL.name, IN_SET, "13", (16,), peak_kept(HIGH_BELL), at_least(0.97)),
    Claim(FLAT.name, RANGE, "13", (32,), range_covered(FLAT), at_least(0.91)),
    Claim(BELL.name, RANGE, "13", (32,), range_covered(BELL), at_least(0.95)),
    Claim(RISE.name, RANGE, "13", (32,), range_covered(RISE), at_least(0.95)),
)
"""What acceptance asks of the test of a single peak."""
