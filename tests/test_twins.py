"""Twins: what their norms compute, that all else is equal, and a trainer that may be killed at any time."""

import itertools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from aniso_core import ModelRequest, engine, profile
from aniso_core.plugins import registry
from aniso_core.records import Site
from aniso_core.testing import check_adapter
from aniso_twins import PRESETS, register
from aniso_twins.model import Norm
from aniso_twins.norms import NORMS
from aniso_twins.plan import Plan, Recipe, begun
from aniso_twins.train import main
from aniso_twins.training import untrained

SMALL = {"blocks": 2, "width": 16, "heads": 2, "vocabulary": 300, "batch": 2, "steps": 12, "check": 4, "checkpoints": 4}
RECIPE = Recipe(**SMALL, rate=2e-3, until_loss=None, bfloat16=False)
WORDS = "the river rose in spring and nobody had seen an old bridge since that war when lamps along a quay were few"


def write_texts(folder, seed=0):
    """Write a book of 80 paragraphs of 40 random words."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    paragraphs = (" ".join(rng.choice(WORDS.split(), 40)) + "." for _ in range(80))
    (folder / "book.txt").write_text("\n\n".join(paragraphs))
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("twins") / "texts")


def options(texts, out, **given):
    """Return the arguments of the trainer for small twins; lists are several values, True a bare option."""
    chosen = {"texts": texts, "out": out, "norm": "rmsnorm"} | SMALL | given
    words = []
    for name, value in chosen.items():
        values = value if isinstance(value, list) else [] if value is True else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return words


def trained(texts, out, **given):
    """Train small twins and return the exit code."""
    return main(options(texts, out, **given))


def record(folder):
    return json.loads((folder / "training.json").read_text())


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def opened(folder, adapter="twins"):
    return registry().adapter(adapter).open(ModelRequest(str(folder), device="cpu", dtype="float32"))


def moved(model):
    """Give the norms gains and biases that differ from those of the start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    return model


@pytest.fixture(scope="module")
def finished(tmp_path_factory, texts):
    """Return the folder of all five norms, trained for 12 steps."""
    out = tmp_path_factory.mktemp("trained")
    assert trained(texts, out, norm=list(NORMS)) == 0
    return out


def test_twins_begin_with_equal_weights():
    """Weights that two norms both have are equal to the bit at the start, gains are 1 and biases 0; seeds differ."""
    first = {norm: dict(untrained(Plan(norm, 3, "", RECIPE)).named_parameters()) for norm in NORMS}
    whole = first["layernorm"]
    for parameters in first.values():
        assert parameters.keys() <= whole.keys()
        assert all(torch.equal(parameter, whole[name]) for name, parameter in parameters.items())
    norms = {name: parameter for name, parameter in whole.items() if "norm" in name}
    assert all(torch.all(p == (1 if name.endswith("weight") else 0)) for name, p in norms.items())
    lacking = {norm: sorted({name.split(".")[-1] for name in whole.keys() - p.keys()}) for norm, p in first.items()}
    assert lacking == {
        "layernorm": [],
        "no-gain": ["weight"],
        "no-bias": ["bias"],
        "no-centre": [],
        "rmsnorm": ["bias"],
    }
    other = dict(untrained(Plan("layernorm", 4, "", RECIPE)).named_parameters())
    assert not torch.equal(other["gpt_neox.embed_in.weight"], whole["gpt_neox.embed_in.weight"])


