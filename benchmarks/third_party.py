"""What strangers' plugins cost who installed them: the list of plugins, and a corpus measured beside ten metrics."""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import startup
from results import Target, cells, record
from subjects import smollm2
from timing import Action, seconds

from aniso_core import engine
from aniso_core.batches import plan_batches
from aniso_core.contracts import ModelRequest, Probe
from aniso_core.documents import units_of
from aniso_core.fold import Fold
from aniso_core.plugins import registry
from aniso_core.records import Site
from aniso_core.tokens import Window

INSTALLED, METRICS = 50, 10
LISTS, ROUNDS = 15, 9
LIST, JOB = Target("at most", 0.6), Target("at most", 1.01)
STREAMS, TOKEN_SETS = ("residual",), ("all", "bulk")
PLUGIN = """\
from aniso_core import Metric, hookimpl


def count(m):
    return float(m.count)


@hookimpl
def aniso_metrics():
    return [{metrics}]
"""

LIST_NOTE = """\
Wall time in seconds of `aniso plugins` with {installed} distributions more, each with one metric and a range of aniso's
versions, and without; {rounds} rounds, by turns."""

JOB_NOTE = """\
What {metrics} trivial metrics of an installed distribution add to a job: {model} in float32, prompt set {prompts}, all
layers of the residual stream with the final norm's output, token sets all and bulk, all usual metrics, intervals, for
which each metric is asked once without each document, too. Metrics over moments cost nothing before they are asked, so
the pass is made once into a fold with them and once into one without; then both are asked by turns, {rounds} rounds.
The ratio is that of the first pass and the asking to the same without them."""


def main(lists: int = LISTS, rounds: int = ROUNDS, prompts: str = "library128") -> None:
    """Install the distributions, then list them and measure beside their metrics."""
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder) / "many", Path(folder) / "one"
        install(many, {f"aniso-dummy-{number}": [f"dummy-{number}"] for number in range(INSTALLED)})
        install(one, {"aniso-ten": [f"trivial-{number}" for number in range(METRICS)]})
        columns = ("what", "median", "quartiles", "target", "reached")
        note = LIST_NOTE.format(installed=INSTALLED, rounds=lists)
        record("List of plugins", columns, listed(many, lists), note)
        sys.path.insert(0, str(one))
        probe = subject()
        found = beside(probe, rounds, prompts)
        note = JOB_NOTE.format(metrics=METRICS, model=probe.info.name, prompts=prompts, rounds=rounds)
        record("Ten metrics of a stranger", columns, found, note)


def install(folder: Path, distributions: dict[str, Sequence[str]]) -> None:
    """Install distributions by name, each with the metrics of the given names, with pip and without a network."""
    folder.mkdir()
    wheels = [wheel(folder, name, metrics) for name, metrics in distributions.items()]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*pip, *map(str, wheels)], check=True)  # noqa: S603 - our own command


def wheel(folder: Path, name: str, metrics: Sequence[str]) -> Path:
    """Return the wheel of a plugin with metrics, written into a folder."""
    module = name.replace("-", "_")
    made, info = folder / f"{module}-1.0-py3-none-any.whl", f"{module}-1.0.dist-info"
    records = ", ".join(f"Metric({metric!r}, count, summary='how many tokens there are')" for metric in metrics)
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{module}.py", PLUGIN.format(metrics=records))
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: aniso>=0.1,<1\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", f"[aniso]\n{module} = {module}\n")
        archive.writestr(f"{info}/RECORD", "")
    return made


def listed(site: Path, rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of the list with what is installed at a place, and without."""
    command, plain = [startup.ANISO, "plugins"], dict(os.environ)
    path = os.pathsep.join(filter(None, (str(site), plain.get("PYTHONPATH"))))
    shown = subprocess.run(command, env=plain | {"PYTHONPATH": path}, check=True, capture_output=True, text=True)  # noqa: S603
    if shown.stdout.count("dummy-") < INSTALLED:
        message = f"Wanted {INSTALLED} dummies in the list, got {shown.stdout}"
        raise RuntimeError(message)
    environments = (plain, plain | {"PYTHONPATH": path})
    runs = [partial(subprocess.run, command, env=e, check=True, capture_output=True) for e in environments]
    without, within = alternated(runs, rounds)
    added = [b - a for a, b in zip(without, within, strict=True)]
    rows = [("none more", *cells(without, form=".2f")), (f"{INSTALLED} more", *cells(within, LIST, ".2f"))]
    return [*rows, ("difference", *cells(added, form=".2f"))]


def subject() -> Probe:
    """Return SmolLM2-135M where it is there, else the bundled Gemma model."""
    if any(Path(os.environ.get("ANISO_SMOLLM2", ".cache/smollm2")).rglob("*.gguf")):
        return smollm2()
    return registry().adapter("gemma").open(ModelRequest())


def beside(probe: Probe, rounds: int, prompts: str) -> list[tuple[str, ...]]:
    """Return the rows of the job with and without the stranger's metrics."""
    usual = [item for item in registry().items("metric") if not item.value.on_request]
    ours = [item.value for item in usual if item.plugin.distribution != "aniso-ten"]
    if len(usual) - len(ours) != METRICS:
        message = f"Wanted {METRICS} metrics of aniso-ten, got {len(usual) - len(ours)}"
        raise RuntimeError(message)
    documents, sites = registry().prompts(prompts).load(), engine.choose_sites(probe, STREAMS)
    names, units, owners = [document.id for document in documents], units_of(documents), registry().owners("metric")
    folds = [Fold(metrics, names, units, owners=owners) for metrics in (ours, [item.value for item in usual])]
    windows = probe.tokenize(documents, bos="auto", max_length=None).windows
    passed, _ = (seconds(partial(take, fold, probe, sites, windows)) for fold in folds)
    without, within = alternated([partial(fold.ask, sites, TOKEN_SETS) for fold in folds], rounds)
    ratios = [(passed + b) / (passed + a) for a, b in zip(without, within, strict=True)]
    rows = [("asking without, s", *cells(without)), ("asking with, s", *cells(within))]
    return [("pass, s", f"{passed:.3g}", "", "", ""), *rows, ("ratio", *cells(ratios, JOB, ".4f"))]


def take(fold: Fold, probe: Probe, sites: Sequence[Site], windows: Sequence[Window]) -> None:
    """Run windows through a model into a fold."""
    for batch in plan_batches(windows, engine.Plan.batch_tokens, probe.row_tokens):
        with fold.taking(batch) as sink, probe.reading(sites, sink) as run:
            run(batch)


def alternated(actions: Sequence[Action], rounds: int) -> list[list[float]]:
    """Return the seconds of each of some calls that are made by turns, after one of each that warms up."""
    taken = [[seconds(action) for action in actions] for _ in range(rounds + 1)]
    return [list(times) for times in zip(*taken[1:], strict=True)]


if __name__ == "__main__":
    main()
