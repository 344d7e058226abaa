"""Example profiles: the real engine over seeded states, so that hypotheses and reporters need no model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from aniso_core import engine
from aniso_core.batches import Batch
from aniso_core.contracts import BosRule, Metric, Sink
from aniso_core.plugins import registry
from aniso_core.records import ModelInfo, Norm, NormKind, Profile, Site
from aniso_core.tokens import Document, Tokenized, Window

_WIDTH = 16
_CONTEXT = 48
_BOS = 256  # beside the bytes of a text
_MASSIVE = 30.0  # how much longer than others first tokens are between the first state and the last


def example_profile(
    name: str = "example",
    *,
    norm: NormKind = "rmsnorm",
    layers: int = 6,
    documents: int = 16,
    metrics: Sequence[Metric] | None = None,
) -> Profile:
    """Return the profile of a model that there is not: states seeded by its name, measured as any model's are.

    Their spread narrows towards the middle layers, where first tokens are massive. `metrics` are by default those that
    are installed.
    """
    chosen = (item.value for item in registry().items("metric")) if metrics is None else metrics
    info = ModelInfo(
        name=name,
        architecture="Example",
        source="memory",
        revision="",
        weights_sha256="",
        layers=layers,
        width=_WIDTH,
        parameters=0,
        norm=norm,
        placement="pre",
        dtype="float32",
        device="cpu",
        attention="eager",
    )
    return _measured(info, documents, tuple(chosen))


@cache
def _measured(info: ModelInfo, count: int, metrics: tuple[Metric, ...]) -> Profile:
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz ,.")
    texts = ["".join(rng.choice(letters, size=length)) for length in rng.integers(_CONTEXT // 3, _CONTEXT, count)]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    return engine.profile(_SeededProbe(info), documents, engine.Plan(metrics), "example")


@dataclass(frozen=True)
class _SeededProbe:
    """A probe without a model: a token's state depends on its byte, its place, the layer and the model's name."""

    info: ModelInfo
    row_tokens: int = 0

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site of both streams."""
        layers = range(self.info.layers + 1)
        return tuple(Site(layer, stream) for stream in ("residual", "normed") for layer in layers)

    def norm_at(self, site: Site) -> Norm | None:
        """Return a norm that changes the length alone."""
        if self.info.norm is None or site.stream != "normed":
            return None
        return Norm(self.info.norm, np.ones(_WIDTH), None, 1e-6)

    def tokenize(self, documents: Iterable[Document], *, bos: BosRule, max_length: int | None) -> Tokenized:
        """Return each document as one window: a BOS token and its first bytes."""
        most = min(max_length or _CONTEXT, _CONTEXT)
        ids = [(_BOS, *document.text.encode()[: most - 1]) for document in documents]
        windows = tuple(Window(each, number, 1, 0) for number, each in enumerate(ids))
        return Tokenized(windows, len(windows), f"{bos}: one BOS token", most)

    @contextmanager
    def reading(self, sites: Sequence[Site], sink: Sink) -> Iterator[Callable[[Batch], None]]:
        """Yield a function that hands the states of a batch at each site to the sink."""

        def run(batch: Batch) -> None:
            for site in sites:
                sink(site, self._states(site, batch))

        yield run

    def _states(self, site: Site, batch: Batch) -> torch.Tensor:
        """Return float32[rows, time, d]."""
        seed = list(self.info.name.encode())
        rng = np.random.default_rng(seed)
        by_byte, by_place = (rng.standard_normal((size, _WIDTH)) for size in (_BOS + 1, _CONTEXT))
        own = np.random.default_rng([*seed, site.layer]).standard_normal((_BOS + 1, _WIDTH))
        depth = site.layer / self.info.layers
        stretch = np.geomspace(1.0, 0.3, _WIDTH)
        stretch[0] += 4.0 * np.sin(np.pi * depth)
        states = (by_byte[batch.ids] + 0.5 * own[batch.ids] + 0.3 * by_place[: batch.shape[1]]) * stretch + 0.5
        if 0 < depth < 1:
            states[:, 0] *= _MASSIVE
        if site.stream == "normed":
            states /= np.sqrt((states**2).mean(axis=-1, keepdims=True))
        return torch.from_numpy(states.astype(np.float32))
