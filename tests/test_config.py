"""Options from a file: a run repeats itself to the bit, flags win, and what a file gets wrong is one sentence."""

import json
import os
import random
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest

from aniso_core import cli, contracts, hub, sources, store

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FEW = 'metric = ["isoscore", "norm-mean"]\n'


@pytest.fixture
def given(tmp_path, neox, texts):
    """Return a function that writes a file of options for a short run, with more lines, and returns its path."""

    def write(*lines: str, few: str = FEW) -> Path:
        path = tmp_path / "options.toml"
        path.write_text(f'model = "{neox}"\nprompts = "{texts}"\n{few}' + "\n".join(lines), encoding="utf-8")
        return path

    return write


def bare(run: Path):
    """Return the profile of a run without the times at which it was measured."""
    profile = store.load(run)
    return replace(profile, provenance=replace(profile.provenance, started="", seconds=0.0))


def same(one: Path, other: Path) -> None:
    """Assert that two runs are the same to the bit: profile, arrays, verdicts and the file that repeats them."""
    assert bare(one) == bare(other)
    for name in (store.ARRAYS, store.VERDICTS, store.CONFIG):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


# A run repeats itself


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--stream", "residual", "--tokens", "bulk", "--tokens", "all", "--seed", "3", "--bos", "omit"),
        ("--max-length", "7", "--batch-tokens", "16", "--dtype", "float64", "--metric", "norm-mean", "--no-intervals"),
    ],
    ids=lambda options: " ".join(options) or "defaults",
)
def test_a_run_repeats_itself_to_the_bit(options, measure, aniso, tmp_path):
    """`--config RUN/run.toml` gives the same profile, arrays and verdicts, and the same run.toml."""
    first = measure(*options).run
    again = aniso("profile", "--config", first / store.CONFIG, "--out", tmp_path / "again")
    assert again.code == 0, again.err
    same(first, tmp_path / "again")


def test_a_run_repeats_itself_wherever_the_command_runs(aniso, tmp_path, neox, texts, monkeypatch):
    """Paths that were given relative are relative to the run, and hold when the project moves as a whole."""
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    shutil.copytree(neox, project / "data" / "model")
    shutil.copy(texts, project / "data")
    monkeypatch.chdir(project)
    options = ("--model", "data/model", "--prompts", "data/four.txt", "--metric", "isoscore")
    assert aniso("profile", *options, "--out", "runs/one").code == 0
    written = tomllib.loads(Path("runs/one/run.toml").read_text())
    assert (written["model"], written["prompts"]) == ("../../data/model", "../../data/four.txt")
    project.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "data")
    assert aniso("profile", "--config", "../runs/one/run.toml", "--out", "../runs/two").code == 0
    same(tmp_path / "moved/runs/one", tmp_path / "moved/runs/two")


def test_what_was_left_to_aniso_is_written_down(measure):
    """run.toml names the metrics, streams, precision and device that were used, and not where results went."""
    written = tomllib.loads((measure("--json", "--quiet").run / store.CONFIG).read_text())
    assert written["stream"] == ["residual", "normed"]
    assert written["tokens"] == ["all", "no-first", "bulk"]
    assert "isoscore" in written["metric"]
    assert "rankme" not in written["metric"]
    assert (written["dtype"], written["device"], written["adapter"]) == ("float32", "cpu", "auto")
    assert not {"out", "json", "quiet", "config"} & set(written)


def test_a_hub_model_is_pinned_to_its_commit(aniso, neox, texts, tmp_path, monkeypatch):
    """The branch of a hub model is written with its commit; the repeat fetches the commit and is called the same."""
    asked = []

    def fetch(_id, request, _trusted):
        asked.append(request.revision)
        return neox, COMMIT

    monkeypatch.setattr(hub, "fetch", fetch)
    for number, revision in enumerate((("--revision", "step1"), ())):
        options = ("--model", "org/name", "--prompts", texts, "--metric", "isoscore", *revision)
        first, again = tmp_path / f"first{number}", tmp_path / f"again{number}"
        assert aniso("profile", *options, "--out", first).code == 0
        assert aniso("profile", "--config", first / store.CONFIG, "--out", again).code == 0
        same(first, again)
    assert asked == ["step1", COMMIT, None, COMMIT]
    assert [store.load(tmp_path / f"again{n}").model.name for n in (0, 1)] == ["org/name@step1", "org/name"]
    assert tomllib.loads((tmp_path / "first0/run.toml").read_text())["revision"] == f"step1@{COMMIT}"


