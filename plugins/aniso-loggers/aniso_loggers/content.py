"""What is logged of a report, whichever the service."""

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from aniso_core.errors import AnisoError
from aniso_core.records import Profile, Report, ReportFile

DEFAULT = "aniso"
"""What a project or experiment is called where the user calls it nothing."""


def package(name: str) -> ModuleType:
    """Return a service's package; raises AnisoError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, and lacks something itself
            raise
        message = f"{name} is not installed, so that nothing was sent: pip install {name}"
        raise AnisoError(message) from error


def receipt(name: str, *lines: str) -> list[ReportFile]:
    """Return the file that says where a report went, which the terminal shows too."""
    return [ReportFile(f"{name}.txt", "".join(f"{line}\n" for line in lines).encode(), show=True)]


def facts(profile: Profile) -> dict[str, str | int | float]:
    """Return what was measured and how, by names with dots; what is empty or no plain value is left out."""
    parts = {"model": profile.model, "prompts": profile.prompts, "provenance": profile.provenance}
    found = {f"{part}.{key}": value for part, of in parts.items() if of for key, value in asdict(of).items()}
    found |= {f"versions.{name}": version for name, version in profile.provenance.versions.items()}
    return {name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""}


def by_layer(profile: Profile) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each layer, ascending, with the values that it has as METRIC/STREAM/TOKENS."""
    found: dict[int, dict[str, float]] = {}
    for curve in profile.curves:
        for layer, value in zip(curve.layers, curve.values, strict=True):
            if value is not None:
                found.setdefault(layer, {})[f"{curve.metric}/{curve.stream}/{curve.tokens}"] = value
    yield from sorted(found.items())


def outcomes(report: Report, profile: Profile) -> dict[str, str]:
    """Return the outcome of each verdict on a profile as HYPOTHESIS/CRITERION, and /STREAM/TOKENS where it has them."""
    return {
        "/".join(filter(None, (verdict.hypothesis, verdict.criterion, verdict.stream, verdict.tokens))): verdict.outcome
        for verdict in report.verdicts
        if verdict.subject == profile.model.name
    }


@contextmanager
def files(report: Report) -> Iterator[Path | None]:
    """Yield a folder with the report's files while it is needed; None where they are of several profiles or none."""
    if len(report.profiles) != 1 or not report.files:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="aniso-") as folder:
        for file in report.files:
            Path(folder, file.name).write_bytes(file.data)
        yield Path(folder)
