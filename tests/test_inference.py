"""What the tests of claims must do exactly: closed forms, brute force, invariances. Long, for it goes test by test.

How often they are wrong is in test_error_rates.py.
"""

import dataclasses
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from simulate import bell, flat, hump, pseudo_values, three_phases, two_humps

from aniso_core.inference import (
    agreement,
    benjamini_hochberg,
    depth_bins,
    exact_permutation,
    flatness,
    flatness_difference,
    holm,
    interval,
    max_t,
    mean_test,
    peak_layers,
    peak_test,
    phase_test,
    range_interval,
    sign_flip,
    sign_flip_interval,
    valley_bounds,
)

BREAKS = (7 / 32, 28 / 32)
quick = settings(max_examples=40, deadline=None, derandomize=True)
values = st.floats(-1, 1, width=16)

# Every test as a function of pseudo-values, a generator and the unit in which its limits are given.
TESTS = {
    "interval": lambda pv, _rng, _unit: interval(pv),
    "max_t": lambda pv, rng, unit: max_t(pv, rng, 0.05 * unit),
    "peak_test": lambda pv, rng, unit: peak_test(pv, rng, delta=0.05 * unit, eps=0.05 * unit),
    "valley_bounds": lambda pv, rng, _unit: valley_bounds(pv, rng),
    "peak_layers": lambda pv, rng, _unit: peak_layers(pv, rng),
    "range_interval": lambda pv, rng, _unit: range_interval(pv, rng),
    "flatness": lambda pv, _rng, _unit: flatness(pv),
    "flatness_difference": lambda pv, _rng, unit: flatness_difference(pv, pv[..., 1:], 0.02 * unit),
    "phase_test": lambda pv, _rng, unit: phase_test(pv, BREAKS, 0.05 * unit),
}
every_test = pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)


def fields(result):
    """Return all fields of a result, and of the results in it, as plain Python; floats print with every digit."""
    if dataclasses.is_dataclass(result):
        return {field.name: fields(getattr(result, field.name)) for field in dataclasses.fields(result)}
    return result.tolist() if isinstance(result, np.ndarray) else result


def numbers(result):
    """Return all floats of a result, float64[fields]."""

    def walk(part):
        if isinstance(part, dict | list | tuple):
            inner = part.values() if isinstance(part, dict) else part
            return [number for one in inner for number in walk(one)]
        return [part] if isinstance(part, float) else []

    return np.array(walk(fields(result)))


def given_profile(documents=32, states=13, seed=0):
    return pseudo_values(bell(states, 0.1), documents, np.random.default_rng(seed))


@every_test
@pytest.mark.parametrize("documents", [16, 40])
def test_the_same_seed_gives_the_same_result(test, documents):
    """Two calls with generators in the same state agree to the last bit."""
    pv = given_profile(documents)
    first, second = (fields(test(pv, np.random.default_rng(1), 1)) for _ in range(2))
    assert repr(first) == repr(second)


@every_test
def test_the_order_of_documents_changes_nothing(test):
    """Documents in another order give the same result, to the last bit."""
    pv = given_profile()
    shuffled = pv[np.random.default_rng(2).permutation(len(pv))]
    first, second = (fields(test(rows, np.random.default_rng(1), 1)) for rows in (pv, shuffled))
    assert repr(first) == repr(second)


@every_test
@pytest.mark.parametrize("unit", [2.0**-40, 2.0**30])
def test_the_unit_changes_nothing(test, unit):
    """Values and limits in another unit, a power of two, change no p-value, and scale estimates exactly."""
    pv = given_profile()
    before, after = (numbers(test(scale * pv, np.random.default_rng(1), scale)) for scale in (1, unit))
    known = ~np.isnan(before)
    assert known.any()
    assert ((after == before) | (after == unit * before) | (after == unit**2 * before))[known].all()


@every_test
@pytest.mark.parametrize(
    ("pv", "wants"),
    [
        (np.zeros(8), "must be a matrix of documents and columns"),
        (np.zeros((0, 5)), "must be a matrix of documents and columns"),
        (np.where(np.eye(9) > 0, np.nan, 0.5), "must be finite, and document 0 has nan in column 0"),
        (np.where(np.eye(9) > 0, np.inf, 0.5), "must be finite"),
    ],
    ids=["vector", "empty", "nan", "infinite"],
)
def test_what_is_no_matrix_of_numbers_is_an_error(test, pv, wants):
    """Pseudo-values of another shape, or not finite, are refused in one sentence."""
    with pytest.raises(ValueError, match=wants) as error:
        test(pv, np.random.default_rng(0), 1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in TESTS if name != "interval"])
