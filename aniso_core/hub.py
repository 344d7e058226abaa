"""Fetches a model's files from the hub into its cache; the only place that uses the network."""

import errno
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from aniso_core.contracts import ModelRequest
from aniso_core.errors import AnisoError
from aniso_core.text import visible

_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_OTHERS = ["*/*", "consolidated*"]  # folders and the same weights in another layout
_ELSEWHERE = "the bundled model `tiny` of adapters pythia and gemma needs no network"


def fetch(hub_id: str, request: ModelRequest, trusted: str | None) -> tuple[Path, str]:
    """Return the folder of a hub model and its commit; raises AnisoError saying what to do.

    Only safetensors and tokenizer files are fetched; pickles with `allow_pickle` where there is nothing else,
    code only at the `trusted` commit.
    """
    if trusted and request.revision not in {None, trusted}:
        message = "--revision and --trust-remote-code name different commits; leave --revision out."
        raise AnisoError(message)
    revision = trusted or request.revision
    patterns = [*_FILES, "*.py"] if trusted else _FILES
    try:
        folder = _snapshot(hub_id, revision, patterns, request)
        if request.allow_pickle and not any(folder.glob("*.safetensors")):
            folder = _snapshot(hub_id, revision, [*patterns, "pytorch_model*.bin"], request)
    except GatedRepoError as error:
        message = (
            f"{visible(hub_id)} is gated: accept its licence on its hub page while logged in, then run "
            f"`hf auth login` or set HF_TOKEN; {_ELSEWHERE}."
        )
        raise AnisoError(message) from error
    except RevisionNotFoundError as error:
        message = f"{visible(hub_id)} has no revision {visible(revision)!r}; see its hub page for branches and tags."
        raise AnisoError(message) from error
    except RepositoryNotFoundError as error:
        message = (
            f"There is no folder {visible(hub_id)} here and no such model on the hub that this login may see; check "
            "the name, or log in with `hf auth login` if it is private."
        )
        raise AnisoError(message) from error
    except HFValidationError as error:
        message = f"{visible(hub_id)!r} is no valid hub id; wanted ORG/NAME."
        raise AnisoError(message) from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EACCES, errno.EROFS}:
            raise AnisoError(_unreached(hub_id, request, error)) from error
        message = f"Cannot keep {visible(hub_id)} in the hub's cache: {error.strerror}; make room or set HF_HOME."
        raise AnisoError(message) from error
    except Exception as error:  # offline, not cached, or whatever the hub's transport raises: it names no common root
        raise AnisoError(_unreached(hub_id, request, error)) from error
    return folder, folder.name


def _unreached(hub_id: str, request: ModelRequest, error: Exception) -> str:
    how = "offline was asked for" if request.offline else "the hub cannot be reached"
    return (
        f"{visible(hub_id)} is no folder here, not in the cache, and {how} ({type(error).__name__}); connect once, "
        f"give a folder with --model, or use what needs no network: {_ELSEWHERE}."
    )


def _snapshot(hub_id: str, revision: str | None, patterns: list[str], request: ModelRequest) -> Path:
    return Path(
        snapshot_download(
            hub_id,
            revision=revision,
            allow_patterns=patterns,
            ignore_patterns=_OTHERS,
            local_files_only=request.offline,
        )
    )
