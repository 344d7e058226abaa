"""How a corpus goes through a model: batches, packed rows, memory that runs out, states that come late."""

import os
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from models import KINDS, tiny
from test_architectures import Letters
from threadpoolctl import threadpool_info, threadpool_limits

import aniso_core as aniso
from aniso_core import AnisoError, Metric, intake, kernels, spectrum
from aniso_core.batches import Layout, padded, plan_batches
from aniso_core.errors import out_of_memory
from aniso_core.moments import threads_for
from aniso_core.running import RunningMoments
from aniso_core.sums import Sums
from aniso_core.tokens import TOKEN_SETS, Window

LLAMA = next(kind for kind in KINDS if kind.name == "llama")
BERT = next(kind for kind in KINDS if kind.name == "bert")
TEXTS = [chr(97 + i) * n for i, n in enumerate((9, 30, 12, 7, 25, 18, 30, 4, 60, 11))]


def measured(model=None, texts=TEXTS, **choices):
    return aniso.profile(model or tiny(LLAMA), Letters(), texts, **({"metrics": None} | choices))


def assert_same_profile(got, want, rtol=1e-4):
    """The same gaps and counts, and the same values but for the rounding of another batch."""
    assert got.counts == want.counts
    assert [curve.missing for curve in got.curves] == [curve.missing for curve in want.curves]
    for mine, other in zip(got.curves, want.curves, strict=True):
        assert np.allclose(mine.array(), other.array(), rtol=rtol, atol=1e-6, equal_nan=True), mine.metric


def windows(*lengths, special=0):
    """Windows of these lengths, with as many special tokens before and after the content."""
    return [Window(tuple(range(1, n + 1)), i, special, special) for i, n in enumerate(lengths)]


@pytest.mark.parametrize("row_tokens", [0, 16, 40])
def test_batches_hold_every_token_once(row_tokens):
    """Whatever batches are planned, each token is in one of them, at its position, longest rows first."""
    planned = plan_batches(windows(9, 3, 30, 3, 3, 12, 8, special=1), 40, row_tokens)
    found = []
    for batch in planned:
        assert batch.shape == batch.ids.shape == batch.window.shape
        assert batch.ids.size <= 40
        for row, column in np.argwhere(batch.mask):
            window = batch.windows[batch.window[row, column]]
            at = batch.position[row, column]
            assert window.ids[at] == batch.ids[row, column]
            assert batch.first[row, column] == window.is_first()[at]
            found.append((window.document, int(at)))
    assert sorted(found) == [(i, at) for i, n in enumerate((9, 3, 30, 3, 3, 12, 8)) for at in range(n)]
    assert [batch.shape[1] for batch in planned] == sorted((batch.shape[1] for batch in planned), reverse=True)


