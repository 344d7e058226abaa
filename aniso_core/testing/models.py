"""Tiny random models with a tokenizer of bytes: enough to open, and to see whether an adapter reads them rightly."""

from pathlib import Path
from typing import Any

import torch

_SIZES = {
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 32,
}
_GEMMA = {"num_key_value_heads": 1, "head_dim": 8}
_IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}


def tiny_model(folder: Path, model_type: str = "llama", **fields: Any) -> Path:
    """Write a random model of an architecture of transformers to `folder`, with a tokenizer, and return the folder.

    Two blocks of width 16 and a context of 32 tokens, unless `fields` of its config say otherwise. Its tokens are
    bytes, and `<|endoftext|>`, number 0.
    """
    from transformers import CONFIG_MAPPING, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    sizes = _SIZES | (_GEMMA if model_type.startswith("gemma") else {})
    config = CONFIG_MAPPING[model_type](**(sizes | _IDS | fields))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = "<|endoftext|>"
    numbered = {symbol: number for number, symbol in enumerate([special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocab=numbered, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    kind: Any = PreTrainedTokenizerFast
    return kind(tokenizer_object=made, bos_token=special, eos_token=special, unk_token=special)