@pytest.mark.parametrize(("documents", "states"), [(7, 13), (1, 13), (16, 4)])
def test_too_few_documents_or_states_are_not_testable(name, documents, states):
    """Too little data give a result that says so, without numbers, and no error."""
    if name == "max_t" and documents == 16:
        return
    result = TESTS[name](given_profile(documents, states), np.random.default_rng(0), 1)
    assert result.outcome == "not_testable"
    needed = "5 states and there are" if documents == 16 else f"8 documents and there are {documents}"
    assert needed in result.reason
    assert not [key for key, value in fields(result).items() if key.startswith("p_") and not np.isnan(value)]


def test_few_documents_conclude_nothing():
    """With 8 to 15 documents nothing is supported, and only a valley beyond doubt refutes."""
    rng = np.random.default_rng(0)
    clear = peak_test(pseudo_values(bell(13, 1.0), 12, rng, 0.01), rng)
    assert (clear.outcome, clear.p < 0.05) == ("inconclusive", True)
    assert "12 documents, fewer than 16" in clear.reason
    assert peak_test(pseudo_values(flat(13), 12, rng, 0.001), rng).outcome == "inconclusive"
    assert peak_test(pseudo_values(two_humps(13, 1.0, 0.9), 12, rng, 0.01), rng).outcome == "refuted"
    assert phase_test(pseudo_values(three_phases(33, 1, 1), 12, rng, 0.01), BREAKS).outcome == "inconclusive"


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_level_that_is_no_probability_is_an_error(alpha):
    """An alpha outside 0 to 1 is refused before anything is drawn."""
    pv, rng = given_profile(), np.random.default_rng(0)
    for test in (peak_test, valley_bounds, peak_layers, range_interval):
        with pytest.raises(ValueError, match=f"alpha must lie between 0 and 1, and it is {alpha}"):
            test(pv, rng, alpha=alpha)
    for call in (lambda: flatness(pv, alpha), lambda: phase_test(pv, BREAKS, alpha=alpha), lambda: interval(pv, alpha)):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            call()


# interval


def test_an_interval_is_that_of_student():
    """Mean, standard error and bounds are those of scipy's t test."""
    pv = given_profile(9)
    found = interval(pv, 0.9)
    expected = stats.ttest_1samp(pv, 0).confidence_interval(0.9)
    np.testing.assert_allclose(found.estimate, pv.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.se, stats.sem(pv), rtol=1e-12)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-12)


def test_one_document_has_no_interval():
    """A single document has a mean and no bounds."""
    found = interval(np.array([[0.25, 0.5]]))
    assert found.estimate.tolist() == [0.25, 0.5]
    assert np.isnan([found.se, found.low, found.high]).all()


# max_t


def slow_p(columns, signs):
    """Return the largest t and its flip p, each t computed anew from flipped values."""
    flipped = np.concatenate([np.ones((1, len(columns))), signs])[:, :, None] * columns
    t = (flipped.mean(axis=1) / flipped.std(axis=1, ddof=1)).max(axis=1) * np.sqrt(len(columns))
    return t[0], (t >= t[0] - 1e-9).mean()


def test_max_t_is_the_flip_test_of_the_largest_t():
    """The statistic and p are those of flipping documents and computing every t anew."""
    columns = given_profile(40) + 0.03
    found = max_t(columns, np.random.default_rng(3), delta=0.1, draws=99)
    order = np.lexsort(columns.T[::-1])
    signs = 2 * np.random.default_rng(3).integers(0, 2, (99, 40), dtype=np.int8) - 1
    statistic, p = slow_p(columns[order] - 0.1, signs)
    assert found.statistic == pytest.approx(statistic, rel=1e-9)
    assert found.p == pytest.approx(p, abs=1e-12)


def test_max_t_of_one_column_agrees_with_the_exact_flip_test():
    """With 36 documents and many draws p is that of all 2^36 sign flips, within four standard errors."""
    column = np.random.default_rng(5).normal(0.3, 1, 36)
    exact = sign_flip(column, "greater").p
    found = max_t(column[:, None], np.random.default_rng(0), draws=20_000).p
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_few_documents_are_held_to_bonferroni():
    """Below 32 documents p is that of Bonferroni and t at least, from 32 on that of the flips alone."""
    column = np.random.default_rng(0).normal(0.5, 1, (32, 1))
    for documents in (31, 32):
        copies = np.repeat(column[:documents], 20, axis=1)
        single = stats.ttest_1samp(column[:documents, 0], 0, alternative="greater").pvalue
        found = max_t(copies, np.random.default_rng(0), draws=9999)
        assert found.p == pytest.approx(20 * single if documents < 32 else single, rel=1e-9 if documents < 32 else 0.5)


