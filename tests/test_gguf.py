"""GGUF files of the Llama, Qwen2, Qwen3 and Gemma 3 families, written here in float32: they open, and the states are
those of the model that was written."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from models import VOCABULARY, Kind, tiny
from test_architectures import TOLERANCE, Letters, states_of, windows
from torch import nn

from aniso_core.batches import plan_batches
from aniso_core.contracts import ModelRequest
from aniso_core.errors import AnisoError
from aniso_core.records import Site
from aniso_core.tokens import Document
from aniso_core.transformer import TransformerProbe, describe
from aniso_core.weights import open_model

# Unlike transformers' own defaults wherever the file can say so.
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 48}
HEADS = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-3}
# Weights that start wide make attention heed positions, so that rows in a wrong order show.
WIDE = {"initializer_range": 0.2}
PLAIN = SIZES | HEADS | WIDE | {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}
# Every sixth block of Gemma 3 attends to all that came before, the others to the sliding window.
ROTARY = {
    "full_attention": {"rope_type": "default", "rope_theta": 5000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
GEMMA = PLAIN | {"num_hidden_layers": 7, "head_dim": 24, "sliding_window": 8, "rope_parameters": ROTARY}


@dataclass(frozen=True)
class Family:
    """A GGUF architecture: the tiny model's config, and what the file's tensors are to the model's."""

    name: str
    model_type: str
    fields: dict[str, Any] = field(default_factory=dict)
    permuted: bool = False
    offset: float = 0.0

    def model(self) -> nn.Module:
        return tiny(Kind(self.name, self.model_type, "rmsnorm", fields=self.fields))


FAMILIES = (
    Family("llama", "llama", PLAIN, permuted=True),
    Family("qwen2", "qwen2", PLAIN),
    # transformers reads no head width from a Qwen3 file and takes its own default, 128.
    Family("qwen3", "qwen3", PLAIN | {"head_dim": 128}),
    Family("gemma3", "gemma3_text", GEMMA, offset=1.0),
)


def paired(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Return a projection with each head's rows in llama.cpp's order, the two halves interleaved."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def add_tensors(writer: gguf.GGUFWriter, family: Family, model: nn.Module) -> None:
    config = model.config
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == family.name)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, values in model.state_dict().items():
        stored = values
        if family.permuted and "q_proj" in name:
            stored = paired(values, config.num_attention_heads)
        elif family.permuted and "k_proj" in name:
            stored = paired(values, config.num_key_value_heads)
        elif name.endswith("norm.weight"):
            stored = values + family.offset
        writer.add_tensor(names.get_name(f"model.{name}", (".weight", ".bias")), stored.numpy())


def add_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(5000.0)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_vocab_size(config.vocab_size)
    if config.model_type == "gemma3_text":
        writer.add_sliding_window(config.sliding_window)


def add_byte_level(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    made = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(sorted(made["vocab"], key=made["vocab"].get))
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (VOCABULARY - 1))
    writer.add_token_merges([" ".join(pair) for pair in made["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)


def add_pieces(writer: gguf.GGUFWriter) -> None:
    """Add a vocabulary as Gemma has it: control tokens, bytes, then pieces whose merges follow from their order."""
    kinds, special = gguf.TokenType, ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = ["th", "the", "\u2581the", "\u2581", *"abcdefghijklmnopqrstuvwxyz"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    spare = [f"<unused{at}>" for at in range(VOCABULARY - len(tokens))]
    types = [kinds.CONTROL] * 3 + [kinds.UNKNOWN] + [kinds.BYTE] * 256 + [kinds.NORMAL] * len(pieces)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens + spare)
    writer.add_token_scores([-float(at) for at in range(VOCABULARY)])
    writer.add_token_types(types + [kinds.CONTROL] * len(spare))
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)  # noqa: FBT003 - the writer's own signature
    writer.add_add_space_prefix(False)  # noqa: FBT003


@pytest.fixture
def write(tmp_path, tokenizer) -> Callable[[Family, nn.Module], Path]:
    """Return a function that writes a model as a float32 GGUF file and returns its path."""

    def write(family: Family, model: nn.Module, scale: Callable[[gguf.GGUFWriter], None] = lambda _: None) -> Path:
        path = tmp_path / f"tiny-{family.name}.gguf"
        writer = gguf.GGUFWriter(path, family.name)
        add_sizes(writer, model.config)
        if family.name == "gemma3":
            add_pieces(writer)
        else:
            add_byte_level(writer, tokenizer)
        add_tensors(writer, family, model)
        scale(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_gguf_file_gives_the_states_of_the_model_it_holds(family, write, tokenizer):
    """A GGUF file opens with its family's norm, sites, gain and tokens, and every state is the written model's."""
    model = family.model()
    here = TransformerProbe(model, Letters(), lambda found: describe(model, found, name="tiny", source="memory"))
    there = open_model(ModelRequest(model=str(write(family, model)), device="cpu"))
    layers = model.config.num_hidden_layers
    assert (there.info.source, there.info.norm, there.info.placement) == ("gguf", "rmsnorm", "pre")
    assert (there.info.layers, there.info.width, there.info.dtype) == (layers, 64, "float32")
    assert [site.layer for site in there.sites if site.stream == "residual"] == list(range(layers + 1))
    assert there.sites == here.sites
    assert any("dequantised" in note for note in there.info.notes)

    final = there.norm_at(Site(layers, "normed"))
    assert np.allclose(final.gain, family.offset + model.norm.weight.detach().numpy(), rtol=1e-4)
    assert final.eps == pytest.approx(1e-3, rel=0.05)

    want, got = (states_of(probe, plan_batches(windows(), 64)) for probe in (here, there))
    assert got.keys() == want.keys()
    for key, state in want.items():
        assert float((got[key] - state).norm() / state.norm()) < TOLERANCE, key

    (read,) = there.tokenize([Document("1", "the river")], bos="auto", max_length=None).windows
    pieces = ["<bos>", "the", "\u2581", *"river"] if family.name == "gemma3" else tokenizer.tokenize("the river")
    assert there._rules._tokenizer.convert_ids_to_tokens(read.ids) == pieces


def test_torn_gguf_file_is_refused(write):
    """A GGUF file whose tensors end early is refused in one sentence that names the file."""
    path = write(FAMILIES[0], FAMILIES[0].model())
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(AnisoError) as refusal:
        open_model(ModelRequest(model=str(path), device="cpu"))
    assert path.name in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "scale",
    [
        lambda writer: writer.add_rope_scaling_type(gguf.RopeScalingType.YARN),
        lambda writer: writer.add_attention_scale(0.1),
        lambda writer: writer.add_tensor("rope_freqs.weight", np.ones(8, np.float32)),
    ],
    ids=["positions", "attention", "frequencies"],
)
def test_gguf_file_with_scaling_is_refused(write, scale):
    """A file whose positions or attention are scaled is refused, since its states would silently be wrong."""
    path = write(FAMILIES[0], FAMILIES[0].model(), scale)
    with pytest.raises(AnisoError, match=r"scales its positions or attention .* safetensors folder or hub id"):
        open_model(ModelRequest(model=str(path), device="cpu"))
