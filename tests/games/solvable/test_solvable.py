"""Small environments are learned to their known optimum, from the settings down to the weights."""

import itertools

import numpy as np
import pytest

from brigade.run.env_players import Seen
from solvable.cases import CASES, HERE, SMALL
from solvable.training import train

QUICK = (
    "climbing game",
    "penalty game, k = -100",
    "two-step game",
    "heap (masks)",
    "lamps (deaths, an arrival, cuts)",
    "echo (turns)",
)


@pytest.mark.parametrize("name", QUICK)
def test_the_best_is_learned(name):
    assert CASES[name].train(seed=1) is not None


def test_the_best_that_a_heap_can_pay_is_what_the_case_says():
    pays = {1: 1, 2: 3, 3: 4}
    best = max(
        sum(pays[taken] for taken in takes)
        for count in range(3, 8)
        for takes in itertools.product(pays, repeat=count)
        if sum(takes) == 7
    )
    assert best == CASES["heap (masks)"].best


def test_where_a_cut_ends_each_game_what_would_follow_counts():
    """Waiting pays at age 1 where a cut is bootstrapped, and never where it were an end."""
    trained = train(HERE / "lives.py:Crop", num_transitions=6000, gamma=0.8, **SMALL)
    ages = np.eye(3, dtype=np.float32)
    chosen = trained.act()(0, Seen(np.zeros(3, np.int64), ages, None, None))
    assert chosen.ravel().tolist()[1:] == [0, 1]
