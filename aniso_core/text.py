"""Text that came from outside, made safe to show and to use as a file name."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Iterable

_ESCAPES = ((0x100, ("x", 2)), (0x10000, ("u", 4)))  # how Python writes characters below each limit
_IN_A_SENTENCE, _FEW = 12, 5  # names that are told, and how many of them where there are more
_LONGEST_SLUG = 60  # leaves room for a time and an ending within the 100 characters that every file system takes


def visible(text: object) -> str:
    r"""Return `text` on one line with control, bidirectional and surrogate characters as `\x..` escapes.

    Terminal escapes and right-to-left overrides in a model's name or a prompt must be seen, not obeyed.
    """
    plain = str(text)
    if plain.isprintable():  # nearly every text is, and a list has thousands
        return plain
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in plain)


def visible_lines(text: str) -> str:
    """Return `text` as `visible` does, its line breaks kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


def slug(text: str) -> str:
    """Return a file name of 60 characters of `[a-z0-9._-]` at most, distinct for texts that differ in any character."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")
    if plain and plain == text and len(plain) <= _LONGEST_SLUG:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: _LONGEST_SLUG - 9] or 'model'}-{digest}"


def is_file_name(name: str) -> bool:
    """Return whether `name` is a file name that every file system takes and that leads nowhere else."""
    return re.fullmatch(r"[a-z0-9_-][a-z0-9._-]{0,99}", name) is not None


def short(text: object, width: int = 60) -> str:
    """Return foreign text on one line, made visible, its middle cut out where it is longer than `width`."""
    # Cut before escaping, too: a text of megabytes must not be escaped character by character to show its ends.
    return _cut(visible(_cut(str(text), 10 * width)), width)


def sentence(text: str) -> str:
    """Return `text` with a capital first and a stop last; nothing stays nothing."""
    bare = text.strip().rstrip(".")
    return f"{bare[:1].upper()}{bare[1:]}." if bare else ""


def names_in(text: str, names: Iterable[str]) -> set[str]:
    """Return which of the names a text holds; where one begins with another, the longer one is meant."""
    longest_first = sorted(filter(None, names), key=len, reverse=True)
    return set(re.findall("|".join(map(re.escape, longest_first)), text)) if longest_first else set()


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are like `name`, three at most, the one most like it first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names, those most like `name` first, the rest in order of the alphabet."""
    ordered = sorted(known)
    close = nearest(name, ordered)
    return close + [other for other in ordered if other not in close]


def named_nearest(name: str, known: Iterable[str]) -> str:
    """Return in words the known names, those most like `name` first; of many a few, and how many others there are."""
    names = nearest_first(name, known)
    told = ", ".join(names if len(names) <= _IN_A_SENTENCE else names[:_FEW])
    return (f"{told} and {len(names) - _FEW} others" if len(names) > _IN_A_SENTENCE else told) or "none"


def natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Return what puts names in an order in which numbers count, `step2` before `step16`, for `sorted`."""
    # Names that differ in zeros alone, as `step1` and `step01`, are told apart by themselves.
    return [(text, int(number or -1)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", name)], name


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return f"{text[:head]}...{text[len(text) - (width - 3 - head) :]}"


def _is_unsafe(char: str) -> bool:
    # Cc: controls, Cf: invisible format characters (bidi overrides among them), Cs: lone surrogates, Zl/Zp: breaks.
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escaped(char: str) -> str:
    code = ord(char)
    letter, digits = next((form for limit, form in _ESCAPES if code < limit), ("U", 8))
    return f"\\{letter}{code:0{digits}x}"
