"""Which kernels multiply float32 matrices: torch's default ones, or oneDNN's where a probe finds them faster and exact.

On AVX-512 processors of other makers than Intel, oneDNN multiplies float32 about twice as fast as the BLAS that torch
is built with (docs/performance.md), but torch hands it float32 products only in a mode that would allow it to round
them to bfloat16. Some processors then do round. So nothing is believed: error and time are measured first.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from aniso_core.contracts import Kernels

_ROWS = 512
_WIDEST = 1024
_ROUNDS = 7


@dataclass(frozen=True)
class Probed:
    """What a probe found of oneDNN's products against the default ones.

    `error` is the largest error of an entry, relative to the norms of the row and column that it comes from;
    `speedup` the default time over oneDNN's, lower quartile of paired rounds.
    """

    error: float
    speedup: float

    @property
    def serves(self) -> bool:
        """Whether their error is float32's and they are clearly faster."""
        return self.error < 2e-6 and self.speedup > 1.2  # noqa: PLR2004 - float32 rounds to 6e-8; a gain beyond noise


@contextmanager
def running(kernels: Kernels, width: int, device: str) -> Iterator[str]:
    """Run a model's products on the wanted kernels, and say which they are in the end."""
    if kernels == "default" or not device.startswith("cpu"):
        yield "default" if kernels == "default" else f"default (fast kernels are for a CPU, not {device})"
        return
    worth = probed(min(width, _WIDEST))
    told = f"oneDNN {worth.speedup:.2f} times as fast as the default, error {worth.error:.0e}"
    if not worth.serves:
        yield f"default ({told})"
        return
    with _onednn():
        yield f"fast ({told})"


def for_products(rows: torch.Tensor) -> AbstractContextManager[None]:
    """Return a context in which rows' products are exact in float32, by the faster kernels where these are probed.

    It overrides what a user may have set for the model: TF32 or bfloat16 products would be off by 1e-4 and more.
    """
    if rows.is_cuda:
        return _precision(torch.backends.cuda.matmul, "ieee")
    if rows.dtype != torch.float32:
        return nullcontext()
    if len(rows) >= _ROWS and _may_serve() and probed(min(rows.shape[1], _WIDEST)).serves:
        return _onednn()
    return _precision(_mkldnn(), "ieee")


found: dict[int, Probed] = {}
"""What was found by width; a run that goes on where it was goes on with what it found then, as speeds vary."""


def probed(width: int) -> Probed:
    """Return what oneDNN's float32 products of this width are worth on this machine."""
    if width not in found:
        found[width] = _told[min(_told, key=lambda known: abs(known - width))] if _told else _probe(width)
    return found[width]


def tell(width: int, device: str) -> dict[int, Probed]:
    """Return what other processes are to go by that measure a model of this width, as each might find another speed."""
    if device == "cpu" and _may_serve():
        probed(min(width, _WIDEST))
    return dict(found)


def go_by(told: Mapping[int, Probed]) -> None:
    """Believe what another process found; other widths are taken to be worth what the nearest of these is."""
    _told.update(told)
    found.update(told)


_told: dict[int, Probed] = {}


def _may_serve() -> bool:
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def _probe(width: int) -> Probed:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(shape, generator=generator) for shape in ((_ROWS, width), (width, width)))
    ratios = []
    for _ in range(_ROUNDS):
        default = _seconds(left, right)
        with _onednn():
            ratios.append(default / _seconds(left, right))
    with _onednn():
        # What a model multiplies, and what the fold does.
        error = max(_error(left, right), _error(left.T, left))
    return Probed(error, statistics.quantiles(ratios, n=4)[0])


def _error(left: torch.Tensor, right: torch.Tensor) -> float:
    """Return the largest error of an entry of a product, relative to the norms of its row and column."""
    one, other = left.double(), right.double()
    scale = one.norm(dim=1)[:, None] * other.norm(dim=0)
    return float(((torch.mm(left, right).double() - one @ other).abs() / scale).max())


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start


def _onednn() -> AbstractContextManager[None]:
    return _precision(_mkldnn(), "bf16")


def _mkldnn() -> Any:
    backend: Any = torch.backends.mkldnn
    return backend.matmul


@contextmanager
def _precision(backend: Any, wanted: str) -> Iterator[None]:
    """Set a backend's float32 precision, a setting of the whole process, and put it back."""
    held = backend.fp32_precision
    backend.fp32_precision = wanted
    try:
        yield
    finally:
        backend.fp32_precision = held
