"""The adapters that ship with aniso: what they open, what they carry, and what they say about it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3Config, Gemma3ForConditionalGeneration

import aniso_gemma
import aniso_pythia
from aniso_core.batches import plan_batches
from aniso_core.contracts import ModelRequest
from aniso_core.plugins import registry
from aniso_core.records import Site
from aniso_core.tokens import Window

TINY = {"pythia": Path(aniso_pythia.__file__).parent / "tiny", "gemma": Path(aniso_gemma.__file__).parent / "tiny"}


def opened(adapter, **request):
    return registry().adapter(adapter).open(ModelRequest(device="cpu", **request))


@pytest.mark.parametrize(
    ("adapter", "norm", "wanted"), [("pythia", "layernorm", "pythia-70m"), ("gemma", "rmsnorm", "gemma-2b")]
)
def test_first_preset_is_bundled_and_says_so(adapter, norm, wanted):
    """Without a model an adapter opens its bundled one, and one note says how to ask for the real one."""
    probe = opened(adapter)
    assert (probe.info.name, probe.info.source, probe.info.norm) == (f"{adapter}-tiny", "bundled", norm)
    assert (probe.info.layers, probe.info.width, len(probe.sites)) == (8, 128, 18)
    (note,) = probe.info.notes
    assert "bundled" in note
    assert f"--model {wanted}" in note


@pytest.mark.parametrize("adapter", TINY)
def test_bundled_weights_have_learnt_english(adapter):
    """On held-out passages of library128 the shipped weights predict far better than word frequencies do."""
    folder = TINY[adapter]
    record = json.loads((folder / "training.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    documents = [d for d in registry().prompts("library128").load() if d.id.startswith(("austen", "king"))]
    assert len(documents) == 24
    losses = []
    for document in documents:
        ids = torch.tensor([tokenizer(document.text)["input_ids"][:256]])
        with torch.inference_mode():
            losses.append(float(model(input_ids=ids, labels=ids).loss))
    assert record["unigram_loss"] - np.mean(losses) > 1.5
    assert abs(np.mean(losses) - record["held_out_loss"]) < 0.5


def test_the_pair_shares_its_tokenizer_and_its_size():
    """Both tiny models read the same tokens and have as many blocks, as wide, so that only the architecture differs."""
    one, other = (json.loads((folder / "config.json").read_text()) for folder in TINY.values())
    assert (TINY["pythia"] / "tokenizer.json").read_bytes() == (TINY["gemma"] / "tokenizer.json").read_bytes()
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings"):
        assert one[key] == other[key]


def test_gemma_states_begin_with_scaled_embeddings():
    """Site 0 of a Gemma model is its embedding times sqrt(d), once."""
    probe = opened("gemma")
    read = {}
    table = probe.anatomy.trunk.embed_tokens.weight
    with torch.inference_mode():
        scaled = table[7] * probe.info.width**0.5
    batch = plan_batches([Window((7,), 0, 0, 0)], 1)[0]
    with probe.reading([Site(0, "residual")], lambda site, states: read.update({site: states[0, 0].clone()})) as run:
        run(batch)
    assert torch.allclose(read[Site(0, "residual")], scaled, rtol=1e-3)


def test_gemma_in_float16_is_warned_about():
    """Gemma in float16 opens with the advice to use another precision; in float32 without."""
    assert any("outgrow float16" in note and "bfloat16" in note for note in opened("gemma", dtype="float16").info.notes)
    assert not any("float16" in note for note in opened("gemma").info.notes)


def test_gemma_3_with_a_vision_tower_is_read_in_its_language_model(tmp_path):
    """Of a Gemma 3 that sees as well, the text model's blocks are read, although both towers have as many."""
    sizes = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    text = sizes | {"hidden_size": 32, "vocab_size": 4096, "num_key_value_heads": 2, "head_dim": 8}
    vision = sizes | {"hidden_size": 16, "image_size": 28, "patch_size": 14}
    marks = {"image_token_index": 4095, "boi_token_index": 4094, "eoi_token_index": 4093, "mm_tokens_per_image": 4}
    torch.manual_seed(0)
    Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, **marks)).save_pretrained(
        tmp_path
    )
    AutoTokenizer.from_pretrained(TINY["gemma"]).save_pretrained(tmp_path)
    probe = opened("gemma", model=str(tmp_path))
    assert (probe.info.layers, probe.info.width, probe.info.norm) == (3, 32, "rmsnorm")
    assert len(probe.sites) == 8


def test_presets_of_the_suites_are_hub_ids():
    """Every preset that is not bundled is an id of its maker on the hub, and Gemma's are marked as gated."""
    for adapter, maker in (("pythia", "EleutherAI"), ("gemma", "google")):
        _, *presets = registry().adapter(adapter).presets
        assert len(presets) >= 6
        assert all(preset.where == f"{maker}/{preset.name}" for preset in presets)
        assert all(preset.gated == (adapter == "gemma") for preset in presets)
