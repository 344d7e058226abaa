"""The reporter `bundle`: all files so far in one zip, the same bytes for the same report."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from aniso_core.records import Report, ReportFile
from aniso_report.names import stems

_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # a zip can hold no earlier date
_UNIX, _PLAIN_FILE = 3, 0o100644


def render(report: Report) -> Iterator[ReportFile]:
    """Yield aniso-<model>-<time>.zip with every file of the report, by name, dated when the report was made."""
    made = _time(report.made)
    names = stems(report.profiles) or ["nothing"]
    more = f"-and-{len(names) - 1}-more" if len(names) > 1 else ""
    stamp = made.strftime("-%Y-%m-%dt%H%M%Sz") if made else ""
    yield ReportFile(f"aniso-{names[0]}{more}{stamp}.zip", _zipped(report.files, max(made or _EARLIEST, _EARLIEST)))


def _zipped(files: Sequence[ReportFile], made: datetime) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted({file.name: file.data for file in files}.items()):
            # System and mode are fixed, so that the bytes do not tell on which machine they were made.
            member = zipfile.ZipInfo(name, made.timetuple()[:6])
            member.create_system, member.external_attr = _UNIX, _PLAIN_FILE << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return out.getvalue()


def _time(made: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(made)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
