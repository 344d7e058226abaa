"""Tokenizer and token sequences that twins share, as do the models of the tiny pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from aniso_core.errors import AnisoError
from aniso_twins import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SEED = 0
VOCABULARY = 4096
CONTEXT = 256
END, END_ID = "<|endoftext|>", 0
HELD_OUT = 0.05
DOCUMENT_CHARACTERS = 1000


@dataclass(frozen=True)
class Corpus:
    """Token sequences of both splits, with what is needed to quote bits per byte."""

    tokenizer: Tokenizer
    train: np.ndarray
    """int64[n, 256], in the order of the books."""
    held_out: np.ndarray
    """int64[m, 256]."""
    held_out_bytes_per_token: float

    @property
    def sha256(self) -> str:
        """Return the SHA-256 over the tokens of both splits, which is all that models see of the texts."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            digest.update(f"{len(part)} sequences\n".encode() + part.astype("<i8").tobytes())
        return digest.hexdigest()


def find_books(folder: Path) -> list[list[texts.Chapter]]:
    """Read the .txt files of a folder, each a book; where it has none, fetch the six novels and the Bible into it."""
    files = sorted(folder.glob("*.txt"))
    if files:
        return [texts.plain(path) for path in files]
    texts.fetch(folder, texts.TRAINING_PACKAGES)
    return read_books(folder)


def read_books(folder: Path) -> list[list[texts.Chapter]]:
    """Read the six novels and the Bible, each a list of chapters."""
    novels = texts.austen(folder)
    titles = dict.fromkeys(chapter.title for chapter in novels)
    by_title = [[chapter for chapter in novels if chapter.title == title] for title in titles]
    return [*by_title, texts.king_james(folder)]


def build_corpus(books: list[list[texts.Chapter]], seed: int, vocabulary: int = VOCABULARY) -> Corpus:
    """Split the books by chapter, train the tokenizer on one part and encode both; raises AnisoError for too little."""
    kept, away = split_books(books, seed)
    train, held_out = list(_documents(kept)), list(_documents(away))
    tokenizer = train_tokenizer(train, vocabulary)
    train_tokens, held_out_tokens = _encode(tokenizer, train), _encode(tokenizer, held_out)
    if min(len(train_tokens), len(held_out_tokens)) < CONTEXT:
        message = (
            f"Wanted {CONTEXT} tokens or more to train on and as many to hold out, got {len(train_tokens)} and "
            f"{len(held_out_tokens)}; add text."
        )
        raise AnisoError(message)
    return Corpus(
        tokenizer=tokenizer,
        train=_pack(train_tokens),
        held_out=_pack(held_out_tokens),
        held_out_bytes_per_token=sum(len(d.encode()) for d in held_out) / len(held_out_tokens),
    )


def split_books(books: list[list[texts.Chapter]], seed: int) -> tuple[list[texts.Chapter], list[texts.Chapter]]:
    """Return the chapters to train on and those held out, in the order of the books."""
    rng = np.random.default_rng(seed)
    kept, away = [], []
    for book in books:
        # Whole chapters are held out, so that no held-out sentence has its neighbour in training.
        count = max(1, round(HELD_OUT * len(book)))
        chosen = set(rng.choice(len(book), size=count, replace=False).tolist())
        kept += [chapter for i, chapter in enumerate(book) if i not in chosen]
        away += [book[i] for i in sorted(chosen)]
    return kept, away


def train_tokenizer(documents: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """Train a byte-level BPE tokenizer whose entry 0 is the end-of-text token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def _documents(chapters: list[texts.Chapter]) -> Iterator[str]:
    """Join neighbouring paragraphs until a document about fills the context."""
    for chapter in chapters:
        document = ""
        for paragraph in chapter.paragraphs:
            document = f"{document}\n{paragraph}" if document else paragraph
            if len(document) >= DOCUMENT_CHARACTERS:
                yield document
                document = ""
        if document:
            yield document


def _encode(tokenizer: Tokenizer, documents: list[str]) -> list[int]:
    encodings = tokenizer.encode_batch(documents, add_special_tokens=False)
    return [token for encoding in encodings for token in (END_ID, *encoding.ids)]


def _pack(tokens: list[int]) -> np.ndarray:
    whole = len(tokens) // CONTEXT * CONTEXT
    return np.asarray(tokens[:whole], dtype=np.int64).reshape(-1, CONTEXT)
