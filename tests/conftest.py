"""What the tests share: tiny random models made once in a session, and ways to call the command."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

# Read when transformers and huggingface_hub are imported: no test may reach the network by accident.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Tiny models run faster on one thread, and tests in parallel do not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TEXTS = (
    "The river rose in spring and the miller opened both gates.",
    "Nobody had seen the old bridge since the war, and few had asked.",
    "A measure is only as good as the thing that it leaves out.",
    "She counted the lamps along the quay: seven, eight, nine.",
)
"""The sentences that the tests measure and that the tiny tokenizer learned from."""

FEW = ("--metric", "top-eigenvalue-share", "--metric", "norm-mean")
"""Options that keep a run short where its numbers are not the point."""


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, stdout, stderr; and the run directory that it was told to write, if any."""

    code: int
    out: str
    err: str
    run: Path | None = None


@pytest.fixture(scope="session")
def tokenizer():
    """Return a byte-level BPE tokenizer of 300 tokens whose only special token, `<|endoftext|>`, has id 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    special = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=special, eos_token=special, unk_token=special)


@pytest.fixture(scope="session")
def make_model(tmp_path_factory, tokenizer) -> Callable[..., Path]:
    """Return a function that saves a tiny random model of a type and returns its folder; width 16, context 32."""
    from aniso_core.testing import tiny_model

    def make(model_type: str, name: str, **fields) -> Path:
        folder = tiny_model(tmp_path_factory.mktemp("models") / name, model_type, **fields)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def neox(make_model) -> Path:
    """Return the folder of a GPT-NeoX model of two blocks."""
    return make_model("gpt_neox", "tiny-neox")


@pytest.fixture(scope="session")
def gemma(make_model) -> Path:
    """Return the folder of a Gemma model of two blocks."""
    return make_model("gemma", "tiny-gemma")


@pytest.fixture
def copied(tmp_path, neox) -> Path:
    """Return a copy of the GPT-NeoX folder that a test may spoil."""
    return Path(shutil.copytree(neox, tmp_path / "model"))


@pytest.fixture(scope="session")
def texts(tmp_path_factory) -> Path:
    """Return a file of four prompts, one a line."""
    path = tmp_path_factory.mktemp("prompts") / "four.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def good_paths(neox, texts) -> tuple[Path, Path]:
    """Return a good model's folder and a good prompts file."""
    return neox, texts


@pytest.fixture
def fresh_registry(monkeypatch) -> Iterator[Callable[[], None]]:
    """Return a function that forgets the loaded plugins; they are forgotten before and after the test as well.

    The reporters that ship with aniso are left out: they have tests of their own and take longer than a tiny run.
    """
    from aniso_core import plugins

    def forget() -> None:
        for cached in (plugins.registry, plugins.official_distributions, plugins._installed):
            cached.cache_clear()

    monkeypatch.setenv("ANISO_DISABLE_PLUGINS", "aniso-report")
    forget()
    yield forget
    forget()


@pytest.fixture
def install(tmp_path, monkeypatch, fresh_registry) -> Callable[..., str]:
    """Return a function that installs a module as a distribution of its own."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)

    def put(
        source: str, distribution: str = "strangers-thing", point: str = "strange", target: str = "", needs: str = ""
    ) -> str:
        module = f"made_{distribution.replace('-', '_')}_{len(list(folder.glob('*.py')))}"
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{needs}")
        (info / "entry_points.txt").write_text(f"[aniso]\n{point} = {target or module}\n")
        importlib.invalidate_caches()
        fresh_registry()
        return module

    yield put
    for module in set(sys.modules) - before:
        if module.startswith("made_"):
            del sys.modules[module]


@pytest.fixture
def aniso(fresh_registry) -> Iterator[Callable[..., Ran]]:
    """Return a function that runs the command in this process; a traceback in it fails the test."""
    from aniso_core.cli import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    fresh_registry()

    def run(*args: object) -> Ran:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            pytest.fail("a traceback: " + "".join(traceback.format_exception(result.exception)))
        return Ran(result.exit_code, result.stdout, result.stderr)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def measure(aniso, tmp_path, neox, texts) -> Callable[..., Ran]:
    """Return a function that profiles the good model on the good prompts, or others that are named, into `run`."""

    def run(*options: object, model: Path = neox, prompts: object = texts, out: str = "run") -> Ran:
        ran = aniso("profile", "--model", model, "--prompts", prompts, *options, "--out", tmp_path / out)
        return replace(ran, run=tmp_path / out)

    return run


def _written(folder: Path) -> list[Path]:
    """Return what lies in a folder, Python's own caches of imported plugins left out."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.fixture
def refused(aniso, tmp_path, neox, texts) -> Callable[..., str]:
    """Return a function that profiles what must be refused: exit 1, one sentence with each pattern, nothing written.

    Model and prompts are good ones unless the arguments name others.
    """

    def run(*args: object, wants: tuple[str, ...]) -> str:
        before = _written(tmp_path)
        given = ["profile", *args, "--out", tmp_path / "run"]
        given += [] if {"--model", "--adapter"} & set(args) else ["--model", neox]
        given += [] if "--prompts" in args else ["--prompts", texts]
        given += [] if "--metric" in args else FEW
        ran = aniso(*given)
        said = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
        assert ran.code == 1, ran.err
        assert ran.out == ""
        assert ran.err.splitlines()[-1:] == said, ran.err
        for wanted in wants:
            assert re.search(wanted, said[0]), f"{wanted!r} is not in: {said[0]}"
        assert _written(tmp_path) == before
        return said[0]

    return run


@pytest.fixture
def shell(tmp_path) -> Callable[..., Ran]:
    """Return a function that runs the command in a process of its own, in an empty folder, with more environment."""

    def run(*args: object, timeout: float = 60, **more: str) -> Ran:
        command = [Path(sysconfig.get_path("scripts")) / "aniso", *map(str, args)]
        done = subprocess.run(
            command,
            env=os.environ | {"ANISO_DISABLE_PLUGINS": "aniso-report"} | more,
            cwd=tmp_path,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        out, err = (data.decode("utf-8", "backslashreplace") for data in (done.stdout, done.stderr))
        return Ran(done.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def good_run(tmp_path_factory, neox, texts) -> Path:
    """Return the run directory of an honest profile; tests that spoil it copy it first."""
    from aniso_core.cli import main
    from aniso_core.plugins import registry

    handler = signal.getsignal(signal.SIGTERM)
    folder = tmp_path_factory.mktemp("runs") / "good"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANISO_DISABLE_PLUGINS", "aniso-report")
        registry.cache_clear()
        result = CliRunner().invoke(
            main, ["profile", "--model", str(neox), "--prompts", str(texts), "--out", str(folder)]
        )
    registry.cache_clear()
    signal.signal(signal.SIGTERM, handler)
    assert result.exit_code == 0, result.stderr
    return folder