@pytest.mark.parametrize("documents", [16, 40])
def test_the_critical_value_and_p_say_the_same(documents):
    """The statistic exceeds the critical value of alpha where p is alpha or less, for every alpha."""
    for seed in range(20):
        found = max_t(given_profile(documents, seed=seed) - 0.05, np.random.default_rng(seed), draws=199)
        for alpha in (0.005, 0.05, 0.1, 0.5):
            assert (found.statistic > found.critical(alpha)) == (found.p <= alpha)
    assert max_t(given_profile(40), np.random.default_rng(0), draws=9).critical(0.05) == np.inf


@quick
@given(arrays(np.float64, 12, elements=values), st.floats(0.0625, 1, width=16))
def test_more_evidence_in_a_column_never_raises_p(column, more):
    """A column that is shifted up has no larger p."""
    before, after = (max_t(x[:, None], np.random.default_rng(0), draws=99).p for x in (column, column + more))
    assert after <= before + 1e-12


def test_columns_that_are_level_are_no_evidence():
    """Columns of zeros have p = 1, and beside others change nothing."""
    columns = given_profile(40)
    assert max_t(np.zeros((40, 3)), np.random.default_rng(0)).p == 1.0
    beside = max_t(np.hstack([columns, np.zeros((40, 3))]), np.random.default_rng(0))
    assert beside.p == max_t(columns, np.random.default_rng(0)).p


def test_no_draws_are_an_error():
    """A test without draws is refused."""
    with pytest.raises(ValueError, match="at least one draw, and 0 were asked for"):
        max_t(given_profile(), np.random.default_rng(0), draws=0)


# peak_test and its parts


def slow_valley(theta):
    depths = [min(theta[:j].max(), theta[j + 1 :].max()) - theta[j] for j in range(1, len(theta) - 1)]
    return max(depths)


@quick
@given(arrays(np.float64, st.integers(5, 12), elements=values))
def test_the_valley_is_its_definition(theta):
    """The estimate is the deepest state below a state on either side, and lies within its bounds."""
    pv = theta + np.linspace(-1, 1, 8)[:, None] * np.cos(np.arange(len(theta)))
    found = valley_bounds(pv, np.random.default_rng(0), draws=99)
    assert found.estimate == pytest.approx(slow_valley(pv.mean(axis=0)), abs=1e-12)
    assert found.low <= found.estimate <= found.high


def test_the_upper_bound_of_the_valley_takes_pairs_one_by_one():
    """It is the valley of all pairs' differences raised by t at alpha / 2 times their standard errors."""
    pv = given_profile(20, 7)
    half = stats.t(19).ppf(1 - 0.05)
    high = [[stats.ttest_rel(a, b).confidence_interval(0.9).high for b in pv.T] for a in pv.T]
    expected = max(
        min(max(high[i][j] for i in range(j)), max(high[k][j] for k in range(j + 1, 7))) for j in range(1, 6)
    )
    assert valley_bounds(pv, np.random.default_rng(0), alpha=0.1).high == pytest.approx(expected, abs=1e-9)
    assert half > 1.7


def test_the_parts_of_the_peak_test_are_their_definitions():
    """Rise and fall are max-t against the ends, p is the largest part, and each p agrees with the bound beside it."""
    rng = np.random.default_rng
    for seed, theta in enumerate((bell(9, 0.1), two_humps(9, 0.2, 0.05), flat(9))):
        pv = pseudo_values(theta, 40, rng(seed))
        found = peak_test(pv, rng(1), delta=0.02, eps=0.06, draws=199)
        ordered = pv[np.lexsort(pv.T[::-1])]
        signs = 2 * rng(1).integers(0, 2, (199, 40), dtype=np.int8) - 1
        for part, end in ((found.p_rise, 0), (found.p_fall, -1)):
            assert part == pytest.approx(slow_p(ordered[:, 1:-1] - ordered[:, [end]] - 0.02, signs)[1], abs=1e-12)
        assert found.p == max(found.p_rise, found.p_fall, found.p_valley)
        assert (found.p_valley <= 0.05) == (found.valley.high < 0.06)
        assert (found.p_split <= 0.025) == (found.valley.low > 0.06)
        assert (found.p_level <= 0.025) == (found.prominence.high < 0.02)
        assert found.p_refuted == min(1, 2 * min(found.p_level, found.p_split))
        assert found.prominence.estimate == pytest.approx(min(found.rise, found.fall), abs=1e-12)
        assert found.prominence.low <= found.prominence.estimate <= found.prominence.high


