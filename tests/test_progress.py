"""What people see while a run lasts: its phases and the time left, on a terminal and in a log."""

import io
import os
import re
import subprocess
import sys
import time

import pytest
from conftest import FEW, TEXTS
from terminals import CODE, ESCAPE, on_terminal

from aniso_core import engine
from aniso_core.cli import progress
from aniso_core.contracts import Hypothesis, ModelRequest, Reporter
from aniso_core.documents import documents_from
from aniso_core.plugins import registry
from aniso_core.records import Report
from aniso_core.weights import open_model


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def phases(clock):
    """Return the phases of a run by that clock."""
    return progress.Phases(clock)


# Time left


@pytest.mark.parametrize(
    ("told", "now", "line"),
    [
        ([], 20, "load, 20 s so far"),
        ([(0, "load", 0, 93_400_000)], 20, "load 93 MB, 20 s so far"),
        ([(0, "load", 0, 13_000_000_000)], 130, "load 13.0 GB, 2 min so far"),
        ([(10, "forward", 0, 400)], 40, "forward 0/400 tokens, 30 s so far"),
        ([(10, "forward", 0, 400), (40, "forward", 100, 400)], 40, "forward 100/400 tokens, about 2 min left"),
        ([(10, "forward", 0, 400), (40, "forward", 100, 400)], 70, "forward 100/400 tokens, about 1 min left"),
        ([(10, "forward", 0, 400), (40, "forward", 100, 400)], 100, "forward 100/400 tokens, about 30 s left"),
        ([(10, "forward", 300, 400)], 40, "forward 300/400 tokens, 30 s so far"),
        ([(10, "forward", 300, 400), (40, "forward", 350, 400)], 40, "forward 350/400 tokens, about 30 s left"),
        ([(10, "forward", 0, 400), (40, "forward", 100, 400)], 190, "forward 100/400 tokens, 3 min so far"),
        ([(0, "spectra", 0, 1830), (60, "spectra", 10, 1830)], 60, "spectra 10/1,830, about 3 h 2 min left"),
        ([(0, "inference", 0, 5), (9, "inference", 3, 5)], 10, "inference 3/5 hypotheses, 10 s so far"),
        ([(0, "report", 1, 6)], 60, "report 1/6 reporters, 1 min so far"),
    ],
)
def test_the_time_left_is_told_where_steps_are_alike(told, now, line, phases, clock):
    """Tokens and spectra tell the time left; what says nothing of it, or has run past it, tells the time taken."""
    for clock.now, *steps in told:
        phases(*steps)
    clock.now = now
    assert phases.line() == line


def test_each_phase_has_its_time(phases, clock):
    """A phase ends when the next begins, and the last one now."""
    for clock.now, phase in ((3, "forward"), (4, "forward"), (10, "spectra")):
        phases(phase, 0, 1)
    clock.now = 11
    assert phases.seconds() == [("load", 3), ("forward", 7), ("spectra", 1)]


def test_the_engine_tells_each_phase_from_its_first_step(neox):
    """Tokens, spectra, hypotheses and reporters are counted to their ends, and the phases begin in this order."""
    told = []

    def hear(*steps):
        told.append(steps)

    probe = open_model(ModelRequest(model=str(neox)))
    plan = engine.Plan([registry().metric("norm-mean")], tokens=["all", "bulk"])
    claims = [Hypothesis(name, "", lambda _profiles, _rng: []) for name in ("one", "two")]
    measured = engine.profile(probe, documents_from(TEXTS), plan, "texts", progress=hear)
    engine.judge(claims, [measured], progress=hear)
    engine.render([Reporter("none", "", lambda _report: [])], Report((measured,)), progress=hear)
    phases = {phase: [steps for name, *steps in told if name == phase] for phase, *_ in told}
    assert list(phases) == ["forward", "spectra", "inference", "report"]
    tokens = measured.prompts.tokens
    assert (phases["forward"][0], phases["forward"][-1]) == ([0, tokens], [tokens, tokens])
    count = 2 * len(probe.sites)
    assert phases["spectra"] == [[done, count] for done in range(count + 1)]
    assert (phases["inference"], phases["report"]) == ([[0, 2], [1, 2]], [[0, 1]])


# Logs


def test_a_log_gets_a_line_a_minute_and_a_short_run_none(phases, clock):
    """Off a terminal nothing is said in the first minute, and then one line a minute however often there is news."""
    stream = io.StringIO()
    lines = progress.Lines(phases, stream)
    phases("forward", 0, 34_016)
    for clock.now in range(0, 60, 5):
        phases("forward", 200 * clock.now, 34_016)
        lines.tick()
    assert stream.getvalue() == ""
    for clock.now in range(60, 130, 5):
        phases("forward", 200 * clock.now, 34_016)
        lines.tick()
    assert stream.getvalue().splitlines() == [
        "aniso: forward 12,000/34,016 tokens, about 2 min left.",
        "aniso: forward 24,000/34,016 tokens, about 50 s left.",
    ]


def test_a_log_that_nobody_reads_any_more_stops_nothing():
    """Where the reader of stderr has left, a line goes nowhere and the run goes on."""
    code = (
        "import sys, time\nfrom aniso_core.cli import progress\n"
        "clock = iter(range(0, 10**6, 100)).__next__\n"
        "lines = progress.Lines(progress.Phases(clock), sys.stderr)\n"
        "lines.tick()\nlines.tick()\nprint('on')\n"
    )
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, text=True, check=False, timeout=60
    )
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, "on\n")


