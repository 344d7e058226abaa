"""A file of many runs: options of `aniso profile` that all share, and tables of those that vary."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import click

from aniso_core.cli.config import OUTPUT, PERMISSIONS, checked, content, option_key, options_of, usable
from aniso_core.cli.profile import profile
from aniso_core.errors import AnisoError
from aniso_core.plugins import Registry
from aniso_core.sources import folder_name, on_disk
from aniso_core.text import visible

_TABLE = "sweep"
_OUT = "out"
_IN_MODEL = ("adapter", "model", "revision")
_LONGEST = 100  # characters of a name, which leaves room for endings on every file system


@dataclass(frozen=True)
class Planned:
    """A run of a sweep: its name, and the options of `aniso profile` as parameters."""

    name: str
    chosen: Mapping[str, Any]


def read(path: Path, known: Registry, given: Mapping[str, Any], folder: Path | None) -> tuple[Path, list[Planned]]:
    """Return the folder of a sweep, `folder` where one is named, and its runs, each in a folder by its name.

    `given` are parameters that the command line says. Raises AnisoError for a file that is no sweep.
    """
    found = content(path)
    tables = found.pop(_TABLE, None)
    listed = tables if isinstance(tables, list) else [tables]
    if not listed or not all(isinstance(table, dict) for table in listed):
        message = (
            f"{visible(path)} has no table [{_TABLE}] of options and their values; `aniso profile --config` measures a "
            "file of one run."
        )
        raise AnisoError(message)
    every = {option_key(option): option for option in options_of(profile)}
    file = _File(path, known, {key: one for key, one in every.items() if one.name not in OUTPUT}, given)
    at_top = {**file.options, _OUT: every[_OUT]}
    _require_allowed(found, every.keys() - at_top.keys(), path)
    shared = checked(found, at_top, path)
    if _OUT in shared:
        where = usable(click.get_current_context(), every[_OUT], shared.pop(_OUT), path)
        folder = folder or Path(where)
    folder = folder or Path("runs") / path.stem
    runs: list[Planned] = []
    for number, table in enumerate(listed, start=1):
        place = f"{_TABLE} {number}." if isinstance(tables, list) else f"{_TABLE}."
        _require_allowed(table, every.keys() - file.options.keys(), path, place)
        runs += file.runs(shared, checked(table, file.options, path, place=place, listed=True), place)
    runs = [*_by_adapter(runs)]
    _require_distinct(runs, path)
    return folder, [replace(run, chosen={**run.chosen, "folder": folder / run.name}) for run in runs]


@dataclass(frozen=True)
class _File:
    """A file of runs, the options that it may name, and the parameters that the command line says."""

    path: Path
    known: Registry
    options: Mapping[str, click.Option]
    given: Mapping[str, Any]

    def runs(self, shared: Mapping[str, Any], table: Mapping[str, Any], place: str) -> Iterator[Planned]:
        """Yield the product of a table's lists; of an option that may be repeated a list is one value."""
        lists = {key: some for key, some in table.items() if isinstance(some, list) and not self.options[key].multiple}
        empty = [key for key, values in lists.items() if not values]
        if empty:
            message = f"{visible(self.path)}: {place}{empty[0]} is an empty list, so nothing is run; name a value."
            raise AnisoError(message)
        for values in product(*lists.values()):
            own = dict(zip(lists, values, strict=True))
            chosen = self._chosen({**shared, **table, **own})
            apart = [f"{key}={_told(value)}" for key, value in own.items() if key not in _IN_MODEL]
            yield Planned(_as_name(",".join([_model(self.known, chosen), *apart])), chosen)

    def _chosen(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of `aniso profile` for a run, those that nobody named at their defaults."""
        context = click.get_current_context()
        named = [(self.options[key], value) for key, value in found.items()]
        values = {str(option.name): usable(context, option, value, self.path) for option, value in named}
        unseen = sorted(name for name in PERMISSIONS if values.get(name) and not self.given.get(name))
        if unseen:
            message = (
                f"{visible(self.path)} asks for --{unseen[0].replace('_', '-')}, which no file may grant; say it on "
                "the command line if you mean it."
            )
            raise AnisoError(message)
        values |= {"resume": True, **self.given}
        with profile.make_context("profile", [], parent=context, default_map=values) as asked:
            return asked.params


def _require_allowed(table: Mapping[str, Any], refused: Collection[str], path: Path, place: str = "") -> None:
    """Raise AnisoError where a table names an option that a sweep leaves to others; `place` as `checked` takes it."""
    for key in table:
        if key in refused:
            todo = "a sweep goes on by itself; leave it out" if key == "resume" else "give it on the command line"
            if key == _OUT:
                todo = "put it above the tables, for all runs"
            message = (
                f"{visible(path)}: {place + key!r} is no option of a sweep's {'table' if place else 'file'}; {todo}."
            )
            raise AnisoError(message)


def _model(known: Registry, chosen: Mapping[str, Any]) -> str:
    """Return a short name of the model, with its revision where one is asked for."""
    adapter, model = known.adapter(chosen["adapter"]), chosen["model"]
    presets = {preset.name: preset for preset in adapter.presets}
    if model is None and presets:
        model = next(iter(presets))
    if model in presets:
        name = f"{adapter.name}-{model}" if presets[model].bundled else model
    elif model is None:
        name = adapter.name
    elif on_disk(Path.is_file, Path(model)):
        name = Path(model).stem
    elif on_disk(Path.exists, Path(model)):
        name = folder_name(Path(model))
    else:
        name = model.rpartition("/")[2]
    revision = (chosen["revision"] or "").partition("@")[0]
    return f"{name}@{revision}" if revision else name


def _told(value: Any) -> str:
    """Return a value as it stands in a name: a file without folder and ending."""
    return Path(value).stem if isinstance(value, str) else str(value)


def _as_name(text: str) -> str:
    """Return a name of a folder; where characters were changed or left out, a checksum keeps it apart."""
    plain = re.sub(r"[^A-Za-z0-9@._=,-]+", "-", text).lstrip(".")
    if plain == text and len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9]}-{digest}"


def _by_adapter(runs: Sequence[Planned]) -> Iterator[Planned]:
    """Yield the runs, those of several adapters under one name called after their adapters as well."""
    adapters: dict[str, set[str]] = {}
    for run in runs:
        adapters.setdefault(run.name.casefold(), set()).add(run.chosen["adapter"])
    for run in runs:
        shared = len(adapters[run.name.casefold()]) > 1
        yield replace(run, name=_as_name(f"{run.chosen['adapter']}-{run.name}")) if shared else run


def _require_distinct(runs: Sequence[Planned], path: Path) -> None:
    """Raise AnisoError where two runs have one name; some file systems know no capital letters."""
    name, count = Counter(run.name.casefold() for run in runs).most_common(1)[0]
    if count > 1:
        message = (
            f"{visible(path)}: {count} runs would be called {visible(name)!r}; leave out what is there twice, or give "
            "the option in which they differ as a list in each table, which puts it into the name."
        )
        raise AnisoError(message)
