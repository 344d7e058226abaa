"""The costs of a profile by arithmetic, beside what the engine holds and does."""

from dataclasses import replace

import at_scale
import costs
import hardware
import numpy as np
import pytest
import torch

from aniso_core import sums
from aniso_core.running import RunningMoments
from aniso_core.states import pack
from aniso_core.tokens import Tokens


def running(width, tokens, units=0, seed=0):
    """Return running moments of random tokens, spread over units from 0."""
    given = Tokens.of(torch.from_numpy(np.random.default_rng(seed).standard_normal((tokens, width), np.float32)))
    runs = tuple((unit, tokens // units) for unit in range(units)) if units else ()
    moments = RunningMoments()
    moments.update(replace(given, runs=runs))
    return moments


def held(moments):
    return sum(array.nbytes for array in pack(moments).arrays)


@pytest.mark.parametrize("width", [96, 128, 384, 600, 1100])
@pytest.mark.parametrize("units", [0, 1, 4])
def test_sums_weigh_what_is_predicted(width, units):
    """A state's arrays have the predicted bytes, with what units hold and without."""
    predicted = costs.sums_bytes(width) + (costs.units_bytes(width, units) if units else 0)
    # Block rows of a width that they do not divide are rounded to whole rows.
    assert held(running(width, 1200, units)) == pytest.approx(predicted, rel=1e-5)


def test_merged_units_weigh_what_is_predicted():
    """What units hold grows by the predicted bytes when shards are merged, and no more with further ones."""
    width, whole = 128, running(128, 1200, 2)
    predicted = costs.sums_bytes(width) + costs.units_bytes(width, 2) + costs.merged_units_bytes(width, 2)
    whole = whole.merge(running(width, 1200, 2, 1))
    for number in range(2, 6):
        whole = whole.merge(running(width, 1200, 2, number))
        assert held(whole) == pytest.approx(predicted, rel=1e-3)


@pytest.mark.parametrize("width", [64, 128, 300, 576, 1024, 4096])
def test_the_share_of_block_rows_is_the_engines(width):
    """The share of a square matrix is that of the block rows that the engine multiplies."""
    area = sum((stop - start) * stop for start, stop in sums._block_rows(width))
    assert costs.share(width) == pytest.approx(area / width**2, rel=0.01)


@pytest.mark.parametrize(("name", "weights"), [("410M", 302_311_424), ("1.4B", 1_208_602_624), ("2.8B", 2_517_652_480)])
def test_shapes_have_the_published_weights(name, weights):
    """A shape's blocks have the weights that the models' card gives without embeddings."""
    shape = next(shape for shape in hardware.PYTHIA if shape.name == f"Pythia-{name}")
    assert shape.trunk == pytest.approx(weights, rel=2e-3)


def test_more_cards_take_no_longer_without_a_driver():
    """The workers' parts shrink with the cards, and what one driver does stays as it is."""
    card = hardware.CARDS[-1]
    few, many = (at_scale.hours(hardware.PYTHIA_12B, card, count, at_scale.DEFAULT) for count in (8, 64))
    assert many.forward == pytest.approx(few.forward / 8)
    assert many.driver == few.driver


def test_a_model_that_does_not_fit_has_no_hours():
    """A model larger than the cards' memory cannot be planned for."""
    assert at_scale.hours(hardware.LLAMA_2_70B, hardware.CARDS[0], 1, at_scale.DEFAULT) is None
