"""`pytest --aniso-check`: a test of each thing that installed plugins provide, so that their authors write none.

Every pytest beside an installed aniso loads this module, so it imports nothing heavy until the option is given.
"""

import re
from typing import Any

import pytest

from aniso_core.plugins import KINDS, BrokenPlugin, Item, official_distributions, registry

_HELD = "aniso"
"""The name under which a report carries what held to where the summary is written."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("aniso").addoption(
        "--aniso-check",
        nargs="?",
        const="",
        metavar="DISTRIBUTION",
        help="check what an installed distribution provides to aniso; without a name, what each does that does not "
        "ship with aniso",
    )


@pytest.hookimpl(tryfirst=True)  # before -k chooses
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the checks to the tests."""
    wanted = config.getoption("aniso_check")
    if wanted is None:
        return
    found = _provided(wanted)
    if not found:
        what = f"{wanted} provides nothing" if wanted else "nothing is installed but what ships with aniso"
        known = ", ".join(sorted({plugin.distribution for plugin in registry().plugins}))
        message = f"--aniso-check: {what}; install it (pip install -e .) or give one of {known}"
        raise pytest.UsageError(message)
    added = [_Check.from_parent(session, name=_name(thing), nodeid=_name(thing), thing=thing) for thing in found]
    items += added
    # So that the number of tests collected has them in it.
    config.hook.pytest_collectreport(report=pytest.CollectReport("aniso-check", "passed", None, list(added)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what held, and what a metric costs."""
    reports = terminalreporter.getreports("passed")
    lines = [str(line) for report in reports for name, line in report.user_properties if name == _HELD]
    if lines:
        terminalreporter.section("aniso")
    for line in lines:
        terminalreporter.write_line(line)


class _Check(pytest.Item):
    """The check of one thing, or the failure of a plugin that is left out."""

    def __init__(self, *, thing: Item | BrokenPlugin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._thing = thing

    def runtest(self) -> None:
        """Check the thing; what held goes into the report."""
        from aniso_core.testing import CHECKS

        if isinstance(self._thing, BrokenPlugin):
            pytest.fail(str(self._thing), pytrace=False)
        self.user_properties.append((_HELD, str(CHECKS[self._thing.kind](self._thing.value))))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the sentence that says what is wrong; of anything else the traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, AssertionError) else super().repr_failure(excinfo, style)


def _provided(wanted: str) -> list[Item | BrokenPlugin]:
    """Return what a distribution provides, or what all do that do not ship with aniso, and what of it is left out."""
    known, ours = registry(), {_normal(name) for name in official_distributions()}
    found: list[Item | BrokenPlugin] = [item for kind in KINDS for item in known.items(kind)]
    found += known.broken
    named = [(_normal((thing.plugin if isinstance(thing, Item) else thing).distribution), thing) for thing in found]
    return [thing for name, thing in named if (name == _normal(wanted) if wanted else name not in ours)]


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _name(thing: Item | BrokenPlugin) -> str:
    return f"aniso-check[{thing.kind if isinstance(thing, Item) else 'plugin'}-{thing.name}]"
