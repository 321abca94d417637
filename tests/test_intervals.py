"""Student's intervals, compared with the density that they come from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from brigade.intervals import half_width, student_quantile


def share_within(bound: float, degrees: int) -> float:
    """Integrate Student's density from ``-bound`` to ``bound`` by Simpson's rule."""
    places = np.linspace(0, bound, 4001)
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    density = math.exp(scale) / math.sqrt(degrees * math.pi)
    density = density * (1 + places**2 / degrees) ** (-(degrees + 1) / 2)
    weights = np.where(np.arange(4001) % 2, 4, 2)
    weights[[0, -1]] = 1
    return 2 * float(weights @ density) * bound / 4000 / 3


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 199, 10_000])
def test_an_interval_has_the_share_that_it_claims(degrees):
    close = 1e-8 if degrees < 3 else 2e-4
    assert share_within(student_quantile(degrees), degrees) == pytest.approx(0.95, abs=close)


def test_intervals_of_few_values_have_the_mean_as_often_as_of_many():
    rng = np.random.default_rng(1)
    for size in (2, 3, 10):
        samples = rng.standard_normal((4000, size))
        covered = np.mean([abs(values.mean()) <= half_width(values) for values in samples])
        assert covered == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    assert math.isnan(half_width(np.array([1.0])))
