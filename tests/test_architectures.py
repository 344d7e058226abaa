"""Every architecture of tests/models.py as a tiny random model: family, sites, and states that never depend on
how windows were padded, batched or ordered."""

import copy
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from models import KINDS, VOCABULARY, WIDTH, Kind, tiny
from torch import nn
from transformers import GPT2Config, T5Config, T5Model

from aniso_core import engine
from aniso_core.anatomy import dissect
from aniso_core.batches import plan_batches
from aniso_core.errors import AnisoError
from aniso_core.families import apply_norm, recognise
from aniso_core.metrics import aniso_metrics
from aniso_core.records import Site
from aniso_core.testing.adapter import states_of
from aniso_core.tokens import Document, Window
from aniso_core.transformer import TransformerProbe, describe

BY_NAME = {kind.name: kind for kind in KINDS}
# Encoders, biases by distance and positions counted from the mask: their windows are told apart by padding alone.
UNPACKED = {"opt", "bloom", "falcon", "falcon-new", "bert", "roberta"}
LENGTHS = (3, 11, 7, 1, 20, 11)
# Float32 states of another batch differ by rounding alone (measured at most 4.3e-6 on a 30-layer model).
TOLERANCE = 2e-5


class Letters:
    """A tokenizer of one id a letter, without special tokens; real enough to make windows."""

    bos_token_id = 0
    model_max_length = 10**30

    def __call__(self, text, **_):
        return {"input_ids": [1 + ord(char) % (VOCABULARY - 1) for char in text]}

    def convert_ids_to_tokens(self, ids):
        return [str(i) for i in ids]


def opened(kind: Kind) -> TransformerProbe:
    model = tiny(kind)
    return TransformerProbe(model, Letters(), lambda anatomy: describe(model, anatomy, name=kind.name, source="memory"))


def windows() -> list[Window]:
    rng = np.random.default_rng(1)
    return [Window(tuple(map(int, rng.integers(2, VOCABULARY, n))), i, 0, 0) for i, n in enumerate(LENGTHS)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_family_and_sites_are_found(kind):
    """The norm's kind, its place and the sites of each architecture are those that its paper describes."""
    probe = opened(kind)
    assert (probe.info.norm, probe.info.placement) == (kind.norm, kind.placement)
    assert [s.layer for s in probe.sites if s.stream == "residual"] == [0, 1, 2, 3]
    assert tuple(s.layer for s in probe.sites if s.stream == "normed") == kind.normed
    assert (probe.info.layers, probe.info.width) == (3, WIDTH)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_states_do_not_depend_on_padding_batching_or_order(kind):
    """A token's state is the same alone, padded beside longer windows, and in any order."""
    probe = opened(kind)
    alone = states_of(probe, plan_batches(windows(), 1))
    together = states_of(probe, plan_batches(windows(), 10_000))
    backwards = states_of(probe, plan_batches(windows()[::-1], 24))
    assert len(alone) == len(probe.sites) * sum(LENGTHS)
    for other in (together, backwards):
        assert other.keys() == alone.keys()
        for key, state in alone.items():
            assert float((other[key] - state).norm() / state.norm()) < TOLERANCE, key


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_windows_share_rows_only_where_they_cannot_see_each_other(kind):
    """Models that tell windows in a row apart have the same states packed; the others never get packed rows."""
    probe = opened(kind)
    assert (probe.row_tokens > 0) == (kind.name not in UNPACKED)
    packed = plan_batches(windows(), 10_000, 25)
    assert packed[0].packed
    alone, together = states_of(probe, plan_batches(windows(), 1)), states_of(probe, packed)
    assert together.keys() == alone.keys()
    off = max(float((together[key] - state).norm() / state.norm()) for key, state in alone.items())
    assert (off < TOLERANCE) == (probe.row_tokens > 0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_paper_view_is_output_hidden_states(kind):
    """Residual 0..L-1 and the final norm's output are what transformers publishes, and the last differs before it."""
    model = tiny(kind)
    probe = TransformerProbe(model, Letters(), describe(model, dissect(model), name="x", source="memory"))
    window = windows()[4]
    with torch.inference_mode():
        published = model(input_ids=torch.tensor([window.ids]), output_hidden_states=True).hidden_states
    read = states_of(probe, plan_batches([window], 1))
    final = Site(3, "normed") if Site(3, "normed") in probe.sites else Site(3, "residual")
    for layer, states in enumerate(published):
        site = Site(layer, "residual") if layer < 3 else final
        ours = torch.stack([read[site, window.document, at] for at in range(len(window.ids))])
        assert torch.allclose(ours, states[0], rtol=1e-5, atol=1e-6), site.key
    if final.stream == "normed":
        before = torch.stack([read[Site(3, "residual"), window.document, at] for at in range(len(window.ids))])
        assert not torch.allclose(before, published[-1][0], rtol=1e-2)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.normed], ids=lambda kind: kind.name)
