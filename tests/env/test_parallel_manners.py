"""What other people's code asks of an environment, beyond what PettingZoo's tests catch."""

import warnings

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import brigade

ADJACENT = brigade.load_scenario("default", action_validity_mode="adjacent_only")
TWO_PHASE = brigade.load_scenario("default", commitment_mode="two_phase")


@pytest.fixture(params=["default", ADJACENT, TWO_PHASE], ids=["default", "adjacent", "two_phase"])
def env(request):
    return brigade.parallel_env(request.param, max_cycles=30)


def actions_of(env):
    return {agent: env.action_space(agent).sample() for agent in env.agents}


def test_attributes_are_there_before_and_after_reset(env):
    for _ in range(2):
        assert env.possible_agents == ["agent_0", "agent_1", "agent_2", "agent_3"]
        assert env.num_agents == env.max_num_agents == 4
        assert env.render_mode is None
        assert set(env.metadata) >= {"render_modes", "name", "is_parallelizable", "render_fps"}
        assert env.metadata["name"] == str(env) == "brigade_v0"
        for agent in env.possible_agents:
            assert env.observation_spaces[agent] is env.observation_space(agent)
            assert env.action_spaces[agent] is env.action_space(agent)
        assert set(env.observation_spaces) == set(env.action_spaces) == set(env.possible_agents)
        assert not hasattr(env, "num_envs")
        assert not hasattr(env, "device")
        env.reset(seed=1)


def test_each_agent_has_space_objects_of_its_own():
    env = brigade.parallel_env()
    for group in (env.observation_spaces, env.action_spaces):
        assert len({id(space) for space in group.values()}) == 4
        assert len(set(map(repr, group.values()))) == 1


def test_possible_agents_stay_when_the_game_is_over(env):
    names = list(env.possible_agents)
    env.reset(seed=1)
    while env.agents:
        env.step(actions_of(env))
    assert env.agents == []
    assert env.num_agents == 0
    assert env.possible_agents == names


def test_values_have_pythons_own_types_and_lie_in_their_spaces(env):
    observations, infos = env.reset(seed=1)
    keys = set(infos["agent_0"])
    while env.agents:
        observations, rewards, terminations, truncations, infos = env.step(actions_of(env))
        for agent in env.possible_agents:
            row = observations[agent]
            assert row.dtype == env.observation_space(agent).dtype == np.float32
            assert env.observation_space(agent).contains(row)
            assert type(rewards[agent]) is float
            assert type(terminations[agent]) is bool
            assert type(truncations[agent]) is bool
            assert set(infos[agent]) == keys
            numbers = {k: v for k, v in infos[agent].items() if k != "action_mask"}
            assert all(type(value) is int for value in numbers.values())
    assert keys == (
        {"night", "phase", "action_mask"} if env.scenario == ADJACENT else {"night", "phase"}
    )


def test_what_was_returned_never_changes_and_is_shared_with_nobody(env):
    observations, infos = env.reset(seed=1)
    kept = [(observations, infos)]
    copies = [{a: row.copy() for a, row in observations.items()}]
    while env.agents:
        observations, *_, infos = env.step(actions_of(env))
        kept.append((observations, infos))
        copies.append({a: row.copy() for a, row in observations.items()})
    env.reset()
    for (rows, _), copy in zip(kept, copies, strict=True):
        for agent in rows:
            assert np.array_equal(rows[agent], copy[agent])
    rows = [row for returned, _ in kept for row in returned.values()]
    assert not any(
        np.shares_memory(row, other) for row in rows[:24] for other in rows[:24] if row is not other
    )
    dictionaries = [info for _, returned in kept for info in returned.values()]
    assert len({id(info) for info in dictionaries}) == len(dictionaries)


def test_writing_into_what_was_returned_changes_nothing(env):
    one, two = brigade.parallel_env(env.scenario), brigade.parallel_env(env.scenario)
    for game in (one, two):
        game.reset(seed=5)
    actions = actions_of(one)
    observations, *_, infos = one.step(actions)
    two.step(actions)
    for agent in observations:
        observations[agent].fill(7)
        if "action_mask" in infos[agent]:
            infos[agent]["action_mask"].fill(7)
        infos[agent].clear()
    one.state().fill(7)
    assert np.array_equal(one.state(), two.state())
    actions = actions_of(one)
    first, second = one.step(actions), two.step(actions)
    for agent in actions:
        assert np.array_equal(first[0][agent], second[0][agent])
        assert str(first[-1][agent]) == str(second[-1][agent])


