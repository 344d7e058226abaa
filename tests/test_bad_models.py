"""Models as they come: damaged, hostile, of another kind or not there; no code of theirs runs, no traceback."""

import json
import pickle
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import FEW
from safetensors.torch import load_file, save_file

from aniso_core import store
from aniso_core.contracts import ModelRequest
from aniso_core.errors import AnisoError
from aniso_core.records import Profile
from aniso_core.weights import open_model

EVIL = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
Path({flag!r}).touch()
class Evil: pass
"""


def _edit(folder: Path, **changes) -> None:
    """Change keys of a folder's config.json; None takes a key out."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}), encoding="utf-8")


def _reweigh(folder: Path, change) -> None:
    """Let `change` edit the folder's tensors by name."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def _plant(folder: Path, flag: Path) -> None:
    """Put code into the folder that would leave a file at `flag` if it ran."""
    for name in ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py"):
        (folder / name).write_text(EVIL.format(flag=str(flag)), encoding="utf-8")


AUTO_MAP = {
    "AutoConfig": "configuration_evil.Evil",
    "AutoModel": "modeling_evil.Evil",
    "AutoModelForCausalLM": "modeling_evil.Evil",
    "AutoTokenizer": ["tokenization_evil.Evil", "tokenization_evil.Evil"],
}


# Where the model is


@pytest.mark.parametrize(
    "name", ["no such model", "tiny2", "./absent", "/absent/model", "~nobody_here/model", "x" * 5000]
)
def test_a_name_that_is_nothing_lists_the_presets(name, refused):
    """A model that is no preset, folder, file or hub id is refused and the presets are listed."""
    refused(
        "--adapter", "pythia", "--model", name, wants=("There is no model", "presets? .*tiny", "no folder", "ORG/NAME")
    )


def test_the_nearest_preset_comes_first(refused):
    """A misspelt preset is answered by the nearest one."""
    refused("--adapter", "pythia", "--model", "pythia-410", wants=(r"those are pythia-410m",))


def test_an_adapter_without_presets_asks_for_a_model(refused):
    """The adapter `auto` without --model says that one is needed."""
    refused("--adapter", "auto", wants=("no model of its own", "--model"))


def test_a_preset_of_another_adapter_is_told_where_it_is(refused):
    """A preset that another adapter has is refused with that adapter's name."""
    refused("--model", "gemma-2b", wants=("preset of adapter gemma", "--adapter gemma"))


def test_another_file_is_no_model(tmp_path, refused):
    """A file that is no .gguf is refused and told what would do."""
    (tmp_path / "model.pt").write_bytes(b"x")
    refused("--model", tmp_path / "model.pt", wants=("no .gguf", "folder with config.json"))


@pytest.mark.parametrize("option", ["--revision", "--trust-remote-code"])
def test_options_of_hub_models_are_refused_on_a_folder(option, refused):
    """--revision and --trust-remote-code mean nothing on a local model and are refused, not ignored."""
    refused(option, "a/b@" + "0" * 40, wants=("hub id", option))


# The config


@pytest.mark.parametrize(
    ("spoil", "wants"),
    [
        (lambda path: path.unlink(), ("no readable config.json", "give a folder")),
        (lambda path: path.write_text("{"), (r"config\.json", "not JSON")),
        (lambda path: path.write_text("[" * 200_000), (r"config\.json", "not JSON")),
        (lambda path: path.write_text("[]"), (r"config\.json", "no model_type")),
        (lambda path: path.write_text('{"model_type": 3}'), (r"config\.json", "no model_type")),
        (lambda path: path.write_bytes(b"\xff\xfe{}"), (r"config\.json",)),
        (lambda path: path.write_text(" " * 1_000_001 + "{}"), ("1000003 bytes", "at most 1000000")),
        (lambda path: path.write_text('{"a":' * 900 + "1" + "}" * 900), (r"config\.json",)),
    ],
    ids=["absent", "torn", "deep list", "list", "odd type", "not text", "huge", "deep object"],
)
def test_an_unreadable_config_is_refused(spoil, wants, copied, refused):
    """A config.json that is absent, torn, deep, huge or of another form is refused by name."""
    spoil(copied / "config.json")
    refused("--model", copied, wants=wants)