@pytest.mark.parametrize("row_tokens", [0, 40])
@pytest.mark.parametrize("lengths", [(8, 8, 8, 8), (12, 9, 8, 5)])
def test_outliers_are_those_five_times_as_long_as_their_windows_median(lengths, row_tokens):
    """Classes are disjoint, cover all tokens, and follow the rule, in plain, padded and packed rows alike."""
    batch = plan_batches(windows(*lengths, special=1), 60, row_tokens)[0]
    rng = np.random.default_rng(0)
    norms = rng.uniform(0.9, 1.1, batch.shape)
    norms[batch.position == 4] = 6.0
    norms[batch.position == 2] = 4.0
    norms[batch.first] = 1.0
    norms[batch.position == 0] = 50.0
    states = torch.from_numpy(norms)[..., None] * torch.nn.functional.normalize(
        torch.ones(7, dtype=torch.float64), dim=0
    )
    layout = Layout(batch, torch.device("cpu"))
    tokens = layout.tokens(states)
    outlier = layout.outliers(tokens)
    classes = layout.classes(outlier, int(outlier.sum()))
    held = batch.window[batch.mask]
    first, place, length = (array[batch.mask] for array in (batch.first, batch.position, norms))
    medians = np.array([np.sort(length[held == w])[(int((held == w).sum()) - 1) // 2] for w in range(len(lengths))])
    wanted = {
        "first": first,
        "outlier": ~first & (length > 5 * medians[held]),
        "rest": ~first & (length <= 5 * medians[held]),
    }
    assert (wanted["outlier"] == (~first & (place == 4))).all()
    assert {name: index.tolist() for name, index in classes.items()} == {
        name: np.flatnonzero(there).tolist() for name, there in wanted.items() if there.any()
    }


def test_packing_spares_padding():
    """Short windows share rows no longer than the longest window or the room given, whichever is more."""
    many = windows(*range(1, 33))
    plain, packed = plan_batches(many, 64), plan_batches(many, 64, 8)
    assert padded(packed) == sum(range(1, 33))
    assert padded(plain) > padded(packed)
    assert max(batch.shape[1] for batch in packed) == 32


def test_packed_profile_is_the_padded_one(monkeypatch):
    """A profile of packed rows is that of padded ones, and packing is what happened."""
    shapes = []
    model = tiny(LLAMA)
    model.layers[0].register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[:2])))
    got = measured(model, texts=TEXTS[:4], batch_tokens=64)
    monkeypatch.setattr("aniso_core.transformer.TransformerProbe.row_tokens", 0)
    assert_same_profile(got, measured(texts=TEXTS[:4], batch_tokens=64))
    assert shapes[-1] == (2, 30)


def failing_above(model, tokens, block=1, error=torch.OutOfMemoryError):
    """Make a block of the model run out of memory where a batch has more tokens, padding included."""

    def hook(_module, args):
        if args[0].shape[0] * args[0].shape[1] > tokens:
            message = "out of memory: tried to allocate 20.00 GiB"
            raise error(message)

    model.layers[block].register_forward_pre_hook(hook)
    return model


@pytest.mark.parametrize("block", [0, 2])
@pytest.mark.parametrize("tokens", [40, 64, 120])
def test_batches_are_halved_where_memory_runs_out(block, tokens):
    """What was taken in before memory ran out is not taken in again; the profile is the same and says its batches."""
    got = measured(failing_above(tiny(LLAMA), tokens, block), texts=TEXTS[:8], batch_tokens=1000)
    assert_same_profile(got, measured(texts=TEXTS[:8]))
    assert got.provenance.batch_tokens < 120


def test_batches_never_grow_where_memory_runs_out():
    """A row longer than a batch is halved like any, and what follows stays as small as was asked for."""
    got = measured(failing_above(tiny(LLAMA), 70), texts=[TEXTS[8], *TEXTS[:6]], batch_tokens=20)
    assert got.provenance.batch_tokens == 20


class Greedy(RunningMoments):
    """A plugin's statistic that is always short of memory."""

    def update(self, _tokens):
        raise MemoryError


def test_a_plugins_statistic_short_of_memory_fails_alone():
    """It is named and left out; batches stay whole, and so do all other values."""
    greedy = aniso.Metric("greedy", lambda m: m.norm_mean, over=Greedy)
    got = measured(metrics=["isoscore", greedy, "norm-mean"])
    assert [(failure.name, failure.reason) for failure in got.failures] == [
        ("greedy", "its statistic failed at 0.residual: MemoryError: ")
    ]
    want = measured(metrics=["isoscore", "norm-mean"])
    assert got.curve("isoscore").values == want.curve("isoscore").values
    assert got.provenance.batch_tokens == want.provenance.batch_tokens


def test_moments_short_of_memory_take_all_or_nothing(monkeypatch):
    """Memory that runs out within the statistic itself, between classes of a site, counts nothing twice."""
    want = measured(texts=TEXTS * 4, batch_tokens=1000)
    real, calls = Sums.add, []

    def add(self, rows, norms, runs):
        calls.append(len(rows))
        if len(calls) in {2, 5}:
            raise MemoryError
        real(self, rows, norms, runs)

    monkeypatch.setattr(Sums, "add", add)
    got = measured(texts=TEXTS * 4, batch_tokens=1000)
    assert len(calls) > 5
    assert_same_profile(got, want)
    assert got.provenance.batch_tokens < 1000


