"""The global state for centralised critics."""

import numpy as np
import pytest

import brigade
from brigade.env.state import OWNERSHIP_PARAMETERS, state_layout


def test_it_holds_what_all_see_and_every_seats_stakes():
    stakes = {
        name: [1.0 + index, 2.0 + index, 3.0 + index]
        for index, name in enumerate(OWNERSHIP_PARAMETERS)
    }
    scenario = brigade.load_scenario("default", **stakes)
    env = brigade.parallel_env(scenario, num_agents=3)
    observations, _ = env.reset(seed=1)
    layout, parts = brigade.observation_layout(scenario, 3), state_layout(scenario, 3)
    state = env.state()
    assert state.dtype == np.float32
    assert env.state_space.contains(state)
    assert parts["ownership"].stop == len(state)
    for name in set(layout) - {"owned", "home", "seat"}:
        assert np.array_equal(state[parts[name]], observations["agent_0"][layout[name]])
    expected = [value[seat] for seat in (1, 2) for value in stakes.values()]
    np.testing.assert_allclose(
        state[parts["ownership"]], [x / (x + 100) for x in expected], rtol=1e-6
    )
    assert not {"owned", "home", "seat"} & set(parts)


def test_it_tells_every_state_of_the_game_that_observations_tell():
    env = brigade.parallel_env("hard", num_agents=3, max_cycles=50)
    env.reset(seed=2)
    rng = np.random.default_rng(0)
    seen = {}
    while env.agents:
        rows = rng.integers(0, [10, 2, 2], (3, 3))
        observations, *_ = env.step(dict(zip(env.agents, rows, strict=True)))
        both = b"".join(row.tobytes() for row in observations.values())
        assert seen.setdefault(env.state().tobytes(), both) == both


def test_it_works_after_the_last_step_and_shows_the_last_night():
    env = brigade.parallel_env("trivial_cooperation")
    env.reset(seed=1)
    part = state_layout(env.scenario, 4)["night"]
    nights = []
    while env.agents:
        env.step(dict.fromkeys(env.agents, (0, 0, 0)))
        nights.append(float(env.state()[part][0]))
    assert nights == sorted(nights)
    assert nights[-1] == pytest.approx(13 / 113)
    env.reset()
    assert env.state()[part][0] == 0


def test_without_a_game_there_is_no_state():
    with pytest.raises(ValueError, match="reset"):
        brigade.parallel_env().state()


@pytest.mark.parametrize("num_agents", [1, 2, 9])
def test_its_length_is_that_of_its_space(num_agents):
    env = brigade.parallel_env(num_agents=num_agents)
    env.reset(seed=1)
    assert env.state().shape == env.state_space.shape