def test_norm_explains_the_normed_stream(kind):
    """The recognised gain, bias and eps turn each residual state into the normed one."""
    probe = opened(kind)
    read = states_of(probe, plan_batches(windows(), 64))
    for layer in kind.normed:
        norm = probe.norm_at(Site(layer, "normed"))
        pairs = [
            (read[Site(layer, "residual"), d, p], s) for (site, d, p), s in read.items() if site == (layer, "normed")
        ]
        for residual, normed in pairs:
            made = apply_norm(norm, residual.double().numpy())
            assert np.allclose(made, normed.double().numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", [torch.nn.RMSNorm, torch.nn.LayerNorm])
@pytest.mark.parametrize("width", [2, 768, 4096])
def test_norms_of_wide_states_are_recognised(norm, width):
    """However wide a norm is, its kind, gain and eps are found: it is asked about no coordinate near zero."""
    module = norm(width, eps=1e-6)
    gain = torch.linspace(0.5, 2, width)
    module.weight.data.copy_(gain)

    def apply(x):
        with torch.inference_mode():
            return module(torch.from_numpy(x).float()).double().numpy()

    found = recognise(apply, width)
    assert found.kind == norm.__name__.lower()
    assert found.gain == pytest.approx(gain.double().numpy(), rel=1e-5)
    assert found.eps == pytest.approx(1e-6, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "gain", "bias"),
    [
        ("gemma", lambda m: 1 + m.weight, None),
        ("llama", lambda m: m.weight, None),
        ("gpt-neox", lambda m: m.weight, "bias"),
    ],
)
def test_effective_gain_is_the_factor_that_is_applied(name, gain, bias):
    """Gemma's effective gain is 1 + w, Llama's is w; LayerNorm has a bias as well; eps is the module's own."""
    probe = opened(BY_NAME[name])
    module, norm = probe.anatomy.final_norm, probe.norm_at(Site(3, "normed"))
    assert np.allclose(norm.gain, gain(module).detach().numpy(), rtol=1e-4)
    assert (norm.bias is None) == (bias is None)
    if bias is not None:
        assert np.allclose(norm.bias, module.bias.detach().numpy(), atol=1e-5)
    eps = getattr(module, "eps", None) or module.variance_epsilon
    assert norm.eps == pytest.approx(eps, rel=0.05)


def test_model_is_left_as_it_was():
    """Training mode and hooks are what they were, after a reading and after an exception in one."""
    model = tiny(BY_NAME["llama"]).train()
    probe = TransformerProbe(model, Letters(), describe(model, dissect(model), name="x", source="memory"))
    before = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]

    def raising(_site, _states):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), probe.reading(probe.sites, raising) as run:
        run(plan_batches(windows(), 64)[0])
    with probe.reading(probe.sites, lambda _site, _states: None) as run:
        run(plan_batches(windows(), 64)[0])
    assert model.training
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == before


