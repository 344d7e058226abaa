"""Finds installed plugins and looks things up by name; one file, since what is left out decides what is found.

pluggy's own loader skips a second plugin of the same name in silence and lets one failing import end the program;
this one does neither.
"""

import contextlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from aniso_core import hookspecs
from aniso_core.contracts import Adapter, Hypothesis, Metric, PromptSet, Reporter
from aniso_core.errors import AnisoError
from aniso_core.text import nearest_first, visible

DISABLE = "ANISO_DISABLE_PLUGINS"
"""Environment variable: names of plugins or distributions, separated by commas, that are not loaded."""

TRACE = "ANISO_TRACE_HOOKS"
"""Environment variable: when set, each hook call is written to stderr."""

KINDS: Mapping[str, tuple[str, type, str]] = {
    "adapter": ("aniso_adapters", Adapter, "open"),
    "metric": ("aniso_metrics", Metric, "of"),
    "hypothesis": ("aniso_hypotheses", Hypothesis, "test"),
    "reporter": ("aniso_reporters", Reporter, "render"),
    "prompts": ("aniso_prompts", PromptSet, "load"),
}
"""Each kind of thing that plugins provide: the hook that returns it, its type, and its field that is called."""

_ASKED: Mapping[str, str] = {
    "adapter": "open",
    "metric": "of",
    "hypothesis": "test",
    "reporter": "render",
    "prompts": "load",
}


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
    """A plugin, or one thing that it provides, that cannot be used, and why."""

    name: str
    distribution: str
    version: str
    error: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f"plugin {self.name} ({self.distribution} {self.version}) is left out: {self.error}"


@dataclass(frozen=True)
class Item:
    """A thing that a plugin provides."""

    kind: str
    name: str
    value: Any
    plugin: Plugin


class Registry:
    """Everything that the loaded plugins provide, by kind and name."""

    def __init__(self, plugins: list[Plugin], items: list[Item], broken: list[BrokenPlugin]) -> None:
        """Settle which of several things of the same name is used."""
        self.broken = list(broken)
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

    def distribution(self, kind: str, name: str) -> str:
        """Return the distribution and version that provide an item, as `aniso-gemma 0.1.0`."""
        return self.item(kind, name).plugin.release

    def _by_alias(self, kind: str, name: str) -> Item | None:
        found = [i for i in self.items(kind) if name in getattr(i.value, "aliases", ())]
        official = official_distributions()
        return min(found, key=lambda i: i.plugin.distribution not in official, default=None)

    def _settle(self, claimants: list[Item]) -> None:
        # A stranger must not replace what ships with aniso; between strangers none can claim the name.
        official = official_distributions()
        ours = [i for i in claimants if i.plugin.distribution in official]
        winner = claimants[0] if len(claimants) == 1 else ours[0] if len(ours) == 1 else None
        for loser in (i for i in claimants if i is not winner):
            rival = winner or next(i for i in claimants if i is not loser)
            error = f"{loser.kind} {loser.name!r} is provided by {rival.plugin.distribution} as well; uninstall one"
            plugin = loser.plugin
            self.broken.append(BrokenPlugin(plugin.name, plugin.distribution, plugin.version, error))
        if winner is not None:
            self._items[winner.kind, winner.name] = winner

    def unknown(self, kind: str, name: str) -> str:
        """Return in words that there is no item of this name, what there is, and what is missing or left out."""
        known = nearest_first(name, self.names(kind))
        plural = {"hypothesis": "hypotheses", "prompts": "prompt sets"}.get(kind, f"{kind}s")
        one = plural.removesuffix("s") if kind == "prompts" else kind
        parts = [f"There is no {one} {visible(name)!r}; the {plural} are {', '.join(known) or 'none'}."]
        absent = [d for d in sorted(official_distributions()) if d not in _installed()]
        if absent:
            likely = [d for d in absent if d == f"aniso-{name}"] or absent
            parts.append(
                f"Not installed: {', '.join(likely)} (pip install {' '.join(likely)}, or in a clone pip install "
                f"{' '.join(f'-e plugins/{d}' for d in likely)})."
            )
        if self.broken:
            parts.append("Left out: " + "; ".join(f"{b.name} ({b.distribution}): {b.error}" for b in self.broken))
        return " ".join(parts)


