"""The seeded sample of tokens that merges."""

from functools import reduce

import numpy as np
import pytest
import torch
from draws import rng

from aniso_core import Tokens, UndefinedMetricError
from aniso_core.sampling import SIZE, TokenSample, rank


def corpus(documents=60, length=50, width=5):
    """Return states of documents of one length, and which document and position each is at."""
    document, position = np.divmod(np.arange(documents * length), length)
    return rng().standard_normal((len(document), width)), document, position


def sampled(*parts, size=SIZE):
    sample = TokenSample(size)
    for states, document, position in parts:
        held = torch.from_numpy(states)
        sample.update(Tokens(held, held.norm(dim=1), torch.from_numpy(document), torch.from_numpy(position)))
    return sample


def test_the_sample_is_the_tokens_of_lowest_rank():
    """Of more tokens than it may hold the sample has those with the lowest hash of document and position, by rank."""
    states, document, position = corpus()
    sample = sampled((states, document, position))
    assert np.array_equal(sample.result(), states[np.argsort(rank(document, position))[:SIZE]])
    assert len(sample._rows) == SIZE + 1


def test_the_sample_does_not_depend_on_how_tokens_came():
    """Order, batches and parts change no bit, and merging leaves the parts as they were."""
    states, document, position = corpus()
    want = sampled((states, document, position)).states()
    for seed, cuts in ((1, [10, 700, 1500]), (2, range(100, 3000, 100))):
        order = np.split(rng(seed).permutation(len(states)), list(cuts))
        batches = [(states[some], document[some], position[some]) for some in order]
        assert np.array_equal(sampled(*batches).states(), want)
        parts = [sampled(batch) for batch in batches]
        before = [part.states() for part in parts]
        assert np.array_equal(reduce(TokenSample.merge, parts).states(), want)
        assert np.array_equal(reduce(lambda a, b: b.merge(a), reversed(parts)).states(), want)
        assert all(np.array_equal(part.states(), was) for part, was in zip(parts, before, strict=True))


def test_every_site_samples_the_same_tokens():
    """Which tokens are chosen depends on their places alone, not on their states."""
    _, document, position = corpus()
    named = np.arange(len(document), dtype=np.float32)
    for noise in (rng(1), rng(2)):
        states = np.column_stack([named, noise.standard_normal(len(named))]).astype(np.float32)
        found = sampled((states, document, position)).states()
        assert found[:, 0].tolist() == np.argsort(rank(document, position))[:SIZE].tolist()


def test_tokens_at_one_place_stay_together():
    """Windows of one document repeat its positions; such tokens are in the sample together or not at all."""
    states, document, position = corpus(documents=6, length=40, width=3)
    states, document, position = (
        np.concatenate([states, states + 1, states - 1]),
        *(np.tile(part, 3) for part in (document, position)),
    )
    whole = np.sort(np.unique(rank(document, position)))
    for size in (30, 31, 32):
        order = rng(size).permutation(len(states))
        found = sampled(*((states[i], document[i], position[i]) for i in np.array_split(order, 7)), size=size).states()
        assert len(found) == (rank(document, position) < whole[10]).sum() == 30
        assert np.array_equal(found, sampled((states, document, position), size=size).states())


def test_a_document_of_very_many_windows_is_refused():
    """Where one place alone has more tokens than the sample may hold, it is empty and says why."""
    states = rng().standard_normal((40, 4))
    sample = sampled((states, np.zeros(40, int), np.zeros(40, int)), size=30)
    with pytest.raises(UndefinedMetricError, match=r"more than 30 windows of one document share .* split the document"):
        sample.result()


def test_nothing_seen_is_no_sample():
    """Without tokens there is no sample, and merging with nothing changes nothing."""
    with pytest.raises(UndefinedMetricError, match="no token"):
        TokenSample().result()
    some = sampled(corpus())
    for both in (some.merge(TokenSample()), TokenSample().merge(some)):
        assert np.array_equal(both.states(), some.states())


def test_ranks_are_those_of_every_release_and_differ_between_places():
    """The hash never changes, so that samples of different releases are of the same tokens; no two places share it."""
    assert rank(np.array([0, 0, 1]), np.array([0, 1, 0])).tolist() == [
        17557360013633469499,
        16000882876671554313,
        11794276132472526484,
    ]
    document, position = np.divmod(np.arange(2**18), 2**9)
    found = rank(document, position)
    assert len(np.unique(found)) == 2**18
    # The mean of uniform numbers, five standard errors: the lowest ranks are no part of the corpus more than another.
    lowest = np.argsort(found)[:4096]
    for part in (document, position):
        assert abs(part[lowest].mean() - 255.5) < 5 * 512 / np.sqrt(12 * 4096)
