"""One game: what it takes, what it refuses, and that copies go on where it was."""

import copy
import pickle

import numpy as np
import pytest
from core_strategies import setups
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade._core import Engine, Scenario, named_scenario

REST = [[0, 0, 0]] * 4
TWO_PHASE = Scenario(commitment_mode="two_phase")


def play(engine, rng, nights):
    """Play some nights at random, with resets; return everything that was seen."""
    seen = []
    limits = (engine.scenario.num_houses, 2, 2)
    for _ in range(nights):
        if engine.done:
            engine.reset()
        actions = rng.integers(0, limits, (engine.num_agents, 3))
        signals = rng.integers(0, 2, engine.num_agents)
        two_phase = engine.scenario.commitment_mode == "two_phase"
        rewards, done = engine.step(actions, signals if two_phase else None)
        seen.append((rewards.tolist(), done, engine.houses.tolist(), engine.night))
    return seen


def finished():
    engine = Engine(Scenario(min_nights=0, prob_house_catches_fire=0.0), 4, 0)
    engine.step(REST)
    return engine


def test_a_new_game_stands_before_its_first_night():
    engine = Engine("default", 3, 5)
    assert engine.scenario == named_scenario("default")
    assert engine.num_agents == 3
    assert engine.night == 0
    assert engine.done is False
    for array, dtype, shape in [
        (engine.houses, np.int8, (10,)),
        (engine.positions, np.int32, (3,)),
        (engine.signals, np.int8, (3,)),
        (engine.last_actions, np.int32, (3, 3)),
        (engine.round1_signals, np.int8, (3,)),
        (engine.fire_progress, np.float32, (10,)),
    ]:
        assert array.dtype == dtype
        assert array.shape == shape
        assert array is engine.houses or not array.any()


def test_arrays_are_fresh():
    engine = Engine("hard", 4, 1)
    rewards, done = engine.step(REST)
    assert rewards.dtype == np.float32
    assert rewards.shape == (4,)
    assert type(done) is bool
    rewards.fill(9)
    houses = engine.houses
    houses.fill(9)
    engine.last_actions.fill(9)
    assert engine.houses.max() <= 2
    assert engine.last_actions.max() == 0


@pytest.mark.parametrize(
    "actions",
    [
        REST,
        tuple(map(tuple, REST)),
        [np.array([0, 0, 0])] * 4,
        *(np.zeros((4, 3), kind) for kind in "bBhHiIlLqQ"),
        np.zeros((4, 6), np.int64)[:, ::2],
        np.zeros((3, 4), np.int32).T,
        np.zeros((4, 3), ">i4"),
        np.zeros((4, 3), np.int32)[::-1],
    ],
)
def test_actions_of_any_integer_type_are_taken(actions):
    engine, other = Engine("hard", 4, 1), Engine("hard", 4, 1)
    assert engine.step(actions)[0].tolist() == other.step(REST)[0].tolist()
    assert engine == other


@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        ([[10, 0, 0], *REST[1:]], r"seat 0: house must be in \[0, 9\], not 10"),
        ([*REST[:3], [0, 2, 0]], r"seat 3: mode must be in \[0, 1\], not 2"),
        ([*REST[:3], [0, 0, -1]], r"seat 3: signal must be in \[0, 1\], not -1"),
        (np.full((4, 3), 2**63, np.uint64), "9223372036854775808, which is out of range"),
        (np.full((4, 3), -(2**40)), "-1099511627776, which is out of range"),
        ([[10**50, 0, 0]] * 4, "actions must be integers"),
        (REST[:3], r"actions must have shape \(4, 3\)"),
        ([[0, 0]] * 4, r"actions must have shape \(4, 3\)"),
        (np.zeros((4, 2), int), r"shape \(4, 3\), not \(4, 2\)"),
        (np.zeros(12, int), r"shape \(4, 3\), not \(12,\)"),
        (np.zeros((4, 3)), "actions must be integers, not float64"),
        (np.zeros((4, 3), bool), "actions must be integers, not bool"),
        (np.zeros((4, 3), object), "actions must be integers, not object"),
        (np.zeros((4, 3), "M8[s]"), "actions must be integers, not datetime"),
        ([[0, 0, 0.0]] * 4, r"actions must be integers, not 0\.0"),
        ([[0, True, 0]] * 4, "actions must be integers, not True"),
        ([[0, None, 0]] * 4, "actions must be integers, not None"),
        (["000"] * 4, "actions must be integers, not '0'"),
        (None, "actions must be an array of integers, not None"),
        (7, "actions must be an array of integers, not 7"),
        ({}, r"actions must be an array of integers, not \{\}"),
        ("rest", "actions must be an array of integers, not 'rest'"),
    ],
)
def test_bad_actions_are_refused_and_nothing_is_played(actions, sentence):
    engine = Engine("default", 4, 1)
    before = copy.copy(engine)
    with pytest.raises(ValueError, match=sentence):
        engine.step(actions)
    assert engine == before


