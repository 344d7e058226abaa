"""The notebooks' job on real weights: SmolLM2-135M from a package registry, 16 prompts (`make test-real`)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from aniso_core import load
from aniso_core.cli import main
from aniso_core.plugins import registry

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="module")
def gguf():
    folder = os.environ.get("ANISO_SMOLLM2")
    assert folder, "ANISO_SMOLLM2 names no folder; run `make test-real`"
    (path,) = Path(folder).rglob("*.gguf")
    return path


@pytest.fixture(scope="module")
def run(gguf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "run"
    arguments = ["profile", "--adapter", "auto", "--model", str(gguf), "--prompts", "paper3", "--out", str(folder)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def notebook(gguf):
    """The notebooks' own computation: states of all tokens stacked, d x d covariances in float32."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    stacked = []
    for document in registry().prompts("paper3").load():
        with torch.inference_mode():
            ids = tokenizer(document.text, return_tensors="pt")
            stacked.append(torch.stack([s[0] for s in model(**ids, output_hidden_states=True).hidden_states]))
    return [notebook_metrics(states) for states in torch.cat(stacked, dim=1)]


def notebook_metrics(states):
    """Return one layer's metrics by the notebooks' formulas, states float32[n, d]."""
    centred = states - states.mean(dim=0)
    values = torch.linalg.eigvalsh(centred.T @ centred / (len(states) - 1)).flip(0).clamp_min(1e-10).double()
    share = values / values.sum()
    norms = states.norm(dim=1)
    mean = states.mean(dim=0)
    return {
        "intrinsic_dim_ratio": share[0],
        "eigenvalue_variance": values.var(correction=0),
        "effective_rank": torch.exp(-(share * (share + 1e-10).log()).sum()),
        "avg_cos_sim": (states @ mean / (norms * mean.norm() + 1e-10)).mean(),
        "var_top1": share[0],
        "var_top10": share[:10].sum(),
        "var_top50": share[:50].sum(),
        "mean_norm": norms.mean(),
        "std_norm": norms.std(correction=0),
        "norm_cv": norms.std(correction=0) / norms.mean(),
    }


def test_weights_are_those_that_the_figures_belong_to(gguf):
    """The downloaded file is the one that the published figures were computed on."""
    import hashlib

    assert hashlib.sha256(gguf.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize(
    "name",
    [
        "intrinsic_dim_ratio",
        "eigenvalue_variance",
        "effective_rank",
        "avg_cos_sim",
        "var_top1",
        "var_top10",
        "var_top50",
        "mean_norm",
        "std_norm",
        "norm_cv",
    ],
)
def test_summary_has_the_notebooks_numbers(run, notebook, name):
    """Each array of summary.json is the notebooks' to 1e-4 relative, shares and cosines to 1e-5 absolute."""
    ours = np.array(json.loads((run / "report" / "summary.json").read_text())[name])
    theirs = np.array([float(layer[name]) for layer in notebook])
    assert ours.shape == (31,)
    if name.startswith(("var_top", "avg_cos", "intrinsic")):
        assert np.abs(ours - theirs).max() < 1e-5
    else:
        assert np.abs(ours / theirs - 1).max() < 1e-4


def test_known_profile_of_smollm2(run):
    """The top-eigenvalue shares, with and without first tokens, are the known ones to the digits given."""
    profile = load(run)
    everything = profile.curve("top-eigenvalue-share", "paper", "all").array()
    without = profile.curve("top-eigenvalue-share", "paper", "no-first").array()
    start = [0.293, 0.143, 0.644, 0.948, 0.938, 0.929, 0.919, 0.907, 0.892, 0.820, 0.168, 0.208, 1.000]
    assert np.round(everything[:13], 3).tolist() == start
    assert (everything[12:24] > 0.999).all()
    assert np.round(everything[-5:], 3).tolist() == [0.998, 0.998, 0.997, 0.978, 0.145]
    assert round(everything[12], 4) == 0.9998
    known = (
        ".299 .151 .125 .682 .637 .599 .563 .526 .485 .378 .127 .109 .112 .099 .105 .101 .100 .094 .088 .093 .098 "
        ".102 .089 .082 .072 .070 .063 .058 .065 .064 .133"
    )
    assert np.round(without, 3).tolist() == [float(share) for share in known.split()]


def test_last_block_before_the_final_norm(run):
    """Before the final norm the last state has a share of .878 with first tokens and .102 without."""
    profile = load(run)
    shares = [profile.curve("top-eigenvalue-share", "residual", t).at(30) for t in ("all", "no-first")]
    assert np.round(shares, 3).tolist() == [0.878, 0.102]


def test_bulk_drops_tokens_that_are_massive_elsewhere_than_first(run):
    """At layers 3 to 6 a lone space is massive: `bulk` has a tenth of the share that `no-first` still shows."""
    profile = load(run)
    bulk, no_first = (profile.curve("top-eigenvalue-share", "residual", t) for t in ("bulk", "no-first"))
    for layer in (3, 4, 5, 6):
        assert bulk.at(layer) < 0.13
        assert no_first.at(layer) > 0.5


def test_first_tokens_are_the_massive_ones(run):
    """From layer 12 the mean norm of first tokens is over a hundred times that of the others."""
    ratio = load(run).curve("sink-ratio", "residual", "all")
    assert ratio.at(12) > 100
    assert ratio.at(0) < 2
