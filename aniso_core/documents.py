"""Reads documents from files: one a line, paragraphs between blank lines, or JSON Lines."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aniso_core.errors import AnisoError
from aniso_core.text import visible
from aniso_core.tokens import Document

_MOST_UNITS = 64


def read_documents(path: Path, encoding: str = "utf-8") -> list[Document]:
    """Return the documents of a file.

    `.jsonl` holds one object a line with `text` and optional `id`. Any other file holds paragraphs where a blank
    line separates blocks of which one at least spans several lines, and one document a line otherwise. Raises
    AnisoError for a file that is missing, empty, or not in `encoding`.
    """
    if path.suffix == ".json":
        message = (
            f'{visible(path)} is JSON; wanted JSON Lines: one {{"text": ...}} a line, in a file that ends in .jsonl.'
        )
        raise AnisoError(message)
    text = _decoded(path, encoding)
    documents = _json_lines(path, text) if path.suffix == ".jsonl" else _plain(text)
    if not documents:
        message = f"There are no prompts in {visible(path)}: it is empty or blank; give one document a line."
        raise AnisoError(message)
    return check_documents(documents)


def documents_from(texts: Iterable[str | Document]) -> list[Document]:
    """Return texts as documents numbered from 1, documents as they are; raises AnisoError where one is not text."""
    if isinstance(texts, str):
        message = "Wanted a list of texts, got one text; put it into a list."
        raise AnisoError(message)
    numbered = enumerate(texts, start=1)
    return check_documents([t if isinstance(t, Document) else Document(str(number), t) for number, t in numbered])


def units_of(documents: Sequence[Document]) -> list[int]:
    """Return each document's unit of uncertainty, from 0: what is left out together when a document is left out.

    Documents of the same text are one unit. Where there are more than 64, neighbours are grouped by twos, fours and so
    on until there are no more: intervals get no wider by it, and what is kept of units stays small.
    """
    first: dict[str, int] = {}
    own = [first.setdefault(document.text, len(first)) for document in documents]
    size = group_size(documents)
    return [unit // size for unit in own]


def group_size(documents: Sequence[Document]) -> int:
    """Return how many texts are one unit of uncertainty: 1, or a power of two where there are more than 64."""
    texts, size = len({document.text for document in documents}), 1
    while -(-texts // size) > _MOST_UNITS:
        size *= 2
    return size


def check_documents(documents: Sequence[Document]) -> list[Document]:
    """Return the documents; raises AnisoError on a repeated id, an empty text or half a surrogate pair."""
    if not documents:
        message = "There are no prompts to measure; give one document at least."
        raise AnisoError(message)
    seen: set[str] = set()
    for document in documents:
        if not isinstance(document.text, str):
            message = f"Document {visible(document.id)} is of type {type(document.text).__name__}, wanted text."
            raise AnisoError(message)
        if not document.text.strip():
            message = f"Document {visible(document.id)} is blank; leave it out or give it text."
            raise AnisoError(message)
        if any("\ud800" <= char <= "\udfff" for char in document.id + document.text):
            message = f"Document {visible(document.id)} holds half a surrogate pair, which no tokenizer takes; mend it."
            raise AnisoError(message)
        if document.id in seen:
            message = f"Two documents have the id {visible(document.id)!r}; ids must differ."
            raise AnisoError(message)
        seen.add(document.id)
    return list(documents)


def _decoded(path: Path, encoding: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"Cannot read the prompts {visible(path)}: {error.strerror or error}; give a file that exists."
        raise AnisoError(message) from error
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = (
            f"{visible(path)} is not {encoding}: byte {error.start} (line {line}) cannot be read; "
            "save it as UTF-8 or name its encoding with --encoding."
        )
        raise AnisoError(message) from error
    except (LookupError, UnicodeError) as error:
        message = f"There is no encoding {visible(encoding)!r}; use one that Python knows, as utf-8 or latin-1."
        raise AnisoError(message) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _plain(text: str) -> list[Document]:
    blocks = [block.strip("\n") for block in text.split("\n\n")]
    blocks = [block for block in blocks if block.strip()]
    if len(blocks) > 1 and any("\n" in block for block in blocks):
        parts = [" ".join(line.strip() for line in block.split("\n") if line.strip()) for block in blocks]
    else:
        parts = [line.strip() for line in text.split("\n") if line.strip()]
    return [Document(str(number), part) for number, part in enumerate(parts, start=1)]


def _json_lines(path: Path, text: str) -> list[Document]:
    documents = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            message = f"{visible(path)}, line {number}, is not JSON ({error}); write one object a line."
            raise AnisoError(message) from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            message = f'{visible(path)}, line {number}, has no "text"; write {{"text": "...", "id": "..."}}.'
            raise AnisoError(message)
        documents.append(Document(str(record.get("id", number)), record["text"]))
    return documents
