"""Run directories: whole or absent, versioned, read back into the records that wrote them.

JSON for what people read, safetensors for arrays, never pickle. docs/format.md describes each file.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from aniso_core.errors import AnisoError
from aniso_core.records import (
    FORMAT,
    Array,
    Curve,
    Failure,
    KeptArray,
    Profile,
    PseudoValues,
    ReportFile,
    Spectrum,
    Verdict,
)
from aniso_core.text import is_file_name, visible

PROFILE, RUN, VERDICTS, ARRAYS, REPORT = "profile.json", "run.json", "verdicts.json", "arrays.safetensors", "report"
CONFIG = "run.toml"
STATES = "states"
UNFINISHED = ".unfinished"
"""What a run's folder is called beside it while it is not whole."""
_LARGEST = 256_000_000  # bytes of JSON that are read; the largest honest profile is far below
_DEEPEST = 100_000  # blocks; bounds the lists that a profile from elsewhere can make us build
_T = TypeVar("_T")


@dataclass(frozen=True)
class Judged:
    """The content of verdicts.json: the verdicts, the hypotheses and reporters that failed, and what they said."""

    verdicts: tuple[Verdict, ...] = ()
    failures: tuple[Failure, ...] = ()
    remarks: tuple[Failure, ...] = ()
    format: int = FORMAT


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json: the command's options as they were asked for, what was used, what --resume compares."""

    request: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def run_files(
    profile: Profile,
    judged: Judged,
    request: Mapping[str, Any],
    config: bytes | None = None,
    asked: Mapping[str, Any] | None = None,
) -> list[ReportFile]:
    """Return the files that are the record of a run.

    `config` is what repeats it, where a file can; `asked` what it depends on, by name, for who would go on with it.
    """
    bare = replace(profile, spectra=(), pseudo=(), arrays=())
    record = RunRecord(
        request=request,
        model=msgspec.to_builtins(profile.model),
        prompts=msgspec.to_builtins(profile.prompts),
        provenance=msgspec.to_builtins(profile.provenance),
        asked=asked or {},
    )
    return [
        ReportFile(PROFILE, encode(bare)),
        ReportFile(RUN, encode(record)),
        ReportFile(VERDICTS, encode(judged)),
        ReportFile(ARRAYS, _arrays(profile)),
        *([] if config is None else [ReportFile(CONFIG, config)]),
    ]


def save(
    folder: Path,
    records: Sequence[ReportFile],
    report: Sequence[ReportFile],
    put: Callable[[Path], object] | None = None,
) -> None:
    """Write a run directory: under another name first, synced, then renamed, so that it is whole or absent.

    `put` is called last, with the folder under its other name, and may put more into it.
    """
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with fresh(folder) as made:
        for file in records:
            write_file(made / file.name, file.data)
        write_report(made / REPORT, report)
        if put is not None:
            put(made)


def is_taken(folder: Path) -> bool:
    """Return whether something is there that is no empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def refuse_existing(folder: Path) -> None:
    """Raise AnisoError where `folder` holds something already, before any work is done."""
    if is_taken(folder):
        message = f"{visible(folder)} exists already; name another folder with --out, or remove it."
        raise AnisoError(message)


def write_report(folder: Path, files: Sequence[ReportFile]) -> None:
    """Write a report's files into `folder`, replacing those of the same names one by one, each whole or not at all."""
    if folder.is_symlink():
        message = f"{visible(folder)} is a link to another place; name that with --out if you mean it."
        raise AnisoError(message)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not is_file_name(file.name):
            message = f"A reporter named a file {visible(file.name)!r}; wanted a plain name inside {REPORT}/."
            raise AnisoError(message)
        write_file(folder / file.name, file.data)


def load(folder: Path | str, *, arrays: bool = True) -> Profile:
    """Return the profile of a run directory; raises AnisoError where it is none or damaged.

    Without `arrays` it has neither spectra nor pseudo-values nor what metrics kept, and is read much faster.
    """
    path = Path(folder)
    profile = decode_profile(_read(path / PROFILE, path), path / PROFILE)
    return _with_arrays(profile, path) if arrays else profile


