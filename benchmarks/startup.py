"""How long a list and a whole profile of the bundled model take, from the shell's point of view."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import Target, record

ROUNDS = 7
ANISO = str(Path(sys.executable).with_name("aniso"))
PYTHON, LIST, PROFILE = "python -c pass", "aniso hypotheses list", "aniso profile --adapter gemma"


def main() -> None:
    """Run each command in turn, round by round, so that a busy neighbour slows all of them alike."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            PYTHON: [sys.executable, "-c", "pass"],
            LIST: [ANISO, "hypotheses", "list"],
            PROFILE: [ANISO, "profile", "--adapter", "gemma", "--quiet", "--out"],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(ROUNDS):
            for name, command in commands.items():
                extra = [f"{folder}/{number}"] if command[-1] == "--out" else []
                taken[name].append(seconds([*command, *extra]))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    targets = {
        LIST: Target("at most", round(medians[PYTHON] + 0.15, 2)).cells(medians[LIST]),
        PROFILE: Target("at most", 6).cells(medians[PROFILE]),
    }
    rows = [
        (name, f"{medians[name]:.2f}", f"{min(times):.2f}", f"{max(times):.2f}", *targets.get(name, ("", "")))
        for name, times in taken.items()
    ]
    note = f"Wall time in seconds of whole commands, {ROUNDS} rounds. A list may take 0.15 s more than Python itself."
    record("Start-up", ("command", "median", "least", "most", "target", "reached"), rows, note)


def seconds(command: list[str]) -> float:
    """Return the wall time of a command in seconds; raises CalledProcessError where it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own commands
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
