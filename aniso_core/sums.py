"""Sums to the fourth order over rows that stream by: one matrix product a block, float64 from there on."""

import itertools
from typing import Self

import torch
from torch import Tensor

from aniso_core.kernels import for_products
from aniso_core.memory import room
from aniso_core.tokens import Runs
from aniso_core.unitsums import Parts, UnitSums, joined

_BLOCK_WIDTH = 128
_MOST_BLOCKS = 8
_FAR = 0.9  # share of a block's mean square distance from the shift that is its mean's


class Sums:
    """Sums over rows x of c = x - shift: 1, c, cc', |c|^2, |c|^2 c, |c|^4, and of x / |x| and |x|.

    A shift near the mean keeps what is squared small, so that float32 products lose nothing that matters; it is the
    first block's mean, and moves only where a later block lies far from it. cc' is kept as block rows up to the
    diagonal: little more than half the products, and half the memory.

    On a GPU, states that came in half precision are multiplied in it, with float32 sums: as they are (their products
    are exact) where their mean is no larger than their spread, else centred and split into two halves.
    """

    def __init__(self, rows: Tensor, norms: Tensor, half: torch.dtype | None = None, *, by_unit: bool = False) -> None:
        """Start with nothing, about the mean of `rows` float[n, d] and of their `norms` float[n].

        `half` is the half precision that all rows are exact in, to multiply in it; None to multiply as they are. With
        `by_unit` it is also kept what each unit holds of the sums.
        """
        width = rows.shape[1]
        self.count = 0
        self.shift = rows.sum(dim=0) / len(rows)
        self._half, self._split = half, False
        if half is not None:
            self._split = bool((rows - self.shift).square().sum() < len(rows) * self.shift.square().sum())
            if self._split:
                self._half = torch.bfloat16  # float16 has no room for the lower half of small numbers
            else:
                self.shift = torch.zeros_like(self.shift)
        self.norm_shift = norms.double().mean()
        self._weighted = rows.new_zeros((3, width), dtype=torch.float64)
        self._scalars = rows.new_zeros(4, dtype=torch.float64)
        self._blocks = [rows.new_zeros((stop - start, stop), dtype=torch.float64) for start, stop in _block_rows(width)]
        self._units = UnitSums(self.shift, self.norm_shift, rows) if by_unit else None
        self._merged: Parts | None = None

    @property
    def mean(self) -> Tensor:
        """The mean row, float64[d]."""
        return self.shift.double() + self._weighted[1] / self.count

    @property
    def unit_sum(self) -> Tensor:
        """The sum of x / |x| (zero rows count as zero), float64[d]."""
        return self._weighted[2]

    @property
    def norm_sums(self) -> tuple[Tensor, Tensor]:
        """The mean of the norms and the sum of their squared distances from it."""
        offset = self._scalars[2] / self.count
        return self.norm_shift + offset, (self._scalars[3] - self.count * offset**2).clamp_min(0)

    def add(self, rows: Tensor, norms: Tensor, runs: Runs = ()) -> None:
        """Take in rows float[n, d], their norms and runs; all of them, or none where memory runs out."""
        width = rows.shape[1]
        more = 3 if self._units is None else self._units.columns
        wide = room("sums", rows, (len(rows), width + more))
        centred = torch.sub(rows, self.shift, out=wide[:, :width])
        square = torch.linalg.vector_norm(centred, dim=1).square_()
        inverse = torch.where(norms > 0, norms, torch.inf).reciprocal_()
        for column, weight in zip(range(width, width + 3), (square, 1.0, inverse), strict=True):
            wide[:, column] = weight
        if self._units is not None:
            with for_products(wide):
                self._units.weigh(wide, norms)
        sums = wide[:, : width + 3]
        products, weighted = _products(sums, width) if self._half is None else self._half_products(sums, width)
        weighted = weighted.double()
        if self.count and bool(weighted[1] @ weighted[1] > _FAR * len(rows) * square.sum()):
            self._start_again(rows, norms, runs)
            return
        weighted[2] += self.shift.double() * inverse.sum(dtype=torch.float64)
        length, offset = square.double(), norms.double() - self.norm_shift
        scalars = torch.stack([length.sum(), length @ length, offset.sum(), offset @ offset])
        if self._units is not None:
            with for_products(wide):
                self._units.add(wide, runs)
        self.count += len(rows)
        self._weighted += weighted
        self._scalars += scalars
        for block, product in zip(self._blocks, products, strict=True):
            block.add_(product)

    def _start_again(self, rows: Tensor, norms: Tensor, runs: Runs) -> None:
        """Take rows in about their own mean, which lies so far from the shift that they would lose digits about it."""
        fresh = type(self)(rows, norms, self._half, by_unit=self._units is not None)
        fresh.add(rows, norms, runs)
        self.__dict__.update(fresh.merged(self).__dict__)

    def _half_products(self, wide: Tensor, width: int) -> tuple[list[Tensor], Tensor]:
        """Return what _products does, by factors in half precision."""
        half, bounds, rows = self._half, _block_rows(width), wide[:, :width]
        high = rows.to(half)
        blocks = [_half_product(high[:, start:stop], high[:, :stop]) for start, stop in bounds]
        if self._split:
            low, square = (rows - high).to(half), rows.square().sum(dim=0)
            for (start, stop), block in zip(bounds, blocks, strict=True):
                block.add_(_half_product(high[:, start:stop], low[:, :stop]))
                block.add_(_half_product(low[:, start:stop], high[:, :stop]))
                # What is left out is 2^-16 of a product; on the diagonal, where it adds up, sums of squares mend it.
                block.diagonal(offset=start).copy_(square[start:stop])
        with for_products(wide):
            return blocks, wide[:, width:].T @ rows

    def copy(self) -> Self:
        """Return the same sums, to be added to apart."""
        twin = self._like()
        twin._weighted, twin._scalars = self._weighted.clone(), self._scalars.clone()
        twin._blocks = [block.clone() for block in self._blocks]
        twin._units = self._units and self._units.copy()
        return twin

    def merged(self, other: Self) -> Self:
        """Return the sums over both parts, about this part's shift."""
        both = self.copy()
        linear, delta = other._weighted[1], other.shift.double() - self.shift.double()
        square, cubic, quartic = other._about(delta)
        both.count += other.count
        both._weighted += torch.stack([cubic, linear + other.count * delta, other.unit_sum])
        offset = other.norm_shift - self.norm_shift
        both._scalars += torch.stack(
            [
                square,
                quartic,
                other._scalars[2] + other.count * offset,
                other._scalars[3] + 2 * offset * other._scalars[2] + other.count * offset**2,
            ]
        )
        merged = [*([self._merged] if self._merged else []), *other.parts(self.shift.double())]
        both._merged = joined(merged).compact() if merged else None
        left, right = other._moved(delta)
        for (start, stop), block, theirs in zip(_block_rows(len(linear)), both._blocks, other._blocks, strict=True):
            block.add_(theirs).addmm_(left[:, start:stop].T, right[:, :stop])
        return both

    def about(self, centre: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sums of cc' float64[d, d], |c|^2 and |c|^4 about `centre`, those of more `rows` float[k, d] added.

        As if the rows had been taken in, but in float64 throughout: cheap where they are few.
        """
        more = rows.double() - centre
        delta = self.shift.double() - centre
        square, _, quartic = self._about(delta)
        theirs = more.square().sum(dim=1)
        left, right = self._moved(delta)
        scatter = torch.empty((len(centre), len(centre)), dtype=torch.float64, device=centre.device)
        for (start, stop), block in zip(_block_rows(len(centre)), self._blocks, strict=True):
            scatter[start:stop, :stop] = block
            scatter[:start, start:stop] = block[:, :start].T
        scatter.addmm_(torch.cat([left, more]).T, torch.cat([right, more]))
        return scatter, square + theirs.sum(), quartic + theirs @ theirs

    def regrouped(self, size: int) -> Self:
        """Return the same sums, of every `size` units one; all but what units hold is shared."""
        twin = self._like()
        twin._units = self._units and self._units.regrouped(size)
        twin._merged = self._merged and self._merged.regrouped(size)
        return twin

    @property
    def knows_units(self) -> bool:
        """Whether it was kept what each unit holds."""
        return self._units is not None

    def parts(self, centre: Tensor) -> list[Parts]:
        """Return what each unit holds of the sums about `centre`: of what was added, and of what was merged in."""
        own = [] if self._units is None else [self._units.parts(centre)]
        return [*own, *([self._merged.about(self.shift.double() - centre)] if self._merged else [])]

    def _moved(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Return factors u, v float64[3, d] such that cc' about a centre `delta` further back is cc' + u'v."""
        linear = self._weighted[1]
        return torch.stack([linear, delta, self.count * delta]), torch.stack([delta, linear, delta])

    def _about(self, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sums of |c|^2, |c|^2 c and |c|^4 with c + delta in place of c."""
        cubic, linear = self._weighted[0], self._weighted[1]
        square, quartic = self._scalars[0], self._scalars[1]
        length, along, slope = delta @ delta, self._times(delta), delta @ linear
        moved = square + 2 * slope + self.count * length
        return (
            moved,
            cubic + 2 * along + length * linear + moved * delta,
            quartic
            + 4 * (delta @ along)
            + self.count * length**2
            + 4 * (delta @ cubic)
            + 2 * length * square
            + 4 * length * slope,
        )

    def _times(self, vector: Tensor) -> Tensor:
        """Return the sum of cc' times a vector float64[d]."""
        product = vector.new_zeros(len(vector))
        for (start, stop), block in zip(_block_rows(len(vector)), self._blocks, strict=True):
            product[start:stop] += block @ vector[:stop]
            product[:start] += block[:, :start].T @ vector[start:stop]
        return product

    def _like(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin


def _products(wide: Tensor, width: int) -> tuple[list[Tensor], Tensor]:
    """Return the block rows of the summed outer products of rows, and the rows summed with each of three weights.

    `wide` float[n, d + 3] holds rows and their weights, which cost next to nothing as three more rows of the last
    block; a product of their own, thin as it is, would cost a twelfth of all.
    """
    *bounds, (last, _) = _block_rows(width)
    with for_products(wide):
        blocks = [torch.mm(wide[:, start:stop].T, wide[:, :stop]) for start, stop in bounds]
        ending = torch.mm(wide[:, last:].T, wide[:, :width])
    return [*blocks, ending[:-3]], ending[-3:]


def _half_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left'right in float32 for factors in half precision; on a CPU, which has no such product, emulated."""
    if left.is_cuda:
        return torch.mm(left.T, right, out_dtype=torch.float32)
    return left.T.float() @ right.float()


def _block_rows(width: int) -> list[tuple[int, int]]:
    """Return the bounds of the block rows of a matrix of this width."""
    number = min(max(width // _BLOCK_WIDTH, 1), _MOST_BLOCKS)
    edges = [round(i * width / number) for i in range(number + 1)]
    return list(itertools.pairwise(edges))