@pytest.mark.parametrize(
    ("theta", "outcome", "words"),
    [
        (bell(13, 0.5), "supported", ()),
        (np.linspace(0, 1, 13), "refuted", ("no state is above both ends by 0.05",)),
        (np.full(13, 0.7), "refuted", ("no state is above both ends by 0.05",)),
        (two_humps(13, 0.5, 0.3), "refuted", ("a valley is deeper than 0.05",)),
        (-bell(13, 0.5), "refuted", ("no state is above both ends by 0.05", "a valley is deeper than 0.05")),
        (hump(13, 0.5, 0.05), "inconclusive", ()),
    ],
    ids=["bell", "rise", "level", "two-humps", "bowl", "fall-of-delta"],
)
def test_a_clear_profile_has_a_clear_verdict(theta, outcome, words):
    """Profiles almost without noise get the verdict that their shape deserves, and the reason for a refutation."""
    found = peak_test(pseudo_values(theta, 24, np.random.default_rng(4), 0.01), np.random.default_rng(0))
    assert (found.outcome, found.refuted_by) == (outcome, words)


def test_constants_need_no_noise():
    """Documents that all say the same give the verdict of their profile, without a warning."""
    for theta, outcome in ((bell(13, 0.5), "supported"), (two_humps(13, 0.5, 0.3), "refuted")):
        found = peak_test(np.tile(theta, (32, 1)), np.random.default_rng(0))
        assert found.outcome == outcome
    level = peak_layers(np.tile(flat(13), (32, 1)), np.random.default_rng(0))
    assert level.layers == tuple(range(13))


def test_many_states_are_averaged_into_bins():
    """More than 16 states become 12 bins, ends alone, each inner one the mean of neighbours; 16 are left alone."""
    pv = given_profile(8, 33)
    found = depth_bins(pv)
    assert found.groups[0] == (0, 0)
    assert found.groups[-1] == (32, 32)
    assert len(found.groups) == found.pv.shape[1] == 12
    assert [state for a, b in found.groups for state in range(a, b + 1)] == list(range(33))
    assert {b - a + 1 for a, b in found.groups[1:-1]} == {3, 4}
    np.testing.assert_allclose(found.pv[:, 3], pv[:, found.groups[3][0] : found.groups[3][1] + 1].mean(axis=1))
    assert depth_bins(pv[:, :16]).pv.shape == (8, 16)
    assert depth_bins(pv[:, :17]).pv.shape == (8, 12)


def test_a_binned_test_says_what_it_is_about():
    """The estimand names the bins, and the valley of single states is given beside."""
    pv = given_profile(32, 33)
    found = peak_test(pv, np.random.default_rng(0))
    assert found.estimand == (
        "the profile of 33 states averaged into 12 bins of depth; a hump thinner than a bin does not show"
    )
    assert found.raw_valley == pytest.approx(slow_valley(pv.mean(axis=0)), abs=1e-12)
    assert found.valley.estimate == pytest.approx(slow_valley(depth_bins(pv).pv.mean(axis=0)), abs=1e-12)
    assert peak_test(pv[:, :13], np.random.default_rng(0)).estimand == "the profile of 13 states"


@quick
@given(arrays(np.float64, st.tuples(st.integers(8, 40), st.integers(5, 9)), elements=values), st.integers(0, 99))
def test_sets_and_bounds_hold_their_estimates_and_nest(pv, seed):
    """L* of the mean profile is in the set, estimates are in their bounds, and a smaller alpha makes both wider."""
    narrow, wide = (peak_layers(pv, np.random.default_rng(seed), alpha, draws=199) for alpha in (0.2, 0.05))
    mean = pv.mean(axis=0)
    assert set(np.flatnonzero(mean >= mean.max() - 1e-9)) & set(narrow.layers)
    assert set(narrow.layers) <= set(wide.layers)
    for test in (range_interval, valley_bounds):
        inner, outer = (test(pv, np.random.default_rng(seed), alpha, draws=199) for alpha in (0.2, 0.05))
        assert outer.low <= inner.low <= inner.estimate <= inner.high <= outer.high


def test_peak_layers_are_those_that_no_other_exceeds():
    """The p of each state is that of max-t on the differences of all others from it."""
    pv = given_profile(40, 6)
    found = peak_layers(pv, np.random.default_rng(2), draws=499)
    ordered = pv[np.lexsort(pv.T[::-1])]
    signs = 2 * np.random.default_rng(2).integers(0, 2, (499, 40), dtype=np.int8) - 1
    for state in range(6):
        p = slow_p(np.delete(ordered - ordered[:, [state]], state, axis=1), signs)[1]
        assert found.p[state] == (1.0 if state == pv.mean(axis=0).argmax() else pytest.approx(p, abs=1e-12))
    assert found.layers == tuple(np.flatnonzero(found.p > 0.05))


