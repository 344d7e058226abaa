"""Finds the modules that carry a transformer's streams by watching it run once, and checks them against its outputs.

Nothing is looked up by name but the trunk: blocks are the list as long as the model is deep, a norm belongs to a
stream if it was given that stream's states.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aniso_core.errors import AnisoError, OutOfRangeError, range_advice
from aniso_core.records import Site

_FIRST, _SECOND = 5, 3  # tokens of the two windows that run together and alone
_ROUNDING = (2e-5, 3e-2)  # relative distance of states by rounding alone, in float32 and in half precision
_TOLD = (100, 3)  # how much further off the states of windows that do see each other must be, for the test to tell


@dataclass(frozen=True)
class Anatomy:
    """The modules that carry the streams.

    `pre_norms[i]` is the norm that block i applies to the residual stream before anything else, empty where norms
    stand after the sublayers; `final_norm` is None where the model ends with its last block. `packs` says whether
    windows in one row, told apart by positions that start again, are as they are alone.
    """

    trunk: nn.Module
    blocks: tuple[nn.Module, ...]
    pre_norms: tuple[nn.Module, ...]
    final_norm: nn.Module | None
    inner_norm: nn.Module | None
    width: int
    packs: bool

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


def dissect(model: nn.Module) -> Anatomy:
    """Return where the streams of `model` run, found by watching one short pass and checked against its outputs.

    Raises AnisoError, naming the site, for a model whose `output_hidden_states` are not what its blocks pass on.
    """
    trunk = _trunk(model)
    blocks = _blocks(trunk)
    with ExitStack() as stack:
        stack.enter_context(evaluating(trunk))
        stack.enter_context(torch.inference_mode())
        seen = _Watch(trunk, blocks, stack)
        output = _trace(trunk, seen)
    _require_finite(blocks, seen, output.last_hidden_state)
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

    def forget(self) -> None:
        """Forget what a pass showed that did not come to its end."""
        self.running = None
        for seen in (self.inputs, self.outputs, self.calls):
            seen.clear()

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
            _packs(last),
        )

    def _first_norm(self, block: int) -> nn.Module | None:
        return next((c.module for c in self.calls if c.block == block and _same(c.given, self.inputs[block])), None)

    def _enter(self, index: int) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.running = index
            self.inputs[index] = block_input(args, kwargs).clone()

        return hook

    def _leave(self, index: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            self.running = None
            self.outputs[index] = state(output).clone()

        return hook

    def _norm(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(args[0], Tensor):
            self.calls.append(_Call(module, args[0].clone(), state(output).clone(), self.running))


def _trace(trunk: nn.Module, seen: "_Watch") -> Any:
    """Run two windows packed in one row, each alone before other tokens, and as if they were one window."""
    device, vocabulary = input_device(trunk), int(text_config(trunk).vocab_size)
    first, second = range(_FIRST), range(_FIRST, _FIRST + _SECOND)
    rows = [[*first, *second], [*first, *reversed(second)], [*second, *first], [*first, *second]]
    ids = (torch.tensor(rows) % vocabulary).to(device)
    asked = {"output_hidden_states": True, **no_cache(trunk)}
    if "position_ids" in inspect.signature(trunk.forward).parameters:
        positions = torch.arange(_FIRST + _SECOND).repeat(len(rows), 1)
        positions[0, _FIRST:] = torch.arange(_SECOND)
        # A model that cannot take positions says so in ways of its own; the plain pass shows whether it runs at all.
        with contextlib.suppress(Exception):
            return trunk(input_ids=ids, position_ids=positions.to(device), **asked)
        seen.forget()
    return trunk(input_ids=ids[-1:], **asked)


def _packs(states: Tensor) -> bool:
    """Return whether the first row of the trace is its two windows alone, and the last row shows that one can tell."""
    if len(states) == 1:
        return False
    half = states.dtype.itemsize < 4  # noqa: PLR2004 - bytes of float32
    packed, one, two, mixed = states.double()
    alone = torch.cat([one[:_FIRST], two[:_SECOND]])
    off, told = (float(((row - alone).norm(dim=1) / alone.norm(dim=1)).max()) for row in (packed, mixed))
    return off <= _ROUNDING[half] and told > _TOLD[half] * off


def _require_finite(blocks: tuple[nn.Module, ...], seen: _Watch, last: Tensor) -> None:
    """Refuse states that are not finite at the first site that has them; NaN equals nothing, so this comes first."""
    states = [("0.residual", seen.inputs[0])]
    states += [(f"{i + 1}.residual", seen.outputs[i]) for i in range(len(blocks))]
    states.append((f"{len(blocks)}.normed", last))
    for site, given in states:
        if not bool(given.isfinite().all()):
            dtype = str(given.dtype).removeprefix("torch.")
            message = f"States at site {site} are not finite in {dtype}; {range_advice(dtype)}."
            raise OutOfRangeError(message)


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
    wanted = int(text_config(trunk).num_hidden_layers)
    lists = [(n, m) for n, m in trunk.named_modules() if isinstance(m, nn.ModuleList) and len(m) == wanted > 0]
    if not lists:
        message = f"{type(trunk).__name__} holds no list of {wanted} blocks, so its layers cannot be told apart."
        raise AnisoError(message)
    # Blocks may hold lists of their own; the list of blocks is the outermost.
    return tuple(min(lists, key=lambda found: found[0].count("."))[1])


def _same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left, right.to(left.device))


def text_config(trunk: nn.Module) -> Any:
    """Return the configuration of the language model, inside a composite one too."""
    config: Any = trunk.config
    return config.get_text_config()


def no_cache(trunk: nn.Module) -> dict[str, bool]:
    """Return the argument that keeps no cache, where the model knows one."""
    return {"use_cache": False} if hasattr(trunk.config, "use_cache") else {}


def input_device(trunk: nn.Module) -> torch.device:
    """Return the device that token ids go to."""
    # Offloaded weights are on "meta" between passes; accelerate's hooks then move inputs where they are needed.
    devices = (p.device for p in trunk.parameters() if p.device.type != "meta")
    return next(devices, torch.device("cpu"))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold a module in evaluation mode, and put back what was training."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def state(output: Any) -> Tensor:
    """Return the states of a module's output: a tensor, or a tuple that starts with one."""
    state: Tensor = output if isinstance(output, Tensor) else output[0]
    return state


def block_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the residual stream that a block is given."""
    state: Tensor = args[0] if args else kwargs["hidden_states"]
    return state
