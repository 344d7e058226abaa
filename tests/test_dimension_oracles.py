"""Intrinsic dimensions beside those of scikit-dimension and DADApy on the same points (`make test-real`)."""

import json
import os
import subprocess
import venv

import numpy as np
import pytest

from aniso_dimension.neighbours import neighbours

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

ORACLES = ("scikit-dimension==0.5.0", "dadapy==0.3.4")
# Where conventions differ: both discard the largest tenth of TwoNN's ratios and fit a line unless told not to.
ASK = """
import json, sys
import numpy as np
import skdim
from dadapy import Data

told = []
for path in sys.argv[1:]:
    points = np.load(path)
    gride, _, scale = Data(points, verbose=False).return_id_scaling_gride(range_max=64)
    told.append({
        "gride": gride.tolist(),
        "scale": scale.tolist(),
        "two_nn": [
            float(skdim.id.TwoNN(discard_fraction=0.0, method="mle").fit(points).dimension_),
            float(Data(points, verbose=False).compute_id_2NN(algorithm="ml", mu_fraction=1.0)[0]),
        ],
        "mle": float(skdim.id.MLE().fit(points, n_neighbors=10).dimension_),
    })
print(json.dumps(told))
"""
RNG = np.random.default_rng(0)
CLOUDS = {
    "normal": RNG.standard_normal((700, 8)) @ RNG.standard_normal((8, 48)) + 3,
    "cube": RNG.random((500, 20)),
    "uneven": RNG.standard_normal((400, 30)) * np.linspace(1, 0.05, 30) * np.exp(RNG.standard_normal((400, 1)) / 2),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return what the oracles say of each cloud, in an environment of their own."""
    folder = tmp_path_factory.mktemp("oracles")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", *ORACLES], env=alone, check=True)
    paths = [folder / f"{name}.npy" for name in CLOUDS]
    for path, points in zip(paths, CLOUDS.values(), strict=True):
        np.save(path, points)
    done = subprocess.run([python, "-c", ASK, *paths], env=alone, check=True, capture_output=True, text=True)
    return dict(zip(CLOUDS, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_two_nn_is_that_of_both_libraries(cloud, told):
    """TwoNN without discarding is scikit-dimension's and DADApy's maximum-likelihood estimate."""
    assert [neighbours(CLOUDS[cloud]).two_nn()] * 2 == pytest.approx(told[cloud]["two_nn"], rel=1e-6)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_gride_and_its_scale_are_those_of_dadapy(cloud, told):
    """Gride at neighbours 2 to 64 and the mean distances to them are DADApy's."""
    found = neighbours(CLOUDS[cloud])
    orders = [2, 4, 8, 16, 32, 64]
    assert [found.gride(order) for order in orders] == pytest.approx(told[cloud]["gride"], rel=1e-6)
    assert [found.distance(order) for order in orders] == pytest.approx(told[cloud]["scale"], rel=1e-6)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_mle_is_that_of_scikit_dimension(cloud, told):
    """The maximum-likelihood estimate over ten neighbours is scikit-dimension's with the inverses averaged."""
    assert neighbours(CLOUDS[cloud]).mle(10) == pytest.approx(told[cloud]["mle"], rel=1e-6)
