"""Agents unlike their peers are named, and nobody is where all are alike."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.games.build import build
from brigade.sim import outliers as module
from brigade.sim.outliers import (
    ENOUGH,
    LEAST_GAMES,
    LEAST_STEPS,
    Watch,
    median_of_others,
)

HOUSES = 10
STEPS = 6400
GAME = build(describe(load_scenario("default"), 4), 1, max_turns=50, seed=1)


def figures_of(actions: np.ndarray, returns: list[list[float]]) -> module.Figures:
    return module.Figures(actions, returns, GAME.activities, GAME.verb)


def acting(work: list[float], steps: int = STEPS, seed: int = 0) -> np.ndarray:
    """What agents do who work so often, at any house."""
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(steps, [1 - w] + [w / HOUSES] * HOUSES) for w in work])


def returning(means: list[float], games: int = 200, seed: int = 0) -> list[list[float]]:
    """Returns of games that deviate by one from an agent's mean."""
    rng = np.random.default_rng(seed)
    return [(mean + rng.standard_normal(games)).tolist() for mean in means]


def outliers(figures: module.Figures) -> list[str]:
    """What is said of them."""
    return [outlier.sentence for outlier in module.outliers(figures)]


def remarks(work=(), means=(), **kwargs) -> list[str]:
    work = list(work) or [0.5] * len(means)
    means = list(means) or [0.0] * len(work)
    return outliers(figures_of(acting(work, **kwargs), returning(means)))


@given(
    work=st.floats(0, 1),
    agents=st.integers(1, 40),
    spread=st.floats(0, 1e6),
    seed=st.integers(0, 2**31),
)
def test_nobody_is_named_where_all_are_alike(work, agents, spread, seed):
    returns = 3.0 + spread * np.array(returning([0.0] * agents, 100, seed))
    assert outliers(figures_of(acting([work] * agents, seed=seed), returns.tolist())) == []


@given(work=st.lists(st.floats(0.2, 0.8), min_size=8, max_size=8))
def test_nobody_is_named_where_some_are_more_diligent(work):
    assert remarks(work=work) == []


def test_nobody_is_named_where_all_rest_but_one_who_has_not_learned_that_yet():
    assert remarks(work=[0, 0, 0, 0.001, 0, 0, 0.3, 0]) == []


def test_an_agent_that_never_works_is_named_with_what_its_peers_do():
    assert remarks(work=[0.2, 0.2, 0.2, 0, 0.2]) == [
        "agent 3 has not worked in any of its last 6,400 steps; its peers do in 20% of theirs"
    ]


def test_an_agent_that_hardly_ever_works_is_named():
    actions = acting([0.21] * 8)
    actions[5] = 0
    actions[5, :2] = STEPS - 4, 4
    [remark] = outliers(figures_of(actions, [[]] * 8))
    assert remark.startswith("agent 5 worked in 0.06% of its last 6,400 steps; ")


def test_several_are_named_and_their_peers_are_not():
    found = remarks(work=[0.3, 0, 0.3, 0.3, 0, 0.3, 0.3, 0.3])
    assert [remark.split(" has")[0] for remark in found] == ["agent 1", "agent 4"]


def test_an_agent_that_always_does_the_same_is_named():
    actions = acting([0.5] * 6)
    actions[2] = 0
    actions[2, 1 + 7] = STEPS
    [remark] = outliers(figures_of(actions, [[]] * 6))
    assert remark == (
        "agent 2 worked at house 7 in each of its last 6,400 steps; "
        "what its peers do most takes 50% of theirs"
    )
    assert outliers(figures_of(np.tile(actions[2], (6, 1)), [[]] * 6)) == [], "as all do"


@pytest.mark.parametrize("gap", [1.0, 30.0])
def test_an_agent_far_behind_is_named_with_its_gap(gap):
    [remark] = remarks(means=[5, 5, 5, 5, 5 - gap, 5, 5, 5])
    found = re.fullmatch(
        r"agent 4 returns ([\d.]+) ± ([\d.]+) less a game than the median of its peers", remark
    )
    assert found is not None, remark
    behind, error = map(float, found.groups())
    assert behind == pytest.approx(gap, abs=error)
    assert 0 < error < 0.3


