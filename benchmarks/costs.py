"""What a profile costs by arithmetic: operations, bytes and passes over them, as the engine does them.

d is the width, L the number of blocks, f the share of a square matrix that block rows up to the diagonal take.
"""

from dataclasses import dataclass

DOUBLE, SINGLE, HALF = 8, 4, 2
BLOCK_WIDTH, MOST_BLOCKS = 128, 8  # as in aniso_core.sums
NARROW, DIRECTIONS, PROBES, FACTORS = 64, 4, 2, 8  # as in aniso_core.unitsums
BLOCK_ROWS = 1024  # rows from which a fold absorbs a block
KEPT_UNITS = 64


@dataclass(frozen=True)
class Shape:
    """A model's shape: its blocks have `weights` d^2 weights each; the embeddings are no part of the trunk's work."""

    name: str
    width: int
    blocks: int
    weights: float = 12.0
    vocabulary: int = 50_304
    tables: int = 2
    """How often the vocabulary's matrix is stored: embeddings, and the head where it is not the same."""

    @property
    def sites(self) -> int:
        """The sites of both streams."""
        return 2 * (self.blocks + 1)

    @property
    def residual_sites(self) -> int:
        """The sites of the residual stream with the final norm's output."""
        return self.blocks + 2

    @property
    def trunk(self) -> float:
        """The weights of the blocks."""
        return self.blocks * self.weights * self.width**2

    @property
    def parameters(self) -> float:
        """All weights, small ones apart."""
        return self.trunk + self.tables * self.vocabulary * self.width


def share(width: int) -> float:
    """Return f, the part of a d x d matrix that block rows up to the diagonal are: (b + 1) / 2b of b blocks."""
    blocks = min(max(width // BLOCK_WIDTH, 1), MOST_BLOCKS)
    return (blocks + 1) / (2 * blocks)


def forward_operations(shape: Shape, window: int) -> float:
    """Return the operations of the bare pass a token: 2 a weight, and 2 w d a block for causal attention."""
    return 2 * shape.trunk + shape.blocks * 2 * window * shape.width


def product_operations(width: int) -> float:
    """Return the operations of a site's half product a token, 2 f d^2."""
    return 2 * share(width) * width**2


def directions(width: int) -> int:
    """Return along how many directions each document's scatter is kept: all where states are narrow."""
    return width if width <= NARROW else DIRECTIONS + PROBES


def unit_operations(width: int) -> float:
    """Return the operations of what documents hold a token: k directions, 2 k d to weigh and 2 (k + 2) d to sum."""
    return 4 * (1 + directions(width)) * width


def absorption_bytes(width: int) -> float:
    """Return what adding a block's float32 product to float64 sums reads and writes: 20 f d^2."""
    return (SINGLE + 2 * DOUBLE) * share(width) * width**2


def state_traffic(width: int) -> float:
    """Return the bytes that a site reads and writes a token beside products, 30 d."""
    return 30 * width


def spectrum_operations(side: int) -> float:
    """Return the operations of all eigenvalues of a symmetric matrix, 4/3 d^3 (Golub and Van Loan, ch. 8)."""
    return 4 / 3 * side**3


def leaving_out_operations(width: int, units: int) -> float:
    """Return the operations of leaving each unit out of a token set: its factors and the move of the mean times S."""
    return 2 * units * (DIRECTIONS + 2) * width**2


def sums_bytes(width: int) -> float:
    """Return what the sums of a site and token class hold: 8 f d^2, three weighted sums, the shift and scalars."""
    return DOUBLE * (share(width) * width**2 + 3 * width + 5) + SINGLE * width


def units_bytes(width: int, units: int) -> float:
    """Return what is kept of `units` beside the sums: 8 (d + 12) numbers each, and directions."""
    kept = directions(width)
    return SINGLE * (units * (2 + kept) * (width + kept + 6) + 2 * kept * width)


def merged_units_bytes(width: int, units: int) -> float:
    """Return what is kept of `units` of wide states that were merged in: factors and sums."""
    return units * (SINGLE * FACTORS * width + DOUBLE * ((PROBES + 2) * width + FACTORS + 5))


def merge_bytes(width: int) -> float:
    """Return what merging the sums of two parts reads and writes a site and token class, times f d^2 float64.

    The sums are copied (2), the others' moments are moved (2 products with a vector, each block twice: 4), theirs are
    added (3) and so is a product of rank three (2).
    """
    return 11 * DOUBLE * share(width) * width**2
