"""Environments survive pickling and copying, into other processes too."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

import brigade

FACTORIES = [brigade.parallel_env, brigade.raw_env, brigade.env]
CLONES = {
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(params=CLONES)
def clone(request):
    return CLONES[request.param]


def row(rng, env):
    return rng.integers(0, [env.unwrapped.scenario.num_houses, 2, 2])


def advance(env, rng, steps):
    """Take some steps in a parallel or an AEC environment, starting games that end anew."""
    trail = []
    for _ in range(steps):
        if not env.agents:
            trail.append(str(env.reset()))
        elif hasattr(env, "agent_selection"):
            observation, reward, terminated, truncated, info = env.last()
            trail.append((observation.tobytes(), reward, terminated, truncated, str(info)))
            env.step(None if terminated or truncated else row(rng, env))
        else:
            result = env.step({agent: row(rng, env) for agent in env.agents})
            trail.append((result[0]["agent_0"].tobytes(), str(result[1:])))
    return trail


@pytest.mark.parametrize(
    ("factory", "clone"),
    [
        (factory, clone)
        for factory in FACTORIES
        for clone in CLONES.values()
        if (factory, clone) != (brigade.env, copy.copy)  # PettingZoo's wrapper shares its inside
    ],
)
@pytest.mark.parametrize("scenario", ["default", "default_continuous"])
@pytest.mark.parametrize("steps", [0, 1, 7, 24, 25])
def test_a_copy_of_a_seeded_game_goes_on_exactly(factory, scenario, clone, steps):
    scenario = brigade.load_scenario(scenario, commitment_mode="two_phase")
    env = factory(scenario, num_agents=3, max_cycles=12)
    env.reset(seed=5)
    advance(env, np.random.default_rng(1), steps)
    twin = clone(env)
    one, two = np.random.default_rng(2), np.random.default_rng(2)
    if factory is not brigade.env:
        assert twin == env
        assert hash(twin) == hash(env)
    assert advance(twin, two, 150) == advance(env, one, 150)
    if factory is not brigade.env:
        assert twin == env
        advance(env, one, 1)
        assert twin != env


def test_copies_share_nothing(clone):
    env = brigade.parallel_env()
    env.reset(seed=5)
    twin = clone(env)
    reference = brigade.parallel_env()
    reference.reset(seed=5)
    advance(twin, np.random.default_rng(1), 5)
    assert env == reference
    assert env.state().tobytes() == reference.state().tobytes()


def test_copies_that_were_never_seeded_draw_their_own_seed(clone):
    scenario = brigade.load_scenario("hard", num_houses=64, prob_house_catches_fire=0.5)
    env = brigade.parallel_env(scenario)
    twins = [clone(env) for _ in range(3)]
    starts = [twin.reset()[0]["agent_0"].tobytes() for twin in [env, *twins]]
    assert len(set(starts)) == 4
    # The running game of an unseeded copy goes on; its next one is its own.
    again = clone(env)
    assert again == env
    assert again.reset()[0]["agent_0"].tobytes() != env.reset()[0]["agent_0"].tobytes()


def test_environments_differ_by_what_they_play():
    one, two = brigade.parallel_env(), brigade.parallel_env()
    assert one == two
    assert one != brigade.parallel_env("hard")
    assert one != brigade.parallel_env(num_agents=3)
    assert one != brigade.parallel_env(actions="discrete")
    assert one != "an environment"
    one.reset(seed=1)
    assert one != two
    two.reset(seed=2)
    assert one != two
    two.reset(seed=1)
    assert one == two


def play_remotely(pair):
    env, factory = pair
    made = factory(max_cycles=9)
    made.reset(seed=3)
    return (
        advance(env, np.random.default_rng(1), 10),
        advance(made, np.random.default_rng(1), 10),
        env.reset(seed=4)[0]["agent_0"].tobytes(),
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_environment_and_factory_survive_the_way_into_another_process(method):
    env = brigade.parallel_env(max_cycles=9)
    env.reset(seed=3)
    with multiprocessing.get_context(method).Pool(1) as pool:
        given, made, start = pool.map(play_remotely, [(env, brigade.parallel_env)])[0]
    expected = advance(env, np.random.default_rng(1), 10)
    assert given == made == expected
    assert start == env.reset(seed=4)[0]["agent_0"].tobytes()


@pytest.mark.parametrize("factory", FACTORIES)
def test_factories_can_be_pickled(factory):
    again = pickle.loads(pickle.dumps(factory))
    again().reset(seed=1)


def test_spaces_of_a_copy_sample_on_their_own(clone):
    env = brigade.parallel_env()
    for agent in env.agents:
        env.action_space(agent).seed(3)
    twin = clone(env)
    first = [env.action_space("agent_0").sample().tolist() for _ in range(5)]
    if clone is not copy.copy:  # a shallow copy shares its space objects, as copies do
        second = [twin.action_space("agent_0").sample().tolist() for _ in range(5)]
        assert first == second