@pytest.mark.parametrize(
    ("changes", "wants"),
    [
        ({"num_hidden_layers": 0}, ("0 blocks", "1 or more")),
        ({"num_hidden_layers": -1}, ("-1 blocks", "1 or more")),
        ({"num_hidden_layers": "two"}, ()),
        ({"hidden_size": "wide"}, ()),
        ({"vocab_size": -5}, ()),
        ({"num_attention_heads": 0}, ()),
        ({"hidden_size": 32}, ("another shape|shape",)),
        ({"num_hidden_layers": 3}, ("lack", "layers.2")),
        ({"num_hidden_layers": 1}, ("no place for", "layers.1")),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, ()),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_config_that_does_not_fit_is_refused(changes, wants, copied, refused):
    """A config of impossible sizes, or of other sizes than the weights have, is refused, never measured at random."""
    _edit(copied, **changes)
    refused("--model", copied, wants=("model", *wants))


def test_an_unknown_architecture_is_refused(copied, refused):
    """A model_type that transformers does not know is named; without code of its own there is no hint at running it."""
    _edit(copied, model_type="evil", architectures=None)
    said = refused("--model", copied, wants=("no architecture 'evil'",))
    assert "--trust-remote-code" not in said


def test_code_of_an_unknown_architecture_does_not_run(copied, tmp_path, refused, monkeypatch):
    """A folder that brings its own code is refused with the option that would run a hub's; a piped yes runs nothing."""
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))
    _plant(copied, tmp_path / "flag")
    _edit(copied, model_type="evil", auto_map=AUTO_MAP, trust_remote_code=True)
    refused("--model", copied, wants=("no architecture 'evil'", "auto_map", "--trust-remote-code ORG/NAME@COMMIT"))
    assert not (tmp_path / "flag").exists()


def _measured(aniso, model: Path, out: Path, *options: object) -> Profile:
    """Return the profile of a model that must be measured."""
    ran = aniso("profile", "--model", model, "--prompts", model.parent / "p.txt", *FEW, *options, "--out", out)
    assert ran.code == 0, ran.err
    return store.load(out)


def test_code_of_a_known_architecture_does_not_run(copied, tmp_path, aniso):
    """Where config and tokenizer name classes of their own for a known type, the library's are used instead."""
    (tmp_path / "p.txt").write_text("one two three\nfour five six\n", encoding="utf-8")
    plain = _measured(aniso, copied, tmp_path / "plain")
    _plant(copied, tmp_path / "flag")
    _edit(copied, auto_map=AUTO_MAP, trust_remote_code=True)
    path = copied / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": AUTO_MAP}), encoding="utf-8")
    hostile = _measured(aniso, copied, tmp_path / "run")
    assert not (tmp_path / "flag").exists()
    assert hostile.model.architecture == "GPTNeoXModel"
    assert hostile.curves == plain.curves


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attn_implementation", "org/repo"),
        ("_attn_implementation", "org/repo"),
        ("_attn_implementation_internal", "org/repo"),
        ("experts_implementation", "org/repo"),
        ("fusion_config", {"rope": True}),
        ("tie_last_hidden_states", False),
    ],
)
def test_keys_that_choose_code_or_states_are_ignored_and_noted(key, value, copied, tmp_path, aniso):
    """A config cannot choose attention code or change what a last state is: the key is ignored and a note says so."""
    (tmp_path / "p.txt").write_text("one two three\nfour five six\n", encoding="utf-8")
    plain = _measured(aniso, copied, tmp_path / "plain")
    _edit(copied, **{key: value})
    given = _measured(aniso, copied, tmp_path / "run")
    assert any(key in note and "ignored" in note for note in given.model.notes)
    assert given.curves == plain.curves


def test_an_encoder_decoder_is_refused(make_model, refused):
    """An encoder with a decoder has no single residual stream and is refused."""
    fields = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
    folder = make_model("t5", "tiny-t5", **fields)
    refused("--model", folder, wants=("encoder with a decoder", "decoders or encoders alone"))


def test_another_family_is_refused_by_a_family_adapter(neox, refused):
    """The Gemma adapter refuses a GPT-NeoX folder and names the adapter that takes it."""
    refused("--adapter", "gemma", "--model", neox, wants=("Adapter gemma opens gemma", "gpt_neox", "--adapter auto"))


def test_a_tokenizer_of_another_model_is_refused(make_model, refused):
    """A tokenizer whose ids outgrow the model's vocabulary is refused, not met by an index error."""
    folder = make_model("gpt_neox", "small-vocabulary", vocab_size=40)
    refused("--model", folder, wants=("vocabulary|token",))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_refused(name, copied, refused):
    """A tokenizer file that is torn is refused in one sentence."""
    (copied / name).write_text('{"a": ', encoding="utf-8")
    refused("--model", copied, wants=("Cannot load model", "fetch them again"))


# The weights


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, 1000, 0.5, -1])
def test_truncated_weights_are_refused(kept, copied, refused):
    """A safetensors file cut short anywhere is refused by name."""
    path = copied / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    refused("--model", copied, wants=(r"model\.safetensors", "damaged", "fetch them again"))


