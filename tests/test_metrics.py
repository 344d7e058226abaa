"""Each metric on states whose answer is known in closed form."""

import numpy as np
import pytest

from aniso_core import metrics as module
from aniso_core.answers import evaluate
from aniso_core.contracts import Metric
from aniso_core.errors import UndefinedMetricError
from aniso_core.moments import Moments

METRICS = {metric.name: metric for metric in module.aniso_metrics()}
WIDTH = 60


def with_spectrum(values: np.ndarray, n: int | None = None) -> np.ndarray:
    """Return states of zero mean whose covariance is exactly diagonal with these eigenvalues."""
    d = len(values)
    n = n or 2 * d + 2
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(n), rng.standard_normal((n, d))]))
    return basis[:, 1 : d + 1] * np.sqrt(values * (n - 1))


def value(name: str, states: np.ndarray, first: np.ndarray | None = None) -> float:
    return evaluate(METRICS[name], *(Moments.of(part) for part in (states, first) if part is not None))


def geometric(ratio: float, d: int = WIDTH) -> np.ndarray:
    return ratio ** np.arange(d)


SPECTRUM = geometric(0.9)
SHARE = SPECTRUM / SPECTRUM.sum()

CLOSED_FORMS = {
    "top-eigenvalue-share": SHARE[0],
    "eigenvalue-variance": np.var(SPECTRUM),
    "eigenvalue-dispersion": np.var(SPECTRUM) / np.mean(SPECTRUM) ** 2,
    "effective-rank": np.exp(-(SHARE * np.log(SHARE)).sum()),
    "participation-ratio": 1 / (SHARE**2).sum(),
    "isoscore": (1 / (SHARE**2).sum() - 1) / (WIDTH - 1),
    "top-1-share": SHARE[0],
    "top-10-share": SHARE[:10].sum(),
    "top-50-share": SHARE[:50].sum(),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_spectral_metric_has_its_closed_form(name):
    """On states with a chosen spectrum each spectral metric is the formula of that spectrum."""
    assert value(name, with_spectrum(SPECTRUM)) == pytest.approx(CLOSED_FORMS[name], rel=1e-9)


def test_isotropic_and_linear_states_are_the_ends_of_every_scale():
    """Equal eigenvalues give full rank and no anisotropy, a line gives rank one and all of it."""
    even, line = with_spectrum(np.ones(WIDTH)), with_spectrum(np.array([5.0] + [0.0] * (WIDTH - 1)))
    for name, want_even, want_line in [
        ("top-eigenvalue-share", 1 / WIDTH, 1),
        ("effective-rank", WIDTH, 1),
        ("participation-ratio", WIDTH, 1),
        ("isoscore", 1, 0),
        ("eigenvalue-dispersion", 0, WIDTH - 1),
    ]:
        assert value(name, even) == pytest.approx(want_even, abs=1e-9)
        assert value(name, line) == pytest.approx(want_line, abs=1e-9)


def test_unbiased_participation_ratio_finds_the_truth_where_the_plain_one_cannot():
    """180 isotropic tokens of width 1,024: within 5 % of the truth, where the plain ratio says about 153."""
    rng = np.random.default_rng(0)
    drawn = [Moments.of(rng.standard_normal((180, 1024))) for _ in range(8)]
    unbiased = np.median([module.participation_ratio_unbiased(m) for m in drawn])
    plain = np.median([module.participation_ratio(m) for m in drawn])
    assert unbiased == pytest.approx(1024, rel=0.05)
    assert plain == pytest.approx(1024 * 180 / (1024 + 180), rel=0.02)


def test_unbiased_parts_have_no_bias():
    """Numerator and denominator of the unbiased ratio average to (tr C)^2 and tr C^2 over many small samples."""
    values = np.array([4.0, 1.0, 0.5])
    rng = np.random.default_rng(0)
    above, below = [], []
    for _ in range(4_000):
        m = Moments.of(rng.standard_normal((6, 3)) * np.sqrt(values))
        n, of_square, n_q = m.count, float((m.spectrum**2).sum()), m.quartic * m.count**2 / (m.count - 1)
        factor = (n - 1) / (n * (n - 2) * (n - 3))
        above.append(factor * (2 * of_square + (n**2 - 3 * n + 1) * m.trace**2 - n_q))
        below.append(factor * ((n - 1) * (n - 2) * of_square + m.trace**2 - n_q))
        if above[-1] > 0 < below[-1]:
            assert module.participation_ratio_unbiased(m) == pytest.approx(above[-1] / below[-1])
    # Three standard errors of the means of 4,000 draws.
    for drawn, truth in ((above, values.sum() ** 2), (below, (values**2).sum())):
        assert abs(np.mean(drawn) - truth) < 3 * np.std(drawn) / np.sqrt(len(drawn))


def test_cosines_of_a_cone():
    """States at 60 degrees around an axis: cosine to the mean is 1/2, and pairs average to 1/4 from many states."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    states = np.column_stack([np.full(400, 0.5), np.sqrt(0.75) * np.cos(angle), np.sqrt(0.75) * np.sin(angle)])
    assert value("cosine-to-mean", states) == pytest.approx(0.5)
    assert value("mean-pairwise-cosine", states) == pytest.approx((400 * 0.25 - 1) / 399)
    pairs = states @ states.T
    assert value("mean-pairwise-cosine", states) == pytest.approx(pairs[~np.eye(400, dtype=bool)].mean())


def test_norms_of_states_of_known_length():
    """Lengths 1 and 3 in equal number: mean 2, standard deviation 1, coefficient of variation 1/2."""
    states = np.array([[1.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -3.0]])
    assert [value(name, states) for name in ("norm-mean", "norm-sd", "norm-cv")] == pytest.approx([2.0, 1.0, 0.5])


def test_sink_ratio_is_how_much_longer_first_tokens_are():
    """First tokens seven times as long as the others give 7."""
    rest = np.random.default_rng(0).standard_normal((30, 8))
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    first = 7 * rest[:3]
    assert value("sink-ratio", np.vstack([first, rest]), first) == pytest.approx(7.0)


def test_first_token_share_is_what_first_tokens_hold_of_the_top_direction():
    """Along the first eigenvector the squared deviations of first tokens are the stated part of all of them."""
    rng = np.random.default_rng(0)
    first, rest = rng.standard_normal((4, 12)) + 9, rng.standard_normal((50, 12))
    states = np.vstack([first, rest])
    centred = states - states.mean(axis=0)
    along = (centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]) ** 2
    assert value("first-token-share", states, first) == pytest.approx(along[:4].sum() / along.sum(), rel=1e-9)


def test_massive_activation_is_the_largest_coordinate():
    """The largest |coordinate| and its ratio to the median one of its own state."""
    states = np.ones((5, 9))
    states[2] = [-600, 2, 2, 2, 2, 2, 2, 2, 2]
    assert value("massive-activation", states) == 600
    assert value("massive-ratio", states) == 300


def asked(metric: Metric, states: np.ndarray, first: np.ndarray) -> float:
    parts = (states, states[first]) if metric.contrast else (states,)
    return evaluate(metric, *(Moments.of(part, [i % 6 for i in range(len(part))]) for part in parts))


SPREADS = [name for name, metric in METRICS.items() if "shift" in metric.invariances]


@pytest.mark.parametrize("name", SPREADS)
def test_one_token_has_no_spread(name):
    """What measures spread has no value on one token; it is never 0."""
    with pytest.raises(UndefinedMetricError):
        asked(METRICS[name], np.ones((1, 4)), np.array([0]))
