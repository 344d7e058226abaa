"""Keeps RESULTS.md: one section a benchmark, with date, hardware, versions and the table."""

import os
import platform
import re
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from aniso_core.api import installed_versions

RESULTS = Path(__file__).with_name("RESULTS.md")
_TITLE = """\
# Results

Written by `make bench`, `make bench-statistics` (error rates), `make bench-agreement` (other packages), `make
bench-faults` (killed runs), `make bench-workers` (Ray) and `make bench-scale` (costs); times are medians, and ratios
compare what ran side by side.
"""


@dataclass(frozen=True)
class Target:
    """What a value should be, known before it was measured."""

    bound: Literal["at most", "at least"]
    value: float

    def cells(self, measured: float) -> tuple[str, str]:
        """Return the columns `target` and `reached` of a table."""
        met = measured <= self.value if self.bound == "at most" else measured >= self.value
        return f"{self.bound} {self.value:g}", "yes" if met else "no"


def cells(values: Sequence[float], target: Target | None = None, form: str = ".3g") -> tuple[str, str, str, str]:
    """Return the median of two values or more, their quartiles, and the target of the median where there is one."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}}", f"{low:{form}} to {high:{form}}", *(target.cells(middle) if target else ("", ""))


def record(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str, missed: str = "") -> None:
    """Print a table and put it into RESULTS.md in place of the section of the same name.

    `note` says what was measured, `missed` why a target was not reached.
    """
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    named = {"python", "torch", "transformers", "numpy"}
    versions = ", ".join(f"{k} {v}" for k, v in installed_versions().items() if k in named)
    made = f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, {versions}"
    paragraphs = [textwrap.fill(text, 120, break_on_hyphens=False) for text in (note, missed)]
    section = "\n\n".join(filter(None, (f"## {name}", paragraphs[0], table, paragraphs[1], made))) + "\n"
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else _TITLE
    old = re.compile(rf"## {re.escape(name)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}"
    RESULTS.write_text(text)
    print(f"Wrote the section {name} of benchmarks/{RESULTS.name}.\n")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