def test_dropout_of_a_model_in_training_mode_is_off():
    """A model that was built from a config trains; its states are still the same twice."""
    model = tiny(BY_NAME["gpt2"]).train()
    probe = TransformerProbe(model, Letters(), describe(model, dissect(model), name="x", source="memory"))
    first, second = (states_of(probe, plan_batches(windows(), 64)) for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_encoder_with_decoder_is_refused():
    """A T5 is refused with the reason."""
    with pytest.raises(AnisoError, match="decoders or encoders alone"):
        dissect(T5Model(T5Config(vocab_size=50, d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=2)))


def test_what_is_no_transformer_is_refused():
    """A bare module is refused with what was wanted."""
    with pytest.raises(AnisoError, match="Wanted a transformers model, got Linear"):
        dissect(nn.Linear(2, 2))


def test_model_that_publishes_other_states_is_refused():
    """A model whose published states are not those of its blocks is refused with the site."""
    model = tiny(BY_NAME["gpt2"])
    honest = model.forward

    def lying(*args, **kwargs):
        output = honest(*args, **kwargs)
        output["hidden_states"] = (*output.hidden_states[:2], output.hidden_states[2] + 1, output.hidden_states[3])
        return output

    model.forward = lying
    with pytest.raises(AnisoError, match=r"other states at 2\.residual"):
        dissect(model)


def test_state_changed_behind_the_last_block_is_refused():
    """A projection after the last block means that the last site is not what the model puts out."""
    model = tiny(BY_NAME["opt"])
    model.decoder.final_layer_norm = nn.Linear(WIDTH, WIDTH)
    with pytest.raises(AnisoError, match="something other than a norm"):
        dissect(model)


@pytest.mark.parametrize("places", ["cpu", "disk"])
def test_offloaded_weights_give_the_same_states(places, tmp_path):
    """Under accelerate's offload to CPU or disk the states and the gains are those of the model in memory."""
    from accelerate import cpu_offload, disk_offload

    model = tiny(BY_NAME["gemma"])
    here = TransformerProbe(model, Letters(), describe(model, dissect(model), name="x", source="memory"))
    want = states_of(here, plan_batches(windows(), 64))
    gains = {site: here.norm_at(site).gain for site in here.sites if site.stream == "normed"}
    away = copy.deepcopy(model)
    if places == "cpu":
        cpu_offload(away, execution_device=torch.device("cpu"))
    else:
        disk_offload(away, str(tmp_path), execution_device=torch.device("cpu"))
    assert next(away.parameters()).device.type == "meta"
    there = TransformerProbe(away, Letters(), describe(away, dissect(away), name="x", source="memory"))
    got = states_of(there, plan_batches(windows(), 64))
    assert there.info.device == "offloaded"
    assert all(torch.equal(got[key], want[key]) for key in want)
    for site, gain in gains.items():
        assert np.allclose(there.norm_at(site).gain, gain)


def test_longest_window_is_what_positions_allow():
    """RoBERTa numbers positions from after its padding index, so its table of 66 serves windows of 64."""
    assert opened(BY_NAME["roberta"]).context == 64
    assert opened(BY_NAME["gpt2"]).context == 64
    assert GPT2Config().n_positions > 64


def test_hooks_are_only_there_inside_a_reading():
    """Outside a reading the model has no hook of ours, inside it one for each site."""
    probe = opened(BY_NAME["llama"])

    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in probe.anatomy.trunk.modules())

    idle = hooks()
    with ExitStack() as stack:
        stack.enter_context(probe.reading(probe.sites, lambda _site, _states: None))
        assert hooks() == idle + len(probe.sites)
    assert hooks() == idle


class ClampNorm(nn.Module):
    """A module that is called a norm and is neither LayerNorm nor RMSNorm."""

    def forward(self, states):
        return states.clamp(-1, 1)


def test_a_norm_of_no_known_kind_is_read_and_left_unnamed():
    """States behind a module that is neither kind of norm are measured; only its kind stays open."""
    model = tiny(BY_NAME["llama"])
    for block in model.layers:
        block.input_layernorm = ClampNorm()
    probe = TransformerProbe(model, Letters(), lambda anatomy: describe(model, anatomy, name="x", source="memory"))
    assert probe.info.norm is None
    assert probe.norm_at(Site(0, "normed")) is None
    profile = engine.profile(
        probe, [Document("1", "a few letters"), Document("2", "and more")], engine.Plan(aniso_metrics()), "x"
    )
    assert [norm.layer for norm in profile.norms] == [3]
    assert profile.curve("norm-mean", "normed").at(0) is not None
