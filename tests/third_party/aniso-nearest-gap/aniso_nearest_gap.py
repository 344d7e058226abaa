"""Spectral gap: how far the largest eigenvalue stands above the second."""

from aniso_core import Metric, Moments, UndefinedMetricError, hookimpl


def spectral_gap(m: Moments) -> float:
    """Return 1 - lambda_2 / lambda_1, 0 (two directions alike) to 1 (one direction only)."""
    if m.spectrum[0] == 0:
        message = "the states do not differ, so no direction stands out"
        raise UndefinedMetricError(message)
    return float(1.0 - m.spectrum[1] / m.spectrum[0])


@hookimpl
def aniso_metrics() -> list[Metric]:
    """Return the spectral gap."""
    return [Metric("spectral-gap", spectral_gap, summary="gap between the two largest eigenvalues", low=0.0, high=1.0)]
