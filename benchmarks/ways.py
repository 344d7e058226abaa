"""The ways from a model and windows to numbers that are compared: bare passes, aniso's, and the notebooks'."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from subjects import GivenTokens
from torch import Tensor, nn

from aniso_core import engine
from aniso_core.batches import Batch
from aniso_core.contracts import Metric
from aniso_core.documents import units_of
from aniso_core.fold import Fold, Measured
from aniso_core.plugins import registry
from aniso_core.records import Site
from aniso_core.tokens import TOKEN_SETS, Document
from aniso_core.transformer import TransformerProbe

BATCH_TOKENS = engine.Plan.batch_tokens
METRICS: tuple[Metric, ...] = tuple(item.value for item in registry().items("metric") if not item.value.on_request)
ALL, DEFAULT = ("all",), tuple(TOKEN_SETS)
BOTH: tuple[str, ...] | None = None
RESIDUAL = ("residual",)


def bare(probe: TransformerProbe, batch: Batch) -> None:
    """Run the trunk over a batch and read nothing: no hook, no head, no cache."""
    with probe.reading((), lambda _site, _states: None) as run:
        run(batch)


def profile(
    probe: GivenTokens, streams: Sequence[str] | None, token_sets: Sequence[str], *, intervals: bool = True
) -> None:
    """Profile all windows of a probe with all installed metrics; streams, token sets and intervals as in Plan."""
    plan = engine.Plan(METRICS, streams=streams, tokens=token_sets, intervals=intervals)
    engine.profile(probe, probe.documents, plan, "given")


class Folding:
    """aniso's way, batch by batch: states are reduced as the model runs.

    With the residual stream alone, the final norm's output comes along.
    """

    def __init__(
        self, probe: TransformerProbe, streams: Sequence[str] | None, documents: int, *, intervals: bool = False
    ) -> None:
        """Start a fold of all installed metrics; `streams` and `intervals` as in Plan."""
        self.sites = engine.choose_sites(probe, streams)
        self._probe = probe
        given = [Document(f"{number}", f"text {number}") for number in range(documents)]
        self._fold = Fold(METRICS, [document.id for document in given], units_of(given) if intervals else [])

    def take(self, batch: Batch) -> None:
        """Run a batch and fold its states."""
        with self._fold.taking(batch) as sink, self._probe.reading(self.sites, sink) as run:
            run(batch)

    def feed(self, batch: Batch, states: Mapping[Site, Tensor]) -> None:
        """Fold the states of a batch, float[batch, time, d] by site, that ran before."""
        with self._fold.taking(batch) as sink:
            for site in self.sites:
                sink(site, states[site])

    def ask(self, token_sets: Sequence[str]) -> Measured:
        """Return all values; this is where spectra are computed."""
        return self._fold.ask(self.sites, token_sets)


class Stacking:
    """The notebooks' way: one document at a time with the head, all states kept in float32, metrics at the end."""

    def __init__(self, model: nn.Module) -> None:
        """Take a causal language model."""
        self._model = model
        self._kept: list[list[Tensor]] = []

    def take(self, batch: Batch) -> None:
        """Run the documents of a batch one by one and keep `hidden_states` of all layers."""
        for window in batch.windows:
            with torch.no_grad():
                output = self._model(input_ids=torch.tensor([window.ids]), output_hidden_states=True)
            self._kept.append([states[0].float().cpu() for states in output.hidden_states])

    def layers(self) -> Iterator[Tensor]:
        """Return the states of all documents, float32[n, d], layer by layer."""
        return (torch.cat(layer) for layer in zip(*self._kept, strict=True))

    def numbers(self) -> list[dict[str, float]]:
        """Return the notebooks' numbers of each layer."""
        return [notebook_numbers(states) for states in self.layers()]

    def anisotropies(self) -> list[float]:
        """Return s_max^2 / sum s^2 of each layer, s the singular values of the centred states [n, d]."""
        squares = (torch.linalg.svdvals(states - states.mean(dim=0)).square() for states in self.layers())
        return [float(square[0] / square.sum()) for square in squares]


def notebook_numbers(states: Tensor) -> dict[str, float]:
    """Return one layer's numbers by the notebooks' formulas: states float32[n, d], covariance float32[d, d]."""
    mean = states.mean(dim=0)
    centred = states - mean
    values = torch.linalg.eigvalsh(centred.T @ centred / (len(states) - 1)).flip(0).clamp_min(1e-10)
    share = values / values.sum()
    return {
        "eigenvalue_variance": float(values.var(correction=0)),
        "intrinsic_dim_ratio": float(share[0]),
        "effective_rank": float(torch.exp(-(share * share.log()).sum())),
        "avg_cos_sim": float((states @ mean / (states.norm(dim=1) * mean.norm())).mean()),
        **{f"var_top{k}": float(share[:k].sum()) for k in (1, 10, 50)},
    }


def states_of(probe: TransformerProbe, sites: Sequence[Site], batch: Batch) -> dict[Site, Tensor]:
    """Return the states of a batch at some sites, float[batch, time, d] each."""
    states: dict[Site, Tensor] = {}
    with probe.reading(sites, lambda site, given: states.update({site: given.clone()})) as run:
        run(batch)
    return states
