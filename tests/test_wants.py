"""What a statistic may want beside the tokens of one class at one site: the layer before, and whole windows."""

import numpy as np
import pytest
import torch
from folding import classes_of, cloud, folded, laid, windows_of
from test_passes import LLAMA, TEXTS, failing_above, measured, tiny

import aniso_core as aniso
from aniso_core import intake
from aniso_core.batches import plan_batches
from aniso_core.fold import Fold
from aniso_core.records import Site
from aniso_core.tokens import TOKEN_SETS, Tokens

LENGTHS = {0: (9, 9, 5), 1: (12,), 2: (1,), 3: (7, 2), 4: (11,), 5: (3,)}
CUTS = [(5, 0), (20, 0), (500, 0), (30, 14), (500, 40)]


class Seen:
    """Keeps what it is given: the states of each token, and those before them, in an order of their own."""

    wants = ("before",)

    def __init__(self):
        self.rows = []

    def update(self, tokens):
        before = torch.full_like(tokens.states, torch.nan) if tokens.before is None else tokens.before
        places = zip(tokens.document.tolist(), tokens.position.tolist(), strict=True)
        self.rows += zip(places, tokens.states.clone().tolist(), before.clone().tolist(), strict=True)
        if tokens.before is not None:
            tokens.before.zero_()  # a copy of its own
        tokens.states.zero_()

    def merge(self, other):
        both = type(self)()
        both.rows = self.rows + other.rows
        return both

    def result(self):
        return sorted(self.rows)


RESULTS = {}
SEEN = aniso.Metric("seen", lambda rows: RESULTS.setdefault(len(RESULTS), rows) and 0.0, over=Seen)


def seen(**choices):
    """Return what the statistic saw at each site of both streams, all tokens."""
    RESULTS.clear()
    given = {"texts": TEXTS[:6], "metrics": ["isoscore", SEEN], "tokens": ["all"], "intervals": False} | choices
    profile = measured(given.pop("model", None), **given)
    assert not profile.failures
    curves = [c for c in profile.curves if c.metric == "seen"]
    return dict(zip([(c.stream, layer) for c in curves for layer in c.layers], RESULTS.values(), strict=True))


def held_together(found, atol=0.0):
    """Every token's states before are its states at the layer below, and there are none at the first."""
    for (stream, layer), rows in found.items():
        before = np.array([row[2] for row in rows])
        if layer == 0:
            assert np.isnan(before).all()
        else:
            below = found[stream, layer - 1]
            assert [row[0] for row in rows] == [row[0] for row in below]
            assert np.allclose(before, [row[1] for row in below], rtol=0, atol=atol)


@pytest.mark.parametrize("batch_tokens", [1, 40, 1000])
@pytest.mark.parametrize("late", [0, 1])
def test_a_statistic_sees_the_layer_before(monkeypatch, batch_tokens, late):
    """Each token comes with its state one layer below in the same stream, in batches of any size."""
    monkeypatch.setitem(intake._LATE, "cpu", late)
    found = seen(batch_tokens=batch_tokens)
    assert {stream for stream, _ in found} == {"residual", "normed"}
    held_together(found)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_the_layer_before_survives_batches_that_are_halved(block):
    """Where memory runs out between two layers, what is given again still comes with the layer below it."""
    # What was taken in already came from a larger batch, so that states differ by rounding.
    held_together(seen(model=failing_above(tiny(LLAMA), 40, block), batch_tokens=1000), atol=1e-5)


def test_before_is_the_layer_measured_before():
    """With the residual stream alone the final norm's output is the first of its own stream."""
    found = seen(streams=["residual"])
    assert np.isnan([row[2] for row in found.pop(("normed", 3))]).all()
    held_together(found)


def test_a_pass_that_writes_into_its_states_spoils_nothing():
    """What is kept for the next layer is a copy where the model works in place."""
    windows = windows_of({0: (6,), 1: (6,)})
    sites = cloud(windows, 3)
    fold = Fold([SEEN], ["0", "1"])
    RESULTS.clear()
    for batch in plan_batches(windows, 100):
        with fold.taking(batch) as sink:
            stream = laid(batch, sites[Site(0, "residual")])
            for site in sites:
                sink(site, stream)
                stream.add_(1)
    fold.ask(tuple(sites), ["all"])
    held_together(dict(zip([("residual", site.layer) for site in sites], RESULTS.values(), strict=True)))


def test_nothing_is_copied_that_nobody_wants():
    """Without such a statistic tokens have no layer before, no windows and no marks."""
    given = []

    class Plain(Seen):
        wants = ()

        def update(self, tokens):
            given.append((tokens.before, tokens.window, tokens.own))

    measured(metrics=[aniso.Metric("plain", lambda _: 0.0, over=Plain)])
    assert set(given) == {(None, None, None)}


def test_a_want_that_there_is_not_is_named():
    """A statistic that asks for what cannot be had fails alone, with the name of what it asked for."""

    class Greedy(Seen):
        wants = ("gradients",)

    profile = measured(metrics=["isoscore", aniso.Metric("greedy", lambda _: 0.0, over=Greedy)])
    (failure,) = profile.failures
    assert failure.reason == "its statistic wants ('gradients',); there are ('before', 'windows')"
    assert profile.curve("isoscore").values


class Neighbours:
    """Counts pairs of neighbours in a window, by what they add up to."""

    wants = ("windows",)

    def __init__(self):
        self.sums = []

    def update(self, tokens):
        follows = (tokens.window.diff() == 0) & (tokens.position.diff() == 1) & (tokens.own[1:] | tokens.own[:-1])
        self.sums += (tokens.states[1:, 0] + tokens.states[:-1, 0])[follows].tolist()
        assert sum(number for _, number in tokens.runs) == len(tokens)

    def merge(self, other):
        both = type(self)()
        both.sums = self.sums + other.sums
        return both

    def result(self):
        return sorted(self.sums)


@pytest.mark.parametrize(("batch_tokens", "row_tokens"), CUTS)
def test_a_token_set_holds_the_relations_within_it(batch_tokens, row_tokens):
    """Pairs of neighbours are those whose two tokens are in the token set, however windows are batched."""
    windows = windows_of(LENGTHS)
    states = cloud(windows, 2)
    got = {}
    metric = aniso.Metric("pairs", lambda sums: got.setdefault(len(got), sums) and 0.0, over=Neighbours)
    measured = folded([metric], windows, states, batch_tokens, row_tokens)
    assert not measured.failures
    found = iter(got.values())
    for held in states.values():
        for classes in TOKEN_SETS.values():
            inside = [np.isin(classes_of(window), classes) for window in held]
            want = [
                (window[1:, 0] + window[:-1, 0])[among[1:] & among[:-1]]
                for window, among in zip(held, inside, strict=True)
            ]
            assert next(found) == pytest.approx(np.sort(np.concatenate(want)))


def test_copies_of_tokens_are_whole():
    """Tokens that are taken or copied keep all that they came with, in the order of the index."""
    tokens = Tokens.of(torch.arange(12.0).reshape(6, 2))
    given = tokens.take(torch.arange(6))
    whole = Tokens(**(vars(given) | {"before": -given.states, "window": given.position, "own": given.position > 2}))
    for made, order in ((whole.take(torch.tensor([4, 1])), [4, 1]), (whole.copied(), list(range(6)))):
        for name, tensor in whole.tensors.items():
            assert getattr(made, name).tolist() == tensor[order].tolist()
            assert getattr(made, name).data_ptr() != tensor.data_ptr()
