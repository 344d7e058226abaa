"""Signs: how many coordinates of the states are positive, as a stranger measures, tests, shows and feeds it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from aniso_core import (
    Document,
    Hypothesis,
    Metric,
    Profile,
    PromptSet,
    Report,
    Reporter,
    ReportFile,
    Tokens,
    UndefinedMetricError,
    Verdict,
    hookimpl,
)

if TYPE_CHECKING:
    import numpy as np


class Counts:
    """Coordinates that are positive, and all coordinates, of each document."""

    def __init__(self, positive: Mapping[int, int], seen: Mapping[int, int]) -> None:
        """Keep the counts."""
        self.positive, self.seen = positive, seen

    def without_each(self) -> "dict[int, Counts]":
        """Return the counts without each document."""
        return {
            document: Counts(_without(self.positive, document), _without(self.seen, document)) for document in self.seen
        }


class Signs:
    """The statistic behind the share of positive coordinates."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._positive: Counter[int] = Counter()
        self._seen: Counter[int] = Counter()

    def update(self, tokens: Tokens) -> None:
        """Take in tokens."""
        positive = (tokens.states > 0).sum(dim=1).tolist()
        for document, number in zip(tokens.document.tolist(), positive, strict=True):
            self._positive[document] += number
            self._seen[document] += tokens.states.shape[1]

    def merge(self, other: Self) -> Self:
        """Return the counts of both parts."""
        both = type(self)()
        for part in (self, other):
            both._positive.update(part._positive)
            both._seen.update(part._seen)
        return both

    def result(self) -> Counts:
        """Return the counts so far."""
        return Counts(dict(self._positive), dict(self._seen))


def _without(counts: Mapping[int, int], document: int) -> dict[int, int]:
    return {other: number for other, number in counts.items() if other != document}


def positive_share(counts: Counts) -> float:
    """Return the share of coordinates that are positive, 0 to 1."""
    seen = sum(counts.seen.values())
    if not seen:
        message = "no coordinate was seen"
        raise UndefinedMetricError(message)
    return sum(counts.positive.values()) / seen


@hookimpl
def aniso_metrics() -> list[Metric]:
    """Return the share of positive coordinates."""
    return [
        Metric(
            "positive-share",
            positive_share,
            over=Signs,
            unit="share",
            summary="share of coordinates that are positive",
            low=0.0,
            high=1.0,
            direction="neither",
            invariances=("scale",),
            source="a stranger",
            aliases=("plus-share",),
        )
    ]


def signs_even(profiles: Sequence[Profile], _rng: "np.random.Generator") -> Iterator[Verdict]:
    """Test over documents whether half of the coordinates are positive at the last layer."""
    from aniso_core.inference import interval
    from aniso_core.rigorous import not_testable, sample

    for profile in profiles:
        name = profile.model.name
        found = sample(profile, "positive-share", "residual", "bulk")
        if isinstance(found, str):
            yield not_testable("signs-even", name, found, "residual", "bulk")
            continue
        bounds = interval(found.pv[:, -1:], level=0.9)
        low, high = float(bounds.low[0]), float(bounds.high[0])
        yield Verdict(
            "signs-even",
            "rigorous",
            name,
            "supported" if low > 0.45 and high < 0.55 else "refuted" if low > 0.55 or high < 0.45 else "inconclusive",
            f"between {low:.3f} and {high:.3f} of the coordinates are positive at layer {found.layers[-1]} (90 %)",
            estimate=float(bounds.estimate[0]),
            low=low,
            high=high,
            stream="residual",
            tokens="bulk",
            false_positive_rate=0.05,
            false_positive_null="a share at either end of 0.45 to 0.55",
            details=found.details(),
        )


@hookimpl
def aniso_hypotheses() -> list[Hypothesis]:
    """Return the claim that signs are even."""
    return [
        Hypothesis("signs-even", "half of the coordinates are positive at the end", signs_even, source="a stranger")
    ]


def render(report: Report) -> list[ReportFile]:
    """Return the share at each layer of each model, and the claims about it."""
    lines = []
    for profile in report.profiles:
        curve = profile.find("positive-share", "residual", "all")
        values = () if curve is None else curve.values
        shares = ["-" if value is None else f"{value:.3f}" for value in values]
        lines.append(" ".join([profile.model.name, *shares]))
    lines += [
        f"{verdict.subject}: {verdict.outcome}" for verdict in report.verdicts if verdict.hypothesis == "signs-even"
    ]
    return [ReportFile("signs.txt", "\n".join([*lines, ""]).encode(), show=True)]


@hookimpl
def aniso_reporters() -> list[Reporter]:
    """Return the reporter of signs."""
    return [Reporter("signs", "the share of positive coordinates, layer by layer", render, order=3)]


_WEATHER = ("A red sky in the evening.", "Rain before seven, fine by eleven.", "The swallows fly low.", "Fog in March.")


@hookimpl
def aniso_prompts() -> list[PromptSet]:
    """Return sentences on the weather."""
    return [
        PromptSet(
            "weather-signs",
            "sentences on the weather",
            "written by a stranger",
            "public domain",
            lambda: [Document(f"sign-{number}", text) for number, text in enumerate(_WEATHER)],
        )
    ]
