"""A curve in one line of text."""

from collections.abc import Sequence

import numpy as np

_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = " "


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return a block for each value, from the lowest of them at the bottom to the highest at the top; gaps are blank.

    Values that are more than `width` share blocks, each the mean of neighbours. A flat curve stays at the bottom.
    """
    known = np.array([np.nan if value is None else value for value in values])
    parts = np.array_split(known, min(width, len(known))) if len(known) else []
    means = [float(part[~np.isnan(part)].mean()) if not np.isnan(part).all() else None for part in parts]
    seen = [mean for mean in means if mean is not None]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    step = (high - low) / (len(_BLOCKS) - 1) or 1.0
    return "".join(_GAP if mean is None else _BLOCKS[round((mean - low) / step)] for mean in means)