def _with_arrays(profile: Profile, path: Path) -> Profile:
    arrays = _read_arrays(path / ARRAYS)
    try:
        spectra = sorted(_spectra(arrays), key=lambda spectrum: spectrum.place)
        kept = sorted(_kept(arrays), key=lambda array: array.place)
        pseudo = tuple(_pseudo(arrays, profile))
        return replace(profile, spectra=tuple(spectra), pseudo=pseudo, arrays=tuple(kept))
    except (ValueError, TypeError, AttributeError) as error:
        message = f"{visible(path / ARRAYS)} is damaged ({visible(error)}); measure it again."
        raise AnisoError(message) from error


def load_judged(folder: Path) -> Judged:
    """Return the verdicts of a run directory; raises AnisoError where it is none or damaged."""
    return _decoded(_read(folder / VERDICTS, folder), Judged, folder / VERDICTS)


def load_record(folder: Path) -> RunRecord:
    """Return what a run asked for and used; raises AnisoError where it is none or damaged."""
    return _decoded(_read(folder / RUN, folder), RunRecord, folder / RUN)


def load_config(folder: Path) -> bytes | None:
    """Return the file that repeats a run, None where it has none, as runs from Python and older ones."""
    return _read(folder / CONFIG, folder) if (folder / CONFIG).is_file() else None


def decode_profile(data: bytes, path: Path) -> Profile:
    """Return the profile in the bytes of a profile.json; raises AnisoError, naming `path`, where it is none."""
    profile = _decoded(data, Profile, path)
    if not all(_is_whole(curve) for curve in profile.curves):
        message = f"{visible(path)} is damaged: a curve has other numbers of layers and values; measure it again."
        raise AnisoError(message)
    deepest = profile.model.layers
    if not 1 <= deepest <= _DEEPEST or any(not 0 <= layer <= deepest for c in profile.curves for layer in c.layers):
        message = f"{visible(path)} is damaged: its layers do not fit a model of {deepest} blocks; measure it again."
        raise AnisoError(message)
    return profile


def _is_whole(curve: Curve) -> bool:
    """Return whether a curve has a value at each of its layers, and of all else one at each layer or none at all."""
    count = len(curve.layers)
    beside = {len(curve.corrected), len(curve.se), len(curve.low)}
    return len(curve.values) == count and beside <= {0, count} and len(curve.low) == len(curve.high)


def encode(record: Any) -> bytes:
    """Return a record as indented JSON, UTF-8, with a last line break."""
    return msgspec.json.format(msgspec.json.encode(record, enc_hook=_plain_number), indent=1) + b"\n"


def settled(verdict: Verdict) -> Verdict:
    """Return a verdict as it will be read back: numpy's numbers plain, NaN as None; raises TypeError for no verdict."""
    if not isinstance(verdict, Verdict):
        message = f"yielded a {type(verdict).__name__}, wanted a Verdict"
        raise TypeError(message)
    try:
        return msgspec.json.decode(encode(verdict), type=Verdict)
    except msgspec.ValidationError as error:
        message = f"yielded a verdict that cannot be kept ({error}); docs/format.md gives the values of its fields"
        raise TypeError(message) from error


def _plain_number(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} is nothing that JSON holds"
    raise TypeError(message)


def to_plain(records: Sequence[Any]) -> list[Any]:
    """Return records as the lists and mappings that JSON knows."""
    plain: list[Any] = msgspec.json.decode(encode(list(records)))
    return plain


def not_whole(folder: Path) -> str:
    """Return how to go on with a run that broke off, given its folder or what lies beside it."""
    run = visible(str(folder).removesuffix(UNFINISHED))
    return f"{run} is not whole yet; the command that began it goes on with it, with --out {run} --resume."


