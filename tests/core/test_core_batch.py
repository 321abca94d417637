"""Many games: each goes as an engine of its seed, whatever its arrays and threads."""

import os
import threading

import numpy as np
import pytest
from core_arrays import Arrays
from core_strategies import setups
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade._core import Batch, Engine, Scenario, named_scenario

SEEDS = np.arange(5, dtype=np.uint64)


@settings(max_examples=80, deadline=None)
@given(setups(), st.integers(1, 5), st.integers(1, 12), st.integers(1, 3))
def test_each_game_is_an_engine_of_its_seed(setup, games, max_cycles, threads):
    rng = np.random.default_rng(setup.seed)
    seeds = rng.integers(0, 2**64, games, dtype=np.uint64)
    arrays = Arrays(setup.scenario, games, setup.num_agents, max_cycles, seeds, threads)
    engines = [Engine(setup.scenario, setup.num_agents, seed) for seed in seeds]
    returns = np.zeros((games, setup.num_agents))
    for _ in range(20):
        signals = [None] * games
        if setup.two_phase:
            assert arrays.batch.phases.tolist() == [1] * games
            actions = setup.actions(rng, games)
            arrays.step(actions)
            assert not arrays.rewards.any()
            assert not arrays.terminated.any()
            assert not arrays.truncated.any()
            assert arrays.returns.tolist() == returns.tolist()
            signals = actions[:, :, 2]
        assert arrays.batch.phases.tolist() == [0] * games
        actions = setup.actions(rng, games)
        arrays.step(actions)
        for b, engine in enumerate(engines):
            rewards, done = engine.step(actions[b], signals[b])
            returns[b] += rewards
            truncated = not done and engine.night >= max_cycles
            assert arrays.rewards[b].tolist() == rewards.tolist()
            assert arrays.returns[b].tolist() == returns[b].tolist()
            assert arrays.lengths[b] == engine.night
            assert (arrays.terminated[b], arrays.truncated[b]) == (done, truncated)
            if done or truncated:
                engine.reset()
                returns[b] = 0
        assert arrays.batch.houses.tolist() == [engine.houses.tolist() for engine in engines]
        assert arrays.batch.nights.tolist() == [engine.night for engine in engines]


def test_only_games_that_end_write_final_observations():
    arrays = Arrays(Scenario(min_nights=0), 64, 4, 50, range(64))
    rng = np.random.default_rng(0)
    for _ in range(30):
        arrays.final_observations.fill(-7)
        arrays.step(rng.integers(0, (10, 2, 2), (64, 4, 3), dtype=np.int32))
        ended = arrays.terminated | arrays.truncated
        assert (arrays.final_observations[~ended] == -7).all()
        assert (arrays.final_observations[ended] >= -1).all()
        assert not (arrays.terminated & arrays.truncated).any()
        assert (arrays.batch.nights[ended] == 0).all()


def test_observations_are_those_that_write_observations_gives():
    for name in ("default", "default_continuous"):
        scenario = named_scenario(name).replace(commitment_mode="two_phase")
        arrays = Arrays(scenario, 8, 3, 6, range(8))
        rng = np.random.default_rng(0)
        out = np.empty_like(arrays.observations)
        for _ in range(20):
            arrays.step(rng.integers(0, (10, 2, 2), (8, 3, 3), dtype=np.int32))
            arrays.batch.write_observations(out)
            np.testing.assert_array_equal(out, arrays.observations)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_give_bit_equal_results(threads):
    one = Arrays("default_continuous", 37, 4, 20, range(37))
    many = Arrays("default_continuous", 37, 4, 20, range(37), threads)
    assert many.batch.num_threads == threads
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(0, (10, 2, 2), (37, 4, 3), dtype=np.int32)
        one.step(actions)
        many.step(actions)
        for mine, other in zip(one.all, many.all, strict=True):
            np.testing.assert_array_equal(mine, other)
    assert one.batch.get_state() == many.batch.get_state()


def test_resets_go_on_with_each_stream_or_start_those_of_seeds():
    arrays = Arrays("hard", 5, 4, 100, SEEDS)
    engines = [Engine("hard", 4, int(seed)) for seed in SEEDS]
    arrays.batch.reset(None, arrays.observations)
    for engine in engines:
        engine.reset()
    assert arrays.batch.houses.tolist() == [engine.houses.tolist() for engine in engines]
    arrays.step(np.zeros((5, 4, 3), np.int32))
    seeds = SEEDS + np.uint64(7)
    arrays.batch.reset(seeds, arrays.observations)
    for engine, seed in zip(engines, seeds, strict=True):
        engine.reset(seed)
    assert arrays.batch.houses.tolist() == [engine.houses.tolist() for engine in engines]
    arrays.step(np.zeros((5, 4, 3), np.int32))
    assert arrays.lengths.tolist() == [1] * 5
    assert arrays.returns.tolist() == arrays.rewards.astype(float).tolist()


