"""The cap of bell-curve where the share is too uncertain in itself: profiles of 5 layers, judged as those of a run.

A level profile and a high bell need no cap. One is needed where the first direction nearly ties with others at the top
of a bell of delta, which is just too low: noise lifts the largest of them there and not at the ends.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from simulate import bell, flat
from simulate_states import Population, SimulatedStates

from aniso_bellcurve import DELTA
from aniso_bellcurve.tested import bell_curve
from aniso_core.intervals import pseudo_values
from aniso_core.metrics import aniso_metrics
from aniso_core.moments import Moments
from aniso_core.records import Count, Curve, ModelInfo, Profile, PseudoValues, Verdict
from aniso_core.rigorous import SHARE
from scenarios.truth import Claim, Hits, at_most, generators

LAYERS, WIDE = 5, 256
_METRICS = {metric.name: metric for metric in aniso_metrics() if metric.name == SHARE}
_TIED = 4


def tied(width: int) -> Population:
    """Return a bell of delta, at whose top the first direction ties with three others and at whose ends with none."""
    # The even part that stays at the top keeps all four from having a quarter each, which no spike could be above.
    top = np.where(np.arange(1, width) < _TIED, 1.0, 1e-6)
    part = bell(LAYERS, 0.98)[:, None]
    tail = (1 - part) / (width - 1) + part * top / top.sum()
    return Population(1 / _TIED - DELTA + bell(LAYERS, DELTA), width=width, tail=tail)


LEVEL, HIGH, LIMIT = "level at 0.3", "bell of 0.2", f"bell of {DELTA:g}, four tied at its top"
POPULATIONS = {
    f"{name}{suffix}": make(width)
    for width, suffix in ((48, ""), (WIDE, ", width 256"))
    for name, make in (
        (LEVEL, lambda width: Population(0.3 + flat(LAYERS), width=width)),
        (HIGH, lambda width: Population(0.3 + bell(LAYERS, 0.2), width=width)),
        (LIMIT, tied),
    )
}


@cache
def verdicts(name: str, documents: int, draws: int) -> list[Verdict]:
    """Return the verdict on each draw."""
    given, used = generators(name, documents)
    population = POPULATIONS[name]
    profiles = (profile(population.draw(documents, given)) for _ in range(draws))
    return [next(bell_curve([made], used)) for made in profiles]


def profile(drawn: SimulatedStates) -> Profile:
    """Return what a run would hold of the share of all tokens."""
    layers = tuple(range(len(drawn.states)))
    wholes = [Moments.of(states, drawn.document.tolist()) for states in drawn.states]
    values = {name: [metric.of(whole) for whole in wholes] for name, metric in _METRICS.items()}
    pseudo = [
        list(pseudo_values(_METRICS[SHARE], value, [whole], [whole.without_each()]).values())
        for value, whole in zip(values[SHARE], wholes, strict=True)
    ]
    width = drawn.states.shape[-1]
    model = ModelInfo(
        "simulated", "", "made", "", "", layers[-1], width, 0, None, "pre", "float64", "cpu", attention=""
    )
    where = ("residual", "all")
    return Profile(
        model,
        tuple(Curve(name, "share", *where, layers, tuple(found)) for name, found in values.items()),
        counts=(Count(*where, layers, tuple(whole.count for whole in wholes)),),
        pseudo=(PseudoValues(SHARE, *where, layers, np.array(pseudo).T),),
    )


def _count(name: str, happened: Callable[[Verdict], bool]) -> Hits:
    return lambda n, draws: [happened(verdict) for verdict in verdicts(name, n, draws)]


def capped(name: str) -> Hits:
    """Count draws that are said to be of too little text."""
    return _count(name, lambda verdict: any(flag.startswith("too little text") for flag in verdict.flags))


def uncapped(name: str, wanted: str) -> Hits:
    """Count draws with this outcome of the test itself."""
    return _count(name, lambda verdict: verdict.details["outcome"] == wanted)


def outcome(name: str, wanted: str) -> Hits:
    """Count draws with this outcome, the cap included."""
    return _count(name, lambda verdict: verdict.outcome == wanted)


def _claims(name: str) -> tuple[Claim, ...]:
    """Return what is measured of a population, and how often it may be said to be what it is not."""
    high, limit, wide = name.startswith(HIGH), name.startswith(LIMIT), name.endswith(f"{WIDE}")
    documents, part = ((16, 32), 8) if wide else ((16, 32, 64), 4)
    false = "refuted" if high else "supported"
    # At the limit of the claim a test at 0.05 may err in 0.05, here and by 2.6 standard errors of 100 draws.
    bound = at_most(0.11 if limit else 0.01)
    return (
        Claim(name, "capped", str(LAYERS), documents, capped(name), part=part),
        *(
            Claim(name, said, str(LAYERS), documents, hits(name, wanted), bound if wanted == false else None, part)
            for wanted in ("supported", "refuted")
            for said, hits in ((f"{wanted} without the cap", uncapped), (wanted, outcome))
        ),
    )


CLAIMS = tuple(claim for name in POPULATIONS for claim in _claims(name))
"""What is asked of verdicts with the cap and without, and what the cap costs."""
