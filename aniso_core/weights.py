"""Loads a model's weights without running anybody's code.

What a config.json can do to a process that loads it is listed in SECURITY.md; vetting.py refuses what must be refused.
"""

import contextlib
import io
import json
import os
from collections.abc import Sequence
from typing import Any

from aniso_core.contracts import ModelRequest, Preset
from aniso_core.errors import AnisoError
from aniso_core.text import visible

# Read when transformers and huggingface_hub are imported, so set before: no telemetry, and no request to the hub
# to convert somebody's weights.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")

import torch
from torch import nn

from aniso_core.sources import Source, is_pickled, locate, weights_sha256
from aniso_core.transformer import TransformerProbe, describe
from aniso_core.vetting import (
    check_code,
    check_depth,
    check_family,
    check_scaling,
    check_tensors,
    check_weight_files,
    sanitised_config,
)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
_MAPS = ("auto", "balanced", "balanced_low_0", "sequential", "cpu")


def open_model(
    request: ModelRequest, *, presets: Sequence[Preset] = (), model_types: Sequence[str] = (), adapter: str = "auto"
) -> TransformerProbe:
    """Return a probe of the requested model; the first preset where the request names none.

    `model_types` are the architectures that the adapter opens (none: all). Raises AnisoError, one sentence, for
    whatever is wrong with the name, the files or the machine.
    """
    source = locate(request, presets, adapter)
    dtype, device = _placement(request)
    how = {"dtype": dtype, **_mapped(request)}
    if source.gguf:
        model, tokenizer, notes = _load_gguf(source, how, model_types, adapter)
    else:
        model, tokenizer, notes = _load_folder(source, request, how, model_types, adapter)
    if request.device_map is None:
        model = model.to(device)
    digest = weights_sha256(source)
    known = {"revision": source.revision, "weights_sha256": digest, "notes": (*source.notes, *notes)}
    return TransformerProbe(
        model,
        tokenizer,
        lambda anatomy: describe(model, anatomy, name=source.name, source=source.kind, **known),
    )


def _load_folder(
    source: Source, request: ModelRequest, how: dict[str, Any], model_types: Sequence[str], adapter: str
) -> tuple[nn.Module, Any, tuple[str, ...]]:
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if (source.folder / "adapter_config.json").exists():
        message = f"{visible(source.name)} is a set of adapter weights; merge them into their model first."
        raise AnisoError(message)
    raw, notes = sanitised_config(source.folder)
    model_type, trusted = raw["model_type"], request.trust_remote_code is not None
    check_family(source, model_type, model_types, adapter)
    check_weight_files(source, request)
    if model_type not in CONFIG_MAPPING and not trusted:
        _bring(model_type)
    if model_type not in CONFIG_MAPPING and not trusted:
        remote = (
            " It brings code of its own (auto_map); --trust-remote-code ORG/NAME@COMMIT runs it."
            if "auto_map" in raw
            else ""
        )
        message = f"transformers knows no architecture {visible(model_type)!r} ({visible(source.name)}).{remote}"
        raise AnisoError(message)
    with _translating(source):
        if trusted:
            check_code(source)
        if model_type in CONFIG_MAPPING:
            config = CONFIG_MAPPING[model_type].from_dict(raw)
        else:
            config = AutoConfig.from_pretrained(source.folder, trust_remote_code=True, local_files_only=True)
        check_depth(source, config)
        config._attn_implementation = _attention(config)  # noqa: SLF001 - the only form a config.json cannot override
        tokenizer = AutoTokenizer.from_pretrained(
            source.folder, config=config, trust_remote_code=trusted, local_files_only=True
        )
        model, loaded = AutoModel.from_pretrained(
            source.folder,
            config=config,
            trust_remote_code=trusted,
            use_safetensors=not is_pickled(source),
            weights_only=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are listed and refused by name
            **how,
        )
    check_tensors(source, model, loaded)
    if trusted:
        notes = (*notes, f"ran the code of {request.trust_remote_code}")
    if is_pickled(source):
        notes = (*notes, "weights were read from a pickle (weights_only)")
    return model, tokenizer, notes


def _bring(model_type: str) -> None:
    """Have transformers taught an architecture that an installed plugin brings, if one does."""
    from aniso_core.plugins import registry

    for item in registry().items("adapter"):
        teach = item.value.brings.get(model_type)
        if teach is not None:
            teach()


