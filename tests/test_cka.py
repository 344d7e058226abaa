"""CKA of any two layers, of one run or of two, from the documents that runs keep; and its figure."""

import io
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
import torch
from draws import rng
from folding import classes_of, cloud, folded, windows_of
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from test_passes import measured

import aniso_core as aniso
from aniso_core import AnisoError
from aniso_core.records import KeptArray, ModelInfo, Profile, PromptsInfo, Report, Site
from aniso_core.text import slug
from aniso_core.tokens import TOKEN_SETS, Tokens
from aniso_isotropy import aniso_metrics, cka
from aniso_isotropy.documents import MOST, Documents
from aniso_isotropy.heatmap import render

GRAM = next(metric for metric in aniso_metrics() if metric.keeps)
TEXTS = ["the river rose in spring", "few had asked about it", "seven ships", "she counted lamps", "no harbour here"]


def profile(layers, name="m", sha256="ab", tokens="all", numbers=None):
    """Return a profile that kept documents whose mean states are given layer by layer, float64[n, d] each."""
    info = ModelInfo(name, "X", "memory", "", "", len(layers), 8, 10, "rmsnorm", "pre", "float32", "cpu", "sdpa")
    prompts = PromptsInfo("given", sha256, 5, 5, 50, 50, "auto", "nothing")
    arrays = []
    for layer, means in enumerate(layers):
        centred = means - means.mean(axis=0)
        number = np.arange(len(means), dtype=np.float64) if numbers is None else np.array(numbers, dtype=np.float64)
        values = np.vstack([number, centred @ centred.T])
        arrays.append(KeptArray("document-gram", "residual", tokens, layer, values))
    return Profile(info, (), prompts, arrays=tuple(arrays))


def hsic(k, l):  # noqa: E741 - the kernels of the formula
    """Return the unbiased HSIC of two kernels by its formula (Song et al. 2012, equation 5)."""
    n, ones = len(k), np.ones(len(k))
    k, l = (a - np.diag(np.diag(a)) for a in (k, l))  # noqa: E741
    middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * ones @ k @ l @ ones) / (n * (n - 3))


def test_cka_is_that_of_the_formula():
    """Each entry is the unbiased HSIC of two layers over the root of those of each with itself; plain CKA beside it."""
    layers = [rng(i).standard_normal((12, 8)) @ rng(9).standard_normal((8, 8)) + rng(5).random((12, 8)) for i in (0, 1)]
    others = [layers[0] + 0.3 * rng(3).standard_normal((12, 8)), rng(4).standard_normal((12, 20))]
    a, b = profile(layers), profile(others)
    kernels = [[x @ x.T for x in some] for some in (layers, others)]
    want = [[hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)) for l in kernels[1]] for k in kernels[0]]  # noqa: E741
    assert np.allclose(cka(a, b), want)
    centred = [[x - x.mean(axis=0) for x in some] for some in (layers, others)]
    plain = [
        [np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y) for y in centred[1]]
        for x in centred[0]
    ]
    assert np.allclose(cka(a, b, debiased=False), plain)
    assert np.allclose(cka(a), cka(a).T)
    assert np.allclose(np.diag(cka(a)), 1)


def test_layers_with_nothing_in_common_have_a_cka_near_zero():
    """Of few documents the plain CKA of independent layers is large, and the unbiased one is zero on average."""
    found = []
    for seed in range(40):
        a, b = (profile([rng(2 * seed + i).standard_normal((16, 64))]) for i in (0, 1))
        found.append((cka(a, b).item(), cka(a, b, debiased=False).item()))
    unbiased, plain = np.mean(found, axis=0)
    assert abs(unbiased) < 0.02
    assert plain > 0.5


def test_only_documents_that_every_layer_has_are_compared():
    """A document that has no token of the set at some layer is left out everywhere."""
    means = rng().standard_normal((9, 6))
    whole, some = profile([means[1:8]], numbers=range(1, 8)), profile([means, means])
    assert np.allclose(cka(whole, some), 1)
    assert cka(whole, some).shape == (1, 2)


