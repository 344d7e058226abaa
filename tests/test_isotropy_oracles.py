"""Metrics of aniso-isotropy beside published packages and float64 references, on a model's own states."""

import json
import math
import os
import subprocess
import sys
import sysconfig
import venv

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

import aniso_core as aniso
from aniso_core.plugins import registry
from aniso_isotropy import cka

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

ORACLES = ("IsoScore==2.0.1", "llm-microscope==0.0.7", "ckatorch==1.0.3")
# ckatorch draws with seaborn, which nothing here needs; llm-microscope's package imports a module that it lacks.
ASK = """
import json, sys, types
sys.modules["seaborn"] = types.ModuleType("seaborn")
import numpy as np
import torch
from ckatorch.core import cka_base, cka_batch
from IsoScore.IsoScore import IsoScore, IsoScore_star
sys.path.insert(0, sys.argv[1] + "/llm_microscope")
from functions import procrustes_similarity

told = {}
given = {name: torch.from_numpy(array) for name, array in np.load(sys.argv[2]).items()}
layers = sorted(int(name.split("-")[1]) for name in given if name.startswith("states-"))
for layer in layers:
    x = given[f"states-{layer}"]
    cov = torch.cov(x.T)
    target = torch.eye(len(cov), dtype=x.dtype) * cov.trace() / len(cov)
    told[f"isoscore-{layer}"] = float(IsoScore(x.numpy()))
    told[f"isoscore-star-{layer}"] = float(IsoScore_star(x.numpy(), target, float(given[f"weight-{layer}"])))
    if layer:
        before = given[f"states-{layer - 1}"]
        told[f"layer-linearity-{layer}"] = procrustes_similarity(before, x)
        told[f"layer-cka-{layer}"] = float(cka_base(before, x))
told["plain"] = [[float(cka_base(given[f"means-{i}"], given[f"means-{j}"])) for j in layers] for i in layers]
told["debiased"] = [
    [float(cka_batch(given[f"means-{i}"][None], given[f"means-{j}"][None])) for j in layers] for i in layers
]
print(json.dumps(told))
"""


class Stored:
    """Keeps every state of a token set with its document and position."""

    def __init__(self):
        self.rows = []

    def update(self, tokens):
        places = zip(tokens.document.tolist(), tokens.position.tolist(), strict=True)
        self.rows += zip(places, tokens.states.double().numpy(), strict=True)

    def merge(self, other):
        both = type(self)()
        both.rows = self.rows + other.rows
        return both

    def result(self):
        return sorted(self.rows, key=lambda row: row[0])


@pytest.fixture(scope="module")
def run():
    """Return a profile of the tiny Gemma model on sixteen documents, and its states by layer."""
    folder = registry().adapter("gemma").presets[0].where
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rows = []
    stored = aniso.Metric("stored", lambda found: rows.append(found) or 0.0, over=Stored)
    isotropy = [item.name for item in registry().items("metric") if item.plugin.distribution == "aniso-isotropy"]
    # Short enough for one window each, so that document and position tell tokens apart.
    documents = [aniso.Document(given.id, given.text[:300]) for given in registry().prompts("library128").load()[:16]]
    profile = aniso.profile(
        model, tokenizer, documents, metrics=["isoscore", *isotropy, stored], streams=["residual"], tokens=["all"]
    )
    assert not profile.failures
    assert profile.prompts.windows == 16
    layers = range(profile.model.layers + 1)
    return profile, dict(zip(layers, rows, strict=False))


def states_of(run):
    return {layer: np.array([state for _, state in rows]) for layer, rows in run[1].items()}


def weight(x):
    """Return Ledoit and Wolf's weight from their sums over single states."""
    centred = x - x.mean(axis=0)
    cov = centred.T @ centred / len(x)
    target = np.trace(cov) / len(cov) * np.eye(len(cov))
    error = np.mean([np.linalg.norm(np.outer(row, row) - cov) ** 2 for row in centred]) / len(x)
    return min(1.0, error / np.linalg.norm(cov - target) ** 2)


@pytest.fixture(scope="module")
def told(run, tmp_path_factory):
    """Return what the packages say of the states, in an environment of their own beside this one's torch."""
    folder = tmp_path_factory.mktemp("oracles")
    venv.create(folder / "venv", with_pip=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    python = folder / "venv" / "bin" / "python"
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *ORACLES], env=alone, check=True)
    given = {}
    for layer, x in states_of(run).items():
        documents = np.array([place[0] for place, _ in run[1][layer]])
        given[f"states-{layer}"] = x
        given[f"weight-{layer}"] = np.array(weight(x))
        given[f"means-{layer}"] = np.array([x[documents == number].mean(axis=0) for number in range(16)])
    np.savez(folder / "states.npz", **given)
    paths = os.pathsep.join([site, *(path for path in sys.path if path.endswith("site-packages"))])
    done = subprocess.run(
        [python, "-c", ASK, site, folder / "states.npz"],
        env=alone | {"PYTHONPATH": paths},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "rel"), [("isoscore", 1e-6), ("isoscore-star", 1e-6), ("layer-linearity", 1e-5), ("layer-cka", 1e-6)]
)
def test_values_are_those_of_the_packages(name, rel, run, told):
    """IsoScore, IsoScore* with the same weight, linearity and CKA are those of the packages, layer by layer."""
    profile, _ = run
    curve = profile.curve(name)
    layers = [layer for layer, value in zip(curve.layers, curve.values, strict=True) if value is not None]
    assert layers == list(range(name.startswith("layer-"), profile.model.layers + 1))
    assert [curve.at(layer) for layer in layers] == pytest.approx(
        [told[f"{name}-{layer}"] for layer in layers], rel=rel
    )


@pytest.mark.parametrize(("debiased", "name"), [(True, "debiased"), (False, "plain")])
def test_cka_is_that_of_the_package(debiased, name, run, told):
    """CKA of documents' means between all layers, plain and debiased, is that of ckatorch."""
    assert np.allclose(cka(run[0], debiased=debiased), told[name], rtol=0, atol=1e-6)


def test_entropies_are_those_of_stored_states(run):
    """Matrix entropies and RankMe are those of the singular values of all states in float64."""
    profile, _ = run
    for layer, x in states_of(run).items():
        singular = np.linalg.svd(x, compute_uv=False)
        k, p = singular**2 / (singular**2).sum(), singular / singular.sum()
        want = {
            "matrix-entropy-1": -(k * np.log(k)).sum(),
            "matrix-entropy-2": -math.log((k**2).sum()),
            "matrix-entropy-half": 2 * math.log(p.sum() * singular.sum() / math.sqrt((singular**2).sum())),
            "rankme": math.exp(-(p * np.log(p)).sum()),
        }
        got = {name: profile.curve(name).at(layer) for name in want}
        assert got == pytest.approx(want, rel=1e-5)


def test_curvature_is_that_of_stored_states(run):
    """Curvature is the mean angle of each three tokens in a row of a document, step by step in float64."""
    profile, stored = run
    for layer, rows in stored.items():
        angles = []
        for (a, x), (b, y), (c, z) in zip(rows, rows[1:], rows[2:], strict=False):
            if a[0] == b[0] == c[0]:
                u, v = y - x, z - y
                if min(np.linalg.norm(u), np.linalg.norm(v)) > 0:
                    angles.append(math.acos(np.clip(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)), -1, 1)))
        assert profile.curve("curvature").at(layer) == pytest.approx(np.mean(angles), rel=1e-5)