def _load_gguf(
    source: Source, how: dict[str, Any], model_types: Sequence[str], adapter: str
) -> tuple[nn.Module, Any, tuple[str, ...]]:
    from transformers import AutoConfig, AutoModel, AutoTokenizer, GgufConfig

    # A config.json beside the file is read too, and could bring code.
    found: dict[str, Any] = {"gguf_file": source.gguf, "trust_remote_code": False, "local_files_only": True}
    with _translating(source):
        config = AutoConfig.from_pretrained(source.folder, **found)
        check_depth(source, config)
    check_family(source, config.model_type, model_types, adapter)
    with _translating(source):
        check_scaling(source)
        config._attn_implementation = _attention(config)  # noqa: SLF001 - the only form a config.json cannot override
        tokenizer = AutoTokenizer.from_pretrained(source.folder, **found)
        model, loaded = AutoModel.from_pretrained(
            source.folder,
            **found,
            config=config,
            attn_implementation=_attention(config),
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are listed and refused by name
            **how,
        )
    check_tensors(source, model, loaded)
    return model, tokenizer, (f"weights of {visible(source.gguf or '')} were dequantised",)


def _attention(config: Any) -> str:
    """Return the attention to name at load: only these two never load code; a few models have no sdpa."""
    from transformers import MODEL_MAPPING

    kind: Any = MODEL_MAPPING.get(type(config), None)
    kind = kind[0] if isinstance(kind, tuple) else kind
    return "sdpa" if getattr(kind, "_supports_sdpa", False) else "eager"


class _translating:  # noqa: N801 - reads as the context manager that it is
    """Turns whatever a loader raises over foreign files into one sentence that names the file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> None:
        from transformers.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Some bars are drawn without asking whether they should be.
        self._stack.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._stack.close()
        if kind is None or not isinstance(error, Exception) or isinstance(error, AnisoError):
            return
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            name = visible(self._source.name)
            message = f"There is not enough memory for {name}; use a smaller --dtype or --device-map auto."
            raise AnisoError(message) from error
        first = visible(next(iter(str(error).strip().splitlines()), ""))[:300]
        where = self._source.gguf or str(self._source.folder)
        message = (
            f"Cannot load {visible(self._source.name)} from {visible(where)}: {type(error).__name__}: {first} "
            "The files are damaged or of a kind that transformers does not read; fetch them again."
        )
        raise AnisoError(message) from error


def _placement(request: ModelRequest) -> tuple[torch.dtype, torch.device]:
    try:
        device = torch.device(request.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        message = f"There is no device {visible(request.device)!r}; use cpu, cuda or cuda:N."
        raise AnisoError(message) from error
    if device.type not in {"cpu", "cuda"}:
        message = f"States on device {device} cannot be read in float64; use cpu, cuda or cuda:N."
        raise AnisoError(message)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        message = (
            f"There is no device {device}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu."
        )
        raise AnisoError(message)
    if request.dtype is not None and request.dtype not in _DTYPES:
        message = f"There is no dtype {visible(request.dtype)!r}; use {', '.join(_DTYPES)}."
        raise AnisoError(message)
    default = torch.float32 if device.type == "cpu" else torch.bfloat16
    return (_DTYPES[request.dtype] if request.dtype else default), device


def _mapped(request: ModelRequest) -> dict[str, Any]:
    if request.device_map is None:
        if request.offload_folder is not None:
            message = "--offload-folder goes with --device-map, which says what to put there."
            raise AnisoError(message)
        return {}
    if request.device is not None:
        message = "--device and --device-map both say where the model goes; give one of them."
        raise AnisoError(message)
    try:
        places: Any = json.loads(request.device_map) if request.device_map.startswith("{") else request.device_map
    except ValueError as error:
        given = visible(request.device_map)
        message = f"--device-map {given} is not JSON; give auto or an object of modules and devices."
        raise AnisoError(message) from error
    if not isinstance(places, dict) and places not in _MAPS:
        given = visible(request.device_map)
        message = f"There is no device map {given}; give {', '.join(_MAPS)} or a JSON object of modules and devices."
        raise AnisoError(message)
    return {"device_map": places, "offload_folder": request.offload_folder}
