"""A state of the fold as a file: what all statistics hold after some of a text's shards, its checksum in its name."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aniso_core import store
from aniso_core.fold import FoldState
from aniso_core.records import Site

_PREFIX, _TOLD = "state-", "state"


@dataclass(frozen=True)
class Reached:
    """How far a run had come.

    Its shards and their tokens, of so many in all; the padded tokens of a batch as far as memory allowed; seconds and
    start; error and speed of the fast kernels by width, as they were found.
    """

    shards: int
    tokens: int
    total: int
    batch_tokens: int
    seconds: float
    started: str
    kernels: Mapping[str, Sequence[float]]


def states(folder: Path, shards: int | None = None) -> list[Path]:
    """Return the files of states in a folder, or of those after so many shards, the most shards last."""
    return sorted(folder.glob(f"{_PREFIX}{'' if shards is None else f'{shards:08}-'}*.safetensors"))


def write(folder: Path, state: FoldState, reached: Reached) -> None:
    """Write a state into a folder: under another name first, synced, then renamed to one with its checksum."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    entries = [(metric, site.stream, site.layer, name, packed) for (metric, site, name), packed in state.held.items()]
    arrays = {
        f"{number}/{place}": array
        for number, (*_, packed) in enumerate(entries)
        for place, array in enumerate(packed.arrays)
    }
    told = {
        "held": [[*place, packed.tree] for *place, packed in entries],
        "counts": [[site.stream, site.layer, name, count] for (site, name), count in state.counts.items()],
        "failed": state.failed,
        "said": state.said,
        "reached": vars(reached),
    }
    # An array as well, as the header of such a file may not grow large.
    arrays[_TOLD] = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp", delete=False) as made:
        path = Path(made.name)
    try:
        save_file(arrays, path)
        path.chmod(0o644)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        path.replace(folder / f"{_PREFIX}{reached.shards:08}-{_checksum(path)}.safetensors")
        store.sync(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        path.unlink(missing_ok=True)


def read(path: Path) -> tuple[FoldState, Reached]:
    """Return what `write` wrote; raises ValueError, KeyError or TypeError where the file is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from aniso_core.states import State

    if not path.stem.endswith(f"-{_checksum(path)}"):
        message = "its checksum is another"
        raise ValueError(message)
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    told = json.loads(arrays.pop(_TOLD).numpy().tobytes())
    of: dict[int, dict[int, Any]] = {}
    for key, array in arrays.items():
        number, place = map(int, key.split("/"))
        # A copy, as matrix kernels may round by where in memory an array begins.
        of.setdefault(number, {})[place] = array.clone()
    held = {
        (metric, Site(layer, stream), name): State(tree, tuple(array for _, array in sorted(of.get(i, {}).items())))
        for i, (metric, stream, layer, name, tree) in enumerate(told["held"])
    }
    counts = {(Site(layer, stream), name): count for stream, layer, name, count in told["counts"]}
    return FoldState(held, counts, told["failed"], told["said"]), Reached(**told["reached"])


def _checksum(path: Path) -> str:
    """Return enough of a file's SHA-256 to tell of any damage."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]
