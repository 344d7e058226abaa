"""three-phases: profiles of 33 states with breaks at 7 and 28 of 32 layers, and others that are not."""

from functools import cache

import numpy as np
from simulate import bell, hump, plateau, three_phases

from aniso_core.inference import PhaseTest, phase_test
from scenarios.truth import ALPHA, Claim, Hits, Truth, at_least, at_most, shaped

BREAKS = (7 / 32, 28 / 32)
DELTA, ETA = 0.05, 1 / 3

OTHERS = tuple(
    shaped(f"{name}, spread {spread:g}", theta, spread)
    for name, theta in (
        ("half a sine of 0.4", bell(33, 0.4)),
        ("triangle of 0.4", hump(33, 0.4, 0.4)),
        ("rise of 0.4, then level", plateau(33, 0.4)),
        ("phases with breaks at 12 and 20", np.interp(np.arange(33), [0, 12, 20, 32], [0, 0.4, 0.4, 0])),
    )
    for spread in (0.05, 0.1)
)
LIMITS = (
    shaped("phases of 0.4, sway of a third, spread 0.05", three_phases(33, 0.4, 0.4, sway=0.4 * ETA), 0.05),
    shaped("phases of 0.4, drop of 0.05, spread 0.05", three_phases(33, 0.4, DELTA), 0.05),
)
CLEAR, NOISY = (shaped(f"phases of 0.4, spread {s:g}", three_phases(33, 0.4, 0.4), s) for s in (0.05, 0.2))


@cache
def phases(truth: Truth, documents: int, draws: int) -> list[PhaseTest]:
    """Return what the test of three phases says of each draw."""
    return [phase_test(pv, BREAKS, DELTA, ETA, ALPHA) for pv, _ in truth.matrices(documents, draws)]


def outcome(truth: Truth, wanted: str) -> Hits:
    """Count draws with this outcome."""
    return lambda n, draws: [r.outcome == wanted for r in phases(truth, n, draws)]


CLAIMS = (
    *(Claim(truth.name, "supported", "33", (16, 64), outcome(truth, "supported"), at_most(0.01)) for truth in OTHERS),
    *(Claim(truth.name, "supported", "33", (16, 64), outcome(truth, "supported"), at_most(0.08)) for truth in LIMITS),
    Claim(CLEAR.name, "supported", "33", (16,), outcome(CLEAR, "supported"), at_least(0.97)),
    Claim(NOISY.name, "supported", "33", (16, 64), outcome(NOISY, "supported")),
    Claim(NOISY.name, "refuted", "33", (64,), outcome(NOISY, "refuted"), at_most(0.05)),
)
"""What acceptance asks of the test of three phases, and its power where documents stray."""
