"""A stranger's distribution that was written against aniso 0.1 and never since: what it uses must go on working."""

import hashlib
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from aniso_core import load, testing
from aniso_core.plugins import KINDS, registry

FROZEN = Path(__file__).parent / "third_party" / "aniso-signs"
SHA256 = {
    "aniso_signs.py": "93dfda48109805ed1189c6229dce1a83812aa331ec3db651c0f80f3f570e5521",
    "pyproject.toml": "0a2ab758864cb0a36e81b46da7a6ef08eef03d0eb96e569695c88afcfca3b9f9",
}
"""What the stranger's files were when aniso 0.1 was current."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder into which pip installed the stranger's distribution."""
    pytest.importorskip("pip", reason="installing is what is tested")
    pytest.importorskip("hatchling", reason="builds the plugin without a network")
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(FROZEN)], check=True)
    return folder


@pytest.fixture
def installed(site, monkeypatch, fresh_registry):
    """Make the stranger's distribution one of those that are installed."""
    monkeypatch.syspath_prepend(site)
    fresh_registry()
    yield
    sys.modules.pop("aniso_signs", None)


def test_the_strangers_files_are_those_that_were_frozen():
    """Nobody mends the stranger to fit a change of aniso: that change breaks other strangers too."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FROZEN.iterdir() if path.is_file()}
    assert found == SHA256, (
        "tests/third_party/aniso-signs stands for the plugins that others wrote. If it must change because aniso did, "
        'say in CHANGELOG.md under "Breaking" what authors have to change, and only then pin the new hashes here.'
    )


@pytest.mark.usefixtures("installed")
def test_the_stranger_is_measured_judged_and_shown(aniso, neox, tmp_path):
    """Its prompts are read, its metric measured with intervals, its hypothesis judged and its report written."""
    listed = {entry["name"]: entry for entry in json.loads(aniso("plugins", "--json").out)}
    assert (listed["signs"]["distribution"], listed["signs"]["version"]) == ("aniso-signs", "1.2")
    provided = {"metric": ["positive-share"], "hypothesis": ["signs-even"], "reporter": ["signs"]}
    assert listed["signs"]["provides"] == provided | {"prompts": ["weather-signs"]}

    asked = (
        "--prompts",
        "weather-signs",
        "--metric",
        "plus-share",
        "--hypothesis",
        "signs-even",
        "--reporter",
        "signs",
    )
    ran = aniso("profile", "--model", neox, *asked, "--out", tmp_path / "run", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    (verdict,) = json.loads(ran.out)["verdicts"]
    assert (verdict["hypothesis"], verdict["details"]["units"]) == ("signs-even", 4)
    assert verdict["outcome"] in {"supported", "refuted", "inconclusive"}

    profile = load(tmp_path / "run")
    assert profile.provenance.plugins == {"positive-share": "aniso-signs 1.2"}
    curve = profile.curve("positive-share", "residual", "all")
    assert curve.values == pytest.approx(shares(neox), abs=1e-3)  # a coordinate or two may round to the other side
    assert all(low < value < high for low, value, high in zip(curve.low, curve.values, curve.high, strict=True))
    first, second = (tmp_path / "run" / "report" / "signs.txt").read_text().splitlines()
    assert first == " ".join(["tiny-neox", *(f"{value:.3f}" for value in curve.values)])
    assert second == f"tiny-neox: {verdict['outcome']}"


@pytest.mark.usefixtures("installed")
def test_results_by_document_give_no_interval_where_units_are_others(measure, tmp_path):
    """The stranger leaves out documents; of 70, which are 35 units, it has values and no interval, and says why."""
    texts = tmp_path / "many.txt"
    texts.write_text("".join(f"sign number {number}\n" for number in range(70)), encoding="utf-8")
    ran = measure("--metric", "positive-share", "--metric", "norm-mean", prompts=texts)
    assert ran.code == 0, ran.err
    profile = load(ran.run)
    curve = profile.curve("positive-share")
    assert None not in curve.values
    assert (curve.low, profile.pseudo_values("positive-share")) == ((), None)
    assert curve.no_interval.startswith("without_each gave results for documents, not for units; take the units from")
    assert profile.pseudo_values("norm-mean").values.shape[0] == 35


@pytest.mark.usefixtures("installed")
def test_the_stranger_keeps_the_rules_but_one():
    """What it kept when it was written it keeps; that it leaves out documents, not units, was never noticed before."""
    items = [item for kind in KINDS for item in registry().items(kind) if item.plugin.distribution == "aniso-signs"]
    assert len(items) == 4
    for item in items:
        if item.kind == "metric":
            with pytest.raises(AssertionError, match=r"wanted results without units \[0, 1, 2, 3\], got \[0, .*, 7\]"):
                testing.check_metric(item.value)
        else:
            testing.CHECKS[item.kind](item.value)


def test_the_other_stranger_breaks_rules_as_many_do(monkeypatch):
    """aniso-nearest-gap, which test_plugins.py measures all the same, names no source and fails at width 1."""
    monkeypatch.syspath_prepend(FROZEN.parent / "aniso-nearest-gap")
    (gap,) = importlib.import_module("aniso_nearest_gap").aniso_metrics()
    with pytest.raises(AssertionError, match="wanted a source, got ''"):
        testing.check_metric(gap)
    with pytest.raises(AssertionError, match=r"got IndexError: .* of width 1, "):
        testing.check_metric(replace(gap, source="a stranger"))
    del sys.modules["aniso_nearest_gap"]


def shares(folder):
    """Return the share of positive coordinates at each layer of a model on the stranger's prompts, by other means."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    positive, seen, last = [], 0, []
    model.layers[-1].register_forward_hook(lambda _module, _args, output: last.append(output))
    for document in registry().prompts("weather-signs").load():
        ids = torch.tensor([tokenizer(document.text)["input_ids"]])
        with torch.inference_mode():
            states = list(model(input_ids=ids, output_hidden_states=True).hidden_states)
        states[-1] = last[-1] if isinstance(last[-1], torch.Tensor) else last[-1][0]
        positive.append([int((state > 0).sum()) for state in states])
        seen += states[0].numel()
    return [sum(layer) / seen for layer in zip(*positive, strict=True)]
