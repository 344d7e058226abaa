"""`aniso profile`: one command from text to report."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, get_args

import click

from aniso_core import engine, prereg, store
from aniso_core.api import make_plan
from aniso_core.cli import runs
from aniso_core.cli.again import command, spelt
from aniso_core.cli.completion import USUAL, completing, repeatable
from aniso_core.cli.config import OUTPUT, configured, require_permitted, written
from aniso_core.cli.parts import (
    PARTLY_FAILED,
    about,
    blaming,
    find_executor,
    find_prompts,
    measuring,
    preregistered,
    seldom_collecting,
    show,
    tell_remarks,
    tell_standing,
)
from aniso_core.cli.progress import Phases, following
from aniso_core.cli.reporting import draw, drawn, find_reporters, find_style, named_styles, send
from aniso_core.cli.resuming import Request, kept, model_request, whole
from aniso_core.cli.say import detail, loudness, note, out, out_json, plugins, say, talking
from aniso_core.contracts import Adapter, Kernels, Probe
from aniso_core.errors import AnisoError
from aniso_core.extending import put
from aniso_core.plugins import Registry
from aniso_core.records import STREAMS, Failure, Profile, Report, Verdict
from aniso_core.shards import TOKENS
from aniso_core.sources import on_disk, weights_size
from aniso_core.text import slug, visible
from aniso_core.tokens import TOKEN_SETS
from aniso_core.unfinished import Unfinished

Named = tuple[str, str]
"""An adapter and its distribution, as messages call them."""
Opening = Callable[[Adapter, Mapping[str, Any], Named, Phases], Probe]

_DTYPES = ("float32", "bfloat16", "float16", "float64")


@click.command()
@click.option(
    "--adapter", default="auto", show_default=True, shell_complete=completing("adapter"), help="Family of models."
)
@click.option("--model", help="Preset name, folder, .gguf file or hub id; default: the adapter's first preset.")
@click.option("--revision", help="Branch, tag or commit of a hub model, as step143000; REVISION@COMMIT pins one.")
@click.option(
    "--prompts",
    default="paper3",
    show_default=True,
    shell_complete=completing("prompts"),
    help="Prompt set, or a file of documents (a line, a paragraph or a JSON line each).",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a prompts file.")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    type=click.Choice(STREAMS),
    help="Stream to measure; may be repeated. [default: all that the model has]",
)
@click.option(
    "--tokens",
    "token_sets",
    multiple=True,
    type=click.Choice(list(TOKEN_SETS)),
    help="Token set; may be repeated. [default: all of them]",
)
@repeatable("--metric", "metrics", "metric", "Metric to measure", usual=USUAL)
@repeatable("--hypothesis", "hypotheses", "hypothesis", "Hypothesis to test")
@drawn()
@click.option(
    "--dtype",
    type=click.Choice(_DTYPES),
    help="Precision of the model. [default: float32 on a CPU, bfloat16 on a GPU]",
)
@click.option("--device", help="Device, as cpu or cuda:0. [default: a GPU if there is one]")
@click.option("--device-map", help="Let accelerate place a large model: auto, or a JSON object of modules and devices.")
@click.option(
    "--offload-folder", type=click.Path(path_type=Path), help="Folder for weights that a device map puts on disk."
)
@click.option(
    "--bos",
    type=click.Choice(["auto", "add", "omit"]),
    default="auto",
    show_default=True,
    help="BOS token before each window: as the tokenizer does, always, or no special tokens.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="Padded tokens in a batch; changes speed and memory, and values by rounding alone.",
)
@click.option(
    "--shard-tokens",
    type=click.IntRange(min=1),
    default=TOKENS,
    show_default=True,
    help="Tokens from which a shard is full: what a state is stored after and an executor hands out; changes values by "
    "rounding alone.",
)
@click.option(
    "--kernels",
    type=click.Choice(get_args(Kernels)),
    default="default",
    show_default=True,
    help="Matrix kernels on a CPU; fast ones run where a probe finds them faster and exact in float32.",
)
@click.option(
    "--max-length",
    type=click.IntRange(min=1),
    help="Longest window in tokens; longer documents are split. [default: the model's context]",
)
@click.option("--no-intervals", is_flag=True, help="Keep nothing of single documents: no intervals, no rigorous test.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time that a metric may take at one site and token set, or a hypothesis or reporter in all; what takes longer "
    "has failed. [default: none]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the tests.")
@preregistered()
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), help="Run directory to write. [default: runs/<time>-<model>]"
)
@click.option(
    "--keep-states",
    is_flag=True,
    help="Keep the texts, and what was summed up of them, in the run, so that `aniso extend` can add to it.",
)
@measuring("Go on with the run that --out names where it broke off, if it did.")
@talking()
@configured()
@click.pass_context
@seldom_collecting()
def profile(context: click.Context, /, **chosen: Any) -> None:
    """Measure a model's anisotropy profile on a text, test the hypotheses, and write a run directory.

    The path of the run directory goes to stdout, all else that is said to stderr.
    """
    require_permitted(context)
    if chosen["resume"] and chosen["folder"] is None:
        message = "--resume goes on with the run that --out names; add --out FOLDER."
        raise click.UsageError(message)
    known = plugins()
    finish(known, requested(known, chosen))


def finish(known: Registry, request: Request) -> None:
    """Carry out what was requested where it is not whole yet, say where it is, and exit with what `main` promises."""
    done = stored(request)
    if done is not None:
        note(f"{done.folder} is whole already; {_left_to_draw(request, done.folder)}")
        _show_result(request.chosen, done)
        return
    done = carried_out(known, request, following(shown=loudness() != "quiet"))
    _tell_failures(done.troubles, done.shown)
    _show_result(request.chosen, done)
    if done.troubles:
        sys.exit(PARTLY_FAILED)


def _left_to_draw(request: Request, folder: Path) -> str:
    """Return what draws a run that is whole as it is asked for now, where that is otherwise than it was."""
    asked = {name: list(request.chosen[name]) for name in ("reporters", "styles")}
    before = store.load_record(folder).request
    if all(before.get(name) in (given, None) or not given for name, given in asked.items()):
        return "nothing is left to do."
    return f"what draws it anew: {spelt(runs.report, {'runs': [folder], **asked})}"


@dataclass(frozen=True)
class Done:
    """A run that is whole: its folder, what it says, plugins' parts that failed, and what reporters showed of it."""

    folder: Path
    measured: Profile
    verdicts: Sequence[Verdict]
    troubles: Sequence[Failure]
    shown: str = ""


