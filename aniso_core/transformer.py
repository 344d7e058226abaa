"""The one place that hooks a transformer: finds its blocks and norms by watching it run, and reads its streams.

Longer than most files because finding, checking and reading describe the same few modules and must not disagree.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aniso_core.contracts import BosRule, Sink
from aniso_core.errors import AnisoError
from aniso_core.families import recognise
from aniso_core.records import Array, ModelInfo, Norm, Site
from aniso_core.tokenizing import TokenizerRules
from aniso_core.tokens import Batch, Document, Tokenized

_TRACE_TOKENS = 4
_LONGEST_SENSIBLE = 1_000_000_000  # tokenizers without a limit say 1e30


@dataclass(frozen=True)
class Anatomy:
    """The modules that carry the streams.

    `pre_norms[i]` is the norm that block i applies to the residual stream before anything else, empty where norms
    stand after the sublayers; `final_norm` is None where the model ends with its last block.
    """

    trunk: nn.Module
    blocks: tuple[nn.Module, ...]
    pre_norms: tuple[nn.Module, ...]
    final_norm: nn.Module | None
    inner_norm: nn.Module | None
    width: int

    @property
    def placement(self) -> Literal["pre", "post"]:
        """Whether norms stand before the sublayers or after them."""
        return "pre" if self.pre_norms else "post"

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site that can be read, by stream, then layer."""
        normed = list(range(len(self.pre_norms)))
        if self.final_norm is not None:
            normed.append(len(self.blocks))
        residual = range(len(self.blocks) + 1)
        return tuple(Site(i, "residual") for i in residual) + tuple(Site(i, "normed") for i in normed)

    def norm_module(self, site: Site) -> nn.Module | None:
        """Return the norm whose output is `site`, None where there is none."""
        if site.stream != "normed" or site not in self.sites:
            return None
        return self.final_norm if site.layer == len(self.blocks) else self.pre_norms[site.layer]