def test_layers_that_are_equal_share_the_peak():
    """States that are copies of the largest stay in the set with it."""
    pv = given_profile(32, 9)
    pv[:, 5] = pv[:, 4]
    found = peak_layers(pv, np.random.default_rng(0))
    assert found.p[4] == found.p[5]


# flatness


def test_flatness_is_its_definition():
    """Q is the mean over pairs of different documents of the products of their rows, and F its root."""
    pv = given_profile(10, 7)
    rows = pv - pv.mean(axis=1, keepdims=True)
    q = np.mean([rows[a] @ rows[b] / 7 for a, b in combinations(range(10), 2)])
    found = flatness(pv)
    assert found.variance == pytest.approx(q, rel=1e-9)
    assert found.flatness == pytest.approx(np.sign(q) * np.sqrt(abs(q)), rel=1e-9)
    without = np.array([flatness(np.delete(pv, document, axis=0)).flatness for document in range(10)])
    assert found.se == pytest.approx(np.sqrt(9 / 10 * ((without - without.mean()) ** 2).sum()), rel=1e-9)


def test_noise_does_not_make_a_profile_less_flat():
    """The mean of Q over many draws is the variance of the true profile, whatever the noise."""
    rng = np.random.default_rng(0)
    theta = bell(9, 0.2)
    for spread in (0.05, 0.2):
        found = np.array([flatness(pseudo_values(theta, 8, rng, spread)).variance for _ in range(400)])
        assert found.mean() == pytest.approx(theta.var(), abs=4 * found.std() / 20)


@quick
@given(arrays(np.float64, (9, 6), elements=values), arrays(np.float64, (9, 1), elements=values))
def test_what_a_document_adds_at_all_depths_does_not_count(pv, level):
    """A level of its own in each document leaves the flatness as it is."""
    before, after = (flatness(rows).variance for rows in (pv, pv + level))
    assert after == pytest.approx(before, abs=1e-12)


def test_the_difference_is_paired_and_antisymmetric():
    """D changes its sign with the order of the models, and is exactly 0 for a model against itself."""
    a, b = given_profile(32, 19, seed=1), given_profile(32, 33, seed=2)
    there, back = flatness_difference(a, b), flatness_difference(b, a)
    assert there.difference.estimate == -back.difference.estimate
    assert there.difference.low == pytest.approx(-back.difference.high, abs=1e-12)
    assert there.p == pytest.approx(1 - back.p, abs=1e-12)
    assert there.log_ratio.estimate == pytest.approx(-back.log_ratio.estimate, abs=1e-12)
    same = flatness_difference(a, a)
    assert (same.difference.estimate, same.p, same.outcome) == (0.0, 0.5, "refuted")
    assert same.p_equivalent == 0.0


def test_profiles_are_compared_at_the_same_depths():
    """Straight profiles of 19 and 33 states are equally flat, as their values at common depths are the same."""
    noise = np.random.default_rng(0).normal(0, 0.1, (20, 1))
    a, b = ((1 + noise) * np.linspace(0, 1, states) for states in (19, 33))
    found = flatness_difference(a, b)
    assert found.states == 19
    assert found.difference.estimate == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("heights", "outcome"), [((0.1, 0.5), "supported"), ((0.5, 0.1), "refuted"), ((0.3, 0.3), "refuted")]
)
def test_clear_differences_of_flatness_have_clear_verdicts(heights, outcome):
    """Flatter is supported, and refuted where the other is flatter or both are equivalent."""
    rng = np.random.default_rng(0)
    a, b = (
        pseudo_values(bell(states, height), 32, rng, 0.01) for states, height in zip((19, 33), heights, strict=True)
    )
    found = flatness_difference(a, b)
    assert found.outcome == outcome
    assert (found.p_equivalent <= 0.05) == (heights == (0.3, 0.3))
    assert found.log_ratio.low <= np.log(heights[0] / heights[1]) + 0.01
    assert found.log_ratio.high >= np.log(heights[0] / heights[1]) - 0.01


def test_a_ratio_needs_two_profiles_that_are_not_flat():
    """Where one profile is not distinguishable from a flat one, there is no ratio."""
    rng = np.random.default_rng(3)
    found = flatness_difference(pseudo_values(flat(9), 32, rng), pseudo_values(bell(9, 0.3), 32, rng))
    assert (found.a.distinguishable, found.b.distinguishable) == (False, True)
    assert np.isnan(found.log_ratio.estimate)
    assert found.outcome == "supported"


