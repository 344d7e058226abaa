"""What a tokenizer does to text: its special tokens, measured rather than believed, and windows of the rest."""

from collections.abc import Iterable
from typing import Any

from aniso_core.contracts import BosRule
from aniso_core.errors import AnisoError
from aniso_core.text import visible
from aniso_core.tokens import Document, Tokenized, Window


class TokenizerRules:
    """A tokenizer with the special tokens that it puts around a text, found by encoding one.

    A tokenizer's attributes may say one thing and its post-processor do another.
    """

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        """Encode a letter with and without special tokens; `vocabulary` is how many tokens the model knows."""
        self._tokenizer, self._vocabulary = tokenizer, vocabulary
        bare, dressed = self._encode("a", special=False), self._encode("a", special=True)
        start = _find(dressed, bare)
        if start is None:
            message = "The tokenizer changes the text itself when it adds special tokens, so windows cannot be cut."
            raise AnisoError(message)
        self.prefix, self.suffix = dressed[:start], dressed[start + len(bare) :]

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, limit: int) -> Tokenized:
        """Return the documents as windows of at most `limit` tokens; raises AnisoError for one without tokens."""
        prefix, suffix = self._around(bos)
        room = limit - len(prefix) - len(suffix)
        if room < 1:
            message = f"A window of {limit} tokens leaves no room beside {len(prefix) + len(suffix)} special ones."
            raise AnisoError(message)
        windows, count = [], 0
        for count, document in enumerate(documents, start=1):
            ids = self._encode(document.text, special=False)
            if not ids:
                message = f"Document {visible(document.id)} has no tokens in this model's vocabulary; leave it out."
                raise AnisoError(message)
            if max(ids) >= self._vocabulary:
                message = (
                    f"The tokenizer makes token {max(ids)} of document {visible(document.id)} and the model's "
                    f"vocabulary has {self._vocabulary}; they do not belong together."
                )
                raise AnisoError(message)
            windows += [
                Window((*prefix, *ids[at : at + room], *suffix), count - 1, len(prefix), len(suffix))
                for at in range(0, len(ids), room)
            ]
        return Tokenized(tuple(windows), count, self._said(bos, prefix, suffix), limit)

    def _around(self, bos: BosRule) -> tuple[list[int], list[int]]:
        token = self._tokenizer.bos_token_id
        if bos == "omit":
            return [], []
        # BOS may be id 0, so it is compared with None.
        if bos == "add" and token is None:
            message = "This tokenizer has no BOS token to add; use --bos auto or --bos omit."
            raise AnisoError(message)
        if bos == "add" and token not in self.prefix:
            return [int(token), *self.prefix], self.suffix
        return self.prefix, self.suffix

    def _said(self, bos: BosRule, prefix: list[int], suffix: list[int]) -> str:
        names = [visible(n) for n in self._tokenizer.convert_ids_to_tokens([*prefix, *suffix])]
        before, after = names[: len(prefix)], names[len(prefix) :]
        said = f"{' '.join(before) or 'nothing'} before each window"
        return f"{bos}: {said}" + (f", {' '.join(after)} after it" if after else "")

    def _encode(self, text: str, *, special: bool) -> list[int]:
        # Text is text: what looks like a special token in a prompt is split like any other word.
        encoded = self._tokenizer(text, add_special_tokens=special, split_special_tokens=True, verbose=False)
        ids: list[int] = list(encoded["input_ids"])
        return ids


def _find(whole: list[int], part: list[int]) -> int | None:
    spots = range(len(whole) - len(part) + 1)
    return next((at for at in spots if part and whole[at : at + len(part)] == part), None)
