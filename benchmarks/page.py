"""How large the HTML report is, how long it takes to draw from stored runs, and to open in Chromium."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch
from playwright.sync_api import Browser, sync_playwright
from results import Target, record
from startup import ANISO, seconds
from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

import aniso_core.api
from aniso_core import engine, store
from aniso_core.contracts import ModelRequest
from aniso_core.plugins import registry
from aniso_core.tokens import TOKEN_SETS

ROUNDS = 3
LAYERS, WIDTH, MANY = 32, 128, 200
SIZE, OPEN, DRAW = Target("at most", 1.5), Target("at most", 2), Target("at most", 5)
DEEP, BOTH, ALL = f"a run of {LAYERS + 1} states", "two such runs", f"{MANY} runs of the tiny model"


def main() -> None:
    """Draw and open each report in turn, round by round."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        folder = Path(place)
        runs = {DEEP: deep(folder, 1), BOTH: deep(folder, 2), ALL: many(folder)}
        drawn: dict[str, list[float]] = {name: [] for name in runs}
        opened: dict[str, list[float]] = {name: [] for name in runs}
        size: dict[str, float] = {}
        for number in range(ROUNDS):
            for name, paths in runs.items():
                made = folder / f"report-{number}-{len(paths)}"
                drawn[name].append(seconds([ANISO, "report", *paths, "--reporter", "html", "--out", str(made)]))
                size[name] = (made / "report.html").stat().st_size / 1e6
                opened[name].append(opening(browser, made / "report.html"))
        browser.close()
    rows = [row(name, size[name], drawn[name], opened[name]) for name in runs]
    note = (
        f"The reporter html, {ROUNDS} rounds. The runs of {LAYERS + 1} states are of a GPT-NeoX with random weights "
        f"and d = {WIDTH} on paper3: every installed metric but those on request, both streams, three token sets, "
        "intervals. Drawing is the whole command `aniso report` from the shell; opening ends with the last chart, from "
        "disk, headless. The targets are those of one run."
    )
    record("HTML report", ("report of", "MB", "target", "reached", *_timed("draw"), *_timed("open")), rows, note)


def row(name: str, size: float, drawn: Sequence[float], opened: Sequence[float]) -> tuple[str, ...]:
    """Return a line of the table; targets stand beside the single run alone."""
    cells = [name]
    for value, target in ((size, SIZE), (statistics.median(drawn), DRAW), (statistics.median(opened), OPEN)):
        cells += [f"{value:.2f}", *(target.cells(value) if name == DEEP else ("", ""))]
    return tuple(cells)


def _timed(what: str) -> tuple[str, str, str]:
    return f"s to {what}", "target", "reached"


def deep(folder: Path, count: int) -> list[str]:
    """Return the folders of the first so many runs of a deep model, measured where they are not there yet."""
    paths = [folder / f"deep-{number}" for number in range(count)]
    documents = registry().prompts("paper3").load()
    for number, path in enumerate(paths):
        if path.exists():
            continue
        torch.manual_seed(number)
        tokenizer = AutoTokenizer.from_pretrained(str(files("aniso_pythia") / "tiny"))
        config = GPTNeoXConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4,
            intermediate_size=4 * WIDTH, max_position_embeddings=256,
        )  # fmt: skip
        model = GPTNeoXForCausalLM(config).train(mode=False)
        aniso_core.api.profile(model, tokenizer, documents, name=path.name, out=path)
    return [str(path) for path in paths]


def many(folder: Path) -> list[str]:
    """Return the folders of many runs: one of the bundled model under as many names, told apart by their weights."""
    known = registry()
    probe = known.adapter("gemma").open(ModelRequest())
    plan = aniso_core.api.make_plan(None, streams=None, tokens=tuple(TOKEN_SETS))
    whole = engine.profile(probe, known.prompts("paper3").load(), plan, "paper3")
    judged = engine.judge([item.value for item in known.items("hypothesis")], [whole])
    paths = [folder / f"many-{number}" for number in range(MANY)]
    for number, path in enumerate(paths):
        named = replace(whole.model, name=f"model-{number}", weights_sha256=f"{number:064x}")
        store.save(path, store.run_files(replace(whole, model=named), judged, {}), [])
    return [str(path) for path in paths]


def opening(browser: Browser, path: Path) -> float:
    """Return the seconds from asking for the page to its last chart."""
    page = browser.new_page()
    started = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("#norms-chart .live svg .line", state="attached")
    taken = time.perf_counter() - started
    page.close()
    return taken


if __name__ == "__main__":
    main()
