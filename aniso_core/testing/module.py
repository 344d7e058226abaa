"""Checks the module of a plugin: that listing what it provides loads nothing heavy."""

import subprocess
import sys

from aniso_core.testing.rules import Checked, want

_HEAVY = ("numpy", "torch", "scipy", "matplotlib", "transformers")

_ASK = """
import importlib, sys
sys.path[:] = {path!r}
importlib.import_module({module!r})
print(*(name for name in {heavy!r} if name in sys.modules), sep=", ", file=sys.__stderr__)
"""


def check_module(name: str, module: str) -> Checked:
    """Return what was checked of the plugin `name`; raises AssertionError where its module imports something heavy.

    The module is imported in a process of its own, as a list of what is installed does.
    """
    about = f"Plugin {name}"
    code = _ASK.format(path=sys.path, module=module, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    lines = done.stderr.strip().splitlines() or [""]
    want(done.returncode == 0, about, "a module that can be imported alone", lines[-1], f"importing {module}")
    how = 'later("a_module", "name") stands for what a module with numpy at its top holds'
    wanted = "a module that imports nothing heavy at its top"
    want(not lines[-1], about, wanted, lines[-1], f"importing {module}; {how}")
    return Checked("plugin", name, ("its module imports nothing heavy",))