def test_what_cannot_be_compared_is_refused():
    """Other texts, too few documents and runs that kept none are each one sentence."""
    a = profile([rng().standard_normal((9, 6))])
    with pytest.raises(AnisoError, match="m and n were measured on different texts, and CKA compares documents"):
        cka(a, profile([np.eye(9)], name="n", sha256="cd"))
    with pytest.raises(AnisoError, match=r"CKA needs 4 documents with all tokens at every layer and found 3"):
        cka(a, profile([np.eye(3)]))
    with pytest.raises(AnisoError, match=r"kept no document-gram .* residual/all"):
        cka(a, tokens="bulk")
    with pytest.raises(AnisoError, match="measure it with --metric document-gram"):
        cka(replace(a, arrays=()))


def test_a_layer_whose_documents_are_the_same_has_no_cka():
    """Where nothing varies there is no number, rather than zero."""
    found = cka(profile([rng().standard_normal((9, 6)), np.ones((9, 6))]))
    assert np.isnan(found).tolist() == [[False, True], [True, True]]


# What is kept of documents


def test_means_that_differ_by_rounding_keep_no_products():
    """Documents of the same states have products of zero, and so no CKA, whatever rounding makes of their mean."""
    documents = Documents()
    documents.update(Tokens.of(torch.tensor([[0.1, 0.7, 1.3, -0.77]], dtype=torch.float64).repeat(7, 1), range(7)))
    found = documents.result().gram()
    assert found[0].tolist() == list(range(7))
    assert not found[1:].any()


@pytest.mark.parametrize(("batch_tokens", "row_tokens"), [(1, 0), (30, 0), (500, 0), (500, 50)])
def test_documents_have_the_means_of_their_states(batch_tokens, row_tokens):
    """However windows are batched, the kept products are those of the means of each document's tokens in the set."""
    windows = windows_of({0: (9, 4), 1: (12,), 2: (1,), 3: (8,), 4: (7, 7)})
    states = cloud(windows, 2)
    found = folded([GRAM], windows, states, batch_tokens, row_tokens)
    assert not found.failures
    assert len(found.arrays) == 2 * len(TOKEN_SETS)
    for array in found.arrays:
        held = states[Site(array.layer, "residual")]
        inside = [np.isin(classes_of(window), TOKEN_SETS[array.tokens]) for window in held]
        rows = {
            number: np.concatenate(
                [s[i] for s, i, w in zip(held, inside, windows, strict=True) if w.document == number]
            )
            for number in range(5)
        }
        means = np.array([some.mean(axis=0) for some in rows.values() if len(some)])
        assert array.values[0].tolist() == [number for number, some in rows.items() if len(some)]
        centred = means - means.mean(axis=0)
        assert np.allclose(array.values[1:], centred @ centred.T)


def test_many_documents_are_the_same_ones_in_any_order():
    """Of more than 256 documents the same 256 are kept, however they came, and they are spread over all of them."""
    states, document = rng().standard_normal((2000, 3)), np.repeat(np.arange(500), 4)
    found = []
    for parts in (1, 13):
        order = rng(parts).permutation(2000)
        halves = []
        for some in np.array_split(order, parts):
            halves.append(Documents())
            halves[-1].update(Tokens.of(torch.from_numpy(states[some]), document[some].tolist()))
        found.append(reduce(lambda a, b: a.merge(b), halves).result())
    one, other = found
    assert len(one.numbers) == MOST
    assert np.array_equal(one.numbers, other.numbers)
    assert np.allclose(one.means, other.means)
    assert np.allclose(one.means[7], states[document == one.numbers[7]].mean(axis=0))
    assert 90 < (one.numbers < 250).sum() < 166


def test_a_model_is_compared_with_itself(tmp_path):
    """Measured, kept, read back: CKA of a run is the same, and 1 of each layer with itself."""
    held = measured(texts=TEXTS, metrics=["document-gram"], out=tmp_path / "run", streams=["residual"])
    found = cka(aniso.load(tmp_path / "run"))
    assert np.array_equal(found, cka(held))
    assert found.shape == (4, 4)
    assert np.allclose(np.diag(found), 1)


# The figure


def drawn(*profiles, **more):
    return {file.name: file.data for file in render(Report(profiles, **more))}


