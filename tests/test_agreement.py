"""Values beside those of published packages, by the benchmark that writes their table (`make test-real`)."""

import agreement
import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

COMPARED = [(oracle.label, metric) for oracle in agreement.ORACLES for metric in oracle.metrics]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return the rows of the table by what is compared; every package is installed for it."""
    found = agreement.rows(tmp_path_factory.mktemp("agreement"))
    return {(row.beside, row.metric): row for row in found}


@pytest.mark.parametrize("compared", COMPARED, ids=" ".join)
def test_values_are_those_of_others(compared, rows):
    """At every layer of both bundled models, and on clouds, a metric is what others make of the same states."""
    row = rows[compared]
    assert row.values >= 16
    assert row.difference <= agreement.LIMIT.value
