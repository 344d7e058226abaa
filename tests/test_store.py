"""Run directories: read back to the bit, whole or absent, and refused in one sentence where they are damaged."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.records import (
    FORMAT,
    Curve,
    Failure,
    Missing,
    ModelInfo,
    Profile,
    Provenance,
    ReportFile,
    Spectrum,
    Verdict,
)

MODEL = ModelInfo("m\u00fc [bold]", "X", "folder", "", "ab", 2, 4, 10, "layernorm", "pre", "float32", "cpu", "sdpa")


@pytest.fixture
def profile() -> Profile:
    """Return a profile with odd numbers, gaps, failures and spectra."""
    rng = np.random.default_rng(5)
    layers = (0, 1, 2)
    curves = (
        Curve("a", "1", "residual", "all", layers, (0.1 + 0.2, 5e-324, 1e308), (0.0, -0.0, None), (1.0, 1.0, None)),
        Curve(
            "b", "share", "residual", "all", layers, (None, 1 / 3, None), missing=(Missing(0, "why"), Missing(2, "not"))
        ),
    )
    spectra = tuple(
        Spectrum(stream, "all", layer, np.sort(rng.gamma(0.1, size=4))[::-1].copy())
        for stream in ("normed", "residual")
        for layer in layers
    )
    failures = (Failure("metric", "c", "stranger 1.0", "ValueError: no"),)
    return Profile(MODEL, curves, failures=failures, provenance=Provenance({"aniso": "0"}, {}, 3), spectra=spectra)


def _save(folder: Path, profile: Profile, report=()) -> None:
    """Save a profile with a verdict, as the command does."""
    verdict = Verdict("h", "paper", "m", "refuted", "because", estimate=0.25, details={"x": [1, None]})
    store.save(folder, store.run_files(profile, store.Judged((verdict,)), {"model": "m"}), report)


def _left(folder: Path) -> list[str]:
    """Return everything that lies below a folder, by relative path."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_profile_comes_back_to_the_bit(profile, tmp_path):
    """What was saved is what is loaded: values, gaps and failures equal, spectra equal in every bit."""
    _save(tmp_path / "run", profile, [ReportFile("page.html", b"<p>")])
    loaded = store.load(tmp_path / "run")
    assert replace(loaded, spectra=()) == replace(profile, spectra=())
    for spectrum in profile.spectra:
        again = loaded.spectrum(spectrum.layer, spectrum.stream, spectrum.tokens)
        assert again.dtype == np.float64
        assert again.tobytes() == spectrum.values.tobytes()
    assert len(loaded.spectra) == len(profile.spectra)
    assert store.load_judged(tmp_path / "run").verdicts[0].details == {"x": [1, None]}
    assert store.load_request(tmp_path / "run") == {"model": "m"}
    names = ["arrays.safetensors", "profile.json", "report", "report/page.html", "run.json", "verdicts.json"]
    assert _left(tmp_path / "run") == names
    assert _left(tmp_path) == ["run", *(f"run/{name}" for name in names)]


def test_a_loaded_profile_is_saved_to_the_same_bytes(profile, tmp_path):
    """Saving, loading and saving again gives the same bytes in every file."""
    _save(tmp_path / "one", profile)
    _save(tmp_path / "two", store.load(tmp_path / "one"))
    for name in (store.PROFILE, store.RUN, store.VERDICTS, store.ARRAYS):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_nan_never_stands_in_json(profile, tmp_path):
    """A value that is no number is written as null: JSON has no NaN."""
    spoiled = Curve("a", "1", "residual", "all", (0, 1, 2), (float("nan"), float("inf"), 1.0))
    verdict = Verdict("h", "paper", "m", "refuted", "b", estimate=float("nan"), details={"x": float("-inf")})
    broken = replace(profile, curves=(spoiled,))
    store.save(tmp_path / "run", store.run_files(broken, store.Judged((verdict,)), {"seed": float("nan")}), ())
    for path in (tmp_path / "run").glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert store.load(tmp_path / "run").curves[0].values == (None, None, 1.0)


# Whole or absent


def _steps(monkeypatch, fail_at: int, error: OSError) -> list[str]:
    """Make the call number `fail_at` of those that touch the disk raise; return the list that names each call."""
    calls: list[str] = []

    def counted(name, real):
        def call(*args, **more):
            calls.append(name)
            if len(calls) == fail_at:
                raise error
            return real(*args, **more)

        return call

    for holder, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "chmod"), (Path, "open")):
        monkeypatch.setattr(holder, name, counted(name, getattr(holder, name)))
    monkeypatch.setattr(store.tempfile, "mkdtemp", counted("mkdtemp", store.tempfile.mkdtemp))
    return calls


