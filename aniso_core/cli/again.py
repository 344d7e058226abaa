"""The command that measures a stored run again."""

import os.path
import shlex
from collections.abc import Mapping
from typing import Any

import click


def command(request: Mapping[str, Any]) -> str:
    """Return the `aniso profile` command that asked for a run, empty where Python did.

    Options at their defaults are left out, and the home folder is written `~`, since reports are passed on.
    """
    from aniso_core.cli.profile import profile

    if "adapter" not in request:
        return ""
    words = ["aniso", "profile"]
    for option in profile.params:
        value = request.get(option.name or "")
        if isinstance(option, click.Option) and value not in (None, False, [], (), option.default):
            values = value if isinstance(value, list | tuple) else [value]
            words += [option.opts[0]] if value is True else [w for one in values for w in (option.opts[0], _word(one))]
    return " ".join(words)


def _word(value: object) -> str:
    """Return a value as the shell takes it."""
    text = str(value)
    home = f"{os.path.expanduser('~')}/"  # noqa: PTH111 - pathlib's raises where there is no home
    return f"~/{shlex.quote(text.removeprefix(home))}" if text.startswith(home) else shlex.quote(text)
