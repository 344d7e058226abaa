"""`aniso test`, `aniso report` and `aniso export`: what is done with runs that are stored."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import click

from aniso_core import engine, store
from aniso_core.cli.completion import repeatable
from aniso_core.cli.parts import (
    PARTLY_FAILED,
    preregistered,
    published,
    seldom_collecting,
    show,
    tell_remarks,
    tell_standing,
)
from aniso_core.cli.say import out, out_json, paragraph, plugins, say
from aniso_core.comparing import differences
from aniso_core.contracts import Hypothesis
from aniso_core.errors import AnisoError
from aniso_core.export import to_csv, to_json
from aniso_core.plugins import Registry
from aniso_core.prereg import read
from aniso_core.records import Failure, Profile, Report, Verdict
from aniso_core.text import nearest_first, short, visible
from aniso_core.words import paragraphs, told

PUBLISHED = "published:"

_runs = click.argument("runs", nargs=-1, required=True, metavar="RUN...")
seeded = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the tests.")


@click.command()
@_runs
@repeatable("--hypothesis", "hypotheses", "hypothesis", "Hypothesis to test")
@seeded
@preregistered()
@click.option("--json", "as_json", is_flag=True, help="Write the verdicts as JSON, with all fields.")
def test(runs: tuple[str, ...], hypotheses: tuple[str, ...], seed: int, *, prereg: Path | None, as_json: bool) -> None:
    """Judge stored runs again, together where there are several; RUN is a run directory or published:NAME."""
    registered = None if prereg is None else read(prereg)
    known = plugins()
    chosen = choose(known, hypotheses)
    profiles = find_profiles(known, runs)
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
@_runs
@repeatable("--reporter", "reporters", "reporter", "Reporter to ask")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="New folder to write. [default: the run's own report/; several runs need it]",
)
@seldom_collecting()
def report(runs: tuple[str, ...], reporters: tuple[str, ...], folder: Path | None) -> None:
    """Draw stored runs again, alone or together; RUN is a run directory or published:NAME."""
    known = plugins()
    single = len(runs) == 1 and not runs[0].startswith(PUBLISHED)
    if folder is None and not single:
        message = "Several runs, or a published one, have no folder of their own for a report; name one with --out."
        raise AnisoError(message)
    if folder is not None:
        store.refuse_existing(folder)
    profiles = find_profiles(known, runs)
    _note_differences(profiles)
    if single:
        judged = store.load_judged(Path(runs[0]))
        records = store.run_files(profiles[0], judged, store.load_request(Path(runs[0])))
        # Whether a reporter fails is asked anew.
        failures = [f for f in (*profiles[0].failures, *judged.failures) if f.kind != "reporter"]
        drawn = Report(profiles, judged.verdicts, records, failures, profiles[0].provenance.started)
    else:
        hypotheses = [item.value for item in known.items("hypothesis")]
        judged = engine.judge(hypotheses, profiles, owners=known.owners("hypothesis"))
        tell_remarks(judged.remarks)
        failures = [f for measured in profiles for f in measured.failures] + list(judged.failures)
        drawn = Report(profiles, judged.verdicts, (), failures, datetime.now(UTC).isoformat(timespec="seconds"))
    asked = [known.reporter(name) for name in dict.fromkeys(reporters) or known.names("reporter")]
    made = engine.render(asked, drawn, known.owners("reporter"))
    target = folder or Path(runs[0]) / store.REPORT
    store.write_report(target, made.files)
    show(made.files)
    tell_remarks(made.remarks)
    for failure in made.failures:
        say(f"The reporter {failure.name} ({failure.distribution}) failed: {failure.reason}; the others are written.")
    out(str(target))
    if made.failures:
        sys.exit(PARTLY_FAILED)


@click.command()
@_runs
@click.option("--format", "format_", type=click.Choice(["csv", "json"]), required=True, help="Format to write.")
@click.option("--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="File to write. [default: stdout]")
def export(runs: tuple[str, ...], format_: str, path: Path | None) -> None:
    """Write tidy rows: model, stream, tokens, layer, depth, metric, value, low, high."""
    profiles = find_profiles(plugins(), runs)
    text = to_csv(profiles) if format_ == "csv" else to_json(profiles)
    if path is None:
        click.echo(text, nl=False)
    else:
        store.write_file(path, text.encode())


def find_profiles(known: Registry, runs: tuple[str, ...]) -> list[Profile]:
    """Return the profiles of run directories and of published:NAME; raises AnisoError on what is neither."""
    found = [
        _published(known, run.removeprefix(PUBLISHED)) if run.startswith(PUBLISHED) else store.load(run) for run in runs
    ]
    return _told_apart(found, runs)


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
    for a, b in combinations(profiles, 2):
        found = differences(a, b)
        text = f"not comparable, {found.refused}" if found.refused else "; ".join(found.notes)
        if text:
            pairs.setdefault(text, []).append(f"{short(a.model.name)} and {short(b.model.name)}")
    return [(_first_and_others(named), f"{text}.") for text, named in pairs.items()]


def _first_and_others(pairs: list[str]) -> str:
    others = len(pairs) - 1
    return pairs[0] + (f" (and {others} other pair{'s' * (others != 1)})" if others else "")


def _note_differences(profiles: Sequence[Profile]) -> None:
    for pair, difference in told_differences(profiles):
        say(f"Note: {pair}: {difference}")


def _told_apart(profiles: list[Profile], runs: tuple[str, ...]) -> list[Profile]:
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
            say(f"Note: {error}")
    if name not in found:
        listed = ", ".join(nearest_first(name, found)) or "none"
        message = f"There is no published profile {visible(name)!r}; the published profiles are {listed}."
        raise AnisoError(message)
    return found[name]