def test_documents_must_be_the_same():
    """Profiles of different numbers of documents cannot be paired."""
    with pytest.raises(ValueError, match="of the same documents, and a has 9 and b 8"):
        flatness_difference(given_profile(9), given_profile(8))


# exact tests


@pytest.mark.parametrize(
    ("arms", "one_sided", "two_sided"),
    [
        ((1, 1), 1 / 2, 1),
        ((1, 9), 1 / 10, 2 / 10),
        ((2, 2), 1 / 6, 2 / 6),
        ((3, 3), 1 / 20, 2 / 20),
        ((3, 4), 1 / 35, 2 / 35),
        ((4, 4), 1 / 70, 2 / 70),
        ((5, 5), 1 / 252, 2 / 252),
    ],
)
def test_the_smallest_p_of_families(arms, one_sided, two_sided):
    """The most extreme arrangement of families has the smallest p there is; above alpha nothing is testable."""
    labelled, others = arms
    numbers_, labels = np.arange(float(sum(arms))), np.arange(sum(arms)) < labelled
    for alternative, p in (("less", one_sided), ("two-sided", two_sided)):
        found = exact_permutation(numbers_, labels, alternative)
        assert found.p == found.least_p == pytest.approx(p, rel=1e-12)
        assert found.outcome == ("supported" if p <= 0.05 else "not_testable")
        assert (f"{labelled} against {others} families" in found.reason) == (p > 0.05)
    assert exact_permutation(numbers_, labels, "greater").p == 1.0


@pytest.mark.parametrize("pairs", [1, 4, 5, 6, 12, 40])
def test_the_smallest_p_of_twins(pairs):
    """Differences of one sign have p = 2^-n one-sided and 2^(1-n) two-sided: 5 and 6 pairs are the fewest at .05."""
    differences = np.arange(1.0, pairs + 1)
    assert sign_flip(differences, "greater").p == 2.0**-pairs
    assert sign_flip(differences).p == 2.0 ** (1 - pairs)
    assert sign_flip(differences, "less").p == 1.0
    assert (sign_flip(differences, "greater").outcome == "supported") == (pairs >= 5)
    assert (sign_flip(differences).outcome == "supported") == (pairs >= 6)


@quick
@given(arrays(np.float64, st.integers(2, 9), elements=values), st.data())
def test_a_permutation_counts_all_arrangements(numbers_, data):
    """The p is the share of all ways to hand out the labels with a mean at least as small, ties included."""
    labelled = data.draw(st.integers(1, len(numbers_) - 1))
    ways = [sum(numbers_[list(way)]) for way in combinations(range(len(numbers_)), labelled)]
    labels = np.arange(len(numbers_)) < labelled
    less, greater = (exact_permutation(numbers_, labels, side).p for side in ("less", "greater"))
    assert less == pytest.approx(np.mean(np.array(ways) <= ways[0] + 1e-9), rel=1e-12)
    assert greater == pytest.approx(np.mean(np.array(ways) >= ways[0] - 1e-9), rel=1e-12)
    assert exact_permutation(numbers_, labels).p == min(1, 2 * min(less, greater))


@quick
@given(arrays(np.float64, st.integers(1, 9), elements=values))
def test_sign_flips_count_all_arrangements(differences):
    """The p is the share of all ways to swap twins with a mean at least as large, ties included."""
    ways = np.array(list(product((1, -1), repeat=len(differences)))) @ differences
    found = sign_flip(differences, "greater").p
    assert found == pytest.approx((ways >= differences.sum() - 1e-9).mean(), rel=1e-12)


@quick
@given(arrays(np.float64, st.integers(6, 9), elements=values), st.sampled_from([0.05, 0.2]))
def test_an_interval_of_twins_holds_what_its_test_does_not_reject(differences, alpha):
    """Centres inside the bounds are not rejected two-sided at alpha, and those beyond them are."""
    bounds = sign_flip_interval(differences, alpha)
    step = 1e-6 * (1 + np.ptp(differences))
    for inside in (bounds.low + step, bounds.high - step, (bounds.low + bounds.high) / 2):
        if bounds.low <= inside <= bounds.high:
            assert sign_flip(differences - inside).p > alpha
    for outside in (bounds.low - step, bounds.high + step):
        assert sign_flip(differences - outside).p <= alpha


