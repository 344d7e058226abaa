"""Values beside those of published packages on the same states, each package in an environment of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from results import Target, record
from scipy.spatial.distance import cdist
from transformers import AutoModel, AutoTokenizer

import aniso_core as aniso
from aniso_core.plugins import registry
from aniso_core.sampling import TokenSample
from aniso_core.tokens import Tokens
from aniso_dimension.neighbours import neighbours
from aniso_isotropy import alignment

LIMIT = Target("at most", 1e-6)
MODELS = ("gemma", "pythia")
DOCUMENTS, LETTERS = 16, 300  # short enough for one window each, so that document and position tell tokens apart
SAME = 1e-5  # of a state's length: what is nearer is one state, as aniso-dimension says
ORDERS = (2, 4, 8, 16, 32, 64)

ENTROPIES = ("matrix-entropy-1", "matrix-entropy-2", "matrix-entropy-half")
GRIDE = tuple(f"gride-{order}" for order in ORDERS[1:])
SCALES = tuple(f"neighbour-distance-{order}" for order in ORDERS)
KEPT = {"alignment": True, "alignment, not debiased": False}
"""What is told of a whole profile that kept `document-gram`, and whether it is debiased."""

NOTE = """\
Largest relative difference between aniso's values and those of published packages, or of the paper's formula in float64
where no package can be installed that has it. States: the residual stream of the bundled tiny models of {models} in
float32, every layer, on the first {letters} letters of {documents} documents. aniso measures them by `aniso.profile`;
the others are given the same states in float64, each package in an environment of its own. two-nn, gride, mle and
neighbour distances are of the sample of 1,000 tokens that aniso takes, its distinct states, and of three random clouds
that go to the estimators directly."""

CONVENTIONS = {
    "isoscore-star": "towards even variance by Ledoit and Wolf's weight; the package leaves both to the user",
    **dict.fromkeys(
        ENTROPIES, "ln of the Vendi score of that order, all tokens together; Skean et al. have it of each prompt"
    ),
    "alignment": "documents' means, each two layers of one model",
    "alignment, not debiased": "documents' means, each two layers of one model",
    "two-nn": "maximum likelihood, no ratio discarded; by default a line is fitted without the largest tenth",
    **dict.fromkeys(GRIDE, "DADApy's filter, which drops ratios far above the median, is switched off"),
    "mle-10": "inverses averaged over states",
    "rankme": "without the 1e-7 that the paper adds to each share",
    "curvature": "angles to π as in the papers; the code of Skean et al. takes the absolute cosine",
}


@dataclass(frozen=True)
class Oracle:
    """One of oracles.py: the package that it asks (none: it computes itself), what it reads, and what it tells.

    One `on_ours` runs on what is installed here, above all torch, in place of what the package would install.
    """

    name: str
    package: str
    reads: Literal["states", "points"]
    metrics: tuple[str, ...]
    on_ours: bool = False

    @property
    def label(self) -> str:
        """The package and its version, for a table."""
        return self.package.replace("==", " ") or "the formula in float64"

    def told(self, cases: Sequence["Case"], folder: Path) -> list[dict[str, Any]]:
        """Return what it says of each case that has what it reads, by metric; the package is installed in `folder`."""
        own, files = str(folder / self.name), [str(case.file) for case in cases if self.reads in case.given]
        if self.package:
            needs = ["--no-deps"] if self.on_ours else []
            install = [sys.executable, "-m", "pip", "install", "--quiet", *needs, "--target", own, self.package]
            subprocess.run(install, check=True)  # noqa: S603 - pinned packages
        here = [path for path in sys.path if path.endswith("site-packages")]
        paths = [own, *(here if self.on_ours else ())]
        # Without -S what is installed here would stand behind the package's own, of other versions.
        program = [sys.executable, "-S", str(Path(__file__).with_name("oracles.py")), self.name, *files]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])  # some print what they do
        return found


ORACLES = (
    Oracle("isoscore", "IsoScore==2.0.1", "states", ("isoscore", "isoscore-star"), on_ours=True),
    Oracle("vendi_score", "vendi-score==0.0.3", "states", ENTROPIES),
    Oracle("scikit_dimension", "scikit-dimension==0.5.0", "points", ("two-nn", "mle-10")),
    Oracle("dadapy", "dadapy==0.3.4", "points", ("two-nn", *GRIDE, *SCALES)),
    Oracle("llm_microscope", "llm-microscope==0.0.7", "states", ("layer-linearity",), on_ours=True),
    Oracle("ckatorch", "ckatorch==1.0.3", "states", ("layer-cka", *KEPT), on_ours=True),
    Oracle("formulas", "", "states", ("rankme", "curvature"), on_ours=True),
)


@dataclass(frozen=True)
class Case:
    """What oracles are given, in a file, and aniso's values of it by metric."""

    file: Path
    given: Mapping[str, NDArray[Any]]
    ours: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Write the file."""
        np.savez(self.file, **self.given)  # type: ignore[arg-type] # arrays by name


@dataclass(frozen=True)
class Row:
    """How many values of a metric were compared with an oracle's, and the largest relative difference of all."""

    metric: str
    beside: str
    values: int
    difference: float


