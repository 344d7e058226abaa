"""Whether two peaks are at the same place, from the layers that each may be at."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from aniso_core.records import Outcome

_ROUNDING = 1e-9  # relative depths of layers exactly at a limit may come out above it


@dataclass(frozen=True)
class Agreement:
    """The distance between two peaks, in the unit of the layers given: all distances that the two sets allow.

    It covers the true distance with probability 1 - alpha where each set covers its peak with 1 - alpha / 2. `label` is
    "excellent" or "good" where no allowed distance is above the limit of that name, "discrepancy" where all are above
    that of "good".
    """

    low: float
    high: float
    label: Literal["excellent", "good", "discrepancy", ""]
    outcome: Outcome
    reason: str


def agreement(
    layers_a: Collection[float], layers_b: Collection[float], excellent: float = 3, good: float = 5
) -> Agreement:
    """Judge the distance between the peaks of two profiles, each given by its confidence set (`peak_layers`).

    A constant is a set of one layer, without uncertainty. Layers may be relative depths where the limits are, too.
    """
    if not layers_a or not layers_b:
        nan = float("nan")
        return Agreement(nan, nan, "", "not_testable", "a peak without layers has no place")
    distances = [abs(i - j) for i in layers_a for j in layers_b]
    low, high = min(distances), max(distances)
    excellent, good = excellent + _ROUNDING, good + _ROUNDING
    if low > good:
        return Agreement(low, high, "discrepancy", "refuted", "")
    if high > good:
        return Agreement(low, high, "", "inconclusive", "")
    return Agreement(low, high, "excellent" if high <= excellent else "good", "supported", "")
