"""Agents act from observations alone, and as often as the rules say."""

import numpy as np
import pytest

import brigade
from brigade.agents import ARCHETYPES, Agent, team_actions


def rows_of_burning(scenario, num_agents, burning, num_games):
    """Give observations [B, A, F] in which exactly the given houses burn."""
    env = brigade.BatchedEnv(1, scenario, num_agents, seed=1)
    rows = env.reset()[0].copy()
    houses = np.zeros((scenario.num_houses, 3), np.float32)
    houses[:, 0] = 1
    houses[burning] = [0, 1, 0]
    rows[:, brigade.observation_layout(scenario, num_agents)["houses"]] = houses.reshape(-1)
    return np.repeat(rows[None], num_games, axis=0)


def test_all_are_agents():
    for agent in brigade.parse_team("hero,spread,random"):
        assert isinstance(agent, Agent)


@pytest.mark.parametrize("name", ["hero", "spread", "random"])
@pytest.mark.parametrize("num_rows", [0, 1, 5, 8])
def test_rows_may_be_of_any_number_and_any_seats(name, num_rows):
    (agent, *_) = brigade.parse_team([name] * 4)
    env = brigade.BatchedEnv(4, seed=1)
    rows = env.reset().reshape(16, -1)[np.random.default_rng(0).permutation(16)[:num_rows]]
    actions = agent.act(rows, np.random.default_rng(1))
    assert actions.shape == (num_rows, 3)
    assert actions.dtype == np.int32
    assert (actions >= 0).all()
    assert (actions < [10, 2, 2]).all()


def test_the_rng_decides_and_is_used():
    agent = brigade.RandomAgent()
    rows = brigade.BatchedEnv(50, seed=1).reset().reshape(200, -1)
    one, two = (agent.act(rows, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one, two)
    rng = np.random.default_rng(1)
    first, second = agent.act(rows, rng), agent.act(rows, rng)
    assert np.array_equal(first, one)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", sorted(ARCHETYPES))
@pytest.mark.parametrize("burning", [[], [1], [1, 5], [2, 4, 7]])
def test_archetypes_act_as_often_as_the_rules_say(name, burning):
    games = 20_000
    scenario = brigade.load_scenario("default")
    rows = rows_of_burning(scenario, 4, burning, games)
    agents = [brigade.HeuristicAgent(name, scenario, 4)] * 4
    actions = team_actions(agents, rows, np.random.default_rng(3))
    parameters = ARCHETYPES[name]
    honesty, works = parameters[0], parameters[1] * (1 - parameters[8])
    own_first = parameters[3]
    for seat in range(4):
        house, mode, signal = actions[:, seat].T
        # Shares of 20,000 draws have a standard deviation of at most 0.0036: five of them.
        assert abs(mode.mean() - works) < 0.018
        assert abs((mode == signal).mean() - honesty) < 0.018
        assert (house[mode == 0] == seat).all()
        at = house[mode == 1]
        if not burning:
            assert (at == seat).all()
            continue
        expected = np.zeros(10)
        spread = 1 - own_first if seat in burning else 1
        expected[burning] = spread / len(burning)
        expected[seat] += own_first if seat in burning else 0
        shares = np.bincount(at, minlength=10) / max(len(at), 1)
        tolerance = 5 * 0.5 / np.sqrt(max(len(at), 1))
        assert np.abs(shares - expected).max() < tolerance


def test_any_ten_numbers_make_an_agent():
    parameters = np.zeros(10)
    parameters[[0, 1]] = 1  # always honest, always works
    agent = brigade.HeuristicAgent(parameters)
    rows = rows_of_burning(agent.scenario, 4, [6], 5).reshape(20, -1)
    assert agent.act(rows, np.random.default_rng(0)).tolist() == [[6, 1, 1]] * 20


def test_a_spread_team_covers_as_many_fires_as_it_can():
    scenario = brigade.load_scenario("default")
    team = brigade.parse_team("spread,spread,spread,spread", scenario)
    for burning in ([3], [3, 8], [0, 4, 9], [1, 2, 5, 7], [0, 1, 2, 3, 4, 5]):
        rows = rows_of_burning(scenario, 4, burning, 2)
        actions = team_actions(team, rows, np.random.default_rng(0))
        expected = [[burning[seat % len(burning)], 1, 1] for seat in range(4)]
        assert actions.tolist() == [expected, expected]
    quiet = team_actions(team, rows_of_burning(scenario, 4, [], 1), np.random.default_rng(0))
    assert quiet[0].tolist() == [[seat, 0, 0] for seat in range(4)]


def test_random_agents_take_every_action_alike():
    rows = brigade.BatchedEnv(10_000, seed=1).reset().reshape(40_000, -1)
    actions = brigade.RandomAgent().act(rows, np.random.default_rng(0))
    counts = np.bincount(actions @ [4, 2, 1], minlength=40)
    assert len(counts) == 40
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_better_teams_do_better():
    def mean_return(team):
        scenario = brigade.load_scenario("default")
        env = brigade.BatchedEnv(400, scenario, max_cycles=30, seed=5)
        agents = brigade.parse_team(team, scenario)
        rng = np.random.default_rng(0)
        observations = env.reset()
        total = np.zeros(400)
        for _ in range(30):
            observations, rewards, *_ = env.step(team_actions(agents, observations, rng))
            total += rewards.mean(axis=1)
        return total.mean()

    random, free_rider, hero, spread = map(
        mean_return, [",".join([name] * 4) for name in ("random", "free_rider", "hero", "spread")]
    )
    assert spread > hero > max(free_rider, random)


@pytest.mark.parametrize(
    "parameters",
    [
        "nobody",
        "Hero",
        [0.5] * 9,
        [0.5] * 9 + [1.5],
        [0.5] * 9 + [float("nan")],
        "",
        None,
        [None] * 10,
    ],
)
def test_what_describes_no_agent_is_refused(parameters):
    with pytest.raises(ValueError, match=r"archetype"):
        brigade.HeuristicAgent(parameters)


def test_a_near_miss_gets_a_hint():
    with pytest.raises(ValueError, match="did you mean 'firefighter'"):
        brigade.HeuristicAgent("fire_fighter")


def test_observations_of_another_game_are_refused():
    rows = brigade.BatchedEnv(2, "v2_minimal", seed=1).reset().reshape(8, -1)
    for agent in brigade.parse_team("hero,spread,random,liar"):
        with pytest.raises(ValueError, match="observations must be of shape"):
            agent.act(rows, np.random.default_rng(0))
