"""aniso: anisotropy profiles of transformer hidden states, and tests of claims about them.

Measure a model in memory with `profile`, read a run back with `load`, write a plugin with the contracts below.
"""

from aniso_core.api import load, profile
from aniso_core.contracts import (
    Adapter,
    Executor,
    Hypothesis,
    Metric,
    ModelRequest,
    Preset,
    Probe,
    PromptSet,
    Reporter,
    Statistic,
    later,
)
from aniso_core.errors import AnisoError, OutOfRangeError, UndefinedMetricError
from aniso_core.hookspecs import hookimpl
from aniso_core.moments import Moments
from aniso_core.records import Curve, Profile, Report, ReportFile, Site, Verdict
from aniso_core.running import RunningMoments
from aniso_core.tokens import Document, Tokens

__all__ = [
    "Adapter",
    "AnisoError",
    "Curve",
    "Document",
    "Executor",
    "Hypothesis",
    "Metric",
    "ModelRequest",
    "Moments",
    "OutOfRangeError",
    "Preset",
    "Probe",
    "Profile",
    "PromptSet",
    "Report",
    "ReportFile",
    "Reporter",
    "RunningMoments",
    "Site",
    "Statistic",
    "Tokens",
    "UndefinedMetricError",
    "Verdict",
    "hookimpl",
    "later",
    "load",
    "profile",
]
