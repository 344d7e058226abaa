"""Running moments against closed forms and against numpy on all states at once."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aniso_core.errors import UndefinedMetricError
from aniso_core.memory import Rows
from aniso_core.moments import Moments, decompose
from aniso_core.running import RunningMoments
from aniso_core.sums import Sums
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


def reference(states: np.ndarray) -> SimpleNamespace:
    """Return the moments by their definitions, in float64, on all states at once."""
    x = states.astype(np.float64)
    norms, mean = np.linalg.norm(x, axis=1), x.mean(axis=0)
    cov = np.cov(x.T)
    peaks = np.abs(x).max(axis=1)
    highest = np.abs(x[peaks.argmax()])
    return SimpleNamespace(
        count=len(x),
        mean=mean,
        unit_mean=(x / norms[:, None]).mean(axis=0),
        norm_mean=norms.mean(),
        norm_var=norms.var(),
        trace=np.trace(cov),
        quartic=(((x - mean) ** 2).sum(axis=1) ** 2).mean(),
        peak=peaks.max(),
        peak_ratio=peaks.max() / np.median(highest),
        spectrum=np.maximum(np.linalg.eigvalsh(cov)[::-1], 0.0),
        cov=cov,
    )


def assert_same(got: Moments, want: Moments | SimpleNamespace, rel: float) -> None:
    for name in FIELDS:
        left, right = np.asarray(getattr(got, name)), np.asarray(getattr(want, name))
        scale = max(float(np.abs(right).max()), 1e-300)
        assert np.abs(left - right).max() <= rel * scale, name


@pytest.mark.parametrize("massive", [False, True])
@pytest.mark.parametrize("n", [5, WIDTH - 1, WIDTH, 400])
def test_streamed_moments_are_those_of_all_states_at_once(n, massive):
    """However states are cut, the moments are numpy's on all of them, to 1e-9 relative."""
    states = cloud(n, massive=massive)
    want = reference(states)
    assert_same(Moments.of(states), want, 1e-9)
    assert_same(fold(states, []).result(), want, 1e-9)
    assert_same(fold(states, [1, 2, n // 2]).result(), want, 1e-9)
    assert_same(fold(states, list(range(1, n))).result(), want, 1e-9)


@pytest.mark.parametrize(("left", "right"), [(3, 4), (3, 300), (300, 3), (200, 300), (12, 13)])
def test_merged_moments_are_those_of_the_whole(left, right):
    """Merging parts of any size gives the whole, whichever side it starts from, and leaves the parts as they were."""
    states = cloud(left + right, massive=True)
    one, two = fold(states[:left], []), fold(states[left:], [1])
    before = one.result()
    want = reference(states)
    assert_same(one.merge(two).result(), want, 1e-9)
    assert_same(two.merge(one).result(), want, 1e-9)
    assert_same(one.result(), before, 0.0)
    both = one.merge(two)
    both.update(Tokens.of(torch.from_numpy(states)))
    assert_same(one.result(), before, 0.0)
    one.update(Tokens.of(torch.from_numpy(states)))
    assert_same(both.result(), reference(np.concatenate([states, states])), 1e-9)


@pytest.mark.parametrize("massive", [False, True])
@pytest.mark.parametrize("n", [WIDTH - 1, 500])
def test_float32_states_keep_the_precision_of_float64_sums(n, massive):
    """States in float32, a massive token among them or not, lose nothing beyond their own rounding."""
    states = cloud(n, massive=massive).astype(np.float32)
    assert_same(fold(states, [10, 11, n // 2]).result(), reference(states), 1e-6)


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1.0, 1.0), (100.0, 1.0), (0.01, 1e-3), (0.0, 4e3)])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_products_in_half_precision_are_as_good_as_float32(half, offset, scale):
    """What GPUs multiply in half precision, as it is or centred and split, keeps the shares of variance to 1e-5."""
    rng = np.random.default_rng(0)
    states = torch.from_numpy(rng.standard_normal((4000, WIDTH)) * np.linspace(3, 0.1, WIDTH) * scale + offset)
    states = states.to(half).float()
    norms = states.norm(dim=1)
    sums = Sums(states[:1000], norms[:1000], half)
    for rows, lengths in zip(states.split(1000), norms.split(1000), strict=True):
        sums.add(rows, lengths)
    want = reference(states.numpy())
    scatter, square, _ = sums.about(sums.mean, states[:0])
    share = np.linalg.eigvalsh(scatter.numpy())[::-1] / float(square)
    assert np.abs(share - want.spectrum / want.trace).max() < 1e-5 * share[0]


def test_a_first_block_unlike_the_rest_costs_nothing():
    """Rows far from the first block's mean, by 100 spreads, lose no digit by it."""
    states = np.concatenate([cloud(40, 0), cloud(2000, 1) + 300.0])
    assert_same(fold(states, [40, 900]).result(), reference(states), 1e-9)
    single = states.astype(np.float32)
    assert_same(fold(single, [40, 900]).result(), reference(single), 1e-6)


def test_both_sides_give_the_same_spectrum():
    """Eigenvalues through the n x n side and through the d x d side agree."""
    states = cloud(WIDTH - 1)
    gram, direct = Moments.of(states), np.linalg.eigvalsh(np.cov(states.T))[::-1]
    assert np.allclose(gram.spectrum[: WIDTH - 2], direct[: WIDTH - 2], rtol=1e-9)
    assert gram.spectrum[WIDTH - 2 :].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("n", [10, 300])
def test_uncentred_spectrum_is_that_of_the_states_themselves(n, offset):
    """The eigenvalues of X'X / n, for few states and many, about a mean near and far."""
    states = cloud(n) + offset
    want = np.zeros(WIDTH)
    singular = np.linalg.svd(states, compute_uv=False)
    want[: len(singular)] = singular**2 / n
    moments = Moments.of(states)
    assert np.allclose(moments.uncentred_spectrum, want, rtol=1e-9, atol=1e-12 * want[0])
    assert moments.uncentred_square_trace == pytest.approx((want**2).sum(), rel=1e-9)


@pytest.mark.parametrize("n", [10, 300])
def test_top_direction_is_the_first_eigenvector(n):
    """The variance along the top direction is the largest eigenvalue, on either side."""
    moments = fold(cloud(n), [4]).result()
    assert np.linalg.norm(moments.top_direction) == pytest.approx(1.0)
    assert moments.variance_along(moments.top_direction) == pytest.approx(moments.spectrum[0], rel=1e-9)


def test_arrays_of_moments_cannot_be_changed():
    """A metric that writes into what it was given fails rather than spoils the next one's numbers."""
    moments = fold(cloud(300), []).result()
    for name in ("mean", "unit_mean", "spectrum", "uncentred_spectrum", "cov", "top_direction"):
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


def test_spectra_decomposed_together_are_those_decomposed_alone():
    """Decomposing several matrices at once, each on one core, changes no eigenvalue beyond rounding."""
    rng = np.random.default_rng(0)
    clouds = [rng.standard_normal((700, 300)) * np.linspace(3, 0.1, 300) for _ in range(3)]
    alone, together = ([Moments.of(states) for states in clouds] for _ in range(2))
    assert alone[0].top_direction.shape == (300,)
    decompose(together, alone[0])
    for one, other in zip(alone, together, strict=True):
        assert {"spectrum", "top_direction"} <= vars(other).keys()
        assert abs(one.top_direction @ other.top_direction) == pytest.approx(1.0)
        assert np.allclose(one.spectrum, other.spectrum, rtol=1e-12)


def test_memory_does_not_grow_with_tokens():
    """Past d tokens a fold holds matrices of d x d and fewer than d rows, however many it has seen."""
    running = fold(cloud(10 * WIDTH + 5), list(range(7, 10 * WIDTH, 7)))
    assert len(running._rows) < WIDTH


def test_kept_rows_are_copies_in_the_order_they_came():
    """Rows that come one by one and many at once are all there, whatever becomes of the memory they came in."""
    rows, came = Rows(), torch.randn(40, 7)
    parts = [part.clone() for part in came.split([1, 1, 3, 30, 5])]
    for part in parts:
        rows.append(part)
        part.zero_()
    assert len(rows) == 40
    assert torch.equal(rows.held, came)