def _decoded(data: bytes, kind: type[_T], path: Path) -> _T:
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("format")
        if isinstance(version, int) and version > FORMAT:
            message = f"{visible(path)} has format {version} and this aniso reads up to {FORMAT}; upgrade aniso."
            raise AnisoError(message)
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        message = f"{visible(path)} is damaged ({visible(error)}); measure it again."
        raise AnisoError(message) from error


def _read(path: Path, folder: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            message = f"{visible(path)} is larger than any run of aniso; it is not read."
            raise AnisoError(message)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if folder.suffix == UNFINISHED or Path(f"{folder}{UNFINISHED}").is_dir():
            raise AnisoError(not_whole(folder)) from error
        fault = getattr(error, "strerror", None) or error
        message = (
            f"{visible(folder)} is no run directory: cannot read {path.name} ({visible(fault)}); give one that "
            "`aniso profile` wrote."
        )
        raise AnisoError(message) from error


def _arrays(profile: Profile) -> bytes:
    import numpy as np
    from safetensors.numpy import save as to_bytes

    arrays = {f"spectrum/{s.stream}/{s.tokens}/{s.layer}": np.ascontiguousarray(s.values) for s in profile.spectra}
    arrays |= {f"pseudo/{p.stream}/{p.tokens}/{p.metric}": np.ascontiguousarray(p.values) for p in profile.pseudo}
    arrays |= {f"kept/{k.stream}/{k.tokens}/{k.layer}/{k.metric}": k.values for k in profile.arrays}
    return to_bytes(arrays)


def _read_arrays(path: Path) -> Mapping[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: Mapping[str, Array] = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # of a type that numpy lacks
        message = f"{visible(path)} is damaged ({visible(error)}); measure it again."
        raise AnisoError(message) from error
    return arrays


def _spectra(arrays: Mapping[str, Array]) -> Iterator[Spectrum]:
    for name, values in arrays.items():
        kind, stream, tokens, layer = name.split("/", 3)
        if kind == "spectrum":
            yield Spectrum(stream, tokens, int(layer), _checked(name, values, 1))


def _kept(arrays: Mapping[str, Array]) -> Iterator[KeptArray]:
    for name, values in arrays.items():
        if name.startswith("kept/"):
            _, stream, tokens, layer, metric = name.split("/", 4)
            yield KeptArray(metric, stream, tokens, int(layer), _checked(name, values))


def _pseudo(arrays: Mapping[str, Array], profile: Profile) -> Iterator[PseudoValues]:
    """Yield the pseudo-values in the order of the curves that they are of."""
    for curve in profile.curves:
        name = f"pseudo/{curve.stream}/{curve.tokens}/{curve.metric}"
        if name in arrays:
            values = _checked(name, arrays[name], 2)
            if values.shape[1] != len(curve.layers):
                message = f"{name} has {values.shape[1]} layers and its curve has {len(curve.layers)}"
                raise ValueError(message)
            yield PseudoValues(curve.metric, curve.stream, curve.tokens, curve.layers, values)


def _checked(name: str, values: Array, axes: int | None = None) -> Array:
    """Return the values, made sure that they are float64 and have so many axes (None: any number)."""
    import numpy as np

    if values.dtype != np.float64 or axes not in {None, values.ndim}:
        message = f"{name} is {values.dtype}{list(values.shape)}, wanted float64" + f" with {axes} axes" * bool(axes)
        raise ValueError(message)
    return values


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` that takes its name at the end, or is removed when anything fails."""
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        made.chmod(0o755)
        yield made
        sync(made)
        if folder.exists():
            folder.rmdir()
        made.replace(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write a file: under another name first, synced, then renamed; raises AnisoError where it cannot be written."""
    temporary = None
    try:
        # A name that nobody can foresee, so that no link can lie in wait for it.
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".", suffix=".tmp", delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        message = (
            f"Cannot write {visible(path)}: {error.strerror} ({free / 1e6:.0f} MB free there); name another place "
            "with --out."
        )
        raise AnisoError(message) from error


def sync(path: Path) -> None:
    """Make sure that a file, or what a folder lists, survives a loss of power."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
