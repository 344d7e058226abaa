"""What `aniso export` writes, read with polars in an environment of its own (`make test-real`)."""

import json
import os
import subprocess
import venv

import pytest

from aniso_core import export, store

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

READ = """
import json, sys
import polars as pl

csv, parquet, plain = sys.argv[1:]
whole = {"infer_schema_length": None}
frames = [pl.read_csv(csv, **whole), pl.read_parquet(parquet), pl.read_json(plain, **whole)]
print(json.dumps([frame.rows() for frame in frames]))
"""


def test_polars_reads_what_was_exported(tmp_path, good_run, aniso):
    """CSV, Parquet and JSON hold the same rows for polars, to the bit those of the profile."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", "polars==2.1.0"], env=alone, check=True)
    paths = [tmp_path / f"out.{format_}" for format_ in ("csv", "parquet", "json")]
    for path in paths:
        assert aniso("export", good_run, "--format", path.suffix[1:], "--out", path).code == 0
    done = subprocess.run([python, "-c", READ, *paths], env=alone, check=True, capture_output=True, text=True)
    wanted = [list(row) for row in export.tidy_rows([store.load(good_run)])]
    for rows in json.loads(done.stdout):
        assert rows == wanted
