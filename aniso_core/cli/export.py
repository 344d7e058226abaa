"""`aniso export`: the numbers of runs as CSV, JSON, Parquet or a LaTeX table."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from aniso_core import store
from aniso_core.cli.completion import repeatable
from aniso_core.cli.runs import find_profile, in_folders, runs_given, told_apart
from aniso_core.cli.say import plugins, say, talking
from aniso_core.errors import AnisoError
from aniso_core.export import Selection, to_csv, to_json, to_latex
from aniso_core.plugins import Registry
from aniso_core.records import PAPER, STREAMS, Profile
from aniso_core.text import visible
from aniso_core.tokens import TOKEN_SETS

_LOWER = "lower is more anisotropic"


@click.command()
@runs_given
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "json", "parquet", "latex"]),
    required=True,
    help="Format to write.",
)
@repeatable("--metric", "metrics", "metric", "Metric to write", usual="all; latex: top-eigenvalue-share")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    type=click.Choice([*STREAMS, PAPER]),
    help="Stream to write; may be repeated. [default: all; latex: paper]",
)
@click.option(
    "--tokens",
    multiple=True,
    type=click.Choice(list(TOKEN_SETS)),
    help="Token set to write; may be repeated. [default: all of them; latex: all]",
)
@click.option(
    "--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="New file to write. [default: stdout]"
)
@talking()
def export(runs: tuple[str, ...], format_: str, path: Path | None, **named: tuple[str, ...]) -> None:
    """Write tidy rows, one a number, or as latex a table of where metrics are largest, one line a model.

    RUN is a run directory, a folder of them or published:NAME. One that cannot be read is named, and the others are
    written.
    """
    if format_ == "parquet" and path is None and sys.stdout.isatty():
        message = "Parquet is no text for a terminal; name a file with --out, or redirect the output."
        raise AnisoError(message)
    if path is not None and path.exists():
        message = f"{visible(path)} exists already and is not replaced; name another file with --out."
        raise AnisoError(message)
    known = plugins()
    profiles, unread = _readable(known, in_folders(runs))
    metrics = dict.fromkeys(_held(known, name, profiles) for name in named["metrics"])
    wanted = Selection(tuple(metrics), named["streams"], named["tokens"])
    wanted.check(profiles)
    data = _written(known, format_, profiles, wanted)
    if path is None:
        click.echo(data, nl=False)
    else:
        store.write_file(path, data)
    if unread:
        sys.exit(1)


def _readable(known: Registry, runs: Sequence[str]) -> tuple[list[Profile], int]:
    """Return the profiles of the runs that can be read, having named the others, and the number of those.

    Raises AnisoError where none can be.
    """
    found, read = [], []
    for number, run in enumerate(runs):
        try:
            found.append(find_profile(known, run, arrays=False))
            read.append(run)
        except AnisoError as error:
            if number == len(runs) - 1 and not found:
                raise
            say(f"Error: {error}")
    return told_apart(found, read), len(runs) - len(read)


def _held(known: Registry, name: str, profiles: Sequence[Profile]) -> str:
    """Return the name under which the profiles hold a metric; runs may hold metrics that are not installed here."""
    if any(curve.metric == name for profile in profiles for curve in profile.curves):
        return name
    return next((item.name for item in known.items("metric") if name in item.value.aliases), name)


def _written(known: Registry, format_: str, profiles: Sequence[Profile], wanted: Selection) -> bytes:
    if format_ == "parquet":
        from aniso_core.export.frames import to_parquet

        return to_parquet(profiles, wanted)
    if format_ == "latex":
        lower = {item.name for item in known.items("metric") if item.value.direction == _LOWER}
        return to_latex(profiles, wanted, lower).encode()
    return (to_csv if format_ == "csv" else to_json)(profiles, wanted).encode()
