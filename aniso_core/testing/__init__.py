"""Checks for plugin authors: the rules of each kind, as functions that take the record, on seeded data.

Each returns what held as `Checked` and raises AssertionError for the first rule that is broken, with one sentence: what
was wanted, what came and where. Whatever is checked must print nothing, leave what it is given as it was and touch no
global random generator. Nothing is fetched.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aniso_core.testing.adapter import check_adapter
from aniso_core.testing.executor import check_executor
from aniso_core.testing.hypothesis import check_hypothesis
from aniso_core.testing.metric import check_metric
from aniso_core.testing.models import tiny_model
from aniso_core.testing.profiles import example_profile
from aniso_core.testing.prompts import check_prompts
from aniso_core.testing.reporter import check_reporter
from aniso_core.testing.rules import Checked

CHECKS: Mapping[str, Callable[[Any], Checked]] = {
    "adapter": check_adapter,
    "metric": check_metric,
    "hypothesis": check_hypothesis,
    "reporter": check_reporter,
    "prompts": check_prompts,
    "executor": check_executor,
}
"""The check of each kind of thing that plugins provide."""

__all__ = [
    "CHECKS",
    "Checked",
    "check_adapter",
    "check_executor",
    "check_hypothesis",
    "check_metric",
    "check_prompts",
    "check_reporter",
    "example_profile",
    "tiny_model",
]
