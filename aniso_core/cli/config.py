"""A run's options as a TOML file: read for `aniso profile --config`, and written into each run to repeat it.

The options of the command are the keys, so that there is no second list of them.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from aniso_core.cli.reporting import STYLES
from aniso_core.errors import AnisoError
from aniso_core.plugins import registry
from aniso_core.sources import is_hub_id, on_disk
from aniso_core.text import nearest_first, short, visible

F = TypeVar("F", bound=Callable[..., object])

_LARGEST = 1_000_000  # bytes of a file that is read; an honest one has a few thousand
OUTPUT = {"folder", "as_json", "quiet", "verbose", "resume", "executor", "executor_options"}
"""Options that say where results go, or who measures, and not what is measured; a run's file leaves them out."""
_PERMISSIONS = {"allow_pickle", "trust_remote_code"}
"""Options that let a model run code: a file that somebody sent must not grant them unseen."""
_HEADING = "# `aniso profile --config FILE` repeats the run that this file lies in; docs/commands.md says how.\n"


def configured() -> Callable[[F], F]:
    """Return the option that names a file of options; those on the command line win."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_take_from,
        help="TOML file of options by their names, as run.toml of a run; what the command line says wins.",
    )


def require_permitted(context: click.Context) -> None:
    """Raise AnisoError where a file grants what only the command line may."""
    for option in _options(context.command):
        name = str(option.name)
        from_file = context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
        if name in _PERMISSIONS and from_file and (given := context.params[name]):
            flag = f"--{_key(option)}" + ("" if option.is_flag else f" {visible(given)}")
            message = f"The file asks for {flag}, which no file may grant; say it on the command line if you mean it."
            raise AnisoError(message)


def written(command: click.Command, chosen: Mapping[str, Any], folder: Path) -> bytes:
    """Return the file that repeats a run: its options by name, None left out, paths as they are seen from `folder`."""
    import tomli_w

    content = {}
    for option in _options(command):
        value = chosen.get(str(option.name))
        if option.name in OUTPUT or value is None or value == ():
            continue
        given = value if option.multiple else [Path(value) if isinstance(option.type, click.Path) else value]
        values = [_storable(seen_from(folder, one) if isinstance(one, Path) else one) for one in given]
        content[_key(option)] = values if option.multiple else values[0]
    return (_HEADING + tomli_w.dumps(content)).encode()


def _take_from(context: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Let the options of a file stand in for those that the command line does not give."""
    if path is None:
        return
    options = {_key(option): option for option in _options(context.command)}
    found = _checked(_content(path), options, path)
    for key, value in found.items():
        try:
            options[key].type_cast_value(context, value)
        except click.BadParameter as error:
            message = f"{visible(path)}: {key}: {' '.join(error.message.split()).rstrip('.')}; correct the file."
            raise AnisoError(message) from error
    context.default_map = {str(options[key].name): _located(options[key], value, path) for key, value in found.items()}


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        message = f"{visible(path)} cannot be read ({visible(error.strerror or error)}); name another file."
        raise AnisoError(message) from error
    if len(data) > _LARGEST:
        message = f"{visible(path)} is larger than any file of options; it is not read."
        raise AnisoError(message)
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{visible(path)} is no TOML ({visible(error)}); correct the file."
        raise AnisoError(message) from error


def _checked(content: dict[str, Any], options: Mapping[str, click.Option], path: Path) -> dict[str, Any]:
    """Return the content; raises AnisoError for a key that is no option, and for a value of another type."""
    for key in content:
        if key not in options:
            nearest = nearest_first(key, options)[0]
            message = (
                f"{visible(path)}: there is no option {short(key)!r}; the nearest is {nearest!r}. Correct the file."
            )
            raise AnisoError(message)
    fields = [(str(option.name), _type(option)) for option in options.values() if _key(option) in content]
    names = {str(option.name): key for key, option in options.items()}
    try:
        msgspec.convert(content, msgspec.defstruct("Options", fields, rename=names))
    except msgspec.ValidationError as error:
        fault = re.sub(r"(.*) - at `\$\.?(.*)`$", r"\2: \1", str(error))
        message = f"{visible(path)}: {visible(fault)}; correct the file."
        raise AnisoError(message) from error
    return content


def _options(command: click.Command) -> Iterator[click.Option]:
    for option in command.params:
        if isinstance(option, click.Option) and option.name != "config":
            yield option


def _key(option: click.Option) -> str:
    return option.opts[-1].removeprefix("--")


def _type(option: click.Option) -> Any:
    numbers = {"integer range": int, "float range": float, "integer": int, "float": float}
    one = bool if option.is_flag else numbers.get(option.type.name, str)
    return list[one] if option.multiple else one  # type: ignore[valid-type] # made while the program runs


def _located(option: click.Option, value: Any, file: Path) -> Any:
    """Return a value, a path as seen from where the command runs; relative ones are relative to the file."""
    if option.multiple:
        return [one if option.name != "styles" or one in STYLES else _seen_where(one, file) for one in value]
    if isinstance(option.type, click.Path) or (option.name in {"model", "prompts"} and _is_path(option, value, file)):
        return _seen_where(value, file)
    return value


def _seen_where(value: str, file: Path) -> str:
    if Path(value).is_absolute():
        return value
    # Where the file really lies, since ".." behind a link leads elsewhere than it reads.
    return os.path.relpath(file.parent.resolve() / value)


def _is_path(option: click.Option, value: str, file: Path) -> bool:
    """Return whether a model or prompts are a path: what is neither a name that plugins give nor a hub id."""
    if value.startswith("~"):
        return False
    if option.name == "prompts":
        return value not in registry().names("prompts")
    presets = {preset.name for item in registry().items("adapter") for preset in item.value.presets}
    return value not in presets and (on_disk(Path.exists, file.parent / value) or not is_hub_id(value))


def seen_from(folder: Path, path: Path) -> str:
    """Return a path relative to a folder, so that both may move together; one that was given whole stays so."""
    return str(path) if path.is_absolute() else Path(os.path.relpath(path, folder.resolve())).as_posix()


def _storable(value: Any) -> Any:
    """Return a value as TOML holds it: a file name that is no text is shown by its bytes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
