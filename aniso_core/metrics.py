"""The field's textbook metrics, long because each is a function and a record of what it is, and nothing else.

Formulas: lambda_i are the eigenvalues of the covariance (divisor n - 1), descending; p_i = lambda_i / sum lambda.
"""

import math

from aniso_core.contracts import Invariance, Metric
from aniso_core.errors import UndefinedMetricError
from aniso_core.hookspecs import hookimpl
from aniso_core.moments import Moments
from aniso_core.records import Array

_UNBIASED_LEAST = 4  # the unbiased estimators divide by n - 3


def shares(m: Moments) -> Array:
    """Return p_i, the share of the variance along each principal direction, float64[d], descending, sum 1."""
    m.require_spread()
    share: Array = m.spectrum / m.spectrum.sum()
    return share


def top_eigenvalue_share(m: Moments) -> float:
    """Return lambda_1 / sum lambda, 1/d to 1: the reciprocal of the stable rank."""
    m.require_spread()
    return m.top_eigenvalue / m.trace


def eigenvalue_variance(m: Moments) -> float:
    """Return Var(lambda) over all d eigenvalues (divisor d); scaling states by c multiplies it by c^4."""
    if m.count < 2:  # noqa: PLR2004 - a variance needs two states
        message = "one token has no variance"
        raise UndefinedMetricError(message)
    # Trace and square are sums that round apart, so that the difference may come out below zero.
    return max(m.square_trace / m.width - (m.trace / m.width) ** 2, 0.0)


def eigenvalue_dispersion(m: Moments) -> float:
    """Return Var(lambda) / mean(lambda)^2 = d / PR - 1, 0 (isotropic) to d - 1: the scale-free variance."""
    return m.width / participation_ratio(m) - 1.0


