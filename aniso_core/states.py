"""Statistics as plain data: numbers, text and arrays, to be stored or sent and made whole again elsewhere.

Reading back runs nothing that was written: only classes of the core and of the statistic's own package are made,
without calling them, and their attributes set.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

_CORE = "aniso_core"
_PLAIN = (bool, int, float, str)


class State(NamedTuple):
    """A statistic as data: a tree that JSON holds, and the arrays that it refers to by number, on the CPU."""

    tree: Any
    arrays: tuple[torch.Tensor, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled by the bytes of the arrays, uncopied; torch's own way copies, and knows not every type."""
        plain = [
            (str(a.dtype).removeprefix("torch."), a.shape, a.reshape(-1).view(torch.uint8).numpy()) for a in self.arrays
        ]
        return _unpickled, (self.tree, plain)


class StateError(TypeError):
    """Says what of a statistic is no plain data, or what of a state fits no statistic."""


def pack(statistic: object) -> State:
    """Return a statistic as data; raises StateError where it holds what is neither plain, an array nor such an object.

    Arrays on the CPU are not copied. An object is what its `__getstate__` returns: its attributes, unless it says more.
    """
    packer = _Packer(_package(type(statistic)))
    tree = packer.tree(statistic)
    return State(tree, tuple(map(_tensor, packer.held)))


def unpack(state: State, like: object, device: str | None = None) -> Any:
    """Return the statistic that was packed; `like` is an empty one, and only classes of its package may be made.

    Arrays that were on an accelerator go to `device`, or where they were. Raises StateError where the state is of
    anything else.
    """
    try:
        made = _Unpacker(_package(type(like)), state.arrays, device).value(state.tree)
    except (LookupError, ValueError, TypeError, AttributeError, ImportError) as error:
        message = f"a state that is none ({type(error).__name__}: {error})"
        raise StateError(message) from error
    if type(made) is not type(like):
        message = f"a state of {type(made).__qualname__}, wanted one of {type(like).__qualname__}"
        raise StateError(message)
    return made


class _Packer:
    """Makes the tree, in which whatever is not plain is a list that begins with its kind, and gathers the arrays."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.held: list[Any] = []
        self._places: dict[int, int] = {}

    def tree(self, value: Any) -> Any:
        """Return a value as JSON holds it."""
        kind = type(value)
        if value is None or kind in _PLAIN:
            return value
        if isinstance(value, torch.Tensor):
            return ["tensor", self._place(value), str(value.device)]
        if isinstance(value, np.ndarray | np.generic):
            return ["array" if isinstance(value, np.ndarray) else "scalar", self._place(value)]
        if kind in _SEQUENCES.values():
            return [kind.__name__, *map(self.tree, value)]
        if kind is dict:
            return ["dict", *([self.tree(key), self.tree(held)] for key, held in value.items())]
        return self._object(value)

    def _object(self, value: Any) -> list[Any]:
        kind = type(value)
        if kind is torch.dtype:
            return ["dtype", str(value).removeprefix("torch.")]
        if _package(kind) not in {_CORE, self._package} or "<" in kind.__qualname__ or isinstance(value, type):
            message = f"holds a {kind.__qualname__} of {kind.__module__}, which is no plain data"
            raise StateError(message)
        return ["object", f"{kind.__module__}:{kind.__qualname__}", self.tree(value.__getstate__())]

    def _place(self, value: Any) -> int:
        """Return the number of an array; one that stands in several places has one number."""
        if id(value) not in self._places:
            self._places[id(value)] = len(self.held)
            self.held.append(value)
        return self._places[id(value)]


class _Unpacker:
    """Makes values of a tree."""

    def __init__(self, package: str, arrays: Sequence[torch.Tensor], device: str | None) -> None:
        self._package, self._arrays, self._device = package, arrays, device
        self._moved: dict[int, torch.Tensor] = {}
        self._makers: dict[str, Callable[..., Any]] = {
            "tensor": self._tensor,
            "array": lambda place: arrays[place].numpy(),
            "scalar": lambda place: arrays[place].numpy()[()],
            "dtype": lambda name: _DTYPES[name],
            "dict": lambda *pairs: {self.value(key): self.value(held) for key, held in pairs},
            "object": self._object,
        }

    def value(self, tree: Any) -> Any:
        """Return the value that a tree stands for."""
        if not isinstance(tree, list):
            return tree
        kind, *parts = tree
        return _SEQUENCES[kind](map(self.value, parts)) if kind in _SEQUENCES else self._makers[kind](*parts)

    def _tensor(self, place: int, device: str) -> torch.Tensor:
        held = self._arrays[place]
        if device == "cpu":
            return held
        if place not in self._moved:
            self._moved[place] = held.to(self._device or device)
        return self._moved[place]

    def _object(self, name: str, tree: Any) -> Any:
        module, _, path = name.partition(":")
        if module.partition(".")[0] not in {_CORE, self._package}:
            message = f"{name} is no class of {self._package}"
            raise ValueError(message)
        kind: Any = importlib.import_module(module)
        for part in path.split("."):
            kind = getattr(kind, part)
        if not isinstance(kind, type) or kind.__module__ != module:
            message = f"{name} is no class of that module"
            raise ValueError(message)
        made: Any = object.__new__(kind)
        state = self.value(tree)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        elif state is not None:
            vars(made).update(state)
        return made


def _unpickled(tree: Any, plain: Sequence[tuple[str, Sequence[int], np.ndarray[Any, Any]]]) -> State:
    arrays = []
    for name, shape, data in plain:
        # A copy, as matrix kernels may round by where in memory an array begins.
        made = torch.empty(len(data), dtype=torch.uint8)
        made.numpy()[:] = data
        arrays.append(made.view(_DTYPES[name]).view(shape))
    return State(tree, tuple(arrays))


_DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_SEQUENCES: dict[str, type] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _tensor(array: Any) -> torch.Tensor:
    """Return a tensor or an array of numpy as a tensor on the CPU, each of its rows after the other."""
    held = array.detach() if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array, order="C", ndmin=0))
    return held.cpu().contiguous()


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
