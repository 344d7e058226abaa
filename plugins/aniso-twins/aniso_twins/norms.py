"""The ladder of norms: what each does to a state, from LayerNorm to RMSNorm."""

from typing import NamedTuple


class Parts(NamedTuple):
    """Which parts a norm has; all of them divide by the root of the mean square of what they are given, plus eps."""

    centre: bool
    """Whether the mean over the width is taken off first."""
    gain: bool
    """Whether a learnt gain multiplies, 1 at the start."""
    bias: bool
    """Whether a learnt bias is added, 0 at the start."""


NORMS = {
    "layernorm": Parts(centre=True, gain=True, bias=True),
    "no-gain": Parts(centre=True, gain=False, bias=True),
    "no-bias": Parts(centre=True, gain=True, bias=False),
    "no-centre": Parts(centre=False, gain=True, bias=True),
    "rmsnorm": Parts(centre=False, gain=True, bias=False),
}
"""Each lacks one part of LayerNorm, and RMSNorm lacks two."""
