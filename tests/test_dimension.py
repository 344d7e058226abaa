"""Intrinsic dimensions on clouds of known dimension, and of sampled tokens."""

import json

import numpy as np
import pytest
import torch
from draws import rng
from scipy.spatial.distance import cdist
from scipy.stats import beta, gamma

from aniso_core.answers import evaluate
from aniso_core.errors import UndefinedMetricError
from aniso_core.sampling import SIZE
from aniso_core.store import load
from aniso_core.tokens import Tokens
from aniso_dimension import aniso_metrics
from aniso_dimension.neighbours import MOST, Neighbours, SampledNeighbours, neighbours

METRICS = {metric.name: metric for metric in aniso_metrics()}
ORDERS = (2, 4, 8, 16, 32, 64)


def embedded(points, width=40, seed=1):
    """Return points float[n, m] turned at random into a space of more dimensions, away from its origin."""
    turn, _ = np.linalg.qr(rng(seed).standard_normal((width, points.shape[1])))
    return points @ turn.T + rng(seed + 1).standard_normal(width)


def sphere(d, n=1000, seed=0):
    points = rng(seed).standard_normal((n, d + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


# Truths


@pytest.mark.parametrize("d", [1.5, 7.0, 30.0])
@pytest.mark.parametrize("order", ORDERS)
def test_gride_finds_the_dimension_of_its_own_law(order, d):
    """Where (r_k / r_2k)^d has the quantiles of Beta(k, k), as in a Poisson process, the estimate is d."""
    n, near = 4000, order // 2
    distances = np.ones((n, MOST))
    distances[:, near - 1] = beta.ppf((np.arange(n) + 0.5) / n, near, order - near) ** (1 / d)
    assert Neighbours(distances).gride(order) == pytest.approx(d, rel=1e-3)  # the quantiles' own step


@pytest.mark.parametrize("d", [1.5, 7.0, 30.0])
def test_mle_finds_the_dimension_of_its_own_law(d):
    """Where the nine log ratios of a state sum to the quantiles of Gamma(9) / d, the estimate is d."""
    n = 4000
    sums = gamma.ppf((np.arange(n) + 0.5) / n, 9)
    distances = np.ones((n, 10))
    distances[:, :9] = np.exp(-sums / (9 * d))[:, None]
    assert Neighbours(distances).mle(10) == pytest.approx(d, rel=1e-3)


def test_two_nn_is_its_closed_form_and_gride_of_order_two():
    """TwoNN is (n - 1) / sum ln(r2 / r1)."""
    states = rng().standard_normal((200, 5))
    near = np.sort(cdist(states, states), axis=1)[:, 1:3]
    found = neighbours(states)
    assert found.two_nn() == pytest.approx(199 / np.log(near[:, 1] / near[:, 0]).sum(), rel=1e-10)
    assert found.two_nn() == found.gride(2)


@pytest.mark.parametrize("d", [1, 2, 4, 6])
def test_spheres_have_their_dimension(d):
    """A sphere in 40 dimensions is found within three standard errors of TwoNN, d / sqrt(n), and a few per cent."""
    found = neighbours(embedded(sphere(d)).astype(np.float32))
    for estimate in (found.two_nn(), found.gride(4), found.gride(8), found.mle(10)):
        assert abs(estimate - d) < 3 * d / np.sqrt(1000) + 0.03 * d  # curvature at the scale of 8 neighbours


@pytest.mark.parametrize("kind", ["cube", "gaussian"])
@pytest.mark.parametrize("d", [2, 4])
def test_flat_clouds_have_their_dimension(kind, d):
    """A cube and a normal cloud in a subspace of 40 dimensions are found, their edges costing up to a tenth."""
    points = rng().random((1000, d)) if kind == "cube" else rng().standard_normal((1000, d))
    found = neighbours(embedded(points).astype(np.float32))
    for estimate in (found.two_nn(), found.gride(4), found.mle(10)):
        assert abs(estimate - d) < 3 * d / np.sqrt(1000) + 0.1 * d


def test_dimension_depends_on_the_scale():
    """A noisy circle is a plane to near neighbours and a line to far ones."""
    noisy = embedded(sphere(1)) + embedded(0.01 * rng(5).standard_normal((1000, 2)), seed=1)
    found = neighbours(noisy)
    assert found.two_nn() > 1.6
    assert found.gride(64) < 1.2
    assert found.distance(2) < 0.1 * found.distance(64)


def test_neighbour_distances_are_those_of_scipy():
    """The mean distance to two neighbours is that of the sorted distances that scipy gives."""
    states = rng().standard_normal((150, 30))
    near = np.sort(cdist(states, states), axis=1)
    for order in ORDERS:
        assert neighbours(states).distance(order) == pytest.approx(near[:, [order // 2, order]].mean(), rel=1e-10)


# Distances


def test_close_states_far_from_the_others_keep_their_digits():
    """Two clusters thirty thousand times as far apart as they are wide have the distances that subtraction gives."""
    states = rng().standard_normal((60, 16))
    states[30:] += 3e4
    exact = np.sort(cdist(states, states), axis=1)[:, 1:30]
    # Products alone would be wrong by 1e-7 of a distance.
    assert neighbours(states).distances[:, :29] == pytest.approx(exact, rel=1e-10)


def test_a_state_counts_once():
    """States that are repeated, exactly or but for rounding, change nothing but are not counted."""
    states = (3 + rng().standard_normal((200, 24))).astype(np.float32)
    again = states[rng(1).integers(0, 200, 300)]
    rounded = (states[:50] * (1 + 2e-7)).astype(np.float32)
    assert not (rounded == states[:50]).all()
    want, got = neighbours(states), neighbours(np.concatenate([states, again, rounded]))
    assert got.count() == want.count() == 200
    assert got.distances == pytest.approx(want.distances, rel=1e-6)


def test_zero_is_a_state_like_any_other():
    """A state of norm zero, once or several times, is one state with neighbours."""
    states = rng().standard_normal((100, 6)).astype(np.float32)
    found = neighbours(np.concatenate([np.zeros((3, 6), np.float32), states]))
    assert found.count() == 101
    assert found.distances[0, 0] == pytest.approx(np.linalg.norm(states, axis=1).min(), rel=1e-6)


@pytest.mark.parametrize("distinct", [1, 2, 10, 64])
def test_too_few_distinct_states_say_how_many_are_needed(distinct):
    """Without enough distinct states a metric has no value and says how many it needs; the count is there."""
    found = neighbours(np.repeat(rng().standard_normal((distinct, 8)), 3, axis=0))
    assert evaluate(METRICS["distinct-states"], found) == distinct
    for name, metric in METRICS.items():
        wanted = {"two-nn": 3, "distinct-states": 1}.get(name) or int(name.rpartition("-")[2]) + 1
        if distinct < wanted:
            with pytest.raises(UndefinedMetricError, match=f"need {wanted} distinct states .* has {distinct}$"):
                evaluate(metric, found)
        else:
            assert np.isfinite(evaluate(metric, found))


def test_neighbours_at_one_distance_have_no_dimension():
    """Evenly spaced states on a circle, whose two nearest neighbours are equally far, have no TwoNN."""
    angle = 2 * np.pi * np.arange(100) / 100
    with pytest.raises(UndefinedMetricError, match="orders 1 and 2 are equally far"):
        neighbours(np.column_stack([np.cos(angle), np.sin(angle)])).two_nn()


# Sample


def test_neighbours_are_those_of_the_sampled_states():
    """Neighbours are those within the sample alone, however many tokens came."""
    states = torch.from_numpy(rng().standard_normal((2 * SIZE, 12)))
    place = torch.arange(len(states))
    sample = SampledNeighbours()
    sample.update(Tokens(states, states.norm(dim=1), place // 50, place % 50))
    assert sample.result().count() == SIZE
    assert np.array_equal(sample.result().distances, neighbours(sample.states()).distances)


# Command


def test_a_run_has_the_dimensions(measure):
    """A profile of a tiny model has every dimension that was asked for, with the number of states behind it."""
    run = measure(*(option for name in METRICS for option in ("--metric", name)))
    assert run.code == 0, run.err
    profile = load(run.run)
    sizes = profile.curve("distinct-states", "residual", "all").values
    (total,) = {n for c in profile.counts if (c.stream, c.tokens) == ("residual", "all") for n in c.counts}
    assert sizes[0] < sizes[-1] <= total  # an embedding is the same wherever its token stands
    for name, metric in METRICS.items():
        curve = profile.curve(name, "residual", "all")
        assert curve.unit == metric.unit
        assert curve.values[-1] > 0
        assert all("distinct states" in missing.reason for missing in curve.missing)


def test_batches_change_no_sample(measure):
    """Whatever the batches, the same tokens are measured, and the values agree up to rounding."""
    names = ("two-nn", "gride-16", "mle-10", "distinct-states")
    options = [option for name in names for option in ("--metric", name)]
    one, other = (load(measure(*options, "--batch-tokens", size, out=f"run-{size}").run) for size in (16, 4096))
    for name in names:
        assert one.curve(name).array() == pytest.approx(other.curve(name).array(), rel=1e-4)


def test_metrics_are_listed(aniso):
    """The scales have names, `gride-2` answers as TwoNN, and the list says what each is."""
    listed = {metric["name"] for metric in json.loads(aniso("metrics", "list", "--json").out)}
    assert listed > set(METRICS) > {"two-nn", "gride-4", "gride-64", "mle-10", "neighbour-distance-2"}
    assert "neighbours 1 and 2" in aniso("metrics", "show", "gride-2").out
