"""What a finished run keeps so that more text can be added to it: documents and a state, in `states/` of its directory.

The state is that after the last full shard. Shards are cut in the order of the documents, so that these are shards of
any longer text that begins with the same documents, and only the last one, which more text would fill, is not.
"""

import json
import os
import shutil
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from aniso_core import store
from aniso_core.documents import check_documents, read_documents
from aniso_core.errors import AnisoError
from aniso_core.fold import Fold
from aniso_core.statefile import Reached, read, states
from aniso_core.text import visible
from aniso_core.tokens import Document, texts_sha256
from aniso_core.unfinished import differences

DOCUMENTS = f"{store.STATES}/documents.jsonl"
"""Where a run directory has the documents."""
_INSTEAD = "measure both texts with `aniso profile`, which gives the same"


def put(state: Path | None, documents: Sequence[Document], run: Path) -> None:
    """Put documents and, if there is one, a state into a run directory that is being made; the state stays, too."""
    folder = run / store.STATES
    folder.mkdir()
    lines = [json.dumps(vars(document), ensure_ascii=False) + "\n" for document in documents]
    store.write_file(run / DOCUMENTS, "".join(lines).encode())
    if state is not None:
        try:
            os.link(state, folder / state.name)
        except OSError:  # a file system without links
            store.sync(shutil.copyfile(state, folder / state.name))
    store.sync(folder)


class Earlier:
    """A finished run whose text is the beginning of a longer one."""

    def __init__(self, run: Path, tell: Callable[[str], object]) -> None:
        """Read what it was asked and its documents; `tell` is told in a sentence how much is measured already.

        Raises AnisoError where it is no run, keeps no states, or its documents are damaged.
        """
        self._run, self._tell = run, tell
        record = store.load_record(run)
        self._asked, self.prompts = record.asked, str((record.prompts or {}).get("name", ""))
        if not states(run / store.STATES):
            message = (
                f"{visible(run)} keeps no states to go on from, as `aniso profile --keep-states` would have had it; "
                f"{_INSTEAD}."
            )
            raise AnisoError(message)
        self.documents: Sequence[Document] = self._documents()
        """The documents that it measured."""

    def followed_by(self, more: Sequence[Document]) -> list[Document]:
        """Return its documents and more; of these, those that are called by their number are numbered on.

        Raises AnisoError where one has the id of one that is there.
        """
        start, known = len(self.documents), {document.id for document in self.documents}
        ids = [str(start + n) if document.id == str(n) else document.id for n, document in enumerate(more, start=1)]
        both = [each for each in ids if each in known]
        if both:
            message = f"{visible(self._run)} has a document of the id {visible(both[0])!r} already; ids must differ."
            raise AnisoError(message)
        added = [Document(each, document.text) for each, document in zip(ids, more, strict=True)]
        return check_documents([*self.documents, *added])

    def agree(self, facts: Mapping[str, Any], but: Container[str] = ()) -> None:
        """Raise AnisoError where a fact, `but` for some, is another now; what was left to aniso may be said by now."""
        now = {name: value for name, value in facts.items() if name not in but and self._asked.get(name) is not None}
        if other := differences({name: self._asked[name] for name in now}, json.loads(json.dumps(now))):
            message = (
                f"{visible(self._run)} was measured with something else: {other}. Make it the same, or {_INSTEAD}."
            )
            raise AnisoError(message)

    def restore(self, fold: Fold, device: str) -> Reached:
        """Put its state into an empty fold, as `Unfinished.restore` does; return how far that had come.

        Raises AnisoError where it is damaged.
        """
        found = states(self._run / store.STATES)
        if len(found) != 1:
            raise _damaged(self._run / store.STATES, f"it holds {len(found)} states")
        try:
            state, reached = read(found[0])
            fold.restore(state, None if "," in device else device)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _damaged(found[0], error) from error
        self._tell(
            f"Going on from {visible(self._run)}: {reached.total - reached.tokens:,} of its {reached.total:,} tokens "
            "must be measured again."
        )
        return reached

    def _documents(self) -> list[Document]:
        try:
            documents = read_documents(self._run / DOCUMENTS)
        except AnisoError as error:
            raise _damaged(self._run / DOCUMENTS, error) from error
        if texts_sha256(documents) != self._asked.get("texts"):
            raise _damaged(self._run / DOCUMENTS, "the texts are others than were measured")
        return documents


def _damaged(path: Path, fault: object) -> AnisoError:
    return AnisoError(f"{visible(path)} is damaged ({visible(fault).rstrip('.')}); {_INSTEAD}.")
