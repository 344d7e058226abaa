"""Reports to draw as pages: example profiles with verdicts, a sweep of checkpoints, and what a page is made of."""

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from aniso_core import engine
from aniso_core.cli.parts import about
from aniso_core.engine import render
from aniso_core.plugins import registry
from aniso_core.records import Report
from aniso_core.testing import example_profile
from aniso_report import aniso_reporters

MADE = "2026-11-21T05:56:57+00:00"
HTML = next(reporter for reporter in aniso_reporters() if reporter.name == "html")


@cache
def one():
    """Return a report of one example profile, whose first tokens are massive, with all verdicts on it."""
    return of([example_profile("one")])


@cache
def two():
    """Return a report of two example profiles of other norms and depths, with the verdicts that compare them."""
    return of([example_profile("one"), example_profile("other", norm="layernorm", layers=5)])


@cache
def sweep(count=9):
    """Return a report of checkpoints of one model, not in their order, whose share grows with the step."""
    steps = [2**i for i in range(count)][::-1]
    named = [checkpoint(f"org/model@step{step}", 1 / (1 + number)) for number, step in enumerate(steps)]
    return of(named, ["bell-curve"])


def checkpoint(name, factor):
    """Return the example profile by another name, every share times a factor."""
    whole = example_profile("one")
    scaled = [
        replace(c, values=times(c.values, factor), low=times(c.low, factor), high=times(c.high, factor))
        if c.metric == "top-eigenvalue-share"
        else c
        for c in whole.curves
    ]
    return replace(whole, model=replace(whole.model, name=name), curves=tuple(scaled))


def times(values, factor):
    """Return values times a factor, gaps left as gaps."""
    return tuple(None if value is None else value * factor for value in values)


def of(profiles, hypotheses=None, **more):
    """Return a report of profiles, judged by hypotheses (all that are installed unless named)."""
    known = registry()
    names = known.names("hypothesis") if hypotheses is None else hypotheses
    judged = engine.judge([known.hypothesis(name) for name in names], profiles)
    commands = [f"aniso profile --model {number}" for number in range(len(profiles))]
    told = about(known, profiles, judged.verdicts)
    return replace(Report(profiles, judged.verdicts, (), judged.failures, MADE, told, commands), **more)


def drawn(report):
    """Return the page of a report, after making sure that its reporter did not fail."""
    made = render([HTML], report)
    assert made.failures == ()
    assert [file.name for file in made.files] == ["report.html"]
    return made.files[0].data.decode()


@cache
def drawn_once(report):
    """Return the page of a report that a function makes, drawn once in a session."""
    return drawn(report())


class Page(HTMLParser):
    """What a page is made of: its tags with attributes, the text that is shown, and the bodies of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.shown, self.raw, self._open = [], [], {}, ""
        self.feed(text)
        self.text = " ".join(" ".join(self.shown).split())
        self.data = json.loads(self.raw["data"], parse_constant=self._refuse)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self._open = {"script": found.get("id", "script"), "style": "style"}.get(tag, "")

    def handle_endtag(self, _tag):
        self._open = ""

    def handle_data(self, text):
        if self._open:
            self.raw[self._open] = self.raw.get(self._open, "") + text
        else:
            self.shown.append(text)

    @property
    def policy(self):
        """Return the directives of the content-security policy by name."""
        content = next(a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")
        return dict(re.match(r"(\S+) (.*)", part).groups() for part in content.split("; "))

    @staticmethod
    def _refuse(constant):
        message = f"JSON holds no {constant}"
        raise ValueError(message)
