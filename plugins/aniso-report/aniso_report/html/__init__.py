"""The reporter `html`: one file that opens from disk, with pictures that need no script and charts that do.

The page fetches nothing: its style sheet and its script stand in it, and its content-security policy allows these two
by their hashes and nothing else (ADR 15).
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aniso_core.records import Report, ReportFile
from aniso_core.text import visible
from aniso_report.html.content import content

SCRIPTS = ("base.js", "plot.js", "map.js", "explore.js", "compare.js", "page.js")
STYLES = ("page.css", "charts.css")


def render(report: Report) -> Iterator[ReportFile]:
    """Yield report.html."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    shown = content(report)
    filled = {
        **vars(shown),
        "policy": policy(style, script),
        "style": Markup(style),  # noqa: S704 - a file of ours
        "script": Markup(script),  # noqa: S704 - a file of ours
        "data": as_json(shown.data),
    }
    page = _environment().get_template("page.html.j2").render(filled)
    yield ReportFile("report.html", page.encode("utf-8", "replace"))


def policy(style: str, script: str) -> str:
    """Return the content-security policy that allows this style sheet and this script, and nothing else at all."""
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def as_json(data: Any) -> Markup:
    """Return data as JSON that can end no script element and begin no comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so that no line separator is in it
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - escaped


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _joined(names: tuple[str, ...]) -> str:
    folder = files("aniso_report.html") / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("aniso_report.html"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Return text with its control and bidirectional characters made visible, wherever a template writes it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
