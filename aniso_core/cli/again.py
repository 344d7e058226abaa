"""Commands that were given, as they are given again: to measure a stored run anew, or to go on with what broke off."""

import os.path
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click


def command(request: Mapping[str, Any]) -> str:
    """Return the `aniso profile` command that asked for a run, empty where Python did."""
    from aniso_core.cli.profile import profile

    return spelt(profile, request) if "adapter" in request else ""


def spelt(asked: click.Command, given: Mapping[str, Any]) -> str:
    """Return a command with what it was given, by parameter, as the shell takes it.

    Options at their defaults are left out, and the home folder is written `~`, since reports are passed on.
    """
    return " ".join(["aniso", str(asked.name), *map(_word, words(asked, given))])


def words(asked: click.Command, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the arguments and options that a command was given, by parameter, but for those at their defaults."""
    for param in asked.params:
        value = given.get(param.name or "")
        if value in (None, False, [], (), param.default):
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(param, click.Option):
                yield param.opts[0]
            if one is not True:
                yield str(one)


def _word(text: str) -> str:
    """Return a word as the shell takes it."""
    home = f"{os.path.expanduser('~')}/"  # noqa: PTH111 - pathlib's raises where there is no home
    return f"~/{shlex.quote(text.removeprefix(home))}" if text.startswith(home) else shlex.quote(text)