def test_a_disk_that_fails_at_any_step_leaves_nothing(profile, tmp_path):
    """Whichever call to the disk fails, no run directory and no temporary file is left, and the next try succeeds."""
    report = [ReportFile("page.html", b"<p>")]
    with pytest.MonkeyPatch.context() as patch:
        steps = _steps(patch, 0, OSError())
        _save(tmp_path / "counted" / "run", profile, report)
    # The last step syncs the parent folder of a run that is whole already.
    assert len(steps) > 20
    for at in range(1, len(steps)):
        folder = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            _steps(patch, at, OSError(28, "No space left on device", str(folder)))
            with pytest.raises((AnisoError, OSError)) as failure:
                _save(folder / "run", profile, report)
        assert "No space left" in str(failure.value), f"step {at}, {steps[at - 1]}"
        assert not folder.exists() or _left(folder) == [], f"step {at}, {steps[at - 1]}"
        _save(folder / "run", profile, report)
        assert store.load(folder / "run").curves == profile.curves


def test_a_full_disk_is_said_with_path_and_room(profile, tmp_path, monkeypatch):
    """A file that cannot be written is named, with the room that is left there and what to do."""

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnisoError, match=r"Cannot write .*: No space left on device \(\d+ MB free there\); .*--out"):
        _save(tmp_path / "run", profile)


def test_a_limit_on_file_sizes_leaves_nothing(good_run, tmp_path):
    """A process that may write only small files ends with one sentence and leaves no folder behind."""
    script = (
        "import sys\n"
        "from aniso_core import store\n"
        "from aniso_core.errors import AnisoError\n"
        "profile = store.load(sys.argv[1])\n"
        "try:\n"
        "    store.save(__import__('pathlib').Path(sys.argv[2]), store.run_files(profile, store.Judged(), {}), ())\n"
        "except AnisoError as error:\n"
        "    sys.exit(f'Error: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, good_run, tmp_path / "run"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Cannot write" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert _left(tmp_path) == []


def test_an_interrupt_while_saving_leaves_nothing(profile, tmp_path, monkeypatch):
    """Ctrl-C in the middle of saving removes what was written so far."""

    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_arrays", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _save(tmp_path / "run", profile)
    assert _left(tmp_path) == []


def test_an_empty_folder_is_taken(profile, tmp_path):
    """An empty folder that exists already becomes the run directory."""
    (tmp_path / "run").mkdir()
    _save(tmp_path / "run", profile)
    assert store.load(tmp_path / "run").curves == profile.curves


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_exists_is_refused_before_any_work(kind, tmp_path, measure, monkeypatch):
    """An --out that holds something is refused before the model is opened, and is left as it was."""
    out = tmp_path / "run"
    if kind == "folder":
        out.mkdir()
        (out / "note.txt").write_text("mine")
    else:
        out.write_text("mine")
    monkeypatch.setattr("aniso_core.weights.open_model", lambda *_a, **_k: pytest.fail("the model was opened"))
    ran = measure()
    assert (ran.code, ran.out) == (1, "")
    assert "exists already; name another folder with --out, or remove it." in ran.err
    assert (out / "note.txt" if kind == "folder" else out).read_text() == "mine"


def test_two_runs_of_one_name_do_not_mix(profile, tmp_path):
    """A folder that another run took meanwhile is not touched: the later run fails and leaves nothing."""
    records = store.run_files(profile, store.Judged(), {})

    def late():
        _save(tmp_path / "run", profile)
        yield from records

    with pytest.raises((AnisoError, OSError)):
        store.save(tmp_path / "run", late(), ())
    assert store.load(tmp_path / "run").curves == profile.curves
    assert _left(tmp_path) == [
        "run",
        "run/arrays.safetensors",
        "run/profile.json",
        "run/report",
        "run/run.json",
        "run/verdicts.json",
    ]


# Reports


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", ".", "", "nul\0byte"], ids=repr)
def test_a_report_file_outside_its_folder_is_refused(name, profile, tmp_path):
    """A reporter's file must have a plain name; any other is refused and nothing is written."""
    with pytest.raises(AnisoError, match=r"A reporter named a file .*wanted a plain name inside report/"):
        _save(tmp_path / "run", profile, [ReportFile(name, b"x")])
    assert _left(tmp_path) == []


def test_a_report_is_drawn_again_over_the_old_one(tmp_path):
    """Files of the same name are replaced, others are kept."""
    store.write_report(tmp_path / "report", [ReportFile("a", b"1"), ReportFile("b", b"2")])
    store.write_report(tmp_path / "report", [ReportFile("a", b"3")])
    assert (tmp_path / "report/a").read_bytes() == b"3"
    assert _left(tmp_path / "report") == ["a", "b"]


# Damage


@pytest.mark.parametrize("name", [store.PROFILE, store.VERDICTS, store.RUN])
def test_a_newer_format_is_refused_with_both_versions(name, profile, tmp_path):
    """A file of a newer format names its version, the newest that is read, and what to do."""
    _save(tmp_path / "run", profile)
    path = tmp_path / "run" / name
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"format": 7, "new": {}}), encoding="utf-8"
    )
    readers = {store.PROFILE: store.load, store.VERDICTS: store.load_judged, store.RUN: store.load_request}
    with pytest.raises(AnisoError, match=rf"{name} has format 7 and this aniso reads up to {FORMAT}; upgrade aniso"):
        readers[name](tmp_path / "run")


