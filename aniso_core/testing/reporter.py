"""Checks a reporter: its files for whole and for poor reports, the same twice, nothing written and nothing changed."""

import copy
from collections.abc import Iterator

from aniso_core import engine
from aniso_core.contracts import Reporter
from aniso_core.records import Failure, Report, ReportFile, Verdict
from aniso_core.testing.profiles import example_profile
from aniso_core.testing.remainders import published, with_gaps
from aniso_core.testing.rules import Checked, RuleError, silent, want

_MADE = "2026-01-02T03:04:05+00:00"


def check_reporter(reporter: Reporter) -> Checked:
    """Return what was checked of a reporter; raises AssertionError, one sentence, for the first rule that it breaks.

    Its files have legal names of their own and the same bytes twice, whatever gaps and missing parts a report has.
    """
    about = f"Reporter {reporter.name}"
    with silent(about):
        want(reporter.summary.strip(), about, "a summary", repr(reporter.summary), "in its record")
        for where, report in _reports():
            before = copy.deepcopy(report)
            files = _files(reporter, report, where)
            want(report == before, about, "the report left as it was", "another one", where)
        want(files == _files(reporter, report, where), about, "the same bytes for the same report", "others", where)
    rules = (
        "its record is complete",
        "its files have legal names of their own and bytes",
        "it reports whatever there is",
        "the report is left as it was",
        "the same report gives the same bytes",
    )
    return Checked("reporter", reporter.name, rules)


def _files(reporter: Reporter, report: Report, where: str) -> tuple[ReportFile, ...]:
    """Return the files that a run would keep."""
    about = f"Reporter {reporter.name}"
    made = engine.render([reporter], report)
    for failure in made.failures:
        raise RuleError(about, "files with legal, new names", failure.reason, where)
    for remark in made.remarks:
        printed = remark.reason.startswith("printed")
        want(not printed, about, "nothing on stdout and stderr", repr(remark.reason.removeprefix("printed: ")), where)
    return made.files


def _reports() -> Iterator[tuple[str, Report]]:
    """Yield a poor report and a whole one, each with what a fault on it is said of."""
    one, other = example_profile("one", layers=3), example_profile("other", layers=2, norm="layernorm")
    profiles = [with_gaps(one, {0, 2}), with_gaps(other, range(3)), published(one)]
    yield "three profiles with gaps, without prompts, without verdicts", Report(profiles, made=_MADE)
    verdicts = (
        Verdict("example", "rigorous", one.model.name, "not_testable", "there are too few documents"),
        Verdict(
            "example", "paper", one.model.name, "supported", "it peaks at 2", false_positive_rate=0.4, estimate=2.0
        ),
    )
    files = (ReportFile("run.json", b"{}"),)
    failures = (Failure("metric", "broken", "a-plugin 1.0", "ZeroDivisionError: division by zero"),)
    yield "a profile with verdicts", Report([one], verdicts, files, failures, _MADE)
