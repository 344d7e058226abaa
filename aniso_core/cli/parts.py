"""What the commands share that measure, judge and draw: look-ups, reporters, and whom to blame."""

import atexit
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import click

from aniso_core.cli.completion import completing
from aniso_core.cli.say import TRACEBACK, loudness, note
from aniso_core.contracts import Workers
from aniso_core.documents import check_documents, read_documents
from aniso_core.errors import AnisoError
from aniso_core.isolation import isolated, said
from aniso_core.plugins import Item, Registry
from aniso_core.prereg import Registered
from aniso_core.records import About, Failure, Profile, ReportFile, Verdict
from aniso_core.standing import unmet
from aniso_core.text import nearest_first, short, visible
from aniso_core.tokens import Document

PARTLY_FAILED = 3
"""Exit code of a run that is whole but for a plugin's part that failed."""

F = TypeVar("F", bound=Callable[..., object])
_OBJECTS = 50_000  # made between two looks for garbage; Python's own 700 make many looks through all of torch


def preregistered() -> Callable[[F], F]:
    """Return the option that names a preregistration."""
    return click.option(
        "--prereg",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Claims that `aniso preregister` fixed; verdicts on them are confirmatory.",
    )


def executed() -> Callable[[F], F]:
    """Return the options that name an executor and what it is told."""
    named = click.option(
        "--executor",
        default="local",
        show_default=True,
        shell_complete=completing("executor"),
        help="Who measures the shards of the text.",
    )
    told = click.option(
        "--executor-option",
        "executor_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Option of the executor (`aniso executors show NAME` lists them); may be repeated.",
    )
    return lambda function: named(told(function))


def loading() -> Callable[[F], F]:
    """Return the options that say from where, and of which kind of file, weights may be loaded."""
    offline = click.option("--offline", is_flag=True, help="Never use the network; take hub models from the cache.")
    pickle = click.option(
        "--allow-pickle", is_flag=True, help="Read .bin weights where there is no safetensors file (old checkpoints)."
    )
    return lambda function: offline(pickle(function))


def measuring(resume: str) -> Callable[[F], F]:
    """Return the options on how a run is measured and told: by whom, from where its weights come, where it goes on.

    `resume` says in a sentence what --resume does.
    """
    options = (
        executed(),
        click.option("--resume", is_flag=True, help=resume),
        loading(),
        click.option(
            "--trust-remote-code", metavar="ORG/NAME@COMMIT", help="Run the code that this very hub commit brings."
        ),
        click.option("--json", "as_json", is_flag=True, help="Write the run's path, model and verdicts as JSON."),
    )

    def decorated(function: F) -> F:
        for option in reversed(options):  # what is applied last stands first in the help
            function = option(function)
        return function

    return decorated


def tell_standing(
    verdicts: Sequence[Verdict], registered: Registered | None, profiles: Sequence[Profile], seed: int
) -> None:
    """Say how many verdicts are confirmatory, and why claims have none."""
    if registered is None:
        return
    count = sum(verdict.standing == "confirmatory" for verdict in verdicts)
    note(f"Preregistered {registered.registered}, SHA-256 {registered.sha256[:12]}: {count} confirmatory.")
    for claim, reason in unmet(verdicts, registered, profiles, seed):
        note(f"Note: claim {short(claim.id)} has no confirmatory verdict: {reason}.")


def find_prompts(known: Registry, wanted: str, encoding: str) -> tuple[str, Sequence[Document]]:
    """Return the name and documents of a prompt set or of a file; raises AnisoError where it is neither."""
    if wanted in known.names("prompts"):
        with blaming(f"prompt set {wanted}", known.distribution("prompts", wanted)):
            documents = list(known.prompts(wanted).load())
            try:
                return wanted, check_documents(documents)
            except AnisoError as error:
                raise ValueError(str(error)) from error
    path = Path(wanted)
    if path.exists():
        return visible(path.name), read_documents(path, encoding)
    message = f"There is no file {visible(wanted)}, and: {known.unknown('prompts', wanted)}"
    raise AnisoError(message)


