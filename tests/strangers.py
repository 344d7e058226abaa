"""Sources of plugins that misbehave, and the comparison of a run beside them with one without."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

HEAD = "from aniso_core import *\nfrom aniso_core import hookimpl\n"


def metric(expression: str, name: str = "strange") -> str:
    """Return the source of a plugin of one metric whose value is an expression over the moments `m`."""
    body = f"def of(m):\n    {expression}\n"
    return f"{HEAD}{body}@hookimpl\ndef aniso_metrics():\n    return [Metric({name!r}, of)]\n"


def statistic(**methods: str) -> str:
    """Return the source of a plugin of one metric over a statistic; `methods` replaces the honest ones."""
    honest = {"__init__": "self.n = 0", "update": "self.n += len(x)", "merge": "return self", "result": "return self.n"}
    takes = {"__init__": "self", "update": "self, x", "merge": "self, other", "result": "self"}
    lines = [f"    def {name}({takes[name]}): {code}" for name, code in (honest | methods).items()]
    made = "\n".join(["class S:", *lines])
    return f"{HEAD}{made}\n@hookimpl\ndef aniso_metrics():\n    return [Metric('a-strange', float, over=S)]\n"


def hypothesis(yielded: str) -> str:
    """Return the source of a plugin of one hypothesis that runs a line of code."""
    body = f"def test(profiles, rng):\n    {yielded}\n"
    return f"{HEAD}{body}@hookimpl\ndef aniso_hypotheses():\n    return [Hypothesis('strange', 'claim', test)]\n"


def reporter(files: str) -> str:
    """Return the source of a plugin of one reporter whose files are an expression."""
    body = f"def render(report):\n    return {files}\n"
    return f"{HEAD}{body}@hookimpl\ndef aniso_reporters():\n    return [Reporter('strange', 'summary', render)]\n"


def provided(kind: str, expression: str, before: str = "") -> str:
    """Return the source of a plugin whose hook for a kind (as `metrics`) returns an expression."""
    return f"{HEAD}{before}\n@hookimpl\ndef aniso_{kind}():\n    return {expression}\n"


def curves(folder: Path) -> dict[tuple[str, str, str], dict]:
    """Return the curves in a run's profile.json by (metric, stream, tokens)."""
    data = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    return {(c["metric"], c["stream"], c["tokens"]): c for c in data["curves"]}


def others_equal(run: Path, plain: Path, but: str = "strange") -> None:
    """Assert that every curve and array but the stranger's is what it is without the stranger."""
    ours = {key: curve for key, curve in curves(run).items() if key[0] != but}
    assert ours == curves(plain)
    arrays, wanted = (load_file(folder / "arrays.safetensors") for folder in (run, plain))
    assert {name for name in arrays if not name.endswith(f"/{but}")} == set(wanted)
    assert all(np.array_equal(arrays[name], wanted[name], equal_nan=True) for name in wanted)