@pytest.mark.parametrize("revision", ["a@b", f"@{COMMIT[:-1]}", COMMIT])
def test_only_a_whole_commit_pins(revision, neox, monkeypatch):
    """What follows an @ and is no whole commit belongs to the revision's name."""
    asked = []
    monkeypatch.setattr(hub, "fetch", lambda _, request, __: (asked.append(request.revision), (neox, COMMIT))[1])
    found = sources.locate(contracts.ModelRequest("org/name", revision), ())
    assert asked == [revision]
    assert found.name == f"org/name@{revision}"


def test_a_file_name_that_is_no_text_is_no_trouble(aniso, neox, texts, tmp_path):
    """A prompts file whose name is no UTF-8 is measured, and run.toml is TOML all the same."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    shutil.copy(texts, odd)
    ran = aniso("profile", "--model", neox, "--prompts", odd, "--metric", "isoscore", "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert tomllib.loads((tmp_path / "run/run.toml").read_text())["prompts"].endswith("\\udcff.txt")


def test_drawing_again_keeps_the_file(measure, aniso):
    """`aniso report` finds run.toml among the run's records and leaves it as it is."""
    run = measure("--metric", "isoscore").run
    before = (run / store.CONFIG).read_bytes()
    assert aniso("report", run).code == 0
    assert (run / store.CONFIG).read_bytes() == before


def test_a_run_from_python_has_no_such_file(good_run):
    """A model that was in memory cannot be named in a file, and an older run has none."""
    profile = store.load(good_run)
    assert store.CONFIG not in {file.name for file in store.run_files(profile, store.Judged(), {})}


# Files and flags


def test_flags_win_over_the_file(given, aniso, tmp_path):
    """What the command line gives stands in place of the file's, lists as a whole."""
    path = given("seed = 5", 'tokens = ["bulk"]', 'stream = ["residual"]')
    assert (
        aniso("profile", "--config", path, "--metric", "norm-mean", "--seed", "7", "--out", tmp_path / "run").code == 0
    )
    profile = store.load(tmp_path / "run")
    assert {curve.metric for curve in profile.curves} == {"norm-mean"}
    assert {curve.tokens for curve in profile.curves} == {"bulk"}
    assert profile.provenance.seed == 7
    assert store.load_record(tmp_path / "run").request["streams"] == ["residual"]


def test_relative_paths_are_relative_to_the_file(given, aniso, texts, tmp_path, monkeypatch):
    """Prompts and the run's folder are looked for beside the file, wherever the command runs."""
    shutil.copy(texts, tmp_path / "own.txt")
    path = given('out = "sub/run"')
    path.write_text(path.read_text().replace(f'"{texts}"', '"own.txt"'))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "own.txt").write_text("Another text.")
    ran = aniso("profile", "--config", "../options.toml")
    assert (ran.code, ran.out) == (0, "../sub/run\n")
    assert store.load(tmp_path / "sub/run").prompts.documents == 4


def test_names_stay_names(given, aniso, tmp_path):
    """A prompt set of a plugin is itself, though a file of that name lies beside."""
    (tmp_path / "paper3").write_text("x")
    path = given("max-length = 4")
    lines = [line for line in path.read_text().splitlines() if not line.startswith("prompts")]
    path.write_text("\n".join(['prompts = "paper3"', *lines]))
    assert aniso("profile", "--config", path, "--out", tmp_path / "run").code == 0
    assert store.load(tmp_path / "run").prompts.documents == 16


def values(option):
    """Return a value of an option as TOML holds it."""
    if isinstance(option.type, click.Choice):
        one = option.type.choices[0]
    else:
        one = {"integer range": 1, "float range": 1.5}.get(option.type.name, "x")
    return True if option.is_flag else [one] if option.multiple else one


