"""The command `aniso`: click groups that look plugins up, call the engine, and turn errors into exits."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from aniso_core.cli.say import TRACEBACK, abandon, say, show_tracebacks
from aniso_core.errors import AnisoError
from aniso_core.isolation import log_traceback
from aniso_core.text import nearest_first

_COMMANDS = {
    "profile": "profile:profile",
    "extend": "extend:extend",
    "sweep": "sweep:sweep",
    "preregister": "preregister:preregister",
    "test": "runs:test",
    "compare": "compare:compare",
    "report": "runs:report",
    "export": "export:export",
    "runs": "folder:runs",
    "adapters": "lists:adapters",
    "metrics": "lists:metrics",
    "hypotheses": "lists:hypotheses",
    "reporters": "lists:reporters",
    "prompts": "lists:prompts",
    "executors": "lists:executors",
    "plugins": "lists:plugins",
    "new": "new:new",
    "doctor": "doctor:doctor",
    "completion": "completion:completion",
}


STOPPED = "aniso.stopped"
"""What was raised as a signal came, in a command's meta."""


@contextmanager
def _readers_may_leave() -> Iterator[None]:
    """Exit 0 where the reader of stdout closed it; click would say 1."""
    try:
        yield
    except BrokenPipeError:
        abandon(sys.stdout)
        sys.exit(0)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came, which goes through plugins like Ctrl-C; SystemExit would be theirs alone."""


class App(click.Group):
    """The command group: subcommands are imported when they run, and errors become one sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, the main ones first."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, importing its module."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"aniso_core.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; an unknown name lists the known ones."""
        if not (args[0] in _COMMANDS or args[0].startswith("-") or ctx.resilient_parsing):
            message = f"No such command {args[0]!r}; the commands are {', '.join(nearest_first(args[0], _COMMANDS))}."
            raise click.UsageError(message, ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; --help may be cut short by its reader."""
        with _readers_may_leave():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its output may be cut short by its reader."""
        asked = bool(os.environ.get(TRACEBACK))
        if asked:
            show_tracebacks(ctx)
        try:
            with _readers_may_leave():
                return super().invoke(ctx)
        except Exception as error:
            if STOPPED in ctx.meta:
                raise ctx.meta[STOPPED] from error
            # What a user mistook has no cause, and where aniso noticed it tells them little.
            if isinstance(error, AnisoError) and (asked or error.__cause__ is not None):
                log_traceback("command", error)
            raise

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> Any:
        """Run the command and exit: 0 done, 1 error, 2 usage, 3 parts failed, 130 or 143 interrupted."""
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character gets its escape rather than a traceback.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        extra["standalone_mode"] = False
        try:
            sys.exit(super().main(args, **extra) or 0)
        except AnisoError as error:
            say(f"Error: {error}")
            sys.exit(1)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(2)
        except click.UsageError as error:
            if error.ctx is not None:
                click.echo(error.ctx.get_usage(), err=True)
            say(f"Error: {' '.join(error.format_message().split())}")
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt) as error:
            # click makes an Abort of either.
            stop = error.__cause__ or error
            terminated = isinstance(stop, _Terminated)
            # The last note is of the command, which knows best what goes on.
            told = getattr(stop, "__notes__", ["nothing was left half-written."])[-1]
            say(f"{'Terminated' if terminated else 'Interrupted'}; {told}")
            sys.exit(143 if terminated else 130)
        except OSError as error:
            if os.environ.get(TRACEBACK):
                raise
            place = (
                f"{error.filename} cannot be used; mend that, or name another place"
                if error.filename
                else "the output cannot be written"
            )
            say(f"Error: {error.strerror or error}: {place}.")
            try:
                sys.stdout.flush()
            except OSError:
                abandon(sys.stdout)
            sys.exit(1)


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aniso", prog_name="aniso")
def main() -> None:
    """Profile how a language model's hidden states are spread out, layer by layer, and test claims about it."""
    # SIGTERM would skip the clean-up that removes a half-written run.
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background ignores it
        signal.signal(signal.SIGINT, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Interrupt the command, and note it: torch swallows an interrupt that comes while it imports numpy, and fails."""
    stopped = _Terminated if number == signal.SIGTERM else KeyboardInterrupt
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[STOPPED] = stopped
    raise stopped