def test_mutated_headers_never_end_in_a_traceback(copied):
    """A hundred headers with a few bytes changed each load as they stand or are refused in one sentence."""
    path, chance = copied / "model.safetensors", random.Random(20)  # noqa: S311 - seeded, not secret
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    refusals = 0
    for _ in range(100):
        spoiled = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(header)] = chance.randrange(256)
        path.write_bytes(spoiled)
        try:
            open_model(ModelRequest(model=str(copied)))
        except AnisoError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 50


@pytest.mark.parametrize(
    ("change", "wants"),
    [
        (lambda t: t.pop("layers.1.mlp.dense_h_to_4h.weight"), ("lack 1 tensor", "layers.1.mlp.dense_h_to_4h.weight")),
        (lambda t: t.update({"layers.1.mlp.extra.weight": torch.ones(2)}), ("no place for 1 tensor", "mlp.extra")),
        (lambda t: t.update({"final_layer_norm.weight": torch.ones(17)}), ("shape", "final_layer_norm.weight")),
    ],
    ids=["missing", "extra", "misshapen"],
)
def test_tensors_that_do_not_fit_are_refused(change, wants, copied, refused):
    """A tensor missing, left over inside the trunk or of another shape is named; nothing is filled in at random."""
    _reweigh(copied, change)
    refused("--model", copied, wants=wants)


def test_a_head_beside_the_trunk_is_allowed(copied, tmp_path, aniso):
    """Tensors of a language-model head are not needed and do not disturb."""
    (tmp_path / "p.txt").write_text("one two three\nfour five six\n", encoding="utf-8")
    plain = _measured(aniso, copied, tmp_path / "plain")
    _reweigh(copied, lambda tensors: tensors.update({"embed_out.weight": torch.ones(300, 16)}))
    assert _measured(aniso, copied, tmp_path / "run").curves == plain.curves


class Malice:
    """Touches a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        """Remember which file."""
        self.flag = str(flag)

    def __reduce__(self):
        """Return the call that touches the file."""
        return (open, (self.flag, "w"))


@pytest.mark.parametrize("option", [(), ("--allow-pickle",)], ids=["refused", "allowed"])
def test_a_malicious_pickle_does_not_run(option, copied, tmp_path, refused):
    """Pickled weights are refused before they are opened; --allow-pickle reads tensors alone and runs nothing."""
    flag = tmp_path / "flag"
    (copied / "model.safetensors").unlink()
    with (copied / "pytorch_model.bin").open("wb") as stream:
        torch.save({"embed_in.weight": Malice(flag)}, stream)
    wants = ("Cannot load", "fetch them again") if option else (r"no \.safetensors", "a pickle", "--allow-pickle")
    refused("--model", copied, *option, wants=wants)
    assert not flag.exists()


def test_a_bare_malicious_pickle_does_not_run(copied, tmp_path, refused):
    """A file that is a plain pickle and no checkpoint runs nothing either."""
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(pickle.dumps(Malice(tmp_path / "flag")))
    refused("--model", copied, "--allow-pickle", wants=("Cannot load",))
    assert not (tmp_path / "flag").exists()


def test_an_honest_pickle_is_read_when_allowed_and_noted(copied, tmp_path, aniso):
    """--allow-pickle reads an old checkpoint to the same curves, and run.json says that it was a pickle."""
    (tmp_path / "p.txt").write_text("one two three\nfour five six\n", encoding="utf-8")
    plain = _measured(aniso, copied, tmp_path / "plain")
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    assert _measured(aniso, copied, tmp_path / "run", "--allow-pickle").curves == plain.curves
    record = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert any("pickle" in note for note in record["model"]["notes"])
    assert record["request"]["allow_pickle"] is True


@pytest.mark.parametrize("base", [False, True], ids=["alone", "beside a config"])
def test_adapter_weights_are_refused(base, copied, refused):
    """A folder of LoRA weights is refused as what it is, whether or not a config lies beside it."""
    (copied / "model.safetensors").rename(copied / "adapter_model.safetensors")
    (copied / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "peft_type": "LORA"}')
    if not base:
        (copied / "config.json").unlink()
    refused("--model", copied, wants=("adapter weights", "merge"))


def _gguf(path: Path, blocks: int = 1) -> bytes:
    """Return the bytes of a tiny honest-looking GGUF file, also written to `path`."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(blocks)
    writer.add_context_length(32)
    writer.add_embedding_length(16)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{number}" for number in range(30)])
    writer.add_token_merges(["t 1"])
    writer.add_tensor("token_embd.weight", np.ones((30, 16), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(16, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_gguf_garbage_is_refused(tmp_path):
    """Random bytes, torn headers and twenty mutants of a GGUF file are refused in one sentence each."""
    path, chance = tmp_path / "model.gguf", random.Random(3)  # noqa: S311 - seeded, not secret
    honest = _gguf(tmp_path / "honest.gguf")
    cases = [b"", b"GGUF", honest[:20], honest[:200], honest[: len(honest) // 2], chance.randbytes(3000)]
    for _ in range(20):
        mutant = bytearray(honest)
        for _ in range(3):
            mutant[chance.randrange(4, 600)] = chance.randrange(256)
        cases.append(bytes(mutant))
    for data in cases:
        path.write_bytes(data)
        with pytest.raises(AnisoError) as refusal:
            open_model(ModelRequest(model=str(path)))
        assert "\n" not in str(refusal.value)
        assert "model" in str(refusal.value)


def test_code_beside_a_gguf_file_does_not_run(tmp_path, monkeypatch):
    """A tokenizer_config.json beside a .gguf file that names code is not asked, even where stdin says yes."""
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))
    folder = tmp_path / "model"
    folder.mkdir()
    _gguf(folder / "model.gguf")
    _plant(folder, tmp_path / "flag")
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": AUTO_MAP}), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": AUTO_MAP}), encoding="utf-8")
    with pytest.raises(AnisoError):
        open_model(ModelRequest(model=str(folder / "model.gguf")))
    assert not (tmp_path / "flag").exists()


