"""The floors of the building: who may import whom (CONTRIBUTING.md draws them)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = {
    0: {"records", "errors", "text", "export"},
    1: {
        "contracts",
        "executing",
        "moments",
        "sampling",
        "running",
        "spectrum",
        "sums",
        "memory",
        "unitsums",
        "leaveout",
        "kernels",
        "isolation",
        "limits",
        "batches",
        "states",
        "shards",
        "tokens",
    },
    2: {
        "comparing",
        "families",
        "words",
        "hookspecs",
        "store",
        "fold",
        "folder",
        "answers",
        "intake",
        "documents",
        "drawing",
        "paper",
        "prereg",
        "standing",
        "inference",
        "intervals",
        "rigorous",
        "metrics",
        "tokenizing",
        "statefile",
        "unfinished",
        "extending",
        "local",
    },
    3: {"plugins", "anatomy", "transformer", "sources", "vetting", "weights", "hub"},
    4: {"engine"},
    5: {"cli", "api", "working", "testing", "pytest_plugin", "__init__"},
}
LIBRARIES = {
    0: {"numpy", "pandas", "xarray"},
    1: {"numpy", "threadpoolctl"},
    2: {"numpy", "scipy", "packaging", "pluggy", "msgspec", "safetensors", "filelock"},
    3: {
        "numpy",
        "scipy",
        "packaging",
        "pluggy",
        "torch",
        "transformers",
        "accelerate",
        "safetensors",
        "huggingface_hub",
        "gguf",
        "psutil",
    },
    4: {"numpy"},
    5: {
        "click",
        "msgspec",
        "packaging",
        "rich",
        "tomli_w",
        "numpy",
        "torch",
        "transformers",
        "tokenizers",
        "huggingface_hub",
        "httpx",
        "pytest",
    },
}
# What draws is in one module and nowhere else.
ALONE = {"drawing": {"matplotlib"}}
# What takes longer to load than a list takes to show.
HEAVY = {"numpy", "scipy", "torch", "transformers", "matplotlib", "rich", "pandas", "pyarrow", "xarray", "tomli_w"}
# The engine is given its parts and never looks one up, so it knows no loader.
ENGINE_KNOWS = {0, 1, 2}
# These handle tensors: torch only for types, or inside the functions that run once a model is there.
LAZY_TORCH = {"moments", "running", "tokens", "contracts", "fold", "answers", "engine", "statefile"}
# And these hold nothing but what runs then; modules that load without torch import them inside functions.
TENSORS = {
    "sums",
    "memory",
    "unitsums",
    "leaveout",
    "sampling",
    "intake",
    "kernels",
    "batches",
    "states",
    "spectrum",
    "testing",
}

MODULES = sorted((ROOT / "aniso_core").rglob("*.py"))
PLUGINS = sorted(path for path in (ROOT / "plugins").glob("*/*/*.py"))


def floor_of(module: str) -> int:
    return next(floor for floor, names in FLOORS.items() if module in names)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "aniso_core").parts[0].removesuffix(".py")


def imports(path: Path):
    """Yield each imported module of a file, and whether it is imported inside a function or for types alone."""

    def walk(node, *, lazy):
        for child in ast.iter_child_nodes(node):
            typing_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            inner = lazy or typing_only or isinstance(child, (ast.FunctionDef, ast.Lambda))
            if isinstance(child, ast.Import):
                yield from ((alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                yield child.module, lazy
                if child.module == "aniso_core":
                    yield from ((f"aniso_core.{alias.name}", lazy) for alias in child.names)
            yield from walk(child, lazy=inner)

    yield from walk(ast.parse(path.read_text()), lazy=False)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_modules_import_from_their_floor_or_below(path):
    """A module of the core imports no floor above its own, no plugin, and only its floor's libraries."""
    part = part_of(path)
    floor = floor_of(part)
    for name, lazy in imports(path):
        top, *rest = name.split(".")
        if top == "aniso_core":
            inner = rest[0] if rest else "__init__"
            if inner == "__init__" or (inner not in set().union(*FLOORS.values())):
                continue
            assert floor_of(inner) <= floor, f"{part} imports {inner} of a higher floor"
            assert inner not in TENSORS or lazy or part in TENSORS or floor == 3, f"{part} loads torch at import"
            assert part != "engine" or floor_of(inner) in ENGINE_KNOWS
        elif top.startswith("aniso_"):
            pytest.fail(f"{part} imports the plugin {top}")
        elif top == "torch" and part in LAZY_TORCH:
            assert lazy, f"{part} loads torch at import"
        elif top not in sys.stdlib_module_names and not (top == "torch" and part in TENSORS):
            assert top in LIBRARIES[floor] | ALONE.get(part, set()), f"{part} (floor {floor}) imports {top}"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_the_core_and_no_other_plugin(path):
    """A plugin knows the core and its own modules; matplotlib and rich belong to what draws."""
    own = path.parent.name
    for name, lazy in imports(path):
        top = name.split(".")[0]
        assert not top.startswith("aniso_") or top in {own, "aniso_core"}, f"{own} imports {top}"
        assert top != "click"
        if top in {"matplotlib", "rich"}:
            assert own == "aniso_report" or (own, path.name) == ("aniso_isotropy", "heatmap.py")
        if top in {"torch", "transformers", "matplotlib", "rich", "scipy"}:
            assert lazy or path.name != "__init__.py", f"{own} loads {top} when it is listed"


LISTS = [
    [group, "list", *form]
    for group in ("adapters", "metrics", "hypotheses", "reporters", "prompts", "executors")
    for form in ([], ["--json"])
]


@pytest.mark.parametrize(
    "command", [*LISTS, ["plugins"], ["metrics", "show", "isoscore"], ["--help"], ["profile", "--help"]], ids=" ".join
)
def test_lists_and_help_load_nothing_heavy(command):
    """What only looks things up starts without numpy, torch or anything that computes or draws."""
    code = (
        "import sys\nfrom aniso_core.cli import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"loaded = {HEAVY!r} & set(sys.modules)\nassert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_aniso_loads_nothing_heavy():
    """`import aniso_core` is light, so that a plugin module is."""
    code = f"import aniso_core, sys; assert not {HEAVY | {'click'}!r} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