def test_a_run_is_drawn():
    """One run gives one figure as PNG and PDF, the same bytes every time, square panels for both token sets."""
    layers = [rng().standard_normal((9, 6)) + i * np.ones((9, 6)) for i in range(4)]
    both = replace(profile(layers), arrays=profile(layers).arrays + profile(layers, tokens="bulk").arrays)
    files = drawn(both)
    assert set(files) == {"cka.png", "cka.pdf"}
    assert drawn(both) == files
    narrow, wide = (image.imread(io.BytesIO(drawn(p)["cka.png"])) for p in (profile(layers), both))
    assert narrow.shape[0] == wide.shape[0]
    assert wide.shape[1] > 1.5 * narrow.shape[1]


@pytest.mark.parametrize(("medium", "width"), [("column", "234pt"), ("page", "396pt")])
def test_a_figure_for_a_paper_has_its_width(medium, width, tmp_path, monkeypatch):
    """With a paper's style the figure is an SVG and a PDF of that width, without a title, and takes a style sheet."""
    layers = [rng(i).standard_normal((9, 6)) for i in range(3)]
    both = replace(profile(layers), arrays=profile(layers).arrays + profile(layers, tokens="bulk").arrays)
    (tmp_path / "own.mplstyle").write_text("axes.edgecolor: 112233\n")
    monkeypatch.setattr(Figure, "text", lambda *_, **__: pytest.fail("a title or a caption"))
    files = drawn(both, style=medium, style_sheets=(tmp_path / "own.mplstyle",))
    assert set(files) == {"cka.svg", "cka.pdf"}
    assert f'width="{width}"'.encode() in files["cka.svg"]
    assert b"stroke: #112233" in files["cka.svg"]
    assert drawn(both, style=medium, style_sheets=(tmp_path / "own.mplstyle",)) == files


def test_panels_say_how_many_documents_are_compared(monkeypatch):
    """A document that one layer lacks is compared at none, so the number drawn is that of the common ones."""
    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda _, text: titles.append(text))
    means = rng().standard_normal((9, 6))
    some = profile([means[:5]], numbers=range(5)).arrays[0]
    kept = profile([means, means]).arrays
    drawn(replace(profile([means]), arrays=(*kept, replace(some, layer=2))))
    assert titles == ["all tokens of 5 documents, residual"]


def test_two_runs_are_drawn_alone_and_against_each_other():
    """Each run and each two on the same texts have a figure; runs of other texts, or that kept nothing, have none."""
    layers = [rng(i).standard_normal((9, 6)) for i in range(3)]
    runs = [profile(layers, "a/one"), profile(layers[:2], "two"), profile(layers, "two", sha256="cd")]
    names = {name.removesuffix(".png") for name in drawn(*runs, replace(runs[0], arrays=())) if name.endswith("png")}
    one = slug("a/one")
    assert names == {
        f"{one}-1-cka",
        "two-2-cka",
        "two-3-cka",
        f"cka-{slug(f'{one}-1-two-2')}",
    }
    assert all(len(name) < 90 for name in drawn(*(profile(layers, n * 300) for n in "ab")))


def test_runs_that_kept_nothing_have_no_figure():
    """Without kept documents there is nothing to draw, and nothing has failed."""
    assert drawn(replace(profile([np.eye(5)]), arrays=())) == {}


def test_foreign_names_are_shown_as_they_are():
    """A model's name is no formula."""
    layers = [rng(i).standard_normal((9, 6)) for i in range(3)]
    assert drawn(profile(layers, "$\\frac{1 b$"), profile(layers, "\u6f22 $x_"))


def test_the_command_keeps_and_draws(aniso, measure, tmp_path):
    """`aniso profile` keeps documents where they are asked for beside the rest, and `aniso report` draws two runs."""
    asked = ("--metric", "norm-mean", "--metric", "document-gram", "--reporter", "cka")
    runs = [measure(*asked, out=name) for name in ("one", "two")]
    for ran in runs:
        assert ran.code == 0, ran.err
        assert (ran.run / "report" / "cka.png").exists()
    done = aniso("report", runs[0].run, runs[1].run, "--reporter", "cka", "--out", tmp_path / "both")
    assert done.code == 0, done.err
    assert len(list((tmp_path / "both").glob("*.png"))) == 3
