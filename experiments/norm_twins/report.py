"""Writes docs/experiments/norm-twins.md and its figures from the stored profiles, by page.md.in.

Run as `python -m norm_twins.report`. With --check nothing is written, and the exit code is 1 where the page's text
differs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from aniso_core import engine, store
from aniso_core.errors import AnisoError
from aniso_core.inference import Bounds
from aniso_core.plugins import registry
from aniso_core.records import PAPER, Verdict
from aniso_core.rigorous import SHARE
from aniso_gaugeflat import SESOI
from aniso_twins.norms import NORMS
from aniso_twins.training import MATCHED
from norm_twins import design
from norm_twins.design import HERE
from norm_twins.evidence import (
    PLACES,
    Evidence,
    Pair,
    Place,
    apart,
    highest,
    judged,
    planted,
    planted_ratio,
    power,
    read,
    spread,
)
from norm_twins.figures import draw

PAGES = HERE.parents[1] / "docs" / "experiments"
_PAGE = "norm-twins.md"
_NORMS = ("layernorm", "rmsnorm")
_OUTCOMES = ("supported", "refuted", "inconclusive")
_PLACE = ("residual", "bulk")
_ALPHA = 0.05
_PROMPT = 11  # tokens in a prompt of paper3, about: 16 of them have 172


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its figures, or say whether the page is what the profiles make of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; the exit code says whether the page holds")
    given = parser.parse_args(arguments)
    try:
        found = read(design.read())
        text = page(found)
        if given.check:
            return _check(text)
        PAGES.mkdir(exist_ok=True)
        store.write_file(PAGES / _PAGE, text.encode())
        for file in draw(found):
            store.write_file(PAGES / file.name, file.data)
    except AnisoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _check(text: str) -> int:
    """Return 0 where the page is this text; else say where it differs first, and return 1."""
    old = (PAGES / _PAGE).read_text(encoding="utf-8") if (PAGES / _PAGE).exists() else ""
    lines = zip_longest(old.splitlines(), text.splitlines(), fillvalue="nothing")
    for number, (stands, made) in enumerate(lines, start=1):
        if stands != made:
            sys.stderr.write(f"{PAGES / _PAGE}:{number} has {stands!r}, and the profiles make {made!r}.\n")
            return 1
    return 0


def page(found: Evidence) -> str:
    """Return the page in Markdown."""
    environment = Environment(  # noqa: S701 - Markdown of our own
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string((HERE / "page.md.in").read_text(encoding="utf-8"))
    return template.render(dict(_content(found)))


def _content(found: Evidence) -> Iterator[tuple[str, Any]]:
    """Yield what the page names."""
    yield "trainings", _trainings(found)
    yield "bells", _bells(found)
    yield from _flatness(found)
    yield from _after_embeddings(found)
    yield "ladder", _ladder(found)
    yield "deeper", _deeper(found)
    yield "sinks", _sinks(found)
    yield from _over_training(found)
    yield from _published()
    yield from _facts(found)


def _facts(found: Evidence) -> Iterator[tuple[str, Any]]:
    """Yield what the page says of the design and of what became of it."""
    pairs, deeper, trainings = found.arm("pairs"), found.arm("deeper"), found.trainings.values()
    parameters = [training.parameters / 1e6 for training in trainings]
    seconds = [training.seconds for training in trainings]
    prompts = next(iter(found.profiles.values())).prompts
    yield "size", f"{pairs.blocks} blocks of width {pairs.width}"
    yield "deeper_size", f"{deeper.blocks} blocks of width {deeper.width}"
    yield "millions", " to ".join(dict.fromkeys(f"{number:.1f}" for number in (min(parameters), max(parameters))))
    yield "last_layer", pairs.blocks
    yield "heads", pairs.heads
    yield "seeds", len(pairs.seeds)
    yield "recipe", found.designed.recipe
    yield "matters", SESOI
    alphas = {"alone": _ALPHA, "joint": _ALPHA / len(PLACES)}
    yield (
        "power",
        {said: {size: power(len(pairs.seeds), size, alpha) for size in (1.0, 1.5)} for said, alpha in alphas.items()},
    )
    yield "hours", sum(seconds) / 3600
    yield "tokens", f"{prompts.tokens:,}" if prompts else ""
    yield "first", prompts.windows / prompts.tokens if prompts else np.nan
    yield "diverged", found.diverged


def _trainings(found: Evidence) -> str:
    rows = []
    for arm in found.designed.arm:
        for norm in arm.norms:
            names = [plan.name for plan in found.designed.plans(arm) if plan.norm == norm]
            done = [training for name, training in found.trainings.items() if name in set(names) - set(found.diverged)]
            if not done:
                continue
            losses = [training.curve[-1].held_out for training in done]
            matched = [training.matched_at for training in done if training.matched_at is not None]
            rows.append(
                (
                    f"{arm.blocks} x {arm.width}",
                    norm,
                    f"{len(done)}",
                    f"{done[0].parameters / 1e6:.2f}",
                    f"{np.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})",
                    f"{min(matched)} to {max(matched)}" if matched else "never",
                    f"{np.median([training.seconds for training in done]) / 60:.1f}",
                )
            )
    sizes = ("blocks x width", "norm", "seeds", "million parameters")
    return _table((*sizes, "held-out loss at the end", "step of the same loss", "minutes"), rows)


def _bells(found: Evidence) -> str:
    """Return for how many twins of either norm the claim is supported or refuted, and how far their peaks stand out."""
    verdicts = judged("bell-curve", "h1", found, found.designed.last)
    rows = []
    for stream, tokens in PLACES:
        here = [verdict for verdict in verdicts if (verdict.stream, verdict.tokens) == (stream, tokens)]
        for norm in _NORMS:
            own = [verdict for verdict in here if f"-{norm}@" in verdict.subject]
            counts = [sum(v.outcome == outcome for v in own) for outcome in _OUTCOMES]
            stands = [verdict.estimate for verdict in own if verdict.estimate is not None]
            over = f"{np.mean(stands):.3f} ({min(stands):.3f} to {max(stands):.3f})"
            rows.append((stream, tokens, norm, *map(str, counts), over))
    return _table(("stream", "tokens", "norm", *_OUTCOMES, "prominence of the peak"), rows)


def _flatness(found: Evidence) -> Iterator[tuple[str, Any]]:
    """Yield the verdicts on the norm as a table, the first of them, and what bounds all of them."""
    rows, claimed, farthest, apart_by = [], [], [], []
    for where, said in ((found.designed.last, "last step"), (MATCHED, "same loss")):
        pairs = found.pairs(["pairs"], "rmsnorm", where)
        for verdict in judged("gauge-flatness", "h2", found, where):
            place = (verdict.stream, verdict.tokens)
            levels = np.mean([pair.flatness(place)[::-1] for pair in pairs], axis=0)
            bounds = _bounds(verdict)
            p = "" if verdict.p_adjusted is None else f"{verdict.p_adjusted:.3f}"
            outcome = f"{verdict.outcome}{f' ({verdict.label})' * bool(verdict.label)}"
            rows.append((said, *place, *(f"{level:.4f}" for level in levels), _spanned(bounds), p, outcome))
            claimed.append({"level": levels[0], "said": _spanned(bounds)})
            farthest.append(max(abs(bounds.low), abs(bounds.high)) / levels[0])
            apart_by.append(np.std([pair.difference(place) for pair in pairs], ddof=1))
    measured = ("LayerNorm", "RMSNorm", "difference (95 %)", "p of the verdict (Holm)")
    heads = ("compared at", "stream", "tokens", *measured, "verdict")
    yield "flatness", _table(heads, rows)
    yield "claimed", claimed[0]
    yield "farthest", max(farthest)
    yield "deviation", max(apart_by)


def _after_embeddings(found: Evidence) -> Iterator[tuple[str, Any]]:
    """Yield how the profiles of twins vary over the layers after the embeddings, as a table, and what bounds it."""
    rows, reach = [], []
    for where, said in ((found.designed.last, "last step"), (MATCHED, "same loss")):
        pairs = found.pairs(["pairs"], "rmsnorm", where)
        for place in PLACES:
            both = [pair.flatness(place, first=1) for pair in pairs]
            levels, bounds = np.mean(both, axis=0)[::-1], apart(both)
            rows.append((said, *place, *(f"{level:.4f}" for level in levels), _spanned(bounds)))
            reach += [bounds.low / levels[0], bounds.high / levels[0]]
    heads = ("compared at", "stream", "tokens", "LayerNorm", "RMSNorm", "difference (95 %)")
    yield "later", {"table": _table(heads, rows), "low": min(reach), "high": max(reach)}


def _bounds(verdict: Verdict) -> Bounds:
    estimate, low, high = (np.nan if n is None else n for n in (verdict.estimate, verdict.low, verdict.high))
    return Bounds(estimate, low, high)


def _ladder(found: Evidence) -> str:
    """Return the differences from LayerNorm for each norm of the ladder, at the seeds of the ladder."""
    rows = []
    for norm in (norm for norm in NORMS if norm != "layernorm"):
        seeds = found.arm("ladder").seeds
        pairs = [p for p in found.pairs(["pairs", "ladder"], norm, found.designed.last) if p.seed in seeds]
        rows.append((norm, *(_each(pairs, place) for place in PLACES)))
    return _table(("norm", *(f"{stream}, {tokens}" for stream, tokens in PLACES)), rows)


def _deeper(found: Evidence) -> str:
    rows = []
    for where, said in ((found.designed.last, "last step"), (MATCHED, "same loss")):
        if pairs := found.pairs(["deeper"], "rmsnorm", where):
            rows.append((said, *(_each(pairs, place) for place in PLACES)))
    return "" if not rows else _table(("compared at", *(f"{stream}, {tokens}" for stream, tokens in PLACES)), rows)


def _each(pairs: Sequence[Pair], place: Place) -> str:
    return ", ".join(f"{pair.difference(place):+.4f}" for pair in pairs)


def _over_training(found: Evidence) -> Iterator[tuple[str, Any]]:
    """Yield how the profiles of twins vary at each step, as a table, and what the page says of some steps."""
    rows, levels, differences, sinks, below = [], {}, {}, {}, {}
    for step in found.designed.plans(found.arm("pairs"))[0].recipe.grid():
        pairs = found.pairs(["pairs"], "rmsnorm", f"step{step}")
        both = [(spread(pair.other, _PLACE), spread(pair.layernorm, _PLACE)) for pair in pairs]
        levels[step] = float(np.mean([layernorm for _, layernorm in both]))
        differences[step] = apart(both)
        sinks[step] = float(np.mean([highest(pair.layernorm, "sink-ratio") for pair in pairs]))
        below[step] = sum(one < other for one, other in both)
        rows.append((f"{step}", f"{levels[step]:.4f}", _spanned(differences[step])))
    yield "steps", _table(("step", "LayerNorm", "RMSNorm less LayerNorm (95 %)"), rows)
    step = max(levels, key=lambda step: levels[step])
    yield "uneven", {"step": step, "level": levels[step]}
    yield "untrained", {"difference": differences[0].estimate, "level": levels[0], "pairs": below[0]}
    least = min(sinks, key=lambda step: sinks[step])
    last = sinks[found.designed.recipe["steps"]]
    yield "sink", {"untrained": sinks[0], "least": sinks[least], "step": least, "last": last}


def _sinks(found: Evidence) -> str:
    """Return how much first and massive tokens stand out after the last step."""
    pairs = found.pairs(["pairs"], "rmsnorm", found.designed.last)
    rows = []
    for metric in ("first-token-share", "sink-ratio", "massive-ratio", "norm-cv", "participation-ratio-unbiased"):
        both = [(highest(pair.other, metric), highest(pair.layernorm, metric)) for pair in pairs]
        levels = [f"{np.mean([pair[number] for pair in both]):.3g}" for number in (1, 0)]
        rows.append((f"`{metric}`", *levels, _spanned(apart(both), ".3g")))
    return _table(("largest over layers", "LayerNorm", "RMSNorm", "difference (95 %)"), rows)


def _published() -> Iterator[tuple[str, Any]]:
    """Yield the ranges of the published profiles, and what one massive token in each prompt would make of them."""
    profiles = [p for adapter in ("pythia", "gemma") for p in registry().adapter(adapter).published().values()]
    rows = []
    for profile in profiles:
        share = profile.curve(SHARE, PAPER, "all").array()
        found = [number for values in (share, share[:-1]) for number in (np.ptp(values), values.max() - values[-1])]
        rows.append((profile.model.name, *(f"{number:.3f}" for number in found)))
    heads = ("model", "range of the share", "fall after the peak", "range without the last state", "fall without it")
    yield "published", _table(heads, rows)
    verdicts = engine.judge([registry().hypothesis("gauge-flatness")], profiles).verdicts
    yield "paper", next(v for v in verdicts if v.criterion == "paper" and v.outcome == "supported")
    yield "prompt", _PROMPT
    yield "planted", {ratio: planted(ratio, _PROMPT) for ratio in (5, 10, 20)}
    (cv,) = (curve.array().max() for p in profiles for curve in p.curves if curve.metric == "norm-cv")
    ratio = planted_ratio(cv, _PROMPT)
    yield "lengths", {"cv": cv, "ratio": ratio, "share": planted(ratio, _PROMPT)}


def _spanned(found: Bounds, form: str = ".4f") -> str:
    span = f" ({found.low:+{form}} to {found.high:+{form}})" if np.isfinite(found.low) else ""
    return f"{found.estimate:+{form}}{span}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
