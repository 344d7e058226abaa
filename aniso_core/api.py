"""aniso from Python: a model that is already in memory, and runs on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aniso_core.contracts import BosRule, Kernels, Metric
from aniso_core.errors import AnisoError
from aniso_core.records import Profile
from aniso_core.text import visible
from aniso_core.tokens import TOKEN_SETS, Document

if TYPE_CHECKING:
    from aniso_core.engine import Plan

DEFAULT = "default"
"""The name that stands for all installed metrics but those on request."""

VERSIONED = ("aniso", "torch", "transformers", "tokenizers", "accelerate", "numpy", "scipy", "safetensors", "gguf")
"""The distributions whose versions a run records."""


def profile(  # noqa: PLR0913 - keyword arguments, each with a default, are how this is called
    model: Any,
    tokenizer: Any,
    texts: Sequence[str | Document],
    *,
    streams: Sequence[str] | None = None,
    tokens: Sequence[str] = tuple(TOKEN_SETS),
    metrics: Sequence[str | Metric] | None = None,
    bos: BosRule = "auto",
    max_length: int | None = None,
    batch_tokens: int = 1024,
    kernels: Kernels = "default",
    intervals: bool = True,
    time_limit: float | None = None,
    seed: int = 0,
    name: str | None = None,
    out: Path | str | None = None,
    prereg: Path | str | None = None,
) -> Profile:
    """Return the anisotropy profile of a transformers model in memory on texts, each text a document.

    `metrics` are names or Metric records ("default": all that are installed but those on request), `streams` (default:
    all that the model has) and `tokens` as in docs/concepts.md, `max_length` in tokens; `intervals` are over documents,
    `time_limit` in seconds for a metric at a site and token set, and for a hypothesis. The model is left as it was
    found. With `out` a run directory is written as well, which `aniso report` draws, with the verdicts of the installed
    hypotheses, confirmatory where they meet claims of the file `prereg` (`aniso preregister`). Raises AnisoError for
    what cannot be measured and OutOfRangeError for states that are not finite.
    """
    from aniso_core import engine, store
    from aniso_core import prereg as preregistration
    from aniso_core.documents import documents_from
    from aniso_core.plugins import registry
    from aniso_core.transformer import TransformerProbe, describe

    documents = documents_from(texts)
    label = name or getattr(getattr(model, "config", None), "_name_or_path", "") or type(model).__name__
    probe = TransformerProbe(
        model, tokenizer, lambda anatomy: describe(model, anatomy, name=str(label), source="memory")
    )
    plan = make_plan(
        metrics,
        streams=streams,
        tokens=tokens,
        bos=bos,
        max_length=max_length,
        batch_tokens=batch_tokens,
        kernels=kernels,
        intervals=intervals,
        time_limit=time_limit,
        seed=seed,
    )
    if out is not None:
        store.refuse_existing(Path(out))
    registered = None if prereg is None else preregistration.read(Path(prereg))
    measured = preregistration.noted(engine.profile(probe, documents, plan, "texts"), registered)
    if out is not None:
        known = registry()
        hypotheses = [item.value for item in known.items("hypothesis")]
        owners = known.owners("hypothesis")
        judged = engine.judge(hypotheses, [measured], seed, owners=owners, registered=registered, time_limit=time_limit)
        store.save(Path(out), store.run_files(measured, judged, {"model": str(label)}), ())
    return measured


def load(run: Path | str) -> Profile:
    """Return the profile of a run directory; raises AnisoError where it is none or damaged."""
    from aniso_core import store

    return store.load(run)


def make_plan(metrics: Sequence[str | Metric] | None, **choices: Any) -> "Plan":
    """Return the plan to measure `metrics` (names or records, None: those of DEFAULT); `choices` as in Plan."""
    from aniso_core.engine import Plan
    from aniso_core.plugins import registry

    known = registry()
    usual = [item.value for item in known.items("metric") if not item.value.on_request]
    records: dict[Metric, None] = {}
    for wanted in (DEFAULT,) if metrics is None else metrics:
        given = [known.metric(wanted) if isinstance(wanted, str) else wanted] if wanted != DEFAULT else usual
        records |= dict.fromkeys(given)
    names = [metric.name for metric in records]
    for name in names:
        if names.count(name) > 1:
            message = f"Two metrics are called {visible(name)!r}; rename one, since results are told apart by name."
            raise AnisoError(message)
    installed = {item.value: item.plugin.release for item in known.items("metric")}
    owners = {metric.name: installed.get(metric, "given") for metric in records}
    for repeated in ("streams", "tokens"):
        if choices[repeated] is not None:
            choices[repeated] = tuple(dict.fromkeys(choices[repeated]))
    return Plan(list(records), owners=owners, versions=installed_versions(), **choices)


def processor(device: str = "cpu") -> str:
    """Return the names of the GPUs among devices, as `cuda:0, cuda:1`; of the processor where there are none."""
    import platform
    import re

    import torch

    gpus = [torch.cuda.get_device_name(each) for each in device.split(", ") if each.startswith("cuda")]
    if gpus:
        return ", ".join(gpus)
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    name = named[1] if named else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the distributions that a measurement depends on."""
    import platform
    from importlib import metadata

    versions = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