def requested(known: Registry, chosen: Mapping[str, Any]) -> Request:
    """Return what options stand for; raises AnisoError for what there is not, before any model is opened."""
    adapter = known.adapter(chosen["adapter"])
    plan = make_plan(
        chosen["metrics"] or None,
        streams=chosen["streams"] or None,
        tokens=chosen["token_sets"] or tuple(TOKEN_SETS),
        bos=chosen["bos"],
        max_length=chosen["max_length"],
        batch_tokens=chosen["batch_tokens"],
        shard_tokens=chosen["shard_tokens"],
        kernels=chosen["kernels"],
        intervals=not chosen["no_intervals"],
        time_limit=chosen["time_limit"],
        seed=chosen["seed"],
    )
    executor = find_executor(known, chosen["executor"], chosen["executor_options"])
    hypotheses = runs.choose(known, chosen["hypotheses"])
    reporters, styles = find_reporters(known, chosen["reporters"]), find_style(chosen["styles"])
    registered = prereg.read(chosen["prereg"]) if chosen["prereg"] is not None else None
    prompts_name, documents = find_prompts(known, chosen["prompts"], chosen["encoding"])
    refuse_other_preset(known, adapter, chosen["model"])
    return Request(chosen, adapter, prompts_name, documents, plan, hypotheses, registered, reporters, styles, executor)


