"""The documentation says what the code does: its blocks run, and nothing that users meet is missing from it."""

import dataclasses
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest
import reference
from click.testing import CliRunner
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import aniso_core as aniso
from aniso_core import cli, contracts, export, hookspecs, inference, moments, prereg, records, store, testing, tokens
from aniso_core.cli import config
from aniso_core.plugins import KINDS, registry

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "docs/concepts.md",
    "docs/format.md",
    "docs/plugins.md",
    "docs/tutorial.md",
    "docs/commands.md",
    "plugins/README.md",
)
TUTORIAL = "docs/tutorial.md"  # needs what it installs, so tests/test_tutorial.py follows it
RECORDS = (
    contracts.Adapter,
    contracts.Executor,
    contracts.Hypothesis,
    contracts.Metric,
    contracts.ModelRequest,
    contracts.Preset,
    contracts.PromptSet,
    contracts.Reporter,
    moments.Moments,
    records.About,
    records.Profile,
    records.ModelInfo,
    records.PromptsInfo,
    records.NormSummary,
    records.Curve,
    records.Missing,
    records.Count,
    records.Failure,
    records.Provenance,
    records.Spectrum,
    records.PseudoValues,
    records.KeptArray,
    records.Verdict,
    records.Report,
    records.ReportFile,
    records.Norm,
    tokens.Document,
    tokens.Tokens,
    tokens.Tokenized,
    tokens.Window,
)
STORED = (store.RunRecord, store.Judged, prereg.Registered, prereg.Preregistration)
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("aniso_"))
# Commands that read no model and no folder, so that they run anywhere and at once.
QUICK = re.compile(
    r"aniso ((?!runs)(\w+ list|\w+ show (?!mean-))|(test|compare|export) published:|plugins|doctor --offline)"
)


def read(page):
    """Return a page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def section(page, title):
    """Return the text under a heading, up to the next heading of its level or above."""
    pieces = re.split(r"(?m)^(#+) (.*)$", read(page))[1:]
    found, level = [], 0
    for marks, heading, text in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        if level and len(marks) <= level:
            break
        if level or heading == title:
            level = level or len(marks)
            found.append(text)
    assert found, f"{page} has no section {title!r}"
    return "".join(found)


def rows(text):
    """Return the cells of the tables in a text, row by row, without headings and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {i for i, row in enumerate(cells) if set("".join(row)) <= {"-"}}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def first_cells(text):
    """Return the name in the first cell of each row of the tables in a text."""
    return [re.search(r"`(.+?)`", row[0])[1] for row in rows(text)]


def shell_lines():
    """Yield (page, command) for each line of the pages' bash blocks, comments taken off."""
    for page in PAGES:
        for block in re.findall(r"(?ms)^```bash\n(.*?)^```", read(page)):
            for line in block.splitlines():
                yield page, line.split("  #")[0].strip()


def commands(group=cli.main, path=("aniso",)):
    """Yield each command of the click tree with its words; a group of commands yields its members."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def environment_names():
    """Return the environment variables that the code names."""
    files = [*ROOT.glob("aniso_core/**/*.py"), *ROOT.glob("plugins/*/*/**/*.py")]
    pattern = re.compile(r"\b_?ANISO_[A-Z_]+\b|\bHF_[A-Z_]+\b|\bDISABLE_[A-Z_]+_CONVERSION\b|\bNO_COLOR\b")
    return sorted({name for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))})


LINKING = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "plugins/README.md"])
COMMANDS = list(commands())
SHELL = [(page, line) for page, line in shell_lines() if line.startswith("aniso ")]


@pytest.mark.parametrize("page", sorted({*PAGES} - {TUTORIAL}))
@pytest.mark.filterwarnings("default")  # what the libraries of a model warn about is not what the pages say
def test_python_blocks_run(page, capsys):
    """The Python blocks of a page run one after the other, and what their plugins provide keeps the rules."""
    document = Sybil([PythonCodeBlockParser()], path=str(ROOT)).parse(ROOT / page)
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    assert examples or "```python" not in read(page)
    for kind, (hook, _) in KINDS.items():
        for thing in document.namespace.get(hook, list)():
            testing.CHECKS[kind](thing)
    capsys.readouterr()


@pytest.mark.parametrize(("page", "line"), [case for case in SHELL if QUICK.match(case[1])])
def test_quick_commands_succeed(page, line):
    """A documented command that needs no model exits with 0."""
    result = CliRunner().invoke(cli.main, shlex.split(line)[1:], catch_exceptions=False)
    assert result.exit_code == 0, f"{page}: {line}: {result.output}"


@pytest.mark.parametrize(("page", "line"), SHELL)
def test_documented_commands_exist(page, line, monkeypatch):
    """A documented command line names commands and options that there are."""
    monkeypatch.setattr(config, "content", lambda _: {})  # the files of options in the pages are nowhere
    command, words = cli.main, shlex.split(line)[1:]
    with click.Context(cli.main, info_name="aniso") as context:
        while isinstance(command, click.Group):
            name, *words = words
            command = command.get_command(context, name)
            assert command is not None, f"{page}: there is no command {name}"
        assert command.make_context(name, words, parent=context).params is not None


def test_reference_is_what_the_docstrings_say():
    """The reference is as `make reference` writes it."""
    assert read("docs/reference.md") == reference.page(), "docs/reference.md is out of date: make reference"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_reference_says_what_each_field_is(record):
    """The reference has each field of a record, in order, and says what it is."""
    table = [row for row in rows(section("docs/reference.md", record.__name__)) if len(row) > 2]
    assert [row[0].strip("`") for row in table] == [field.name for field in dataclasses.fields(record)]
    assert all(row[-1].endswith(".") for row in table)


@pytest.mark.parametrize(
    "protocol", [contracts.Statistic, contracts.Probe, contracts.Workers], ids=lambda protocol: protocol.__name__
)
def test_reference_says_what_each_member_is(protocol):
    """The reference has each member of a protocol, in order, and says what it is."""
    table = rows(section("docs/reference.md", protocol.__name__))
    members = [name for name in vars(protocol) if not name.startswith("_")]
    assert [re.search(r"\w+", row[0])[0] for row in table] == members
    assert all(row[-1].endswith(".") for row in table)


@pytest.mark.parametrize("package", [aniso, inference, testing], ids=lambda package: package.__name__)
def test_reference_has_all_that_is_public(package):
    """The reference has whatever a package exports."""
    headings = set(re.findall(r"(?m)^### (.*)$", read("docs/reference.md")))
    assert headings >= set(package.__all__)


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_are_documented(hook):
    """A hook says what to return, when it is asked and an example; the reference has it, and the guide its kind."""
    said = inspect.getdoc(getattr(hookspecs, hook)) or ""
    assert said.startswith("Return ")
    assert "Asked once" in said
    assert "Example:" in said
    kind = next(wanted for name, wanted in KINDS.values() if name == hook)
    assert f"Iterable[{kind.__name__}]" in section("docs/reference.md", hook)
    assert f"](reference.md#{reference.slug(kind.__name__)})" in read("docs/plugins.md")


def test_every_hook_has_a_kind():
    """The hooks are those that the loader asks."""
    assert sorted(hook for hook, _ in KINDS.values()) == HOOKS


@pytest.mark.parametrize("record", STORED, ids=lambda r: r.__name__)
def test_format_names_every_field(record):
    """The format's table of a stored record has its fields, all of them and no other."""
    named = first_cells(section("docs/format.md", record.__name__))
    assert named == [field.name for field in dataclasses.fields(record)]


