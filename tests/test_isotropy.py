"""The metrics of aniso-isotropy on states whose answer is known, and however tokens are cut into batches."""

import math
from functools import reduce

import numpy as np
import pytest
import torch
from folding import classes_of, cloud, folded, windows_of
from test_metrics import METRICS as CORE
from test_metrics import with_spectrum
from test_passes import LLAMA, assert_same_profile, failing_above, measured, tiny

import aniso_core as aniso
from aniso_core.answers import evaluate
from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments
from aniso_core.records import Site
from aniso_core.tokens import TOKEN_SETS, Tokens
from aniso_isotropy import aniso_metrics
from aniso_isotropy.curvature import Curvature
from aniso_isotropy.layers import Pairs
from aniso_isotropy.related import log_partition_isotropy

METRICS = {metric.name: metric for metric in aniso_metrics()}
MOMENTS = [metric for metric in METRICS.values() if metric.over is aniso.RunningMoments]
PAIRS = [name for name in METRICS if name.startswith(("layer-", "update-")) and name != "layer-cosine"]
CUTS = [(1, 0), (23, 0), (500, 0), (40, 17), (500, 60)]
LENGTHS = {0: (12, 12, 7), 1: (15,), 2: (1,), 3: (9, 2), 4: (14,), 5: (3,), 6: (13,), 7: (11,)}
WINDOWS = windows_of(LENGTHS)
SENTENCE = "the miller opened both gates, for the river rose in spring and few had asked about the bridge"


def rng(seed=0):
    return np.random.default_rng(seed)


def uneven(n=300, width=40, seed=0):
    """Return states with a mean, a falling spectrum and lengths of their own."""
    draw = rng(seed)
    return (draw.standard_normal((n, width)) * np.linspace(3, 0.1, width) + 0.5) * np.exp(
        0.3 * draw.standard_normal((n, 1))
    )


def value(name, states, document=None):
    return evaluate(METRICS[name], Moments.of(states, document))


def entropy(share):
    share = share[share > 0]
    return -(share * np.log(share)).sum()


# Over moments


@pytest.mark.parametrize("n", [30, 300])
def test_matrix_entropies_and_rankme_are_those_of_the_kernel(n):
    """Of few states and of many, they are the entropies of XX' / tr and of the singular values, nothing subtracted."""
    states = uneven(n)
    singular = np.linalg.svd(states, compute_uv=False)
    share = singular**2 / (singular**2).sum()
    kernel = states @ states.T
    assert np.allclose(np.linalg.eigvalsh(kernel / np.trace(kernel))[::-1][:10], share[:10])
    assert value("matrix-entropy-1", states) == pytest.approx(entropy(share))
    assert value("matrix-entropy-2", states) == pytest.approx(-math.log((share**2).sum()))
    assert value("matrix-entropy-half", states) == pytest.approx(2 * math.log(np.sqrt(share).sum()))
    assert value("matrix-entropy-normalised", states) == pytest.approx(entropy(share) / math.log(min(n, 40)))
    assert value("rankme", states) == pytest.approx(math.exp(entropy(singular / singular.sum())))


def test_the_ends_of_the_entropies():
    """Orthogonal states of one length have the largest entropy there is, equal states none."""
    even = np.eye(16) * 3
    same = np.ones((16, 16))
    for name, most in [("matrix-entropy-1", math.log(16)), ("matrix-entropy-2", math.log(16)), ("rankme", 16.0)]:
        assert value(name, even) == pytest.approx(most)
        assert value(name, same) == pytest.approx(1.0 if name == "rankme" else 0.0, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.7])
def test_spectral_decay_finds_the_exponent_of_a_power_law(alpha):
    """Eigenvalues that fall as i^-alpha from the eleventh on give alpha, whatever the first ten are."""
    values = np.arange(1, 151.0) ** -alpha
    values[:10] = 100 * values[0]
    assert value("spectral-decay", with_spectrum(values)) == pytest.approx(alpha)


