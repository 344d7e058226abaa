"""Adapter `pythia`: GPT-NeoX models, and the published profile of Pythia-6.9B.

GPT-NeoX runs attention and MLP in parallel on the same residual stream, so a block has no state between them.
"""

from collections.abc import Mapping
from pathlib import Path

from aniso_core.contracts import Adapter, ModelRequest, Preset, Probe
from aniso_core.hookspecs import hookimpl
from aniso_core.records import Profile

_HERE = Path(__file__).parent
_SIZES = ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")

PRESETS = (
    Preset(
        "tiny",
        str(_HERE / "tiny"),
        summary="bundled toy of 2 million parameters, which says nothing of Pythia (--model pythia-70m or larger)",
        bundled=True,
    ),
    *(
        Preset(f"pythia-{size}", f"EleutherAI/pythia-{size}", summary="--revision step0, step512, step143000 ...")
        for size in _SIZES
    ),
)


@hookimpl
def aniso_adapters() -> list[Adapter]:
    """Return the adapter for GPT-NeoX models."""
    return [
        Adapter(
            "pythia", "GPT-NeoX models (LayerNorm, parallel residual): the Pythia suite", _open, PRESETS, _published
        )
    ]


def _open(request: ModelRequest) -> Probe:
    from aniso_core.weights import open_model

    return open_model(request, presets=PRESETS, model_types=("gpt_neox",), adapter="pythia")


def _published() -> Mapping[str, Profile]:
    from aniso_core.store import decode_profile

    path = _HERE / "published" / "pythia-6.9b.json"
    return {path.stem: decode_profile(path.read_bytes(), path)}
