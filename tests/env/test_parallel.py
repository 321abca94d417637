"""The PettingZoo parallel environment plays exactly the engine's game."""

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test
from pettingzoo.test.seed_test import check_environment_deterministic_parallel

import brigade

VARIANTS = [
    {},
    {"scenario": "hard", "num_agents": 1},
    {"scenario": "v2_minimal", "num_agents": 7, "actions": "discrete"},
    {"scenario": "default_continuous", "num_agents": 10, "max_cycles": 30},
    {
        "scenario": brigade.load_scenario(
            "default", commitment_mode="two_phase", action_validity_mode="adjacent_only"
        ),
        "max_cycles": 20,
    },
]


def random_actions(env, rng):
    """Give each agent an action, and all of them as an array [A, 3]."""
    array = rng.integers(0, [env.scenario.num_houses, 2, 2], (len(env.agents), 3))
    rows = [env.encode(row) for row in array] if env.action_form == "discrete" else array
    return dict(zip(env.agents, rows, strict=True)), array


def play(env, rng, seed=None):
    """Play one game with random actions and give all that was returned."""
    results = [env.reset(seed=seed)]
    while env.agents:
        results.append(env.step(random_actions(env, rng)[0]))
    return results


def same(one, other):
    """Compare nested results, arrays by their bytes."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("kwargs", VARIANTS)
def test_pettingzoos_own_tests_pass(kwargs):
    parallel_api_test(brigade.parallel_env(**kwargs), num_cycles=300)
    parallel_seed_test(lambda: brigade.parallel_env(**kwargs))
    check_environment_deterministic_parallel(
        brigade.parallel_env(**kwargs), brigade.parallel_env(**kwargs), 200
    )


@pytest.mark.parametrize("kwargs", VARIANTS)
def test_it_equals_the_engine_step_by_step(kwargs):
    env = brigade.parallel_env(**{"max_cycles": 40, **kwargs})
    num_agents = len(env.possible_agents)
    engine = brigade.Engine(env.scenario, num_agents, 11)
    two_phase = env.scenario.commitment_mode == "two_phase"
    layout = brigade.observation_layout(env.scenario, num_agents)
    rng = np.random.default_rng(0)
    for game in range(4):
        observations, infos = env.reset(seed=11 if game == 0 else None)
        if game:
            engine.reset()
        while env.agents:
            one_hot = observations["agent_0"][layout["houses"]].reshape(-1, 3)
            assert np.array_equal(one_hot.argmax(axis=1), engine.houses)
            assert {info["night"] for info in infos.values()} == {engine.night}
            signals = None
            if two_phase:
                assert {info["phase"] for info in infos.values()} == {1}
                actions, array = random_actions(env, rng)
                signals = array[:, 2]
                _, rewards, terminations, truncations, infos = env.step(actions)
                assert set(rewards.values()) == {0.0}
                assert not any(terminations.values())
                assert not any(truncations.values())
            assert {info["phase"] for info in infos.values()} == {0}
            actions, array = random_actions(env, rng)
            observations, rewards, terminations, truncations, infos = env.step(actions)
            expected, done = engine.step(array, signals)
            assert list(rewards.values()) == expected.tolist()
            assert set(terminations.values()) == {done}
            assert set(truncations.values()) == {not done and engine.night >= env.max_cycles}
        last = observations["agent_0"][layout["houses"]].reshape(-1, 3).argmax(axis=1)
        assert np.array_equal(last, engine.houses)
        positions = observations["agent_0"][layout["positions"]] * (env.scenario.num_houses - 1)
        np.testing.assert_allclose(positions, engine.positions, atol=1e-5)


@pytest.mark.parametrize("kwargs", VARIANTS)
def test_a_seed_decides_several_games(kwargs):
    kwargs = {"max_cycles": 25, **kwargs}
    one, two, three = (brigade.parallel_env(**kwargs) for _ in range(3))
    games = [
        [play(env, np.random.default_rng(5), seed if game == 0 else None) for game in range(4)]
        for env, seed in ((one, 7), (two, 7), (three, 8))
    ]
    assert same(games[0], games[1])
    assert not same(games[0], games[2])
    assert not same(games[0][0], games[0][1])
    again = [play(one, np.random.default_rng(5), 7 if game == 0 else None) for game in range(4)]
    assert same(games[0], again)  # whatever was played before


def test_a_reset_in_the_middle_of_a_game_goes_on_with_the_stream():
    env, engine = brigade.parallel_env(), brigade.Engine("default", 4, 3)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for nights in (3, 0, 1, 5):
        for _ in range(nights):
            actions, array = random_actions(env, rng)
            env.step(actions)
            engine.step(array)
        observations, _ = env.reset()
        engine.reset()
        houses = observations["agent_0"][:30].reshape(10, 3).argmax(axis=1)
        assert np.array_equal(houses, engine.houses)


def test_without_a_seed_every_environment_plays_its_own_games():
    scenario = brigade.load_scenario("hard", num_houses=64, prob_house_catches_fire=0.5)
    starts = {brigade.parallel_env(scenario).reset()[0]["agent_0"].tobytes() for _ in range(8)}
    assert len(starts) == 8


def test_the_time_limit_truncates_and_does_not_terminate():
    env = brigade.parallel_env(max_cycles=3)
    results = play(env, np.random.default_rng(0), 1)
    assert len(results) == 4
    *_, terminations, truncations, _ = results[-1]
    assert set(truncations.values()) == {True}
    assert set(terminations.values()) == {False}


def test_an_end_by_the_rules_at_the_time_limit_is_no_truncation():
    env = brigade.parallel_env("trivial_cooperation", max_cycles=13)
    results = play(env, np.random.default_rng(0), 1)
    *_, terminations, truncations, _ = results[-1]
    assert len(results) == 14
    assert set(terminations.values()) == {True}
    assert set(truncations.values()) == {False}


def test_the_time_limit_may_be_changed():
    env = brigade.parallel_env(max_cycles=1000)
    env.reset(seed=1)
    env.max_cycles = 2
    rng = np.random.default_rng(0)
    env.step(random_actions(env, rng)[0])
    env.step(random_actions(env, rng)[0])
    assert env.agents == []


def test_signals_of_the_signal_step_are_seen_before_the_night():
    scenario = brigade.load_scenario("default", commitment_mode="two_phase")
    env = brigade.parallel_env(scenario)
    env.reset(seed=1)
    part = brigade.observation_layout(scenario, 4)["round1_signals"]
    signals = [1, 0, 1, 1]
    actions = {a: [3, 1, s] for a, s in zip(env.agents, signals, strict=True)}
    observations, *_ = env.step(actions)
    for row in observations.values():
        assert row[part].tolist() == signals
    night = env.step(dict.fromkeys(env.agents, (0, 0, 0)))[0]
    for row in night.values():
        assert row[part].tolist() == signals  # until the next night's