def test_spectral_decay_needs_enough_eigenvalues():
    """Fewer than thirty eigenvalues that are not zero say why there is no exponent."""
    with pytest.raises(UndefinedMetricError, match="20 of them at least, and there are fewer"):
        value("spectral-decay", with_spectrum(np.ones(28)))


def test_directions_for_nine_tenths_are_counted():
    """Four eigenvalues of .6, .3, .07 and .03 of the variance reach nine tenths with the second."""
    assert value("directions-for-90", with_spectrum(np.array([0.6, 0.3, 0.07, 0.03]))) == 2
    assert value("directions-for-90", with_spectrum(np.ones(20))) == 18


def test_outlier_dimensions_are_counted():
    """Two of forty dimensions vary over five times as much as dimensions do on average, in few states and many."""
    scale = np.ones(40)
    scale[[3, 30]] = 5
    for n in (20, 400):
        assert value("outlier-dimensions", rng().standard_normal((n, 40)) * scale + 7) == 2


def test_rogue_shares_are_parts_of_the_mean_cosine():
    """The share of the largest dimensions in the mean over all pairs of the products of unit states."""
    states = uneven() + np.eye(40)[7] * 4
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    by_dimension = np.sort((unit[:, None] * unit[None]).mean(axis=(0, 1)))[::-1]
    assert value("rogue-share-1", states) == pytest.approx(by_dimension[0] / by_dimension.sum())
    assert value("rogue-share-3", states) == pytest.approx(by_dimension[:3].sum() / by_dimension.sum())


def shrunk(states):
    """Return Ledoit and Wolf's covariance, from their sums over single states (divisor n)."""
    n, d = states.shape
    centred = states - states.mean(axis=0)
    cov = centred.T @ centred / n
    target = np.trace(cov) / d * np.eye(d)
    error = np.mean([np.linalg.norm(np.outer(x, x) - cov) ** 2 for x in centred]) / n
    z = min(1.0, error / np.linalg.norm(cov - target) ** 2)
    return (1 - z) * cov + z * target


@pytest.mark.parametrize("n", [8, 60, 2000])
def test_isoscore_star_is_isoscore_of_the_shrunk_covariance(n):
    """It is (PR - 1) / (d - 1) of the covariance that Ledoit and Wolf's weight shrinks."""
    states = uneven(n, 24)
    cov = shrunk(states)
    ratio = np.trace(cov) ** 2 / (cov**2).sum()
    assert value("isoscore-star", states) == pytest.approx((ratio - 1) / 23)


def test_isoscore_star_finds_what_few_tokens_hide():
    """60 isotropic tokens of width 200: IsoScore says a quarter, its shrunk form nearly one; with many both agree."""
    few, many = rng().standard_normal((60, 200)), uneven(4000, 20)
    assert CORE["isoscore"].of(Moments.of(few)) < 0.25
    assert value("isoscore-star", few) > 0.95
    assert value("isoscore-star", many) == pytest.approx(CORE["isoscore"].of(Moments.of(many)), rel=0.02)


@pytest.mark.parametrize("metric", MOMENTS, ids=lambda metric: metric.name)
def test_declared_invariances_hold_and_others_do_not(metric):
    """A metric is unchanged by what it declares, and changed by what it does not."""
    states = uneven(150, 60, seed=3)
    states[:, 4] *= 4
    turn, _ = np.linalg.qr(rng(1).standard_normal((60, 60)))
    changed = {"rotation": states @ turn, "scale": 3 * states, "shift": states + 3 * rng(2).standard_normal(60)}
    want = value(metric.name, states)
    for name, moved in changed.items():
        same = value(metric.name, moved) == pytest.approx(want, rel=1e-7)
        assert same == (name in metric.invariances), name


