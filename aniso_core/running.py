"""Moments kept running as tokens stream by.

Rows are kept as they came while there are fewer than d of them, so that spectra of few tokens are exact and go
through the n x n side; beyond that they are absorbed, a block at a time, into sums.
"""

from functools import partial
from typing import TYPE_CHECKING, Self

from aniso_core.errors import NO_TOKENS, UndefinedMetricError
from aniso_core.moments import Moments
from aniso_core.records import Array

if TYPE_CHECKING:
    import torch

    from aniso_core.memory import Rows
    from aniso_core.sums import Sums
    from aniso_core.tokens import Runs, Tokens
    from aniso_core.unitsums import Parts

_BLOCK = 1024
"""Rows that are worth a matrix product: its rate is flat from here on, and its sum in float64 costs little of it."""


class RunningMoments:
    """The statistic behind `Moments`; at most a d x d matrix and fewer than d rows, however many it saw."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        from aniso_core.memory import Rows

        self._rows = Rows()
        self._runs: list[tuple[int, int]] = []
        self._sums: Sums | None = None
        self._shared = False
        self._half: torch.dtype | None = None
        self._peak = (0.0, 1.0)

    def update(self, tokens: "Tokens") -> None:
        """Take in states float[n, d]; all of them, or none where memory runs out."""
        if not len(tokens):
            return
        peak = max(self._peak, _peak(tokens.states, self._peak[0]))
        self._half = tokens.half if tokens.states.is_cuda else None
        self._take_in(tokens.states, tokens.norms, tokens.runs)
        self._peak = peak

    def merge(self, other: Self) -> Self:
        """Return the moments of both parts; both stay as they were."""
        both = type(self)()
        both._peak, both._half = max(self._peak, other._peak), self._half or other._half
        held = [part._sums for part in (self, other) if part._sums is not None]
        if len(held) == 2:  # noqa: PLR2004 - both parts
            both._sums = held[0].merged(held[1])
        elif held:
            # Sums are large, so merges share them; whoever adds to them first makes a copy.
            both._sums, both._shared, self._shared, other._shared = held[0], True, True, True
        for part in (self, other):
            if len(part._rows):
                both._take_in(part._rows.held, _lengths(part._rows.held), part._runs)
        return both

    def regrouped(self, size: int) -> Self:
        """Return the same moments, of every `size` units one; these stay as they were."""
        made = type(self)()
        made._peak, made._half = self._peak, self._half
        made._runs = [(unit // size, tokens) for unit, tokens in self._runs]
        if len(self._rows):
            made._rows.append(self._rows.held)
        if self._sums is not None:
            made._sums, made._shared, self._shared = self._sums.regrouped(size), True, True
        return made

    def result(self) -> Moments:
        """Return the moments; raises UndefinedMetricError where nothing was seen."""
        if self._sums is not None:
            return _of_many(self._sums, self._rows, self._runs, self._peak)
        if not len(self._rows):
            raise UndefinedMetricError(NO_TOKENS)
        return _of_few(self._rows.held, self._runs, self._peak)

    def _take_in(self, rows: "torch.Tensor", norms: "torch.Tensor", runs: "Runs") -> None:
        import torch

        from aniso_core.memory import Rows
        from aniso_core.sums import Sums

        if len(self._rows) + len(rows) < _least(rows.shape[1], begun=self._sums is not None):
            self._rows.append(rows)
            self._runs += runs
            return
        if len(self._rows):
            kept = self._rows.held
            rows, norms = torch.cat([kept, rows]), torch.cat([_lengths(kept), norms])
            runs = (*self._runs, *runs)
        sums = Sums(rows, norms, self._half, by_unit=bool(runs)) if self._sums is None else self._sums
        sums = sums.copy() if self._shared else sums
        sums.add(rows, norms, runs)
        self._sums, self._shared, self._rows, self._runs = sums, False, Rows(), []


def _least(width: int, *, begun: bool) -> int:
    """Return how many rows are absorbed at least: d the first time, for the n x n side's sake."""
    return min(width, _BLOCK) if begun else width


