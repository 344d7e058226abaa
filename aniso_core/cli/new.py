"""`aniso new`: the folder of a plugin to start from."""

import importlib.util
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from aniso_core import store
from aniso_core.cli.say import out, plugins, say
from aniso_core.errors import AnisoError
from aniso_core.text import visible

_GROUPS = {"metric": "metrics", "adapter": "adapters", "hypothesis": "hypotheses", "reporter": "reporters"}
_NAME = re.compile(r"(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command()
@click.argument("kind", type=click.Choice(list(_GROUPS)))
@click.argument("name")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write; must be absent. [default: aniso-NAME]",
)
def new(kind: str, name: str, folder: Path | None) -> None:
    """Write the folder of a new plugin: a small metric, adapter, hypothesis or reporter that works, with its tests.

    The folder's path goes to stdout, and what to do next to stderr.
    """
    distribution, module = f"aniso-{name}", f"aniso_{name.replace('-', '_')}"
    _check_name(kind, name, distribution, module)
    target = folder or Path(distribution)
    if target.exists() or target.is_symlink():
        message = f"{visible(target)} exists already; name another folder with --out."
        raise AnisoError(message)
    words = {"kind": kind, "group": _GROUPS[kind], "name": name, "distribution": distribution, "module": module}
    words |= {"entry": module.removeprefix("aniso_"), "versions": _versions(metadata.version("aniso"))}
    written = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/__init__.py": f"{kind}/module.py",
        f"tests/test_{module}.py": f"{kind}/test.py",
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with store.fresh(target) as made:
        for path, template in written.items():
            text = (files("aniso_core") / "templates" / f"{template}.in").read_text(encoding="utf-8")
            (made / path).parent.mkdir(exist_ok=True)
            store.write_file(made / path, Template(text).substitute(words).encode())
    where = visible(target)
    say(f'Next: pip install -e "{where}[dev]", then aniso {_GROUPS[kind]} show {name}, then pytest {where}.')
    out(str(target))


def _check_name(kind: str, name: str, distribution: str, module: str) -> None:
    """Raise AnisoError for a name that cannot be that of a new plugin."""
    if not _NAME.fullmatch(name):
        message = (
            f"{visible(name)!r} cannot name a plugin; wanted at most 40 lower-case letters, digits and single hyphens "
            "between them, a letter first."
        )
        raise AnisoError(message)
    if name.startswith("aniso-"):
        message = f"Leave aniso- out: {name.removeprefix('aniso-')} gives {name}."
        raise AnisoError(message)
    known = plugins()
    taken = {alias: item for item in known.items(kind) for alias in (item.name, *getattr(item.value, "aliases", ()))}
    if name in taken:
        article = "an" if kind == "adapter" else "a"
        message = f"There is {article} {kind} {name} already, from {taken[name].plugin.release}; choose another name."
        raise AnisoError(message)
    if importlib.util.find_spec(module) is not None:
        message = f"The module {module} is installed already, so {distribution} cannot bring it; choose another name."
        raise AnisoError(message)


def _versions(own: str) -> str:
    """Return the versions of aniso that a plugin written today asks for: from this one up to the next that may break.

    Before 1.0 that is the next minor version, afterwards the next major one (Semantic Versioning). A prerelease comes
    before the version that it leads to, so it is asked for itself.
    """
    from packaging.version import Version

    version = Version(own)
    major, minor = version.major, version.minor
    least = version.public if version.is_prerelease else f"{major}.{minor}"
    return f">={least},<{f'0.{minor + 1}' if major == 0 else major + 1}"