def test_a_reset_in_the_middle_of_a_two_phase_night_starts_with_signals():
    arrays = Arrays(Scenario(commitment_mode="two_phase"), 5, 4, 100, SEEDS)
    arrays.step(np.ones((5, 4, 3), np.int32))
    assert arrays.batch.phases.tolist() == [0] * 5
    arrays.batch.reset(None, arrays.observations)
    assert arrays.batch.phases.tolist() == [1] * 5


@settings(max_examples=60, deadline=None)
@given(setups(), st.integers(0, 12), st.integers(1, 3))
def test_a_restored_batch_goes_on_exactly_where_it_was(setup, steps, threads):
    rng = np.random.default_rng(0)
    original = Arrays(setup.scenario, 4, setup.num_agents, 7, range(4))
    other = Arrays(setup.scenario, 4, setup.num_agents, 7, [9] * 4, threads)
    for _ in range(steps):
        original.step(setup.actions(rng, 4))
    other.batch.set_state(original.batch.get_state())
    for _ in range(15):
        actions = setup.actions(rng, 4)
        original.final_observations.fill(0)
        other.final_observations.fill(0)
        original.step(actions)
        other.step(actions)
        for mine, its in zip(original.all, other.all, strict=True):
            np.testing.assert_array_equal(mine, its)


def test_an_action_out_of_range_is_named_and_nothing_is_stepped():
    arrays = Arrays("default", 5, 4, 100, SEEDS, 2)
    before = arrays.batch.get_state()
    for place, value, sentence in [
        ((3, 1, 0), 10, r"game 3, seat 1: house must be in \[0, 9\], not 10"),
        ((0, 0, 0), -1, r"game 0, seat 0: house must be in \[0, 9\], not -1"),
        ((4, 3, 1), 2, r"game 4, seat 3: mode must be in \[0, 1\], not 2"),
        ((4, 3, 2), -(2**31), r"game 4, seat 3: signal must be in \[0, 1\], not -2147483648"),
    ]:
        actions = np.zeros((5, 4, 3), np.int32)
        actions[place] = value
        with pytest.raises(ValueError, match=sentence):
            arrays.step(actions)
        assert arrays.batch.get_state() == before
    assert np.isnan(arrays.rewards).all()


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("index", range(8))
def test_arrays_that_do_not_fit_are_refused(index):
    arrays = Arrays("default", 5, 4, 100, SEEDS)
    good = [np.zeros((5, 4, 3), np.int32), *arrays.all]
    before = arrays.batch.get_state()
    array = good[index]
    longer = np.zeros((6, *array.shape[1:]), array.dtype)
    bad = [
        (longer, "must be a C-contiguous"),
        (longer[:, None], "must be a C-contiguous"),
        (array.astype(np.float16), "must be a C-contiguous .*float16"),
        (array.astype(array.dtype.newbyteorder()), "must be a C-contiguous")
        if array.dtype != bool
        else (None, "None"),
        (np.repeat(array, 2, axis=0)[::2], "must be C-contiguous"),
        (array.tolist(), "must be a C-contiguous"),
        (None, "not None"),
        ("x", "not 'x'"),
    ]
    if index:
        bad.append((read_only(array), "cannot be written"))
    for other, sentence in bad:
        given = [*good[:index], other, *good[index + 1 :]]
        with pytest.raises(ValueError, match=sentence):
            arrays.batch.step(*given)
        assert arrays.batch.get_state() == before


@pytest.mark.parametrize("index", range(5))
def test_arrays_for_default_outcomes_that_do_not_fit_are_refused(index):
    arrays = Arrays("default", 5, 4, 100, SEEDS)
    good = [
        np.zeros((5, 4, 3), np.int32),
        np.zeros((5, 4, 4), np.float32),
        np.zeros((5, 4), np.bool_),
        np.zeros((5, 4), np.bool_),
        np.zeros_like(arrays.observations),
    ]
    arrays.batch.default_outcomes(*good)
    array = good[index]
    bad = [
        (np.zeros((6, *array.shape[1:]), array.dtype), "must be a C-contiguous"),
        (array.astype(np.float16), "must be a C-contiguous .*float16"),
        (np.repeat(array, 2, axis=0)[::2], "must be C-contiguous"),
        (None, "not None"),
    ]
    if index:
        bad.append((read_only(array), "cannot be written"))
    for other, sentence in bad:
        with pytest.raises(ValueError, match=sentence):
            arrays.batch.default_outcomes(*good[:index], other, *good[index + 1 :])


