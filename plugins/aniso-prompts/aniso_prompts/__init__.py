"""Prompt sets: the two notebooks' stimuli and a small library of public-domain prose."""

from collections.abc import Callable
from pathlib import Path

from aniso_core.contracts import PromptSet
from aniso_core.documents import read_documents
from aniso_core.hookspecs import hookimpl
from aniso_core.tokens import Document

_HERE = Path(__file__).parent


@hookimpl
def aniso_prompts() -> list[PromptSet]:
    """Return the sets `paper3` and `library128`."""
    return [
        PromptSet(
            "paper3",
            "the 16 prompts of the two notebooks, 6 to 11 words each",
            "the Pythia-6.9B and Gemma-2B notebooks",
            "stimuli of the experiment, as published",
            _reading("paper3.txt"),
        ),
        PromptSet(
            "library128",
            "128 documents of 64 to 256 words: prose of several authors and kinds",
            "see library128.LICENCE.md beside the data",
            "public domain",
            _reading("library128.jsonl"),
        ),
    ]


def _reading(name: str) -> Callable[[], list[Document]]:
    return lambda: read_documents(_HERE / name)
