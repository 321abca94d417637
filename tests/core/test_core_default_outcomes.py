"""The coming night without a seat: the same draws for the same events, and nothing else."""

import numpy as np
import pytest
from core_arrays import Arrays
from core_strategies import setups
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_game import BURNING, ReferenceGame

from brigade._core import Scenario, observation_layout

MAX_CYCLES = 1000


class DefaultOutcomes:
    """What ``Batch.default_outcomes`` writes, and the step that follows."""

    def __init__(self, arrays, actions):
        games, seats, features = arrays.observations.shape
        self.rewards = np.full((games, seats, seats), np.nan, np.float32)
        self.terminated = np.ones((games, seats), np.bool_)
        self.changed = np.ones((games, seats), np.bool_)
        self.observations = np.full((games, seats, features), -7, np.float32)
        before = arrays.batch.get_state()
        arrays.batch.default_outcomes(actions, *self.all)
        assert arrays.batch.get_state() == before
        self.layout = observation_layout(arrays.batch.scenario, seats)
        arrays.step(actions)
        over = (arrays.terminated | arrays.truncated)[:, None, None]
        self.real = np.where(over, arrays.final_observations, arrays.observations)

    @property
    def all(self):
        return (self.rewards, self.terminated, self.changed, self.observations)

    def block(self, name):
        """What each seat would see, and will see: [B, A, size] each."""
        real = self.real[..., self.layout[name]]
        default = self.observations[..., self.layout[name]]
        return np.where(self.changed[..., None], default, real), real

    def houses(self):
        """The houses without each seat, and as they will be: [B, A, N] each."""
        return tuple(b.reshape(*b.shape[:2], -1, 3).argmax(-1) for b in self.block("houses"))


def actions_at_fires(setup, rng, batch, games):
    """Random actions, seven of ten at a fire where there is one: there they make a difference."""
    actions = setup.actions(rng, games)
    for mine, houses in zip(actions, batch.houses, strict=True):
        fires = np.flatnonzero(houses == BURNING)
        goes = (rng.random(setup.num_agents) < 0.7) & (len(fires) > 0)
        if goes.any():
            mine[goes, 0] = rng.choice(fires, goes.sum())
            mine[goes, 1] = 1
    return actions


def signal(setup, rng, arrays):
    """Play the signal step of a two-phase night; nothing can change in it."""
    if not setup.two_phase:
        return None
    actions = setup.actions(rng, len(arrays.lengths))
    default = DefaultOutcomes(arrays, actions)
    assert not default.rewards.any()
    assert not default.terminated.any()
    assert not default.changed.any()
    return actions[..., 2]


@settings(max_examples=120)
@given(setups(), st.integers(1, 2))
def test_every_night_without_a_seat_is_the_reference_s(setup, threads):
    rng = np.random.default_rng(setup.seed)
    seeds = [setup.seed, setup.seed ^ 1]
    arrays = Arrays(setup.scenario, 2, setup.num_agents, MAX_CYCLES, seeds, threads)
    games = [ReferenceGame(setup.scenario.to_dict(), setup.num_agents, seed) for seed in seeds]
    for _ in range(8):
        round1 = signal(setup, rng, arrays)
        actions = actions_at_fires(setup, rng, arrays.batch, 2)
        default = DefaultOutcomes(arrays, actions)
        houses, progress = default.houses()[0], default.block("fire_progress")[0]
        for b, game in enumerate(games):
            given = (actions[b].tolist(), None if round1 is None else round1[b].tolist())
            others = [game.without(seat, *given) for seat in range(setup.num_agents)]
            done = game.step(*given)[2]
            for seat, (other, (rewards, sizes, its_done)) in enumerate(others):
                error = np.abs(default.rewards[b, seat] - np.array(rewards))
                assert (error <= 1e-5 * np.array(sizes) + 1e-30).all()
                assert default.terminated[b, seat] == its_done
                assert default.changed[b, seat] == (
                    (other.houses, other.progress, its_done) != (game.houses, game.progress, done)
                )
                assert houses[b, seat].tolist() == other.houses
                assert progress[b, seat].tolist() == other.progress
            if done:
                game.reset()


@settings(max_examples=150)
@given(setups())
def test_only_what_a_seat_can_reach_differs(setup):
    rng = np.random.default_rng(setup.seed)
    n, homes = setup.scenario.num_houses, setup.scenario.agent_home_positions
    homes = np.array(homes or [seat % n for seat in range(setup.num_agents)])
    arrays = Arrays(setup.scenario, 6, setup.num_agents, MAX_CYCLES, range(6))
    spreads = setup.scenario.extinguish_mode == "continuous"
    for _ in range(12):
        signal(setup, rng, arrays)
        actions = actions_at_fires(setup, rng, arrays.batch, 6)
        actions[0] = np.stack([homes, 0 * homes, 0 * homes], 1)
        fires = arrays.batch.houses == BURNING
        default = DefaultOutcomes(arrays, actions)
        targets, works = actions[..., 0], actions[..., 1] == 1
        if setup.scenario.action_validity_mode == "adjacent_only":
            far = np.minimum((targets - homes) % n, (homes - targets) % n) > 1
            targets = np.where(far, homes, targets)
        away = (np.arange(n) - targets[..., None]) % n
        reached = np.minimum(away, n - away) <= int(spreads)
        fought = works & np.take_along_axis(fires, targets, 1)
        houses, real = default.houses()
        assert not ((houses != real) & ~(reached & fought[..., None])).any()
        assert not (default.changed & ~fought).any()
        assert (default.rewards[0] == arrays.rewards[0]).all(), "all rest at home, and would"


