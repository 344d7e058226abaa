"""`aniso extend`: more text added to a finished run, of which little is measured again."""

import os.path
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from aniso_core import store
from aniso_core.cli.again import spelt, words
from aniso_core.cli.completion import completing
from aniso_core.cli.config import require_permitted
from aniso_core.cli.parts import measuring, seldom_collecting
from aniso_core.cli.profile import finish, profile, requested
from aniso_core.cli.reporting import drawn
from aniso_core.cli.say import note, plugins, talking
from aniso_core.extending import DOCUMENTS, Earlier
from aniso_core.text import slug


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--prompts",
    required=True,
    shell_complete=completing("prompts"),
    help="What is added: a prompt set, or a file of documents as `aniso profile` takes it.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a prompts file.")
@drawn("those of RUN")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="Run directory to write. [default: beside RUN, RUN+<prompts>]",
)
@measuring("Go on where the new run broke off, if it did.")
@talking()
@click.pass_context
@seldom_collecting()
def extend(context: click.Context, /, run: Path, **given: Any) -> None:
    """Add documents to RUN, which kept its states, and write a new run of both texts; RUN stays as it was.

    It is what `aniso profile` gives of RUN's documents and, after them, these, but only what RUN's states do not hold
    is measured.
    """
    earlier = Earlier(run, note)
    given["folder"] = folder = given["folder"] or _beside(run, given["prompts"])
    # RUN's own file of options, so that all that is not said here is as it was there; but not its text's encoding.
    asking = ["--config", str(run / store.CONFIG), "--encoding", given["encoding"], *words(context.command, given)]
    with profile.make_context("profile", asking, parent=context) as asked:
        require_permitted(asked)
    known = plugins()
    request = requested(known, asked.params)
    # The new run has all the texts, and that is where its own file of options finds them.
    own = {"prompts": os.path.relpath(folder / DOCUMENTS), "encoding": "utf-8", "keep_states": True}
    finish(
        known,
        replace(
            request,
            chosen={**request.chosen, **own},
            documents=earlier.followed_by(request.documents),
            earlier=earlier,
            again=spelt(context.command, {"run": run, **given, "resume": True}),
        ),
    )


def _beside(run: Path, prompts: str) -> Path:
    """Return the run directory that is written where none is named."""
    named = run.resolve() if run.name in {"", ".."} else run
    return named.with_name(f"{named.name}+{slug(Path(prompts).stem)}")
