"""`pytest --aniso-check`: a test of each installed plugin and of all that it provides, so that authors write none.

Every pytest beside an installed aniso loads this module, so it imports nothing heavy until the option is given.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pytest

from aniso_core.hookspecs import PROJECT
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


@dataclass(frozen=True)
class _Module:
    """The module of a plugin that loaded."""

    name: str
    distribution: str
    module: str


_Thing = Item | BrokenPlugin | _Module


class _Check(pytest.Item):
    """The check of one thing or of a plugin's module, or the failure of a plugin that is left out."""

    def __init__(self, *, thing: _Thing, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._thing = thing

    def runtest(self) -> None:
        """Check the thing; what held goes into the report."""
        from aniso_core.testing import CHECKS
        from aniso_core.testing.module import check_module

        thing = self._thing
        if isinstance(thing, BrokenPlugin):
            pytest.fail(str(thing), pytrace=False)
        if isinstance(thing, _Module):
            checked = check_module(thing.name, thing.module)
        else:
            checked = CHECKS[thing.kind](thing.value)
        self.user_properties.append((_HELD, str(checked)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the sentence that says what is wrong; of anything else the traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, AssertionError) else super().repr_failure(excinfo, style)


def _provided(wanted: str) -> list[_Thing]:
    """Return what a distribution provides, or what all do that do not ship with aniso, and what of it is left out."""
    known, ours = registry(), {_normal(name) for name in official_distributions()}
    found: list[_Thing] = [item for kind in KINDS for item in known.items(kind)]
    found += [*known.broken, *_modules()]
    named = [(_normal((thing.plugin if isinstance(thing, Item) else thing).distribution), thing) for thing in found]
    return [thing for name, thing in named if (name == _normal(wanted) if wanted else name not in ours)]


def _modules() -> Iterator[_Module]:
    """Yield the modules of the plugins that loaded."""
    loaded = {(plugin.name, plugin.distribution) for plugin in registry().plugins}
    for point in metadata.entry_points(group=PROJECT):
        distribution = point.dist.metadata["Name"] if point.dist else "unknown"
        if (point.name, distribution) in loaded:
            yield _Module(point.name, distribution, point.module)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _name(thing: _Thing) -> str:
    return f"aniso-check[{thing.kind if isinstance(thing, Item) else 'plugin'}-{thing.name}]"
