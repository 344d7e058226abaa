"""The reporter `markdown`: a page with facts, tables, figures and verdicts, foreign text made harmless."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from aniso_core.records import Profile, Report, ReportFile, Verdict
from aniso_core.text import short
from aniso_core.words import outcome, paragraphs, reasons
from aniso_report import layers, words
from aniso_report.names import labels, stems

_HOW_TO_READ = (
    "The share of the first direction is the largest eigenvalue of the states' covariance over the sum of all: 1/d "
    "when the states spread evenly, 1 when they lie on a line. "
    "L\\* is the layer where it is largest. "
    "Believe a peak only if it is there for *bulk* as well, since one massive token per document can make it alone. "
    "The last state of the view *paper* lies after the final norm and does not continue the curve before it. "
    "A verdict is worth what its false-positive rate is: a criterion that says supported in half of all false cases "
    "has said nothing."
)
_BEFORE = "Before you believe it"
_ESCAPED = re.compile(r"[\\`*_\[\]#|~]|^[+=-]")
_ENTITIES = re.compile(r"[&<>$@\"']|:(?=//)|(?<=www)\.")
"""What begins HTML, formulas, mentions and bare links; a backslash does not hold these everywhere."""


def render(report: Report) -> Iterator[ReportFile]:
    """Yield report.md; figures are linked where the report's files hold them."""
    names = {file.name for file in report.files}
    profiles, named = report.profiles, labels(report.profiles)
    several = len(profiles) > 1
    cautions = words.cautions(profiles, named)
    parts = [f"# {_title(profiles)}"]
    if several:
        parts += _picture("comparison of the models", "comparison", names)
        shared = ((words.whom(models, len(profiles)), said) for models, said in cautions.items() if len(models) > 1)
        parts += _listed(_BEFORE, (f"{whom}: {' '.join(said)}" for whom, said in shared))
    for profile, label, stem in zip(profiles, named, stems(profiles), strict=True):
        parts += _profile(profile, label if several else "", cautions.get((label,), ()))
        start = f"{stem}-" if several else ""
        for kind in ("profile", "spectra", "norms"):
            parts += _picture(kind, f"{start}{kind}", names)
    parts += _verdicts(report.verdicts)
    parts += _listed("Failed", words.failures(report, named))
    parts += ["## How to read this", _HOW_TO_READ]
    if report.made:
        parts.append(f"Made {escaped(report.made)} with aniso.")
    yield ReportFile("report.md", ("\n\n".join(parts) + "\n").encode())


def escaped(text: object) -> str:
    """Return foreign text so that Markdown and HTML show it as it is, on one line."""
    held = _ENTITIES.sub(lambda found: f"&{ord(found[0])};", short(text, 600))
    return _ESCAPED.sub(r"\\\g<0>", held).replace("&", "&#")


def _picture(said: str, stem: str, names: Container[str]) -> Iterator[str]:
    """Yield a link to a figure in the first format that browsers show, none where there is no such file."""
    drawn = [f"{stem}.{kind}" for kind in ("png", "svg") if f"{stem}.{kind}" in names]
    yield from [f"![{said}]({name})" for name in drawn[:1]]


def _title(profiles: Sequence[Profile]) -> str:
    if len(profiles) == 1:
        return f"Anisotropy profile of {escaped(labels(profiles)[0])}"
    return f"Anisotropy profiles of {len(profiles)} models"


def _profile(profile: Profile, heading: str, cautions: Iterable[str]) -> Iterator[str]:
    if heading:
        yield f"## Model {escaped(heading)}"
    facts = [("model", short(profile.model.name, 200)), *words.facts(profile), *words.provenance(profile)]
    yield _table(["", ""], [[name, value] for name, value in facts])
    yield from _listed(_BEFORE, cautions)
    peaks = [[view, where] for view, where in words.peaks(profile, layers.SHARES)]
    if peaks:
        yield _table(["view", "L*"], peaks)
    columns = layers.columns(profile)
    if columns:
        headings = ["layer", *(f"{column.top} {column.below}".strip() for column in columns)]
        cells = [[str(layer), *(c.cells[layer].strip() for c in columns)] for layer in range(profile.model.layers + 1)]
        yield _table(headings, cells, "--:")


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[str]:
    lines = []
    for heading, verdict in paragraphs(verdicts):
        reason = " ".join(escaped(part) for part in reasons(verdict) if part)
        lines.append(f"* {escaped(heading)}: **{escaped(outcome(verdict))}**. {reason}")
    if lines:
        yield "## Verdicts"
        yield "\n".join(lines)


def _listed(heading: str, sentences: Iterable[str]) -> Iterator[str]:
    lines = [f"* {escaped(sentence)}" for sentence in sentences]
    if lines:
        yield f"**{heading}**"
        yield "\n".join(lines)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---") -> str:
    lines = [headings, [align] * len(headings), *rows]
    shown = [[cell if cell == align else escaped(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)
