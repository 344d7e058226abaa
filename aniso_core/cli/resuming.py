"""Runs that are taken up where they were: what a result depends on, how to go on, and runs that are whole already."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from aniso_core import store
from aniso_core.cli.again import command
from aniso_core.cli.config import seen_from
from aniso_core.cli.say import say
from aniso_core.contracts import Adapter, Hypothesis, ModelRequest, Probe, Reporter, Workers
from aniso_core.engine import Plan
from aniso_core.errors import AnisoError
from aniso_core.executing import Elsewhere
from aniso_core.extending import Earlier
from aniso_core.plugins import Registry
from aniso_core.prereg import Registered
from aniso_core.records import FigureStyle, Profile
from aniso_core.sources import on_disk
from aniso_core.store import Judged
from aniso_core.text import visible
from aniso_core.tokens import Document, texts_sha256
from aniso_core.unfinished import DESCRIBED_BY, Unfinished, differences
from aniso_core.working import as_opened, facts

OPENING = tuple(field.name for field in fields(ModelRequest))
"""Options that say which model is opened, and how."""


def model_request(chosen: Mapping[str, Any]) -> ModelRequest:
    """Return the model that was chosen."""
    return ModelRequest(**{name: chosen[name] for name in OPENING})


@dataclass(frozen=True)
class Request:
    """What was asked for: the command's options, and what they stand for."""

    chosen: Mapping[str, Any]
    adapter: Adapter
    prompts: str
    documents: Sequence[Document]
    plan: Plan
    hypotheses: Sequence[Hypothesis]
    registered: Registered | None
    reporters: Sequence[Reporter]
    styles: tuple[FigureStyle, tuple[Path, ...]]
    executor: Callable[[], AbstractContextManager[Workers | None]]
    earlier: Earlier | None = None
    """The run whose text begins this one's, where it is extended."""
    again: str = ""
    """The command that goes on with it where it breaks off; empty where that is `aniso profile`."""

    @property
    def texts(self) -> str:
        """What all the texts are called together."""
        return self.prompts if self.earlier is None else f"{self.earlier.prompts}+{self.prompts}"

    def asked(self, folder: Path) -> dict[str, Any]:
        """Return all of it that a result depends on, by option; paths as they are seen from the run's folder."""
        chosen, plan, count = self.chosen, self.plan, len(self.documents)
        model, presets = chosen["model"], [preset.name for preset in self.adapter.presets]
        if model is None and presets:
            model = presets[0]
        elif model is not None and model not in presets and on_disk(Path.exists, Path(model)):
            model = seen_from(folder, Path(model))
        return {
            "adapter": self.adapter.name,
            "model": model,
            "revision": chosen["revision"],
            "texts": texts_sha256(self.documents),
            DESCRIBED_BY["texts"]: f"{count} document{'s' * (count != 1)} of {self.texts}",
            "stream": plan.streams and sorted(plan.streams),
            "tokens": plan.tokens,
            "metric": [metric.name for metric in plan.metrics],
            "hypothesis": [hypothesis.name for hypothesis in self.hypotheses],
            "dtype": chosen["dtype"],
            "device": chosen["device"] and chosen["device"].partition(":")[0],
            "device-map": chosen["device_map"],
            "bos": plan.bos,
            "batch-tokens": plan.batch_tokens,
            "shard-tokens": plan.shard_tokens,
            "kernels": plan.kernels,
            "max-length": plan.max_length,
            "no-intervals": not plan.intervals,
            "seed": plan.seed,
            "prereg": self.registered and self.registered.sha256,
            "trust-remote-code": chosen["trust_remote_code"],
            "keep-states": chosen["keep_states"] or None,
        }

    def found(self, known: Registry, probe: Probe) -> dict[str, Any]:
        """Return what else a result depends on, by name: weights, machine, versions."""
        plan, owners = self.plan, known.owners("hypothesis")
        told = facts(known, self.adapter.name, self.chosen["model"], probe, plan.owners)
        judging = (owners[hypothesis.name] for hypothesis in self.hypotheses)
        return told | {"plugins": sorted({*told["plugins"], *judging})}

    def elsewhere(self, known: Registry, probe: Probe, workers: Workers) -> Elsewhere:
        """Return workers with what they need to know of the model that was opened here."""
        name, model = self.adapter.name, as_opened(model_request(self.chosen), probe)
        return Elsewhere(workers, name, model, facts(known, name, model.model, probe, self.plan.owners))


@contextlib.contextmanager
def kept(unfinished: Unfinished, request: Request, folder: Path, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold a run; where it breaks off and can go on later, tell with which command, or note it on an interrupt."""
    try:
        with unfinished.held():
            yield
    except BaseException as error:
        if unfinished.can_go_on:
            again = request.again or command({**request.chosen, "folder": folder, "resume": True})
            if isinstance(error, KeyboardInterrupt):
                error.add_note(f"what was measured is kept; to go on: {again}")
            else:
                tell(f"What was measured is kept; to go on: {again}")
        raise


def whole(folder: Path, request: Request) -> tuple[Profile, Judged]:
    """Return a run that is whole already, its arrays left out; raises AnisoError where `require_same` does."""
    require_same(folder, request)
    return store.load(folder, arrays=False), store.load_judged(folder)


def require_same(folder: Path, request: Request) -> None:
    """Raise AnisoError where a run that is whole is of another request; remove what lies beside one of the same."""
    before, now = store.load_record(folder).asked, store.to_plain([request.asked(folder)])[0]
    if not before:
        message = f"{visible(folder)} is whole, but does not say all that --resume compares; name another --out."
        raise AnisoError(message)
    if other := differences({name: before.get(name) for name in now}, now):
        message = f"{visible(folder)} is whole, but of something else: {other}. Ask for that, or name another --out."
        raise AnisoError(message)
    left = Unfinished(folder, resume=True, tell=say)
    if left.folder.exists():
        with contextlib.suppress(AnisoError), left.held():  # its process died before it could remove this
            pass
