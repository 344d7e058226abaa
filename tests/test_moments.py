"""Running moments against closed forms and against numpy on all states at once."""

import numpy as np
import pytest
import torch

from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments, RunningMoments
from aniso_core.tokens import Tokens

WIDTH = 24
FIELDS = (
    "count",
    "mean",
    "unit_mean",
    "norm_mean",
    "norm_var",
    "trace",
    "quartic",
    "peak",
    "peak_ratio",
    "spectrum",
    "cov",
)


def cloud(n: int, seed: int = 0, *, massive: bool = False) -> np.ndarray:
    """Return states with a large mean and a decaying spectrum; `massive` makes one of them 10,000 times as long."""
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((n, WIDTH)) * np.linspace(3, 0.1, WIDTH) + 10 * rng.standard_normal(WIDTH)
    if massive:
        states[n // 2] *= 1e4
    return states


def fold(states: np.ndarray, cuts: list[int]) -> RunningMoments:
    running = RunningMoments()
    for part in np.split(states, cuts):
        running.update(Tokens.of(torch.from_numpy(part)))
    return running


def assert_same(got: Moments, want: Moments, rel: float) -> None:
    for name in FIELDS:
        left, right = np.asarray(getattr(got, name)), np.asarray(getattr(want, name))
        scale = max(float(np.abs(right).max()), 1e-300)
        assert np.abs(left - right).max() <= rel * scale, name


@pytest.mark.parametrize("massive", [False, True])
@pytest.mark.parametrize("n", [5, WIDTH - 1, WIDTH, 400])
def test_streamed_moments_are_those_of_all_states_at_once(n, massive):
    """However states are cut, the moments are numpy's on all of them, to 1e-9 relative."""
    states = cloud(n, massive=massive)
    want = Moments.of(states)
    assert_same(fold(states, []).result(), want, 1e-9)
    assert_same(fold(states, [1, 2, n // 2]).result(), want, 1e-9)
    assert_same(fold(states, list(range(1, n))).result(), want, 1e-9)


@pytest.mark.parametrize(("left", "right"), [(3, 4), (3, 300), (300, 3), (200, 300), (12, 13)])
def test_merged_moments_are_those_of_the_whole(left, right):
    """Merging parts of any size gives the whole, whichever side it starts from, and leaves the parts as they were."""
    states = cloud(left + right, massive=True)
    one, two = fold(states[:left], []), fold(states[left:], [1])
    before = one.result()
    want = Moments.of(states)
    assert_same(one.merge(two).result(), want, 1e-9)
    assert_same(two.merge(one).result(), want, 1e-9)
    assert_same(one.result(), before, 0.0)
    one.merge(two).update(Tokens.of(torch.from_numpy(states)))
    assert_same(one.result(), before, 0.0)


def test_float32_states_keep_the_precision_of_float64_sums():
    """States in float32 with a massive token lose nothing beyond their own rounding."""
    states = cloud(500, massive=True).astype(np.float32)
    assert_same(fold(states, [100, 101, 350]).result(), Moments.of(states.astype(np.float64)), 1e-6)


def test_both_sides_give_the_same_spectrum():
    """Eigenvalues through the n x n side and through the d x d side agree."""
    states = cloud(WIDTH - 1)
    gram, direct = Moments.of(states), np.linalg.eigvalsh(np.cov(states.T))[::-1]
    assert np.allclose(gram.spectrum[: WIDTH - 2], direct[: WIDTH - 2], rtol=1e-9)
    assert gram.spectrum[WIDTH - 2 :].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n", [10, 300])
def test_top_direction_is_the_first_eigenvector(n):
    """The variance along the top direction is the largest eigenvalue, on either side."""
    moments = fold(cloud(n), [4]).result()
    assert np.linalg.norm(moments.top_direction) == pytest.approx(1.0)
    assert moments.variance_along(moments.top_direction) == pytest.approx(moments.spectrum[0], rel=1e-9)


def test_arrays_of_moments_cannot_be_changed():
    """A metric that writes into what it was given fails rather than spoils the next one's numbers."""
    moments = fold(cloud(300), []).result()
    for name in ("mean", "unit_mean", "spectrum", "cov", "top_direction"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(moments, name)[0] = 0.0


def test_nothing_measured_is_an_error():
    """Moments of no tokens do not exist."""
    with pytest.raises(UndefinedMetricError, match="no token"):
        RunningMoments().result()


@pytest.mark.parametrize("n", [2, 40])
def test_identical_states_have_no_spread(n):
    """States that differ by rounding alone have no variance to share, one token has none either."""
    states = np.tile(np.float32(cloud(1)), (n, 1))
    with pytest.raises(UndefinedMetricError, match="the same up to rounding"):
        fold(states, []).result().require_spread()
    with pytest.raises(UndefinedMetricError, match="one token"):
        fold(states[:1], []).result().require_spread()


def test_memory_does_not_grow_with_tokens():
    """Past d tokens a fold holds matrices of d x d and fewer than d rows, however many it has seen."""
    running = fold(cloud(10 * WIDTH + 5), list(range(7, 10 * WIDTH, 7)))
    assert sum(len(rows) for rows in running._rows) < WIDTH