@pytest.mark.parametrize("metric", MOMENTS, ids=lambda metric: metric.name)
@pytest.mark.parametrize(
    "states",
    [np.ones((1, 4)), np.ones((6, 4)), np.zeros((6, 4)), np.ones((6, 1)), uneven(7, 12), uneven(200, 12)],
    ids=["one token", "identical", "zero", "width one", "few", "many"],
)
def test_values_lie_in_their_range_or_have_a_reason(metric, states):
    """Degenerate states give a number within the stated bounds, or say why there is none."""
    try:
        got = value(metric.name, states)
    except UndefinedMetricError as reason:
        assert len(str(reason)) > 15
    else:
        assert metric.low is None or got >= metric.low - 1e-9
        assert metric.high is None or got <= metric.high + 1e-9


def test_intervals_of_metrics_over_moments():
    """Without each document the metrics are those of the states that are left, where their scatter is known."""
    states, owner = uneven(600, 40), np.repeat(np.arange(12), 50)
    without = Moments.of(states, owner.tolist()).without_each()
    for metric in MOMENTS:
        got = [metric.of(without[unit]) for unit in range(12)]
        want = [value(metric.name, states[owner != unit]) for unit in range(12)]
        # The fourth moment without a unit is known up to a few parts in a thousand.
        assert got == pytest.approx(want, rel=0.02 if metric.name == "isoscore-star" else 1e-6), metric.name


# Curvature


def angles(states, inside):
    """Return the angles of each three states in a row that are all inside, float64."""
    steps = np.diff(states.astype(np.float64), axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    found = np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1, 1))
    return found[inside[2:] & inside[1:-1] & inside[:-2]]


@pytest.mark.parametrize(("batch_tokens", "row_tokens"), CUTS)
def test_curvature_is_that_of_stored_states(batch_tokens, row_tokens):
    """However windows are cut into batches, it is the mean angle over triples within the token set and a window."""
    states = cloud(WINDOWS, 2)
    found = folded([METRICS["curvature"]], WINDOWS, states, batch_tokens, row_tokens)
    assert not found.failures
    for curve in found.curves:
        classes = TOKEN_SETS[curve.tokens]
        for site, held in states.items():
            inside = [np.isin(classes_of(window), classes) for window in held]
            want = np.concatenate([angles(*pair) for pair in zip(held, inside, strict=True)])
            assert curve.at(site.layer) == pytest.approx(want.mean(), rel=1e-9)


@pytest.mark.parametrize(("turn", "want"), [(0.0, 0.0), (math.pi / 3, math.pi / 3), (2.5, 2.5), (math.pi, math.pi)])
def test_paths_of_a_known_turn(turn, want):
    """Steps that each turn by an angle have that curvature: a line none, a polygon its corner, a zigzag a half turn."""
    steps = np.exp(1j * turn * np.arange(12)) * np.linspace(1, 2, 12)
    path = np.cumsum(np.concatenate([[3 + 1j], steps]))
    states = {Site(0, "residual"): [np.column_stack([path.real, path.imag])]}
    (curve,) = (c for c in folded([METRICS["curvature"]], windows_of({0: (13,)}), states).curves if c.tokens == "all")
    assert curve.at(0) == pytest.approx(want, abs=1e-6)


def test_tokens_that_take_turns_turn_by_pi():
    """A way there and back is half a turn to float64's precision, though states and their products are in float32."""
    pairs = rng(3).standard_normal((10, 2, 64)).astype(np.float32)
    states, windows = {Site(0, "residual"): [np.tile(pair, (4, 1)) for pair in pairs]}, windows_of({0: (8,) * 10})
    (curve,) = (c for c in folded([METRICS["curvature"]], windows, states).curves if c.tokens == "all")
    assert curve.at(0) == pytest.approx(math.pi, abs=1e-7)  # the root of float64's rounding and no more


def test_states_that_repeat_have_no_angle():
    """A step of no length but rounding is left out; where all are, curvature is undefined and says so."""
    path = np.array([[0.0, 0], [1, 0], [1 + 1e-7, 1e-7], [2, 0], [3, 0], [3, 1]])
    states = {Site(0, "residual"): [path], Site(1, "residual"): [np.ones((6, 2))]}
    measured = folded([METRICS["curvature"]], windows_of({0: (6,)}), states)
    (curve,) = (c for c in measured.curves if c.tokens == "all")
    assert curve.at(0) == pytest.approx(math.pi / 4)  # a step on and a turn by a quarter
    assert curve.at(1) is None
    assert "no three tokens in a row" in curve.missing[0].reason