def find_executor(
    known: Registry, name: str, options: Sequence[str]
) -> Callable[[], AbstractContextManager[Workers | None]]:
    """Return what makes the workers of an executor, None where it is this process that measures.

    Raises AnisoError for what is no option of it. This process takes as many threads as its workers have.
    """
    item = known.item("executor", name)
    takes, given = item.value.options, {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in takes:
            there = (
                f"its options are {', '.join(nearest_first(key, takes))}, each as KEY=VALUE" if takes else "it has none"
            )
            others = [f"--executor {other.name}" for other in known.items("executor") if key in other.value.options]
            if others and key not in takes:
                there += f", and {' or '.join(others)} takes {key}"
            message = f"Executor {item.name} has no option {visible(option)!r}; {there}."
            raise AnisoError(message)
        given[key] = value

    @contextmanager
    def made() -> Iterator[Workers | None]:
        with ExitStack() as stack:
            with blaming(f"executor {item.name}", item.plugin.release):
                workers = stack.enter_context(item.value.open(given))
            if workers is not None:
                import torch

                threads = torch.get_num_threads()
                stack.callback(torch.set_num_threads, threads)
                torch.set_num_threads(workers.threads)
            yield workers

    return made


def tell_remarks(remarks: Sequence[Failure]) -> None:
    """Say what plugins' parts printed and warned of, unless quiet is wanted."""
    for remark in remarks:
        note(f"Note: the {remark.kind} {remark.name} ({remark.distribution}) {remark.reason}")


def about(known: Registry, profiles: Sequence[Profile], verdicts: Sequence[Verdict]) -> tuple[About, ...]:
    """Return what is known of the metrics and hypotheses that occur; those that are not installed are left out."""
    metrics = {curve.metric for profile in profiles for curve in profile.curves}
    claims = {verdict.hypothesis for verdict in verdicts}
    return (
        *(
            About("metric", item.name, item.value.summary, item.value.source)
            for item in known.items("metric")
            if item.name in metrics
        ),
        *(
            About("hypothesis", item.name, item.value.claim, item.value.source, item.value.metric)
            for item in known.items("hypothesis")
            if item.name in claims
        ),
    )


def show(files: Sequence[ReportFile]) -> str:
    """Write to stderr the files that reporters mean for the terminal, unless quiet is wanted; return what was shown."""
    texts = [file.data.decode() for file in files if file.show and loudness() != "quiet"]
    for text in texts:
        for line in text.splitlines():
            note(line.expandtabs())
    return " ".join(" ".join(texts).split())


def published(adapter: Item) -> dict[str, Profile]:
    """Return the profiles by others that an adapter knows, by name; raises AnisoError where it fails to give them."""
    with blaming(f"adapter {adapter.name}", adapter.plugin.release):
        found = dict(adapter.value.published())
        for name, profile in found.items():
            if not isinstance(profile, Profile):
                message = f"published() gave a {type(profile).__name__} as {name}, wanted a Profile"
                raise TypeError(message)
        return found


@contextmanager
def blaming(part: str, distribution: str) -> Iterator[None]:
    """Turn whatever a plugin's part raises into one sentence that names it, unless it is a sentence already."""
    try:
        with isolated(lambda text: note(f"Note: the {part} ({distribution}) {text}")):
            yield
    except AnisoError:
        raise
    except Exception as error:
        fault = said(error).rstrip(".")
        advice = f"{TRACEBACK}=1 shows where, and its author is the one to tell"
        message = f"The {part} ({distribution}) failed: {fault}; {advice}."
        raise AnisoError(message) from error


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage in cycles seldom, and at exit not at all: of the objects that torch brings nearly all stay."""
    atexit.register(gc.freeze)
    usual = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
