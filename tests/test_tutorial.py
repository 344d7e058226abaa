"""The pages that are followed line by line work as printed: their files, their commands, and what these say."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("plugins/README.md", "docs/tutorial.md")
NEED_INDEX = {
    "pip install build twine",
    "python -m build aniso-mean-alignment",
    "twine check aniso-mean-alignment/dist/*",
    "pip uninstall --yes aniso-mean-alignment",
    "pip install aniso-mean-alignment/dist/aniso_mean_alignment-0.1.0-py3-none-any.whl",
}
"""Lines of the tutorial that fetch packages, or need those that were fetched: run with `make test-real` alone."""
NEED_ACCOUNT = {
    "twine upload --repository testpypi aniso-mean-alignment/dist/*",
    "twine upload aniso-mean-alignment/dist/*",
    "pip install aniso-mean-alignment",
}
"""Lines that are never run."""
NUMBER = r"\d+\.\d{3}\b"
COMMANDS = """
aniso() { python -c 'from aniso_core.cli import main; main()' "$@"; }
for name in pip pytest twine; do eval "$name() { python -m $name \\"\\$@\\"; }"; done
"""
"""The commands of this environment, run by the reader's Python."""


class Reader:
    """Somebody with a fresh environment, in which what is installed here can be imported, and an empty folder."""

    def __init__(self, home, *, index):
        venv.create(home / "venv", with_pip=True)
        self.folder = home / "folder"
        self.folder.mkdir()
        self.environment = os.environ | {
            "PATH": f"{home / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if Path(path).is_dir()),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        if not index:
            # pip reads the second as "no isolation": what builds a plugin is that of this environment.
            self.environment |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def runs(self, *command):
        """Return what a command says, on stdout and stderr, colours taken off."""
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, check=False, stdout=-1, stderr=subprocess.STDOUT
        )
        assert ran.returncode == 0, f"{command[-1]}\n{ran.stdout}"
        return re.sub(r"\x1b\[\d*m", "", ran.stdout)

    def writes(self, name, text):
        """Write a file; where it has the text's first line already, from there on."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        kept, found, _ = (path.read_text() if path.exists() else "").partition(text.splitlines()[0])
        path.write_text((kept if found else "") + text)


def blocks(page):
    """Yield each block of a page: the paragraph before it, its language, and its text."""
    before, *pieces = re.split(r"(?ms)^```(\w+)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"))
    for language, text, after in zip(*(iter(pieces),) * 3, strict=True):
        yield before.strip().rpartition("\n\n")[2], language, text
        before = after


def assert_said(printed, said):
    """Hold what was said against what is printed: `...` is anything, and rounded numbers may be off by 0.002."""
    assert printed.strip(" .\n")
    parts = [r"\s+".join(map(re.escape, part.split())) for part in printed.split("...")]
    pattern = re.sub(r"\d+\\\.\d{3}\b", lambda _: f"({NUMBER})", ".*?".join(parts))
    found = re.search(pattern, said, re.DOTALL)
    assert found, f"wanted\n{printed}\ngot\n{said}"
    numbers = [[float(text) for text in texts] for texts in (found.groups(), re.findall(NUMBER, printed))]
    assert numbers[0] == pytest.approx(numbers[1], abs=2e-3)


@pytest.mark.parametrize("index", [False, pytest.param(True, marks=pytest.mark.real)], ids=["alone", "with an index"])
@pytest.mark.parametrize("page", PAGES)
def test_page_works_as_printed(page, index, tmp_path):
    """Whoever follows a page from top to bottom gets what it says."""
    reader, skipped = Reader(tmp_path, index=index), NEED_ACCOUNT if index else NEED_ACCOUNT | NEED_INDEX
    said = ""
    for before, language, text in blocks(page):
        file = re.search(r"`([\w-]+/[\w./-]+)`", before) if before.endswith(":") else None
        if language == "bash":
            lines = [line for line in text.splitlines() if line not in skipped]
            said = "".join(reader.runs("bash", "-c", COMMANDS + line) for line in lines) if lines else None
        elif language == "text":
            if said is not None:
                assert_said(text, said)
        elif file:
            reader.writes(file[1], text)
        else:
            assert language == "python"
            said = reader.runs("python", "-c", text)


def test_lines_that_are_not_run_are_there():
    """What is left out is still printed, so that nothing is left out that was changed meanwhile."""
    lines = {
        line for page in PAGES for _, language, text in blocks(page) if language == "bash" for line in text.splitlines()
    }
    assert lines >= NEED_INDEX | NEED_ACCOUNT
