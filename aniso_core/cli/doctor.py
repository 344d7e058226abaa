"""`aniso doctor`: what a measurement on this machine would find."""

import os
import platform
from dataclasses import asdict
from typing import Any

import click

from aniso_core.api import installed_versions
from aniso_core.cli.parts import seldom_collecting
from aniso_core.cli.say import out, out_json, plugins

FLOORS = {"torch": ("2.10", "CVE-2026-24747"), "transformers": ("5.5", "CVE-2026-4372, CVE-2026-5241")}
"""Versions below which a hostile file may run code, and the reports that say so."""

_WAIT = 3.0  # seconds for the hub to answer


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--offline", is_flag=True, help="Do not ask whether the hub can be reached.")
@seldom_collecting()
def doctor(*, as_json: bool, offline: bool) -> None:
    """Check versions, devices, memory, the hub and every plugin."""
    known = plugins()
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "versions": installed_versions(),
        "warnings": _old(installed_versions()),
        "devices": _devices(),
        "memory GB": _memory(),
        "hub": "not asked" if offline else _hub(),
        "hub token": "present" if _has_token() else "absent",
        "plugins": [f"{p.name} ({p.release}): ready" for p in known.plugins]
        + [f"{b.name} ({b.distribution} {b.version}): left out: {b.error}" for b in known.broken],
    }
    if as_json:
        ready = [asdict(plugin) for plugin in known.plugins]
        out_json(facts | {"plugins": ready + [asdict(broken) for broken in known.broken]})
        return
    for key, value in facts.items():
        if isinstance(value, list):
            out(f"{key}:" + (" none" if not value else ""))
            for entry in value:
                out(f"  {entry}")
        elif isinstance(value, dict):
            out(f"{key}: " + ", ".join(f"{name} {version}" for name, version in value.items()))
        else:
            out(f"{key}: {value}")


def _old(versions: dict[str, str]) -> list[str]:
    return [
        f"{name} {versions[name]} is older than {floor} ({report}): pip install -U {name}"
        for name, (floor, report) in FLOORS.items()
        if name in versions and _numbers(versions[name]) < _numbers(floor)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("+", 1)[0].split(".")[:2]
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)


def _devices() -> list[str]:
    import torch

    found = [f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(f"cuda:{index}: {properties.name}, {properties.total_memory / 1e9:.0f} GB")
    return found


def _memory() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _hub() -> str:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.is_offline_mode():
        return "offline by HF_HUB_OFFLINE"
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=_WAIT).close()  # noqa: S310 - the hub's own address
    except HTTPError:
        return "reached"
    except OSError as error:
        return f"not reached ({type(error).__name__})"
    return "reached"


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None
