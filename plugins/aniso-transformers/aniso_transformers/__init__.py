"""Adapter `auto`: any decoder or encoder of transformers, its blocks and norms found by watching it run."""

from aniso_core.contracts import Adapter, ModelRequest, Probe
from aniso_core.hookspecs import hookimpl


@hookimpl
def aniso_adapters() -> list[Adapter]:
    """Return the adapter for models of any architecture."""
    return [Adapter("auto", "any decoder or encoder of transformers: a folder, a .gguf file or a hub id", _open)]


def _open(request: ModelRequest) -> Probe:
    from aniso_core.weights import open_model

    return open_model(request)