def test_every_option_may_stand_in_a_file(tmp_path, monkeypatch):
    """Each option of `aniso profile` but --config is a key by its name, and arrives as from the command line."""
    import tomli_w

    command = cli.main.get_command(click.Context(cli.main), "profile")
    # --verbose excludes --quiet, which stands for both.
    options = [o for o in command.params if isinstance(o, click.Option) and o.name not in {"config", "verbose"}]
    content = {option.opts[-1].removeprefix("--"): values(option) for option in options}
    (tmp_path / "all.toml").write_text(tomli_w.dumps(content))
    monkeypatch.chdir(tmp_path)
    read = command.make_context("profile", ["--config", "all.toml"]).params
    words = [
        word
        for key, value in content.items()
        for word in (
            [f"--{key}"] if value is True else [f"--{key}", str(value[0] if isinstance(value, list) else value)]
        )
    ]
    assert read == command.make_context("profile", words).params


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("batch_tokens = 512", "no option 'batch_tokens'; the nearest is 'batch-tokens'"),
        ('modle = "x"', "no option 'modle'; the nearest is 'model'"),
        ('config = "x"', "no option 'config'"),
        ("seed = '5'", "seed: Expected `int`, got `str`"),
        ('stream = "residual"', "stream: Expected `array`, got `str`"),
        ("stream = [1]", "stream[0]: Expected `str`, got `int`"),
        ("no-intervals = 1", "no-intervals: Expected `bool`, got `int`"),
        ("[seed]\na = 1", "seed: Expected `int`, got `object`"),
        ("seed = -1", "seed: -1 is not in the range x>=0"),
        ('stream = ["residuum"]', "stream: 'residuum' is not one of 'residual', 'normed'"),
        ('dtype = "int8"', "dtype: 'int8' is not one of"),
        ('bos = "yes', "is no TOML"),
        ("seed = 1\nseed = 2", "is no TOML"),
        ("device = " + "[" * 5000, "is no TOML"),
        (
            'trust-remote-code = "org/name@' + COMMIT + '"',
            "--trust-remote-code org/name@" + COMMIT + ", which no file may",
        ),
        ("allow-pickle = true", "--allow-pickle, which no file may grant"),
        ('"\\u001b[31m" = 1', r"no option '\\x1b[31m'"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_wrong_in_a_file_is_one_sentence(line, wanted, given, aniso, tmp_path):
    """A key that there is not, a value of another type or range, a permission: named with exit 1, nothing written."""
    ran = aniso("profile", "--config", given(line), "--out", tmp_path / "run")
    assert (ran.code, ran.out) == (1, "")
    (said,) = ran.err.splitlines()
    assert said.startswith("Error: ")
    assert wanted in said
    assert not (tmp_path / "run").exists()


def test_a_permission_on_the_command_line_is_one(given, aniso, tmp_path):
    """What a file may not grant alone is granted where the command line says it as well."""
    ran = aniso("profile", "--config", given("allow-pickle = true"), "--allow-pickle", "--out", tmp_path / "run")
    assert ran.code == 0


@pytest.mark.parametrize(
    ("content", "wanted"), [(None, "cannot be read"), (b"\xff = 1", "is no TOML"), (b"#" * 1_000_001, "is larger than")]
)
def test_a_file_that_is_none_is_one_sentence(content, wanted, aniso, tmp_path):
    """An absent file, one that is no UTF-8 and one of a megabyte are refused."""
    path = tmp_path / "odd.toml"
    if content is not None:
        path.write_bytes(content)
    ran = aniso("profile", "--config", path)
    assert (ran.code, ran.out) == (1, "")
    assert wanted in ran.err
    assert len(ran.err.splitlines()) == 1


def test_spoiled_files_end_in_sentences(good_run, aniso, tmp_path):
    """Whatever happens to the bytes of a run.toml, the command ends with a sentence and no traceback."""
    whole, rng = (good_run / store.CONFIG).read_bytes(), random.Random(0)  # noqa: S311 - it spoils bytes
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 8)] = rng.choice(
                [b"", b"\x00", b"=", b'"', b"[", b"nan", b"-1", b"1e999", b"\n"]
            )
        (tmp_path / "spoiled.toml").write_bytes(data)
        ran = aniso("profile", "--config", tmp_path / "spoiled.toml", "--model", tmp_path / "absent")
        assert ran.code == 1, data
        assert ran.err.splitlines()[-1].startswith("Error: "), data


def test_a_run_writes_its_options_and_no_more(good_run):
    """A run's file has a comment first, then its options, and says nothing of this machine but what was given."""
    text = (good_run / store.CONFIG).read_text()
    assert text.startswith("# `aniso profile --config FILE` repeats the run that this file lies in")
    request = json.loads((good_run / store.RUN).read_text())["request"]
    assert tomllib.loads(text)["prompts"] == request["prompts"]
