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

from aniso_core.cli.reporting import names_style
from aniso_core.errors import AnisoError
from aniso_core.plugins import registry
from aniso_core.sources import is_hub_id, on_disk
from aniso_core.text import nearest, short, visible

F = TypeVar("F", bound=Callable[..., object])

_LARGEST = 1_000_000  # bytes of a file that is read; an honest one has a few thousand
OUTPUT = {"folder", "as_json", "quiet", "verbose", "resume", "executor", "executor_options"}
"""Options that say where results go, or who measures, and not what is measured; a run's file leaves them out."""
PERMISSIONS = {"allow_pickle", "trust_remote_code"}
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
    for option in options_of(context.command):
        name = str(option.name)
        from_file = context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
        if name in PERMISSIONS and from_file and (given := context.params[name]):
            flag = f"--{option_key(option)}" + ("" if option.is_flag else f" {visible(given)}")
            message = f"The file asks for {flag}, which no file may grant; say it on the command line if you mean it."
            raise AnisoError(message)


def written(command: click.Command, chosen: Mapping[str, Any], folder: Path) -> bytes:
    """Return the file that repeats a run: its options by name, None left out, paths as they are seen from `folder`."""
    import tomli_w

    content = {}
    for option in options_of(command):
        value = chosen.get(str(option.name))
        if option.name in OUTPUT or value is None or value == ():
            continue
        given = value if option.multiple else [Path(value) if isinstance(option.type, click.Path) else value]
        values = [_storable(seen_from(folder, one) if isinstance(one, Path) else one) for one in given]
        content[option_key(option)] = values if option.multiple else values[0]
    return (_HEADING + tomli_w.dumps(content)).encode()


def _take_from(context: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Let the options of a file stand in for those that the command line does not give."""
    if path is None:
        return
    options = {option_key(option): option for option in options_of(context.command)}
    found = checked(content(path), options, path)
    context.default_map = {
        str(options[key].name): usable(context, options[key], value, path) for key, value in found.items()
    }


def content(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds; raises AnisoError where it cannot be read."""
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


def checked(
    found: dict[str, Any], options: Mapping[str, click.Option], path: Path, *, place: str = "", listed: bool = False
) -> dict[str, Any]:
    """Return a table of a file; raises AnisoError for a key that is no option, and for a value of another type.

    `place` is the table's name with a stop, as messages show it. With `listed` an option that may not be repeated may
    have a list of values as well.
    """
    for key in found:
        if key not in options:
            near = "".join(f"; the nearest is {each!r}" for each in nearest(key, options)[:1])
            todo = "Correct the file." if near else "`aniso profile --help` lists them; correct the file."
            message = f"{visible(path)}: there is no option {short(place + key)!r}{near}. {todo}"
            raise AnisoError(message)
    fields = [(str(option.name), _type(option, listed=listed)) for key, option in options.items() if key in found]
    names = {str(option.name): key for key, option in options.items()}
    try:
        msgspec.convert(found, msgspec.defstruct("Options", fields, rename=names))
    except msgspec.ValidationError as error:
        fault = re.sub(r"(.*) - at `\$\.?(.*)`$", r"\2: \1", str(error))
        message = f"{visible(path)}: {place}{visible(fault)}; correct the file."
        raise AnisoError(message) from error
    return found


def usable(context: click.Context, option: click.Option, value: Any, path: Path) -> Any:
    """Return a value of a file as the command line would give it; raises AnisoError for one that it refuses."""
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        fault = " ".join(error.message.split()).rstrip(".")
        message = f"{visible(path)}: {option_key(option)}: {fault}; correct the file."
        raise AnisoError(message) from error
    return _located(option, value, path)


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command that a file may hold."""
    for option in command.params:
        if isinstance(option, click.Option) and option.name != "config":
            yield option


def option_key(option: click.Option) -> str:
    """Return the name of an option in a file."""
    return option.opts[-1].removeprefix("--")


def _type(option: click.Option, *, listed: bool = False) -> Any:
    numbers = {"integer range": int, "float range": float, "integer": int, "float": float}
    one = bool if option.is_flag else numbers.get(option.type.name, str)
    if option.multiple:
        return list[one]  # type: ignore[valid-type] # made while the program runs
    return one | list[one] if listed else one  # type: ignore[valid-type]


def _located(option: click.Option, value: Any, file: Path) -> Any:
    """Return a value, a path as seen from where the command runs; relative ones are relative to the file."""
    if option.multiple:
        return [one if option.name != "styles" or names_style(one) else _seen_where(one, file) for one in value]
    if isinstance(option.type, click.Path) or (option.name in {"model", "prompts"} and _is_path(option, value, file)):
        seen = _seen_where(value, file)
        # A model that is not there, named as no hub id, must not read as one (ORG/NAME) because of the file's folder.
        lost = option.name == "model" and is_hub_id(seen) and not on_disk(Path.exists, Path(seen))
        return f"./{seen}" if lost else seen
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
    adapters = [item.value for item in registry().items("adapter")]
    if value in {preset.name for adapter in adapters for preset in adapter.presets}:
        return False
    named = is_hub_id(value) or any(adapter.own_names for adapter in adapters)
    return on_disk(Path.exists, file.parent / value) or not named


def seen_from(folder: Path, path: Path) -> str:
    """Return a path relative to a folder, so that both may move together; one that was given whole stays so."""
    return str(path) if path.is_absolute() else Path(os.path.relpath(path, folder.resolve())).as_posix()


def _storable(value: Any) -> Any:
    """Return a value as TOML holds it: a file name that is no text is shown by its bytes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
