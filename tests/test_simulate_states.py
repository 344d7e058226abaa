"""Simulated states have the truth that they are drawn for, and their pseudo-values are what leaving out gives."""

import numpy as np
import pytest
from simulate_states import log_cv_pseudo_values, norm_cv, share_pseudo_values, simulated_states

SHARE = np.array([0.25, 0.4, 0.55])


def top_share(states):
    values = np.linalg.eigvalsh(np.cov(states.T))
    return values[-1] / values.sum()


def log_cv(states):
    norms = np.linalg.norm(states, axis=1)
    return np.log(norms.std() / norms.mean())


@pytest.mark.parametrize("bulk_share", [None, 0.25])
def test_many_states_have_the_stated_profile(bulk_share):
    """The profile of 2,000 documents is the stated one, by a spike or by massive first tokens."""
    drawn = simulated_states(SHARE, 2000, np.random.default_rng(0), bulk_share=bulk_share)
    np.testing.assert_allclose([top_share(layer) for layer in drawn.states], SHARE, atol=0.02)
    rest = np.setdiff1d(np.arange(len(drawn.document)), drawn.first)
    bulk = [top_share(layer[rest]) for layer in drawn.states]
    np.testing.assert_allclose(bulk, SHARE if bulk_share is None else 3 * [bulk_share], atol=0.02)


def test_many_states_have_the_stated_variation_of_norms():
    """The coefficient of variation of norms in closed form is that of 2,000 documents, within sampling error."""
    drawn = simulated_states(SHARE, 2000, np.random.default_rng(0), token_scale=0.2)
    np.testing.assert_allclose([np.exp(log_cv(layer)) for layer in drawn.states], norm_cv(SHARE, 0.2), rtol=0.02)


def test_documents_layers_and_tokens_are_as_described():
    """Documents have 8 to 14 tokens, neighbouring layers correlate at .95 and tokens of a document at .3."""
    drawn = simulated_states(np.full(2, 0.3), 2000, np.random.default_rng(1), token_scale=0.0)
    assert set(np.bincount(drawn.document)) == set(range(8, 15))
    first, second = drawn.states[:, :, 0]
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.95, abs=0.01)
    pairs = np.corrcoef(first[drawn.first], first[drawn.first + 1])[0, 1]
    assert pairs == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize(
    ("pseudo_values", "statistic"), [(share_pseudo_values, top_share), (log_cv_pseudo_values, log_cv)]
)
def test_pseudo_values_are_those_of_leaving_each_document_out(pseudo_values, statistic):
    """Each pseudo-value is n times the statistic less n - 1 times that of the states without the document."""
    drawn = simulated_states(SHARE, 9, np.random.default_rng(2), bulk_share=0.25)
    whole = np.array([statistic(layer) for layer in drawn.states])
    expected = [
        9 * whole - 8 * np.array([statistic(layer[drawn.document != left]) for layer in drawn.states])
        for left in range(9)
    ]
    np.testing.assert_allclose(pseudo_values(drawn), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("share", "bulk_share", "wants"),
    [(0.1, None, "a spike must be above the tail"), (0.3, 0.4, "not below that of the bulk"), (1.0, 0.4, "below 1")],
)
def test_a_share_that_no_population_has_is_an_error(share, bulk_share, wants):
    """A share below the tail's, below the bulk's or of 1 is refused."""
    with pytest.raises(ValueError, match=wants):
        simulated_states(np.full(3, share), 9, np.random.default_rng(0), bulk_share=bulk_share)