def test_bounds_are_finite_and_true():
    env = brigade.parallel_env()
    space = env.observation_space("agent_0")
    assert np.isfinite(space.low).all()
    assert np.isfinite(space.high).all()
    assert (space.low < space.high).all()
    assert isinstance(env.state_space, spaces.Box)


def test_seats_see_themselves_and_nothing_of_each_other_is_hidden():
    env = brigade.parallel_env("positional_default")
    observations, _ = env.reset(seed=1)
    layout = brigade.observation_layout(env.scenario, 4)
    for seat, row in enumerate(observations.values()):
        assert row[layout["seat"]].argmax() == seat
        assert row[layout["home"]].argmax() == [0, 3, 5, 8][seat]
        assert np.flatnonzero(row[layout["owned"]]).tolist() == list(range(seat, 10, 4))


@pytest.mark.parametrize("form", ["multi", "discrete"])
@pytest.mark.parametrize(
    "convert",
    [
        np.int8,
        np.uint8,
        np.int32,
        np.uint64,
        lambda a: np.asarray(a).tolist(),
        lambda a: tuple(np.asarray(a).tolist()) if np.ndim(a) else int(a),
        lambda a: [np.int16(x) for x in a] if np.ndim(a) else np.int16(a),
    ],
)
def test_actions_may_be_integers_of_any_kind(form, convert):
    one, two = (brigade.parallel_env(actions=form) for _ in range(2))
    one.reset(seed=1)
    two.reset(seed=1)
    for _ in range(10):
        actions = actions_of(one)
        first = one.step(actions)
        second = two.step({agent: convert(action) for agent, action in actions.items()})
        assert first[1] == second[1]
        assert one == two


def test_mixed_kinds_of_integers_are_fine():
    one, two = brigade.parallel_env(), brigade.parallel_env()
    one.reset(seed=1)
    two.reset(seed=1)
    row = [3, 1, 0]
    one.step(dict.fromkeys(one.agents, row))
    kinds = (np.array(row, np.uint64), np.array(row, np.int64), row, tuple(row))
    two.step(dict(zip(two.agents, kinds, strict=True)))
    assert one == two


def test_discrete_actions_of_one_entry_are_fine():
    one, two = (brigade.parallel_env(actions="discrete") for _ in range(2))
    one.reset(seed=1)
    two.reset(seed=1)
    one.step(dict.fromkeys(one.agents, 13))
    two.step(dict.fromkeys(two.agents, np.array([13])))
    assert one == two


def test_multi_and_discrete_are_the_same_game():
    multi, discrete = brigade.parallel_env(), brigade.parallel_env(actions="discrete")
    multi.reset(seed=1)
    discrete.reset(seed=1)
    for _ in range(10):
        codes = actions_of(discrete)
        rows = {agent: discrete.decode(code) for agent, code in codes.items()}
        assert {agent: multi.encode(row) for agent, row in rows.items()} == codes
        assert discrete.step(codes)[1] == multi.step(rows)[1]


BAD_MULTI = [
    [10, 0, 0],
    [0, 2, 0],
    [0, 0, 2],
    [-1, 0, 0],
    [2**32, 0, 0],
    [2**63, 0, 0],
    [2**70, 0, 0],
    [0, 0],
    [0, 0, 0, 0],
    [[0, 0, 0]],
    [0.0, 0.0, 0.0],
    np.array([1.5, 0, 0]),
    np.array(["a", "b", "c"]),
    3,
    "rest",
    b"abc",
    None,
    {},
    pytest.param(object(), id="object"),
    [[], 0, 0],
]


@pytest.mark.parametrize("action", BAD_MULTI, ids=repr)
@pytest.mark.parametrize("everyone", [True, False])
def test_a_bad_action_is_refused_with_its_agent_and_nothing_is_stepped(action, everyone):
    env = brigade.parallel_env()
    env.reset(seed=1)
    before = brigade.parallel_env()
    before.reset(seed=1)
    actions = dict.fromkeys(env.agents, action if everyone else [0, 0, 0])
    actions["agent_2"] = action
    with pytest.raises(ValueError, match=r"action of agent_[02] must be \[house, mode, signal\]"):
        env.step(actions)
    assert env == before


@pytest.mark.parametrize("action", [-1, 40, 2**32, 2**64, 1.0, None, "1", [1, 2], [[0, 0, 0]]])
def test_a_bad_discrete_action_is_refused(action):
    env = brigade.parallel_env(actions="discrete")
    env.reset(seed=1)
    with pytest.raises(ValueError, match="action of agent_1 must be an integer from 0 to 39"):
        env.step({**dict.fromkeys(env.agents, 0), "agent_1": action})