@pytest.mark.parametrize(
    ("scenario", "signals", "sentence"),
    [
        ("default", [0] * 4, "round1_signals are only for two-phase games"),
        (TWO_PHASE, None, "round1_signals are missing"),
        (TWO_PHASE, [0] * 3, r"round1_signals must have shape \(4,\)"),
        (TWO_PHASE, np.zeros(5, int), r"round1_signals must have shape \(4,\), not \(5,\)"),
        (TWO_PHASE, [0, 0, 2, 0], r"seat 2: round-1 signal must be in \[0, 1\], not 2"),
        (TWO_PHASE, [0.5] * 4, "round1_signals must be integers"),
    ],
)
def test_bad_round1_signals_are_refused(scenario, signals, sentence):
    engine = Engine(scenario, 4, 1)
    with pytest.raises(ValueError, match=sentence):
        engine.step(REST, signals)
    assert engine.night == 0


def test_a_finished_game_is_not_stepped():
    engine = finished()
    assert engine.done
    with pytest.raises(ValueError, match="the game is over"):
        engine.step(REST)
    engine.reset()
    engine.step(REST)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("defualt", 4, 0), 'did you mean "default"'),
        ((3, 4, 0), "scenario must be a Scenario or the name of one, not 3"),
        (("default", 0, 0), r"num_agents must be a whole number in \[1, 65536\], not 0"),
        (("default", 2.0, 0), r"num_agents must be .*, not 2\.0"),
        (("default", True, 0), "num_agents must be .*, not True"),
        (("default", 10**9, 0), "num_agents must be"),
        (("default", 4, -1), "seed must be a whole number in .*, not -1"),
        (("default", 4, 2**64), "seed must be"),
        (("default", 4, None), "seed must be .*, not None"),
    ],
)
def test_bad_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Engine(*arguments)


def test_seeds_reach_from_0_to_64_bits():
    games = [Engine("hard", 4, seed) for seed in (0, 1, np.uint64(2**64 - 1))]
    assert games[0] != games[1] != games[2]
    games[0].reset(2**64 - 1)
    assert games[0] == games[2]


@settings(max_examples=60, deadline=None)
@given(setups(), st.integers(0, 20))
def test_copies_go_on_exactly_where_the_game_was(setup, nights):
    engine = Engine(setup.scenario, setup.num_agents, setup.seed)
    play(engine, np.random.default_rng(1), nights)
    restored = Engine(setup.scenario, setup.num_agents, 0)
    restored.set_state(engine.get_state())
    copies = [
        copy.copy(engine),
        copy.deepcopy(engine),
        pickle.loads(pickle.dumps(engine)),
        pickle.loads(pickle.dumps(engine, 2)),
        restored,
    ]
    seen = play(engine, np.random.default_rng(2), 15)
    for other in copies:
        assert other.scenario == engine.scenario
        assert play(other, np.random.default_rng(2), 15) == seen
        assert other == engine


def test_engines_are_compared_by_what_they_would_do():
    engine = Engine("default", 4, 1)
    assert engine == Engine("default", 4, 1)
    assert engine != Engine("default", 4, 2)
    assert engine != Engine("easy", 4, 1)
    assert engine != Engine("default", 3, 1)
    assert engine != "an engine"
    with pytest.raises(TypeError, match="unhashable"):
        hash(engine)
    assert "name='default'" in repr(engine)
    assert "over" in repr(finished())


def test_a_state_of_something_else_is_refused():
    engine = Engine("default", 4, 1)
    before = copy.copy(engine)
    state = engine.get_state()
    for bad, sentence in [
        (b"", "too short"),
        (b"x" * 500, "no state of brigade's"),
        (state[:-1], "too short"),
        (state + b"\0", "1 bytes too many"),
        (Engine("easy", 4, 1).get_state(), "another scenario"),
        (Engine("default", 3, 1).get_state(), "3 agents, where 4 are wanted"),
        (None, "must be bytes, not None"),
        ("state", "must be bytes"),
        (7, "must be bytes"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            engine.set_state(bad)
        assert engine == before
    engine.set_state(bytearray(state))
    assert engine == before


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["default", "default_continuous"]), st.data())
def test_hostile_states_are_refused_or_can_be_played(name, data):
    engine = Engine(name, 4, 1)
    play(engine, np.random.default_rng(0), 3)
    before = copy.copy(engine)
    state = bytearray(engine.get_state())
    for _ in range(data.draw(st.integers(1, 4))):
        state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    try:
        engine.set_state(bytes(state))
    except ValueError:
        assert engine == before
        return
    for rewards, _, houses, _ in play(engine, np.random.default_rng(1), 10):
        assert np.isfinite(rewards).all()
        assert max(houses) <= 2
