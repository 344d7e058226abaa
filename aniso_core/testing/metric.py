"""Checks a metric and its statistic on seeded states."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from aniso_core.answers import evaluate
from aniso_core.contracts import Invariance, Metric, Statistic
from aniso_core.records import Array
from aniso_core.running import RunningMoments
from aniso_core.testing.clouds import ORDINARY, Cloud, degenerate, shapes
from aniso_core.testing.record import complete
from aniso_core.testing.rules import Checked, seedless, silent, want, wanting
from aniso_core.testing.subject import Subject, results, shown, staying

_SAME = 1e-12
"""Relative distance of a number to itself: where an array begins in memory may change its last bits."""

_OFF = 0.1
"""Share of its effect that a value without a unit may be off: approximations are welcome, mistakes are not."""

_TIMED = (1024, 256)
"""Tokens and width of the block that is timed."""


def check_metric(metric: Metric, *, tolerance: float = 1e-5) -> Checked:
    """Return what was checked of a metric; raises AssertionError, one sentence, for the first rule that it breaks.

    Its value does not depend on the order of tokens, nor on how they are cut and merged; merged parts stay as they
    were; declared invariances and bounds hold; degenerate states give a number or a reason; `without_each` is right.
    What `update` costs a token is measured. `tolerance` is how far, relative to its values on ordinary states, a value
    may move where it should stay: states come in float32, and their sums round by how they are cut.
    """
    subject = Subject(metric, tolerance)
    with silent(subject.about), seedless(subject.about):
        for rule in _RULES.values():
            rule(subject)
        cost = _seconds_per_token(subject)
    return Checked("metric", metric.name, tuple(_RULES), cost)


def _value(given: Subject) -> None:
    # A metric that is undefined everywhere would pass every other rule.
    known = any(value is not None for _, value in given.ordinary)
    want(known, given.about, "a value on ordinary states", "none", "; ".join(map(str, ORDINARY)))


def _again(given: Subject) -> None:
    for cloud, wanted in given.ordinary:
        given.stays(wanted, given.value(cloud), f"{cloud}, measured a second time", _SAME)
        parts = given.fed(cloud, cloud.everything)
        for _ in range(2):
            given.stays(wanted, given.answer(cloud, *parts), f"{cloud}, a statistic asked a second time", _SAME)
        if wanted is None:
            continue
        # Metrics over the same statistic share its result, so that one that writes into it spoils the others.
        held = results(*parts)
        where = f"{cloud}, a result asked about a second time"
        for _ in range(2):
            with wanting(given.about, staying(wanted), where):
                given.stays(wanted, given.asked(*held), where, _SAME)


def _order(given: Subject) -> None:
    for cloud, wanted in given.ordinary:
        places = cloud.shuffled(given.wants)
        what = "windows" if "windows" in given.wants else "tokens"
        given.stays(wanted, given.value(cloud, places), f"{cloud}, {what} in another order")


def _merge(given: Subject) -> None:
    for cloud in ORDINARY:
        blocks = cloud.pieces(2, given.wants)
        parts = [given.fed(cloud, places) for places in blocks]
        before = [given.answer(cloud, *part) for part in parts]
        both = given.merged(cloud, *parts)
        merged = given.answer(cloud, *both)
        for took_in in ("", ", into which more was taken in"):
            for name, part, was in zip(("left", "right"), parts, before, strict=True):
                given.stays(was, given.answer(cloud, *part), f"{cloud}, the {name} half after a merge{took_in}", _SAME)
            both[0].update(given.tokens(cloud, blocks[0]))
        both = given.merged(cloud, *parts)
        for name, part in zip(("left", "right"), parts, strict=True):
            part[0].update(given.tokens(cloud, blocks[0]))
            got = given.answer(cloud, *both)
            given.stays(merged, got, f"{cloud}, halves merged before the {name} one took in more", _SAME)


def _cuts(given: Subject) -> None:
    for cloud, wanted in given.ordinary:
        for count in (2, 7):
            blocks = cloud.pieces(count, given.wants)
            parts = [given.fed(cloud, places) for places in blocks]
            halves = [given.merged(cloud, *half) for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :])]
            ways = {
                "taken in one after the other": given.fed(cloud, *blocks),
                "merged": given.merged(cloud, *parts),
                "merged from the last to the first": given.merged(cloud, *parts[::-1]),
                "merged by halves": given.merged(cloud, *halves),
            }
            for way, found in ways.items():
                given.stays(wanted, given.answer(cloud, *found), f"{cloud} in {len(blocks)} pieces, {way}")
        given.stays(wanted, given.answer(cloud, *given.by_class(cloud)), f"{cloud}, the classes apart and merged")


def _bottom(given: Subject) -> None:
    if "before" not in given.wants:
        return
    for cloud in ORDINARY:
        lowest = replace(cloud, name=f"{cloud.name}, at the first layer", bottom=True)
        value = given.value(lowest, *lowest.pieces(2, given.wants))
        want(value is None, given.about, "an UndefinedMetricError, as nothing is before", shown(value), str(lowest))


def _inputs(given: Subject) -> None:
    for cloud in ORDINARY:
        tokens = given.tokens(cloud, cloud.everything)
        before = tokens.copied()
        with wanting(given.about, "a statistic that takes in tokens", str(cloud)):
            given.metric.over().update(tokens)
        same = all(torch.equal(was, tokens.tensors[name]) for name, was in before.tensors.items())
        want(same, given.about, "the tokens left as they were", "others", f"{cloud}, update")


def _invariances(given: Subject) -> None:
    for cloud in ORDINARY:
        exact = cloud.changed(lambda states: states.astype(np.float64))
        wanted = given.value(exact)
        changes = changes_of(cloud.states.shape[1])
        for name in given.metric.invariances:
            for how, change in changes[name].items():
                where = f"{cloud}, {how}; the metric declares invariance to {name}"
                given.stays(wanted, given.value(exact.changed(change)), where)


def changes_of(width: int) -> dict[Invariance, dict[str, Callable[[Array], Array]]]:
    """Return what each invariance is held against: by words for it, what makes other states of float64[n, width]."""
    rng = np.random.default_rng(2)
    turn, _ = np.linalg.qr(rng.standard_normal((width, width)))
    move = 2.0 * rng.standard_normal(width)
    return {
        "rotation": {"rotated": lambda states: states @ turn},
        # Far apart, for what adds a number to states that are of no unit, as an eps, shows on one side alone.
        "scale": {"divided by 1024": lambda states: states / 1024, "multiplied by 1024": lambda states: states * 1024},
        "shift": {"shifted": lambda states: states + move},
    }


def _bounds(given: Subject) -> None:
    low, high, counts = given.metric.low, given.metric.high, given.metric.counts
    for cloud in (*ORDINARY, *shapes(), *degenerate()):
        value = given.value(cloud)
        if value is None:
            continue
        for bound, words, side, extreme in ((low, "at least", -1, np.min(value)), (high, "at most", 1, np.max(value))):
            if bound is not None:
                inside = side * (extreme - bound) <= given.tolerance * max(1.0, abs(bound))
                want(inside, given.about, f"{words} {bound:g} as declared", shown(float(extreme)), str(cloud))
        whole = not counts or np.equal(value, np.round(value)).all()
        want(whole, given.about, "a whole number, as it counts", shown(value), str(cloud))


def _degenerate(given: Subject) -> None:
    for cloud in degenerate():
        given.value(cloud)


def _without(given: Subject) -> None:
    cloud, metric = ORDINARY[0], given.metric
    # Moments approximate (docs/adr/0012), and a contrast has results of its own to leave out.
    if metric.over is RunningMoments or metric.contrast or metric.keeps or metric.counts:
        return
    wanted = given.number(cloud)
    if wanted is None:
        return
    statistic = given.fed(cloud, cloud.everything)[0]
    if not hasattr(statistic.result(), "without_each"):
        return
    true = _truths(given, 1)
    _without_units(given, statistic, true, "two documents to a unit of Tokens.runs")
    if hasattr(statistic, "regrouped"):
        with wanting(given.about, "a statistic that joins units", f"{cloud}, regrouped"):
            joined = statistic.regrouped(2)
        _without_units(given, joined, _truths(given, 2), "regrouped(2)")
        _without_units(given, statistic, true, "after regrouped")


def _truths(given: Subject, size: int) -> dict[int, float | None]:
    """Return the number of the tokens outside each unit, every `size` units of the cloud taken for one."""
    cloud = ORDINARY[0]
    return {
        unit: given.number(cloud, [at for at in cloud.everything if cloud.unit[at] // size != unit])
        for unit in sorted({unit // size for unit in cloud.unit})
    }


def _without_units(given: Subject, statistic: Statistic, truths: Mapping[int, float | None], how: str) -> None:
    """Compare a statistic's results without each unit with the numbers of the other units' tokens."""
    cloud, metric = ORDINARY[0], given.metric
    wanted, result = given.number(cloud) or 0.0, statistic.result()
    with wanting(given.about, "results without each unit that it takes", f"{cloud}, without_each"):
        left = {unit: evaluate(metric, without) for unit, without in result.without_each().items()}
        given.stays(wanted, given.asked(result), f"{cloud}, the whole after without_each", _SAME)
    units = list(truths)
    want(sorted(left) == units, given.about, f"results without units {units}", sorted(left), f"{cloud}, {how}")
    for unit, true in truths.items():
        if true is not None:
            near = abs(left[unit] - true) <= _OFF * abs(true - wanted) + given.tolerance * given.usual
            where = f"{cloud}, {how}, without_each at unit {unit}"
            want(near, given.about, f"{shown(true)} as of the other units", shown(left[unit]), where)


def _seconds_per_token(given: Subject) -> float:
    rng = np.random.default_rng(5)
    cloud = Cloud("ordinary", rng.standard_normal(_TIMED).astype(np.float32), documents=8)
    found = []
    for _ in range(3):
        tokens, statistic = given.tokens(cloud, cloud.everything), given.metric.over()
        begun = time.perf_counter()
        statistic.update(tokens)
        found.append(time.perf_counter() - begun)
    return min(found) / len(tokens)


_RULES: dict[str, Callable[[Subject], None]] = {
    "its record is complete": complete,
    "it has a value on ordinary states": _value,
    "it has the same value twice": _again,
    "it does not depend on the order of tokens": _order,
    "a merge leaves both parts as they were": _merge,
    "it does not depend on how tokens are cut and merged": _cuts,
    "what wants the layer before says why the first layer has no value": _bottom,
    "it writes into nothing that it is given": _inputs,
    "the invariances that it declares hold": _invariances,
    "degenerate states give a number or a reason": _degenerate,
    "the bounds that it declares hold, and counts are whole": _bounds,
    "values without a unit of documents are right": _without,
}
