"""The hooks: nouns without arguments, each asked once when a command starts."""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aniso_core.contracts import Adapter, Executor, Hypothesis, Metric, PromptSet, Reporter

PROJECT = "aniso"
"""The entry-point group and the name that markers carry."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin's module as the hook that it is named after."""


@hookspec
def aniso_adapters() -> "Iterable[Adapter]":  # type: ignore[empty-body]
    """Return the families of models that this plugin opens.

    Asked once when a command starts, so it must not import torch. Example: `return [Adapter("pythia", ...)]`.
    """


@hookspec
def aniso_metrics() -> "Iterable[Metric]":  # type: ignore[empty-body]
    """Return the metrics that this plugin measures.

    Asked once when a command starts. Example: `return [Metric("isoscore", isoscore, unit="1")]`.
    """


@hookspec
def aniso_hypotheses() -> "Iterable[Hypothesis]":  # type: ignore[empty-body]
    """Return the claims that this plugin tests.

    Asked once when a command starts. Example: `return [Hypothesis("bell-curve", claim, test)]`.
    """


@hookspec
def aniso_reporters() -> "Iterable[Reporter]":  # type: ignore[empty-body]
    """Return the reporters that draw or write results.

    Asked once when a command starts, so it must not import matplotlib. Example: `return [Reporter("csv", ...)]`.
    """


@hookspec
def aniso_prompts() -> "Iterable[PromptSet]":  # type: ignore[empty-body]
    """Return the prompt sets that this plugin ships.

    Asked once when a command starts; documents are read when a set is used. Example: `return [PromptSet(...)]`.
    """


@hookspec
def aniso_executors() -> "Iterable[Executor]":  # type: ignore[empty-body]
    """Return the ways of having shards measured by other processes.

    Asked once when a command starts; workers begin when one is used. Example: `return [Executor("ray", ...)]`.
    """
