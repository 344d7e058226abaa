"""Shapes of published models and peaks of published cards, with their sources, and what is assumed of them."""

from dataclasses import dataclass

from costs import Shape


@dataclass(frozen=True)
class Card:
    """A GPU: its dense bfloat16 operations a second, its memory in bytes and the bytes a second that this moves."""

    name: str
    peak: float
    memory: float
    bandwidth: float


CARDS = (
    # NVIDIA A100 Tensor Core GPU datasheet, SXM, 80 GB
    Card("A100", 312e12, 80e9, 2.039e12),
    # NVIDIA H100 Tensor Core GPU datasheet, SXM: dense is half of what it gives with sparsity
    Card("H100", 989.4e12, 80e9, 3.35e12),
)

REACHED = 0.4
"""Share of the dense peak that products reach: training Llama 3 405B on H100s reached 0.38 to 0.43 (2407.21783)."""
USED = 0.9
"""Share of a card's memory that weights and sums may take."""
COPYING = 10e9
"""Bytes a second that one processor thread reads and writes, assumed."""
NETWORK = 12.5e9
"""Bytes a second into the driver: 100 Gbit/s, assumed."""
THREADS, EIGEN = 32, 10e9
"""Processor threads of a host, assumed, and operations a second of each on eigenvalues (RESULTS.md, Eigenvalues)."""
HUB = 125e6
"""Bytes a second from a hub: 1 Gbit/s, assumed."""
START = 6.0
"""Seconds that a tiny profile takes (RESULTS.md, Start-up)."""

# Biderman et al. 2304.01373, Table 1, and the model cards; the two smallest came later.
PYTHIA = tuple(
    Shape(f"Pythia-{name}", width, blocks)
    for name, width, blocks in (
        ("14M", 128, 6),
        ("31M", 256, 6),
        ("70M", 512, 6),
        ("160M", 768, 12),
        ("410M", 1024, 24),
        ("1B", 2048, 16),
        ("1.4B", 2048, 24),
        ("2.8B", 2560, 32),
        ("6.9B", 4096, 32),
        ("12B", 5120, 36),
    )
)
CHECKPOINTS = 154
PYTHIA_1_4B = next(shape for shape in PYTHIA if shape.name == "Pythia-1.4B")
PYTHIA_12B = PYTHIA[-1]
# Touvron et al. 2307.09288: queries and output 2 d^2, 8 of 64 heads of keys and values d^2 / 4, three of 3.5 d^2.
LLAMA_2_70B = Shape("Llama-2-70B", 8192, 80, weights=12.75, vocabulary=32_000)
