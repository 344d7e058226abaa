"""What is left when a document is left out: against the same metrics of the states that remain."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from models import KINDS, tiny
from test_architectures import Letters

import aniso_core as aniso
import aniso_dimension
from aniso_core.documents import units_of
from aniso_core.errors import UndefinedMetricError
from aniso_core.metrics import aniso_metrics
from aniso_core.moments import Moments
from aniso_core.running import RunningMoments
from aniso_core.states import pack
from aniso_core.tokens import Document, Tokens

LLAMA = next(kind for kind in KINDS if kind.name == "llama")
METRICS = {metric.name: metric for metric in aniso_metrics() if metric.contrast is None}
DIMENSIONS = {metric.name for metric in aniso_dimension.aniso_metrics()}
SUMS = ["cosine-to-mean", "mean-pairwise-cosine", "norm-mean", "norm-sd", "norm-cv"]
SQUARES = ["participation-ratio", "isoscore", "eigenvalue-dispersion", "eigenvalue-variance"]
SPECTRA = ["effective-rank", "top-10-share"]


def cloud(documents, tokens, width, seed=0, spike=1.0):
    """Return states float64[n, d] about a mean of their own and the document of each; documents have means, too."""
    rng = np.random.default_rng(seed)
    scale = np.arange(1, width + 1) ** -0.5
    scale[0] *= spike
    owner = np.repeat(np.arange(documents), rng.integers(tokens // 2, 2 * tokens, documents))
    offsets = 0.4 * rng.standard_normal((documents, width))
    lengths = np.exp(0.3 * rng.standard_normal((documents, 1)))
    states = (rng.standard_normal((len(owner), width)) + offsets[owner]) * lengths[owner] * scale + 0.5
    return states, owner


def running(states, owner, batch=300):
    found = RunningMoments()
    for start in range(0, len(states), batch):
        found.update(Tokens.of(states[start : start + batch], owner[start : start + batch].tolist()))
    return found


def compared(states, owner, names, found=None):
    """Return by name the metric without each document, from sums and from the states that remain."""
    without = (found or running(states, owner)).result().without_each()
    left = {unit: Moments.of(states[owner != unit]) for unit in without}
    return {
        name: tuple(np.array([METRICS[name].of(m[unit]) for unit in left]) for m in (without, left)) for name in names
    }


@pytest.mark.parametrize(("documents", "tokens", "width"), [(12, 8, 200), (20, 30, 24), (20, 60, 200)])
def test_sums_without_a_document_are_exact(documents, tokens, width):
    """Means, norms and cosines without a document are those of the other states, few or many, narrow or wide."""
    for name, (got, want) in compared(*cloud(documents, tokens, width), SUMS).items():
        assert got == pytest.approx(want, rel=1e-6), name


@pytest.mark.parametrize(("documents", "tokens", "width"), [(12, 8, 200), (20, 30, 24)])
def test_spectra_without_a_document_are_exact_where_its_scatter_is_known(documents, tokens, width):
    """Fewer states than their width are kept, and narrow states have their whole scatter and spectrum known."""
    names = SQUARES + (SPECTRA if documents * tokens > width else [])
    for name, (got, want) in compared(*cloud(documents, tokens, width), names).items():
        assert got == pytest.approx(want, rel=1e-6), name


@pytest.mark.parametrize(("documents", "tokens", "width"), [(20, 30, 24), (9, 80, 12)])
def test_uncentred_spectra_without_a_document_are_exact_there_too(documents, tokens, width):
    """Spectra without subtracting the mean are those of the states that are left."""
    states, owner = cloud(documents, tokens, width)
    without = running(states, owner).result().without_each()
    got = np.array([without[unit].uncentred_spectrum for unit in range(documents)])
    want = np.array([Moments.of(states[owner != unit]).uncentred_spectrum for unit in range(documents)])
    assert np.allclose(got, want, rtol=1e-6, atol=1e-6 * want.max())


@pytest.mark.parametrize(("documents", "tokens", "width"), [(12, 8, 200), (20, 30, 24)])
def test_uncentred_squares_without_a_document_are_exact_where_its_scatter_is_known(documents, tokens, width):
    """The square of the states themselves is that of the states that are left, few or many."""
    states, owner = cloud(documents, tokens, width)
    without = running(states, owner).result().without_each()
    got = [without[unit].uncentred_square_trace for unit in range(documents)]
    want = [(Moments.of(states[owner != unit]).uncentred_spectrum ** 2).sum() for unit in range(documents)]
    assert got == pytest.approx(want, rel=1e-6)


def test_uncentred_squares_of_wide_documents_are_nearly_those_that_are_left():
    """Where little of a document is kept, the square without it has the right spread."""
    states, owner = cloud(24, 60, 160, spike=4.0)
    without = running(states, owner).result().without_each()
    got = np.array([without[unit].uncentred_square_trace for unit in range(24)])
    want = np.array([Moments.of(states[owner != unit]).uncentred_square_trace for unit in range(24)])
    assert np.corrcoef(got, want)[0, 1] > 0.99
    assert got.mean() == pytest.approx(want.mean(), rel=2e-3)


def in_shards(states, owner, number):
    """Return running moments merged of so many shards, in each of which are states of every document."""
    order = np.random.default_rng(1).permutation(len(states))
    shards = [np.sort(shard) for shard in np.array_split(order, number)]
    return reduce(RunningMoments.merge, (running(states[shard], owner[shard]) for shard in shards))


@pytest.mark.parametrize("width", [24, 160])
def test_what_documents_hold_grows_not_with_merges(width):
    """However many shards a document is spread over, the same number of factors is kept of it."""
    states, owner = cloud(8, 1500, width)
    sizes = [sum(array.nbytes for array in pack(in_shards(states, owner, number)).arrays) for number in (4, 40)]
    assert sizes[1] <= sizes[0]


def test_what_is_added_to_a_part_later_is_none_of_what_it_was_merged_into():
    """A merge shares no sums of documents with its parts, whatever their precision."""
    states, owner = cloud(4, 60, 24)
    one, other = (running(states[part::3], owner[part::3]) for part in (0, 1))
    both = one.merge(other)
    before = {unit: left.count for unit, left in both.result().without_each().items()}
    other.update(Tokens.of(states[2::3], owner[2::3].tolist()))
    assert {unit: left.count for unit, left in both.result().without_each().items()} == before


@pytest.mark.parametrize("spike", [1.0, 4.0])
def test_documents_that_are_spread_over_shards_are_left_out_as_well(spike):
    """Merged from sixteen shards, means are exact and the first share is as near as from one."""
    states, owner = cloud(24, 200, 160, spike=spike)
    found = in_shards(states, owner, 16)
    for name, (got, want) in compared(states, owner, SUMS, found).items():
        assert got == pytest.approx(want, rel=1e-6), name
    got, want = compared(states, owner, ["top-eigenvalue-share"], found)["top-eigenvalue-share"]
    assert got == pytest.approx(want, rel=3e-3)
    assert np.corrcoef(got, want)[0, 1] > 0.99
    got, want = (
        np.array([of(unit).uncentred_square_trace for unit in range(24)])
        for of in (found.result().without_each().get, lambda unit: Moments.of(states[owner != unit]))
    )
    assert np.corrcoef(got, want)[0, 1] > 0.99
    assert got.mean() == pytest.approx(want.mean(), rel=2e-3)


def test_wide_units_that_are_joined_between_shards_leave_out_what_those_measured_at_once_do():
    """Of more than 64 documents wide units are joined after some shards, and sums without each are the same as ever."""
    states, owner = cloud(100, 40, 160, spike=4.0)
    edges = np.searchsorted(owner, [0, 21, 42, 63, 84, 100])  # units 10 and 31 lie in two shards each
    shards = [slice(*some) for some in pairwise(edges)]
    fine = reduce(RunningMoments.merge, (running(states[shard], owner[shard]) for shard in shards[:3]))
    rest = [running(states[shard], owner[shard] // 2) for shard in shards[3:]]
    found = reduce(RunningMoments.merge, rest, fine.regrouped(2)).result().without_each()
    wanted = running(states, owner // 2).result().without_each()
    assert sorted(found) == sorted(wanted) == list(range(50))
    for name in (*SUMS, "participation-ratio", "top-eigenvalue-share"):
        got, want = (np.array([METRICS[name].of(left[unit]) for unit in range(50)]) for left in (found, wanted))
        # Sums are float32; of the scatter of a wide unit a few factors are kept, and not the same ones.
        assert got == pytest.approx(want, rel=1e-6 if name in SUMS else 2e-3), name
        assert np.corrcoef(got, want)[0, 1] > (0.999999 if name in SUMS else 0.99), name


def test_narrow_documents_that_are_spread_over_shards_are_left_out_exactly():
    """Where all directions are kept, nothing is lost by merging."""
    states, owner = cloud(20, 60, 24)
    for name, (got, want) in compared(states, owner, SQUARES + SPECTRA, in_shards(states, owner, 12)).items():
        assert got == pytest.approx(want, rel=1e-4), name


@pytest.mark.parametrize(("documents", "tokens", "width"), [(12, 8, 200), (20, 30, 24)])
def test_the_first_share_without_a_document_is_nearly_exact(documents, tokens, width):
    """Rayleigh and Ritz with the second order come within a thousandth where the scatter is known."""
    got, want = compared(*cloud(documents, tokens, width), ["top-eigenvalue-share"])["top-eigenvalue-share"]
    assert got == pytest.approx(want, rel=3e-3)
    assert np.corrcoef(got, want)[0, 1] > 0.999


def test_wide_states_without_a_document_are_known_from_a_few_directions():
    """What is kept of wide documents gives their first share to 1e-3 and a participation ratio of the right spread."""
    states, owner = cloud(24, 60, 160, spike=4.0)
    found = compared(states, owner, ["top-eigenvalue-share", "participation-ratio"])
    got, want = found["top-eigenvalue-share"]
    assert got == pytest.approx(want, rel=1e-3)
    assert np.corrcoef(got, want)[0, 1] > 0.9995
    got, want = found["participation-ratio"]
    assert np.corrcoef(got, want)[0, 1] > 0.99
    assert got.std() == pytest.approx(want.std(), rel=0.05)
    assert got.mean() == pytest.approx(want.mean(), rel=2e-3)


@pytest.mark.parametrize("shape", [(24, 60, 160), (12, 8, 200)])
def test_whole_spectra_of_wide_documents_are_unknown(shape):
    """A metric that needs all eigenvalues says so rather than guess, also where states are fewer than their width."""
    without = running(*cloud(*shape)).result().without_each()
    with pytest.raises(UndefinedMetricError, match="the spectrum without a document is known only"):
        METRICS["effective-rank"].of(without[0])
    with pytest.raises(UndefinedMetricError, match="the spectrum without a document is known only"):
        _ = without[0].uncentred_spectrum


def test_merged_parts_leave_out_what_one_pass_does():
    """Documents that came in several parts, in any order, over several statistics, are left out as a whole."""
    states, owner = cloud(16, 40, 100, spike=3.0)
    order = np.random.default_rng(1).permutation(len(states))
    parts = [running(states[some], owner[some], 170) for some in np.array_split(order, 4)]
    merged = parts[3].merge(parts[0]).merge(parts[2].merge(parts[1]))
    for name, (got, want) in compared(states, owner, [*SUMS, "top-eigenvalue-share"], merged).items():
        assert got == pytest.approx(want, rel=1e-6 if name in SUMS else 2e-3), name


def test_states_far_from_where_they_began_leave_out_right():
    """A first block far from the rest moves the shift, and what documents hold moves with it."""
    states, owner = cloud(16, 60, 48)
    states[owner < 2] += 100.0
    for name, (got, want) in compared(states, owner, [*SUMS, *SQUARES]).items():
        assert got == pytest.approx(want, rel=1e-4), name


def test_the_first_direction_turns_when_its_document_leaves():
    """Where one document alone makes the first direction, another is first without it."""
    states, owner = cloud(12, 60, 90)
    states[owner == 3, 5] += np.linspace(-40, 40, int((owner == 3).sum()))
    got, want = compared(states, owner, ["top-eigenvalue-share"])["top-eigenvalue-share"]
    assert want[3] < want[0] / 3
    assert got == pytest.approx(want, rel=0.05)


def test_one_unit_alone_leaves_nothing():
    """A single document has no pseudo-values, nor have states whose documents were not given."""
    states, _ = cloud(2, 30, 20)
    assert running(states, np.zeros(len(states), int)).result().without_each() == {}
    assert Moments(**{**vars(Moments.of(states)), "parts": None}).without_each() == {}


def test_documents_of_the_same_text_are_one_unit():
    """A repeated text is left out as a whole."""
    documents = [Document(str(i), text) for i, text in enumerate(["a", "b", "a", "c"])]
    assert units_of(documents) == [0, 1, 0, 2]


def test_many_documents_are_grouped():
    """More than 64 documents are grouped by neighbours, in groups of a power of two."""
    units = units_of([Document(str(i), str(i)) for i in range(200)])
    assert units == [i // 4 for i in range(200)]
    assert units_of([Document(str(i), str(i)) for i in range(64)]) == list(range(64))


def measured(**choices):
    texts = [f"text {i} of several, {'long ' * (i % 5)}" for i in range(12)]
    return aniso.profile(tiny(LLAMA), Letters(), texts, **choices)


def test_curves_have_intervals_over_documents():
    """Every layer of every curve of the core has estimate, error and interval, or the curve says why it has none."""
    profile = measured(metrics=list(aniso_metrics()))
    assert profile.prompts.units == 12
    for curve in profile.curves:
        if curve.no_interval:
            assert curve.low == ()
            assert curve.metric in {"massive-activation", "massive-ratio", "cross-fit-share", *DIMENSIONS}
        else:
            triples = [t for t in zip(curve.low, curve.corrected, curve.high, strict=True) if None not in t]
            assert len(triples) == len([value for value in curve.values if value is not None])
            assert all(low <= high for low, _, high in triples)


def test_the_interval_of_a_plain_mean_is_students():
    """Documents of equal length make the mean norm a mean of documents, and its interval the t interval of these."""
    rng = np.random.default_rng(0)
    norms = 1 + rng.random(10)
    states = np.repeat(norms, 6)[:, None] * np.array([0.6, 0.8])
    owner = np.repeat(np.arange(10), 6)
    whole = running(states, owner).result()
    left = whole.without_each()
    pseudo = [10 * whole.norm_mean - 9 * left[unit].norm_mean for unit in range(10)]
    assert pseudo == pytest.approx(norms)


def test_pseudo_values_are_read_back(tmp_path):
    """A run keeps the pseudo-values, and a profile without intervals has none."""
    profile = measured(out=tmp_path / "run")
    assert aniso.load(tmp_path / "run") == profile
    assert profile.pseudo_values("isoscore").values.shape == (12, len(profile.curve("isoscore").layers))
    plain = measured(intervals=False)
    assert plain.pseudo == ()
    assert plain.curve("isoscore").low == ()
    assert plain.curve("isoscore").values == pytest.approx(profile.curve("isoscore").values)


def test_a_count_has_values_and_no_interval():
    """What moves in whole steps says so where other metrics over the same moments have intervals."""
    profile = measured(metrics=["norm-mean", "directions-for-90"])
    counted = profile.curve("directions-for-90")
    assert None not in counted.values
    assert counted.low == ()
    assert counted.no_interval == "a count moves in whole steps, so leaving out documents gives no interval"
    assert profile.pseudo_values("directions-for-90") is None
    assert profile.curve("norm-mean").low


def test_intervals_stay_within_what_is_possible():
    """An interval of a share ends at 0 and 1."""
    for curve in measured().curves:
        if curve.unit == "share" and curve.low:
            assert min(low for low in curve.low if low is not None) >= 0
            assert max(high for high in curve.high if high is not None) <= 1


@pytest.mark.parametrize(("documents", "tokens", "width"), [(12, 8, 200), (20, 30, 24)])
def test_the_cross_fit_share_is_that_of_halves_that_do_not_know_each_other(documents, tokens, width):
    """The share is the mean over both halves of what one half's first direction holds of the other's variance."""
    states, owner = cloud(documents, tokens, width)
    shares = []
    for mine in (owner % 2 == 0, owner % 2 == 1):
        direction = np.linalg.eigh(np.cov(states[mine].T))[1][:, -1]
        other = states[~mine] - states[~mine].mean(axis=0)
        shares.append(((other @ direction) ** 2).sum() / (other**2).sum())
    found = METRICS["cross-fit-share"].of(running(states, owner).result())
    assert found == pytest.approx(np.mean(shares), rel=1e-5)
