"""Keeps RESULTS.md: one section a benchmark, with date, hardware, versions and the table."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from aniso_core.api import installed_versions

RESULTS = Path(__file__).with_name("RESULTS.md")
_TITLE = "# Results\n\nWritten by `make bench`; times are medians, and ratios compare what ran side by side.\n"


def record(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> None:
    """Print a table and put it into RESULTS.md in place of the section of the same name."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    versions = ", ".join(f"{k} {v}" for k, v in installed_versions().items() if k in {"python", "torch", "numpy"})
    made = f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, {versions}"
    section = f"## {name}\n\n{note}\n\n{table}\n\n{made}\n"
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else _TITLE
    old = re.compile(rf"## {re.escape(name)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}"
    RESULTS.write_text(text)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
