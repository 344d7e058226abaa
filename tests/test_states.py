"""Statistics as plain data: packed, through JSON and safetensors, and whole again."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from folding import windows_of

from aniso_core.plugins import registry
from aniso_core.states import State, StateError, pack, unpack
from aniso_core.testing.clouds import ORDINARY

METRICS = [item.value for item in registry().items("metric")]
MAKERS = {metric.over: metric for metric in METRICS}


def through(state):
    """Return a state as it comes back from a file."""
    return State(json.loads(json.dumps(state.tree)), tuple(array.clone() for array in state.arrays))


def fed(maker, cloud, places):
    statistic = maker()
    statistic.update(cloud.tokens(places, getattr(statistic, "wants", ())))
    return statistic


def same(one, other):
    return pack(one).tree == pack(other).tree and all(
        torch.equal(a, b) for a, b in zip(pack(one).arrays, pack(other).arrays, strict=True)
    )


@pytest.mark.parametrize("cloud", ORDINARY, ids=str)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: MAKERS[maker].name)
def test_a_statistic_goes_on_where_it_was(maker, cloud):
    """What comes back merges and takes in more to the very bits of what was packed, also when it has seen nothing."""
    first, second = cloud.pieces(2, ("windows",))
    for statistic in (maker(), fed(maker, cloud, first)):
        back = unpack(through(pack(statistic)), maker())
        assert same(back, statistic)
        other = fed(maker, cloud, second)
        assert same(back.merge(other), statistic.merge(other))
        for each in (back, statistic):
            each.update(cloud.tokens(second, getattr(each, "wants", ())))
        assert same(back, statistic)


class Odd:
    """A statistic of everything that may be kept."""

    def __init__(self):
        self.kept = {
            "none": None,
            "numbers": [1, 2.5, float("inf"), True],
            ("a", 1): {2, 3},
            "nested": {"deep": (frozenset({"x"}), [])},
            "array": np.arange(6, dtype=np.uint64).reshape(2, 3).T,
            "scalar": np.float32(0.1),
            "tensor": torch.arange(3, dtype=torch.bfloat16),
            "type": torch.float16,
        }
        self.twice = self.kept["tensor"]
        self.part = Part()


class Part:
    """What has neither attributes nor state."""


def test_whatever_is_plain_comes_back():
    """Types, shapes and values are those that were packed, and an array that stands twice still does."""
    odd = unpack(through(pack(Odd())), Odd())
    want = Odd().kept
    assert odd.kept.keys() == want.keys()
    for name in ("none", "numbers", ("a", 1), "nested", "scalar", "type"):
        assert odd.kept[name] == want[name]
        assert type(odd.kept[name]) is type(want[name])
    assert np.array_equal(odd.kept["array"], want["array"])
    assert odd.kept["array"].dtype == np.uint64
    assert torch.equal(odd.kept["tensor"], want["tensor"])
    assert odd.twice is odd.kept["tensor"]
    assert isinstance(odd.part, Part)


class Holding:
    """A statistic that holds what it is given."""

    def __init__(self, held=None):
        self.held = held


class Inherited(dict):
    """A dict of another class."""


@pytest.mark.parametrize("held", [len, partial(len), Holding, windows_of, object(), json.JSONDecoder(), lambda: 0])
def test_what_is_no_data_is_named(held):
    """Functions, classes and objects of other packages cannot be stored, and the message says which it was."""
    with pytest.raises(StateError, match=r"^holds a .* of .*, which is no plain data$"):
        pack(Holding(held))


@pytest.mark.parametrize(
    "tree",
    [
        ["object", "subprocess:Popen", ["dict"]],
        ["object", "aniso_core.nowhere:Sums", ["dict"]],
        ["object", "aniso_core.memory:Nothing", ["dict"]],
        ["object", "aniso_core.memory:Rows.append", ["dict"]],
        ["object", "aniso_core.memory:mmap.mmap", ["dict"]],
        ["object", "test_states:Holding", ["dict", ["held", ["tensor", 9, "cpu"]]]],
        ["object", "test_states:Part", None],
        ["object", "test_states:Holding"],
        ["unheard-of", 1],
        [],
        3,
        None,
    ],
)
def test_a_state_of_anything_else_is_refused(tree):
    """Classes of other packages are never made, nor what no statistic of this kind is."""
    with pytest.raises(StateError):
        unpack(State(tree, ()), Holding())