def test_curvature_without_windows_is_an_error():
    """Loose tokens have no order to speak of."""
    with pytest.raises(TypeError, match="whole windows"):
        Curvature().update(Tokens.of(torch.ones(5, 2)))


# Successive layers


def compared(x, y):
    """Return each metric of two layers from stored states, by its definition in float64."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norm = np.linalg.norm
    linear = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return {
        "layer-cka": norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y)),
        "layer-procrustes": np.linalg.svd(x.T @ y, compute_uv=False).sum() / (norm(x) * norm(y)),
        "layer-linearity": 1 - norm(linear - y) ** 2 / norm(y) ** 2,
        "update-linearity": 1 - norm(linear - y) ** 2 / norm(y - x) ** 2,
    }


def related(x, y, parts=1):
    """Return the metrics of two layers from a statistic fed in parts that are merged."""
    halves = []
    for some in np.array_split(rng(9).permutation(len(x)), parts):
        pairs = Pairs()
        tokens = Tokens.of(torch.from_numpy(y[some]))
        pairs.update(Tokens(**(vars(tokens) | {"before": torch.from_numpy(x[some])})))
        halves.append(pairs)
    result = reduce(lambda a, b: a.merge(b), halves).result()
    return {name: evaluate(METRICS[name], result) for name in PAIRS}


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("n", [30, 500])
def test_metrics_of_two_layers_are_those_of_stored_states(n, parts):
    """Of tokens that fit into memory and of many more, in one part or several, they are their definitions."""
    x = uneven(n, 24)
    y = x + 0.5 * np.tanh(x @ rng(4).standard_normal((24, 24))) + 2
    assert related(x, y, parts) == pytest.approx(compared(x, y), rel=1e-6)


def test_layers_that_are_a_turn_or_a_map_of_each_other():
    """An orthogonal map, a scale and a shift change nothing of CKA and Procrustes; any linear map is linear."""
    x = uneven(300, 16)
    turn, _ = np.linalg.qr(rng(1).standard_normal((16, 16)))
    turned, mapped = related(x, 3 * x @ turn + 5), related(x, x @ rng(2).standard_normal((16, 16)))
    assert turned == pytest.approx(dict.fromkeys(PAIRS, 1.0), abs=1e-9)
    assert mapped["layer-linearity"] == pytest.approx(1, abs=1e-9)
    assert mapped["layer-cka"] < 0.95
    assert mapped["layer-procrustes"] < 0.95


def test_layers_that_have_nothing_in_common():
    """Independent layers are as alike as chance makes them: linearity d / (n - 1), CKA d / (n + d)."""
    x, y = rng(1).standard_normal((4000, 20)), rng(2).standard_normal((4000, 20))
    found = related(x, y)
    assert found["layer-linearity"] == pytest.approx(20 / 3999, rel=0.3)
    assert found["layer-cka"] == pytest.approx(20 / 4020, rel=0.3)


def test_few_tokens_say_nothing_of_linearity():
    """As many tokens as dimensions are always on a linear map, and that is said rather than 1."""
    x, y = rng(1).standard_normal((17, 16)), rng(2).standard_normal((17, 16))
    with pytest.raises(UndefinedMetricError, match="width 16 fits 17 tokens whatever they are"):
        related(x, y)


def test_a_layer_that_changes_nothing():
    """Where the states stay as they are there is no change to tell of."""
    x = uneven(100, 8)
    with pytest.raises(UndefinedMetricError, match="the layer changes nothing"):
        related(x, x)
    with pytest.raises(UndefinedMetricError, match="do not vary"):
        related(x, np.ones_like(x))


@pytest.mark.parametrize(("batch_tokens", "row_tokens"), CUTS)
def test_metrics_of_layers_through_the_fold(batch_tokens, row_tokens):
    """At each layer but the first they relate the tokens of a token set to their states one layer before."""
    states = cloud(WINDOWS, 3, width=5)
    found = folded([METRICS[name] for name in (*PAIRS, "layer-cosine")], WINDOWS, states, batch_tokens, row_tokens)
    assert not found.failures
    for curve in found.curves:
        assert curve.at(0) is None
        assert "no layer of this stream was measured before" in curve.missing[0].reason
        for layer in (1, 2):
            x, y = (states[Site(depth, "residual")] for depth in (layer - 1, layer))
            inside = [np.isin(classes_of(window), TOKEN_SETS[curve.tokens]) for window in y]
            x, y = (np.concatenate([w[i] for w, i in zip(s, inside, strict=True)]) for s in (x, y))
            cosines = (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
            want = compared(x, y) | {"layer-cosine": cosines.mean()}
            assert curve.at(layer) == pytest.approx(want[curve.metric], rel=1e-6), curve.metric


# Partition isotropy


@pytest.mark.parametrize("n", [30, 200])
def test_partition_isotropy_is_that_of_all_eigenvectors(n):
    """The least sum of exponentials over the largest, over both signs of every eigenvector of X'X."""
    states = 0.3 * uneven(n, 50)
    vectors = np.linalg.eigh(states.T @ states)[1]
    sums = np.exp(np.hstack([states @ vectors, -states @ vectors])).sum(axis=0)
    assert log_partition_isotropy(states) == pytest.approx(math.log(sums.min() / sums.max()), abs=1e-6)