def test_truth_values_are_no_actions():
    env = brigade.parallel_env()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="action of agent_0"):
        env.step(dict.fromkeys(env.agents, (True, False, True)))


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ({}, "no action for 'agent_0'"),
        ({f"agent_{i}": [0, 0, 0] for i in range(3)}, "no action for 'agent_3'"),
        ({f"agent_{i}": [0, 0, 0] for i in range(5)}, "no agent 'agent_4'"),
        ([[0, 0, 0]] * 4, "dictionary"),
        (None, "dictionary"),
    ],
)
def test_the_wrong_agents_are_refused(actions, words):
    env = brigade.parallel_env()
    env.reset(seed=1)
    with pytest.raises(ValueError, match=words):
        env.step(actions)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["agent_0", "agent_1", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=6,
        ),
        max_size=3,
    )
)
def test_garbage_never_gets_through(actions):
    env = brigade.parallel_env(num_agents=2)
    env.reset(seed=1)
    try:
        env.step(actions)
    except ValueError as refusal:
        assert str(refusal)  # noqa: PT017
    else:
        assert set(actions) == {"agent_0", "agent_1"}


def test_step_before_reset_and_after_the_end_is_refused():
    env = brigade.parallel_env(max_cycles=1)
    with pytest.raises(ValueError, match="no game has begun"):
        env.step(dict.fromkeys(env.agents, (0, 0, 0)))
    env.reset(seed=1)
    actions = dict.fromkeys(env.agents, (0, 0, 0))
    env.step(actions)
    with pytest.raises(ValueError, match="the game is over"):
        env.step(actions)
    assert env.step({}) == ({}, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"scenario": "nope"}, "nope"),
        ({"num_agents": 0}, "num_agents"),
        ({"num_agents": 2.5}, "num_agents"),
        ({"num_agents": True}, "num_agents"),
        ({"max_cycles": 0}, "max_cycles"),
        ({"max_cycles": None}, "max_cycles"),
        ({"render_mode": "gif"}, "render_mode"),
        ({"actions": "box"}, "actions"),
        ({"scenario": "positional_default", "num_agents": 5}, "agent_home_positions"),
    ],
)
def test_a_bad_argument_is_refused_when_it_is_given(kwargs, words):
    with pytest.raises(ValueError, match=words):
        brigade.parallel_env(**kwargs)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a", [1], True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        brigade.parallel_env().reset(seed=seed)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(5), np.uint8(5)])
def test_any_integer_is_a_seed(seed):
    env = brigade.parallel_env()
    first, _ = env.reset(seed=seed)
    second, _ = env.reset(seed=int(seed))
    assert np.array_equal(first["agent_0"], second["agent_0"])


@settings(max_examples=25, deadline=None)
@given(
    num_houses=st.integers(2, 64),
    num_agents=st.integers(1, 32),
    extinguish=st.sampled_from(["bernoulli", "continuous"]),
    commitment=st.sampled_from(["simultaneous", "two_phase"]),
    validity=st.sampled_from(["always_valid", "adjacent_only"]),
    chance=st.floats(0, 1),
    money=st.floats(-1e6, 1e6),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_size_and_mode_keeps_its_promises(
    num_houses, num_agents, extinguish, commitment, validity, chance, money, seed
):
    scenario = brigade.Scenario(
        num_houses=num_houses,
        min_nights=3,
        extinguish_mode=extinguish,
        commitment_mode=commitment,
        action_validity_mode=validity,
        prob_house_catches_fire=chance,
        prob_solo_agent_extinguishes_fire=chance,
        prob_fire_spreads_to_neighbor=chance,
        team_reward_house_survives=money,
        penalty_own_house_burns=[money] * num_agents,
    )
    env = brigade.parallel_env(scenario, num_agents=num_agents, max_cycles=6)
    observations, _ = env.reset(seed=seed)
    rng = np.random.default_rng(0)
    while env.agents:
        rows = rng.integers(0, [num_houses, 2, 2], (num_agents, 3))
        observations, rewards, *_ = env.step(dict(zip(env.agents, rows, strict=True)))
        assert all(np.isfinite(value) for value in rewards.values())
        for agent, row in observations.items():
            assert env.observation_space(agent).contains(row)
        assert env.state_space.contains(env.state())


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = brigade.parallel_env(max_cycles=3)
        env.reset()
        while env.agents:
            env.step(actions_of(env))
        env.close()
