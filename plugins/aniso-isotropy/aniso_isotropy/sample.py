"""A sample of tokens, for what no sum over tokens tells before all of them are seen."""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aniso_core.errors import UndefinedMetricError
from aniso_core.records import Array
from aniso_core.tokens import Tokens
from aniso_isotropy.documents import ranks

SIZE = 1000
"""Tokens in a sample."""


class Sample:
    """The states of at most 1,000 tokens, those of lowest rank by a fixed hash of document and position.

    The sample is the same at every layer and in whatever order and batches tokens come. Tokens at one position in the
    several windows of a document have one rank, and come in the order of their norms.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._ranks: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._states: Tensor | None = None

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states float[n, d]."""
        places = (tokens.document << 32 | tokens.position).cpu().numpy()
        self._take_in(ranks(places), tokens.states)

    def merge(self, other: Self) -> Self:
        """Return the sample of both parts; both stay as they were."""
        both = type(self)()
        for part in (self, other):
            if part._states is not None:
                both._take_in(part._ranks, part._states)
        return both

    def result(self) -> Array:
        """Return the states of the sample, float64[n, d]; raises UndefinedMetricError where there are none."""
        if self._states is None:
            message = "no token belongs to this token set here"
            raise UndefinedMetricError(message)
        return np.asarray(self._states.cpu().numpy(), dtype=np.float64)

    def _take_in(self, ranks: NDArray[np.uint64], states: Tensor) -> None:
        if len(self._ranks) == SIZE:
            chance = np.flatnonzero(ranks <= self._ranks.max())
            if not len(chance):
                return
            ranks, states = ranks[chance], states[torch.from_numpy(chance).to(states.device)]
        if self._states is not None:
            ranks, states = np.concatenate([self._ranks, ranks]), torch.cat([self._states, states])
        norms = torch.linalg.vector_norm(states, dim=1).cpu().numpy()
        lowest = np.lexsort((norms, ranks))[:SIZE]
        self._ranks, self._states = ranks[lowest], states[torch.from_numpy(lowest).to(states.device)]
