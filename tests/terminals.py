"""A real pseudo-terminal that commands of the tests run on."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ANISO = str(Path(sysconfig.get_path("scripts")) / "aniso")
ESCAPE = re.compile("\x1b")
CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(args: list[str], *, command: tuple[str, ...] = (ANISO,), **more: str) -> str:
    """Return what a command shows on a terminal of 80 columns, or as `COLUMNS` says."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, *map(str, args)], stdout=theirs, stderr=theirs, env=os.environ | {"COLUMNS": "80"} | more
    ) as run:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the other side has closed
                break
            if not part:
                break
            shown += part
        assert run.wait(timeout=60) == 0
    os.close(ours)
    return shown.decode()
