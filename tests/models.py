"""Tiny random models of every architecture that aniso names, made from a config with a seed: no file, no network."""

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModel

VOCABULARY, WIDTH, BLOCKS = 300, 32, 3
_SIZES = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": 4}
_LLAMA = {**_SIZES, "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}
_IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}


@dataclass(frozen=True)
class Kind:
    """An architecture: its model_type, the tiny config's fields, and what aniso must find in it."""

    name: str
    model_type: str
    norm: str
    placement: str = "pre"
    fields: dict[str, Any] = field(default_factory=dict)
    normed: tuple[int, ...] = (0, 1, 2, 3)


KINDS = (
    Kind(
        "gpt-neox", "gpt_neox", "layernorm", fields={**_SIZES, "intermediate_size": 64, "max_position_embeddings": 64}
    ),
    Kind(
        "gpt-neox-serial",
        "gpt_neox",
        "layernorm",
        fields={**_SIZES, "intermediate_size": 64, "max_position_embeddings": 64, "use_parallel_residual": False},
    ),
    Kind("gemma", "gemma", "rmsnorm", fields={**_LLAMA, "head_dim": 8}),
    Kind("gemma2", "gemma2", "rmsnorm", fields={**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8}),
    Kind("gemma3", "gemma3_text", "rmsnorm", fields={**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8}),
    Kind(
        "gpt2",
        "gpt2",
        "layernorm",
        fields={"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": BLOCKS, "n_head": 4, "n_positions": 64},
    ),
    Kind(
        "opt",
        "opt",
        "layernorm",
        fields={**_SIZES, "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": WIDTH},
    ),
    Kind(
        "bloom",
        "bloom",
        "layernorm",
        fields={"vocab_size": VOCABULARY, "hidden_size": WIDTH, "n_layer": 3, "n_head": 4},
    ),
    Kind("falcon", "falcon", "layernorm", fields={**_SIZES, "new_decoder_architecture": False, "multi_query": True}),
    Kind(
        "falcon-new",
        "falcon",
        "layernorm",
        fields={**_SIZES, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    Kind("phi", "phi", "layernorm", fields={**_SIZES, "intermediate_size": 64, "max_position_embeddings": 64}),
    Kind("phi3", "phi3", "rmsnorm", fields={**_LLAMA}),
    Kind("llama", "llama", "rmsnorm", fields=_LLAMA),
    Kind("mistral", "mistral", "rmsnorm", fields=_LLAMA),
    Kind("qwen2", "qwen2", "rmsnorm", fields=_LLAMA),
    Kind("qwen3", "qwen3", "rmsnorm", fields={**_LLAMA, "head_dim": 8}),
    Kind("olmo2", "olmo2", "rmsnorm", placement="post", fields=_LLAMA, normed=(3,)),
    Kind("stablelm", "stablelm", "layernorm", fields=_LLAMA),
    Kind(
        "bert",
        "bert",
        "layernorm",
        placement="post",
        fields={**_SIZES, "intermediate_size": 64, "max_position_embeddings": 64},
        normed=(),
    ),
    Kind(
        "roberta",
        "roberta",
        "layernorm",
        placement="post",
        fields={**_SIZES, "intermediate_size": 64, "max_position_embeddings": 66, "pad_token_id": 1},
        normed=(),
    ),
)
"""Every architecture that aniso is tested on."""


def tiny(kind: Kind, seed: int = 0) -> torch.nn.Module:
    """Return a random base model with norms that differ from the identity, in evaluation mode."""
    config = CONFIG_MAPPING[kind.model_type](**(_IDS | kind.fields))
    torch.manual_seed(seed)
    model = AutoModel.from_config(config).eval()
    for name, parameter in model.named_parameters():
        # Gains of one and biases of zero would hide a gain that is read wrongly.
        if parameter.ndim == 1:
            with torch.no_grad():
                parameter.add_(0.3 * torch.randn_like(parameter))
        elif "embed" in name or "wte" in name:
            with torch.no_grad():
                parameter.mul_(20)
    return model
