"""The figures against games that are really played."""

import numpy as np
import pytest

from brigade import BatchedEnv, load_scenario, observation_layout
from brigade.optimum import (
    CountGame,
    OptimalTeam,
    evaluate,
    random_play,
    solve_game,
    spread_out,
)

DISCOUNT = 0.97
SHAPING = {
    "action_shaping_alpha": 30.0,
    "action_shaping_beta": 1.2,
    "progress_shaping_coef": 5.0,
    "team_welfare_kind": "team_welfare_closed_form",
    "team_welfare_lambda": 0.5,
}


def play(scenario, num_agents, act, num_games, max_nights):
    """Play one game in each environment.

    Returns discounted returns (mean over the seats), total rewards of the team and nights, [B].
    """
    env = BatchedEnv(num_games, scenario, num_agents=num_agents, max_cycles=max_nights, seed=5)
    observations = env.reset()
    discounted = np.zeros(num_games)
    total = np.zeros(num_games)
    nights = np.zeros(num_games)
    running = np.ones(num_games, dtype=bool)
    while running.any():
        before = nights.copy()
        observations, rewards, terminated, truncated = env.step(act(observations))
        nights = np.where(running, env.lengths, nights)
        rewards = rewards.astype(np.float64)
        discounted += np.where(running, rewards.mean(axis=1) * DISCOUNT**before, 0.0)
        total += np.where(running, rewards.sum(axis=1), 0.0)
        running &= ~(terminated | truncated)
    return discounted, total, nights


def assert_agrees(samples, expected):
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    assert abs(samples.mean() - expected) < 4 * error + 1e-3


@pytest.mark.parametrize("objective", ["discounted", "per-night"])
@pytest.mark.parametrize(
    ("name", "changes", "num_agents", "max_nights"),
    [
        ("default", {}, 4, 120),
        ("rest_trap", {}, 4, 25),  # a ruin is rare and long: more nights need many more games
        ("hard", SHAPING, 5, 120),
        ("v2_minimal", {"commitment_mode": "two_phase"}, 4, 120),
    ],
)
def test_optimal_team_reaches_the_optimum(name, changes, num_agents, max_nights, objective):
    scenario = load_scenario(name, **changes)
    game = CountGame.from_scenario(scenario, num_agents)
    optimum = solve_game(game, DISCOUNT, objective, max_nights)
    team = OptimalTeam(optimum, observation_layout(scenario, num_agents))
    discounted, total, nights = play(scenario, num_agents, team.act, 1500, max_nights)
    assert_agrees(discounted, optimum.worth.discounted_return)
    # The mean of this difference is 0 exactly where the ratio of means is the reward per night.
    assert_agrees(total - optimum.worth.reward_per_night * nights, 0.0)
    assert_agrees(nights, optimum.worth.nights_per_game)


def test_random_play_is_worth_its_figure():
    scenario = load_scenario("default")
    game = CountGame.from_scenario(scenario, 4)
    rng = np.random.default_rng(1)
    value = evaluate(game, random_play(game), DISCOUNT, max_nights=100)

    def act(observations):
        return rng.integers(0, (10, 2, 2), size=(*observations.shape[:2], 3), dtype=np.int32)

    discounted, total, nights = play(scenario, 4, act, 1500, 100)
    assert_agrees(discounted, value.discounted_return)
    assert_agrees(total - value.reward_per_night * nights, 0.0)


def test_spread_out_team_is_worth_its_figure():
    scenario = load_scenario("chain_reaction")
    game = CountGame.from_scenario(scenario, 4)
    layout = observation_layout(scenario, 4)
    value = evaluate(game, spread_out(game), DISCOUNT, max_nights=100)

    def act(observations):
        burning = observations[:, 0, layout["houses"]].reshape(-1, 10, 3)[:, :, 1] > 0.5
        actions = np.zeros((*observations.shape[:2], 3), dtype=np.int32)
        for row, fires in zip(actions, burning, strict=True):
            if fires.any():
                row[:, 0] = np.resize(np.flatnonzero(fires), 4)
                row[:, 1] = 1
        return actions

    discounted, total, nights = play(scenario, 4, act, 800, 100)
    assert_agrees(discounted, value.discounted_return)
    assert_agrees(total - value.reward_per_night * nights, 0.0)


def test_layout_of_another_game_is_refused():
    game = CountGame.from_scenario(load_scenario("default"), 4)
    optimum = solve_game(game)
    with pytest.raises(ValueError, match="10 houses"):
        OptimalTeam(optimum, observation_layout(load_scenario("v2_minimal"), 4))
    with pytest.raises(ValueError, match="4 seats"):
        OptimalTeam(optimum, observation_layout(load_scenario("default"), 5))
