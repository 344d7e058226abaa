"""Finds installed plugins and looks things up by name; one file, since what is left out decides what is found.

pluggy's own loader skips a second plugin of the same name in silence and lets one failing import end the program;
this one does neither.
"""

import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from email.message import Message
from functools import cache, partial
from importlib import metadata
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pluggy

from aniso_core import hookspecs
from aniso_core.contracts import Adapter, Executor, Hypothesis, Metric, PromptSet, Reporter
from aniso_core.errors import AnisoError
from aniso_core.isolation import isolated, log_traceback, said, waiting_for, watched
from aniso_core.text import named_nearest, nearest_first, short, visible

DISABLE = "ANISO_DISABLE_PLUGINS"
"""Environment variable: names of plugins or distributions, separated by commas, that are not loaded."""

TRACE = "ANISO_TRACE_HOOKS"
"""Environment variable: when set, each hook call is written to stderr."""

KINDS: Mapping[str, tuple[str, type]] = {
    "adapter": ("aniso_adapters", Adapter),
    "metric": ("aniso_metrics", Metric),
    "hypothesis": ("aniso_hypotheses", Hypothesis),
    "reporter": ("aniso_reporters", Reporter),
    "prompts": ("aniso_prompts", PromptSet),
    "executor": ("aniso_executors", Executor),
}
"""Each kind of thing that plugins provide: the hook that returns it, and its type."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that loaded: entry-point name, distribution and version, and what it provides by kind."""

    name: str
    distribution: str
    version: str
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """The distribution and its version, as `aniso-gemma 0.1.0`."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that cannot be used, or (not `whole`) one thing that it provides, and why."""

    name: str
    distribution: str
    version: str
    error: str
    whole: bool = True

    @property
    def state(self) -> str:
        """What lists say of it."""
        return "left out" if self.whole else "in part"

    def __str__(self) -> str:
        """Return one line for people."""
        return f"plugin {self.name} ({self.distribution} {self.version}){' is left out' * self.whole}: {self.error}"


@dataclass(frozen=True)
class Item:
    """A thing that a plugin provides."""

    kind: str
    name: str
    value: Any
    plugin: Plugin


