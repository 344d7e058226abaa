"""Simulated states have the truth that they are drawn for, and their pseudo-values are what leaving out gives."""

from dataclasses import replace

import numpy as np
import pytest
from simulate_states import Population, cross_fit_shares, log_cv_pseudo_values, share_pseudo_values
from true_metrics import TRUTHS

from aniso_core.leaveout import cross_fit_share
from aniso_core.metrics import aniso_metrics
from aniso_core.moments import Moments

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
    drawn = Population(SHARE, bulk_share).draw(2000, np.random.default_rng(0))
    np.testing.assert_allclose([top_share(layer) for layer in drawn.states], SHARE, atol=0.02)
    rest = np.setdiff1d(np.arange(len(drawn.document)), drawn.first)
    bulk = [top_share(layer[rest]) for layer in drawn.states]
    np.testing.assert_allclose(bulk, SHARE if bulk_share is None else 3 * [bulk_share], atol=0.02)


@pytest.mark.parametrize(("bulk_share", "mean"), [(None, 0.0), (None, 1.0), (0.25, 0.5)])
def test_many_states_have_the_true_metrics(bulk_share, mean):
    """Each metric of 2,000 documents is that of their population, with massive tokens, with a mean, and without."""
    population = Population(SHARE, bulk_share, token_scale=0.2, mean=mean)
    drawn = [Moments.of(layer) for layer in population.draw(2000, np.random.default_rng(0)).states]
    for metric in aniso_metrics():
        if metric.name in TRUTHS and (metric.name != "cosine-to-mean" or bulk_share or mean):
            found = [metric.of(moments) for moments in drawn]
            np.testing.assert_allclose(
                found, TRUTHS[metric.name](population), rtol=0.02, atol=0.005, err_msg=metric.name
            )


def test_a_tail_is_what_it_is_given_as():
    """All eigenvalues but the first are in proportion to the tail of their layer, and as 1 / k without one."""
    tails = np.stack([np.ones(47), np.linspace(2, 1, 47)])
    even, falling = Population(np.full(2, 0.3), tail=tails).variances
    assert even[1:] == pytest.approx(0.7 / 47)
    assert falling[1] / falling[-1] == pytest.approx(2)
    (plain,) = Population(np.full(1, 0.3)).variances
    assert plain[1] / plain[5] == pytest.approx(5)


def test_cross_fit_of_states_at_hand_is_that_of_a_run_that_keeps_them():
    """Fewer states than their width are kept, so that both ways to the cross-fit share agree."""
    drawn = Population(SHARE, width=160).draw(9, np.random.default_rng(4))
    kept = [cross_fit_share(Moments.of(layer, drawn.document.tolist())) for layer in drawn.states]
    np.testing.assert_allclose(cross_fit_shares(drawn), kept, rtol=1e-6)


def test_texts_that_are_cut_in_two_ways_keep_what_their_tokens_have_in_common():
    """Other tokens of the same documents have other states, and the same means of documents."""
    population = Population(np.full(1, 0.3), token_scale=0.0)
    rng = np.random.default_rng(3)
    texts = population.texts(40, rng)
    finer = replace(texts, lengths=100 * texts.lengths)
    means = [
        np.stack([part.mean(axis=1)[0] for part in np.split(drawn.states, drawn.first[1:], axis=1)])
        for drawn in (population.states(t, rng) for t in (finer, replace(finer, lengths=finer.lengths[::-1])))
    ]
    np.testing.assert_allclose(*means, atol=0.12)


def test_documents_layers_and_tokens_are_as_described():
    """Documents have 8 to 14 tokens, neighbouring layers correlate at .95 and tokens of a document at .3."""
    drawn = Population(np.full(2, 0.3), token_scale=0.0).draw(2000, np.random.default_rng(1))
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
    drawn = Population(SHARE, 0.25).draw(9, np.random.default_rng(2))
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
        Population(np.full(3, share), bulk_share)
