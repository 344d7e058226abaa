"""Where a model's weights are: bundled with a plugin, in a folder, in a GGUF file, or on the hub."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aniso_core.contracts import ModelRequest, Preset
from aniso_core.errors import AnisoError
from aniso_core.text import nearest_first, short, visible

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PINNED = re.compile(r"([^@]*)@([0-9a-f]{40})")
_CHECKPOINT = re.compile(r"(checkpoint|step|global_step)[-_]?\d{1,12}|matched")
_TRUSTED = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)@([0-9a-f]{40})")


@dataclass(frozen=True)
class Source:
    """Where weights are: a folder, or a `.gguf` file in it, and how to speak of them."""

    kind: str
    folder: Path
    name: str
    gguf: str | None = None
    revision: str = ""
    notes: tuple[str, ...] = ()


def locate(request: ModelRequest, presets: Sequence[Preset], adapter: str = "auto") -> Source:
    """Return where the requested model's files are, fetched from the hub where needed; raises AnisoError."""
    by_name = {preset.name: preset for preset in presets}
    if request.model is None and not presets:
        message = "This adapter has no model of its own; name one with --model (a folder, a .gguf file or a hub id)."
        raise AnisoError(message)
    wanted = presets[0].name if request.model is None else request.model
    preset = by_name.get(wanted)
    if preset is not None and preset.bundled:
        name = f"{adapter}-{preset.name}"
        return _local(request, Source("bundled", Path(preset.where), name, notes=(preset.summary,)))
    where = preset.where if preset is not None else wanted
    path = Path(where)
    with contextlib.suppress(RuntimeError):  # a user without a home
        path = path.expanduser()
    if on_disk(Path.is_file, path):
        if path.suffix != ".gguf":
            message = f"{visible(where)} is a file but no .gguf; give a folder with config.json, or a .gguf file."
            raise AnisoError(message)
        return _local(request, Source("gguf", path.parent, visible(path.stem), gguf=path.name))
    if on_disk(Path.is_dir, path):
        return _local(request, Source("folder", path, visible(folder_name(path))))
    if not is_hub_id(where):
        known = ", ".join(nearest_first(wanted, by_name)) or "none"
        message = (
            f"There is no model {short(wanted, 100)!r}: it is no preset of adapter {adapter} (those are {known}), no "
            "folder, no .gguf file that exists, and no hub id (ORG/NAME)."
        )
        raise AnisoError(message)
    from aniso_core.hub import fetch

    revision, commit = _pinned(request)
    trusted = _trusted_commit(request, where)
    folder, commit = fetch(where, replace(request, revision=commit or revision), trusted)
    name = where if revision is None else f"{where}@{visible(revision)}"
    return Source("hub", folder, name, revision=commit)


def folder_name(path: Path) -> str:
    """Return how the model in a folder is called: as the folder, and a checkpoint as a revision of what it lies in.

    That is `mine@step512` for mine/step512, `mine@checkpoint-500` for mine/checkpoint-500, and `mine@matched` for the
    checkpoint of a twin that is compared at the same loss.
    """
    whole = path.resolve()
    above = whole.parent.name
    return f"{above}@{whole.name}" if above and _CHECKPOINT.fullmatch(whole.name) else whole.name


def is_hub_id(text: str) -> bool:
    """Return whether a text may be a model's id on the hub, as ORG/NAME."""
    return _HUB_ID.fullmatch(text) is not None


def weights_sha256(source: Source) -> str:
    """Return the SHA-256 over the names and contents of the weight files, in order of their names."""
    digest = hashlib.sha256()
    for path in weight_files(source):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def on_disk(kind: Callable[[Path], bool], path: Path) -> bool:
    """Return whether a path is of a kind; one that no file system takes (too long, a NUL in it) is of none."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def weight_files(source: Source) -> list[Path]:
    """Return the files that hold the weights, safetensors before pickles."""
    if source.gguf:
        return [source.folder / source.gguf]
    return sorted(source.folder.glob("*.safetensors")) or sorted(source.folder.glob("*.bin"))


def weights_size(model: str) -> int:
    """Return the bytes of the weights of a model that is a folder or a `.gguf` file here, 0 where it is neither."""
    path = Path(model)
    if model and on_disk(Path.is_file, path):
        return path.stat().st_size
    found = weight_files(Source("folder", path, "")) if model and on_disk(Path.is_dir, path) else []
    return sum(file.stat().st_size for file in found if file.is_file())


def is_pickled(source: Source) -> bool:
    """Return whether the weights are in pickles alone."""
    return not any(path.suffix != ".bin" for path in weight_files(source))


def _local(request: ModelRequest, source: Source) -> Source:
    """Return a source on this machine; raises AnisoError on options that only a hub id can have."""
    if request.revision is not None:
        message = f"{visible(source.name)} is on this machine and has no revisions; --revision goes with a hub id."
        raise AnisoError(message)
    if request.trust_remote_code is not None:
        message = "--trust-remote-code ORG/NAME@COMMIT goes with that hub id as --model; local code is never run."
        raise AnisoError(message)
    return source


def _pinned(request: ModelRequest) -> tuple[str | None, str | None]:
    """Return the revision by which a model is called, and the commit that REVISION@COMMIT pins it to.

    Either is None where nothing was said; @COMMIT pins what the hub gives without a revision.
    """
    match = _PINNED.fullmatch(request.revision or "")
    return (match[1] or None, match[2]) if match else (request.revision, None)


def _trusted_commit(request: ModelRequest, where: str) -> str | None:
    if request.trust_remote_code is None:
        return None
    match = _TRUSTED.fullmatch(request.trust_remote_code)
    if match is None or match[1] != where:
        message = (
            f"--trust-remote-code wants {visible(where)}@COMMIT with the full 40-digit commit, "
            f"got {visible(request.trust_remote_code)!r}."
        )
        raise AnisoError(message)
    return match[2]
