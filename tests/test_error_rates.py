"""How often the tests are wrong, on simulated truths: few draws by default, many marked slow.

The bounds are those for many draws; few get three Monte Carlo standard errors more.
"""

import numpy as np
import pytest
from scenarios import agreement, flatness, peak, phases, states, uniformity
from scenarios.truth import FULL

# What is drawn, and how often where there is little time.
GROUPS = (
    ("pseudo-values", 30, (*peak.CLAIMS, *flatness.CLAIMS, *phases.CLAIMS, *agreement.CLAIMS)),
    ("states", 6, (*states.CLAIMS, *uniformity.CLAIMS)),
)


def cases():
    """Yield each bounded claim with documents and draws: few draws of the fewest documents, many of every number."""
    for group, few, claims in GROUPS:
        for claim in filter(lambda claim: claim.target, claims):
            name = f"{group}: {claim.truth}: {claim.said}, {claim.states} states"
            yield pytest.param(claim, claim.documents[0], few, id=f"{name}, {claim.documents[0]} documents, few draws")
            for documents in claim.documents:
                yield pytest.param(claim, documents, FULL, id=f"{name}, {documents} documents", marks=pytest.mark.slow)


@pytest.mark.parametrize(("claim", "documents", "draws"), list(cases()))
def test_rates_keep_their_bounds(claim, documents, draws):
    """What a test says of a known truth, wrong or right, it says as often as acceptance allows or asks."""
    target = claim.target
    rate, bound = np.mean(claim.hits(documents, draws)), target.value
    slack = 0 if draws >= FULL else 3 * np.sqrt(bound * (1 - bound) / draws)
    kept = rate <= bound + slack if target.bound == "at most" else rate >= bound - slack
    assert kept, f"{rate:.3f} of {draws}, not {target.bound} {bound}"
