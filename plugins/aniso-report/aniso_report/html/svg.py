"""Figures as pictures inside the page: matplotlib's SVG without ids, inline styles and colours of its own."""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from aniso_core.text import visible
from aniso_report.figures.looks import PALETTE

_COLOURS: Mapping[str, str] = {
    "#ffffff": "var(--paper)",
    "#333333": "currentColor",
    "#595959": "currentColor",
    "#e6e6e6": "var(--line)",
    **{colour.lower(): f"var(--s{i})" for i, colour in enumerate(PALETTE, start=1)},
}
"""Colours of figures, and what the page calls them in its light and dark themes."""

_LEFT_OUT = {"metadata", "style"}
_PAGE_S_OWN = {"font-family", "font"}
"""Properties that pictures take from the page."""


def inline(figure: Figure, name: str, alt: str) -> Markup:
    """Return the figure as an SVG element; `name` begins its ids, `alt` is read out in its place."""
    out = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(out.getvalue())  # noqa: S314 - matplotlib wrote it a line above
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", out.getvalue().decode()))
    _plain(root, name, used)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": visible(alt), "class": "picture"}
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree has escaped all text


def _plain(element: ET.Element, name: str, used: set[str]) -> None:
    """Turn styles into attributes, which a strict content-security policy allows, and drop what a page needs not."""
    element.tag = element.tag.rpartition("}")[2]
    found = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    style = dict(pair.split(": ", 1) for pair in found.pop("style", "").split("; ") if ": " in pair)
    found |= {key: value for key, value in style.items() if key not in _PAGE_S_OWN}
    element.attrib.clear()
    for key, value in found.items():
        if key == "id":
            if value in used:
                element.set("id", f"{name}-{value}")
        elif key in {"fill", "stroke"}:
            element.set(key, _COLOURS.get(value, value))
        elif key != "transform" or not value.startswith("rotate(-0 "):
            element.set(key, re.sub(r"^#|(?<=url\()#", f"#{name}-", value) if key in {"href", "clip-path"} else value)
        if key == "d":
            element.set(key, " ".join(re.sub(r"(\.\d\d)\d+", r"\1", value).split()))
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None
    for child in list(element):
        if child.tag.rpartition("}")[2] in _LEFT_OUT:
            element.remove(child)
        else:
            _plain(child, name, used)