def effective_rank(m: Moments) -> float:
    """Return exp(-sum p ln p) (Roy & Vetterli 2007), 1 to min(n - 1, d); a lower bound where n is not >> d."""
    import numpy as np

    share = shares(m)
    positive = share[share > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def participation_ratio(m: Moments) -> float:
    """Return (sum lambda)^2 / sum lambda^2, 1 to min(n - 1, d)."""
    m.require_spread()
    return m.trace**2 / m.square_trace


def participation_ratio_unbiased(m: Moments) -> float:
    """Return (tr C)^2 / tr C^2 with numerator and denominator unbiased for independent tokens.

    With S the sample covariance and Q = sum |x - mean|^4 / (n - 1), both are (n-1) / (n (n-2) (n-3)) times
    2 tr S^2 + (n^2 - 3n + 1) (tr S)^2 - n Q and (n-1)(n-2) tr S^2 + (tr S)^2 - n Q (Himeno & Yamada 2014; used
    for dimension by Chun et al. 2509.26560). Tokens of one document depend on each other, so some bias stays.
    """
    m.require_spread()
    n = m.count
    if n < _UNBIASED_LEAST:
        message = f"the unbiased participation ratio needs {_UNBIASED_LEAST} tokens and there are {n}"
        raise UndefinedMetricError(message)
    of_square, square, n_q = m.square_trace, m.trace**2, n * m.quartic * n / (n - 1)
    above = 2 * of_square + (n**2 - 3 * n + 1) * square - n_q
    below = (n - 1) * (n - 2) * of_square + square - n_q
    if below <= 0 or above <= 0:
        message = f"{n} tokens are too few for an unbiased estimate: its denominator is not positive"
        raise UndefinedMetricError(message)
    return above / below


def isoscore(m: Moments) -> float:
    """Return (PR - 1) / (d - 1), 0 (a line) to 1 (isotropic), which is IsoScore exactly (Rudman et al. 2022)."""
    if m.width < 2:  # noqa: PLR2004 - one direction is neither isotropic nor not
        message = "IsoScore needs states of width 2 or more"
        raise UndefinedMetricError(message)
    return (participation_ratio(m) - 1.0) / (m.width - 1.0)


def cross_fit_share(m: Moments) -> float:
    """Return the share of the variance along a direction found in the other half of the documents, 0 to 1."""
    from aniso_core.leaveout import cross_fit_share

    return cross_fit_share(m)


def top_share(k: int) -> Metric:
    """Return the metric sum of the first `k` p_i, the notebooks' var_top1, var_top10 and var_top50."""

    def share(m: Moments) -> float:
        return top_eigenvalue_share(m) if k == 1 else float(shares(m)[:k].sum())

    share.__doc__ = f"Return the share of the variance in the first {k} principal directions, 0 to 1."
    return Metric(
        f"top-{k}-share",
        share,
        unit="share",
        summary=f"share of the variance in the first {k} principal directions",
        low=0.0,
        high=1.0,
        direction="higher is more anisotropic",
        invariances=("rotation", "scale", "shift"),
        source="the notebooks",
    )


def cosine_to_mean(m: Moments) -> float:
    """Return the mean cosine of the states with their mean, -1 to 1: how narrow the cone around it is."""
    length = math.sqrt(m.mean @ m.mean)
    if length == 0:
        message = "the mean state is zero, so no cosine with it exists"
        raise UndefinedMetricError(message)
    return float(m.unit_mean @ m.mean / length)


def mean_pairwise_cosine(m: Moments) -> float:
    """Return the mean cosine over all pairs of distinct tokens, (|sum x^|^2 - n) / (n (n - 1)) (Ethayarajh 2019)."""
    n = m.count
    if n < 2:  # noqa: PLR2004 - a pair
        message = "one token makes no pair"
        raise UndefinedMetricError(message)
    return float((n * (m.unit_mean @ m.unit_mean) - 1.0) / (n - 1.0))


def norm_mean(m: Moments) -> float:
    """Return the mean Euclidean norm of the states."""
    return m.norm_mean


def norm_sd(m: Moments) -> float:
    """Return the standard deviation of the norms (divisor n)."""
    return math.sqrt(m.norm_var)


def norm_cv(m: Moments) -> float:
    """Return the coefficient of variation of the norms, sd / mean, 0 to sqrt(n - 1): in effect a sink detector."""
    if m.norm_mean == 0:
        message = "all states are zero"
        raise UndefinedMetricError(message)
    return norm_sd(m) / m.norm_mean


def sink_ratio(m: Moments, first: Moments) -> float:
    """Return the mean norm of first tokens over the mean norm of all others, 0 or more; 1 where none stands out."""
    others = m.count - first.count
    total = m.count * m.norm_mean - first.count * first.norm_mean
    if others == 0 or total <= 0:
        message = "there is no token beside the first ones to compare with"
        raise UndefinedMetricError(message)
    return first.norm_mean * others / total


def share_held(m: Moments, some: Moments) -> float:
    """Return the share of lambda_1 that some tokens hold, 0 to 1: sum over them of (v_1'(x - mean))^2 / total."""
    m.require_spread()
    v = m.top_direction
    held = some.variance_along(v) * (some.count - 1) + some.count * float(v @ (some.mean - m.mean)) ** 2
    return held / (m.top_eigenvalue * (m.count - 1))


def massive_activation(m: Moments) -> float:
    """Return the largest |coordinate| of any state (Sun et al. 2402.17762)."""
    return m.peak


def massive_ratio(m: Moments) -> float:
    """Return the largest |coordinate| over the median |coordinate| of the state that holds it, 1 or more.

    Sun et al. 2402.17762 take the median over a whole sequence; over the state itself, parts merge exactly.
    """
    if not math.isfinite(m.peak_ratio):
        message = "the median coordinate is zero"
        raise UndefinedMetricError(message)
    return m.peak_ratio


_SPECTRAL: tuple[Invariance, ...] = ("rotation", "scale", "shift")


@hookimpl
def aniso_metrics() -> list[Metric]:
    """Return the textbook metrics."""
    return [
        Metric(
            "top-eigenvalue-share",
            top_eigenvalue_share,
            unit="share",
            summary="share of the variance along the first principal direction",
            low=0.0,
            high=1.0,
            direction="higher is more anisotropic",
            invariances=_SPECTRAL,
            source="Razzhigaev et al. 2311.05928; the notebooks' intrinsic_dim_ratio",
            aliases=("intrinsic-dim-ratio",),
        ),
        Metric(
            "eigenvalue-variance",
            eigenvalue_variance,
            unit="state units^4",
            summary="variance of the eigenvalues; grows with the fourth power of the scale",
            low=0.0,
            direction="higher is more anisotropic",
            invariances=("rotation", "shift"),
            source="the notebooks",
        ),
        Metric(
            "eigenvalue-dispersion",
            eigenvalue_dispersion,
            summary="variance of the eigenvalues over their squared mean, d/PR - 1",
            low=0.0,
            direction="higher is more anisotropic",
            invariances=_SPECTRAL,
            source="scale-free form of the notebooks' eigenvalue variance",
        ),
        Metric(
            "effective-rank",
            effective_rank,
            unit="dimensions",
            summary="exponential of the spectrum's entropy",
            low=1.0,
            direction="lower is more anisotropic",
            invariances=_SPECTRAL,
            source="Roy & Vetterli 2007",
        ),
        Metric(
            "participation-ratio",
            participation_ratio,
            unit="dimensions",
            summary="how many directions share the variance",
            low=1.0,
            direction="lower is more anisotropic",
            invariances=_SPECTRAL,
            source="Gao et al. 2017, 10.1101/214262",
        ),
        Metric(
            "participation-ratio-unbiased",
            participation_ratio_unbiased,
            unit="dimensions",
            summary="participation ratio freed of the bias of few tokens",
            low=0.0,
            direction="lower is more anisotropic",
            invariances=_SPECTRAL,
            source="Himeno & Yamada 2014; Chun et al. 2509.26560",
        ),
        Metric(
            "isoscore",
            isoscore,
            summary="participation ratio on a scale of 0 (a line) to 1 (isotropic)",
            low=0.0,
            high=1.0,
            direction="lower is more anisotropic",
            invariances=_SPECTRAL,
            source="Rudman et al. 2022, 2108.07344",
        ),
        Metric(
            "cross-fit-share",
            cross_fit_share,
            unit="share",
            summary="top-eigenvalue share along a direction found in other documents",
            low=0.0,
            high=1.0,
            direction="higher is more anisotropic",
            invariances=_SPECTRAL,
            source="lower end of a bracket around the share; docs/statistics.md",
        ),
        top_share(1),
        top_share(10),
        top_share(50),
        Metric(
            "cosine-to-mean",
            cosine_to_mean,
            unit="cosine",
            summary="mean cosine of states with their mean: the cone, uncentred",
            low=-1.0,
            high=1.0,
            direction="higher is more anisotropic",
            invariances=("rotation", "scale"),
            source="the notebooks' avg_cos_sim",
            aliases=("avg-cos-sim",),
        ),
        Metric(
            "mean-pairwise-cosine",
            mean_pairwise_cosine,
            unit="cosine",
            summary="mean cosine over pairs of tokens",
            low=-1.0,
            high=1.0,
            direction="higher is more anisotropic",
            invariances=("rotation", "scale"),
            source="Ethayarajh 2019, 1909.00512",
        ),
        Metric(
            "norm-mean",
            norm_mean,
            unit="state units",
            summary="mean Euclidean norm",
            low=0.0,
            invariances=("rotation",),
            source="the notebooks' mean_norm",
        ),
        Metric(
            "norm-sd",
            norm_sd,
            unit="state units",
            summary="standard deviation of the norms",
            low=0.0,
            invariances=("rotation",),
            source="the notebooks' std_norm",
        ),
        Metric(
            "norm-cv",
            norm_cv,
            summary="standard deviation of the norms over their mean",
            low=0.0,
            invariances=("rotation", "scale"),
            source="the notebooks' norm_cv",
        ),
        Metric(
            "sink-ratio",
            sink_ratio,
            summary="mean norm of first tokens over that of the others; a flag, not a score",
            low=0.0,
            invariances=("rotation", "scale"),
            source="Xiao et al. 2309.17453",
            contrast="first",
        ),
        Metric(
            "first-token-share",
            share_held,
            unit="share",
            summary="share of lambda_1 that first tokens hold; a flag, not a score",
            low=0.0,
            high=1.0,
            invariances=_SPECTRAL,
            source="docs/concepts.md",
            contrast="first",
        ),
        Metric(
            "massive-token-share",
            share_held,
            unit="share",
            summary="share of lambda_1 that massive tokens hold beside first ones; a flag, not a score",
            low=0.0,
            high=1.0,
            invariances=_SPECTRAL,
            source="docs/concepts.md",
            contrast="outlier",
        ),
        Metric(
            "massive-activation",
            massive_activation,
            unit="state units",
            summary="largest absolute coordinate",
            low=0.0,
            source="Sun et al. 2402.17762",
        ),
        Metric(
            "massive-ratio",
            massive_ratio,
            summary="largest absolute coordinate over the median one of the same state",
            low=1.0,
            invariances=("scale",),
            source="Sun et al. 2402.17762, per state",
        ),
    ]
