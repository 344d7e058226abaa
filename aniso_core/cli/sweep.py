"""`aniso sweep`: many runs in one command, each measured once, none lost for another's sake."""

import contextlib
import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from aniso_core import store
from aniso_core.cli import STOPPED
from aniso_core.cli.again import spelt
from aniso_core.cli.overview import Overview
from aniso_core.cli.parts import PARTLY_FAILED, executed, loading, seldom_collecting
from aniso_core.cli.profile import Named, carried_out, open_model, refuse_other_preset, requested
from aniso_core.cli.progress import Phases
from aniso_core.cli.resuming import OPENING, Request, require_same
from aniso_core.cli.say import detail, hushed, loudness, note, out, out_json, plugins, say, table, talking
from aniso_core.cli.sweepfile import Planned, read
from aniso_core.contracts import Adapter, Probe
from aniso_core.errors import AnisoError
from aniso_core.isolation import log_traceback, said
from aniso_core.plugins import Registry
from aniso_core.sources import is_hub_id, on_disk
from aniso_core.text import named_nearest, short, visible
from aniso_core.unfinished import Unfinished


class _GoingOn(click.Command):
    """A command that goes on by itself, and says so where it is asked to."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name != "--resume":
                raise
            message = "A sweep goes on by itself where it broke off; leave out --resume."
            raise click.UsageError(message, ctx) from None


@click.command(cls=_GoingOn)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of the runs. [default: `out` of the file, else runs/<name of the file>]",
)
@click.option("--dry-run", is_flag=True, help="List what would be run and what is whole already; measure nothing.")
@loading()
@executed()
@click.option("--json", "as_json", is_flag=True, help="Write the runs, their states and what failed as JSON.")
@talking()
@click.pass_context
@seldom_collecting()
def sweep(  # noqa: PLR0913 - one for each option
    context: click.Context,
    /,
    file: Path,
    folder: Path | None,
    *,
    dry_run: bool,
    executor: str,
    executor_options: tuple[str, ...],
    offline: bool,
    allow_pickle: bool,
    as_json: bool,
) -> None:
    """Measure the runs that FILE lists, those that are whole left alone, and those that broke off taken up again.

    The path of the folder of runs goes to stdout, all else that is said to stderr. One run that fails keeps no other
    from being measured.
    """
    known = plugins()
    given: dict[str, object] = {"executor": executor, "executor_options": executor_options}
    given |= {name: True for name, wanted in (("offline", offline), ("allow_pickle", allow_pickle)) if wanted}
    where, planned = read(file, known, given, folder)
    # All are looked up before the first is measured, so that what is mistyped is said at once.
    requests = _requests(known, planned)
    runs = [Run(one.name, str(where / one.name), asked) for one, asked in zip(planned, requests, strict=True)]
    if dry_run:
        for run in runs:
            run.look()
            run.reason = run.reason or _absent(run.request) or _left_to_hub(run.request, file.parent)
        _show_states(where, runs, as_json=as_json)
        return
    _require_models(file, runs)
    try:
        _carry_out(known, runs)
    except KeyboardInterrupt as error:
        _tell_failures(runs)
        whole = sum(run.state in {"whole", "measured"} for run in runs)
        stand = f"{whole} of {_runs(len(runs))} {'is' if whole == 1 else 'are'} whole"
        error.add_note(f"{stand}; to go on: {spelt(context.command, context.params)}")
        raise
    _tell_failures(runs)
    counts = {state: sum(run.state == state for run in runs) for state in ("whole", "measured", "failed")}
    note(
        f"Of {_runs(len(runs))} {_were(counts['measured'])} measured, {_were(counts['whole'])} whole already, and "
        f"{counts['failed']} failed."
    )
    if as_json:
        out_json(_told(where, runs))
    else:
        out(str(where))
    if any(run.state == "failed" for run in runs):
        sys.exit(1)
    if any(run.failures for run in runs):
        sys.exit(PARTLY_FAILED)


@dataclass
class Run:
    """A run of a sweep: what is asked for, how it stands, why it failed, and which parts of plugins did."""

    name: str
    run: str
    request: Request = field(repr=False)
    state: str = "absent"
    """`absent`, `begun`, `whole`, then `measured` or `failed`; `other` where what is there is of another request."""
    reason: str = ""
    failures: Sequence[str] = ()

    def look(self) -> None:
        """Note how the run stands."""
        folder = Path(self.run)
        left = Unfinished(folder, resume=True, tell=detail)
        try:
            if store.is_taken(folder):
                require_same(folder, self.request)
                self.state = "whole"
            elif left.is_kept:
                left.agree(self.request.asked(folder))
                self.state = "begun"
            else:
                self.state = "absent"
        except AnisoError as error:
            self.state, self.reason = "other", str(error)


def _absent(request: Request) -> str:
    """Return that there is no such model, where nothing on the hub can be called so either; else nothing."""
    model, adapter = request.chosen["model"], request.adapter
    presets = [preset.name for preset in adapter.presets]
    if model is None or model in presets or adapter.own_names or _is_here(model) or is_hub_id(model):
        return ""
    known = f"those are {named_nearest(Path(model).name, presets)}" if presets else "it has none"
    return (
        f"there is no model {short(model, 100)!r}: it is no preset of adapter {adapter.name} ({known}), no folder, no "
        ".gguf file, and no hub id (ORG/NAME)."
    )


def _left_to_hub(request: Request, folder: Path) -> str:
    """Return that a model is looked for on the hub, though it looks like a path; `folder` is the sweep's."""
    model = request.chosen["model"]
    if model is None or model in {preset.name for preset in request.adapter.presets} or _is_here(model):
        return ""
    above = Path(model).parent
    if on_disk(Path.is_dir, folder / above) or on_disk(Path.is_dir, above):
        return f"{visible(model)} is no folder here, so that it is looked for on the hub."
    return ""


