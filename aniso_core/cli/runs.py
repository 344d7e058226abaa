"""`aniso test` and `aniso report`: stored runs judged again and drawn again."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from aniso_core import engine, store
from aniso_core import folder as stored
from aniso_core.cli.again import command
from aniso_core.cli.completion import repeatable
from aniso_core.cli.parts import (
    PARTLY_FAILED,
    about,
    preregistered,
    published,
    seldom_collecting,
    show,
    tell_remarks,
    tell_standing,
)
from aniso_core.cli.reporting import draw, drawn, find_reporters, find_style, send
from aniso_core.cli.say import note, out, out_json, paragraph, plugins, say, talking
from aniso_core.comparing import Comparison, pairwise
from aniso_core.contracts import Hypothesis
from aniso_core.errors import AnisoError
from aniso_core.plugins import Registry
from aniso_core.prereg import read
from aniso_core.records import Failure, Profile, Report, Verdict
from aniso_core.text import nearest_first, short, visible
from aniso_core.words import paragraphs, told

PUBLISHED = "published:"

runs_given = click.argument("runs", nargs=-1, required=True, metavar="RUN...")
seeded = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the tests.")


@click.command()
@runs_given
@repeatable("--hypothesis", "hypotheses", "hypothesis", "Hypothesis to test")
@seeded
@preregistered()
@click.option("--json", "as_json", is_flag=True, help="Write the verdicts as JSON, with all fields.")
@talking()
def test(runs: tuple[str, ...], hypotheses: tuple[str, ...], seed: int, *, prereg: Path | None, as_json: bool) -> None:
    """Judge stored runs again, together where there are several.

    RUN is a run directory, a folder of them or published:NAME.
    """
    registered = None if prereg is None else read(prereg)
    known = plugins()
    chosen = choose(known, hypotheses)
    profiles = find_profiles(known, in_folders(runs))
    _note_differences(profiles)
    judged = engine.judge(chosen, profiles, seed, owners=known.owners("hypothesis"), registered=registered)
    tell_remarks(judged.remarks)
    tell_standing(judged.verdicts, registered, profiles, seed)
    if as_json:
        out_json(store.to_plain(judged.verdicts))
    else:
        tell(judged.verdicts)
    end(judged.failures)


@click.command()
@runs_given
@drawn()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="New folder to write. [default: report/ in the run or the folder of runs; several RUN need it]",
)
@talking()
@seldom_collecting()
def report(runs: tuple[str, ...], reporters: tuple[str, ...], styles: tuple[str, ...], folder: Path | None) -> None:
    """Draw stored runs again, alone or together; RUN is a run directory, a folder of them or published:NAME."""
    known = plugins()
    style, sheets = find_style(styles)
    own = Path(runs[0]) / store.REPORT if len(runs) == 1 and not runs[0].startswith(PUBLISHED) else None
    runs = in_folders(runs)
    single = len(runs) == 1 and not runs[0].startswith(PUBLISHED)
    target = folder or own
    if target is None:
        message = "Several runs, or a published one, have no folder of their own for a report; name one with --out."
        raise AnisoError(message)
    if folder is not None:
        store.refuse_existing(folder)
    readable, profiles, unread = (runs, find_profiles(known, runs), []) if single else _readable(known, runs)
    _note_differences(profiles)
    if single:
        judged = store.load_judged(Path(runs[0]))
        request, config = store.load_record(Path(runs[0])).request, store.load_config(Path(runs[0]))
        records = store.run_files(profiles[0], judged, request, config)
        # Whether a reporter fails is asked anew.
        failures = [f for f in (*profiles[0].failures, *judged.failures) if f.kind != "reporter"]
        when, commands = profiles[0].provenance.started, [command(request)]
    else:
        hypotheses = [item.value for item in known.items("hypothesis")]
        judged = engine.judge(hypotheses, profiles, owners=known.owners("hypothesis"))
        tell_remarks(judged.remarks)
        records, failures = [], [*unread, *(f for measured in profiles for f in measured.failures), *judged.failures]
        when, commands = datetime.now(UTC).isoformat(timespec="seconds"), [_command(run) for run in readable]
    verdicts = judged.verdicts
    described = about(known, profiles, verdicts)
    given = Report(profiles, verdicts, records, failures, when, described, commands, style, sheets)
    asked = find_reporters(known, reporters)
    made = draw(asked, given, known)
    store.write_report(target, made.files)
    sent = send(asked, replace(given, files=(*given.files, *made.files)), known, target)
    show((*made.files, *sent.files))
    tell_remarks((*made.remarks, *sent.remarks))
    failed = (*made.failures, *sent.failures)
    for failure in failed:
        say(f"The reporter {failure.name} ({failure.distribution}) failed: {failure.reason}; the others are written.")
    out(str(target))
    if failed or unread:
        sys.exit(PARTLY_FAILED)


def find_profiles(known: Registry, runs: tuple[str, ...]) -> list[Profile]:
    """Return the profiles of run directories and of published:NAME; raises AnisoError on what is neither."""
    return told_apart([find_profile(known, run) for run in runs], runs)


def find_profile(known: Registry, run: str, *, arrays: bool = True) -> Profile:
    """Return the profile of a run directory or of published:NAME; raises AnisoError where it is neither."""
    if run.startswith(PUBLISHED):
        return _published(known, run.removeprefix(PUBLISHED))
    return store.load(run, arrays=arrays)


def _readable(known: Registry, runs: tuple[str, ...]) -> tuple[tuple[str, ...], list[Profile], list[Failure]]:
    """Return the runs that can be read, their profiles, and why others cannot; raises AnisoError where none can."""
    read: list[tuple[str, Profile]] = []
    unread: list[Failure] = []
    for run in runs:
        try:
            read.append((run, find_profile(known, run)))
        except AnisoError as error:
            if len(unread) + 1 == len(runs):
                raise
            say(f"Left out: {error}")
            unread.append(Failure("run", run, "", str(error)))
    names = tuple(run for run, _ in read)
    return names, told_apart([profile for _, profile in read], names), unread


def in_folders(runs: Sequence[str]) -> tuple[str, ...]:
    """Return runs with those of folders in their place; a folder's report, which FOLDER/* names too, is passed over."""
    given = [run for run in runs if Path(run).name != store.REPORT or len(runs) == 1]
    return tuple(run for folder in given for run in _within(folder))