def test_an_interval_of_twins_in_closed_form():
    """Of 6 pairs the bounds at .05 are the least and the largest, of 8 the sixth means of sets of pairs in order."""
    six = np.array([3.0, -1.0, 4.0, 1.0, 5.0, 9.0])
    assert (sign_flip_interval(six).low, sign_flip_interval(six).high) == (-1.0, 9.0)
    eight = 2.0 ** np.arange(8)
    # The smallest means: 1, (1 + 2) / 2, 2, (1 + 2 + 4) / 3, (1 + 4) / 2, (2 + 4) / 2.
    assert sign_flip_interval(eight).low == 3.0
    assert sign_flip_interval(-eight).high == -3.0


def test_few_or_very_many_twins_have_no_interval():
    """With five pairs no centre is rejected at .05, and of more than twenty not all sets are gone through."""
    for pairs in (5, 21):
        found = sign_flip_interval(np.arange(float(pairs)))
        assert found.estimate == (pairs - 1) / 2
        assert np.isnan([found.low, found.high]).all()


@quick
@given(arrays(np.float64, 8, elements=values), st.integers(1, 7), st.floats(0.0625, 1, width=16))
def test_more_evidence_never_raises_an_exact_p(numbers_, labelled, more):
    """Labelled values, and differences, that are shifted up have no larger p."""
    labels = np.arange(8) < labelled
    before, after = (exact_permutation(x, labels, "greater").p for x in (numbers_, numbers_ + more * labels))
    assert after <= before
    assert sign_flip(numbers_ + more, "greater").p <= sign_flip(numbers_, "greater").p


def test_exact_tests_do_not_depend_on_order_or_unit():
    """Families and pairs in another order, or values in another unit, give the same p."""
    rng = np.random.default_rng(0)
    numbers_, labels, order = rng.normal(size=12), np.arange(12) < 5, rng.permutation(12)
    for scale, pick in ((1, order), (3e-7, order), (1e9, order)):
        assert exact_permutation(scale * numbers_[pick], labels[pick]).p == exact_permutation(numbers_, labels).p
        assert sign_flip(scale * numbers_[pick]).p == sign_flip(numbers_).p


def test_what_cannot_be_counted_is_not_testable():
    """One arm alone, or more values than can be counted, give a reason and no p."""
    assert "families of both kinds" in exact_permutation(np.arange(4.0), np.zeros(4, dtype=bool)).reason
    many = sign_flip(np.arange(41.0))
    assert (many.outcome, np.isnan(many.p)) == ("not_testable", True)
    assert "41 pairs are too many to count" in many.reason
    with pytest.raises(ValueError, match="each value needs a label, and there are 3 values and 2 labels"):
        exact_permutation(np.arange(3.0), np.array([True, False]))


# phases and agreement


@pytest.mark.parametrize(
    ("theta", "outcome"),
    [
        (three_phases(33, 0.4, 0.4), "supported"),
        (three_phases(33, 0.4, 0.4, sway=0.3), "refuted"),
        (three_phases(33, 0.4, 0.0), "refuted"),
        (three_phases(33, -0.4, 0.4), "refuted"),
        (bell(33, 0.4), "refuted"),
        (three_phases(33, 0.4, 0.05), "inconclusive"),
    ],
    ids=["phases", "sway", "no-drop", "fall", "sine", "drop-of-delta"],
)
def test_clear_phases_have_clear_verdicts(theta, outcome):
    """Profiles almost without noise get the verdict that their phases deserve."""
    found = phase_test(pseudo_values(theta, 24, np.random.default_rng(0), 0.005), BREAKS)
    assert found.outcome == outcome
    assert found.breaks == (7, 28)
    assert found.p == max(found.p_rise, found.p_hold, found.p_drop)


def test_the_parts_of_the_phase_test_are_their_definitions():
    """Each p is that of scipy's one-sided t test of its contrast, and the hold is that of the worst pair of states."""
    pv = pseudo_values(three_phases(9, 0.4, 0.3), 20, np.random.default_rng(1))
    found = phase_test(pv, (0.25, 0.75), delta=0.1)
    rise, drop = pv[:, 2] - pv[:, 0], pv[:, 6] - pv[:, 8]
    one_sided = [stats.ttest_1samp(x, 0.1, alternative="greater").pvalue for x in (rise, drop)]
    assert [found.p_rise, found.p_drop] == pytest.approx(one_sided, rel=1e-9)
    hold = max(
        stats.ttest_1samp(pv[:, i] - pv[:, j] - side / 3, 0, alternative="less").pvalue
        for i in range(2, 7)
        for j in range(2, 7)
        for side in (rise, drop)
    )
    assert found.p_hold == pytest.approx(hold, rel=1e-9)
    assert found.sway == pytest.approx(np.ptp(pv.mean(axis=0)[2:7]), rel=1e-12)


