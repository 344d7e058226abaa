"""How long a list of a thousand runs takes, from the shell's point of view, beside any list."""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from results import Target, record
from startup import ANISO, LIST, PYTHON, seconds

ROUNDS, RUNS = 7, 1_000


def main() -> None:
    """Measure the bundled model once, copy the run, and list the copies between other commands, round by round."""
    name = f"aniso runs list, {RUNS:,} runs"
    with tempfile.TemporaryDirectory() as folder:
        first, many = Path(folder) / "first", Path(folder) / "many"
        seconds([ANISO, "profile", "--adapter", "gemma", "--reporter", "json", "--out", str(first)])
        for number in range(RUNS):
            shutil.copytree(first, many / f"run{number}", copy_function=os.link)
        commands = {
            PYTHON: [sys.executable, "-c", "pass"],
            LIST: [ANISO, "hypotheses", "list"],
            name: [ANISO, "runs", "list", str(many)],
        }
        taken: dict[str, list[float]] = {each: [] for each in commands}
        for _ in range(ROUNDS):
            for each, command in commands.items():
                taken[each].append(seconds(command))
    target = Target("at most", 1.0)
    rows = [
        (
            each,
            f"{statistics.median(times):.2f}",
            f"{min(times):.2f}",
            f"{max(times):.2f}",
            *(target.cells(statistics.median(times)) if each == name else ("", "")),
        )
        for each, times in taken.items()
    ]
    note = f"Wall time in seconds of whole commands, {ROUNDS} rounds; each run is one of the bundled Gemma model."
    record("List of runs", ("command", "median", "least", "most", "target", "reached"), rows, note)


if __name__ == "__main__":
    main()
