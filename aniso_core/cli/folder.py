"""`aniso runs`: the runs of a folder listed, one shown, and some removed."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from aniso_core import folder as stored
from aniso_core import store
from aniso_core.cli.completion import completing
from aniso_core.cli.say import note, out, out_json, say, table, talking
from aniso_core.errors import AnisoError
from aniso_core.folder import Entry
from aniso_core.records import Profile
from aniso_core.store import Judged
from aniso_core.text import short

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


class _Time(click.DateTime):
    """A date or a time, which a message shows by an example and not by strftime's codes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the time; fails where it is none."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no time such as 2026-01-02 or 2026-01-02T03:04:05", param, ctx)


@click.group()
def runs() -> None:
    """List the runs of a folder, show one, or remove some."""


class Wanted(NamedTuple):
    """Which runs a list is of; None where anything will do."""

    model: str | None
    adapter: str | None
    prompts: str | None
    since: datetime | None

    def fits(self, entry: Entry) -> bool:
        """Return whether a run is wanted."""
        return (
            (self.model is None or self.model.lower() in f"{entry.model}@{entry.revision}".lower())
            and self.adapter in {None, entry.adapter}
            and self.prompts in {None, entry.prompts}
            and (self.since is None or entry.started >= self.since.isoformat())
        )


@runs.command("list")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"), metavar="[FOLDER]")
@click.option("--model", metavar="TEXT", help="Only models whose name or commit holds this text.")
@click.option("--adapter", metavar="NAME", shell_complete=completing("adapter"), help="Only runs of this adapter.")
@click.option("--prompts", metavar="NAME", shell_complete=completing("prompts"), help="Only runs on this prompt set.")
@click.option(
    "--since",
    type=_Time(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="TIME",
    help="Only runs that started at this time (UTC) or later, as 2026-01-02 or 2026-01-02T03:04:05.",
)
@as_json
@talking(verbose=False)
def listed(folder: Path, *, as_json: bool, **chosen: Any) -> None:
    """List the runs of FOLDER (default: runs) in the order in which they were measured.

    What else lies in the folder is named on stderr, hidden files apart.
    """
    wanted = Wanted(**chosen)
    found = []
    for entry in stored.entries(folder):
        if isinstance(entry, AnisoError):
            note(f"Note: {entry}")
        elif wanted.fits(entry):
            found.append(entry)
    found.sort(key=lambda entry: entry.started)  # those of one second stay in the order of their names
    if as_json:
        out_json([asdict(entry) for entry in found])
        return
    rows = [(Path(e.run).name, _minute(e.started), short(e.model), short(e.prompts), f"{e.tokens:,}") for e in found]
    table(["run", "started", "model", "prompts", "tokens"], rows)


@runs.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@as_json
def shown(run: Path, *, as_json: bool) -> None:
    """Show what a run measured and how, what failed, and how to repeat it.

    A file of it that cannot be read is named; what the others hold is shown, and the exit code is 1.
    """
    entry, damaged = stored.entry(run), []
    profile, judged = None, None
    try:
        profile = store.load(run, arrays=False)
    except AnisoError as error:
        damaged.append(error)
    try:
        judged = store.load_judged(run)
    except AnisoError as error:
        damaged.append(error)
    if as_json:
        out_json(_told(entry, run, profile, judged))
    else:
        for heading, text in _facts(entry, run, profile, judged):
            out(f"{heading}: {text}")
    for fault in damaged:
        say(f"Error: {fault}")
    if damaged:
        sys.exit(1)


@runs.command("rm")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def removed(runs: tuple[Path, ...], *, yes: bool) -> None:
    """Remove run directories, having asked.

    What is no run directory is refused and named, the others are removed, and the exit code is 1.
    """
    chosen, refused = [], 0
    for run in dict.fromkeys(runs):
        try:
            stored.require_run(run)
            chosen.append(run)
        except AnisoError as error:
            say(f"Error: {error}")
            refused = 1
    for run in chosen:
        say(f"{run} is to be removed.")
    if chosen and not yes and not _agreed(f"remove {len(chosen)} run{'s' * (len(chosen) != 1)}"):
        say("Nothing was removed.")
        sys.exit(1)
    for run in chosen:
        try:
            stored.remove(run)
        except AnisoError as error:
            say(f"Error: {error}")
            refused = 1
    sys.exit(refused)


def _told(entry: Entry, run: Path, profile: Profile | None, judged: Judged | None) -> dict[str, Any]:
    return {
        **asdict(entry),
        "record": store.to_plain([store.load_record(run)])[0],
        "metrics": _metrics(profile),
        "verdicts": store.to_plain(judged.verdicts if judged else ()),
        "failures": store.to_plain(_failures(profile, judged)),
    }


def _facts(entry: Entry, run: Path, profile: Profile | None, judged: Judged | None) -> Iterator[tuple[str, str]]:
    """Yield headings and what is known, each of one line."""
    yield "run", str(run)
    yield "started", f"{_minute(entry.started) or 'unknown'} UTC, took {entry.seconds:.1f} s, aniso {entry.aniso}"
    yield "model", entry.model + (f", commit {entry.revision}" if entry.revision else "")
    if entry.adapter:
        yield "adapter", entry.adapter
    if profile:
        model = profile.model
        yield "size", f"{model.layers} layers, width {model.width}, {model.dtype} on {model.device}"
    yield "prompts", f"{entry.prompts or 'none'}, {entry.documents:,} documents, {entry.tokens:,} tokens"
    if profile:
        places = dict.fromkeys(f"{curve.stream}/{curve.tokens}" for curve in profile.curves)
        yield "metrics", f"{', '.join(_metrics(profile)) or 'none'}"
        yield "measured on", ", ".join(places)
    if judged:
        counts = Counter(f"{verdict.criterion} {verdict.outcome}" for verdict in judged.verdicts)
        yield "verdicts", ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"
    if (run / store.CONFIG).is_file():
        yield "repeat", f"aniso profile --config {run / store.CONFIG}"
    for failure in _failures(profile, judged):
        yield "failed", f"{failure.kind} {failure.name} ({failure.distribution}): {failure.reason}"


def _failures(profile: Profile | None, judged: Judged | None) -> list[Any]:
    return [*(profile.failures if profile else ()), *(judged.failures if judged else ())]


def _metrics(profile: Profile | None) -> list[str]:
    return sorted({curve.metric for curve in profile.curves}) if profile else []


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _agreed(deed: str) -> bool:
    """Ask whether to do something; raises AnisoError where there is nobody to answer."""
    try:
        return click.confirm(f"{deed.capitalize()}?", err=True)
    except click.Abort as error:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        message = f"There is nobody to ask whether to {deed}; add --yes."
        raise AnisoError(message) from error
