"""Intrinsic dimension of hidden states at several scales: TwoNN, Gride and the maximum-likelihood estimate.

All are computed on one seeded sample. What such estimates say of hidden states is disputed (arXiv 2604.20276): see
`aniso_dimension.neighbours`.
"""

from collections.abc import Iterator
from operator import methodcaller

from aniso_core.contracts import Invariance, Metric, later
from aniso_core.hookspecs import hookimpl

_SAMPLE = later("aniso_dimension.neighbours", "SampledNeighbours")
_ORDERS = (4, 8, 16, 32, 64)
_ALWAYS: tuple[Invariance, ...] = ("rotation", "scale", "shift")


def _dimension(name: str, method: str, *order: int, summary: str, source: str, alias: str = "") -> Metric:
    return Metric(
        name,
        methodcaller(method, *order),
        over=_SAMPLE,
        unit="dimensions",
        summary=summary,
        low=0.0,
        invariances=_ALWAYS,
        source=source,
        aliases=(alias,) if alias else (),
        on_request=True,
    )


@hookimpl
def aniso_metrics() -> Iterator[Metric]:
    """Yield the dimensions, from the smallest scale to the largest, and what shows their scale."""
    yield _dimension(
        "two-nn",
        "two_nn",
        summary="intrinsic dimension from neighbours 1 and 2",
        source="Facco et al. 2017, 10.1038/s41598-017-11873-y",
        alias="gride-2",
    )
    for order in _ORDERS:
        yield _dimension(
            f"gride-{order}",
            "gride",
            order,
            summary=f"intrinsic dimension from neighbours {order // 2} and {order}",
            source="Denti et al. 2022, 10.1038/s41598-022-20991-1",
        )
    yield _dimension(
        "mle-10",
        "mle",
        10,
        summary="intrinsic dimension from neighbours 1 to 10",
        source="Levina & Bickel 2004; MacKay & Ghahramani 2005",
    )
    for order in (2, *_ORDERS):
        yield Metric(
            f"neighbour-distance-{order}",
            methodcaller("distance", order),
            over=_SAMPLE,
            unit="state units",
            summary=f"mean distance to neighbours {order // 2} and {order}",
            low=0.0,
            invariances=("rotation", "shift"),
            source="the scale of Denti et al. 2022",
            on_request=True,
        )
    yield Metric(
        "distinct-states",
        methodcaller("count"),
        over=_SAMPLE,
        unit="states",
        summary="states that the intrinsic dimensions are measured on",
        low=1.0,
        high=1000.0,
        invariances=_ALWAYS,
        source="plugins/aniso-dimension",
        on_request=True,
        counts=True,
    )
