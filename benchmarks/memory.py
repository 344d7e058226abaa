"""How much memory a profile takes above the loaded model, and whether it grows with the corpus."""

import ctypes
import gc
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import cast

import torch
from results import Target, record
from subjects import GivenTokens, cut, smollm2, text_ids, with_head
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging
from ways import BATCH_TOKENS, BOTH, DEFAULT, Stacking, bare, profile

from aniso_core.batches import Batch, plan_batches

RUNS = {8_192: 5, 32_768: 3, 100_000: 1}  # a corpus of 100,000 tokens takes minutes
STACKED = 8_192
LENGTH = 512
RISE = Target("at most", 300)
GROWTH = Target("at most", 1.03)

NOTE = """\
Resident memory in MB (10^6 bytes) of processes of their own: SmolLM2-135M in float32, prose in windows of {length}
tokens, batches of {batch:,}; medians of the runs, and the most of any, which is held against the target. Loaded is what
is resident once the model is there, its weights have been read and free memory has been given back to the system.
Peaks are the kernel's, set back before each step. The bare pass is one batch through the trunk with nothing read, and
the job's peak contains as much. aniso reads both streams, all installed metrics for three token sets, with intervals
over windows. Stacking is the notebooks' way, with the language-model head and all states kept. The ratio of peaks is
that of the medians, the loaded model included. How much of the freed memory the C library keeps differs from run to
run."""

MISSED = """\
Why the peak still grows a little: the states of first tokens are kept as they came until there are as many as they are
wide. Here that is one of 2.3 kB for each window and each of 62 sites, 28 MB for the 196 windows of 100,000 tokens; at
576 windows, 82 MB, they become sums of fixed size."""


@dataclass(frozen=True)
class Peaks:
    """Resident MB of one process: the model loaded, the peak of one bare pass, and the peak of the whole job."""

    loaded: float
    passed: float
    job: float


def main(runs: Mapping[int, int] = RUNS, stacked: int = STACKED) -> None:
    """Measure each corpus in processes of its own; `runs` says how many by the number of tokens."""
    with tempfile.TemporaryDirectory() as folder:
        # As safetensors, since reading GGUF leaves the process with holes in its memory.
        probe = smollm2()
        cast("PreTrainedModel", probe.anatomy.trunk).save_pretrained(folder)
        Path(folder, "ids.json").write_text(json.dumps(text_ids(probe, max(*runs, stacked))))
        found = {size: [in_a_process(folder, "aniso", size) for _ in range(number)] for size, number in runs.items()}
        stacking = in_a_process(folder, "stacking", stacked)
    rows = [
        (*figures("aniso", size, peaks), *RISE.cells(max(p.job - p.loaded for p in peaks)))
        for size, peaks in found.items()
    ]
    rows.append((*figures("stacking", stacked, [stacking]), "", ""))
    medians = [median(p.job for p in peaks) for peaks in found.values()]
    growth = max(medians) / min(medians)
    rows.append(("aniso, largest peak over smallest", *[""] * 4, f"{growth:.3f}", "", *GROWTH.cells(growth)))
    columns = ("way", "tokens", "runs", "loaded", "bare pass, above", "job, above", "most", "target", "reached")
    record("Memory", columns, rows, NOTE.format(length=LENGTH, batch=BATCH_TOKENS), MISSED)


def figures(way: str, tokens: int, peaks: Sequence[Peaks]) -> tuple[str, ...]:
    """Return the cells of a way and a size."""
    loaded, passed = median(p.loaded for p in peaks), median(p.passed - p.loaded for p in peaks)
    rises = [p.job - p.loaded for p in peaks]
    measured = (loaded, passed, median(rises), max(rises))
    return (way, f"{tokens:,}", f"{len(peaks)}", *(f"{figure:.0f}" for figure in measured))


def in_a_process(folder: str, way: str, tokens: int) -> Peaks:
    """Return the peaks of a process that does the job."""
    command = [sys.executable, __file__, folder, way, str(tokens)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this file
    return Peaks(**json.loads(done.stdout))


def measure(folder: Path, way: str, tokens: int) -> Peaks:
    """Do the job in this process and return its peaks."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    windows = cut(json.loads((folder / "ids.json").read_text())[:tokens], LENGTH)
    batches = plan_batches(windows, BATCH_TOKENS)
    probe = GivenTokens(AutoModel.from_pretrained(folder, dtype=torch.float32), windows)
    for weight in probe.anatomy.trunk.parameters():
        weight.sum()  # they may be mapped from the file, and come in when they are read
    give_back()
    loaded = resident("VmRSS")
    reset_peak()
    bare(probe, batches[0])
    passed = resident("VmHWM")
    give_back()
    reset_peak()
    if way == "aniso":
        profile(probe, BOTH, DEFAULT)
    else:
        stack(with_head(probe.anatomy.trunk), batches)
    return Peaks(loaded, passed, resident("VmHWM"))


def stack(model: nn.Module, batches: Sequence[Batch]) -> None:
    """Keep all states and compute the notebooks' numbers."""
    stacking = Stacking(model)
    for batch in batches:
        stacking.take(batch)
    stacking.numbers()


def resident(line: str) -> float:
    """Return a line of /proc/self/status in MB: VmRSS, resident now, or VmHWM, its peak."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        message = f"The system does not say {line}; this benchmark needs Linux."
        raise RuntimeError(message)
    return int(found[1]) * 1024 / 1e6


def reset_peak() -> None:
    """Set the peak back to what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def give_back() -> None:
    """Return freed memory to the system, so that what is resident is in use."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asdict(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
    else:
        main()