class Registry:
    """Everything that the loaded plugins provide, by kind and name."""

    def __init__(
        self,
        plugins: list[Plugin],
        items: list[Item],
        broken: list[BrokenPlugin],
        remarks: Sequence[str] = (),
        disabled: Sequence[Plugin] = (),
    ) -> None:
        """Settle which of several things of the same name is used.

        `remarks` are what was said while plugins loaded, and `disabled` the plugins that the user keeps from loading.
        """
        self.broken = list(broken)
        self.remarks, self.disabled = tuple(remarks), tuple(disabled)
        self.seconds: Mapping[str, float] = {}
        """How long each plugin took to load, by its name."""
        self._items: dict[tuple[str, str], Item] = {}
        claims: dict[tuple[str, str], list[Item]] = {}
        for item in items:
            claims.setdefault((item.kind, item.name), []).append(item)
        for claimants in claims.values():
            self._settle(claimants)
        kept = list(self._items.values())
        self.plugins = tuple(
            Plugin(p.name, p.distribution, p.version, _by_kind([i for i in kept if i.plugin is p])) for p in plugins
        )

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind in the order of the alphabet."""
        return sorted(name for of_kind, name in self._items if of_kind == kind)

    def items(self, kind: str) -> list[Item]:
        """Return the items of a kind in the order of their names."""
        return [self._items[kind, name] for name in self.names(kind)]

    def item(self, kind: str, name: str) -> Item:
        """Return one item; raises AnisoError where there is none."""
        found = self._items.get((kind, name)) or self._by_alias(kind, name)
        if found is None:
            raise AnisoError(self.unknown(kind, name))
        return found

    def adapter(self, name: str) -> Adapter:
        """Return the adapter `name`; raises AnisoError."""
        adapter: Adapter = self.item("adapter", name).value
        return adapter

    def metric(self, name: str) -> Metric:
        """Return the metric `name` (or alias); raises AnisoError."""
        metric: Metric = self.item("metric", name).value
        return metric

    def hypothesis(self, name: str) -> Hypothesis:
        """Return the hypothesis `name`; raises AnisoError."""
        hypothesis: Hypothesis = self.item("hypothesis", name).value
        return hypothesis

    def reporter(self, name: str) -> Reporter:
        """Return the reporter `name`; raises AnisoError."""
        reporter: Reporter = self.item("reporter", name).value
        return reporter

    def prompts(self, name: str) -> PromptSet:
        """Return the prompt set `name`; raises AnisoError."""
        prompts: PromptSet = self.item("prompts", name).value
        return prompts

    def executor(self, name: str) -> Executor:
        """Return the executor `name`; raises AnisoError."""
        executor: Executor = self.item("executor", name).value
        return executor

    def distribution(self, kind: str, name: str) -> str:
        """Return the distribution and version that provide an item, as `aniso-gemma 0.1.0`."""
        return self.item(kind, name).plugin.release

    def owners(self, kind: str) -> dict[str, str]:
        """Return the distribution and version behind each item of a kind, by name."""
        return {item.name: item.plugin.release for item in self.items(kind)}

    def _by_alias(self, kind: str, name: str) -> Item | None:
        """Return the item that is also called `name`; raises AnisoError where strangers share it."""
        found = [i for i in self.items(kind) if name in getattr(i.value, "aliases", ())]
        ours = [i for i in found if i.plugin.distribution in official_distributions()]
        if len(ours or found) > 1:
            called = " and ".join(f"{i.name} ({i.plugin.release})" for i in ours or found)
            message = f"{visible(name)!r} is another name of {kind} {called}; give one of these."
            raise AnisoError(message)
        return next(iter(ours or found), None)

    def _settle(self, claimants: list[Item]) -> None:
        # A stranger must not replace what ships with aniso; between strangers none can claim the name.
        official = official_distributions()
        ours = [i for i in claimants if i.plugin.distribution in official]
        winner = claimants[0] if len(claimants) == 1 else ours[0] if len(ours) == 1 else None
        for loser in (i for i in claimants if i is not winner):
            rival = winner or next(i for i in claimants if i is not loser)
            who = rival.plugin.distribution
            why = f"that of {who} is; rename it" if winner else f"{who} has one of that name; uninstall either"
            plugin, error = loser.plugin, f"its {loser.kind} {loser.name!r} is not used: {why}"
            self.broken.append(BrokenPlugin(plugin.name, plugin.distribution, plugin.version, error, whole=False))
        if winner is not None:
            self._items[winner.kind, winner.name] = winner

    def unknown(self, kind: str, name: str) -> str:
        """Return in words that there is no item of this name, what there is, and what is missing or left out."""
        plural = {"hypothesis": "hypotheses", "prompts": "prompt sets"}.get(kind, f"{kind}s")
        one = plural.removesuffix("s") if kind == "prompts" else kind
        known = named_nearest(name, self.names(kind))
        parts = [f"There is no {one} {visible(name)!r}; the {plural} are {known}."]
        absent = [d for d in sorted(official_distributions()) if d not in _installed()]
        if absent:
            likely = [d for d in absent if d == f"aniso-{name}"] or absent
            parts.append(
                f"Not installed: {', '.join(likely)} (pip install {' '.join(likely)}, or in a clone pip install "
                f"{' '.join(f'-e plugins/{d}' for d in likely)})."
            )
        if self.broken:
            parts.append("Left out: " + "; ".join(f"{b.name} ({b.distribution}): {b.error}" for b in self.broken))
        if self.disabled:
            parts.append(f"{DISABLE} disables {', '.join(f'{p.name} ({p.distribution})' for p in self.disabled)}.")
        return " ".join(parts)


@cache
@watched()
def registry() -> Registry:
    """Return the registry of the installed plugins, loaded once in a process."""
    plugins, items, broken, disabled = [], [], [], []
    remarks: list[str] = []
    seconds: dict[str, float] = {}
    unwanted = {name.strip() for name in os.environ.get(DISABLE, "").split(",")} - {""}
    there: set[str] = set()
    for point, plugin, requires in _entry_points():
        there |= {plugin.name, plugin.distribution}
        if unwanted & {plugin.name, plugin.distribution}:
            disabled.append(plugin)
            continue
        who, started = f"plugin {plugin.name} ({plugin.release})", time.monotonic()
        try:
            _require_fitting(requires)
            with waiting_for(who), isolated(partial(_note, remarks, who)):
                items += _collect(plugin, point)
        except AnisoError as error:
            broken.append(BrokenPlugin(plugin.name, plugin.distribution, plugin.version, str(error)))
        except Exception as error:  # noqa: BLE001 - a plugin may do anything at import
            broken.append(BrokenPlugin(plugin.name, plugin.distribution, plugin.version, said(error)))
            log_traceback(who, error)
        else:
            plugins.append(plugin)
        seconds[plugin.name] = time.monotonic() - started
    for name in sorted(unwanted - there):
        nearest = "".join(f"; the nearest is {each}" for each in nearest_first(name, there)[:1])
        remarks.append(f"{DISABLE} names {visible(name)}, which is not installed{nearest}.")
    found = Registry(plugins, items, broken, remarks, disabled)
    found.seconds = seconds
    return found


def _note(remarks: list[str], who: str, text: str) -> None:
    remarks.append(f"the {who} {text}")


@cache
def official_distributions() -> frozenset[str]:
    """Return the names of the distributions that aniso's extra `all` lists, aniso itself included."""
    try:
        required = metadata.requires("aniso") or []
    except metadata.PackageNotFoundError:
        required = []
    names = {re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0] for r in required if "extra ==" in r and "all" in r}
    return frozenset(names | {"aniso"})