# Terminals


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (80, "━{5} +forward 100/400 tokens, 0:01:30 left"),
        (40, "forward 100/400 tokens, 0:01:30 left"),
        (25, "forward, 0:01:30 left"),
        (12, "forward, 0:"),
    ],
)
def test_a_bar_fits_its_terminal(width, wanted, phases, clock):
    """Where a terminal is narrow the bar is left out, then the count, and no line is ever as wide as it."""
    from rich.console import Console

    phases("forward", 0, 400)
    clock.now = 30
    phases("forward", 100, 400)
    stream = io.StringIO()
    Console(file=stream, width=width).print(phases.bar(width))
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(wanted, line.rstrip())
    assert len(line.rstrip()) < width


@pytest.mark.parametrize("columns", ["80", "40"])
def test_a_terminal_shows_each_phase(columns, neox, texts, tmp_path):
    """On a terminal a line redraws itself through the phases, within its width, and is gone when the run ends."""
    args = ["profile", "--model", neox, "--prompts", texts, "--reporter", "csv", "--out", tmp_path / "run"]
    shown = on_terminal(args, TERM="xterm-256color", COLUMNS=columns)
    assert shown.endswith(f"{tmp_path / 'run'}\r\n")
    drawn = [line for line in re.split(r"[\r\n]+", CODE.sub("", shown)) if re.match("(━+ )?(load|spectra)", line)]
    assert re.fullmatch(r"(━+ )?load \d+ MB, 0:00:\d\d *", drawn[0])
    assert max(len(line) for line in drawn) <= int(columns)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is there again


def test_a_terminal_that_goes_away_stops_nothing(monkeypatch):
    """Where the window is closed, what is drawn and said goes nowhere, and the run goes on without a traceback."""
    from rich.console import Console

    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(progress, "_REDRAWN", 0.01)
        monkeypatch.setattr(progress, "_SILENCE", 0)
        phases = progress.Phases()
        with progress.drawn(phases.bar, Console(file=stream, force_terminal=True, width=40)):
            time.sleep(0.1)
            os.close(ours)
            time.sleep(0.1)
            sys.stderr.write("beside the bar\n")
            sys.stderr.flush()
            progress.say("and a line")
            phases("forward", 1, 2)
    assert [phase for phase, _ in phases.seconds()] == ["load", "forward"]


@pytest.mark.parametrize("more", [{}, {"NO_COLOR": "1"}], ids=["colour", "NO_COLOR"])
def test_a_bar_has_colour_unless_it_is_unwanted(more, neox, texts, tmp_path):
    """NO_COLOR takes the colours off the bar and leaves the bar."""
    args = ["profile", "--model", neox, "--prompts", texts, *FEW, "--reporter", "csv", "--out", tmp_path / "run"]
    shown = on_terminal(args, TERM="xterm-256color", **more)
    assert "━" in shown
    assert bool(re.search(r"\x1b\[[\d;]*3\d[\d;]*m|\x1b\[9\dm", shown)) == (not more)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["dumb", "quiet"])
def test_whoever_wants_no_bars_gets_none(quiet, neox, texts, tmp_path):
    """A terminal that cannot redraw a line gets the lines of a pipe, and with --quiet any gets the path alone."""
    args = ["profile", "--model", neox, "--prompts", texts, *FEW, "--reporter", "csv", "--out", tmp_path / "run"]
    shown = on_terminal([*args, *quiet], TERM="xterm-256color" if quiet else "dumb")
    assert not ESCAPE.search(shown)
    assert [line.split(" ")[0] for line in shown.splitlines()[:-1]] == ([] if quiet else ["Read", "Opening", "Note:"])


def test_a_log_has_no_escapes_whatever_colours_are_forced(shell, neox, texts):
    """FORCE_COLOR makes no terminal of a file: no bar and no escape is written to it."""
    ran = shell("profile", "--model", neox, "--prompts", texts, *FEW, "--out", "run", FORCE_COLOR="1")
    assert ran.code == 0
    assert not ESCAPE.search(ran.out + ran.err)


def test_a_bar_gives_way_to_what_others_write():
    """What others write to stderr stands on lines of its own, and the bar comes back."""
    code = (
        "import sys, time\nfrom aniso_core.cli import progress\nprogress._SILENCE = 0.2\n"
        "with progress.following(shown=True):\n    time.sleep(0.7)\n    print('fetching 1', file=sys.stderr)\n"
        "    print('fetching 2', file=sys.stderr)\n    time.sleep(1)\nprint('done')\n"
    )
    shown = CODE.sub("", on_terminal([code], command=(sys.executable, "-c"), TERM="xterm-256color"))
    before, after = re.split(r"\rfetching 1\r\nfetching 2\r\n", shown)
    assert "load, 0:00:0" in before
    assert "load, 0:00:0" in after
    assert shown.endswith("\rdone\r\n")


@pytest.mark.parametrize(
    "args", [["test", "published:gemma-2b"], ["compare", "published:gemma-2b", "published:pythia-6.9b"]]
)
def test_verdicts_fit_a_narrow_terminal(args):
    """On a terminal of 40 columns paragraphs and tables are no wider than it."""
    shown = on_terminal(args, TERM="xterm-256color", COLUMNS="40")
    assert max(map(len, shown.splitlines())) <= 40
