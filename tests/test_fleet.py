"""The simulated fleet of workers: what must hold whatever fails."""

import fleet
import numpy as np
import pytest

EVEN = np.ones(240)
UNEVEN = np.random.default_rng(0).lognormal(0, 0.3, 400)


def run(times, workers, seed=0, window=2, **choices):
    return fleet.Simulation(fleet.Fleet(workers, window * workers, **choices), times, seed).run()


@pytest.mark.parametrize("workers", [1, 7, 40, 240, 500])
def test_without_failures_workers_share_the_work(workers):
    """Without failures all is done when the shards are shared out evenly, and nothing is wasted."""
    out = run(EVEN, workers)
    assert out.end == -(-len(EVEN) // workers)
    assert (out.wasted, out.failures) == (0, 0)


@pytest.mark.parametrize("workers", [1, 7, 40])
def test_without_failures_one_shard_is_the_most_that_is_lost(workers):
    """Uneven shards end at most the longest shard after the ideal where the window keeps nobody waiting."""
    ideal = UNEVEN.sum() / workers
    assert ideal <= run(UNEVEN, workers, window=400).end <= ideal + UNEVEN.max()


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize(("workers", "mtbf"), [(1, 20.0), (9, np.inf), (40, 3.0)])
def test_every_shard_counts_once(tree, workers, mtbf):
    """However often workers fail, each shard is merged once; by a driver in the order of their numbers."""
    out = run(UNEVEN, workers, merge=0.001, mtbf=mtbf, tree=tree)
    assert sorted(out.merged) == list(range(len(UNEVEN)))
    assert tree or out.merged == sorted(out.merged)
    assert (out.failures > 0) == np.isfinite(mtbf)


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 64, 101])
def test_a_tree_makes_one_result(shards):
    """Any number of shards takes one merge less than there are shards."""
    out = run(np.ones(shards), 8, merge=0.25, tree=True)
    assert out.merging == pytest.approx(0.25 * (shards - 1))


def test_waste_grows_with_the_rate_of_failure():
    """The more often workers fail the more is wasted, and the later it ends, on average over seeds."""
    several = [[run(UNEVEN, 20, seed, mtbf=mtbf) for seed in range(8)] for mtbf in (1000.0, 100.0, 20.0, 5.0)]
    wasted, ends = ([np.mean([getattr(out, name) for out in outs]) for outs in several] for name in ("wasted", "end"))
    assert wasted == sorted(wasted)
    assert ends == sorted(ends)


def test_waste_is_what_failures_cost():
    """Each failure costs the time away and at most the shard that broke off."""
    out = run(EVEN, 10, mtbf=5.0, away=2.0)
    assert 2.0 * out.failures <= out.wasted <= 3.0 * out.failures


@pytest.mark.parametrize("window", [1, 2, 4])
def test_the_window_bounds_what_waits(window):
    """No more results wait than the window is wide, also where the driver is slow."""
    out = run(UNEVEN, 20, window=window, merge=0.5, mtbf=50.0)
    assert 0 < out.waiting <= window * 20


def test_a_slow_driver_sets_the_pace():
    """Where merges take longer than the workers need, the end is the time of all merges and no worker helps."""
    slow, slower = (run(EVEN, workers, merge=0.5) for workers in (20, 200))
    assert slow.end == pytest.approx(0.5 * len(EVEN), rel=0.02)
    assert slower.end == pytest.approx(slow.end, rel=0.02)


def test_workers_that_merge_by_themselves_have_no_such_pace():
    """In a tree the merges are shared out as the shards are."""
    out = run(EVEN, 20, merge=0.5, tree=True)
    assert out.end < 1.3 * (len(EVEN) + 0.5 * len(EVEN)) / 20
