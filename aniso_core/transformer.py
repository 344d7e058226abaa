"""The one place that reads a transformer: hooks on its blocks and norms hand states over as it runs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import torch
from torch import nn

from aniso_core.anatomy import Anatomy, block_input, dissect, evaluating, input_device, no_cache, state, text_config
from aniso_core.batches import Batch
from aniso_core.contracts import BosRule, Sink
from aniso_core.families import recognise
from aniso_core.records import Array, ModelInfo, Norm, Site
from aniso_core.tokenizing import TokenizerRules
from aniso_core.tokens import Document, Tokenized

TWIN = "aniso_twin"
"""Entry of a model's config: the same text in two models that were trained alike but for their norms."""

_LONGEST_SENSIBLE = 1_000_000_000  # tokenizers without a limit say 1e30


class TransformerProbe:
    """A transformers model opened for reading; the model is left as it was found when a reading ends."""

    def __init__(self, model: nn.Module, tokenizer: Any, info: "ModelInfo | Callable[[Anatomy], ModelInfo]") -> None:
        """Find the streams, check them against `output_hidden_states`, and measure the tokenizer's habits."""
        self.anatomy = dissect(model)
        trunk: Any = self.anatomy.trunk
        self._rules = TokenizerRules(tokenizer, trunk.get_input_embeddings().num_embeddings)
        self.info = info(self.anatomy) if callable(info) else info
        self.context = _context(self.anatomy.trunk, tokenizer)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site that can be read."""
        return self.anatomy.sites

    def norm_at(self, site: Site) -> Norm | None:
        """Return the norm whose output is `site`; None where it is neither LayerNorm nor RMSNorm."""
        module = self.anatomy.norm_module(site)
        return _recognised(module, self.anatomy) if module is not None else None

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, max_length: int | None) -> Tokenized:
        """Return the documents as windows no longer than the context."""
        return self._rules.tokenize(
            documents, bos=bos, limit=self.context if max_length is None else min(max_length, self.context)
        )

    @property
    def row_tokens(self) -> int:
        """Tokens up to which windows may share a row; 0 where the model would let them see each other.

        Rows of a quarter of the width cost attention less than a twentieth of what the matrices cost.
        """
        return self.anatomy.width // 4 if self.anatomy.packs else 0

    @contextmanager
    def reading(self, sites: Sequence[Site], sink: Sink) -> Iterator[Callable[[Batch], None]]:
        """Yield a function that runs a batch and hands the states of `sites` to `sink` as each module finishes."""
        trunk = self.anatomy.trunk
        with ExitStack() as stack:
            stack.enter_context(evaluating(trunk))
            stack.enter_context(torch.inference_mode())
            for site in sites:
                stack.callback(self._hook(site, sink).remove)
            yield lambda batch: _run(self.anatomy, batch)

    def _hook(self, site: Site, sink: Sink) -> "torch.utils.hooks.RemovableHandle":
        norm = self.anatomy.norm_module(site)
        if norm is not None:
            return norm.register_forward_hook(lambda _module, _args, output: sink(site, state(output)))
        if site.layer == 0:
            first = self.anatomy.blocks[0]
            return first.register_forward_pre_hook(
                lambda _module, args, kwargs: sink(site, block_input(args, kwargs)), with_kwargs=True
            )
        block = self.anatomy.blocks[site.layer - 1]
        return block.register_forward_hook(lambda _module, _args, output: sink(site, state(output)))


def describe(model: nn.Module, anatomy: Anatomy, *, name: str, source: str, **known: Any) -> ModelInfo:
    """Return the record of a model in memory; `known` gives what the loader knows beyond it."""
    config: Any = anatomy.trunk.config
    site = next((s for s in anatomy.sites if s.stream == "normed"), None)
    module = anatomy.norm_module(site) if site else anatomy.inner_norm
    norm = _recognised(module, anatomy) if module is not None else None
    parameter = next(anatomy.trunk.parameters())
    devices = sorted({str(p.device) for p in anatomy.trunk.parameters()})
    twin = str(getattr(config, TWIN, "") or "")
    facts = {"revision": "", "weights_sha256": "", "notes": ()} | known
    return ModelInfo(
        name=name,
        architecture=type(model).__name__,
        source=source,
        layers=len(anatomy.blocks),
        width=anatomy.width,
        parameters=sum(p.numel() for p in anatomy.trunk.parameters()),
        norm=norm.kind if norm else None,
        placement=anatomy.placement,
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=", ".join("offloaded" if d == "meta" else d for d in devices),
        attention=str(getattr(config, "_attn_implementation", "") or "eager"),
        threads=torch.get_num_threads(),
        twin=twin,
        twin_norm=str(getattr(config, "norm", "") or "") if twin else "",
        **facts,
    )


def _run(anatomy: Anatomy, batch: Batch) -> None:
    trunk = anatomy.trunk
    device = input_device(trunk)
    if device.type == "cpu":
        _require_memory(anatomy, batch)
    inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(device)}
    # Without a mask, positions that start again tell transformers where a row's next window begins.
    if batch.packed:
        inputs["position_ids"] = torch.from_numpy(batch.position).to(device)
    # Without padding no mask is given: attention then takes its faster causal path, with the same result.
    elif not batch.mask.all():
        inputs["attention_mask"] = torch.from_numpy(batch.mask).to(device=device, dtype=torch.int64)
    trunk(**inputs, **no_cache(trunk))


def _require_memory(anatomy: Anatomy, batch: Batch) -> None:
    """Raise MemoryError for a batch that the host has no room for: it would be killed rather than told."""
    config, item = text_config(anatomy.trunk), next(anatomy.trunk.parameters()).dtype.itemsize
    rows, time = batch.shape
    # A block holds some eight tensors of the stream's width at once, and three of its widest layer's.
    sides = (max(p.shape[-2:]) for p in anatomy.blocks[0].parameters() if p.dim() > 1)
    widest = min(max(sides, default=anatomy.width), 16 * anatomy.width)  # packed weights have shapes of their own
    need = rows * time * (8 * anatomy.width + 3 * widest) * item
    heads = getattr(config, "num_attention_heads", None)
    if isinstance(heads, int) and getattr(config, "_attn_implementation", "") != "sdpa":
        need += 2 * rows * heads * time**2 * item
    free = psutil.virtual_memory().available
    if need > free:
        message = f"it needs about {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        raise MemoryError(message)


def _recognised(module: nn.Module, anatomy: Anatomy) -> Norm | None:
    """Return the norm that a module computes, asked in the precision of its own weights."""
    parameter = next(module.parameters(), None)
    dtype = parameter.dtype if parameter is not None else next(anatomy.trunk.parameters()).dtype
    placed = parameter is not None and parameter.device.type != "meta"
    device = parameter.device if parameter is not None and placed else input_device(anatomy.trunk)

    def apply(x: Array) -> Array:
        with torch.inference_mode():
            out = state(module(torch.from_numpy(x).to(device=device, dtype=dtype)[None, None]))
        result: Array = out[0, 0].double().cpu().numpy()
        return result

    return recognise(apply, anatomy.width)


def _context(trunk: nn.Module, tokenizer: Any) -> int:
    """Return the longest window: the smallest of what config, position table and tokenizer allow."""
    config = text_config(trunk)
    limits = [getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    for name, module in trunk.named_modules():
        # Tables with a padding index number real positions from the entry after it.
        if isinstance(module, nn.Embedding) and "position" in name.lower() and module.padding_idx is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    sensible = [int(limit) for limit in limits if isinstance(limit, (int, float)) and 0 < limit < _LONGEST_SENSIBLE]
    return min(sensible, default=2048)