class TransformerProbe:
    """A transformers model opened for reading; the model is left as it was found when a reading ends."""

    def __init__(self, model: nn.Module, tokenizer: Any, info: "ModelInfo | Callable[[Anatomy], ModelInfo]") -> None:
        """Find the streams, check them against `output_hidden_states`, and measure the tokenizer's habits."""
        self._rules = TokenizerRules(tokenizer)
        self.anatomy = dissect(model)
        self.info = info(self.anatomy) if callable(info) else info
        self.context = _context(self.anatomy.trunk, tokenizer)
        self._norms: dict[Site, Norm] = {}

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site that can be read."""
        return self.anatomy.sites

    def norm_at(self, site: Site) -> Norm:
        """Return the norm whose output is `site`; raises AnisoError where there is none."""
        if site not in self._norms:
            module = self.anatomy.norm_module(site)
            norm = _recognised(module, self.anatomy) if module is not None else None
            if norm is None:
                message = f"There is no LayerNorm or RMSNorm at site {site.key} of {self.info.name}."
                raise AnisoError(message)
            self._norms[site] = norm
        return self._norms[site]

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, max_length: int | None) -> Tokenized:
        """Return the documents as windows no longer than the context."""
        return self._rules.tokenize(documents, bos=bos, limit=min(max_length or self.context, self.context))

    @contextmanager
    def reading(self, sites: Sequence[Site], sink: Sink) -> Iterator[Callable[[Batch], None]]:
        """Yield a function that runs a batch and hands the states of `sites` to `sink` as each module finishes."""
        trunk = self.anatomy.trunk
        with ExitStack() as stack:
            stack.enter_context(_evaluating(trunk))
            stack.enter_context(torch.inference_mode())
            for site in sites:
                stack.callback(self._hook(site, sink).remove)
            yield lambda batch: _run(trunk, batch)

    def _hook(self, site: Site, sink: Sink) -> "torch.utils.hooks.RemovableHandle":
        norm = self.anatomy.norm_module(site)
        if norm is not None:
            return norm.register_forward_hook(lambda _module, _args, output: sink(site, _state(output)))
        if site.layer == 0:
            first = self.anatomy.blocks[0]
            return first.register_forward_pre_hook(
                lambda _module, args, kwargs: sink(site, _block_input(args, kwargs)), with_kwargs=True
            )
        block = self.anatomy.blocks[site.layer - 1]
        return block.register_forward_hook(lambda _module, _args, output: sink(site, _state(output)))


def describe(model: nn.Module, anatomy: Anatomy, *, name: str, source: str, **known: Any) -> ModelInfo:
    """Return the record of a model in memory; `known` gives what the loader knows beyond it."""
    config: Any = anatomy.trunk.config
    site = next((s for s in anatomy.sites if s.stream == "normed"), None)
    module = anatomy.norm_module(site) if site else anatomy.inner_norm
    norm = _recognised(module, anatomy) if module is not None else None
    parameter = next(anatomy.trunk.parameters())
    devices = sorted({str(p.device) for p in anatomy.trunk.parameters()})
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
        **facts,
    )


def dissect(model: nn.Module) -> Anatomy:
    """Return where the streams of `model` run, found by watching one short pass and checked against its outputs.

    Raises AnisoError, naming the site, for a model whose `output_hidden_states` are not what its blocks pass on.
    """
    trunk = _trunk(model)
    blocks = _blocks(trunk)
    with ExitStack() as stack:
        stack.enter_context(_evaluating(trunk))
        stack.enter_context(torch.inference_mode())
        seen = _Watch(trunk, blocks, stack)
        vocabulary = int(_text_config(trunk).vocab_size)
        ids = torch.arange(_TRACE_TOKENS)[None] % vocabulary
        output = trunk(input_ids=ids.to(_input_device(trunk)), output_hidden_states=True, **_no_cache(trunk))
    anatomy = seen.anatomy(output.last_hidden_state)
    _check(type(model).__name__, anatomy, seen, output)
    return anatomy


@dataclass
class _Call:
    """A norm that ran: the module, what went in and out, and the block that ran it (None outside blocks)."""

    module: nn.Module
    given: Tensor
    gave: Tensor
    block: int | None


@dataclass
class _Watch:
    """What one short pass showed: each block's input and output, and each norm's."""

    trunk: nn.Module
    blocks: tuple[nn.Module, ...]
    stack: ExitStack
    inputs: dict[int, Tensor] = field(default_factory=dict)
    outputs: dict[int, Tensor] = field(default_factory=dict)
    calls: list[_Call] = field(default_factory=list)
    running: int | None = None

    def __post_init__(self) -> None:
        for index, block in enumerate(self.blocks):
            self.stack.callback(block.register_forward_pre_hook(self._enter(index), with_kwargs=True).remove)
            self.stack.callback(block.register_forward_hook(self._leave(index)).remove)
        for module in self.trunk.modules():
            if "norm" in type(module).__name__.lower():
                self.stack.callback(module.register_forward_hook(self._norm).remove)

    def anatomy(self, last: Tensor) -> Anatomy:
        firsts = [self._first_norm(i) for i in range(len(self.blocks))]
        pre = tuple(norm for norm in firsts if norm is not None)
        width = int(self.outputs[0].shape[-1])
        inner = [c.module for c in self.calls if c.block == 0 and c.gave.shape[-1] == width]
        end = self.outputs[len(self.blocks) - 1]
        final = [c.module for c in self.calls if c.block is None and _same(c.given, end) and _same(c.gave, last)]
        return Anatomy(
            self.trunk,
            self.blocks,
            pre if len(pre) == len(self.blocks) else (),
            final[-1] if final else None,
            inner[-1] if inner else None,
            width,
        )

    def _first_norm(self, block: int) -> nn.Module | None:
        return next((c.module for c in self.calls if c.block == block and _same(c.given, self.inputs[block])), None)

    def _enter(self, index: int) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.running = index
            self.inputs[index] = _block_input(args, kwargs).clone()

        return hook

    def _leave(self, index: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            self.running = None
            self.outputs[index] = _state(output).clone()

        return hook

    def _norm(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(args[0], Tensor):
            self.calls.append(_Call(module, args[0].clone(), _state(output).clone(), self.running))


def _check(name: str, anatomy: Anatomy, seen: _Watch, output: Any) -> None:
    """Refuse a model whose published states are not what its blocks passed on, at the first site that differs."""
    published = getattr(output, "hidden_states", None)
    last = len(anatomy.blocks)
    if published is None or len(published) != last + 1:
        shown = 0 if published is None else len(published)
        message = f"{name} publishes {shown} hidden states for {last} blocks, wanted {last + 1}; it is not measured."
        raise AnisoError(message)
    for layer in range(last):
        ours = seen.inputs[0] if layer == 0 else seen.outputs[layer - 1]
        if not _same(ours, published[layer]):
            message = f"{name} publishes other states at {layer}.residual than its blocks pass on; it is not measured."
            raise AnisoError(message)
    ending = seen.outputs[last - 1]
    if anatomy.final_norm is None and not _same(ending, output.last_hidden_state):
        message = (
            f"{name} changes its states after block {last - 1} by something other than a norm, "
            f"so site {last}.residual is not where its output comes from; it is not measured."
        )
        raise AnisoError(message)


def _trunk(model: nn.Module) -> nn.Module:
    """Return the part without a head; raises AnisoError for what is not a decoder or encoder of transformers."""
    config: Any = getattr(model, "config", None)
    if config is None or not hasattr(config, "get_text_config"):
        message = f"Wanted a transformers model, got {type(model).__name__}; load one with AutoModel.from_pretrained."
        raise AnisoError(message)
    if getattr(config, "is_encoder_decoder", False):
        message = f"{type(model).__name__} is an encoder with a decoder; aniso reads decoders or encoders alone."
        raise AnisoError(message)
    trunk: nn.Module = getattr(model, "base_model", model)
    if config.get_text_config() is not config:
        trunk = getattr(trunk, "language_model", trunk)
    return trunk


def _blocks(trunk: nn.Module) -> tuple[nn.Module, ...]:
    wanted = int(_text_config(trunk).num_hidden_layers)
    lists = [m for m in trunk.modules() if isinstance(m, nn.ModuleList) and len(m) == wanted > 0]
    # Breadth decides between a list of blocks and lists inside blocks: modules() yields the outermost first.
    if not lists:
        message = f"{type(trunk).__name__} holds no list of {wanted} blocks, so its layers cannot be told apart."
        raise AnisoError(message)
    return tuple(lists[0])


def _text_config(trunk: nn.Module) -> Any:
    config: Any = trunk.config
    return config.get_text_config()


def _run(trunk: nn.Module, batch: Batch) -> None:
    device = _input_device(trunk)
    inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(device)}
    # Without padding no mask is given: attention then takes its faster causal path, with the same result.
    if not batch.mask.all():
        inputs["attention_mask"] = torch.from_numpy(batch.mask).to(device=device, dtype=torch.int64)
    trunk(**inputs, **_no_cache(trunk))


def _no_cache(trunk: nn.Module) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(trunk.config, "use_cache") else {}


def _input_device(trunk: nn.Module) -> torch.device:
    # Offloaded weights are on "meta" between passes; accelerate's hooks then move inputs where they are needed.
    devices = (p.device for p in trunk.parameters() if p.device.type != "meta")
    return next(devices, torch.device("cpu"))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _state(output: Any) -> Tensor:
    state: Tensor = output if isinstance(output, Tensor) else output[0]
    return state


def _block_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    state: Tensor = args[0] if args else kwargs["hidden_states"]
    return state


def _same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left, right.to(left.device))


def _recognised(module: nn.Module, anatomy: Anatomy) -> Norm | None:
    """Return the norm that a module computes, asked in the precision of its own weights."""
    parameter = next(module.parameters(), None)
    dtype = parameter.dtype if parameter is not None else next(anatomy.trunk.parameters()).dtype
    placed = parameter is not None and parameter.device.type != "meta"
    device = parameter.device if parameter is not None and placed else _input_device(anatomy.trunk)

    def apply(x: Array) -> Array:
        with torch.inference_mode():
            out = _state(module(torch.from_numpy(x).to(device=device, dtype=dtype)[None, None]))
        result: Array = out[0, 0].double().cpu().numpy()
        return result

    return recognise(apply, anatomy.width)


def _context(trunk: nn.Module, tokenizer: Any) -> int:
    """Return the longest window: the smallest of what config, position table and tokenizer allow."""
    config = _text_config(trunk)
    limits = [getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    for name, module in trunk.named_modules():
        # Tables with a padding index number real positions from the entry after it.
        if isinstance(module, nn.Embedding) and "position" in name.lower() and module.padding_idx is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    sensible = [int(limit) for limit in limits if isinstance(limit, (int, float)) and 0 < limit < _LONGEST_SENSIBLE]
    return min(sensible, default=2048)
