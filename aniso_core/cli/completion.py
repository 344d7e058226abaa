"""Shell completion: the script that a shell sources, and names completed from the registry without torch."""

from collections.abc import Callable
from typing import TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from aniso_core.cli.say import out

F = TypeVar("F", bound=Callable[..., object])
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(kind: str) -> Completer:
    """Return a completer of the names of a kind of plugin item."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from aniso_core.plugins import registry

        return [CompletionItem(name) for name in registry().names(kind) if name.startswith(incomplete)]

    return complete


USUAL = "the name default: all installed but those on request"
"""What stands for metrics or reporters where none is named."""


def repeatable(flag: str, name: str, kind: str, asks: str, usual: str = "all installed") -> Callable[[F], F]:
    """Return an option that names items of a kind, may be repeated, and defaults to the `usual` ones."""
    said = f"{asks}; may be repeated. [default: {usual}]"
    return click.option(flag, name, multiple=True, shell_complete=completing(kind), help=said)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write the completion script of a shell, as in `eval "$(aniso completion bash)"`."""
    made = get_completion_class(shell)
    if made is None:
        message = f"click completes nothing in {shell}."
        raise click.UsageError(message)
    out(made(ctx.find_root().command, {}, "aniso", "_ANISO_COMPLETE").source())
