"""Checks an executor: what its workers measure is what this process measures, and their errors come back."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch

from aniso_core import engine
from aniso_core.api import make_plan
from aniso_core.contracts import Executor, ModelRequest, Workers
from aniso_core.errors import AnisoError
from aniso_core.executing import Elsewhere
from aniso_core.plugins import Registry, registry
from aniso_core.records import Profile
from aniso_core.store import encode
from aniso_core.testing.rules import Checked, silent, want, wanting
from aniso_core.tokens import TOKEN_SETS, Document
from aniso_core.working import as_opened, facts

_NOBODY = "no-adapter-of-this-name"
_TEXTS = ("The river rose in spring.", "Nobody had seen the old bridge since the war.", "Seven lamps, eight, nine.")


def check_executor(executor: Executor, options: Mapping[str, str] | None = None) -> Checked:
    """Return what was checked of an executor; raises AssertionError, one sentence, for the first rule that it breaks.

    It is opened with `options`. Where it has workers, what they measure of a bundled model is to the bit what this
    process measures, and an error of theirs comes back as it was raised. Without an adapter that brings a model only
    errors are checked.
    """
    about, rules = f"Executor {executor.name}", ["its record is complete"]
    with silent(about), ExitStack() as stack:
        want(executor.summary.strip(), about, "a summary", repr(executor.summary), "in its record")
        for name, meaning in executor.options.items():
            want(name.strip() and meaning.strip(), about, "a meaning of each option", repr(meaning), f"option {name!r}")
        with wanting(about, "workers, or None for this process", "when it is opened"):
            workers = stack.enter_context(executor.open(options or {}))
        if workers is not None:
            for name in ("count", "threads"):
                number = getattr(workers, name, None)
                want(isinstance(number, int) and number > 0, about, "a whole number above 0", repr(number), name)
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(workers.threads)
            rules += _measures(registry(), workers, about)
    return Checked("executor", executor.name, tuple(rules))


def _measures(known: Registry, workers: Workers, about: str) -> Sequence[str]:
    """Return the rules that hold of what workers measure."""
    bundled = [(i.value, p) for i in known.items("adapter") for p in i.value.presets if p.bundled]
    if not bundled:
        return ()
    adapter, preset = bundled[0]
    request = ModelRequest(preset.name, device="cpu", dtype="float32")
    probe, plan = adapter.open(request), _plan()
    documents = [Document(str(number), text) for number, text in enumerate(_TEXTS)]
    measured = partial(engine.profile, probe, documents, plan, "texts")
    told = facts(known, adapter.name, request.model, probe, plan.owners)
    elsewhere = Elsewhere(workers, adapter.name, as_opened(request, probe), told)
    where = f"measuring {len(documents)} shards of {preset.name}"
    with wanting(about, "a profile", where):
        same = _numbers(measured(elsewhere=elsewhere)) == _numbers(measured())
    want(same, about, "what this process measures, to the bit", "other numbers", where)
    try:
        measured(elsewhere=replace(elsewhere, adapter=_NOBODY))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        raised = isinstance(error, AnisoError) and str(error) == known.unknown("adapter", _NOBODY)
        want(raised, about, "the AnisoError that a worker raised", error, "measuring what no worker can")
    else:
        want(held=False, about=about, wanted="an AnisoError", got="a profile", where="measuring what no worker can")
    return ("its workers measure what this process measures", "an error of theirs comes back as it was raised")


def _plan() -> engine.Plan:
    """Return what is measured: little, each document a shard."""
    metrics = ("norm-mean", "top-eigenvalue-share")
    return make_plan(metrics, streams=None, tokens=tuple(TOKEN_SETS), shard_tokens=1)


def _numbers(profile: Profile) -> tuple[object, ...]:
    """Return all that a profile holds but when it was made."""
    timeless = replace(profile.provenance, seconds=0.0, started="")
    bare = replace(profile, provenance=timeless, spectra=(), pseudo=(), arrays=())
    spectra = [spectrum.values.tobytes() for spectrum in profile.spectra]
    return encode(bare), spectra, [pseudo.values.tobytes() for pseudo in profile.pseudo]
