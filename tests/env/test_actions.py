"""The two forms of an action, and reach."""

import pickle

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

import brigade
from brigade.env.actions import action_masks, decode, encode, reach


@given(st.integers(2, 64), st.data())
def test_encode_and_decode_are_each_others_inverse(num_houses, data):
    code = data.draw(st.integers(0, 4 * num_houses - 1))
    action = decode(code, num_houses)
    assert action.shape == (3,)
    assert encode(action, num_houses) == code
    assert encode(action.tolist(), num_houses) == code
    assert (action < [num_houses, 2, 2]).all()
    assert (action >= 0).all()


def test_codes_are_dense_and_ordered_by_house_mode_and_signal():
    codes = [encode((h, m, s), 5) for h in range(5) for m in range(2) for s in range(2)]
    assert codes == list(range(20))


@pytest.mark.parametrize(
    "action", [[5, 0, 0], [0, 2, 0], [0, 0, -1], [0, 0], [0, 0, 0, 0], 3, [0.0, 0, 0], "abc", None]
)
def test_what_is_no_action_is_not_encoded(action):
    with pytest.raises(ValueError, match="three integers"):
        encode(action, 5)


@pytest.mark.parametrize("code", [-1, 20, 2**64, 1.0, "1", None, [1]])
def test_what_is_no_code_is_not_decoded(code):
    with pytest.raises(ValueError, match="from 0 to 19"):
        decode(code, 5)


def test_reach_is_the_home_and_the_houses_beside_it():
    scenario = brigade.Scenario(
        num_houses=6, action_validity_mode="adjacent_only", agent_home_positions=[0, 3]
    )
    assert reach(scenario, 2).tolist() == [[1, 1, 0, 0, 0, 1], [0, 0, 1, 1, 1, 0]]
    assert reach(brigade.Scenario(), 2) is None


@pytest.mark.parametrize("num_houses", [2, 3, 7])
def test_masked_houses_are_those_that_the_rules_turn_into_the_home(num_houses):
    scenario = brigade.Scenario(num_houses=num_houses, action_validity_mode="adjacent_only")
    num_agents = num_houses
    allowed = reach(scenario, num_agents)
    for house in range(num_houses):
        engine = brigade.Engine(scenario, num_agents, 1)
        engine.step([[house, 1, 1]] * num_agents)
        stands = engine.positions == house
        for seat in range(num_agents):
            assert stands[seat] == bool(allowed[seat, house])


@pytest.mark.parametrize("form", ["multi", "discrete"])
def test_masks_have_the_form_of_the_space(form):
    scenario = brigade.load_scenario("default", action_validity_mode="adjacent_only")
    env = brigade.parallel_env(scenario, num_agents=10, actions=form)
    env.reset(seed=3)
    masks = action_masks(scenario, 10, form)
    allowed = reach(scenario, 10)
    for seat, (agent, mask) in enumerate(zip(env.agents, masks, strict=True)):
        for _ in range(30):
            action = env.action_space(agent).sample(mask)
            house = int(action) // 4 if form == "discrete" else int(action[0])
            assert allowed[seat, house]
            assert env.action_space(agent).contains(action)
        assert mask.dtype == np.int8
        assert mask.shape == ((14,) if form == "multi" else (40,))


def test_the_space_is_a_multidiscrete_like_any_other():
    space = brigade.parallel_env().action_space("agent_0")
    plain = spaces.MultiDiscrete([10, 2, 2])
    assert space == plain == pickle.loads(pickle.dumps(space))
    assert repr(space) == repr(plain)
    space.seed(3)
    plain.seed(3)
    tuple_mask = (np.eye(10, dtype=np.int8)[4], np.ones(2, np.int8), np.ones(2, np.int8))
    for _ in range(20):
        assert np.array_equal(space.sample(), plain.sample())
        assert np.array_equal(space.sample(tuple_mask), plain.sample(tuple_mask))
        assert np.array_equal(space.sample(np.concatenate(tuple_mask)), plain.sample(tuple_mask))
