"""Checks the windows that a probe cuts texts into."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from aniso_core.contracts import BosRule, Probe
from aniso_core.testing.rules import want, wanting
from aniso_core.tokens import Document, Window

_SHORT = 9
"""A window, in tokens, that some of the texts do not fit in."""

_TEXTS = ("A river.", "Nobody had asked for it, and few had seen it.", "Seven lamps, eight, nine.", "x")


def whole_texts(about: str, probe: Probe, where: str) -> tuple[Window, ...]:
    """Return the windows of some texts, each as if of a document of its own.

    Raises RuleError unless windows fit and hold the whole of each text, whatever their length and the BOS rule.
    """
    documents = [Document(str(number), text) for number, text in enumerate(_TEXTS)]
    with wanting(about, "windows", f"{where}, --bos omit"):
        bare = _contents(probe.tokenize(documents, bos="omit", max_length=None).windows)
    for bos in get_args(BosRule):
        how = f"{where}, --bos {bos}"
        with wanting(about, "windows", how):
            made, again, whole = (probe.tokenize(documents, bos=bos, max_length=n) for n in (_SHORT, _SHORT, None))
        want(made == again, about, "the same windows twice", "others", how)
        longest = max(len(window.ids) for window in made.windows)
        want(longest <= _SHORT, about, f"windows of at most {_SHORT} tokens, as asked for", longest, how)
        numbers = sorted({window.document for window in made.windows})
        want(numbers == list(range(len(_TEXTS))), about, "windows of each document", numbers, how)
        for found, size in ((made, f"windows of {_SHORT} tokens"), (whole, "windows as long as can be")):
            # What the tokenizer adds shows where prefix and suffix do not cover it.
            same = _contents(found.windows) == bare
            want(same, about, "the tokens of each text between prefix and suffix", "others", f"{how}, {size}")
            special = {(w.ids[: w.prefix], w.ids[len(w.ids) - w.suffix :]) for w in found.windows}
            want(len(special) == 1, about, "the same special tokens around each window", special, f"{how}, {size}")
    # Numbered anew: document and position identify a state, and a document may be several windows.
    windows = probe.tokenize(documents, bos="auto", max_length=None).windows
    return tuple(replace(window, document=number) for number, window in enumerate(windows))


def _contents(windows: Sequence[Window]) -> dict[int, tuple[int, ...]]:
    """Return the ids of each document that are no special tokens, its windows joined."""
    found: dict[int, tuple[int, ...]] = {}
    for window in windows:
        content = window.ids[window.prefix : len(window.ids) - window.suffix]
        found[window.document] = found.get(window.document, ()) + content
    return found
