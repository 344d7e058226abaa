"""Isotropy as its researchers measure it: spread, entropy, curvature, and what layers have in common.

`cka` compares any two layers of one model, or of two models on the same texts. The file is long because each metric is
a record of what it is.
"""

from collections.abc import Iterator

from aniso_core.contracts import Invariance, Metric, Reporter, later
from aniso_core.hookspecs import hookimpl
from aniso_isotropy import related, spectral
from aniso_isotropy.grams import GRAM, cka

__all__ = ["cka"]

_FREE: tuple[Invariance, ...] = ("rotation", "scale", "shift")
_TURNED: tuple[Invariance, ...] = ("rotation", "scale")

_CURVATURE = later("aniso_isotropy.curvature", "Curvature")
_COSINE = later("aniso_isotropy.layers", "LayerCosine")
_PAIRS = later("aniso_isotropy.layers", "Pairs")
_SAMPLE = later("aniso_core.sampling", "TokenSample")
_DOCUMENTS = later("aniso_isotropy.documents", "Documents")

_SKEAN, _TIMKEY = "Skean et al. 2502.02013", "Timkey & van Schijndel 2109.04404"


@hookimpl
def aniso_metrics() -> Iterator[Metric]:
    """Yield the metrics over moments, then those over tokens, layers and documents."""
    yield from _over_moments()
    yield from _over_others()


@hookimpl
def aniso_reporters() -> list[Reporter]:
    """Return the reporter that draws CKA of layers."""
    return [
        Reporter(
            "cka",
            f"CKA of every two layers, of runs that kept {GRAM}",
            later("aniso_isotropy.heatmap", "render"),
        )
    ]


def _over_moments() -> Iterator[Metric]:
    yield Metric(
        "isoscore-star",
        spectral.isoscore_star,
        summary="IsoScore of a covariance shrunk as few tokens ask for",
        low=0.0,
        high=1.0,
        direction="lower is more anisotropic",
        invariances=_FREE,
        source="Rudman et al. 2305.19358; Ledoit & Wolf 2004",
    )
    yield Metric(
        "spectral-decay",
        spectral.spectral_decay,
        summary="exponent of the eigenvalues' power law, ranks 11 to 100",
        low=0.0,
        direction="higher is more anisotropic",
        invariances=_FREE,
        source="Agrawal et al. 2022 (alpha-ReQ); Stringer et al. 2019",
    )
    yield Metric(
        "directions-for-90",
        spectral.directions_for_90,
        unit="dimensions",
        summary="principal directions that hold nine tenths of the variance",
        low=1.0,
        direction="lower is more anisotropic",
        invariances=_FREE,
        source="principal component analysis",
        counts=True,
    )
    yield Metric(
        "outlier-dimensions",
        spectral.outlier_dimensions,
        unit="dimensions",
        summary="dimensions of over five times the mean variance",
        low=0.0,
        direction="higher is more anisotropic",
        invariances=("scale", "shift"),
        source="Rudman et al. 2023, 2310.17715",
        counts=True,
    )
    for name, of, what in (
        ("rogue-share-1", spectral.rogue_share_1, "top dimension"),
        ("rogue-share-3", spectral.rogue_share_3, "top 3 dimensions"),
    ):
        yield Metric(
            name,
            of,
            unit="share",
            summary=f"share of the mean cosine from its {what}",
            low=0.0,
            high=1.0,
            direction="higher is more anisotropic",
            invariances=("scale",),
            source=_TIMKEY,
        )
    yield Metric(
        "matrix-entropy-2",
        spectral.matrix_entropy_2,
        unit="nats",
        summary="uncentred matrix entropy of order 2",
        low=0.0,
        direction="lower is more anisotropic",
        invariances=_TURNED,
        source=_SKEAN,
    )
    for name, of, what in (
        ("matrix-entropy-1", spectral.matrix_entropy_1, "of order 1 (von Neumann)"),
        ("matrix-entropy-half", spectral.matrix_entropy_half, "of order 1/2"),
    ):
        yield Metric(
            name,
            of,
            unit="nats",
            summary=f"uncentred matrix entropy {what}",
            low=0.0,
            direction="lower is more anisotropic",
            invariances=_TURNED,
            source=_SKEAN,
            on_request=True,
        )
    yield Metric(
        "matrix-entropy-normalised",
        spectral.matrix_entropy_normalised,
        summary="matrix entropy of order 1 over the largest possible",
        low=0.0,
        high=1.0,
        direction="lower is more anisotropic",
        invariances=_TURNED,
        source=_SKEAN,
        on_request=True,
    )
    yield Metric(
        "rankme",
        spectral.rankme,
        unit="dimensions",
        summary="exponential of the entropy of singular values, uncentred",
        low=1.0,
        direction="lower is more anisotropic",
        invariances=_TURNED,
        source="Garrido et al. 2210.02885",
        on_request=True,
    )


def _over_others() -> Iterator[Metric]:
    yield Metric(
        "curvature",
        related.curvature,
        over=_CURVATURE,
        unit="radians",
        summary="angle by which states turn from token to token",
        low=0.0,
        high=3.141592653589793,
        invariances=_FREE,
        source="Hosseini & Fedorenko 2311.04930; " + _SKEAN,
        on_request=True,
    )
    yield Metric(
        "layer-cosine",
        related.layer_cosine,
        over=_COSINE,
        unit="cosine",
        summary="cosine of tokens' states with those one layer before",
        low=-1.0,
        high=1.0,
        invariances=_TURNED,
        source="Men et al. 2403.03853 (ShortGPT)",
        on_request=True,
    )
    for name, of, what, source in (
        ("layer-cka", related.layer_cka, "linear CKA with the layer before", "Kornblith et al. 1905.00414"),
        (
            "layer-procrustes",
            related.layer_procrustes,
            "Procrustes similarity to the layer before",
            "Ding et al. 2108.01661",
        ),
        (
            "layer-linearity",
            related.layer_linearity,
            "share that is linear in the layer before",
            "Razzhigaev et al. 2405.12250",
        ),
        (
            "update-linearity",
            related.update_linearity,
            "the same share of what the layer adds",
            "Razzhigaev et al. 2405.12250",
        ),
    ):
        yield Metric(
            name,
            of,
            over=_PAIRS,
            summary=what,
            low=0.0,
            high=1.0,
            invariances=_FREE,
            source=source,
            on_request=True,
        )
    yield Metric(
        "log-partition-isotropy",
        related.log_partition_isotropy,
        over=_SAMPLE,
        unit="nats",
        summary="log of the least partition sum over the largest",
        high=0.0,
        direction="lower is more anisotropic",
        invariances=("rotation",),
        source="Mu & Viswanath 2018, 1702.01417",
        on_request=True,
    )
    yield Metric(
        GRAM,
        related.document_gram,
        over=_DOCUMENTS,
        unit="state units^2",
        summary="inner products of documents' mean states, kept",
        invariances=("rotation", "shift"),
        source="Kornblith et al. 1905.00414",
        keeps=True,
        on_request=True,
    )
