"""Reporters that send a run to Weights & Biases and to MLflow; either's package is imported when it is asked."""

from aniso_core.contracts import Reporter, later
from aniso_core.hookspecs import hookimpl


@hookimpl
def aniso_reporters() -> list[Reporter]:
    """Return the loggers."""
    return [
        Reporter("wandb", "logs the run to Weights & Biases", later("aniso_loggers.to_wandb", "render"), sends=True),
        Reporter("mlflow", "logs the run to MLflow", later("aniso_loggers.to_mlflow", "render"), sends=True),
    ]
