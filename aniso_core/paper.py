"""What the hypotheses share that judge by the notebooks' own criteria."""

import numpy as np

from aniso_core.errors import AnisoError
from aniso_core.records import PAPER, Array, Profile, Verdict


def paper_shares(profile: Profile) -> Array | None:
    """Return the notebooks' profile, float64[states]: top-eigenvalue share of all tokens in the view `paper`.

    None where the profile does not hold it at every layer.
    """
    try:
        values = profile.curve("top-eigenvalue-share", PAPER, "all").array()
    except AnisoError:
        return None
    return values if bool(np.isfinite(values).all()) else None


def unmeasurable(hypothesis: str, profile: Profile, least: int, reason: str = "") -> Verdict:
    """Return the verdict that `hypothesis` cannot be judged on this profile, with the reason."""
    states = paper_shares(profile)
    if not reason:
        reason = (
            "the top-eigenvalue share of all tokens is missing at some layer of the view paper"
            if states is None
            else f"the shape of a profile needs {least} states and there are {len(states)}"
        )
    return Verdict(hypothesis, "paper", profile.model.name, "not_testable", reason)
