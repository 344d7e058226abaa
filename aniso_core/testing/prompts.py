"""Checks a prompt set: its documents, and that it says where they come from."""

from aniso_core.contracts import PromptSet
from aniso_core.documents import check_documents
from aniso_core.testing.rules import Checked, silent, want, wanting
from aniso_core.tokens import Document


def check_prompts(prompts: PromptSet) -> Checked:
    """Return what was checked of a prompt set; raises AssertionError, one sentence, for the first rule it breaks.

    It has a source and a licence, and its documents are texts with ids of their own, the same twice.
    """
    about = f"Prompt set {prompts.name}"
    with silent(about):
        for name in ("summary", "source", "licence"):
            text = getattr(prompts, name)
            want(isinstance(text, str) and text.strip(), about, f"a {name}", repr(text), "in its record")
        with wanting(about, "documents", "when it is loaded"):
            documents, again = list(prompts.load()), list(prompts.load())
        for number, document in enumerate(documents, start=1):
            kept = isinstance(document, Document) and isinstance(document.id, str)
            want(kept, about, "a Document with text as id", repr(document), f"document {number}")
        with wanting(about, "texts with ids of their own", "among its documents"):
            check_documents(documents)
        want(documents == again, about, "the same documents twice", "others", "when it is loaded again")
    rules = ("its record is complete", "its documents can be measured", "the documents are the same twice")
    return Checked("prompts", prompts.name, rules)