def carried_out(
    known: Registry,
    request: Request,
    watching: AbstractContextManager[Phases],
    opened: Opening | None = None,
    tell: Callable[[str], object] = say,
) -> Done:
    """Measure, judge, draw, save and send what was requested, or go on with it; return the run, which is whole then.

    `watching` follows the progress, `opened` opens the model, and `tell` is told with which command a run that breaks
    off goes on. Raises AnisoError.
    """
    chosen, adapter, plan, documents = request.chosen, request.adapter, request.plan, request.documents
    hypotheses, registered = request.hypotheses, request.registered
    reporters, styles, limit = request.reporters, request.styles, chosen["time_limit"]
    _tell_texts(known, request)
    named = f"adapter {adapter.name}", known.distribution("adapter", adapter.name)
    with (
        watching as progress,
        request.executor() as workers,
        _underway(request, named, progress, opened or open_model, tell) as (folder, probe, unfinished),
    ):
        found = request.found(known, probe)
        unfinished.agree(found)
        if request.earlier is not None:
            request.earlier.agree({**request.asked(folder), **found}, but=("model", "revision", "texts"))
        elsewhere = None if workers is None else request.elsewhere(known, probe, workers)
        with blaming(*named):
            measured = engine.profile(
                probe,
                documents,
                plan,
                request.texts,
                progress=progress,
                unfinished=unfinished,
                earlier=request.earlier,
                elsewhere=elsewhere,
            )
        measured = prereg.noted(measured, registered)
        _remark(measured, plan)
        judged = engine.judge(
            hypotheses,
            [measured],
            plan.seed,
            owners=known.owners("hypothesis"),
            registered=registered,
            time_limit=limit,
            progress=progress,
        )
        options = {name: _plain(value) for name, value in chosen.items() if name not in OUTPUT}
        used = {**chosen, **_used(chosen, known, adapter, probe, plan), "styles": named_styles(*styles)}
        used |= {
            kind: tuple(part.name for part in parts)
            for kind, parts in (("hypotheses", hypotheses), ("reporters", reporters))
        }
        config = written(profile, used, folder)
        records = store.run_files(measured, judged, options, config, unfinished.asked)
        failures = (*measured.failures, *judged.failures)
        report = Report(
            [measured],
            judged.verdicts,
            records,
            failures,
            measured.provenance.started,
            about(known, [measured], judged.verdicts),
            [command(options)],
            *styles,
        )
        made = draw(reporters, report, known, limit, progress)
        if made.failures or made.remarks:
            judged = replace(
                judged, failures=(*judged.failures, *made.failures), remarks=(*judged.remarks, *made.remarks)
            )
            records = store.run_files(measured, judged, options, config, unfinished.asked)
        if chosen["keep_states"] and unfinished.settled is None:
            say("No states are kept, so that this run cannot be extended; the rest is whole.")
        more = partial(put, unfinished.settled, documents) if chosen["keep_states"] else None
        store.save(folder, records, made.files, more)
    sent = send(reporters, replace(report, files=(*records, *made.files)), known, folder / store.REPORT, limit)
    detail(f"Took {', '.join(f'{phase} {seconds:.1f} s' for phase, seconds in progress.seconds())}.")
    tell_remarks((*judged.remarks, *sent.remarks))
    shown = show((*made.files, *sent.files))
    tell_standing(judged.verdicts, registered, [measured], plan.seed)
    troubles = (*measured.failures, *judged.failures, *sent.failures)
    return Done(folder, measured, judged.verdicts, troubles, shown)


def _tell_texts(known: Registry, request: Request) -> None:
    """Say how many documents were read from a file, and how many were there before where a run is extended."""
    earlier = request.earlier
    if earlier is None and request.prompts in known.names("prompts"):
        return
    before = "" if earlier is None else f", to be added to the {len(earlier.documents)} of {earlier.prompts}"
    new = len(request.documents) - (0 if earlier is None else len(earlier.documents))
    note(f"Read {new} document{'s' * (new != 1)} from {request.prompts}{before}.")


def _tell_failures(failures: Sequence[Failure], shown: str) -> None:
    """Say which plugins' parts failed, but for those that reporters have just shown with their reasons."""
    for failure in failures:
        if not all(" ".join(visible(text).split()) in shown for text in (failure.name, failure.reason)):
            part = f"{failure.kind} {failure.name} ({failure.distribution})"
            say(f"The {part} failed: {failure.reason}; the rest is whole.")


def stored(request: Request) -> Done | None:
    """Return the run where it is whole already; raises AnisoError where it may not be, or is of something else."""
    folder = request.chosen["folder"]
    if folder is None or not store.is_taken(folder):
        return None
    if not request.chosen["resume"]:
        store.refuse_existing(folder)
    measured, judged = whole(folder, request)
    return Done(folder, measured, judged.verdicts, (*measured.failures, *judged.failures))


def _show_result(chosen: Mapping[str, Any], done: Done) -> None:
    """Write to stdout where the run is, with what it says where JSON is wanted."""
    if not chosen["as_json"]:
        out(str(done.folder))
        return
    told, failed = store.to_plain(done.verdicts), store.to_plain(done.troubles)
    out_json({"run": str(done.folder), "model": done.measured.model.name, "verdicts": told, "failures": failed})