def test_format_names_every_column():
    """The format's table of tidy rows has their columns, all of them and no other."""
    assert first_cells(section("docs/format.md", "Tidy rows")) == list(export.Row._fields)


def test_format_names_every_stored_record():
    """Records that stored records hold are stored as well, and so linked or described."""
    held, found = [records.Profile, records.Spectrum, records.PseudoValues, records.KeptArray, *STORED], set()
    while held:
        record = held.pop()
        found.add(record.__name__)
        words = {word for field in dataclasses.fields(record) for word in re.findall(r"\w+", f"{field.type}")}
        known = {name: value for name, value in vars(records).items() if dataclasses.is_dataclass(value)}
        held += [value for name, value in known.items() if name in words - found]
    described = {record.__name__ for record in STORED}
    page = read("docs/format.md")
    assert all(name in described or f"[{name}](reference.md#{reference.slug(name)})" in page for name in found)


def test_format_gives_the_version():
    """The format's page gives the version that is written."""
    assert f"Each JSON file has `format`, now {records.FORMAT}." in read("docs/format.md")


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=lambda c: " ".join(c) if isinstance(c, tuple) else "")
def test_commands_are_documented(path, command):
    """A command's section has its arguments and options, all of them and no other."""
    table = " ".join(row[0] for row in rows(section("docs/commands.md", " ".join(path))))
    options = {name for p in command.params if isinstance(p, click.Option) for name in p.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", table)) == options
    for argument in (p for p in command.params if isinstance(p, click.Argument)):
        assert f"`{argument.make_metavar(click.Context(command))}`" in table or f"`{argument.name.upper()}`" in table


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=lambda c: " ".join(c) if isinstance(c, tuple) else "")
def test_commands_explain_themselves(path, command):
    """A command and each of its options has a help text."""
    assert command.help, path
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == []


def test_exit_codes_are_documented():
    """The exit codes are those that the command promises."""
    promised = re.findall(r"\d+", (inspect.getdoc(cli.App.main) or "").split("exit:")[1])
    assert [code for code, _ in rows(section("docs/commands.md", "Exit codes"))] == promised


@pytest.mark.parametrize("name", environment_names())
def test_environment_variables_are_documented(name):
    """An environment variable that the code names is explained."""
    assert name in first_cells(section("docs/commands.md", "Environment variables"))


def test_metrics_are_documented():
    """The metrics' table has each metric of the core with its unit, and a range that begins with its bounds."""
    text = section("docs/concepts.md", "Metrics")
    table = dict(zip(first_cells(text), rows(text), strict=True))
    core = [item.value for item in registry().items("metric") if item.plugin.distribution == "aniso"]
    assert sorted(table) == sorted(metric.name for metric in core)
    for metric in core:
        _, _, unit, span, _ = table[metric.name]
        assert unit == metric.unit
        assert span.startswith(f"{metric.low:g} ")
        assert metric.high is None or span == f"{metric.low:g} to {metric.high:g}"


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """A link inside the repository leads to a file, and to a heading where it names one."""
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", there.read_text(encoding="utf-8"))
            slugs = [reference.slug(heading) for heading in headings]
            again = {f"{slug}-{slugs[:at].count(slug)}" for at, slug in enumerate(slugs)}
            assert anchor in {*slugs, *again}, target


def test_metric_aliases_are_documented():
    """Another name that a metric answers to is given."""
    page = section("docs/concepts.md", "Metrics")
    for item in registry().items("metric"):
        assert all(f"`{alias}`" in page for alias in item.value.aliases)
