"""What the hypotheses share that judge by the notebooks' own criteria."""

from aniso_core.records import PAPER, Array, Profile, Verdict


def paper_shares(profile: Profile) -> Array | None:
    """Return the notebooks' profile, float64[states]: top-eigenvalue share of all tokens in the view `paper`.

    None where the profile does not hold it at every layer.
    """
    curve = profile.find("top-eigenvalue-share", PAPER, "all")
    return curve.array() if curve is not None and None not in curve.values else None


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
