"""How often tests of claims, and the notebooks' criteria, say what is not so, on profiles whose truth is known."""

import itertools
import time
from collections.abc import Sequence

import numpy as np
from results import Target, record
from scenarios import agreement, flatness, peak, phases, states, uniformity
from scenarios.truth import FULL, SEED, Claim, Hits, Truth
from simulate_states import WIDTH

from aniso_bellcurve.shape import noise_rate
from aniso_core import inference
from aniso_core.paper import is_bell
from aniso_gaugeflat.gauge import chance_rate

PROFILES = 10_000
DOCUMENTS = (16, 32, 64, 128)
CLAIMS = {
    "bell-curve": peak.CLAIMS,
    "gauge-flatness": flatness.CLAIMS,
    "peak-agreement": agreement.CLAIMS,
    "three-phases": phases.CLAIMS,
    "norm-uniformity": uniformity.CLAIMS,
}
JUDGED = (peak.FLAT, peak.RISE, peak.PLATEAU, peak.DEEP, peak.LOW_BELL, peak.BELL, peak.HIGH_BELL)

PAPER_NOTE = """\
How often the yes/no rules of the notebooks pass where there is nothing to find: {profiles:,} profiles of noise, or all
pairs of layers of 33. Expected are the rates of a separate simulation, within 2.6 standard errors, and for pairs the
exact ones. Seed 0, as in verdicts, and {seed} for random walks."""

RATES_NOTE = """\
How often tests at alpha 0.05 say something of a known truth: the rate in {draws} draws and its Monte Carlo standard
error, by number of documents; seed {seed}. Rows without a bound show power. Pseudo-values stray by a standard deviation
of 0.1 unless the row says otherwise, t-distributed with 5 degrees of freedom, neighbouring states correlated at 0.8;
those of norm-uniformity come from states, as in the last table. What never happened in {draws} draws has a rate below
{least:.3f} with 95 % confidence."""

POWER_NOTE = """\
How often a bell of 13 states is shown to have a state above both ends by more than delta, in {draws} draws, by number
of documents; seed {seed}."""

VERDICTS_NOTE = """\
Shares of {draws} draws that are supported / refuted under delta = eps = 0.05, by number of documents; the rest is
inconclusive. 13 states, seed {seed}. The column paper is how often the notebooks' rule calls the mean profile of 32
documents a bell."""

STATES_NOTE = """\
As above, from states on: {width} dimensions with a spike and a tail that falls as 1 / k, 8 to 14 tokens a document that
have 0.3 of their variance in common, log-normal scales of tokens, neighbouring layers correlated at 0.95. Massive first
tokens are displaced along the spike until the profile is as stated; all others have a share of {bulk:g} at each layer.
Each document is left out in turn and every eigenvalue computed anew. {draws} draws, seed {seed}. All tables of error
rates up to here took {seconds:.0f} s on one core."""


def main(draws: int = FULL) -> None:
    """Make five tables: the notebooks' criteria, bounds on error rates, power, verdicts, and rates from states on."""
    start = time.perf_counter()
    record(
        "Error rates of the notebooks' criteria",
        ("criterion", "null", "states", "rate", "expected", "difference", "reached"),
        paper_rows(),
        PAPER_NOTE.format(profiles=PROFILES, seed=SEED),
    )
    record(
        "Error rates",
        ("hypothesis", "truth", "said", "states", *map(str, DOCUMENTS), "bound", "reached"),
        [(name, *row(claim, DOCUMENTS, draws)) for name, claims in CLAIMS.items() for claim in claims],
        RATES_NOTE.format(draws=draws, seed=SEED, least=3 / draws),
    )
    record(
        "Power of bell-curve",
        ("height", "delta", *map(str, DOCUMENTS)),
        [
            (truth.name, f"{delta:g}", *(shown(rate(peak.prominent(truth, delta), n, draws)) for n in DOCUMENTS))
            for truth in (peak.LOW_BELL, peak.BELL, peak.HIGH_BELL)
            for delta in (0.0, peak.DELTA)
        ],
        POWER_NOTE.format(draws=draws, seed=SEED),
    )
    record(
        "Verdicts of bell-curve",
        ("truth", "paper", *map(str, DOCUMENTS)),
        [
            (truth.name, shown(rate(peak.paper(truth), 32, draws)), *(verdicts(truth, n, draws) for n in DOCUMENTS))
            for truth in JUDGED
        ],
        VERDICTS_NOTE.format(draws=draws, seed=SEED),
    )
    rows = [row(claim, DOCUMENTS[:2], draws) for claim in states.CLAIMS]
    seconds = time.perf_counter() - start
    record(
        "Error rates from states on",
        ("truth", "said", "states", *map(str, DOCUMENTS[:2]), "bound", "reached"),
        rows,
        STATES_NOTE.format(width=WIDTH, bulk=states.BULK, draws=draws, seed=SEED, seconds=seconds),
    )