# Where it runs


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        (("--device", "toaster"), ("no device 'toaster'", "cpu")),
        (("--device", "meta"), ("device",)),
        (("--device", "cuda:99"), ("no device cuda:99", "--device cpu")),
        (("--device-map", "{torn"), ("device.map",)),
        (("--device-map", "nonsense"), ("nonsense", "auto")),
        (("--device", "mps"), ("device mps", "cpu")),
        (("--device", "cpu", "--device-map", "auto"), ("--device and --device-map",)),
        (("--offload-folder", "x"), ("--offload-folder", "--device-map")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_impossible_device_is_refused(options, wants, refused):
    """A device or device map that makes no sense here is refused by name."""
    refused(*options, wants=wants)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_cuda_is_refused(refused):
    """--device cuda on a machine without one says how many it has and what to use."""
    refused("--device", "cuda", wants=("0 CUDA devices", "--device cpu"))


def test_states_beyond_float16_are_refused_with_advice(gemma, tmp_path, refused):
    """A Gemma model whose states outgrow float16 is stopped at the first such site, with the dtype that would do."""
    folder = Path(shutil.copytree(gemma, tmp_path / "large"))
    _reweigh(folder, lambda tensors: tensors["embed_tokens.weight"].fill_(30_000.0))
    refused("--model", folder, "--dtype", "float16", wants=(r"0\.residual", "float16", "65504", "bfloat16 or float32"))


@pytest.mark.parametrize(
    ("tensor", "site"),
    [
        ("embed_in.weight", "0.residual"),
        ("layers.0.mlp.dense_4h_to_h.bias", "1.residual"),
        ("final_layer_norm.weight", "2.normed"),
    ],
)
def test_a_weight_that_is_no_number_is_found(tensor, site, copied, refused):
    """A NaN in a weight stops the run at the first site that it reaches, and the message says to check the weights."""
    _reweigh(copied, lambda tensors: tensors[tensor].fill_(float("nan")))
    refused("--model", copied, wants=(rf"site {site}", "not finite", "float32", "check the weights"))


def test_one_block_is_measured_and_its_shape_is_not_testable(make_model, tmp_path, aniso):
    """A model of one block has a profile; hypotheses about a profile's shape say that they cannot be tested."""
    folder = make_model("gpt_neox", "lone", num_hidden_layers=1)
    (folder.parent / "p.txt").write_text("one two three\nfour five six\n", encoding="utf-8")
    profile = _measured(aniso, folder, tmp_path / "run", "--hypothesis", "bell-curve", "--hypothesis", "three-phases")
    assert profile.curve("norm-mean").layers == (0, 1)
    verdicts = store.load_judged(tmp_path / "run").verdicts
    assert {v.hypothesis for v in verdicts} == {"bell-curve", "three-phases"}
    assert {v.outcome for v in verdicts} == {"not_testable"}
    assert all("needs" in v.because for v in verdicts)


# The hub


def test_offline_without_a_cached_copy_is_refused_at_once(refused, monkeypatch):
    """--offline with nothing cached is refused without a connection and says what needs no network."""
    import socket

    def forbidden(*_args, **_more):
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    refused(
        *("--adapter", "pythia", "--model", "pythia-70m", "--offline"),
        wants=(
            "EleutherAI/pythia-70m is no folder here, not in the cache",
            "offline was asked for",
            "needs no network",
            "tiny",
        ),
    )


def _hub_error(name: str) -> Exception:
    """Return a real error of huggingface_hub with a real response of the client that it uses."""
    from huggingface_hub import errors
    from huggingface_hub.utils import _http

    client = next(value for key, value in vars(_http).items() if key.startswith("httpx"))
    if name == "ReadTimeout":
        return client.ReadTimeout("too slow")
    if not issubclass(getattr(errors, name), errors.HfHubHTTPError):
        return getattr(errors, name)("not there")
    request = client.Request("GET", "https://hub.invalid/api/models/org/name")
    return getattr(errors, name)("401 Client Error", response=client.Response(401, request=request))


@pytest.mark.parametrize(
    ("error", "wants"),
    [
        ("GatedRepoError", ("google/gemma-2b is gated", "accept its licence", "hf auth login", "HF_TOKEN", "tiny")),
        (
            "RepositoryNotFoundError",
            ("no folder google/gemma-2b here", "check the name", "hf auth login"),
        ),
        ("RevisionNotFoundError", ("google/gemma-2b has no revision 'step9'", "branches and tags")),
        (
            "LocalEntryNotFoundError",
            ("google/gemma-2b is .*not in the cache", "hub cannot be reached", "no network"),
        ),
        ("HfHubHTTPError", ("hub cannot be reached", "HfHubHTTPError")),
        ("ReadTimeout", ("hub cannot be reached", "ReadTimeout")),
    ],
)
def test_what_the_hub_answers_becomes_advice(error, wants, refused, monkeypatch):
    """Each refusal of the hub becomes one sentence that names the model and says what to do."""

    def refuse(*_args, **_more):
        raise _hub_error(error)

    monkeypatch.setattr("aniso_core.hub.snapshot_download", refuse)
    refused("--adapter", "gemma", "--model", "gemma-2b", "--revision", "step9", wants=wants)


@pytest.mark.parametrize("given", ["yes", "org/other@" + "a" * 40, "org/name@main", "org/name@" + "a" * 39])
def test_trust_wants_this_very_commit(given, refused):
    """--trust-remote-code wants the model's own id at a full commit; anything else is refused unasked."""
    refused("--model", "org/name", "--trust-remote-code", given, wants=("org/name@COMMIT", "40-digit", given))


def test_a_hostile_model_name_is_shown_escaped(refused):
    """Terminal commands and direction overrides in a model's name are shown, not obeyed."""
    said = refused("--model", "evil\x1b[31m\u202eeman", wants=(r"evil\\+x1b\[31m\\+u202eeman",))
    assert said.isprintable()


# Files that lead elsewhere


def _index(folder: Path, *names: str) -> None:
    tensors = dict.fromkeys(load_file(folder / "model.safetensors"), names[0])
    tensors |= dict.fromkeys(list(tensors)[: len(names) - 1], names[-1])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": tensors}))


@pytest.mark.parametrize("name", ["z.bin", "sub/x.safetensors", "../x.safetensors"])
def test_an_index_that_leads_elsewhere_is_refused(name, copied, refused):
    """An index that names other files than the weights that are checked and hashed is refused, with their names."""
    _index(copied, "model.safetensors", name)
    refused("--model", copied, wants=(re.escape(name), "index", "fetch it again"))


@pytest.mark.parametrize("text", ["[", "{}", '{"weight_map": 3}'])
def test_a_damaged_index_is_refused(text, copied, refused):
    """An index that is no index is refused by name."""
    (copied / "model.safetensors.index.json").write_text(text)
    refused("--model", copied, wants=("model.safetensors.index.json", "damaged"))


def test_an_index_of_the_weights_themselves_is_taken(copied, measure):
    """A folder whose index names its own weights is measured."""
    _index(copied, "model.safetensors")
    assert measure(*FEW, model=copied).code == 0


def test_trusted_code_of_another_repository_is_refused(copied):
    """A trusted commit that takes its code from another repository is refused: only its own was trusted."""
    from aniso_core.sources import Source
    from aniso_core.vetting import check_code

    config = json.loads((copied / "config.json").read_text())
    check_code(Source("hub", copied, "someone/model"))
    config["auto_map"] = {"AutoModel": "elsewhere/code--modeling.Model"}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(AnisoError, match="another repository"):
        check_code(Source("hub", copied, "someone/model"))
