"""Intervals of means, from samples of which there may be few. Pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_NORMAL = 1.959963984540054  # the normal distribution's quantile of 97.5%


def half_width(values: NDArray[np.float64]) -> float:
    """Return half the width of a 95% interval of the mean of n independent values, ``[n]``.

    It is Student's; NaN where there is one value only.
    """
    if len(values) < 2:
        return math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return student_quantile(len(values) - 1) * error


def student_quantile(degrees: int) -> float:
    """Return the 97.5% quantile of Student's t with so many degrees of freedom, at least one.

    Exact for one and two; from three on the expansion of Abramowitz and Stegun (1964, "Handbook of
    Mathematical Functions", 26.7.5), which is right to 0.12% at three and ever closer beyond.
    """
    if degrees == 1:
        return math.tan(math.pi * 0.475)
    if degrees == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    x, n = _NORMAL, degrees
    return (
        x
        + (x**3 + x) / (4 * n)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * n**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * n**3)
        + (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / (92160 * n**4)
    )