def _lengths(rows: "torch.Tensor") -> "torch.Tensor":
    import torch

    lengths: torch.Tensor = torch.linalg.vector_norm(rows, dim=1)
    return lengths


def _of_few(states: "torch.Tensor", runs: "Runs", peak: tuple[float, float]) -> Moments:
    """Return the moments of fewer states than their width, through their Gram matrix.

    It is multiplied in the states' precision, about their rounded mean, and centred in float64.
    """
    import torch

    from aniso_core.kernels import for_products
    from aniso_core.unitsums import parts_of_rows

    count, lengths = len(states), _lengths(states).double()
    inverse = torch.where(lengths > 0, lengths, torch.inf).reciprocal()
    unit_mean = (inverse.to(states.dtype) @ states).double() / count
    shift = states.sum(dim=0) / count
    rows = states - shift
    mean = shift.double() + rows.sum(dim=0).double() / count
    with for_products(rows):
        gram = (rows @ rows.T).double()
    gram -= gram.mean(dim=0)
    gram -= gram.mean(dim=1, keepdim=True)
    square = gram.diagonal()
    return Moments(
        count=count,
        mean=_numpy(mean),
        unit_mean=_numpy(unit_mean),
        norm_mean=float(lengths.mean()),
        norm_var=float(lengths.var(correction=0)),
        trace=float(square.sum()) / max(count - 1, 1),
        quartic=float(square @ square) / count,
        peak=peak[0],
        peak_ratio=peak[1],
        rows=_numpy(rows),
        gram=_numpy(gram),
        parts=partial(parts_of_rows, states, runs, mean) if runs else None,
    )


def _of_many(sums: "Sums", more: "Rows", runs: "Runs", peak: tuple[float, float]) -> Moments:
    """Return the moments of what sums hold and of rows beside them."""
    import torch

    few = more.held if len(more) else sums.shift.new_zeros((0, len(sums.shift)))
    lengths = _lengths(few).double()
    count = sums.count + len(few)
    mean = (sums.mean * sums.count + few.sum(dim=0, dtype=torch.float64)) / count
    scatter, square, quartic = sums.about(mean, few)
    inverse = torch.where(lengths > 0, lengths, torch.inf).reciprocal()
    norm_mean, norm_square = sums.norm_sums
    among = (norm_mean * sums.count + lengths.sum()) / count
    spread = norm_square + sums.count * (norm_mean - among) ** 2 + (lengths - among).square().sum()
    return Moments(
        count=count,
        mean=_numpy(mean),
        unit_mean=_numpy((sums.unit_sum + inverse @ few.double()) / count),
        norm_mean=float(among),
        norm_var=float(spread) / count,
        trace=float(square) / max(count - 1, 1),
        quartic=float(quartic) / count,
        peak=peak[0],
        peak_ratio=peak[1],
        scatter=_numpy(scatter),
        parts=partial(_parts, sums, few, runs, mean) if sums.knows_units else None,
    )


def _parts(sums: "Sums", rows: "torch.Tensor", runs: "Runs", centre: "torch.Tensor") -> "Parts":
    from aniso_core.unitsums import joined, parts_of_rows

    return joined([*sums.parts(centre), *([parts_of_rows(rows, runs, centre)] if runs else [])])


def _peak(states: "torch.Tensor", known: float) -> tuple[float, float]:
    """Return the largest |coordinate| and its ratio to the median one of its state; zero where `known` exceeds it."""
    low, high = (float(extreme) for extreme in states.aminmax())
    peak = max(-low, high)
    if peak < known:
        return (0.0, 1.0)
    # Of several states with the same peak the one that stands out most counts, whatever their order.
    rows = states[(states.amax(dim=1) == peak) | (states.amin(dim=1) == -peak)].abs().double()
    ordered, width = rows.sort(dim=1).values, rows.shape[1]
    middle = float(((ordered[:, (width - 1) // 2] + ordered[:, width // 2]) / 2).min())
    return peak, peak / middle if middle > 0 else float("inf") if peak > 0 else 1.0


def _numpy(tensor: "torch.Tensor") -> Array:
    array: Array = tensor.cpu().numpy()
    return array