@cache
def registry() -> Registry:
    """Return the registry of the installed plugins, loaded once in a process."""
    plugins, items, broken = [], [], []
    for point, distribution, version in _entry_points():
        plugin = Plugin(point.name, distribution, version)
        try:
            _require_fitting(point)
            items += _collect(plugin, point)
        except AnisoError as error:
            broken.append(BrokenPlugin(plugin.name, distribution, version, str(error)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may do anything at import
            reason = visible(f"{type(error).__name__}: {error}")
            broken.append(BrokenPlugin(plugin.name, distribution, version, reason))
        else:
            plugins.append(plugin)
    return Registry(plugins, items, broken)


@cache
def official_distributions() -> frozenset[str]:
    """Return the names of the distributions that aniso's extra `all` lists, aniso itself included."""
    try:
        required = metadata.requires("aniso") or []
    except metadata.PackageNotFoundError:
        required = []
    names = {re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0] for r in required if "extra ==" in r and "all" in r}
    return frozenset(names | {"aniso"})


def _entry_points() -> Iterator[tuple[metadata.EntryPoint, str, str]]:
    """Yield the plugins to load, by name; two of the same name are both kept, as `_collect` tells them apart."""
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    found = []
    for point in metadata.entry_points(group=hookspecs.PROJECT):
        # Each look at a distribution's name or version reads its file anew.
        about = point.dist.metadata if point.dist else {"Name": "unknown", "Version": "unknown"}
        found.append((point, about["Name"], about["Version"]))
    for point, distribution, version in sorted(found, key=lambda f: (f[0].name, f[1])):
        if disabled.isdisjoint({point.name, distribution}):
            yield point, distribution, version


def _require_fitting(point: metadata.EntryPoint) -> None:
    """Raise AnisoError where a plugin's distribution declares that it needs another version of aniso."""
    declared = (point.dist.metadata.get_all("Requires-Dist") if point.dist else None) or []
    ranged = [line for line in declared if re.match(r"aniso\s*[(<>=!~]", line)]
    if not ranged:  # most say no version, and packaging need not load for them
        return
    from packaging.requirements import Requirement
    from packaging.version import Version

    own = Version(metadata.version("aniso"))
    for wanted in (Requirement(line).specifier for line in ranged):
        if not wanted.contains(own, prereleases=True):
            behind = any(
                Version(bound.version.removesuffix(".*")) > own for bound in wanted if "<" not in bound.operator
            )
            message = f"it needs aniso {wanted} and this is {own}; upgrade {'aniso' if behind else 'the plugin'}"
            raise AnisoError(message)


def _collect(plugin: Plugin, point: metadata.EntryPoint) -> list[Item]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    # Whatever a plugin says while it loads goes to people, so that stdout stays data.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        module = point.load()
        if not isinstance(module, ModuleType) and not hasattr(module, "__dict__"):
            message = f"the entry point names a {type(module).__name__}, wanted a module"
            raise TypeError(message)
        manager.register(module, plugin.name)
        manager.check_pending()
        items = []
        for kind, (hook, wanted, called) in KINDS.items():
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                checked = _checked(hook, wanted, called, implementation.function())
                items += [Item(kind, value.name, value, plugin) for value in checked]
                if os.environ.get(TRACE):
                    sys.stderr.write(f"{hook}: {plugin.name} ({plugin.distribution}) gave {len(checked)}\n")
    return items


def _checked(hook: str, wanted: type, called: str, values: object) -> list[Any]:
    """Return what a hook gave as a list; raises TypeError where it is not what the hook is to return."""
    if not isinstance(values, (list, tuple)) and not inspect.isgenerator(values):
        message = f"{hook} returned {type(values).__name__}, wanted a list of {wanted.__name__}"
        raise TypeError(message)
    checked: list[Any] = list(values)
    for value in checked:
        if not isinstance(value, wanted):
            message = f"{hook} returned a {type(value).__name__}, wanted {wanted.__name__}"
            raise TypeError(message)
        name = getattr(value, "name", None)
        if not isinstance(name, str) or not name:
            message = f"{hook} returned a {wanted.__name__} whose name is {name!r}, wanted text"
            raise TypeError(message)
        if not callable(getattr(value, called)):
            message = f"{hook} returned {name!r} whose {called} is no function"
            raise TypeError(message)
    return checked


def _by_kind(items: list[Item]) -> dict[str, tuple[str, ...]]:
    return {k: names for k in KINDS if (names := tuple(sorted(i.name for i in items if i.kind == k)))}


@cache
def _installed() -> frozenset[str]:
    return frozenset(d.metadata["Name"] for d in metadata.distributions())