def test_a_window_that_never_fits_is_refused():
    """A single window too long for memory is one sentence with what it asked for."""
    wanted = r"A window of 60 tokens does not fit into memory \(out of memory: tried .* 20.00 GiB\); give a smaller"
    with pytest.raises(AnisoError, match=wanted):
        measured(failing_above(tiny(LLAMA), 50))


def test_the_host_is_asked_for_room_before_it_kills(monkeypatch):
    """On a CPU a batch larger than free memory is halved before it runs, and a window larger than it refused."""
    want = measured()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=150_000))
    got = measured()
    assert_same_profile(got, want)
    assert got.provenance.batch_tokens < 1024
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=50_000))
    with pytest.raises(AnisoError, match=r"60 tokens does not fit into memory \(it needs about 0.0 GB and"):
        measured()


def test_other_errors_of_a_model_are_not_taken_for_memory():
    """Only running out of memory halves a batch."""
    with pytest.raises(RuntimeError, match="tried to allocate"):
        measured(failing_above(tiny(LLAMA), 50, error=RuntimeError))
    assert out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("can't allocate memory"))


def test_a_process_short_of_memory_measures_the_same():
    """With the process's memory capped for real, batches shrink and every count and value stays."""
    script = """
        import resource, sys
        import numpy as np
        from test_passes import LLAMA, measured, tiny
        texts = ["word " * 12 + str(i) for i in range(2000)]
        want = measured(texts=texts, metrics=["isoscore"], batch_tokens=512)
        size = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size + 64 * 2**20,) * 2)
        got = measured(texts=texts, metrics=["isoscore"], batch_tokens=200_000)
        assert got.counts == want.counts
        assert np.allclose(got.curve("isoscore").array(), want.curve("isoscore").array(), rtol=1e-5)
        assert got.provenance.batch_tokens < 100_000
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parent,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_states_that_come_late_are_taken_in_all_the_same(monkeypatch):
    """Taking states in one site late, as on a GPU, gives the same profile to the bit."""
    want = measured()
    monkeypatch.setitem(intake._LATE, "cpu", 1)
    got = measured()
    assert got.curves == want.curves
    assert got.counts == want.counts


@pytest.mark.parametrize("late", [0, 1])
def test_states_that_stop_being_finite_name_their_place(monkeypatch, tmp_path, late):
    """NaN in the middle of a run names site, document and token, and leaves nothing written."""
    monkeypatch.setitem(intake._LATE, "cpu", late)
    model = tiny(LLAMA)

    def spoil(_module, _args, output):
        if output.shape[1] == 30:  # the second batch
            output[0, 3] = float("nan")

    model.layers[1].register_forward_hook(spoil)
    with pytest.raises(AnisoError, match=r"site 2.residual are not finite in float32 \(document 2, token 3 of"):
        measured(model, texts=[TEXTS[8], TEXTS[1]], batch_tokens=60, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_one_token_and_equal_states_have_reasons_in_place_of_values():
    """One token has no variance and says so; nothing fails."""
    profile = measured(texts=["a"])
    assert not profile.failures
    assert profile.curve("isoscore", "residual", "all").values == (None,) * 4
    assert "one token has no variance" in profile.curve("isoscore", "residual", "all").missing[0].reason


def test_fast_kernels_are_used_only_where_they_serve(monkeypatch):
    """The probe decides: exact and faster kernels run and are recorded, others are not used and the run says why."""
    want = measured()
    backend = torch.backends.mkldnn.matmul
    held, seen = backend.fp32_precision, []
    model = tiny(LLAMA)
    model.layers[0].register_forward_pre_hook(lambda *_: seen.append(backend.fp32_precision))
    for found, serves in [((1e-7, 2.0), True), ((4e-3, 2.0), False), ((1e-7, 1.0), False)]:
        monkeypatch.setattr(kernels, "probed", lambda _, found=found: kernels.Probed(*found))
        got = measured(model, kernels="fast")
        assert (seen[-1] == "bf16") == serves
        assert got.provenance.kernels.startswith("fast (oneDNN 2.00 times" if serves else "default (oneDNN")
        assert_same_profile(got, want)
        assert backend.fp32_precision == held
    assert want.provenance.kernels == "default"


def test_the_probe_tells_float32_from_products_that_round(monkeypatch):
    """Products of float32 pass, products of factors rounded to bfloat16 do not, however fast they are."""
    monkeypatch.setattr(kernels, "found", {})
    real = torch.mm
    monkeypatch.setattr(kernels, "_onednn", nullcontext)
    assert 0 < kernels.probed(64).error < 2e-6
    kernels.found.clear()
    monkeypatch.setattr(torch, "mm", lambda a, b: real(a.bfloat16().float(), b.bfloat16().float()))
    assert kernels.probed(64).error > 1e-5
    assert not kernels.probed(64).serves


def test_users_own_precision_does_not_reach_the_sums(monkeypatch):
    """A user who lets the model's products round gets exact sums all the same, and finds the setting as it was."""
    backend, seen, real = torch.backends.mkldnn.matmul, [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, **out: seen.append(backend.fp32_precision) or real(a, b, **out))
    held, backend.fp32_precision = backend.fp32_precision, "bf16"
    try:
        measured(texts=TEXTS * 2)
        assert seen
        assert set(seen) == {"ieee"}
        assert backend.fp32_precision == "bf16"
    finally:
        backend.fp32_precision = held


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_measures_what_the_host_does(dtype):
    """The same model has the same profile on a GPU, also where memory runs out there."""
    want = measured(tiny(LLAMA).to(dtype))
    for model in (tiny(LLAMA), failing_above(tiny(LLAMA), 64)):
        assert_same_profile(measured(model.to(dtype).to("cuda")), want, rtol=1e-3 if dtype == torch.float32 else 0.1)