@pytest.mark.parametrize("name", NORMS)
def test_norms_compute_their_closed_form(name):
    """Each norm is its formula in float64, and has gradients for the parts that it has and no other."""
    parts, rng = NORMS[name], np.random.default_rng(1)
    x, gain, bias = rng.normal(2, 3, (5, 24)), rng.normal(1, 0.5, 24), rng.normal(0, 1, 24)
    centred = x - x.mean(axis=1, keepdims=True) if parts.centre else x
    want = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-3)
    want = want * (gain if parts.gain else 1) + (bias if parts.bias else 0)
    norm = Norm(24, 1e-3, parts).double()
    given = {"weight": gain, "bias": bias}
    norm.load_state_dict({key: torch.from_numpy(given[key]) for key in norm.state_dict()})
    got = norm(torch.from_numpy(x))
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-12, atol=1e-12)
    got.square().sum().backward()
    there = {key: parameter.grad is not None for key, parameter in norm.named_parameters()}
    assert there == {key: True for key, has in (("weight", parts.gain), ("bias", parts.bias)) if has}


@pytest.mark.parametrize("name", NORMS)
def test_adapter_reads_each_norm(name, finished, tmp_path):
    """The adapter and `auto` open twins of each norm, whose states and norms are what the model makes of them."""
    folder = finished / f"2x16-seed0-{name}" / "step12"
    register()
    model = moved(AutoModelForCausalLM.from_pretrained(folder))
    shutil.copytree(folder, tmp_path / "moved")
    model.save_pretrained(tmp_path / "moved")
    assert (
        "its states are those that the model publishes"
        in check_adapter(registry().adapter("twins"), tmp_path / "moved").rules
    )
    probe = opened(tmp_path / "moved", "auto")
    parts = NORMS[name]
    assert probe.info.norm == ("layernorm" if parts.centre else "rmsnorm")
    norm = probe.norm_at(Site(1, "normed"))
    assert (norm.bias is not None) == parts.bias
    assert (norm.gain.std() > 0.1) == parts.gain
    assert opened(folder).info.name == f"2x16-seed0-{name}@step12"


def test_auto_opens_twins_in_a_new_process(finished):
    """Where nothing has taught transformers the architecture of twins, adapter `auto` has it taught."""
    folder = finished / "2x16-seed0-no-centre" / "step12"
    code = (
        "import sys; from aniso_core import ModelRequest; from aniso_core.plugins import registry\n"
        "print(registry().adapter('auto').open(ModelRequest(sys.argv[1], device='cpu')).info.name)"
    )
    ran = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "2x16-seed0-no-centre@step12\n"), ran.stderr


def test_checkpoints_are_whole_and_alone(finished, texts):
    """A training that came to its end leaves its checkpoints and record, no state and nothing half-written."""
    folder = finished / "2x16-seed0-layernorm"
    assert listing(folder) == ["step0", "step12", "step4", "step8", "training.json"]
    told = record(folder)
    assert (told["finished"], told["step"], told["diverged_at"]) == (True, 12, None)
    assert [point["step"] for point in told["curve"]] == [4, 8, 12]
    assert told["curve"][-1]["held_out"] < told["curve"][0]["held_out"] < np.log(300) + 0.1
    config = json.loads((folder / "step8" / "config.json").read_text())
    assert config["corpus_sha256"] == told["plan"]["corpus_sha256"]
    before = weights(folder / "step12")
    assert trained(texts, finished, norm="layernorm") == 0
    assert weights(folder / "step12") == before


def test_grid_is_the_end_and_the_largest_powers_of_two():
    """Kept are step 0, the last and powers of two between, the smallest of which are left out first."""
    assert replace(RECIPE, steps=956, checkpoints=12).grid() == (0, *(2**i for i in range(10)), 956)
    assert replace(RECIPE, steps=956, checkpoints=5).grid() == (0, 128, 256, 512, 956)
    assert replace(RECIPE, steps=8, checkpoints=9).grid() == (0, 1, 2, 4, 8)
    assert replace(RECIPE, steps=1, checkpoints=2).grid() == (0, 1)