def test_a_small_gap_is_nothing_however_sure_it_is():
    assert outliers(figures_of(acting([0.5] * 3), returning([1, 1, 0.7], games=5000))) == []


def test_a_large_gap_that_may_be_chance_is_nothing():
    few = returning([1, 1, 1, 0.4], games=LEAST_GAMES)
    assert outliers(figures_of(acting([0.5] * 4), few)) == []


def test_what_rounding_makes_of_equal_returns_is_nothing():
    returns = [[120.1] * 100, [120.1] * 100, [120.1 - 1e-12] * 100, [100.1, 100.2] * 50]
    [remark] = outliers(figures_of(acting([0.0] * 4), returns))
    assert remark.startswith("agent 3 returns 19.9 ± ")


def test_too_little_was_seen_to_say_anything():
    assert remarks(work=[0.2, 0.2, 0], steps=LEAST_STEPS - 1) == []
    assert remarks(work=[0.2, 0.2, 0], steps=LEAST_STEPS) != []
    assert outliers(figures_of(acting([0.5] * 3), returning([9, 9, 0], LEAST_GAMES - 1))) == []
    assert outliers(figures_of(acting([0.5] * 3), returning([9, 9, 0], LEAST_GAMES))) != []


def test_agents_of_whom_too_little_was_seen_are_nobodys_peers():
    actions = acting([0.2] * 4)
    actions[1:3] = 0
    actions[3] = [STEPS] + [0] * HOUSES
    assert outliers(figures_of(actions, [[]] * 4)) == [], "one peer is none"


@given(
    actions=st.lists(
        st.tuples(st.integers(0, HOUSES - 1), st.integers(0, 1), st.integers(0, 1), st.booleans())
    )
)
def test_a_tally_counts_rest_and_work_at_each_house_where_the_mode_counts(actions):
    taken = np.array([action[:3] for action in actions], np.uint8).reshape(-1, 3)
    component_mask = np.array([[a[3] and a[1] == 1, a[3], True] for a in actions], bool).reshape(
        -1, 3
    )
    by_hand = Counter(1 + house if mode else 0 for house, mode, _, night in actions if night)
    assert GAME.count_activities(taken, component_mask).tolist() == [
        by_hand[i] for i in range(HOUSES + 1)
    ]


def test_one_is_named_who_was_odd_in_two_looks_one_after_the_other():
    watch = Watch()
    parts = 4
    alike = figures_of(
        acting([0.5] * 6, ENOUGH * LEAST_STEPS // parts),
        returning([0.0] * 6, ENOUGH * LEAST_GAMES // parts),
    )
    odd = figures_of(alike.actions.copy(), alike.returns)
    odd.actions[5] = [alike.actions[5].sum()] + [0] * HOUSES
    for _ in range(parts):
        watch.add(odd)
        assert watch.outliers == [], "once may be chance"
    for part in range(parts):
        assert watch.outliers == [], f"{part} parts of the second look"
        watch.add(odd)
    [outlier] = watch.outliers
    assert (outlier.agent, outlier.kind) == (5, "idle")
    assert "agent 5 has not worked in any of its last 4,000 steps" in outlier.sentence
    for _ in range(parts):
        assert watch.outliers == [outlier], "until it is looked at again"
        watch.add(alike)
    assert watch.outliers == [], "it works again"
    for _ in range(parts):
        watch.add(odd)
    assert watch.outliers == []


def test_agents_that_do_not_learn_hold_up_no_look():
    watch = Watch()
    figures = figures_of(
        acting([0.5] * 8, 2 * ENOUGH * LEAST_STEPS), returning([0.0] * 8, 2 * ENOUGH * LEAST_GAMES)
    )
    figures.actions[3:] = 0
    figures.actions[1] = [figures.actions[0].sum()] + [0] * HOUSES
    for _ in range(10):
        watch.add(figures)
    assert [outlier.agent for outlier in watch.outliers] == [1]
    assert not any(watch._returns), "what was looked at is forgotten"


@given(values=st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=2, max_size=30))
def test_the_median_of_the_others_is_theirs(values):
    others = [np.median(values[:i] + values[i + 1 :]) for i in range(len(values))]
    assert median_of_others(np.array(values)) == pytest.approx(others)