def test_partition_isotropy_of_long_states_is_a_number():
    """Where the ratio itself is far too small for a float, its logarithm is not."""
    assert log_partition_isotropy(1e4 * uneven(60, 8)) < -1e4


# All of them, through a model


def test_every_metric_of_a_model_does_not_depend_on_batches():
    """Plain, packed, halved where memory runs out, one window at a time: the same values but for rounding."""
    # Letters span fewer directions than the model has, so that the last eigenvalues are rounding: it decides the decay,
    # and moves what rests on small singular values by some thousandths.
    names = [*(METRICS.keys() - {"spectral-decay"}), "norm-mean"]
    texts = [SENTENCE[i : i + n] for i, n in enumerate((9, 30, 12, 7, 25, 18, 60, 11))]
    want = measured(metrics=names, texts=texts)
    assert not want.failures
    assert None not in want.curve("curvature").values
    for given in ({"batch_tokens": 1}, {"batch_tokens": 64}, {"model": failing_above(tiny(LLAMA), 64, 2)}):
        got = measured(given.pop("model", None), metrics=names, texts=texts, **given)
        assert_same_profile(got, want, rtol=1e-2)
        for mine, other in zip(got.arrays, want.arrays, strict=True):
            assert mine.place == other.place
            assert np.allclose(mine.values, other.values, rtol=1e-3, atol=1e-4)


def test_what_is_measured_by_default_needs_moments_alone():
    """What needs a statistic of its own or other eigenvalues is on request, so that installing costs nothing."""
    usual = {metric.name for metric in METRICS.values() if not metric.on_request}
    assert usual == {metric.name for metric in MOMENTS} - {
        "matrix-entropy-1",
        "matrix-entropy-half",
        "matrix-entropy-normalised",
        "rankme",
    }


def test_intervals_of_curvature_and_cosine_are_students():
    """Documents of equal length make them means of documents, and their pseudo-values these documents' own."""
    windows = windows_of(dict.fromkeys(range(10), (9,)))
    states = cloud(windows, 2)
    found = folded([METRICS["curvature"], METRICS["layer-cosine"]], windows, states)
    pseudo = {(p.metric, p.tokens): p.values for p in found.pseudo}
    own = [angles(states[Site(1, "residual")][i], np.ones(9, bool)).mean() for i in range(10)]
    assert pseudo["curvature", "all"][:, 1] == pytest.approx(own)
    curve = next(c for c in found.curves if (c.metric, c.tokens) == ("layer-cosine", "all"))
    assert curve.low[1] < curve.at(1) < curve.high[1]