@contextmanager
def _underway(
    request: Request, named: Named, progress: Phases, opened: Opening, tell: Callable[[str], object]
) -> Iterator[tuple[Path, Probe, Unfinished]]:
    """Open the model and hold the run's folder, from before that where it was named; arguments as in `carried_out`."""
    chosen, adapter, folder = request.chosen, request.adapter, request.chosen["folder"]
    probe = opened(adapter, chosen, named, progress) if folder is None else None
    folder = folder or default_folder(probe.info.name if probe else "")
    unfinished = Unfinished(folder, resume=chosen["resume"], tell=note, keeps=chosen["keep_states"])
    with kept(unfinished, request, folder, tell):
        store.refuse_existing(folder)  # another process may have finished it since
        unfinished.agree(request.asked(folder))
        if chosen["resume"] and not unfinished.is_kept:
            note(f"Nothing of {folder} is stored yet, so that it starts from the beginning.")
        yield folder, probe or opened(adapter, chosen, named, progress), unfinished


def open_model(adapter: Adapter, chosen: Mapping[str, Any], named: Named, progress: Phases) -> Probe:
    """Return the model that was chosen."""
    note(f"Opening {chosen['model'] or 'the first model'} of adapter {adapter.name} ...")
    progress("load", 0, weights_size(chosen["model"] or ""))
    with blaming(*named):
        probe = adapter.open(model_request(chosen))
        info = probe.info
    for said in info.notes:
        note(f"Note: {said}.")
    return probe


def _used(
    chosen: Mapping[str, Any], known: Registry, adapter: Adapter, probe: Probe, plan: engine.Plan
) -> dict[str, Any]:
    """Return what was used where aniso was left the choice, and where a name may stand for something else tomorrow."""
    info, model, prompts = probe.info, chosen["model"], chosen["prompts"]
    presets = [preset.name for preset in adapter.presets]
    used: dict[str, Any] = {
        "model": presets[0] if model is None and presets else model,
        "prompts": prompts if prompts in known.names("prompts") else Path(prompts),
        "streams": tuple(plan.streams or (name for name in STREAMS if any(s.stream == name for s in probe.sites))),
        "token_sets": tuple(plan.tokens),
        "metrics": tuple(metric.name for metric in plan.metrics),
    }
    if model not in presets and model is not None and on_disk(Path.exists, Path(model)):
        used["model"] = Path(model)
    if info.source == "hub" and info.revision:
        used["revision"] = f"{(chosen['revision'] or '').partition('@')[0]}@{info.revision}"
    if info.dtype in _DTYPES:
        used["dtype"] = info.dtype
    if chosen["device_map"] is None:
        used["device"] = info.device
    return used


def default_folder(model: str) -> Path:
    """Return runs/<time>-<model>, with a number where that is taken.

    What holds it while it is not whole is made, so that of two processes in the same second only one has it.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    base = Path("runs") / f"{stamp}-{slug(model)}"
    base.parent.mkdir(exist_ok=True)
    for number in count(1):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        if not folder.exists():
            with suppress(FileExistsError):
                folder.with_name(folder.name + store.UNFINISHED).mkdir()
                return folder
    raise AssertionError


def refuse_other_preset(known: Registry, adapter: Adapter, model: str | None) -> None:
    """Raise AnisoError where `model` is a preset of other adapters than the one that was asked for."""
    own = {preset.name for preset in adapter.presets}
    if model in own or (model is None and own) or (model is not None and on_disk(Path.exists, Path(model))):
        return
    others = [
        item.name
        for item in known.items("adapter")
        if any(preset.name == model or (model is None and preset.bundled) for preset in item.value.presets)
    ]
    if others:
        asked = f"{visible(model)} is a preset of" if model else "Adapter auto has no model of its own; one ships with"
        message = f"{asked} adapter {' and '.join(others)}: add {' or '.join(f'--adapter {name}' for name in others)}"
        raise AnisoError(f"{message}, or name another with --model." if model is None else f"{message}.")


def _plain(value: Any) -> Any:
    return visible(value) if isinstance(value, str | Path) else value


def _remark(measured: Profile, plan: engine.Plan) -> None:
    prompts, made = measured.prompts, measured.provenance
    tell_remarks(measured.remarks)
    if made.batch_tokens < plan.batch_tokens:
        note(f"Note: memory ran out, so batches were cut to {made.batch_tokens} tokens; --batch-tokens sets them.")
    if plan.kernels == "fast":
        note(f"Note: with --kernels fast the model ran on these: {made.kernels}.")
    if prompts is None:
        return
    detail(f"Measured in batches of at most {made.batch_tokens:,} tokens, kernels {made.kernels}.")
    if prompts.duplicates:
        note(f"Note: {prompts.duplicates} of {prompts.documents} documents repeat another and add nothing new.")
    if prompts.windows > prompts.documents:
        split = f"split into {prompts.windows} windows of at most {prompts.max_length} tokens"
        note(f"Note: {prompts.documents} documents were {split}.")
