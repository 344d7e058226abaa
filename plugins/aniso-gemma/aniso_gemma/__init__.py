"""Adapter `gemma`: Gemma 1, 2 and 3 text models, and the published profile of Gemma-2B.

Gemma's RMSNorm multiplies by 1 + w, and transformers scales its embeddings by sqrt(d) inside the embedding module,
so states are read as they are and never scaled again.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aniso_core.contracts import Adapter, ModelRequest, Preset, Probe
from aniso_core.hookspecs import hookimpl
from aniso_core.records import Profile

_HERE = Path(__file__).parent
_HUB = ("gemma-2b", "gemma-7b", "gemma-2-2b", "gemma-2-9b", "gemma-3-270m", "gemma-3-1b-pt")
_OVERFLOW = "Gemma's states can outgrow float16, which ends at 65504; --dtype bfloat16 or float32 is safe"

PRESETS = (
    Preset(
        "tiny",
        str(_HERE / "tiny"),
        summary="bundled toy of 2 million parameters; it says nothing of google/gemma-2b (--model gemma-2b, gated)",
        bundled=True,
    ),
    *(Preset(name, f"google/{name}", summary="gated", gated=True) for name in _HUB),
)


@hookimpl
def aniso_adapters() -> list[Adapter]:
    """Return the adapter for Gemma models."""
    return [Adapter("gemma", "Gemma 1, 2 and 3 text models (RMSNorm, gain 1 + w)", _open, PRESETS, _published)]


def _open(request: ModelRequest) -> Probe:
    from aniso_core.weights import open_model

    types = ("gemma", "gemma2", "gemma3_text", "gemma3")
    probe = open_model(request, presets=PRESETS, model_types=types, adapter="gemma")
    if probe.info.dtype == "float16":
        probe.info = replace(probe.info, notes=(*probe.info.notes, _OVERFLOW))
    return probe


def _published() -> Mapping[str, Profile]:
    from aniso_core.store import decode_profile

    path = _HERE / "published" / "gemma-2b.json"
    return {path.stem: decode_profile(path.read_bytes(), path)}