def test_unknown_kernels_are_refused():
    """A name that no kernels have is one sentence."""
    with pytest.raises(AnisoError, match="There are no kernels 'turbo'; use default or fast"):
        measured(kernels="turbo")


@pytest.mark.parametrize(("size", "limited"), [(8, True), (5000, False)])
def test_metrics_are_asked_on_one_thread_unless_matrices_are_large(size, limited):
    """Short products do not wait for a second thread; a matrix that is decomposed alone has all that there are."""

    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):  # as many as there are might be one
        with threads_for([SimpleNamespace(side=range(size))] * 3):
            assert threads() == ({1} if limited else {2})
        assert threads() == {2}


def test_metrics_see_one_thread():
    """What a metric of a small model computes is computed on one thread of numpy's library."""
    seen = set()

    def share(moments):
        seen.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return moments.top_eigenvalue

    with threadpool_limits(2, user_api="blas"):
        measured(metrics=[Metric("threads", share, unit="1")])
    assert seen == {1}


def test_token_sets_of_the_same_tokens_share_their_values(monkeypatch):
    """Where no token is an outlier, no-first and bulk are the same numbers, decomposed once."""
    sides, real = [], spectrum.eigenvalues
    monkeypatch.setattr(spectrum, "eigenvalues", lambda side, *more: sides.append(side.shape) or real(side, *more))
    profile = measured(metrics=["top-1-share"], streams=["normed"], tokens=tuple(TOKEN_SETS), intervals=False)
    assert len(sides) == 2 * 4
    no_first, bulk = (profile.curve("top-1-share", "normed", tokens) for tokens in ("no-first", "bulk"))
    assert no_first.values == bulk.values
