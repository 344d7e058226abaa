"""Means of a number that tokens have, over all tokens and without each unit of uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from aniso_core.errors import UndefinedMetricError
from aniso_core.tokens import Runs


@dataclass(frozen=True)
class Mean:
    """Sum and count of the values, in all and per unit; `missing` is the reason given where there are none."""

    total: float
    count: float
    missing: str
    units: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The mean; raises UndefinedMetricError where nothing was measured."""
        if not self.count:
            raise UndefinedMetricError(self.missing)
        return self.total / self.count

    def without_each(self) -> dict[int, "Mean"]:
        """Return the mean without each unit that has a part in it, by unit."""
        parts = {unit: part for unit, part in self.units.items() if part[1]}
        left = {u: Mean(self.total - total, self.count - count, self.missing) for u, (total, count) in parts.items()}
        return left if len(left) > 1 else {}


class Means:
    """Sums by unit of numbers that come with tokens, float64, on the states' device until they are asked for."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._slots: dict[int, int] = {}
        self._sums: Tensor | None = None
        self._known = False

    @property
    def seen(self) -> bool:
        """Whether any tokens were taken in, with or without a number."""
        return self._sums is not None

    def add(self, values: Tensor, there: Tensor, runs: Runs) -> None:
        """Take in a number for each token, float[n], where it is `there`, bool[n]; `runs` are the tokens' units."""
        self._known = self._known or bool(runs)
        units, lengths = zip(*(runs or ((0, len(values)),)), strict=True)
        slots = [self._slots.setdefault(unit, len(self._slots)) for unit in units]
        owner = torch.tensor(slots).repeat_interleave(torch.tensor(lengths)).to(values.device)
        pairs = torch.stack([values.double().where(there, 0), there.double()], dim=1)
        self._room(values).index_add_(0, owner, pairs)

    def merge(self, other: Self) -> Self:
        """Return the sums of both parts; both stay as they were."""
        both = type(self)()
        for part in (self, other):
            both._join(part, 1)
        return both

    def regrouped(self, size: int) -> Self:
        """Return the same sums, of every `size` units one; these stay as they were."""
        made = type(self)()
        made._join(self, size)
        return made

    def result(self, missing: str) -> Mean:
        """Return the mean; `missing` is the reason given where there is none."""
        sums = [] if self._sums is None else self._sums.tolist()
        units = {unit: (sums[slot][0], sums[slot][1]) for unit, slot in self._slots.items()}
        total, count = (sum(part[i] for part in units.values()) for i in (0, 1))
        return Mean(total, count, missing, units if self._known else {})

    def _join(self, part: Self, size: int) -> None:
        """Add sums, of every `size` units of theirs one."""
        if part._sums is not None:
            slots = [self._slots.setdefault(unit // size, len(self._slots)) for unit in part._slots]
            self._room(part._sums).index_add_(0, torch.tensor(slots, device=part._sums.device), part._sums)
            self._known = self._known or part._known

    def _room(self, like: Tensor) -> Tensor:
        """Return the sums, float64[slots, 2], with room for every slot."""
        more = like.new_zeros((len(self._slots), 2), dtype=torch.float64)
        if self._sums is not None:
            more[: len(self._sums)] = self._sums
        self._sums = more
        return more
