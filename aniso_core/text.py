"""Text that came from outside, made safe to show and to use as a file name."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Iterable

_ESCAPES = ((0x100, ("x", 2)), (0x10000, ("u", 4)))  # how Python writes characters below each limit
_MAX_SLUG = 80  # room for a time stamp before the 100 characters that every file system takes


def visible(text: object) -> str:
    r"""Return `text` on one line with control, bidirectional and surrogate characters as `\x..` escapes.

    Terminal escapes and right-to-left overrides in a model's name or a prompt must be seen, not obeyed.
    """
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in str(text))


def visible_lines(text: str) -> str:
    """Return `text` as `visible` does, its line breaks kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


def slug(text: str) -> str:
    """Return a file name of `[a-z0-9._-]` that is distinct for distinct texts and safe on every file system."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:_MAX_SLUG]
    if plain == text.lower() and plain:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain or 'model'}-{digest}"


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names, those most like `name` first, the rest in order of the alphabet."""
    ordered = sorted(known)
    close = difflib.get_close_matches(name, ordered, n=3, cutoff=0.5)
    return close + [other for other in ordered if other not in close]


def _is_unsafe(char: str) -> bool:
    # Cc: controls, Cf: invisible format characters (bidi overrides among them), Cs: lone surrogates, Zl/Zp: breaks.
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escaped(char: str) -> str:
    code = ord(char)
    letter, digits = next((form for limit, form in _ESCAPES if code < limit), ("U", 8))
    return f"\\{letter}{code:0{digits}x}"
