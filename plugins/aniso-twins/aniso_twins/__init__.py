"""Adapter `twins`: GPT-NeoX models that were trained alike but for their norms, and the trainer that makes them.

`python -m aniso_twins.train` trains them: the same initial weights, data and optimiser, one of five norms each.
"""

from pathlib import Path

from aniso_core.contracts import Adapter, ModelRequest, Preset, Probe, later
from aniso_core.hookspecs import hookimpl

_HERE = Path(__file__).parent
_SAID = (
    "bundled toy of 0.3 million parameters, trained as its twin but for the norm (aniso_twins.train makes larger ones)"
)

PRESETS = tuple(
    Preset(f"tiny-{norm}", str(_HERE / "tiny" / norm), summary=_SAID, bundled=True) for norm in ("layernorm", "rmsnorm")
)

register = later("aniso_twins.model", "register")
"""Function that teaches transformers the architecture of twins."""


@hookimpl
def aniso_adapters() -> list[Adapter]:
    """Return the adapter for twins."""
    summary = "GPT-NeoX models trained alike but for their norms, LayerNorm to RMSNorm in five steps"
    return [Adapter("twins", summary, _open, PRESETS, brings={"gpt_neox_twin": register})]


def _open(request: ModelRequest) -> Probe:
    from aniso_core.weights import open_model

    register()
    return open_model(request, presets=PRESETS, model_types=("gpt_neox_twin",), adapter="twins")
