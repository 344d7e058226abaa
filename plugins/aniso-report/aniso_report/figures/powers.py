"""Labels of logarithmic axes."""

from matplotlib.axis import Axis
from matplotlib.ticker import LogFormatter


def label_powers(*axes: Axis) -> None:
    """Label logarithmic axes at powers of ten, and between them where there are few."""
    for axis in axes:
        axis.set_major_formatter(_Powers())
        axis.set_minor_formatter(_Powers())


class _Powers(LogFormatter):
    """Writes 20 or 10⁻³, as the range of the axis asks, in plain text: formulas take longer to parse than to draw."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick at x, empty where the axis is too crowded for one."""
        if not super().__call__(x, pos):
            return ""
        low, high = self.axis.get_view_interval() if self.axis else (x, x)
        if low >= 0.1 and high < 10_000:  # noqa: PLR2004 - labels of four digits at most
            return f"{x:g}"
        return power(x)


def power(x: float) -> str:
    """Return a number rounded to one digit as 10⁻³ or 2×10⁵."""  # noqa: RUF002 - times it is
    coefficient, exponent = f"{x:.0e}".split("e")
    ten = "10" + str(int(exponent)).translate(_RAISED)
    return ten if coefficient == "1" else f"{coefficient}×{ten}"  # noqa: RUF001 - times it is


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
