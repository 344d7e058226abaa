"""`list` and `show` of everything that plugins provide, and the plugins themselves."""

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from aniso_core.cli.completion import completing
from aniso_core.cli.parts import published
from aniso_core.cli.say import out, out_json, table, talking
from aniso_core.cli.say import plugins as loaded
from aniso_core.plugins import DISABLE, Item

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def _summary(item: Item) -> str:
    said = getattr(item.value, "summary", "") or getattr(item.value, "claim", "")
    return f"{said} (on request)" if getattr(item.value, "on_request", False) else said


def _facts(item: Item) -> dict[str, Any]:
    """Return the plain fields of an item; functions and classes are no data."""
    facts: dict[str, Any] = {"name": item.name, "plugin": item.plugin.name}
    facts["distribution"] = item.plugin.release
    if item.kind == "metric":
        facts["definition"] = inspect.getdoc(item.value.of) or ""
    for key, value in vars(item.value).items():
        if key == "presets":
            facts[key] = [asdict(preset) for preset in value]
        elif key == "brings":
            facts[key] = list(value)
        elif key == "published":
            facts[key] = [f"published:{name}" for name in published(item)]
        elif key != "name" and not callable(value):
            facts[key] = list(value) if isinstance(value, tuple) else value
    return facts


def _group(kind: str, title: str) -> click.Group:
    @click.group(help=f"List the {title} that plugins provide, or show one.")
    def group() -> None:
        pass

    @group.command("list", help=f"List the {title}.")
    @as_json
    def listed(*, as_json: bool) -> None:
        items = loaded().items(kind)
        if as_json:
            out_json([_facts(item) for item in items])
        else:
            rows = [(i.name, _summary(i), i.plugin.distribution) for i in items]
            table(["name", "what it is", "from"], rows)

    @group.command("show", help=f"Show one of the {title}.")
    @click.argument("name", shell_complete=completing(kind))
    @as_json
    def shown(name: str, *, as_json: bool) -> None:
        facts = _facts(loaded().item(kind, name))
        if as_json:
            out_json(facts)
        else:
            _describe(facts)

    return group


def _describe(facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        if value in ("", [], {}, None):
            continue
        entries = [f"{name} ({meaning})" for name, meaning in value.items()] if isinstance(value, dict) else value
        shown = ", ".join(_one(entry) for entry in entries) if isinstance(entries, list) else value
        out(f"{key}: {shown}")


def _one(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    where = "bundled" if entry["bundled"] else f"{entry['where']}, gated" if entry["gated"] else entry["where"]
    return f"{entry['name']} ({where})"


adapters: Callable[..., Any] = _group("adapter", "adapters")
metrics: Callable[..., Any] = _group("metric", "metrics")
hypotheses: Callable[..., Any] = _group("hypothesis", "hypotheses")
reporters: Callable[..., Any] = _group("reporter", "reporters")
prompts: Callable[..., Any] = _group("prompts", "prompt sets")
executors: Callable[..., Any] = _group("executor", "executors")


@click.command()
@as_json
@talking()
def plugins(*, as_json: bool) -> None:
    """List the installed plugins: state, version, and what each provides."""
    found = loaded()
    if as_json:
        whole = [asdict(plugin) | {"state": "ready"} for plugin in found.plugins]
        whole += [asdict(broken) | {"state": broken.state} for broken in found.broken]
        out_json(whole + [asdict(plugin) | {"state": "disabled"} for plugin in found.disabled])
        return
    rows = []
    for plugin in found.plugins:
        provides = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in plugin.provides.items())
        rows.append((plugin.name, plugin.release, "ready", provides))
    rows += [(b.name, f"{b.distribution} {b.version}", b.state, b.error) for b in found.broken]
    rows += [(p.name, p.release, "disabled", f"nothing, as {DISABLE} names it") for p in found.disabled]
    table(["plugin", "distribution", "state", "provides"], rows)