@pytest.mark.parametrize(
    ("data", "wants"),
    [
        (b"", "damaged"),
        (b"[" * 200_000, "damaged"),
        (b'{"model":' * 100_000, "damaged"),
        (b"[]", "damaged"),
        (b"{}", "damaged"),
        (b'{"format": 1e999}', "damaged"),
        (b'{"format": ' + b"9" * 5000 + b"}", "damaged|upgrade"),
        (b"\xff\xfe", "damaged"),
        (b'{"format": "1", "model": null, "curves": []}', "damaged"),
        (b'{"format": 0, "model": {}, "curves": []}', "damaged"),
    ],
    ids=["empty", "deep list", "deep object", "list", "object", "huge float", "huge integer", "bytes", "text", "zero"],
)
def test_a_profile_that_is_none_is_refused(data, wants, profile, tmp_path):
    """A profile.json that is no profile is refused by name, however deep or odd it is."""
    _save(tmp_path / "run", profile)
    (tmp_path / "run/profile.json").write_bytes(data)
    with pytest.raises(AnisoError, match=rf"profile\.json .*({wants})"):
        store.load(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        lambda curve: curve["values"].pop(),
        lambda curve: curve["low"].pop(),
        lambda curve: curve["high"].pop(),
        lambda curve: curve["layers"].append(3),
        lambda curve: curve["values"].__setitem__(0, "much"),
    ],
    ids=["value", "low", "high", "layer", "text"],
)
def test_curves_of_unequal_lengths_are_refused(change, profile, tmp_path):
    """Layers, values and both ends of the intervals must be as many as each other."""
    _save(tmp_path / "run", profile)
    path = tmp_path / "run/profile.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data["curves"][0])
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(AnisoError, match=r"profile\.json is damaged"):
        store.load(tmp_path / "run")


def test_a_file_beyond_any_run_is_not_read(profile, tmp_path):
    """A profile.json larger than any honest one is refused by its size alone."""
    _save(tmp_path / "run", profile)
    with (tmp_path / "run/profile.json").open("r+b") as stream:
        stream.truncate(300_000_000)
    with pytest.raises(AnisoError, match="larger than any run"):
        store.load(tmp_path / "run")


@pytest.mark.parametrize("name", [store.PROFILE, store.ARRAYS])
def test_a_missing_file_is_named(name, profile, tmp_path):
    """A run directory without its profile or arrays is refused, the file named."""
    _save(tmp_path / "run", profile)
    (tmp_path / "run" / name).unlink()
    with pytest.raises(AnisoError, match=name):
        store.load(tmp_path / "run")


