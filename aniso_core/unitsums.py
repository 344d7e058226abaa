"""What each document holds of running sums, so that moments without it can be had later, without the states.

A document's scatter is d x d, too much to keep for each. Kept are its mean and the products B = U'G of the scatter G
about it with a few directions U, so that G is close to B'(BU)^+ B (Nystrom): exact along U, and what is left out is
known by its trace. Where sums are merged, factors of a document's scatters are joined and all but the eight largest let
go, so that what is kept does not grow with the number of merges; eight, as two shards tell four each, and few units lie
in more: shards end between documents. docs/statistics.md says how near that comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aniso_core.memory import Rows
from aniso_core.tokens import Runs

_DIRECTIONS, _PROBES = 4, 2
_NARROW = 64  # width up to which there are as many directions as the states have, so that nothing is left out
_MORE = 4  # directions more than wanted that the search for them carries along
_ROUNDS = 3
_NOISE = 1e-6  # relative to a unit's largest eigenvalue along U: below it lies rounding of float32
_FACTORS = 2 * _DIRECTIONS  # of a unit's scatter that are kept over merges
_SUMS = ("count", "linear", "square", "quartic", "unit_sum", "norm_sum", "norm_square")
"""Attributes of `Parts` that add up where parts are about one centre."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Sums over the tokens x of each of u units about a common centre: float64, on the states' device.

    `units` names them; `count` [u]; `linear` [u, d], sum of c = x - centre; `square` [u], of |c|^2; `quartic` [u], of
    |c|^4, up to a factor that all units share; `unit_sum` [u, d], of x / |x|; `norm_sum` and `norm_square` [u], of |x|
    and |x|^2. `factors` float32[m, d] with `owner` int64[m], an index into the units: the scatter G of a unit about its
    own mean is F'F of its factors F and, where not `exact`, a rest, whose trace is what `square` leaves to it; `probed`
    [u, r, d] is G times each of r random directions.
    """

    units: tuple[int, ...]
    count: Tensor
    linear: Tensor
    square: Tensor
    quartic: Tensor
    unit_sum: Tensor
    norm_sum: Tensor
    norm_square: Tensor
    factors: Tensor
    owner: Tensor
    probed: Tensor
    exact: bool

    @property
    def between(self) -> Tensor:
        """What the mean of each unit adds to its scatter about the centre, as a factor: float64[u, d]."""
        return self.linear / self.count.sqrt()[:, None]

    @property
    def missed(self) -> Tensor:
        """Estimates of tr G^2 - tr (F'F)^2, float64[u]."""
        if self.exact:
            return torch.zeros_like(self.count)
        factors = self.factors.double()
        caught = _summed_products(factors, self.owner, len(self.units))
        lacking = (self.probed.square() - caught.square()).sum(dim=2)
        return lacking.mean(dim=1).clamp_min(0)

    def about(self, back: Tensor) -> Self:
        """Return the sums about a centre that lies `back` float64[d] from this one, against its direction."""
        square = self.square + 2 * self.linear @ back + self.count * (back @ back)
        return replace(self, linear=self.linear + self.count[:, None] * back, square=square)

    def compact(self) -> Self:
        """Return the sums with the largest factors of each unit, a fixed number at most."""
        width = self.factors.shape[1]
        most = width if width <= _NARROW else _FACTORS
        sizes = torch.bincount(self.owner, minlength=len(self.units))
        over = (sizes > most)[self.owner]
        if not bool(over.any()):
            return self
        order = torch.argsort(self.owner[over], stable=True)
        full = (sizes > most).nonzero().flatten()
        many = pad_sequence([*torch.split(self.factors[over][order], sizes[full].tolist())], batch_first=True).double()
        if width <= _NARROW:
            few = torch.linalg.qr(many, mode="r").R
        else:
            few = torch.linalg.eigh(many @ many.mT).eigenvectors[:, :, -most:].mT @ many
        return replace(
            self,
            factors=torch.cat([self.factors[~over], few.flatten(0, 1).float()]),
            owner=torch.cat([self.owner[~over], full.repeat_interleave(most)]),
        )

    def regrouped(self, size: int) -> "Parts":
        """Return the same sums, of every `size` units one."""
        turns = [[slot for slot, unit in enumerate(self.units) if unit % size == turn] for turn in range(size)]
        return joined([self._of(slots, size) for slots in turns if slots]).compact()

    def _of(self, slots: Sequence[int], size: int) -> Self:
        """Return the sums of some units alone, each named as the group of so many units that it belongs to."""
        index = torch.tensor(slots, device=self.owner.device)
        place = torch.full_like(self.count, -1, dtype=torch.int64)
        place[index] = torch.arange(len(slots), device=index.device)
        owner = place[self.owner]
        sums: dict[str, Any] = {name: getattr(self, name)[index] for name in (*_SUMS, "probed")}
        units = tuple(self.units[slot] // size for slot in slots)
        return replace(self, units=units, factors=self.factors[owner >= 0], owner=owner[owner >= 0], **sums)


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
        # Copies, also of float64, as what is added later adds to these sums in place.
        square, count, inverse = held[:, 0, width : width + 3].to(torch.float64, copy=True).unbind(dim=1)
        offset, offsets, fourth = held[:, 0, -3:].to(torch.float64, copy=True).unbind(dim=1)
        # About the unit's own mean, whatever the centre.
        mean = linear / count[:, None]
        within = torch.stack(products, dim=1) - (linear @ self._both.double())[:, :, None] * mean[:, None]
        factors = _factors(within[:, : basis.shape[1]], basis)
        return Parts(
            units=tuple(self._slots),
            count=count,
            linear=linear,
            square=square,
            quartic=fourth,
            unit_sum=unit_sum + inverse[:, None] * self.shift.double(),
            norm_sum=offset + count * self.norm_shift,
            norm_square=offsets + 2 * self.norm_shift * offset + count * self.norm_shift**2,
            factors=factors.flatten(0, 1).float(),
            owner=torch.arange(len(count), device=factors.device).repeat_interleave(factors.shape[1]),
            probed=within[:, basis.shape[1] :],
            exact=basis.shape[1] == width,
        ).about(self.shift.double() - centre)


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
        return _summed(values, owner, len(units))

    count, linear = summed(torch.ones_like(norms)), summed(centred)
    factors = centred - (linear / count[:, None])[owner]
    return Parts(
        units=units,
        count=count,
        linear=linear,
        square=summed(square),
        quartic=summed(square**2),
        unit_sum=summed(inverse[:, None] * states),
        norm_sum=summed(norms),
        norm_square=summed(norms**2),
        factors=factors.float(),
        owner=owner,
        probed=_summed_products(factors, owner, len(units)),
        exact=True,
    )


def joined(parts: Sequence[Parts]) -> Parts:
    """Return the sums of all parts together, about their common centre."""
    return reduce(_joined, parts)


def _joined(one: Parts, other: Parts) -> Parts:
    units = tuple(sorted({*one.units, *other.units}))
    slots = {unit: slot for slot, unit in enumerate(units)}
    device = one.owner.device
    places = [torch.tensor([slots[unit] for unit in part.units], device=device) for part in (one, other)]

    def summed(name: str) -> Tensor:
        mine, theirs = (_summed(getattr(p, name), at, len(units)) for p, at in zip((one, other), places, strict=True))
        return mine + theirs

    # What lies between the means of a unit's two parts.
    shared = [unit for unit in one.units if unit in other.units]
    here, there = (torch.tensor([*map(p.units.index, shared)], dtype=torch.int64, device=device) for p in (one, other))
    count, more = one.count[here], other.count[there]
    apart = one.linear[here] / count[:, None] - other.linear[there] / more[:, None]
    apart *= (count * more / (count + more)).sqrt()[:, None]
    probed = summed("probed") + _summed_products(apart, places[0][here], len(units))
    return Parts(
        units=units,
        **{name: summed(name) for name in _SUMS},
        factors=torch.cat([one.factors, other.factors, apart.float()]),
        owner=torch.cat([places[0][one.owner], places[1][other.owner], places[0][here]]),
        probed=probed,
        exact=one.exact and other.exact,
    )


def _summed(values: Tensor, owner: Tensor, number: int) -> Tensor:
    """Return the sums of rows by the number of their owner."""
    return values.new_zeros((number, *values.shape[1:])).index_add_(0, owner, values)


def _summed_products(rows: Tensor, owner: Tensor, number: int) -> Tensor:
    """Return the scatter of each owner's rows float[n, d] times each of the random directions, float[number, r, d]."""
    along = rows @ _probes(rows)
    products = rows.new_zeros((number, along.shape[1], rows.shape[1]))
    for place, column in enumerate(along.T):  # all at once would take the memory of the rows once a direction
        products[:, place].index_add_(0, owner, column[:, None] * rows)
    return products


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
    """Return random numbers float[d, columns], the same ones for all states of that width."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((like.shape[1], columns), generator=generator, dtype=torch.float32, device="cpu").to(like)


def _factors(products: Tensor, basis: Tensor) -> Tensor:
    """Return factors F float64[u, k, d] with F'F = B'(BU)^+ B, from products B = U'G float64[u, k, d]."""
    inner = products @ basis
    values, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
    kept = values > _NOISE * values[:, -1:].clamp_min(torch.finfo(values.dtype).tiny)
    root = torch.where(kept, values, torch.inf).rsqrt()
    factors: Tensor = (root[:, :, None] * vectors.mT) @ products
    return factors