def test_a_killed_training_goes_on_to_the_same_bits(texts, tmp_path, caplog):
    """A training that was killed, and the rests of a write with it, ends in the weights of one that was left alone."""
    long = {"steps": 60, "check": 4, "checkpoints": 3}
    assert trained(texts, tmp_path / "whole", **long) == 0
    command = [sys.executable, "-m", "aniso_twins.train", *options(texts, tmp_path / "killed", **long)]
    folder = tmp_path / "killed" / "2x16-seed0-rmsnorm"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not ((folder / "training.json").exists() and record(folder)["step"]):
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 0 < record(folder)["step"] < 60
    rests = folder / ".step32.abc123.tmp"
    rests.mkdir()
    (folder / ".abc123.tmp").write_bytes(b"half")
    (folder / "step32").mkdir()  # beyond the stored state: of steps that are taken again
    (folder / "runs").mkdir()  # somebody else's
    with caplog.at_level(logging.INFO):
        assert trained(texts, tmp_path / "killed", **long) == 0
    assert "goes on from step" in caplog.text
    assert listing(folder) == sorted([*listing(tmp_path / "whole" / folder.name), "runs"])
    for step in ("step0", "step32", "step60"):
        assert weights(folder / step) == weights(tmp_path / "whole" / folder.name / step)
    one, other = record(folder), record(tmp_path / "whole" / folder.name)
    assert one["curve"] == other["curve"]


def test_resuming_with_anything_else_is_refused(texts, tmp_path, capsys):
    """Other options or other texts are refused by name, before anything is trained or changed."""
    assert trained(texts, tmp_path / "out") == 0
    before = record(tmp_path / "out" / "2x16-seed0-rmsnorm")
    assert trained(texts, tmp_path / "out", steps=20, until_loss=5, norm=["layernorm", "rmsnorm"]) == 1
    said = capsys.readouterr().err
    assert "begun with something else: --steps (then 12, now 20); --until-loss (then not given, now 5.0). Ask" in said
    other = write_texts(tmp_path / "other", seed=1)
    assert trained(other, tmp_path / "out") == 1
    assert re.search(r"begun with something else: texts \(then \w{12}, now \w{12}\)\. Ask", capsys.readouterr().err)
    assert listing(tmp_path / "out") == ["2x16-seed0-rmsnorm"]
    assert record(tmp_path / "out" / "2x16-seed0-rmsnorm") == before


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("width", 24, "a multiple of 8 times the heads, since positions turn a quarter of a head, got 24 for 2"),
        ("vocabulary", 256, "a vocabulary of 257 or more, each byte and the end of a text, got 256"),
        ("checkpoints", 1, "wanted 2 checkpoints or more, got 1"),
        ("steps", 0, "argument --steps: wanted a whole number from 1, got 0"),
        ("check", "x", "argument --check: wanted a whole number from 1, got x"),
        ("rate", "x", "argument --rate: wanted a number above 0, got x"),
        ("until_loss", "inf", "argument --until-loss: wanted a number above 0, got inf"),
    ],
)
def test_what_cannot_be_trained_is_refused(option, value, said, tmp_path, capsys):
    """An option that no model or training can have is said with what was wanted, before a text is read."""
    with pytest.raises(SystemExit, match="2"):
        trained(tmp_path / "absent", tmp_path / "out", **{option: value})
    assert said in capsys.readouterr().err
    assert listing(tmp_path) == []


