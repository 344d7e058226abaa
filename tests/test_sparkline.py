"""Curves in one line of text."""

import pytest

from aniso_report.sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([0.0, 0.5, 1.0], 10, "▁▅█"),
        ([3.0, -1.0], 10, "█▁"),
        ([2.0, 2.0, 2.0], 10, "▁▁▁"),
        ([0.0, None, 1.0], 10, "▁ █"),
        ([0.0, 0.0, 1.0, None, 0.5, None], 3, "▁█▅"),
        ([0.0] * 40 + [1.0] * 40, 4, "▁▁██"),
        ([1e-300, 3e-300], 10, "▁█"),
        ([None, None], 10, "  "),
        ([], 10, ""),
    ],
)
def test_a_line_rises_and_falls_with_its_values(values, width, line):
    """The lowest value is the lowest block, the highest the highest; gaps are blank, and many values share blocks."""
    assert sparkline(values, width) == line


def test_a_line_is_never_wider_than_asked():
    """However many layers a model has, the line fits."""
    assert [len(sparkline(list(range(n)), 26)) for n in (1, 25, 26, 27, 200)] == [1, 25, 26, 26, 26]