def paper_rows() -> list[tuple[str, ...]]:
    """Return how often each rule passes on its null, beside what is expected."""
    walks = np.random.default_rng(SEED).standard_normal((PROFILES, 33)).cumsum(axis=1)
    found = (
        ("bell-curve", "independent noise", "7", noise_rate(7), 0.271, 0.012),
        ("bell-curve", "independent noise", "33", noise_rate(33), 0.385, 0.013),
        ("bell-curve", "noise, neighbours correlated at 0.9", "33", noise_rate(33, correlation=0.9), 0.658, 0.013),
        ("bell-curve", "random walk", "33", float(is_bell(walks).mean()), 0.609, 0.013),
        ("gauge-flatness", "the same law in both", "19, 33", chance_rate(19, 33), 0.693, 0.012),
        ("peak-agreement: excellent", "two layers at random", "33", chance_of("excellent"), 219 / 1089, 0.0),
        (
            "peak-agreement: excellent or good",
            "two layers at random",
            "33",
            chance_of("excellent", "good"),
            333 / 1089,
            0.0,
        ),
    )
    return [
        (*named, f"{measured:.3f}", f"{expected:.3f}", *Target("at most", off).cells(abs(measured - expected)))
        for *named, measured, expected, off in found
    ]


def chance_of(*labels: str) -> float:
    """Return how often two peaks at layers of 33 drawn at random get one of these labels, over all pairs."""
    pairs = itertools.product(range(33), repeat=2)
    return float(np.mean([inference.agreement((i,), (j,)).label in labels for i, j in pairs]))


def row(claim: Claim, documents: Sequence[int], draws: int) -> tuple[str, ...]:
    """Return a claim's row: a rate for each number of documents that it is about, the bound, whether all reach it."""
    rates = {n: rate(claim.hits, n, draws // claim.part) for n in claim.documents}
    bound = ("", "")
    if claim.target:
        worst = max if claim.target.bound == "at most" else min
        bound = claim.target.cells(worst(value for value, _ in rates.values()))
    return claim.truth, claim.said, claim.states, *(shown(rates[n]) if n in rates else "" for n in documents), *bound


def rate(hits: Hits, documents: int, draws: int) -> tuple[float, float]:
    """Return how often something happened, 0 to 1, or a mean, and the Monte Carlo standard error of that."""
    happened = np.asarray(hits(documents, draws), dtype=np.float64)
    return float(happened.mean()), float(happened.std() / np.sqrt(len(happened)))


def shown(measured: tuple[float, float]) -> str:
    """Return a rate with its standard error in words."""
    return "{:.3f} ± {:.3f}".format(*measured)


def verdicts(truth: Truth, documents: int, draws: int) -> str:
    """Return how often a single peak is supported and how often it is refuted."""
    return " / ".join(
        f"{rate(peak.outcome(truth, name), documents, draws)[0]:.2f}" for name in ("supported", "refuted")
    )


if __name__ == "__main__":
    main()
