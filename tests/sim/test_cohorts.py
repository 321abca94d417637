"""Cohorts: games are told of once all that began with them have ended."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brigade.config import RunConfig
from brigade.sim.cohorts import Cohorts, cohort_size
from brigade.sim.episodes import Episodes

SEATS = 2


def ended(numbers: list[int]) -> Episodes:
    """Games whose returns and seats tell their numbers."""
    each = np.array(numbers, np.int64)
    returns = np.stack([each, -each / 2], 1).astype(float)
    agents = np.stack([each % 3, 3 + each % 2], 1)
    return Episodes(agents, returns, np.ones(len(each), np.int32), each % 4 == 0, each)


@given(
    num_games=st.integers(1, 6),
    extra=st.integers(0, 5),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=80),
)
def test_a_cohort_is_all_games_that_began_in_a_row(num_games, extra, lengths):
    """Games of any lengths, side by side, against a list of all that has ended."""
    size, supply = num_games + extra, iter(lengths)
    cohorts, over, begun = Cohorts(size), set(), 0
    left = {}
    for lane in range(num_games):
        left[lane], begun = (begun, next(supply, 1)), begun + 1
    for _ in range(sum(lengths)):
        just = []
        for lane, (number, nights) in left.items():
            left[lane] = number, nights - 1
            if nights == 1:
                just.append(number)
                left[lane], begun = (begun, next(supply, 1)), begun + 1
        cohorts.add(ended(just))
        over |= set(just)
        whole = [k for k in range(begun) if {*range(k * size, (k + 1) * size)} <= over]
        assert (cohorts.first is not None) == (0 in whole)
        assert (cohorts.latest is not None) == bool(whole)
        for cohort, which in ((cohorts.first, 0), (cohorts.latest, max(whole, default=0))):
            if cohort is not None:
                expected = list(range(which * size, (which + 1) * size))
                assert sorted(cohort.returns[:, 0]) == expected
                assert math.isclose(cohort.mean, np.mean(expected) / 4, abs_tol=1e-9)
                assert cohort.cut.sum() == sum(number % 4 == 0 for number in expected)
        assert len(cohorts._open) <= num_games + 1, "memory is bounded"


def test_each_agent_has_its_own_mean():
    cohorts = Cohorts(12)
    cohorts.add(ended(list(range(12))))
    assert cohorts.first is cohorts.latest
    assert cohorts.first is not None
    means, games = cohorts.first.by_agent(6)
    assert games.tolist() == [4, 4, 4, 6, 6, 0]
    assert means[:5].tolist() == [4.5, 5.5, 6.5, -2.5, -3.0]
    assert math.isnan(means[5])


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng, covered, trials = np.random.default_rng(3), 0, 400
    for _ in range(trials):
        team = rng.normal(5.0, 9.0, 100)  # what all seats of a game have in common
        returns = team[:, None] + rng.normal(size=(100, 4))
        cohorts = Cohorts(100)
        agents = np.zeros((100, 4), np.int64)
        nights, cut = np.ones(100, np.int32), np.zeros(100, np.bool_)
        cohorts.add(Episodes(agents, returns, nights, cut, np.arange(100)))
        assert cohorts.first is not None
        covered += abs(cohorts.first.mean - 5.0) <= cohorts.first.interval
    assert 0.91 < covered / trials < 0.98


def test_games_of_unknown_beginning_are_left_out():
    cohorts = Cohorts(2)
    cohorts.add(ended([-1, -1, -1, 0]))
    assert cohorts.first is None
    cohorts.add(ended([1]))
    assert cohorts.first is not None
    assert sorted(cohorts.first.returns[:, 0]) == [0, 1]


def test_no_fewer_games_than_begin_together():
    assert cohort_size(RunConfig(population_size=8)) == 200
    assert cohort_size(RunConfig(population_size=64)) == 1600
    assert cohort_size(RunConfig(population_size=4, num_games=512)) == 512