def test_arrays_that_share_memory_are_refused():
    arrays = Arrays("default", 5, 4, 100, SEEDS)
    actions = np.zeros((5, 4, 3), np.int32)
    arrays.final_observations = arrays.observations
    with pytest.raises(ValueError, match="final_observations cannot be written"):
        arrays.step(actions)
    arrays.final_observations = arrays.observations.copy()
    arrays.truncated = arrays.terminated
    with pytest.raises(ValueError, match="truncated cannot be written"):
        arrays.step(actions)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenario": "esay"}, 'did you mean "easy"'),
        ({"num_envs": 0}, "num_envs must be"),
        ({"num_envs": 6}, r"seeds must be a C-contiguous uint64 array of shape \(6,\)"),
        ({"num_envs": 2.0}, "num_envs must be"),
        ({"num_agents": 0}, "num_agents must be"),
        ({"max_cycles": 0}, "max_cycles must be"),
        ({"max_cycles": 2**31}, "max_cycles must be"),
        ({"max_cycles": None}, "max_cycles must be .*, not None"),
        ({"num_threads": 0}, r"num_threads must be a whole number in \[1, 1024\], not 0"),
        ({"num_threads": 10**6}, "num_threads must be"),
        ({"seeds": np.arange(5)}, "seeds must be a C-contiguous uint64 array"),
        ({"seeds": None}, "seeds must be"),
        ({"seeds": np.broadcast_to(np.uint64(1), 5)}, "seeds must be C-contiguous"),
    ],
)
def test_bad_arguments_are_refused(changes, sentence):
    arguments = {
        "scenario": "default",
        "num_envs": 5,
        "num_agents": 4,
        "max_cycles": 10,
        "seeds": SEEDS,
    }
    Batch(**arguments)
    with pytest.raises(ValueError, match=sentence):
        Batch(**(arguments | changes))


def test_a_state_of_something_else_is_refused():
    arrays = Arrays("default", 5, 4, 100, SEEDS)
    state = arrays.batch.get_state()
    for bad, sentence in [
        (state[:-1], "too short"),
        (state + b"\0", "too many"),
        (Arrays("default", 4, 4, 100, SEEDS[:4]).batch.get_state(), "4 games, where 5 are wanted"),
        (Arrays("easy", 5, 4, 100, SEEDS).batch.get_state(), "another scenario"),
        (Engine("default", 4, 0).get_state(), "not the state of a batch"),
        (None, "must be bytes"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            arrays.batch.set_state(bad)
        assert arrays.batch.get_state() == state


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_states_are_refused_or_can_be_played(data):
    scenario = Scenario(commitment_mode="two_phase", extinguish_mode="continuous", min_nights=1)
    arrays = Arrays(scenario, 2, 2, 10, [1, 2])
    state = bytearray(arrays.batch.get_state())
    for _ in range(data.draw(st.integers(1, 4))):
        state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays.batch.set_state(bytes(state))
    except ValueError:
        return
    for _ in range(6):
        arrays.step(np.ones((2, 2, 3), np.int32))
        assert np.isfinite(arrays.rewards).all()
        assert np.isfinite(arrays.returns).all()
        assert (np.abs(arrays.observations) <= 1).all()


def test_one_batch_in_two_python_threads_is_an_error_or_waits_but_never_a_crash():
    arrays = Arrays("default", 2000, 4, 100, range(2000))
    others = Arrays("default", 2000, 4, 100, range(2000))
    actions = np.zeros((2000, 4, 3), np.int32)
    errors = []

    def work(mine):
        for _ in range(30):
            try:
                arrays.batch.step(actions, *mine.all)
            except RuntimeError as error:
                errors.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in (arrays, others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("borrowed" in str(error) for error in errors)
    assert arrays.batch.nights.min() >= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer Pythons warn of threads at forks
def test_a_forked_child_goes_on_with_threads_of_its_own():
    arrays = Arrays("default", 64, 4, 100, range(64), 2)
    actions = np.zeros((64, 4, 3), np.int32)
    arrays.step(actions)
    child = os.fork()
    if child == 0:
        arrays.step(actions)
        os._exit(0 if arrays.lengths.tolist() == [2] * 64 else 1)
    assert os.waitpid(child, 0)[1] == 0