def test_what_was_saved_burns_without_the_seat_and_all_other_houses_are_the_same():
    # Many houses ignite each night, so another order of the draws shows at once.
    setting = {"prob_house_catches_fire": 0.3, "prob_solo_agent_extinguishes_fire": 0.7}
    arrays = Arrays(Scenario(**setting), 3000, 2, MAX_CYCLES, range(3000))
    out = np.empty_like(arrays.observations[0])
    for game in range(3000):
        arrays.batch.place(game, np.array([0, 1, 0, 1, 0, 0, 2, 0, 0, 0], np.int8), 0, out)
    default = DefaultOutcomes(
        arrays, np.tile(np.array([[1, 1, 0], [3, 1, 0]], np.int32), (3000, 1, 1))
    )
    houses, real = default.houses()
    for seat, target in enumerate((1, 3)):
        differ = houses[:, seat] != real[:, seat]
        assert (differ.any(1) == default.changed[:, seat]).all()
        assert abs(differ[:, target].mean() - 0.7) < 0.04
        assert not np.delete(differ, target, axis=1).any()
        assert (houses[differ[:, target], seat, target] == 2).all()


@settings(max_examples=80)
@given(setups(), st.integers(0, 8), st.integers(1, 4))
def test_nights_without_a_seat_depend_on_the_games_state_alone(setup, steps, threads):
    rng = np.random.default_rng(setup.seed)
    one = Arrays(setup.scenario, 5, setup.num_agents, 7, range(5))
    for _ in range(steps):
        actions = setup.actions(rng, 5)
        DefaultOutcomes(one, actions)  # steps too; what was tried out before leaves no trace
    other = Arrays(setup.scenario, 5, setup.num_agents, 7, [9] * 5, threads)
    other.batch.set_state(one.batch.get_state())
    for _ in range(6):
        actions = actions_at_fires(setup, rng, one.batch, 5)
        mine, its = DefaultOutcomes(one, actions), DefaultOutcomes(other, actions)
        for array, same in zip(mine.all, its.all, strict=True):
            np.testing.assert_array_equal(array, same)


# Houses, and what two seats do; the first is seat 0's, whose action is tried in several ways.
CASES = {
    "bernoulli": ({"num_houses": 4}, [1, 0, 1, 0], [0, 1, 0]),
    "adjacent_only": (
        {"num_houses": 5, "action_validity_mode": "adjacent_only"},
        [1, 1, 0, 1, 0],
        [1, 1, 0],
    ),
    "continuous": (
        {"num_houses": 4, "extinguish_mode": "continuous", "suppression_per_worker": 1.0},
        [0, 1, 0, 1],
        [3, 0, 1],
    ),
    "two fires in a row": (
        {"num_houses": 5, "extinguish_mode": "continuous", "suppression_per_worker": 1.0},
        [0, 1, 1, 0, 0],
        [1, 0, 0],
    ),
    "half the work": (
        {"num_houses": 4, "extinguish_mode": "continuous", "suppression_per_worker": 0.5},
        [0, 1, 0, 0],
        [1, 1, 0],
    ),
    "a ring of two": (
        {"num_houses": 2, "extinguish_mode": "continuous", "suppression_per_worker": 1.0},
        [1, 0],
        [1, 1, 0],
    ),
}


def nights(scenario, houses, actions, seeds):
    """Place all games in a state; give the coming night without seat 0, and as it will be: [B]."""
    arrays = Arrays(scenario, len(seeds), 2, MAX_CYCLES, seeds)
    out = np.empty_like(arrays.observations[0])
    for game in range(len(seeds)):
        arrays.batch.place(game, np.array(houses, np.int8), 0, out)
    default = DefaultOutcomes(arrays, np.tile(np.array(actions, np.int32), (len(seeds), 1, 1)))
    return tuple(h[:, 0] @ 3 ** np.arange(len(houses)) for h in default.houses())


def deviations(first, second):
    """By how many standard deviations two samples differ more than those of one distribution.

    The chi-squared statistic of two equally large samples, made normal by the cube root (Wilson
    and Hilferty 1931, "The Distribution of Chi-square").
    """
    assert len(first) == len(second)
    size = 1 + max(first.max(), second.max())
    counts = np.stack([np.bincount(sample, minlength=size) for sample in (first, second)])
    rare = counts.sum(0) < 20
    counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(1)])
    total = counts.sum(0)
    freedom = (total > 0).sum() - 1
    statistic = ((counts[0] - counts[1]) ** 2 / np.maximum(total, 1)).sum()
    spread = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / np.sqrt(spread))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_night_without_a_seat_is_as_likely_as_one_in_which_it_rests(case):
    # The other seat acts; what seat 0 itself chose must not show in how it would have gone.
    changes, houses, others = case
    scenario = Scenario(
        prob_house_catches_fire=0.2,
        prob_fire_spreads_to_neighbor=0.4,
        prob_solo_agent_extinguishes_fire=0.5,
        **changes,
    )
    games = 20_000
    resting = nights(scenario, houses, [[0, 0, 0], others], range(games))[1]
    fire = houses.index(BURNING)
    for number, choice in enumerate(([fire, 1, 0], [1 - fire, 1, 1], [fire, 0, 0])):
        seeds = np.arange(games) + (number + 1) * games
        without, real = nights(scenario, houses, [choice, others], seeds)
        assert deviations(without, resting) < 4
        if choice[:2] == [fire, 1]:
            assert deviations(real, resting) > 10, "the seat's work does change something"
