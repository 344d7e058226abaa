"""What is measured: SmolLM2-135M on real text, and models of Pythia's shapes with random weights."""

import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

from aniso_core.contracts import BosRule, ModelRequest
from aniso_core.plugins import registry
from aniso_core.tokens import Document, Tokenized, Window
from aniso_core.transformer import TransformerProbe, describe
from aniso_core.weights import open_model

PYTHIA_LAYERS, PYTHIA_HEADS, PYTHIA_VOCABULARY = 24, 16, 50304


def smollm2() -> TransformerProbe:
    """Return SmolLM2-135M in float32, from the folder that ANISO_SMOLLM2 names (`make bench` fills it)."""
    folder = Path(os.environ.get("ANISO_SMOLLM2", ".cache/smollm2"))
    (path,) = folder.rglob("*.gguf")
    return open_model(ModelRequest(model=str(path), dtype="float32", device="cpu"))


def random_pythia(width: int) -> nn.Module:
    """Return a model of Pythia's shape with its head and random weights, float32."""
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=PYTHIA_VOCABULARY,
        hidden_size=width,
        num_hidden_layers=PYTHIA_LAYERS,
        num_attention_heads=PYTHIA_HEADS,
        intermediate_size=4 * width,
    )
    model: nn.Module = GPTNeoXForCausalLM(config).train(mode=False)
    return model


class GivenTokens(TransformerProbe):
    """A model opened for reading with its documents as windows of token ids, so that no text is needed."""

    def __init__(self, model: nn.Module, windows: Sequence[Window]) -> None:
        """Open the model; `windows` are all that it will be asked to read."""
        tokenizer = AutoTokenizer.from_pretrained(str(files("aniso_pythia") / "tiny"))  # it is never asked
        super().__init__(model, tokenizer, lambda anatomy: describe(model, anatomy, name="given", source="memory"))
        self.windows = tuple(windows)
        self.documents = [Document(f"{window.document}", f"text {window.document}") for window in windows]

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, max_length: int | None) -> Tokenized:
        """Return the windows, whatever the documents say."""
        del documents, bos
        return Tokenized(self.windows, len(self.windows), "given", max_length or self.context)


def with_head(trunk: nn.Module) -> nn.Module:
    """Return a trunk under its language-model head; the head's weights are the embeddings, as in SmolLM2."""
    given, heads = cast("Any", trunk), cast("Any", AutoModelForCausalLM)
    with torch.device("meta"):
        model = heads.from_config(given.config)
    setattr(model, model.base_model_prefix, given)
    model.get_output_embeddings().weight = given.get_input_embeddings().weight
    return cast("nn.Module", model.train(mode=False))


def text_ids(probe: TransformerProbe, tokens: int) -> list[int]:
    """Return `tokens` token ids of the prose of library128, joined, and begun again where it ends."""
    documents = registry().prompts("library128").load()
    prose = [i for window in probe.tokenize(documents, bos="omit", max_length=None).windows for i in window.ids]
    return [prose[at % len(prose)] for at in range(tokens)]


def cut(ids: Sequence[int], length: int) -> list[Window]:
    """Return token ids as windows of `length` (the last may be shorter), each a document of its own."""
    return [
        Window(tuple(ids[at : at + length]), number, prefix=0, suffix=0)
        for number, at in enumerate(range(0, len(ids), length))
    ]
