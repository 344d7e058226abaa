"""`aniso preregister`: claims fixed before the model is measured."""

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import click

from aniso_core import prereg
from aniso_core.cli.say import note, out, plugins, talking
from aniso_core.errors import AnisoError
from aniso_core.text import visible


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; must be absent. [default: FILE with the ending .prereg.json]",
)
@talking(verbose=False)
def preregister(file: Path, path: Path | None) -> None:
    """Fix the claims of a TOML file, with the time and a hash, before the model is measured.

    The path of what is written goes to stdout, the hash to stderr. Give the path to `aniso profile --prereg`.
    docs/statistics.md has an example of FILE with every key.
    """
    registered = prereg.register(file, datetime.now(UTC), metadata.version("aniso"))
    known = plugins()
    for number, claim in enumerate(registered.claims, start=1):
        try:
            known.hypothesis(claim.hypothesis)
            known.metric(claim.metric)
        except AnisoError as error:
            message = f"{visible(file)}, claim {number}: {error}"
            raise AnisoError(message) from error
    hypotheses = {claim.hypothesis: known.hypothesis(claim.hypothesis) for claim in registered.claims}
    prereg.require_testable(registered, hypotheses, file)
    target = path or file.with_suffix(".prereg.json")
    prereg.save(target, registered)
    note(f"SHA-256 {registered.sha256}")
    out(str(target))
