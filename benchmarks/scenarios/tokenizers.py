"""gauge-flatness where two tokenizers cut the same documents: other tokens, and other numbers of them.

Both models have 5 layers and the documents in common, with what their tokens share. One tokenizer cuts each document
into 8 to 14 tokens, the other into up to twice as many, as it happens for each.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from simulate import bell
from simulate_states import Population, share_pseudo_values

from aniso_core.inference import FlatnessDifference, flatness_difference
from scenarios.truth import ALPHA, Claim, Hits, at_least, at_most, generators

LAYERS, BASE = 5, 0.3
_DOCUMENTS = (16, 32)


@dataclass(frozen=True)
class Cut:
    """The heights of the bells of two models, and which of them has the finer tokenizer."""

    name: str
    height_a: float
    height_b: float
    finer: str

    @property
    def difference(self) -> float:
        """The true difference of flatness, a's less b's."""
        return float(bell(LAYERS, self.height_a).std() - bell(LAYERS, self.height_b).std())


EQUAL = (Cut("equally high, a cut finer", 0.3, 0.3, "a"), Cut("equally high, b cut finer", 0.3, 0.3, "b"))
HALF = Cut("a lower by 50 %, b cut finer", 0.15, 0.3, "b")


@cache
def differences(cut: Cut, documents: int, draws: int) -> list[FlatnessDifference]:
    """Return the comparison of each draw of both models' states."""
    rng, _ = generators(cut.name, documents)
    models = {"a": Population(BASE + bell(LAYERS, cut.height_a)), "b": Population(BASE + bell(LAYERS, cut.height_b))}
    found = []
    for _ in range(draws):
        texts = models["a"].texts(documents, rng)
        finer = replace(texts, lengths=np.rint(texts.lengths * rng.uniform(1, 2, documents)).astype(np.int64))
        a, b = (
            share_pseudo_values(model.states(finer if name == cut.finer else texts, rng))
            for name, model in models.items()
        )
        found.append(flatness_difference(a, b, alpha=ALPHA))
    return found


def covered(cut: Cut) -> Hits:
    """Count draws whose interval holds the true difference."""
    return lambda n, draws: [
        r.difference.low <= cut.difference <= r.difference.high for r in differences(cut, n, draws)
    ]


def flatter(cut: Cut) -> Hits:
    """Count draws in which a is shown to be flatter."""
    return lambda n, draws: [r.p <= ALPHA for r in differences(cut, n, draws)]


def supported(cut: Cut) -> Hits:
    """Count draws in which the claim that a is flatter is supported."""
    return lambda n, draws: [r.outcome == "supported" for r in differences(cut, n, draws)]


_STATES = f"{LAYERS}, {LAYERS}"

CLAIMS = (
    *(
        Claim(cut.name, "difference covered", _STATES, _DOCUMENTS, covered(cut), at_least(0.87), 2)
        for cut in (*EQUAL, HALF)
    ),
    *(Claim(cut.name, "a flatter", _STATES, _DOCUMENTS, flatter(cut), at_most(0.11), 2) for cut in EQUAL),
    *(Claim(cut.name, "supported", _STATES, _DOCUMENTS, supported(cut), at_most(0.11), 2) for cut in EQUAL),
    Claim(HALF.name, "supported", _STATES, _DOCUMENTS, supported(HALF), part=2),
)
"""What acceptance asks of the comparison of two profiles' flatness, asked of tokens that are cut differently."""
