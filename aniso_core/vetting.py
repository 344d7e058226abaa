"""What is refused about somebody's files: configs that choose code, weights that do not fit, indices that lead away.

SECURITY.md lists the rules; every one about files stands here.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from aniso_core.contracts import ModelRequest
from aniso_core.errors import AnisoError
from aniso_core.sources import Source, is_pickled, weight_files
from aniso_core.text import visible

_CONFIG_LIMIT = 1_000_000  # bytes
_STRIPPED = re.compile(
    r"_?attn_implementation.*|experts_implementation|fusion_config|kernel_config|tie_last_hidden_states"
)
_SPARE = ("pooler",)  # heads that base models carry although no stream passes through them


def sanitised_config(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return config.json without the keys that choose code, and a note for each key taken out."""
    path = folder / "config.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        message = (
            f"{visible(folder)} has no readable config.json ({error.strerror}); give a folder of a transformers model."
        )
        raise AnisoError(message) from error
    if len(data) > _CONFIG_LIMIT:
        message = f"{visible(path)} is {len(data)} bytes; wanted a config of at most {_CONFIG_LIMIT}: it is damaged."
        raise AnisoError(message)
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        message = f"{visible(path)} is not JSON ({visible(error)}); the folder is damaged."
        raise AnisoError(message) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        message = f"{visible(path)} names no model_type, so its architecture is unknown; give a transformers model."
        raise AnisoError(message)
    taken: list[str] = []
    return _stripped(config, taken), tuple(f"config.json: {visible(key)} is ignored" for key in taken)


def _stripped(config: dict[str, Any], taken: list[str]) -> dict[str, Any]:
    kept = {}
    for key, value in config.items():
        if _STRIPPED.fullmatch(key):
            taken.append(key)
        else:
            kept[key] = _stripped(value, taken) if isinstance(value, dict) else value
    return kept


def check_family(source: Source, model_type: str, model_types: Sequence[str], adapter: str) -> None:
    """Refuse a model of another architecture than the adapter opens."""
    if model_types and model_type not in model_types:
        message = (
            f"Adapter {adapter} opens {', '.join(model_types)} models and {visible(source.name)} is "
            f"{visible(model_type)}; use --adapter auto."
        )
        raise AnisoError(message)


def check_depth(source: Source, config: Any) -> None:
    """Refuse a config without blocks."""
    depth = getattr(config.get_text_config(), "num_hidden_layers", None)
    if not isinstance(depth, int) or depth < 1:
        message = f"{visible(source.name)} says that it has {visible(depth)} blocks; wanted 1 or more: mend its config."
        raise AnisoError(message)


def check_code(source: Source) -> None:
    """Refuse code that the trusted commit only points to: `REPO--module.Class` would run another repository's."""
    for name in ("config.json", "tokenizer_config.json"):
        path = source.folder / name
        entries = json.loads(path.read_bytes()).get("auto_map", {}) if path.exists() else {}
        if "--" in json.dumps(entries):
            message = (
                f"{name} of {visible(source.name)} takes code from another repository, which "
                "--trust-remote-code does not cover; name that repository's model instead."
            )
            raise AnisoError(message)


def check_weight_files(source: Source, request: ModelRequest) -> None:
    """Refuse a folder without safetensors weights, or with damaged ones; pickles need the user's word."""
    from safetensors import SafetensorError, safe_open

    files = [path for path in weight_files(source) if path.suffix == ".safetensors"]
    pickles = sorted(source.folder.glob("*.bin"))
    if not files and not (pickles and request.allow_pickle):
        hint = (
            f" It has {pickles[0].name}, a pickle; --allow-pickle reads it (only from people you trust)."
            if pickles
            else ""
        )
        message = f"{visible(source.name)} has no .safetensors weights in {visible(source.folder)}.{hint}"
        raise AnisoError(message)
    _check_indices(source)
    for path in files:
        try:
            with safe_open(path, framework="pt") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            message = f"The weights {visible(path)} are damaged ({visible(error)}); fetch them again."
            raise AnisoError(message) from error


def _check_indices(source: Source) -> None:
    """Refuse an index that leads to other files than the weights that are read, checked and hashed."""
    known = {path.name for path in weight_files(source)}
    for index in source.folder.glob("*.index.json"):
        try:
            named = set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            message = f"The index {visible(index)} is damaged ({type(error).__name__}); fetch it again."
            raise AnisoError(message) from error
        if is_pickled(source) == (".bin" in index.name) and not named <= known:
            strange = ", ".join(sorted(visible(name) for name in named - known)[:3])
            message = (
                f"The index {visible(index)} names {strange}, which are no weight files beside it; fetch it again."
            )
            raise AnisoError(message)


def check_tensors(source: Source, model: nn.Module, loaded: dict[str, Any]) -> None:
    """Refuse weights that do not fit: transformers would fill what is missing with random numbers."""
    own = {name for name, _ in model.named_children()}
    prefix = getattr(model, "base_model_prefix", "")
    missing = [key for key in loaded.get("missing_keys", ()) if key.split(".")[0] not in _SPARE]
    # Tensors of a head are expected beside a trunk; tensors inside the trunk that it has no place for are not.
    extra = [k for k in loaded.get("unexpected_keys", ()) if k.removeprefix(f"{prefix}.").split(".")[0] in own]
    shapes = [str(entry[0]) for entry in loaded.get("mismatched_keys", ())]
    for what, keys in (("lack", missing), ("have no place for", extra), ("have another shape for", shapes)):
        if keys:
            shown = ", ".join(visible(key) for key in sorted(keys)[:3])
            wanted = type(model).__name__
            message = (
                f"The weights of {visible(source.name)} {what} {len(keys)} tensor(s) of {wanted}: {shown}; fetch them "
                "again, or mend config.json."
            )
            raise AnisoError(message)


def check_scaling(source: Source) -> None:
    """Refuse a GGUF file that scales positions or attention: transformers reads its weights and not the scaling.

    Found by comparing states: such a file loads without a word and its states are wrong by up to their own size.
    """
    from gguf import GGUFReader

    reader = GGUFReader(source.folder / str(source.gguf))
    named = reader.get_field("general.architecture")
    architecture = named.contents() if named is not None else ""
    field = reader.get_field(f"{architecture}.rope.scaling.type")
    scaled = [f"{architecture}.rope.scaling.type"] if field is not None and field.contents() != "none" else []
    if reader.get_field(f"{architecture}.attention.scale") is not None:
        scaled.append(f"{architecture}.attention.scale")
    scaled += [t.name for t in reader.tensors if t.name.startswith(("rope_freqs", "rope_factors"))]
    if scaled:
        message = (
            f"{visible(source.gguf)} scales its positions or attention ({visible(scaled[0])}), which transformers does "
            "not read from GGUF, so its states would be wrong; give the model's safetensors folder or hub id."
        )
        raise AnisoError(message)