def _entry_points() -> Iterator[tuple[metadata.EntryPoint, Plugin, Sequence[str]]]:
    """Yield the installed plugins, by name, with what their distributions require; two of one name are both kept."""
    found = []
    for point in metadata.entry_points(group=hookspecs.PROJECT):
        # Each look at a distribution's name, version or requirements reads its file anew.
        about = point.dist.metadata if point.dist else Message()
        plugin = Plugin(point.name, about["Name"] or "unknown", about["Version"] or "unknown")
        found.append((point, plugin, about.get_all("Requires-Dist") or []))
    yield from sorted(found, key=lambda f: (f[1].name, f[1].distribution))


def _require_fitting(requires: Sequence[str]) -> None:
    """Raise AnisoError where a plugin's distribution requires another version of aniso."""
    ranged = [line for line in requires if re.match(r"aniso\s*[\[(<>=!~]", line, re.IGNORECASE)]
    if not ranged:  # most say no version, and packaging need not load for them
        return
    from packaging.requirements import Requirement
    from packaging.version import Version

    own = Version(_own_version())
    for needed in map(Requirement, ranged):
        wanted = needed.specifier
        applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if applies and not wanted.contains(own, prereleases=True):
            behind = any(
                Version(bound.version.removesuffix(".*")) > own for bound in wanted if "<" not in bound.operator
            )
            message = f"it needs aniso {wanted} and this is {own}; upgrade {'aniso' if behind else 'the plugin'}"
            raise AnisoError(message)


@cache
def _own_version() -> str:
    return metadata.version("aniso")


def _collect(plugin: Plugin, point: metadata.EntryPoint) -> list[Item]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    module = point.load()
    if not isinstance(module, ModuleType) and not hasattr(module, "__dict__"):
        message = f"the entry point names a {type(module).__name__}, wanted a module"
        raise TypeError(message)
    manager.register(module, plugin.name)
    manager.check_pending()
    items = []
    for kind, (hook, wanted) in KINDS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            checked = _checked(hook, wanted, implementation.function())
            items += [Item(kind, value.name, value, plugin) for value in checked]
            if os.environ.get(TRACE):
                sys.stderr.write(f"{hook}: {plugin.name} ({plugin.distribution}) gave {len(checked)}\n")
    return items


def _checked(hook: str, wanted: type[Any], values: object) -> list[Any]:
    """Return what a hook gave as a list; raises TypeError where it is not what the hook is to return."""
    if not isinstance(values, (list, tuple)) and not inspect.isgenerator(values):
        message = f"{hook} returned {type(values).__name__}, wanted a list of {wanted.__name__}"
        raise TypeError(message)
    checked: list[Any] = list(values)
    for value in checked:
        if not isinstance(value, wanted):
            message = f"{hook} returned a {type(value).__name__}, wanted {wanted.__name__}"
            raise TypeError(message)
        for name, reason in _unfit(value):
            message = f"{hook} returned a {wanted.__name__} whose {name} is {reason}"
            raise TypeError(message)
        if not value.name or value.name != visible("".join(value.name.split())):
            message = f"{hook} returned a {wanted.__name__} called {value.name!r}, wanted a name without spaces"
            raise ValueError(message)
        if isinstance(value, Metric):
            hash(value)  # metrics are told apart by it; an unhashable `of` would say so in the middle of a run
    return checked


def _unfit(record: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields that hold something else than the record's class says, each with what it is and should be."""
    for each in fields(record):
        value = getattr(record, each.name)
        if not _fits(value, each.type):
            wanted = each.type.__name__ if isinstance(each.type, type) else str(each.type).replace("typing.", "")
            yield each.name, f"{short(repr(value))}, wanted {wanted}"


def _fits(value: Any, wanted: Any) -> bool:
    """Return whether a value is what a record's field is annotated with."""
    origin, args = get_origin(wanted), get_args(wanted)
    if origin in {Union, UnionType}:
        fits = any(_fits(value, one) for one in args)
    elif origin is Literal:
        fits = isinstance(value, str) and value in args
    elif origin is Callable:
        fits = callable(value)
    elif origin is tuple:
        fits = isinstance(value, tuple) and all(_fits(one, args[0]) for one in value)
    elif origin is Mapping:
        fits = isinstance(value, Mapping) and all(_fits(one, args[1]) for one in value.values())
    elif wanted is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, wanted) and not (is_dataclass(wanted) and any(_unfit(value)))
    return fits


def _by_kind(items: list[Item]) -> dict[str, tuple[str, ...]]:
    return {k: names for k in KINDS if (names := tuple(sorted(i.name for i in items if i.kind == k)))}


@cache
def _installed() -> frozenset[str]:
    return frozenset(d.metadata["Name"] for d in metadata.distributions())