def main() -> None:
    """Compare and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(Path(folder)))
    table = [
        (
            row.metric,
            row.beside,
            CONVENTIONS.get(row.metric, ""),
            f"{row.values}",
            f"{row.difference:.1e}",
            *LIMIT.cells(row.difference),
        )
        for row in found
    ]
    note = NOTE.format(models=" and ".join(MODELS), letters=LETTERS, documents=DOCUMENTS)
    columns = ("metric", "beside", "convention", "values", "largest relative difference", "wanted", "reached")
    record("Agreement with published packages", columns, table, note)


def rows(folder: Path) -> Iterator[Row]:
    """Yield a row for each metric of each oracle; packages and states go into `folder`."""
    cases = [*(case for adapter in MODELS for case in measured(adapter, folder)), *clouds(folder)]
    for oracle in ORACLES:
        told = oracle.told(cases, folder)
        ours = [case.ours for case in cases if oracle.reads in case.given]
        for metric in oracle.metrics:
            one, other = (np.concatenate([np.ravel(values[metric]) for values in both]) for both in (ours, told))
            yield Row(metric, oracle.label, len(one), float(np.abs(one / other - 1).max()))


def measured(adapter: str, folder: Path) -> Iterator[Case]:
    """Yield the states of the tiny model of an adapter, then the distinct states of the sample at each layer."""
    where = registry().adapter(adapter).presets[0].where
    model, tokenizer = AutoModel.from_pretrained(where, dtype=torch.float32), AutoTokenizer.from_pretrained(where)
    given = registry().prompts("library128").load()[:DOCUMENTS]
    stored, sampled = Collector(), Collector()
    names = {metric for oracle in ORACLES for metric in oracle.metrics} - set(KEPT)
    profile = aniso.profile(
        model,
        tokenizer,
        [aniso.Document(document.id, document.text[:LETTERS]) for document in given],
        metrics=[
            *sorted(names),
            "document-gram",
            aniso.Metric("stored", stored, over=Stored),
            aniso.Metric("sampled", sampled, over=TokenSample),
        ],
        streams=["residual"],
        tokens=["all"],
        intervals=False,
        name=adapter,
    )
    layers = range(profile.model.layers + 1)
    rows = np.array(stored.found)[list(layers)]
    curves = {curve.metric: curve.array()[list(layers)] for curve in profile.curves if curve.stream == "residual"}
    yield Case(
        folder / f"{adapter}.npz",
        {"states": rows[:, :, 2:], "document": rows[0, :, 0]},
        # A metric of two layers has no value at the first.
        {metric: values[metric.startswith("layer-") :] for metric, values in curves.items()}
        | {name: alignment(profile, debiased=debiased) for name, debiased in KEPT.items()},
    )
    for layer, points in zip(layers, sampled.found, strict=False):
        ours = {metric: values[layer] for metric, values in curves.items()}
        yield Case(folder / f"{adapter}-{layer}.npz", {"points": distinct(points)}, ours)


def clouds(folder: Path) -> Iterator[Case]:
    """Yield random points: normal ones in a subspace, a cube, and a cloud of uneven width and density."""
    rng = np.random.default_rng(0)
    made = {
        "normal": rng.standard_normal((700, 8)) @ rng.standard_normal((8, 48)) + 3,
        "cube": rng.random((500, 20)),
        "uneven": rng.standard_normal((400, 30)) * np.linspace(1, 0.05, 30) * np.exp(rng.standard_normal((400, 1)) / 2),
    }
    for name, points in made.items():
        found = neighbours(points)
        ours = {"two-nn": found.two_nn(), "mle-10": found.mle(10)}
        ours |= {metric: found.gride(order) for metric, order in zip(GRIDE, ORDERS[1:], strict=True)}
        ours |= {metric: found.distance(order) for metric, order in zip(SCALES, ORDERS, strict=True)}
        yield Case(folder / f"{name}.npz", {"points": points}, ours)


def distinct(states: NDArray[Any]) -> NDArray[Any]:
    """Return states float[n, d] without those that repeat an earlier one up to rounding, float64[m, d]."""
    states = states.astype(np.float64)
    same = cdist(states, states) <= SAME * np.linalg.norm(states, axis=1)[:, None]
    return np.asarray(states[~np.tril(same, -1).any(axis=1)])


class Stored:
    """Keeps every state of a token set behind its document and position."""

    def __init__(self) -> None:
        """Keep none yet."""
        self.rows: list[torch.Tensor] = []

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states float[n, d]."""
        places = torch.stack([tokens.document, tokens.position], dim=1)
        self.rows.append(torch.cat([places.double(), tokens.states.double()], dim=1))

    def merge(self, other: Self) -> Self:
        """Return the states of both parts; both stay as they were."""
        both = type(self)()
        both.rows = self.rows + other.rows
        return both

    def result(self) -> NDArray[Any]:
        """Return document, position and state of each token, float64[n, 2 + d], in the order of their places."""
        rows: NDArray[Any] = torch.cat(self.rows).numpy()
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


@dataclass(frozen=True, eq=False)
class Collector:
    """A metric that keeps what it is asked of, site by site."""

    found: list[NDArray[Any]] = field(default_factory=list)

    def __call__(self, array: NDArray[Any]) -> float:
        """Keep an array; the value means nothing."""
        self.found.append(array)
        return 0.0


if __name__ == "__main__":
    main()
