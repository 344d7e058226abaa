"""What others say of the same states: `oracles.py ORACLE FILE...` prints a list of values by metric, one for each file.

It runs in an environment of the package that it asks and imports nothing of aniso. A file holds either `states`
float64[layers, n, d] in the order of their `document` int64[n], or `points` float64[n, d] that all differ.
"""

import json
import math
import sys
import types
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Given = Mapping[str, Array]
Told = dict[str, Any]


def isoscore(given: Given) -> Told:
    """Return IsoScore, and IsoScore* towards even variance by the weight that Ledoit and Wolf derive."""
    import torch
    from IsoScore.IsoScore import IsoScore, IsoScore_star

    def star(x: Array) -> float:
        cov = torch.cov(torch.from_numpy(x).T)
        return float(IsoScore_star(x, torch.eye(len(cov), dtype=cov.dtype) * cov.trace() / len(cov), weight(x)))

    return {
        "isoscore": [float(IsoScore(x)) for x in given["states"]],
        "isoscore-star": [star(x) for x in given["states"]],
    }


def weight(x: Array) -> float:
    """Return Ledoit and Wolf's weight (2004), 0 to 1, by their sums over single states float64[n, d]."""
    centred = x - x.mean(axis=0)
    cov = centred.T @ centred / len(x)
    target = np.trace(cov) / len(cov) * np.eye(len(cov))
    error = np.mean([np.linalg.norm(np.outer(row, row) - cov) ** 2 for row in centred]) / len(x)
    return min(1.0, float(error / np.linalg.norm(cov - target) ** 2))


def vendi_score(given: Given) -> Told:
    """Return matrix entropies: logarithms of Vendi scores of states whose mean square norm is 1."""
    from vendi_score.vendi import score_dual

    scaled = [x / math.sqrt((x**2).sum() / len(x)) for x in given["states"]]
    orders = {"matrix-entropy-1": 1, "matrix-entropy-2": 2, "matrix-entropy-half": 0.5}
    return {
        metric: [math.log(score_dual(x, q=order, normalize=False)) for x in scaled] for metric, order in orders.items()
    }


def llm_microscope(given: Given) -> Told:
    """Return the linearity of each layer in the one before."""
    import torch

    # The package itself imports a module that it does not have.
    spec = find_spec("llm_microscope")
    sys.path += list(spec.submodule_search_locations or ()) if spec else []
    from functions import procrustes_similarity

    layers = torch.from_numpy(given["states"])
    return {"layer-linearity": [procrustes_similarity(x, y) for x, y in pairwise(layers)]}


def ckatorch(given: Given) -> Told:
    """Return the CKA of each layer and the one before, and that of documents' means between all layers."""
    import torch

    sys.modules["seaborn"] = types.ModuleType("seaborn")  # it draws with it, which is not asked for
    from ckatorch.core import cka_base, cka_batch

    layers, document = torch.from_numpy(given["states"]), given["document"]
    means = torch.stack([layers[:, document == number].mean(dim=1) for number in np.unique(document)], dim=1)
    return {
        "layer-cka": [float(cka_base(x, y)) for x, y in pairwise(layers)],
        "alignment": [[float(cka_batch(x[None], y[None])) for y in means] for x in means],
        "alignment, not debiased": [[float(cka_base(x, y)) for y in means] for x in means],
    }


def scikit_dimension(given: Given) -> Told:
    """Return TwoNN by maximum likelihood without discarding ratios, and the estimate over ten neighbours."""
    import skdim

    return {
        "two-nn": float(skdim.id.TwoNN(discard_fraction=0.0, method="mle").fit(given["points"]).dimension_),
        "mle-10": float(skdim.id.MLE().fit(given["points"], n_neighbors=10).dimension_),
    }


def dadapy(given: Given) -> Told:
    """Return TwoNN by maximum likelihood and Gride with its scales, neither discarding ratios."""
    from dadapy import Data
    from dadapy._utils import utils

    # It takes ratios far above the others for overlapping points and drops them, with no option to keep them.
    utils._filter_mus = lambda _dtype, *ratios: ratios  # noqa: SLF001
    gride, _, scales = Data(given["points"], verbose=False).return_id_scaling_gride(range_max=64)
    two_nn = Data(given["points"], verbose=False).compute_id_2NN(algorithm="ml", mu_fraction=1.0)[0]
    orders = (2, 4, 8, 16, 32, 64)
    return {
        "two-nn": float(two_nn),
        **{f"gride-{order}": float(value) for order, value in zip(orders, gride, strict=True) if order > orders[0]},
        **{f"neighbour-distance-{order}": float(value) for order, value in zip(orders, scales, strict=True)},
    }


def formulas(given: Given) -> Told:
    """Return RankMe and curvature by the formulas of their papers, in float64 and from single states."""
    return {
        "rankme": [rankme(x) for x in given["states"]],
        "curvature": [curvature(x, given["document"]) for x in given["states"]],
    }


def rankme(x: Array) -> float:
    """Return exp(-sum p ln p) of the shares p of states' singular values."""
    share = np.linalg.svd(x, compute_uv=False)
    share = share[share > 0] / share.sum()
    return math.exp(-(share * np.log(share)).sum())


def curvature(x: Array, document: Array) -> float:
    """Return the mean angle in radians between steps that follow each other in a document and have a length."""
    steps = [(y - x, same) for x, y, same in zip(x, x[1:], document[1:] == document[:-1], strict=False)]
    angles = []
    for (u, before), (v, after) in pairwise(steps):
        size = np.linalg.norm(u) * np.linalg.norm(v)
        if before and after and size > 0:
            angles.append(math.acos(np.clip(u @ v / size, -1, 1)))
    return float(np.mean(angles))


ORACLES: Mapping[str, Callable[[Given], Told]] = {
    oracle.__name__: oracle
    for oracle in (isoscore, vendi_score, llm_microscope, ckatorch, scikit_dimension, dadapy, formulas)
}

if __name__ == "__main__":
    print(json.dumps([ORACLES[sys.argv[1]](np.load(path)) for path in sys.argv[2:]]))
