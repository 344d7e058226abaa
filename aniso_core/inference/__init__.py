"""Tests of claims about profiles, with documents as the sample: pure functions of pseudo-values and a generator.

Pseudo-values are float64[documents, states], states in order of depth (docs/adr/0011). Nothing here raises where data
are too few: the result's outcome is "not_testable", its reason says why, and its numbers are NaN. Importing this loads
numpy and scipy, so a plugin names the function that uses it with `later`.
"""

from aniso_core.inference.agreement import Agreement, agreement
from aniso_core.inference.exact import ExactTest, exact_permutation, sign_flip, sign_flip_interval
from aniso_core.inference.flatness import Flatness, FlatnessDifference, flatness, flatness_difference
from aniso_core.inference.flips import MaxT, max_t
from aniso_core.inference.matrix import Bounds, DepthBins, Interval, depth_bins, interval
from aniso_core.inference.mean import MeanTest, mean_test
from aniso_core.inference.peak import PeakLayers, PeakTest, peak_layers, peak_test, range_interval, valley_bounds
from aniso_core.inference.phases import PhaseTest, phase_test
from aniso_core.inference.several import benjamini_hochberg, holm

__all__ = [
    "Agreement",
    "Bounds",
    "DepthBins",
    "ExactTest",
    "Flatness",
    "FlatnessDifference",
    "Interval",
    "MaxT",
    "MeanTest",
    "PeakLayers",
    "PeakTest",
    "PhaseTest",
    "agreement",
    "benjamini_hochberg",
    "depth_bins",
    "exact_permutation",
    "flatness",
    "flatness_difference",
    "holm",
    "interval",
    "max_t",
    "mean_test",
    "peak_layers",
    "peak_test",
    "phase_test",
    "range_interval",
    "sign_flip",
    "sign_flip_interval",
    "valley_bounds",
]
