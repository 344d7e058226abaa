"""Tokenizer and token sequences that both models of the tiny pair share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import texts
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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


def read_books(folder: Path) -> list[list[texts.Chapter]]:
    """Read the six novels and the Bible, each a list of chapters."""
    novels = texts.austen(folder)
    titles = dict.fromkeys(chapter.title for chapter in novels)
    by_title = [[chapter for chapter in novels if chapter.title == title] for title in titles]
    return [*by_title, texts.king_james(folder)]


def build_corpus(books: list[list[texts.Chapter]], seed: int) -> Corpus:
    """Split the books by chapter, train the tokenizer on one part and encode both."""
    kept, away = split_books(books, seed)
    train, held_out = list(_documents(kept)), list(_documents(away))
    tokenizer = train_tokenizer(train)
    held_out_tokens = _encode(tokenizer, held_out)
    return Corpus(
        tokenizer=tokenizer,
        train=_pack(_encode(tokenizer, train)),
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


def train_tokenizer(documents: Iterable[str]) -> Tokenizer:
    """Train a byte-level BPE tokenizer whose entry 0 is the end-of-text token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
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