@pytest.mark.parametrize("breaks", [(0.0, 0.5), (0.5, 0.55), (0.5, 1.0), (0.7, 0.3)])
def test_breaks_need_room(breaks):
    """Breaks at the ends, in the wrong order or less than two states apart are not testable."""
    found = phase_test(given_profile(16, 9), breaks)
    assert found.outcome == "not_testable"
    assert "must lie inside, two states apart" in found.reason


@pytest.mark.parametrize(
    ("layers", "low", "high", "label", "outcome"),
    [
        (((7,), (28,)), 21, 21, "discrepancy", "refuted"),
        (((14, 15, 16), (15,)), 0, 1, "excellent", "supported"),
        (((14, 15), (19,)), 4, 5, "good", "supported"),
        (((10, 20), (20,)), 0, 10, "", "inconclusive"),
        ((range(5), (20, 9)), 5, 20, "", "inconclusive"),
        ((range(5), (10,)), 6, 10, "discrepancy", "refuted"),
    ],
)
def test_agreement_is_over_all_pairs_of_layers(layers, low, high, label, outcome):
    """The distance between two peaks is any that their sets allow, and the verdict one that all of these allow."""
    for pair in (layers, layers[::-1]):
        found = agreement(*pair)
        assert (found.low, found.high, found.label, found.outcome) == (low, high, label, outcome)


def test_agreement_can_be_in_relative_depth():
    """Limits may be given in the unit of the layers, and a peak without layers is not testable."""
    assert agreement((0.5,), (0.52,), 3 / 32, 5 / 32).label == "excellent"
    assert agreement((), (3,)).outcome == "not_testable"


# several tests


def test_holm_by_hand():
    """Four p-values, worked by hand: .01 x 4, .02 x 3, then what came before where it is larger."""
    adjusted = holm(np.array([0.04, 0.01, 0.02, 0.03]))
    np.testing.assert_allclose(adjusted, [0.06, 0.04, 0.06, 0.06], rtol=1e-12)
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_benjamini_and_hochberg_by_hand():
    """Six p-values at q = .1, worked by hand: the fourth is under 4/6 of q, and so all smaller ones count."""
    p = np.array([0.9, 0.01, 0.05, 0.055, 0.06, 0.2])
    assert benjamini_hochberg(p).tolist() == [False, True, True, True, True, False]
    assert not benjamini_hochberg(np.array([0.2, 0.3])).any()
    assert benjamini_hochberg(np.array([])).tolist() == []


@quick
@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)), st.integers(0, 11), st.floats(0, 1))
def test_smaller_p_values_are_never_worse(p, place, factor):
    """Holm lies between p and Bonferroni and keeps their order; a smaller p makes no other test fail."""
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * p) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    smaller = p.copy()
    smaller[place % len(p)] *= factor
    assert (holm(smaller) <= adjusted).all()
    assert (benjamini_hochberg(smaller) >= benjamini_hochberg(p)).all()


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.1], [1.1], [[0.1]]])
def test_what_is_no_p_is_an_error(p):
    """Numbers outside 0 to 1 are refused."""
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="p-values must be a list of numbers from 0 to 1"):
            adjust(np.array(p))


# Means


@pytest.mark.parametrize(("shift", "outcome"), [(-0.5, "supported"), (-0.05, "inconclusive"), (0.5, "refuted")])
def test_a_mean_is_judged_by_students_t(shift, outcome):
    """The p below 0 and above -sesoi are scipy's, the bounds its interval, and the estimate decides with them."""
    drawn = np.random.default_rng(0).standard_normal(40) * 0.3
    column = drawn - drawn.mean() + shift
    found = mean_test(column, 0.1)
    assert found.p == pytest.approx(stats.ttest_1samp(column, 0, alternative="less").pvalue, rel=1e-9)
    assert found.p_refuted == pytest.approx(stats.ttest_1samp(column, -0.1, alternative="greater").pvalue, rel=1e-9)
    interval_ = stats.ttest_1samp(column, 0).confidence_interval()
    assert (found.mean.low, found.mean.high) == pytest.approx((interval_.low, interval_.high))
    assert found.outcome == outcome


def test_a_mean_of_few_documents_concludes_nothing():
    """Seven documents are not testable, and fifteen inconclusive whatever p says."""
    values = np.linspace(-1.1, -0.9, 15)
    assert mean_test(values[:7], 0.1).outcome == "not_testable"
    assert (mean_test(values, 0.1).outcome, mean_test(values, 0.1).p < 0.001) == ("inconclusive", True)
