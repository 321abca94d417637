"""Garbage leads to a Python exception with a sentence: never a panic, never a NaN."""

import numpy as np
from core_arrays import Arrays
from core_strategies import setups
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade import _core
from brigade._core import Batch, Engine, Heuristics, Scenario


class Hostile:
    """Fails at whatever is asked of it."""

    def __index__(self):
        raise RuntimeError("no index")

    def __float__(self):
        raise RuntimeError("no float")

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no entries")

    def __repr__(self):
        raise RuntimeError("no repr")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


class Liar(list):
    """Has another length than it says."""

    def __len__(self):
        return 4

    def __iter__(self):
        return iter([[0, 0, 0]] * 3)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.complex_numbers(),
    st.builds(Hostile),
    st.builds(Liar),
    st.just(np.float32("nan")),
    st.just(np.array(3)),
    st.just(np.array([])),
    st.just("\ud800"),
    st.just(object),
)
garbage = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=15,
)


def refuses(call, *arguments, **keywords):
    """Call; return whether it was refused, properly."""
    try:
        call(*arguments, **keywords)
    except ValueError as error:
        sentence = str(error)
    else:
        return False
    assert 10 < len(sentence) < 2000
    return True


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(Scenario.PARAMETERS), garbage)
def test_parameters(name, value):
    if not refuses(Scenario, **{name: value}):
        scenario = Scenario(**{name: value})
        assert scenario == Scenario(**scenario.to_dict())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), garbage)
def test_unknown_names(name, value):
    if name not in (*Scenario.PARAMETERS, "name", "description"):
        assert refuses(Scenario, **{name: value})
        assert refuses(_core.named_scenario, name)


@settings(max_examples=400, deadline=None)
@given(garbage, garbage)
def test_actions(actions, signals):
    engine = Engine("default", 4, 0)
    assert refuses(engine.step, actions)
    assert refuses(engine.step, [[0, 0, 0]] * 4, signals) == (signals is not None)
    two_phase = Engine(Scenario(commitment_mode="two_phase"), 4, 0)
    assert refuses(two_phase.step, actions, signals)
    assert two_phase.night == 0


@settings(max_examples=300, deadline=None)
@given(garbage, garbage, garbage, garbage)
def test_arguments(first, second, third, fourth):
    refuses(Engine, "default", second, third)
    refuses(Engine, first, 4, 0)
    refuses(_core.observation_layout, first, second)
    refuses(Engine("default", 4, 0).reset, first)
    refuses(Engine("default", 4, 0).set_state, first)
    refuses(Batch, first, second, third, fourth, first, second)
    refuses(Batch, "default", 2, 2, 10, first, second)
    refuses(Heuristics, first, second, third, fourth, first)
    refuses(Heuristics, "default", 1, first, second, third)
    refuses(_core.heuristic_actions, "default", 4, first, second, third, fourth)
    arrays = Arrays("default", 2, 2, 10, [0, 1])
    assert refuses(arrays.batch.step, first, *arrays.all)
    assert refuses(arrays.batch.step, np.zeros((2, 2, 3), np.int32), *[second] * 7)
    assert refuses(arrays.batch.reset, first, second)
    assert refuses(arrays.batch.write_observations, first)
    assert refuses(arrays.batch.set_state, first)


@settings(max_examples=80, deadline=None)
@given(setups(most_houses=64, most_agents=32))
def test_any_game_can_be_played_without_a_nan(setup):
    rng = np.random.default_rng(0)
    arrays = Arrays(setup.scenario, 3, setup.num_agents, 8, range(3))
    for _ in range(20):
        arrays.step(setup.actions(rng, 3))
        for array in arrays.all:
            assert np.isfinite(array).all()
        assert (np.abs(arrays.observations) <= 1).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**31), 2**31 - 1), st.data())
def test_batched_actions(value, data):
    arrays = Arrays("default", 3, 2, 8, range(3))
    actions = np.zeros((3, 2, 3), np.int32)
    place = tuple(data.draw(st.integers(0, size - 1)) for size in actions.shape)
    actions[place] = value
    legal = 0 <= value < (10, 2, 2)[place[2]]
    assert refuses(arrays.step, actions) != legal


def test_the_largest_ring_and_team_can_be_played():
    scenario = Scenario(num_houses=65_536)
    engine = Engine(scenario, 65_536, 0)
    rewards, _ = engine.step(np.ones((65_536, 3), np.int64))
    assert np.isfinite(rewards).all()
    assert refuses(Engine, scenario, 65_537, 0)
