"""What each document holds of running sums, so that moments without it can be had later, without the states.

A document's scatter is d x d, too much to keep for each. Kept are its mean and the products B = U'G of the scatter G
about it with a few directions U, so that G is close to B'(BU)^+ B (Nystrom): exact along U, and what is left out is
known by its trace. docs/statistics.md says how near that comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

import torch
from torch import Tensor

from aniso_core.memory import Rows
from aniso_core.tokens import Runs

_DIRECTIONS, _PROBES = 4, 2
_NARROW = 64  # width up to which there are as many directions as the states have, so that nothing is left out
_MORE = 4  # directions more than wanted that the search for them carries along
_ROUNDS = 3
_NOISE = 1e-6  # relative to a unit's largest eigenvalue along U: below it lies rounding of float32


@dataclass(frozen=True, eq=False)
class Parts:
    """Sums over the tokens x of each of u units about a common centre: float64, on the states' device.

    `units` names them; `count` [u]; `linear` [u, d], sum of c = x - centre; `square` [u], of |c|^2; `quartic` [u], of
    |c|^4, up to a factor that all units share; `unit_sum` [u, d], of x / |x|; `norm_sum` and `norm_square` [u], of |x|
    and |x|^2. `factors` float32[m, d] with `owner` int64[m], an index into the units: the scatter G of a unit about the
    centre is F'F of its factors F and, where not `exact`, a rest, whose trace is what `square` leaves to it; `missed`
    [u] estimates tr G^2 - tr (F'F)^2.
    """

    units: tuple[int, ...]
    count: Tensor
    linear: Tensor
    square: Tensor
    missed: Tensor
    quartic: Tensor
    unit_sum: Tensor
    norm_sum: Tensor
    norm_square: Tensor
    factors: Tensor
    owner: Tensor
    exact: bool


class UnitSums:
    """Sums of each unit over its tokens, with c = x - shift: of w c' with w = (1, 1/|x|, c'V), and of some scalars.

    V = [U, W]: U float[d, k] are about the first principal directions of the rows that came first, W random ones.
    """

    def __init__(self, shift: Tensor, norm_shift: Tensor, rows: Tensor) -> None:
        """Start with nothing; `rows` float[n, d] are the first to come, from which directions are chosen."""
        self.shift, self.norm_shift = shift, norm_shift
        self.directions, self.probes = _leading(rows - shift), _probes(rows)
        self._both = torch.cat([self.directions, self.probes], dim=1)
        self._slots: dict[int, int] = {}
        self._held = Rows()

    @property
    def columns(self) -> int:
        """The number of columns that `weigh` needs beside c."""
        return 3 + self._both.shape[1] + 3

    def weigh(self, wide: Tensor, norms: Tensor) -> None:
        """Fill rows float[n, d + columns] that begin with c, |c|^2, 1 and 1/|x|; norms float[n]."""
        width = len(self.shift)
        stop = width + 3 + self._both.shape[1]
        torch.mm(wide[:, :width], self._both, out=wide[:, width + 3 : stop])
        torch.sub(norms, self.norm_shift, out=wide[:, stop])
        torch.square(wide[:, stop], out=wide[:, stop + 1])
        torch.square(wide[:, width], out=wide[:, stop + 2])

    def add(self, wide: Tensor, runs: Runs) -> None:
        """Take in rows that `weigh` has filled; all of them, or none where memory runs out."""
        width, size = len(self.shift), wide.shape[1]
        new = list(dict.fromkeys(unit for unit, _ in runs if unit not in self._slots))
        if new:
            self._held.append(wide.new_zeros((len(new), (size - width - 4) * size)))
            self._slots.update(zip(new, range(len(self._slots), len(self._held)), strict=True))
        held = self._held.held.view(-1, size - width - 4, size)
        edges = accumulate((tokens for _, tokens in runs), initial=0)
        for (unit, _), (start, stop) in zip(runs, pairwise(edges), strict=True):
            held[self._slots[unit]].addmm_(wide[start:stop, width + 1 : size - 3].T, wide[start:stop])

    def copy(self) -> Self:
        """Return the same sums, to be added to apart."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._slots, twin._held = dict(self._slots), Rows()
        if len(self._held):
            twin._held.append(self._held.held)
        return twin

    def regrouped(self, size: int) -> Self:
        """Return the same sums, of every `size` units one."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._slots, twin._held = {}, Rows()
        places = [twin._slots.setdefault(unit // size, len(twin._slots)) for unit in self._slots]
        held = self._held.held
        sums = held.new_zeros((len(twin._slots), held.shape[1]))
        twin._held.append(sums.index_add_(0, torch.tensor(places, device=held.device), held))
        return twin

    def parts(self, centre: Tensor) -> Parts:
        """Return the sums about `centre` float64[d]."""
        width, basis = len(self.shift), self.directions.double()
        rows = 2 + self._both.shape[1]
        held = self._held.held.view(len(self._slots), rows, -1)
        linear, unit_sum, *products = held[:, :, :width].double().unbind(dim=1)
        square, count, inverse = held[:, 0, width : width + 3].double().unbind(dim=1)
        offset, offsets, fourth = held[:, 0, -3:].double().unbind(dim=1)
        delta = self.shift.double() - centre
        moved = linear + count[:, None] * delta
        # The mean's part of the scatter is known; the rest is about the unit's own mean, whatever the centre.
        between = (moved / count.sqrt()[:, None])[:, None]
        mean = linear / count[:, None]
        within = torch.stack(products, dim=1) - (linear @ self._both.double())[:, :, None] * mean[:, None]
        along, probed = within[:, : basis.shape[1]], within[:, basis.shape[1] :]
        inner = _factors(along, basis)
        factors = torch.cat([between, inner], dim=1)
        caught = (inner @ self.probes.double()).mT @ inner
        missed = (probed.square().sum(dim=2) - caught.square().sum(dim=2)).sum(dim=1) / max(probed.shape[1], 1)
        return Parts(
            units=tuple(self._slots),
            count=count,
            linear=moved,
            square=square + 2 * linear @ delta + count * (delta @ delta),
            missed=missed.clamp_min(0),
            quartic=fourth,
            unit_sum=unit_sum + inverse[:, None] * self.shift.double(),
            norm_sum=offset + count * self.norm_shift,
            norm_square=offsets + 2 * self.norm_shift * offset + count * self.norm_shift**2,
            factors=factors.flatten(0, 1).float(),
            owner=torch.arange(len(count), device=delta.device).repeat_interleave(factors.shape[1]),
            exact=basis.shape[1] == width,
        )


def parts_of_rows(rows: Tensor, runs: Runs, centre: Tensor) -> Parts:
    """Return the sums of rows float[n, d] that were kept, about `centre` float64[d]; their scatter is exact."""
    units = tuple(dict.fromkeys(unit for unit, _ in runs))
    slots = {unit: slot for slot, unit in enumerate(units)}
    owner = torch.tensor([slots[unit] for unit, tokens in runs for _ in range(tokens)], device=rows.device)
    states = rows.double()
    centred, norms = states - centre, torch.linalg.vector_norm(states, dim=1)
    square = centred.square().sum(dim=1)
    inverse = torch.where(norms > 0, norms, torch.inf).reciprocal()

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros((len(units), *values.shape[1:])).index_add_(0, owner, values)

    return Parts(
        units=units,
        count=summed(torch.ones_like(norms)),
        linear=summed(centred),
        square=summed(square),
        missed=torch.zeros(len(units), dtype=torch.float64, device=rows.device),
        quartic=summed(square**2),
        unit_sum=summed(inverse[:, None] * states),
        norm_sum=summed(norms),
        norm_square=summed(norms**2),
        factors=centred.float(),
        owner=owner,
        exact=True,
    )


def joined(parts: Sequence[Parts]) -> Parts:
    """Return the sums of all parts together, about their common centre."""
    units = tuple(sorted({unit for part in parts for unit in part.units}))
    slots = {unit: slot for slot, unit in enumerate(units)}
    places = [torch.tensor([slots[unit] for unit in part.units], device=part.owner.device) for part in parts]

    def summed(name: str) -> Tensor:
        first: Tensor = getattr(parts[0], name)
        total = first.new_zeros((len(units), *first.shape[1:]))
        for part, place in zip(parts, places, strict=True):
            total.index_add_(0, place, getattr(part, name))
        return total

    owner = torch.cat([place[part.owner] for part, place in zip(parts, places, strict=True)])
    sums = ("count", "linear", "square", "missed", "quartic", "unit_sum", "norm_sum", "norm_square")
    factors = torch.cat([part.factors for part in parts])
    exact = all(part.exact for part in parts)
    return Parts(units=units, **{name: summed(name) for name in sums}, factors=factors, owner=owner, exact=exact)


def _leading(centred: Tensor) -> Tensor:
    """Return about the first principal directions of rows, float[d, k] with orthonormal columns."""
    width = centred.shape[1]
    if width <= _NARROW:
        return torch.eye(width, dtype=centred.dtype, device=centred.device)
    found = _random(centred, _DIRECTIONS + _MORE)
    for _ in range(_ROUNDS):
        found = torch.linalg.qr(centred.T @ (centred @ found)).Q
    directions = torch.linalg.svd(centred @ found, full_matrices=False).Vh
    leading: Tensor = found @ directions[:_DIRECTIONS].T
    return leading


def _probes(rows: Tensor) -> Tensor:
    """Return random directions float[d, r], coordinates +-1, along which a scatter's square shows its trace."""
    return _random(rows, 0 if rows.shape[1] <= _NARROW else _PROBES).sign()


def _random(like: Tensor, columns: int) -> Tensor:
    generator = torch.Generator(device=like.device).manual_seed(0)
    return torch.randn((like.shape[1], columns), generator=generator, dtype=like.dtype, device=like.device)


def _factors(products: Tensor, basis: Tensor) -> Tensor:
    """Return factors F float64[u, k, d] with F'F = B'(BU)^+ B, from products B = U'G float64[u, k, d]."""
    inner = products @ basis
    values, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
    kept = values > _NOISE * values[:, -1:].clamp_min(torch.finfo(values.dtype).tiny)
    root = torch.where(kept, values, torch.inf).rsqrt()
    factors: Tensor = (root[:, :, None] * vectors.mT) @ products
    return factors
