"""The errors that aniso raises for a user's mistake or a plugin's fault."""


class AnisoError(Exception):
    """Report what was wanted, what came and what to do, in one sentence for the user."""


class UndefinedMetricError(AnisoError):
    """Say why a metric has no value on these states (zero variance, one token); the run goes on without it."""


class OutOfRangeError(AnisoError):
    """Report states that are not finite: site, document, position, dtype and what to do."""