def _within(given: str) -> Sequence[str]:
    """Return the runs of a folder that is none itself, what else lies in it said; else what was given."""
    if given.startswith(PUBLISHED) or not stored.holds_runs(Path(given)):
        return [given]
    found = list(stored.entries(Path(given)))
    for entry in found:
        if isinstance(entry, AnisoError):
            note(f"Note: {entry}")
    return [entry.run for entry in found if not isinstance(entry, AnisoError)]


def _command(run: str) -> str:
    """Return the command that measures a run again, empty where that is not known."""
    try:
        return "" if run.startswith(PUBLISHED) else command(store.load_record(Path(run)).request)
    except AnisoError:  # the profile is there, and what it was asked for is not
        return ""


def choose(known: Registry, hypotheses: Sequence[str]) -> list[Hypothesis]:
    """Return the named hypotheses, or all that are installed; raises AnisoError for an unknown name."""
    return [known.hypothesis(name) for name in dict.fromkeys(hypotheses) or known.names("hypothesis")]


def tell(verdicts: Sequence[Verdict]) -> None:
    """Write verdicts in words to stdout."""
    for heading, verdict in paragraphs(verdicts):
        paragraph(heading, told(verdict))


def end(failures: Sequence[Failure]) -> None:
    """Name the hypotheses that failed on stderr, and exit where there are any."""
    for failure in failures:
        say(f"The hypothesis {failure.name} ({failure.distribution}) failed: {failure.reason}.")
    if failures:
        sys.exit(PARTLY_FAILED)


def told_differences(profiles: Sequence[Profile]) -> list[tuple[str, str]]:
    """Return what forbids or weakens comparing the profiles, each time with the first pair and the number of others."""
    pairs: dict[str, list[str]] = {}
    for a, b, found in pairwise(profiles):
        if text := "; ".join(told_in(found)):
            pairs.setdefault(text, []).append(f"{short(a.model.name)} and {short(b.model.name)}")
    return [(_first_and_others(named), f"{text}.") for text, named in pairs.items()]


def told_in(found: Comparison) -> Sequence[str]:
    """Return what forbids or weakens a comparison, each a few words."""
    return [f"not comparable, {found.refused}"] if found.refused else found.notes


def _first_and_others(pairs: list[str]) -> str:
    others = len(pairs) - 1
    return pairs[0] + (f" (and {others} other pair{'s' * (others != 1)})" if others else "")


def _note_differences(profiles: Sequence[Profile]) -> None:
    for pair, difference in told_differences(profiles):
        note(f"Note: {pair}: {difference}")


def told_apart(profiles: Sequence[Profile], runs: Sequence[str]) -> list[Profile]:
    """Return the profiles, those of one model called by their runs as well."""
    names = [profile.model.name for profile in profiles]
    return [
        replace(profile, model=replace(profile.model, name=f"{profile.model.name} [{Path(run).name}]"))
        if names.count(profile.model.name) > 1
        else profile
        for profile, run in zip(profiles, runs, strict=True)
    ]


def _published(known: Registry, name: str) -> Profile:
    found: dict[str, Profile] = {}
    for item in known.items("adapter"):
        try:
            found |= published(item)
        except AnisoError as error:  # others have profiles too
            note(f"Note: {error}")
    if name not in found:
        listed = ", ".join(nearest_first(name, found)) or "none"
        message = f"There is no published profile {visible(name)!r}; the published profiles are {listed}."
        raise AnisoError(message)
    return found[name]
