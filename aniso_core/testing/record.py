"""Checks the record of a metric: the type and the possible values of each field."""

import math
from typing import get_args

from aniso_core.contracts import WANTS, Direction, Invariance
from aniso_core.testing.rules import want, wanting
from aniso_core.testing.subject import Subject
from aniso_core.tokens import CLASSES


def complete(given: Subject) -> None:
    """Raise RuleError unless each field of a metric's record, and what its statistic wants, is what it must be."""
    metric, about, where = given.metric, given.about, "in its record"
    with wanting(about, "a complete record", where):
        for name in ("name", "unit", "summary", "source"):
            text = getattr(metric, name)
            want(isinstance(text, str) and text.strip(), about, f"a {name}", repr(text), where)
        for name in ("low", "high"):
            bound = getattr(metric, name)
            number = isinstance(bound, (int, float)) and math.isfinite(bound)
            want(bound is None or number, about, f"a finite number or None as {name}", repr(bound), where)
        low, high = metric.low, metric.high
        want(low is None or high is None or low < high, about, "low below high", f"{low} and {high}", where)
        for name, known in (("direction", get_args(Direction)), ("contrast", (None, *CLASSES))):
            said, one = ", ".join(map(str, known)), getattr(metric, name)
            want(one in known, about, f"a {name} of {said}", repr(one), where)
        for name, several, words in (
            ("invariances", metric.invariances, get_args(Invariance)),
            ("wants", getattr(metric.over(), "wants", ()), WANTS),
        ):
            held = isinstance(several, tuple) and all(one in words for one in several)
            want(held, about, f"a tuple of some of {', '.join(words)} as {name}", repr(several), where)
        aliases = metric.aliases
        held = isinstance(aliases, tuple) and all(isinstance(alias, str) and alias.strip() for alias in aliases)
        want(held, about, "a tuple of names as aliases", repr(aliases), where)
        for name in ("keeps", "on_request", "counts"):
            flag = getattr(metric, name)
            want(isinstance(flag, bool), about, f"True or False as {name}", repr(flag), where)
