"""bell-curve from states on: profiles of 13 layers, with pseudo-values of the share lambda_1 / trace."""

import numpy as np
from simulate import bell, flat, plateau
from simulate_states import Population, share_pseudo_values

from aniso_core.inference import interval
from aniso_core.records import Array
from scenarios.peak import ABOVE, IN_SET, outcome, paper, peak_kept, prominent
from scenarios.truth import ALPHA, Claim, Hits, Truth, at_least, at_most

BULK = 0.25


def stated(name: str, share: Array, bulk_share: float | None = None) -> Truth:
    """Return a truth of which states are drawn, each draw once for all that is counted."""
    population = Population(share, bulk_share)

    def draw(documents: int, rng: np.random.Generator) -> Array:
        return share_pseudo_values(population.draw(documents, rng))

    return Truth(name, share, draw)


FLAT, PLATEAU = stated("flat", 0.3 + flat(13)), stated("rise of 0.3, then level", BULK + plateau(13, 0.3))
MASSIVE_FLAT = stated("massive first tokens, flat", 0.6 + flat(13), BULK)
MASSIVE_PLATEAU = stated("massive first tokens, rise of 0.4, then level", BULK + plateau(13, 0.4), BULK)
BELL, HIGH_BELL = (stated(f"bell of {height:g}", 0.3 + bell(13, height)) for height in (0.1, 0.2))


def shares_covered(truth: Truth) -> Hits:
    """Count, as a share of the layers, intervals of the share that hold the true one."""
    return lambda n, draws: [
        float(((i.low <= truth.theta) & (truth.theta <= i.high)).mean())
        for i in (interval(pv, 1 - ALPHA) for pv, _ in truth.matrices(n, draws))
    ]


_LEVEL, _RISING = (FLAT, MASSIVE_FLAT), (PLATEAU, MASSIVE_PLATEAU)

CLAIMS = (
    *(Claim(truth.name, ABOVE, "13", (16, 32), prominent(truth, 0), at_most(0.03)) for truth in _LEVEL),
    *(Claim(truth.name, ABOVE, "13", (16, 32), prominent(truth, 0), at_most(0.08)) for truth in _RISING),
    *(
        Claim(truth.name, "supported", "13", (16, 32), outcome(truth, "supported"), at_most(0.01))
        for truth in (*_LEVEL, *_RISING)
    ),
    *(Claim(truth.name, "paper: bell", "13", (16, 32), paper(truth)) for truth in (*_LEVEL, *_RISING)),
    Claim(BELL.name, ABOVE, "13", (16, 32), prominent(BELL, 0)),
    Claim(HIGH_BELL.name, "supported", "13", (16, 32), outcome(HIGH_BELL, "supported")),
    *(
        Claim(truth.name, "refuted", "13", (16, 32), outcome(truth, "refuted"), at_most(0.01))
        for truth in (BELL, HIGH_BELL)
    ),
    Claim(FLAT.name, IN_SET, "13", (16, 32), peak_kept(FLAT), at_least(0.91)),
    Claim(BELL.name, IN_SET, "13", (16, 32), peak_kept(BELL), at_least(0.97)),
    *(
        Claim(truth.name, "share covered", "13", (16, 32), shares_covered(truth), at_least(0.9))
        for truth in (*_LEVEL, *_RISING, BELL)
    ),
)
"""What acceptance asks of the test of a single peak, from states on; and what the notebooks' criterion says of them."""
