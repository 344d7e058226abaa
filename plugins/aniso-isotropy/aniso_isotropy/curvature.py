"""Curvature: the angle by which the path of a window's states turns from one token to the next."""

from typing import Self

import torch
from torch import Tensor

from aniso_core.memory import room
from aniso_core.tokens import Tokens
from aniso_isotropy.means import Mean, Means

_MISSING = "no three tokens in a row belong to this token set here, or none of them differ"
_LEAST = 1e-5  # of a state's length: shorter steps are rounding, as where a token repeats
_SHARP = 0.99  # size of a cosine above which float32 lacks the digits that its angle hangs on


class Curvature:
    """Angles between successive differences of states, of each three tokens in a row that are in the token set."""

    wants = ("windows",)

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._angles = Means()

    def update(self, tokens: Tokens) -> None:
        """Take in tokens, states float[n, d], with those of later classes."""
        if tokens.window is None or tokens.own is None:
            message = "curvature is measured on whole windows"
            raise TypeError(message)
        own, follows = tokens.own, (tokens.window.diff() == 0) & (tokens.position.diff() == 1)
        # The last token of a triple stands for it; those before it are of the same window, and so of the same unit.
        there = torch.zeros_like(own)
        there[2:] = follows[1:] & follows[:-1] & (own[2:] | own[1:-1] | own[:-2])
        angles = _turns(tokens.states, tokens.norms)
        self._angles.add(angles, there & angles.isfinite(), tokens.runs)

    def merge(self, other: Self) -> Self:
        """Return the angles of both parts; both stay as they were."""
        both = type(self)()
        both._angles = self._angles.merge(other._angles)
        return both

    def regrouped(self, size: int) -> Self:
        """Return the same angles, of every `size` units one."""
        made = type(self)()
        made._angles = self._angles.regrouped(size)
        return made

    def result(self) -> Mean:
        """Return the mean angle in radians."""
        return self._angles.result(_MISSING)


def _turns(states: Tensor, norms: Tensor) -> Tensor:
    """Return for each row of float[n, d] the angle between the steps to it and to the row before it, float64[n].

    It is NaN for the first two, and where two rows are the same up to rounding: there is no step then.
    """
    count, width = states.shape
    angles = torch.full_like(norms, torch.nan, dtype=torch.float64)
    if count > 2:  # noqa: PLR2004 - two steps
        # Memory that is used again: that of fresh tensors would take longer to come by than the angles.
        steps = torch.sub(states[1:], states[:-1], out=room("steps", states, (count - 1, width)))
        products = torch.mul(steps[1:], steps[:-1], out=room("turns", states, (count - 2, width)))
        lengths = torch.linalg.vector_norm(steps, dim=1)
        lengths = lengths.where(lengths > _LEAST * norms[1:], torch.nan)
        cosines = (products.sum(dim=1) / (lengths[1:] * lengths[:-1])).double()
        # A token that comes back after another is a turn by pi; in the first layer texts have many.
        sharp = (cosines.abs() > _SHARP).nonzero().squeeze(1)
        after, before = steps[sharp + 1].double(), steps[sharp].double()
        cosines[sharp] = (after * before).sum(dim=1) / (after.norm(dim=1) * before.norm(dim=1))
        angles[2:] = cosines.clamp(-1, 1).arccos()
    return angles
