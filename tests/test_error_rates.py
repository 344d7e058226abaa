"""How often the tests are wrong, on simulated truths: few draws by default, many marked slow.

The bounds are those for many draws; few get three Monte Carlo standard errors more.
"""

import numpy as np
import pytest
from scenarios import adequacy, agreement, flatness, intervals, peak, phases, states, tokenizers, uniformity
from scenarios.truth import FULL

# What is drawn, and how often where there is little time.
GROUPS = (
    ("pseudo-values", 30, (*peak.CLAIMS, *flatness.CLAIMS, *phases.CLAIMS, *agreement.CLAIMS)),
    ("states", 6, (*states.CLAIMS, *uniformity.CLAIMS)),
    ("states of a run", 6, (*intervals.CLAIMS, *adequacy.CLAIMS)),
    ("states of two models", 6, tokenizers.CLAIMS),
)


def cases():
    """Yield each bounded claim with documents and draws: few draws of the fewest documents, many of every number."""
    for group, few, claims in GROUPS:
        for claim in filter(lambda claim: claim.target, claims):
            name = f"{group}: {claim.truth}: {claim.said}, {claim.states} states"
            yield pytest.param(
                claim, claim.documents[0], few, 3, id=f"{name}, {claim.documents[0]} documents, few draws"
            )
            many = FULL // claim.part
            for documents in claim.documents:
                yield pytest.param(
                    claim, documents, many, 0, id=f"{name}, {documents} documents", marks=pytest.mark.slow
                )


@pytest.mark.parametrize(("claim", "documents", "draws", "errors"), list(cases()))
def test_rates_keep_their_bounds(claim, documents, draws, errors):
    """What a test says of a known truth, wrong or right, it says as often as acceptance allows or asks."""
    target = claim.target
    rate, bound = np.mean(claim.hits(documents, draws)), target.value
    slack = errors * np.sqrt(bound * (1 - bound) / draws)
    kept = rate <= bound + slack if target.bound == "at most" else rate >= bound - slack
    assert kept, f"{rate:.3f} of {draws}, not {target.bound} {bound}"
