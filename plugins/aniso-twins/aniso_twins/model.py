"""GPT-NeoX with another norm: architecture `gpt_neox_twin`, of which twins differ in `norm` alone."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.models.gpt_neox import GPTNeoXConfig, GPTNeoXForCausalLM, GPTNeoXModel

from aniso_twins.norms import NORMS, Parts


class GPTNeoXTwinConfig(GPTNeoXConfig):  # type: ignore[no-untyped-call] # transformers leaves __init_subclass__ untyped
    """A GPT-NeoX config that names one of NORMS, and its twins."""

    model_type = "gpt_neox_twin"

    norm: str = "layernorm"
    aniso_twin: str = ""
    corpus_sha256: str = ""

    def validate_norm(self) -> None:
        """Raise ValueError for a norm that is not of the ladder."""
        if self.norm not in NORMS:
            message = f"There is no norm {self.norm!r}; use {', '.join(NORMS)}."
            raise ValueError(message)


class Norm(nn.Module):
    """gain * (x - mean x) / sqrt(mean (x - mean x)^2 + eps) + bias over the last axis, float[..., d], without some."""

    def __init__(self, width: int, eps: float, parts: Parts) -> None:
        """Begin as the parts that there are do: a gain of 1, a bias of 0. No random number is drawn."""
        super().__init__()
        self.shape, self.eps, self.centre = (width,), eps, parts.centre
        self.weight = nn.Parameter(torch.ones(width)) if parts.gain else None
        self.bias = nn.Parameter(torch.zeros(width)) if parts.bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised states."""
        if self.centre:
            return functional.layer_norm(x, self.shape, self.weight, self.bias, self.eps)
        normed = functional.rms_norm(x, self.shape, self.weight, self.eps)
        return normed if self.bias is None else normed + self.bias


class GPTNeoXTwinModel(GPTNeoXModel):  # type: ignore[no-untyped-call] # transformers leaves __init_subclass__ untyped
    """The trunk of a twin."""

    config_class = GPTNeoXTwinConfig

    def __init__(self, config: GPTNeoXTwinConfig) -> None:
        """Draw the weights of GPT-NeoX, then exchange its norms."""
        super().__init__(config)
        _exchange(self, config)


class GPTNeoXTwinForCausalLM(GPTNeoXForCausalLM):  # type: ignore[no-untyped-call] # transformers leaves __init_subclass__ untyped
    """A twin that predicts the next token."""

    config_class = GPTNeoXTwinConfig

    def __init__(self, config: GPTNeoXTwinConfig) -> None:
        """Draw the weights of GPT-NeoX, then exchange its norms."""
        super().__init__(config)
        _exchange(self.gpt_neox, config)


def register() -> None:
    """Teach transformers the architecture, so that its AutoModel reads twins from their folders."""
    AutoConfig.register(GPTNeoXTwinConfig.model_type, GPTNeoXTwinConfig, exist_ok=True)
    AutoModel.register(GPTNeoXTwinConfig, GPTNeoXTwinModel, exist_ok=True)
    AutoModelForCausalLM.register(GPTNeoXTwinConfig, GPTNeoXTwinForCausalLM, exist_ok=True)


def _exchange(trunk: Any, config: GPTNeoXTwinConfig) -> None:
    """Put the config's norm in place of each LayerNorm, whose construction drew nothing either."""
    parts, width, eps = NORMS[config.norm], config.hidden_size, config.layer_norm_eps
    for block in trunk.layers:
        block.input_layernorm = Norm(width, eps, parts)
        block.post_attention_layernorm = Norm(width, eps, parts)
    trunk.final_layer_norm = Norm(width, eps, parts)
