"""Prompts as people really have them: wrong, empty, odd or huge; the answer is one sentence or a right number."""

import json
import re

import pytest
from conftest import FEW, TEXTS

from aniso_core import store
from aniso_core.documents import read_documents
from aniso_core.errors import AnisoError
from aniso_core.tokenizing import TokenizerRules
from aniso_core.tokens import Document

GOOD = "The river rose in spring and the miller opened both gates."
REFUSED = {
    "empty": ("p.txt", b"", [r"no prompts in .*p\.txt", "empty or blank", "one document a line"]),
    "blank lines": ("p.txt", b"\n \n\t\r\n\n", [r"no prompts in .*p\.txt", "empty or blank"]),
    "byte order mark alone": ("p.txt", b"\xef\xbb\xbf\n", ["no prompts in"]),
    "not UTF-8": ("p.txt", b"first\nsecond \xff here\n", ["not utf-8", r"byte 13 \(line 2\)", "--encoding"]),
    "bad JSON": ("p.jsonl", b'{"text": "a"}\n{"text": \n', ["line 2", "not JSON", "one object a line"]),
    "deep JSON": ("p.jsonl", b"[" * 200_000, ["line 1", "not JSON"]),
    "JSON of another kind": ("p.jsonl", b'["text"]\n', ["line 1", 'no "text"', '"text"']),
    "no text": ("p.jsonl", b'{"text": "a"}\n\n{"txt": "b"}\n', ["line 3", 'no "text"']),
    "text is a number": ("p.jsonl", b'{"text": 12}\n', ["line 1", 'no "text"']),
    "same id twice": ("p.jsonl", b'{"text": "a", "id": "x"}\n{"text": "b", "id": "x"}\n', ["id 'x'", "must differ"]),
    "half a surrogate pair": ("p.jsonl", b'{"text": "a \\ud800 b"}\n', ["Document 1", "surrogate", "mend"]),
    "half a surrogate pair in an id": (
        "p.jsonl",
        b'{"text": "a", "id": "\\ud800"}\n',
        ["Document", "surrogate", "mend"],
    ),
    "blank text": ("p.jsonl", b'{"text": "a"}\n{"text": " \\n"}\n', ["Document 2 is blank", "leave it out"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused(case, tmp_path, refused):
    """A prompts file that cannot be measured is refused in one sentence that says where and what to do."""
    name, data, wants = REFUSED[case]
    path = tmp_path / name
    path.write_bytes(data)
    refused("--prompts", path, wants=tuple(wants))


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "undefined", "idna"])
def test_an_unusable_encoding_is_refused(encoding, tmp_path, refused):
    """An encoding that Python does not know, or that cannot read the file, is refused by name."""
    path = tmp_path / "p.txt"
    path.write_bytes(b"a.b\xff..c\n")
    refused("--prompts", path, "--encoding", encoding, wants=(encoding, r"use one|--encoding"))


def test_a_missing_file_lists_the_sets(tmp_path, refused):
    """A name that is neither a file nor a set says both and lists the sets."""
    refused("--prompts", tmp_path / "absent.txt", wants=("no file", r"absent\.txt", "prompt sets are", "paper3"))


def test_a_folder_is_no_prompts_file(tmp_path, refused):
    """A folder given for a file is refused."""
    refused("--prompts", tmp_path, wants=("Cannot read the prompts", "directory", "give a file"))


def test_a_misspelt_set_lists_the_nearest_first(refused):
    """A misspelt prompt set is answered by the known ones, the nearest first."""
    refused("--prompts", "papr3", wants=(r"prompt sets are paper3",))


@pytest.mark.parametrize(
    ("data", "encoding", "wanted"),
    [
        (b"\xef\xbb\xbfone\ntwo\n", "utf-8", ["one", "two"]),
        (b"one\r\n\r\ntwo\r\n", "utf-8", ["one", "two"]),
        (b"one\n\n\ntwo\n\nthree\n", "utf-8", ["one", "two", "three"]),
        (b"one\nstill one\n\ntwo\n", "utf-8", ["one still one", "two"]),
        (b"one\r\nstill one\r\n\r\ntwo\r\n", "utf-8", ["one still one", "two"]),
        ("caf\u00e9\n".encode("latin-1"), "latin-1", ["caf\u00e9"]),
        ("\ufeffcaf\u00e9\n".encode("utf-16"), "utf-16", ["caf\u00e9"]),
        (b"a\0b\x1b[31mc\x07d\n", "utf-8", ["a\0b\x1b[31mc\x07d"]),
        ("\u202eright to left\u202c \U0001f600".encode(), "utf-8", ["\u202eright to left\u202c \U0001f600"]),
    ],
    ids=["bom", "crlf", "lines", "paragraphs", "crlf paragraphs", "latin-1", "utf-16", "controls", "bidi"],
)
def test_a_file_is_read_as_its_documents(data, encoding, wanted, tmp_path):
    """Byte order marks and line ends are not text; everything else is, and blank lines part paragraphs."""
    path = tmp_path / "p.txt"
    path.write_bytes(data)
    assert [document.text for document in read_documents(path, encoding)] == wanted


def test_json_lines_keep_ids_and_line_breaks(tmp_path):
    """A JSON line is one document, its line breaks kept; without an id it takes its line's number."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"text": "a\\n\\nb", "id": 7}\r\n\n{"text": "c"}\n', encoding="utf-8")
    assert read_documents(path) == [Document("7", "a\n\nb"), Document("3", "c")]


@pytest.mark.parametrize("text", ["<|endoftext|>", "a <|endoftext|> b", "<|endoftext|><|endoftext|>"])
def test_text_that_looks_special_stays_text(text, tokenizer):
    """A special token's name inside a prompt is split like any word and never becomes that token."""
    rules = TokenizerRules(tokenizer, len(tokenizer))
    (window,) = rules.tokenize([Document("1", text)], bos="omit", limit=100).windows
    assert 0 not in window.ids
    assert tokenizer.decode(window.ids) == text


def test_control_characters_are_measured_as_given(tokenizer):
    """NUL, escape and backspace reach the tokenizer unchanged."""
    text = "a\0b\x1b[31mc\x08"
    (window,) = TokenizerRules(tokenizer, len(tokenizer)).tokenize([Document("1", text)], bos="auto", limit=100).windows
    assert tokenizer.decode(window.ids) == text


def _curves(folder):
    """Return the curves of a run's JSON by (metric, stream, tokens), refusing the NaN that JSON does not know."""

    def refuse(name: str):
        pytest.fail(f"{name} in profile.json")

    data = json.loads((folder / "profile.json").read_text(encoding="utf-8"), parse_constant=refuse)
    return {(c["metric"], c["stream"], c["tokens"]): c for c in data["curves"]}


def test_one_token_has_no_spread_and_says_so(aniso, neox, tmp_path):
    """One token alone is measured: norms have values, spectra have none and say why, nothing is NaN."""
    (tmp_path / "p.txt").write_text("a\n", encoding="utf-8")
    ran = aniso("profile", "--model", neox, "--prompts", tmp_path / "p.txt", "--bos", "omit", "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    profile = store.load(tmp_path / "run")
    assert profile.prompts.tokens == 1
    curves = _curves(tmp_path / "run")
    assert all(value > 0 for value in curves["norm-mean", "residual", "all"]["values"])
    share = curves["top-eigenvalue-share", "residual", "all"]
    assert share["values"] == [None, None, None]
    assert [gap["layer"] for gap in share["missing"]] == [0, 1, 2]
    assert all("one" in gap["reason"] or "1" in gap["reason"] for gap in share["missing"])
    assert "no token" in curves["norm-mean", "residual", "bulk"]["missing"][0]["reason"]
    assert {v["outcome"] for v in json.loads((tmp_path / "run/verdicts.json").read_text())["verdicts"]} <= {
        "not_testable",
        "descriptive",
    }


def test_identical_documents_are_counted_and_have_no_spread_at_the_input(aniso, neox, tmp_path):
    """Documents that are all one same token are said to repeat; a share of no variance is missing with its reason."""
    lines = "".join(f'{{"text": "a", "id": {number}}}\n' for number in range(6))
    (tmp_path / "p.jsonl").write_text(lines, encoding="utf-8")
    ran = aniso("profile", "--model", neox, "--prompts", tmp_path / "p.jsonl", "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "5 of 6 documents repeat another" in ran.err
    assert store.load(tmp_path / "run").prompts.duplicates == 5
    for (metric, _, tokens), curve in _curves(tmp_path / "run").items():
        gaps = {gap["layer"]: gap["reason"] for gap in curve["missing"]}
        assert [layer for layer, value in zip(curve["layers"], curve["values"], strict=True) if value is None] == list(
            gaps
        )
        if metric in {"top-eigenvalue-share", "participation-ratio", "isoscore"} and tokens == "all":
            assert set(gaps) == set(curve["layers"])
            assert all(gaps.values())


def test_a_long_document_is_split_and_said(aniso, neox, tmp_path):
    """A document longer than the context becomes windows that hold all of its tokens, and this is said."""
    (tmp_path / "p.txt").write_text(" ".join(TEXTS * 3) + "\n" + GOOD, encoding="utf-8")
    ran = aniso("profile", "--model", neox, "--prompts", tmp_path / "p.txt", *FEW, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    prompts = store.load(tmp_path / "run").prompts
    assert (prompts.documents, prompts.max_length) == (2, 32)
    assert prompts.windows > 10
    assert f"2 documents were split into {prompts.windows} windows of at most 32 tokens" in ran.err


def test_max_length_never_exceeds_the_context(aniso, neox, texts, tmp_path):
    """A --max-length beyond the context is cut to it, and one below it cuts windows."""
    for asked, used in ((10_000, 32), (5, 5)):
        out = tmp_path / str(asked)
        ran = aniso("profile", "--model", neox, "--prompts", texts, *FEW, "--max-length", asked, "--out", out)
        assert ran.code == 0, ran.err
        assert store.load(out).prompts.max_length == used


def test_bos_without_room_is_refused(texts, refused):
    """A window that special tokens fill leaves no room for text and is refused."""
    refused("--prompts", texts, "--bos", "add", "--max-length", "1", wants=("window of 1", "no room"))


def test_ten_thousand_short_prompts_run(aniso, neox, tmp_path):
    """Ten thousand prompts are measured in one run, every one of them."""
    (tmp_path / "p.txt").write_text("".join(f"no {n:x}\n" for n in range(10_000)), encoding="utf-8")
    few = ("--metric", "norm-mean", "--stream", "residual", "--tokens", "all", "--batch-tokens", 16_384, "--quiet")
    ran = aniso("profile", "--model", neox, "--prompts", tmp_path / "p.txt", *few, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    profile = store.load(tmp_path / "run")
    assert (profile.prompts.documents, profile.prompts.duplicates) == (10_000, 0)
    assert profile.counts[0].counts == (profile.prompts.tokens,) * 3


@pytest.mark.parametrize("name", [b"p\xff.txt", "p\x1b[31m\u202e.txt".encode()], ids=["not UTF-8", "escapes"])
def test_a_hostile_file_name_is_shown_escaped(name, aniso, neox, tmp_path):
    """A prompts file whose name is no text, or commands a terminal, is measured and its name shown escaped."""
    import os

    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    with open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123 - the name is the point
        stream.write(GOOD)
    ran = aniso("profile", "--model", neox, "--prompts", path, *FEW, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert not re.search("[\x1b\u202e\udc80-\udcff]", ran.err + ran.out)
    assert store.load(tmp_path / "run").prompts.documents == 1


@pytest.mark.parametrize("texts_", [[], [""], ["a", 7], ["\ud800"]], ids=["none", "blank", "number", "surrogate"])
def test_texts_from_python_are_checked(texts_):
    """Texts handed over in Python meet the same rules as files."""
    from aniso_core.documents import documents_from

    with pytest.raises(AnisoError, match=r"no prompts|blank|wanted text|surrogate"):
        documents_from(texts_)
