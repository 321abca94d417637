"""The AEC form plays the same game, agent by agent."""

import numpy as np
import pytest
from pettingzoo.test import api_test, seed_test
from pettingzoo.test.render_test import collect_render_results
from pettingzoo.utils.conversions import aec_to_parallel

import brigade

ADJACENT = brigade.load_scenario("default", action_validity_mode="adjacent_only")
TWO_PHASE = brigade.load_scenario("default", commitment_mode="two_phase")
# PettingZoo finds any space unusual that is neither a Box nor a Discrete.
MULTI = "ignore:Action space for each agent probably should be:UserWarning"


@pytest.mark.filterwarnings(MULTI)
@pytest.mark.parametrize("factory", [brigade.env, brigade.raw_env])
@pytest.mark.parametrize("form", ["multi", "discrete"])
@pytest.mark.parametrize("scenario", ["default", ADJACENT, TWO_PHASE])
def test_pettingzoos_own_tests_pass(factory, form, scenario):
    api_test(factory(scenario, actions=form, max_cycles=40), num_cycles=150)
    seed_test(lambda: factory(scenario, actions=form, max_cycles=40), num_cycles=50)


@pytest.mark.parametrize("scenario", ["hard", TWO_PHASE])
def test_it_equals_the_parallel_form(scenario):
    parallel = brigade.parallel_env(scenario, num_agents=3, max_cycles=10)
    aec = brigade.raw_env(scenario, num_agents=3, max_cycles=10)
    rng = np.random.default_rng(0)
    for game in range(3):
        seed = 4 if game == 0 else None
        observations, infos = parallel.reset(seed=seed)
        aec.reset(seed=seed)
        assert aec.infos == infos
        while parallel.agents:
            actions = {agent: rng.integers(0, [10, 2, 2]) for agent in parallel.agents}
            for agent in parallel.agents:
                assert aec.agent_selection == agent
                assert np.array_equal(aec.observe(agent), observations[agent])
                aec.step(actions[agent])
            observations, rewards, terminations, truncations, infos = parallel.step(actions)
            assert aec.rewards == rewards
            assert aec.terminations == terminations
            assert aec.truncations == truncations
            assert aec.infos == infos
            assert np.array_equal(aec.state(), parallel.state())
        for agent in list(aec.agents):
            assert aec.last()[1] == rewards[agent]
            aec.step(None)
        assert aec.agents == []


def test_nobody_sees_anothers_action_before_the_night():
    env = brigade.raw_env()
    env.reset(seed=1)
    before = env.observe("agent_3")
    for _ in range(3):
        env.step([4, 1, 1])
    assert np.array_equal(env.observe("agent_3"), before)


def test_an_action_array_may_be_used_again():
    one, two = brigade.raw_env(), brigade.raw_env()
    one.reset(seed=1)
    two.reset(seed=1)
    buffer = np.zeros(3, np.int64)
    for house in (3, 5, 7, 9):
        buffer[:] = [house, 1, 1]
        one.step(buffer)
        two.step([house, 1, 1])
    assert one == two


def test_turned_back_into_parallel_it_is_the_same_game():
    env = aec_to_parallel(brigade.env(max_cycles=8))
    direct = brigade.parallel_env(max_cycles=8)
    env.reset(seed=2)
    direct.reset(seed=2)
    while direct.agents:
        actions = {agent: [1, 1, 0] for agent in direct.agents}
        one, two = env.step(actions), direct.step(actions)
        assert {a: r.tolist() for a, r in one[0].items()} == {
            a: r.tolist() for a, r in two[0].items()
        }
        assert dict(one[1]) == two[1]
        assert one[2:] == two[2:]
    assert env.agents == []


@pytest.mark.parametrize("factory", [brigade.env, brigade.raw_env])
def test_attributes(factory):
    env = factory(render_mode="ansi", max_cycles=7)
    assert env.possible_agents == ["agent_0", "agent_1", "agent_2", "agent_3"]
    assert env.render_mode == "ansi"
    assert env.unwrapped.max_cycles == 7
    assert env.metadata["is_parallelizable"]
    assert env.unwrapped.observation_spaces["agent_1"] is env.observation_space("agent_1")
    assert env.unwrapped.action_spaces["agent_1"] is env.action_space("agent_1")
    assert env.state_space is env.unwrapped.state_space


def test_what_is_wrong_is_refused():
    env = brigade.raw_env(max_cycles=1)
    with pytest.raises(ValueError, match="reset"):
        env.step([0, 0, 0])
    with pytest.raises(ValueError, match="reset"):
        env.observe("agent_0")
    env.reset(seed=1)
    with pytest.raises(ValueError, match="nobody"):
        env.observe("nobody")
    with pytest.raises(ValueError, match="action of agent_0"):
        env.step([0, 0, 2])
    assert env.agent_selection == "agent_0"
    for _ in range(4):
        env.step([0, 0, 0])
    with pytest.raises(ValueError, match="None"):
        env.step([0, 0, 0])
    for _ in range(4):
        env.step(None)
    with pytest.raises(ValueError, match="over"):
        env.step(None)


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_pettingzoos_way_of_rendering_works(mode):
    results = collect_render_results(brigade.env(render_mode=mode))
    kind = str if mode == "ansi" else np.ndarray
    assert all(isinstance(result, kind) for result in results)
