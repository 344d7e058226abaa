"""What the checks share: how a fault is told, and what no plugin may do while it runs."""

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from aniso_core.isolation import said
from aniso_core.text import short


@dataclass(frozen=True)
class Checked:
    """What passed a check."""

    kind: str
    """Kind of thing, as `metric`."""
    name: str
    """Its name."""
    rules: tuple[str, ...]
    """The rules that held."""
    seconds_per_token: float | None = None
    """Time of a statistic's `update` for a token of width 256, the best of three blocks of 1,024; None for what is no
    metric."""

    def __str__(self) -> str:
        """Return one line for people."""
        cost = "" if self.seconds_per_token is None else f", {1e6 * self.seconds_per_token:.2f} us a token"
        return f"{self.kind} {self.name}: {len(self.rules)} rules held{cost}"


class RuleError(AssertionError):
    """Say in one sentence which rule a plugin breaks: what was wanted, what came, and where."""

    def __init__(self, about: str, wanted: str, got: object, where: str) -> None:
        """Make the sentence; `got` may be foreign text."""
        super().__init__(f"{about}: wanted {wanted}, got {short(got, 300)} ({where}).")


def want(held: object, about: str, wanted: str, got: object, where: str) -> None:
    """Raise RuleError unless the rule held."""
    if not held:
        raise RuleError(about, wanted, got, where)


@contextlib.contextmanager
def wanting(about: str, wanted: str, where: str) -> Iterator[None]:
    """Turn whatever is raised inside into a fault."""
    try:
        yield
    except RuleError:
        raise
    except (Exception, SystemExit) as error:
        raise RuleError(about, wanted, said(error), where) from error


@contextlib.contextmanager
def silent(about: str) -> Iterator[None]:
    """Raise RuleError where what runs inside writes to stdout or stderr; its warnings are not shown, as in a run."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    said = repr(short(told.getvalue()))
    want(not told.getvalue(), about, "nothing on stdout and stderr", said, "while it was checked")


@contextlib.contextmanager
def seedless(about: str) -> Iterator[None]:
    """Raise RuleError where what runs inside draws from a global random generator or seeds one."""
    kept = _random_states()
    # With seeds that nobody can foresee, so that a plugin's own shows even where it was set before.
    random.seed()
    np.random.seed()  # noqa: NPY002 - the global generator is what is watched
    torch.default_generator.seed()
    try:
        before = _random_states()
        yield
        after = _random_states()
    finally:
        random.setstate(kept["python"])
        np.random.set_state(kept["numpy"])  # noqa: NPY002
        torch.set_rng_state(torch.tensor(kept["torch"], dtype=torch.uint8))
    touched = ", ".join(name for name, state in before.items() if state != after[name])
    got = f"those of {touched} in another state"
    want(not touched, about, "the global random generators left alone", got, "while it was checked")


def _random_states() -> dict[str, Any]:
    """Return the state of each global generator, in tuples and lists, which can be compared."""
    kind, keys, *places = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *places),
        "torch": torch.get_rng_state().tolist(),
    }
