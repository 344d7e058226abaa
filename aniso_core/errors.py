"""The errors that aniso raises for a user's mistake or a plugin's fault."""

NO_TOKENS = "no token belongs to this token set here"
"""Why a statistic that saw nothing has no result."""


class AnisoError(Exception):
    """Report what was wanted, what came and what to do, in one sentence for the user."""


class UndefinedMetricError(AnisoError):
    """Say why a metric has no value on these states (zero variance, one token); the run goes on without it."""


class OutOfRangeError(AnisoError):
    """Report states that are not finite: site, document, position, dtype and what to do."""


def range_advice(dtype: str) -> str:
    """Return what to do about states that are not finite in `dtype`, a torch name without its prefix."""
    return "float16 ends at 65504: use --dtype bfloat16 or float32" if dtype == "float16" else "check the weights"


_SHORT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on a GPU or on the host."""
    # torch has a class for it that is not used everywhere; nothing here imports torch.
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or (isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT_OF_MEMORY))