def _is_here(model: str) -> bool:
    path = Path(model)
    with contextlib.suppress(RuntimeError):  # a user without a home
        path = path.expanduser()
    return on_disk(Path.exists, path)


def _require_models(file: Path, runs: Sequence[Run]) -> None:
    """Raise AnisoError where a model of a run that is to be measured is not there."""
    absent: dict[str, None] = {}
    for run in runs:
        if reason := _absent(run.request):
            run.look()
            # What is whole needs its model no more, which may have been removed since.
            if run.state in {"absent", "begun"}:
                absent[reason] = None
    if absent:
        more = f" {len(absent) - 1} more of its models are not there either." if len(absent) > 1 else ""
        message = f"{visible(file)}: {next(iter(absent))} Correct the file.{more}"
        raise AnisoError(message)


class _Opened:
    """Opens models for a sweep: the last one stays open for runs that measure it on other texts."""

    def __init__(self) -> None:
        self._key: object = None
        self._probe: Probe | None = None

    def __call__(self, adapter: Adapter, chosen: Mapping[str, Any], named: Named, progress: Phases) -> Probe:
        """Return the model that was chosen."""
        key = (adapter.name, *(chosen[name] for name in OPENING))
        if self._probe is None or key != self._key:
            # The one before goes first: there need not be memory for two, and garbage is looked for seldom.
            self._probe = None
            gc.collect()
            self._probe = open_model(adapter, chosen, named, progress)
            self._key = key
        return self._probe


def _requests(known: Registry, planned: Sequence[Planned]) -> Iterator[Request]:
    """Yield what each run asks for; texts, metrics and versions are looked up once for runs that share them."""
    found: dict[object, Request] = {}
    for run in planned:
        key = tuple((name, value) for name, value in run.chosen.items() if name not in {"model", "revision", "folder"})
        if key not in found:
            found[key] = requested(known, run.chosen)
        refuse_other_preset(known, found[key].adapter, run.chosen["model"])
        yield replace(found[key], chosen=run.chosen)


def _carry_out(known: Registry, runs: Sequence[Run]) -> None:
    """Measure what is not whole yet, one run after the other, and note how each ends."""
    opened = _Opened()
    with Overview([run.name for run in runs], shown=loudness() != "quiet") as overview:
        for number, run in enumerate(runs):
            # Right before it is measured, since another sweep may work on the same folder.
            run.look()
            if run.state in {"absent", "begun"}:
                _measure(known, run, opened, overview)
            elif run.state == "other":
                run.state = "failed"
            overview.ended(number, run.state, run.reason if run.state == "failed" else "")


def _measure(known: Registry, run: Run, opened: _Opened, overview: Overview) -> None:
    try:
        with hushed():
            done = carried_out(known, run.request, overview.following(), opened, detail)
    except Exception as error:
        if STOPPED in click.get_current_context().meta:  # a library that swallows Ctrl-C fails of it
            raise KeyboardInterrupt from error
        run.state, run.reason = "failed", str(error) if isinstance(error, AnisoError) else said(error)
        if not isinstance(error, AnisoError):
            log_traceback("run", error)
    else:
        run.state = "measured"
        run.failures = [f"{one.kind} {one.name} ({one.distribution}): {one.reason}" for one in done.troubles]


def _tell_failures(runs: Sequence[Run]) -> None:
    """Say which runs failed and why, and which parts of plugins did in runs that are whole but for these."""
    for run in runs:
        if run.state == "failed":
            note(f"{run.name} failed: {run.reason}")  # it was said as it failed, a screen or more above
        for failure in run.failures:
            say(f"{run.name} is whole but for the {failure}")


def _show_states(folder: Path, runs: Sequence[Run], *, as_json: bool) -> None:
    if as_json:
        out_json(_told(folder, runs))
        return
    table(["run", "state"], [(run.name, run.state) for run in runs])
    for run in runs:
        if run.reason:
            say(f"{run.name}: {run.reason}")
    left = sum(run.state in {"absent", "begun"} for run in runs)
    note(f"{left} of {_runs(len(runs))} would be measured into {visible(folder)}.")


def _told(folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
    names = ("name", "run", "state", "reason", "failures")
    return {"folder": str(folder), "runs": [{name: getattr(run, name) for name in names} for run in runs]}


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _were(count: int) -> str:
    return f"{count} {'was' if count == 1 else 'were'}"