@pytest.mark.parametrize("given", ["absent", "file", "nul\0byte"])
def test_what_is_no_run_is_refused(given, tmp_path):
    """A path that is no run directory is refused with what would be one."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(AnisoError, match=r"no run directory: cannot read profile\.json .*`aniso profile` wrote"):
        store.load(tmp_path / given)


@pytest.mark.parametrize("name", [store.PROFILE, store.ARRAYS, store.VERDICTS, store.RUN])
def test_flipped_bytes_load_or_are_refused(name, good_run, tmp_path):
    """Each of many damaged files either loads as a run or is refused in one sentence; nothing else is raised."""
    run, chance = Path(shutil.copytree(good_run, tmp_path / "run")), random.Random(name)  # noqa: S311 - seeded, not secret
    path = run / name
    data = path.read_bytes()
    # The values of an array file may be anything, its header may not: that is where damage is tried.
    end = 8 + int.from_bytes(data[:8], "little") if name == store.ARRAYS else len(data)
    refusals = 0
    for _ in range(150):
        spoiled = bytearray(data)
        for _ in range(chance.choice([1, 1, 3])):
            spoiled[chance.randrange(end)] = chance.randrange(256)
        path.write_bytes(spoiled)
        try:
            store.load(run)
            store.load_judged(run)
            store.load_request(run)
        except AnisoError as error:
            refusals += 1
            assert "\n" not in str(error)
            assert name in str(error)
    assert refusals > 20


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F32", "I64"])
def test_arrays_of_another_type_are_refused(dtype, profile, tmp_path):
    """Spectra are float64[d]; arrays of any other type are damage, not numbers to compute with."""
    _save(tmp_path / "run", profile)
    path = tmp_path / "run/arrays.safetensors"
    size = {"BF16": 2, "F8_E4M3": 1, "F32": 4, "I64": 8}[dtype]
    header = json.dumps({"spectrum/residual/all/0": {"dtype": dtype, "shape": [4], "data_offsets": [0, 4 * size]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4 * size))
    with pytest.raises(AnisoError, match=r"arrays\.safetensors is damaged"):
        store.load(tmp_path / "run")


def test_a_spectrum_that_is_no_row_is_refused(profile, tmp_path):
    """A spectrum has one number a direction; an array of another shape is damage."""
    from safetensors.numpy import save_file

    _save(tmp_path / "run", profile)
    save_file({"spectrum/residual/all/0": np.ones((2, 4))}, tmp_path / "run/arrays.safetensors")
    with pytest.raises(AnisoError, match=r"arrays\.safetensors is damaged"):
        store.load(tmp_path / "run")


def test_a_damaged_run_is_refused_by_every_command(good_run, tmp_path, aniso):
    """`test`, `report` and `export` refuse a damaged run with exit 1 and write nothing."""
    run = Path(shutil.copytree(good_run, tmp_path / "run"))
    (run / "profile.json").write_text('{"format": 1')
    before = _left(tmp_path)
    for command in (["test"], ["report"], ["export", "--format", "csv"]):
        ran = aniso(*command, run)
        assert (ran.code, ran.out) == (1, ""), ran.err
        assert "profile.json is damaged" in ran.err
        assert "measure it again" in ran.err
    assert _left(tmp_path) == before


def test_records_hold_nothing_but_json(profile, tmp_path):
    """Every JSON file of a run ends with a line break and decodes to its record."""
    _save(tmp_path / "run", profile)
    for name in (store.PROFILE, store.RUN, store.VERDICTS):
        data = (tmp_path / "run" / name).read_bytes()
        assert data.endswith(b"}\n")
        assert msgspec.json.decode(data)["format"] == FORMAT


def test_a_link_in_wait_is_not_written_through(tmp_path):
    """A report folder that is a link is refused, and no link beside a file leads its bytes elsewhere."""
    victim, report = tmp_path / "victim", tmp_path / "report"
    victim.write_text("mine")
    report.mkdir()
    (report / ".page.md.tmp").symlink_to(victim)
    (report / "page.md").symlink_to(victim)
    store.write_report(report, [ReportFile("page.md", b"theirs")])
    assert victim.read_text() == "mine"
    assert (report / "page.md").read_bytes() == b"theirs"
    assert not (report / "page.md").is_symlink()
    (tmp_path / "link").symlink_to(report)
    with pytest.raises(AnisoError, match="a link to another place"):
        store.write_report(tmp_path / "link", [])


@pytest.mark.parametrize("layers", [0, -1, 10**12])
def test_layers_that_do_not_fit_are_refused(layers, good_run, tmp_path):
    """A profile whose depth is impossible is refused rather than believed."""
    run = Path(shutil.copytree(good_run, tmp_path / "run"))
    profile = json.loads((run / "profile.json").read_text())
    profile["model"]["layers"] = layers
    (run / "profile.json").write_text(json.dumps(profile))
    with pytest.raises(AnisoError, match="do not fit a model"):
        store.load(run)