def test_two_processes_do_not_train_one_twin(texts, tmp_path, capsys):
    """A training that another process is at is refused; the lock is of its folder alone and leaves no file."""
    folder = tmp_path / "2x16-seed0-rmsnorm"
    folder.mkdir()
    hold = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)"
    command = [sys.executable, "-c", f"{hold}; print(flush=True); input()", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert trained(texts, tmp_path) == 1
        assert "Another process trains in" in capsys.readouterr().err
        assert trained(texts, tmp_path, norm="layernorm") == 0
        process.communicate(b"\n")
    assert listing(folder) == []


def test_damage_is_said_in_a_sentence(texts, tmp_path, capsys):
    """A damaged record, and a damaged state, name their file and what to do."""
    assert trained(texts, tmp_path) == 0
    folder = tmp_path / "2x16-seed0-rmsnorm"
    whole = record(folder)
    (folder / "training.json").write_text(json.dumps(whole | {"finished": False}))
    (folder / "state.pt").write_bytes(b"no state")
    assert trained(texts, tmp_path) == 1
    assert "state.pt is damaged" in capsys.readouterr().err
    (folder / "training.json").write_text("{")
    assert trained(texts, tmp_path) == 1
    assert "training.json is damaged" in capsys.readouterr().err


def test_a_diverging_training_ends_and_says_so(texts, tmp_path, caplog):
    """A learning rate far too high ends that training with its step and reason; the others go on, and the exit is 1."""
    for _ in range(2):  # it is not tried again
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert trained(texts, tmp_path, rate=1e4, norm=["rmsnorm", "layernorm"]) == 1
        assert "2x16-seed0-rmsnorm diverged at step " in caplog.text
        told = record(tmp_path / "2x16-seed0-rmsnorm")
        assert not told["finished"]
        assert told["diverged_at"] <= 4
        assert "are more than" in told["because"] or "not finite" in told["because"]
        assert record(tmp_path / "2x16-seed0-layernorm")["diverged_at"] is not None
        assert "state.pt" not in listing(tmp_path / "2x16-seed0-rmsnorm")


def test_not_finite_weights_end_a_training(texts, tmp_path):
    """A loss that is no number ends the training at its step, and no such weights are kept."""
    trained(texts, tmp_path, rate=1e30)
    told = record(tmp_path / "2x16-seed0-rmsnorm")
    assert told["diverged_at"] == 2
    assert told["because"] == "the training loss of step 2 is not finite"
    assert listing(tmp_path / "2x16-seed0-rmsnorm") == ["step0", "training.json"]


def test_until_loss_keeps_the_first_look_at_that_loss(texts, tmp_path, caplog):
    """`matched` holds the weights of the first look at the loss or less, under a name that tells no step."""
    assert trained(texts, tmp_path / "plain", norm=["layernorm", "rmsnorm"]) == 0
    curve = record(tmp_path / "plain" / "2x16-seed0-rmsnorm")["curve"]
    target = curve[1]["held_out"]
    assert trained(texts, tmp_path / "out", until_loss=target, norm=["layernorm", "rmsnorm"]) == 0
    folder = tmp_path / "out" / "2x16-seed0-rmsnorm"
    assert record(folder)["matched_at"] == 8
    assert weights(folder / "matched") == weights(folder / "step8")
    assert weights(folder / "step12") == weights(tmp_path / "plain" / "2x16-seed0-rmsnorm" / "step12")
    one, other = (opened(tmp_path / "out" / f"2x16-seed0-{norm}" / "matched") for norm in ("layernorm", "rmsnorm"))
    assert one.info.twin == other.info.twin
    assert one.info.twin.endswith(f" @ held-out loss {target:g}")
    assert other.info.name == "2x16-seed0-rmsnorm@matched"
    with caplog.at_level(logging.WARNING):
        assert trained(texts, tmp_path / "never", until_loss=0.1) == 0
    assert "has no `matched`" in caplog.text
    assert record(tmp_path / "never" / "2x16-seed0-rmsnorm")["matched_at"] is None


def test_twins_of_one_name_differ_in_the_norm_alone():
    """Whatever else of a plan or the step changes, the name changes too."""
    plan = Plan("layernorm", 0, "ab" * 32, replace(RECIPE, until_loss=5.0))
    changes = {name: value + 8 for name, value in SMALL.items() if name not in {"check", "checkpoints"}}
    others = [replace(plan, recipe=replace(plan.recipe, **{name: value})) for name, value in changes.items()]
    others += [replace(plan, seed=1), replace(plan, corpus_sha256="cd" * 32)]
    others += [
        replace(plan, recipe=replace(plan.recipe, rate=1e-3)),
        replace(plan, recipe=replace(plan.recipe, bfloat16=True)),
    ]
    names = [one.twin("step 4") for one in (plan, *others)] + [plan.twin("step 8"), plan.twin("held-out loss 5")]
    assert len(set(names)) == len(names)
    assert replace(plan, norm="rmsnorm").twin("step 4") == plan.twin("step 4")


def measured(folder):
    """Return the profile of a checkpoint on eight short documents."""
    register()
    rng = np.random.default_rng(8)
    documents = [" ".join(rng.choice(WORDS.split(), 12)) for _ in range(8)]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    name = f"{folder.parent.name}@{folder.name}"
    return profile(model, tokenizer, documents, metrics=["top-eigenvalue-share"], name=name)


def judged(profiles):
    made = engine.judge([registry().hypothesis("gauge-flatness")], profiles)
    assert not made.failures
    return [verdict for verdict in made.verdicts if verdict.criterion == "rigorous"]


def test_gauge_flatness_pairs_twins_and_no_others(texts, tmp_path):
    """Of real profiles those of one seed and step are paired over the norm, and two steps of a pair count once."""
    for seed, norms in ((0, ["layernorm", "rmsnorm"]), (1, ["layernorm", "rmsnorm"]), (2, ["rmsnorm"])):
        assert trained(texts, tmp_path, blocks=4, steps=2, checkpoints=2, norm=norms, seed=seed) == 0
    profiles = [measured(folder / step) for folder in sorted(tmp_path.iterdir()) for step in ("step0", "step2")]
    found = [verdict for verdict in judged(profiles) if verdict.subject == "the norm in twins"]
    places = itertools.product((0, 1), ("step0", "step2"), ("rmsnorm", "layernorm"))
    assert {verdict.reference for verdict in found} == {
        " and ".join(f"4x16-seed{seed}-{norm}@{step}" for seed, step, norm in places)
    }
    assert {verdict.because for verdict in found} == {"with 2 pairs the smallest p is 0.25"}


def test_each_norm_of_the_ladder_is_held_against_layernorm(texts, tmp_path):
    """Of twins with all five norms each is held against LayerNorm, of two against the one that lacks less."""
    assert trained(texts, tmp_path, blocks=4, steps=1, checkpoints=2, norm=list(NORMS)) == 0
    profiles = [measured(folder / "step1") for folder in sorted(tmp_path.iterdir())]
    assert {p.model.twin_norm for p in profiles} == set(NORMS)

    def subjects(*norms):
        found = judged([p for p in profiles if p.model.twin_norm in norms])
        return {verdict.subject: verdict.reference for verdict in found if "twins" in verdict.subject}

    against = {norm: f"4x16-seed0-{norm}@step1 and 4x16-seed0-layernorm@step1" for norm in NORMS}
    assert subjects(*NORMS) == {
        "no-gain against layernorm in twins": against["no-gain"],
        "no-bias against layernorm in twins": against["no-bias"],
        "no-centre against layernorm in twins": against["no-centre"],
        "the norm in twins": against["rmsnorm"],
    }
    assert set(subjects("no-bias", "no-gain")) == {"no-bias against no-gain in twins"}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_bundled_pair_was_trained_alike(preset):
    """The bundled twins open without a network, have one twin name, and have learnt far more than word frequencies."""
    folder = Path(preset.where)
    told = record(folder)
    assert told["finished"]
    assert told["curve"][-1]["held_out"] < 0.75 * np.log(told["plan"]["recipe"]["vocabulary"])
    probe = registry().adapter("twins").open(ModelRequest(preset.name, device="cpu"))
    assert probe.info.name == f"twins-{preset.name}"
    assert probe.info.norm == preset.name.removeprefix("tiny-")
    assert probe.info.twin == json.loads((Path(PRESETS[0].where) / "config.json").read_text())["aniso_twin"]
    assert begun(folder, Plan(told["plan"]["norm"], 0, told["plan"]["corpus_sha256"], Recipe(**told["plan"]["recipe"])))
