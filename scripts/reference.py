"""Writes docs/reference.md: every hook and record that a plugin meets, from their docstrings and type hints."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"

HEAD = """# Plugin reference

Every hook, record and function that a plugin meets. `make reference` writes this page from the docstrings and type
hints of the code, so mend it there. [The tutorial](tutorial.md) is the place to start, and [the guide](plugins.md) says
how each kind of plugin is written."""

PARTS = {
    "Hooks": """
        A plugin's module implements some of these, each marked with `@hookimpl`.

        hookspecs.aniso_metrics hookspecs.aniso_hypotheses hookspecs.aniso_reporters hookspecs.aniso_prompts
        hookspecs.aniso_adapters hookspecs.aniso_executors hookimpl
        """,
    "Metrics": """
        Tokens go into a statistic, and a metric takes its result: `Moments` from `RunningMoments` unless it says
        otherwise.

        Metric Statistic contracts.WANTS contracts.MOST_KEPT contracts.Direction contracts.Invariance Tokens tokens.Runs
        tokens.TokenClass tokens.CLASSES tokens.OUTLIER_RATIO tokens.TOKEN_SETS RunningMoments Moments
        sampling.TokenSample UndefinedMetricError
        """,
    "Hypotheses": """
        [The run directory](format.md) holds the same profiles and verdicts.

        Hypothesis Verdict records.Outcome records.Criterion Profile Curve records.Missing records.ModelInfo
        records.NormKind records.PromptsInfo records.Provenance records.NormSummary records.Count records.Failure
        records.Spectrum records.PseudoValues records.KeptArray records.STREAMS records.PAPER contracts.in_turn
        rigorous.sample rigorous.Sample rigorous.not_testable comparing.differences comparing.Comparison
        """,
    "Reporters": """
        A reporter writes nothing; what it returns is written.

        Reporter Report records.About records.FigureStyle ReportFile
        """,
    "Prompt sets": "The document is the unit of uncertainty.\n\nPromptSet Document documents.read_documents",
    "Adapters": """
        `open_model` makes a probe of any model of transformers; a model from elsewhere needs a probe of its own.

        Adapter Preset ModelRequest weights.open_model Probe contracts.BosRule contracts.Sink Site records.Norm
        tokens.Tokenized tokens.Window batches.Batch
        """,
    "Executors": """
        What a worker is told and gives back passes through an executor unopened.

        Executor contracts.Workers executing.Job executing.Task executing.Part working.measure
        """,
    "For all": """
        These are for plugins of any kind, and for whoever measures from Python.

        later AnisoError OutOfRangeError load profile
        """,
    "Tests over documents": "inference",
    "Checks": "testing",
}
"""What is under each heading: a sentence, then names in `aniso_core`; or a package, for its docstring and exports."""

_LONGEST = 100
"""Characters of a signature on one line."""


def page() -> str:
    """Return the text of the page."""
    core = griffe.load("aniso_core", search_paths=[ROOT], allow_inspection=False)
    blocks, seen = [HEAD], Counter[str]()
    for title, part in PARTS.items():
        said, _, names = inspect.cleandoc(part).rpartition("\n\n")
        found = {path: thing for name in names.split() for path, thing in _exported(core[name], name)}
        seen[slug(title)] += 1
        links = []
        for name in map(_last, found):
            anchor = slug(name)
            links.append(f"[{name}](#{anchor}{f'-{seen[anchor]}' if seen[anchor] else ''})")
            seen[anchor] += 1
        blocks += [f"## {title}", said or _text(core[names]), " · ".join(links)]
        blocks += [block for path, thing in found.items() for block in _entry(path, thing)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def slug(heading: str) -> str:
    """Return the anchor that a forge gives to a heading, the first of its kind on a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _exported(thing: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield a thing with its path, or all that a package exports."""
    if thing.is_module:
        for name in thing.exports:
            # A module of one function has the function's name.
            yield f"{path}.{name}", thing[name][name] if thing[name].is_module else thing[name]
    else:
        yield path, thing


def _entry(path: str, thing: Any) -> Iterator[str]:
    """Yield the heading of a thing, how it is written, what it says, and its members in tables."""
    yield f"### {_last(path)}"
    if thing.is_function:
        yield _code(_broken(thing.signature(return_type=True, name=f"aniso_core.{path}")))
    elif thing.is_class:
        bases = ", ".join(map(str, thing.bases))
        yield _code(f"class aniso_core.{path}" + f"({bases})" * bool(bases))
    else:
        yield _code(f"# {f'aniso_core.{path}'.rpartition('.')[0]}\n{thing.source}")
    yield _text(thing)
    if thing.is_class:
        members = [member for name, member in thing.members.items() if not name.startswith("_")]
        fields = [member for member in members if member.is_attribute and "property" not in member.labels]
        rows = [(f"`{m.name}`", f"`{m.annotation}`", _default(m.value), _text(m)) for m in fields]
        yield _table(("field", "type", "default", "meaning"), rows)
        yield _table(("member", "meaning"), [(f"`{_signature(m)}`", _text(m)) for m in members if m not in fields])


def _signature(member: Any) -> str:
    if member.is_attribute:
        return f"{member.name}: {member.annotation}"
    return re.sub(r"\((self|cls)(, )?", "(", member.signature(return_type=True))


def _text(thing: Any) -> str:
    return thing.docstring.value if thing.docstring else ""


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _default(value: Any) -> str:
    """Return a field's default as code; nothing where it has none."""
    made = re.sub(r"^field.default_factory=(.*).$", r"\1()", str(value))
    return "" if value is None else f"`{made}`"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _broken(signature: str) -> str:
    """Return a signature, with a line for each argument where one for all is too long."""
    if len(signature) <= _LONGEST:
        return signature
    opened = re.sub(r"\((.*)\)", r"(\n    \1,\n)", signature, count=1)
    return re.sub(r", (?=\*|\w+: )", ",\n    ", opened)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table without its empty columns; nothing where there are no rows."""
    columns = [column for column in zip(head, *rows, strict=True) if any(column[1:])]
    lines = [[re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in line] for line in zip(*columns, strict=True)]
    lines[1:1] = [["---"] * len(columns)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
