"""The batched environment: equal to single games, game by game."""

import copy
import pickle

import numpy as np
import pytest

import brigade
from brigade.env.seeding import game_seeds


def random_actions(rng, env, dtype=np.int32):
    return rng.integers(0, env.action_nvec, (env.num_envs, env.num_agents, 3)).astype(dtype)


@pytest.mark.parametrize(
    ("scenario", "num_agents", "max_cycles"),
    [
        ("default", 4, 1000),
        ("hard", 3, 9),
        ("v2_minimal", 4, 20),
        ("default_continuous", 5, 15),
    ],
)
def test_each_game_goes_as_a_single_engine(scenario, num_agents, max_cycles):
    env = brigade.BatchedEnv(6, scenario, num_agents, max_cycles, seed=[3, 1, 4, 1, 5, 9])
    env.reset()
    assert env.seeds.tolist() == [3, 1, 4, 1, 5, 9]
    engines = [brigade.Engine(scenario, num_agents, seed) for seed in env.seeds.tolist()]
    returns = np.zeros((6, num_agents))
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(60):
        actions = random_actions(rng, env)
        observations, rewards, terminated, truncated = env.step(actions)
        for b, engine in enumerate(engines):
            expected, done = engine.step(actions[b])
            returns[b] += expected
            assert np.array_equal(rewards[b], expected)
            assert terminated[b] == done
            assert truncated[b] == (not done and engine.night >= max_cycles)
            assert env.lengths[b] == engine.night
            np.testing.assert_allclose(env.returns[b], returns[b], rtol=1e-6)
            if done or truncated[b]:
                ended += 1
                returns[b] = 0
                engine.reset()
        assert np.array_equal(env.houses, [engine.houses for engine in engines])
        assert np.array_equal(env.nights, [engine.night for engine in engines])
        assert np.isfinite(observations).all()
    assert ended > 0


def test_final_observations_show_the_last_night_and_observations_the_new_game():
    env = brigade.BatchedEnv(4, "default", 4, max_cycles=3, seed=1)
    env.reset()
    layout = brigade.observation_layout(env.scenario, 4)
    night = layout["night"].start
    rng = np.random.default_rng(0)
    for _ in range(3):
        env.step(random_actions(rng, env))
    assert env.truncated.all()
    np.testing.assert_allclose(env.final_observations[..., night], 3 / 103, rtol=1e-6)
    assert (env.observations[..., night] == 0).all()


def test_two_phase_games_take_two_steps_a_night():
    scenario = brigade.load_scenario("default", commitment_mode="two_phase")
    env = brigade.BatchedEnv(3, scenario, 4, max_cycles=5, seed=2)
    env.reset()
    engines = [brigade.Engine(scenario, 4, int(seed)) for seed in env.seeds]
    rng = np.random.default_rng(0)
    for night in range(5):
        assert env.phases.tolist() == [1, 1, 1]
        signals = random_actions(rng, env)
        env.step(signals)
        assert not env.rewards.any()
        assert not env.terminated.any()
        assert not env.truncated.any()
        assert env.phases.tolist() == [0, 0, 0]
        actions = random_actions(rng, env)
        env.step(actions)
        for b, engine in enumerate(engines):
            expected, _ = engine.step(actions[b], signals[b, :, 2])
            assert np.array_equal(env.rewards[b], expected)
        assert (env.lengths == night + 1).all()
    assert env.truncated.all()


def test_an_int_seeds_games_alike_whatever_their_number():
    assert game_seeds(7, 3).tolist() == game_seeds(7, 10)[:3].tolist()
    assert len(set(game_seeds(7, 100).tolist())) == 100
    one, two = brigade.BatchedEnv(3, seed=7), brigade.BatchedEnv(3)
    assert np.array_equal(one.reset(), two.reset(seed=7))
    assert one.seeds.tolist() == two.seeds.tolist()


def test_without_a_seed_every_environment_has_its_own():
    one, two = brigade.BatchedEnv(4), brigade.BatchedEnv(4)
    one.reset()
    two.reset()
    assert not set(one.seeds.tolist()) & set(two.seeds.tolist())


def test_a_later_reset_goes_on_with_the_streams():
    env = brigade.BatchedEnv(2, seed=3)
    env.reset()
    engines = [brigade.Engine("default", 4, int(seed)) for seed in env.seeds]
    for _ in range(30):
        env.reset()
        for engine in engines:
            engine.reset()
        assert np.array_equal(env.houses, [engine.houses for engine in engines])


def test_arrays_are_allocated_once():
    env = brigade.BatchedEnv(2, seed=3)
    first = env.reset()
    result = env.step(np.zeros((2, 4, 3), np.int32))
    assert result[0] is first is env.observations
    assert result[1] is env.rewards
    assert result[2] is env.terminated
    assert result[3] is env.truncated


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_actions_may_be_of_any_integer_type(dtype):
    rng = np.random.default_rng(0)
    one, two = brigade.BatchedEnv(3, seed=1), brigade.BatchedEnv(3, seed=1)
    one.reset()
    two.reset()
    actions = random_actions(rng, one)
    one.step(actions)
    two.step(actions.astype(dtype))
    assert one == two
    assert np.array_equal(one.rewards, two.rewards)


def test_actions_need_not_lie_in_order():
    one, two = brigade.BatchedEnv(3, seed=1), brigade.BatchedEnv(3, seed=1)
    one.reset()
    two.reset()
    actions = random_actions(np.random.default_rng(0), one)
    one.step(actions)
    two.step(np.asfortranarray(actions))
    two_lists = brigade.BatchedEnv(3, seed=1)
    two_lists.reset()
    two_lists.step(actions.tolist())
    assert one == two == two_lists


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros((2, 4, 3), np.float32),
        np.zeros((2, 4, 3), bool),
        np.zeros((2, 3, 3), np.int32),
        np.full((2, 4, 3), 2**32, np.int64),
        np.full((2, 4, 3), 2**63, np.uint64),
        np.full((2, 4, 3), 2, np.int32),
        np.full((2, 4, 3), -1, np.int32),
        None,
        "actions",
    ],
)
def test_garbage_is_refused_and_nothing_is_stepped(actions):
    env = brigade.BatchedEnv(2, seed=1)
    env.reset()
    before = env.get_state()
    with pytest.raises(ValueError, match=r"action|mode|house"):
        env.step(actions)
    assert env.get_state() == before


def test_step_before_reset_is_refused():
    with pytest.raises(ValueError, match="reset"):
        brigade.BatchedEnv(1).step(np.zeros((1, 4, 3), np.int32))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a", [1], [1, 2, -3], [1, 2, 3, 4], True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be"):
        brigade.BatchedEnv(3).reset(seed=seed)
    with pytest.raises(ValueError, match="seed must be"):
        brigade.BatchedEnv(3, seed=seed)


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_a_copy_goes_on_exactly_and_shares_nothing(clone):
    rng = np.random.default_rng(0)
    env = brigade.BatchedEnv(5, "hard", 3, max_cycles=7, seed=4)
    env.reset()
    for _ in range(10):
        env.step(random_actions(rng, env))
    twin = clone(env)
    assert twin == env
    assert np.array_equal(twin.observations, env.observations)
    for _ in range(20):
        actions = random_actions(rng, env)
        env.step(actions)
        assert twin != env
        twin.step(actions)
        assert twin == env
        assert np.array_equal(twin.observations, env.observations)
        assert np.array_equal(twin.returns, env.returns)
    env.reset()
    twin.reset()
    assert twin == env


def test_copies_that_were_never_seeded_do_not_replay_each_other():
    env = brigade.BatchedEnv(3)
    one, two = pickle.loads(pickle.dumps(env)), copy.deepcopy(env)
    one.reset()
    two.reset()
    assert one.seeds.tolist() != two.seeds.tolist()
    three, four = copy.copy(one), copy.copy(one)
    three.reset()
    four.reset()
    assert three != four


def test_state_bytes_bring_games_back():
    rng = np.random.default_rng(0)
    env = brigade.BatchedEnv(5, seed=4)
    env.reset()
    env.step(random_actions(rng, env))
    state = env.get_state()
    before = env.observations.copy()
    actions = random_actions(rng, env)
    env.step(actions)
    after, rewards = env.observations.copy(), env.rewards.copy()
    other = brigade.BatchedEnv(5)
    other.set_state(state)
    assert np.array_equal(other.observations, before)
    other.step(actions)
    assert np.array_equal(other.observations, after)
    assert np.array_equal(other.rewards, rewards)


def test_threads_change_nothing():
    rng = np.random.default_rng(0)
    one = brigade.BatchedEnv(600, "hard", seed=4, max_cycles=10)
    two = brigade.BatchedEnv(600, "hard", seed=4, max_cycles=10, num_threads=2)
    one.reset()
    two.reset()
    for _ in range(12):
        actions = random_actions(rng, one)
        one.step(actions)
        two.step(actions)
        assert np.array_equal(one.observations, two.observations)
        assert np.array_equal(one.rewards, two.rewards)
    assert one == two


def test_a_placed_game_goes_on_from_there_and_the_others_as_they_would_have():
    certain = brigade.load_scenario(
        "default", prob_solo_agent_extinguishes_fire=1.0, prob_house_catches_fire=0.0
    )
    env = brigade.BatchedEnv(3, certain, 4, max_cycles=30, seed=1)
    env.reset()
    first = env.observations.copy()
    rng = np.random.default_rng(0)
    for _ in range(5):
        env.step(random_actions(rng, env))
    other = copy.deepcopy(env)
    houses = [0, 1, 2, 1, 0, 0, 2, 0, 0, 0]
    env.place(1, houses, night=20)
    assert env.houses[1].tolist() == houses
    assert env.nights.tolist() == [5, 20, 5]
    layout = brigade.observation_layout(certain, 4)
    for name, columns in layout.items():
        seen = env.observations[1][:, columns]
        if name == "houses":
            assert np.array_equal(seen, np.tile(np.eye(3)[houses].ravel(), (4, 1)))
        elif name != "night":  # as after a reset
            assert np.array_equal(seen, first[1][:, columns]), name
    later = brigade.BatchedEnv(1, certain, 4, max_cycles=30, seed=1)
    later.reset()
    later.place(0, [2, 1] + [0] * 8)  # else it would end
    for _ in range(20):
        later.step(np.zeros((1, 4, 3), np.int32))
    night = layout["night"]
    assert np.array_equal(env.observations[1][:, night], later.observations[0][:, night])
    actions = random_actions(rng, env)
    actions[1] = [[1, 1, 0], [4, 0, 0], [4, 0, 0], [4, 0, 0]]  # one worker at house 1
    env.step(actions)
    other.step(actions)
    assert env.houses[1].tolist() == [0, 0, 2, 2, 0, 0, 2, 0, 0, 0]
    np.testing.assert_allclose(env.returns[1], env.rewards[1])
    assert env.lengths[1] == 21
    for name in ("observations", "rewards", "returns", "lengths", "houses"):
        for game in (0, 2):
            assert np.array_equal(getattr(env, name)[game], getattr(other, name)[game])
    for _ in range(9):
        _, _, terminated, truncated = env.step(np.zeros((3, 4, 3), np.int32))
    assert truncated[1]
    assert not terminated[1]
    assert env.lengths[1] == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, [1] + [0] * 9), "game must be in"),
        ((-1, [1] + [0] * 9), "game must be in"),
        ((0, [1] * 9), "10 integers"),
        ((0, [1.0] * 10), "10 integers"),
        ((0, [3] + [0] * 9), "0, 1 or 2"),
        ((0, [-1] + [0] * 9), "0, 1 or 2"),
        ((0, [1] + [0] * 9, 30), "night must be"),
        ((0, [1] + [0] * 9, -1), "night must be"),
        ((0, [0] * 10, 13), "over at that night"),
        ((0, [2] * 10, 13), "over at that night"),
    ],
)
def test_a_state_that_cannot_be_played_on_is_refused(arguments, message):
    env = brigade.BatchedEnv(3, "default", 4, max_cycles=30, seed=1)
    with pytest.raises(ValueError, match="reset"):
        env.place(0, [1] + [0] * 9)
    env.reset()
    before = env.get_state()
    with pytest.raises(ValueError, match=message):
        env.place(*arguments)
    assert env.get_state() == before


def test_a_game_is_not_placed_within_a_night():
    two_phase = brigade.load_scenario("default", commitment_mode="two_phase")
    env = brigade.BatchedEnv(1, two_phase, 4, seed=1)
    env.reset()
    env.place(0, [1] + [0] * 9, 3)
    env.step(np.zeros((1, 4, 3), np.int32))
    with pytest.raises(ValueError, match="between two nights"):
        env.place(0, [1] + [0] * 9, 3)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"extinguish_mode": "continuous", "prob_fire_spreads_to_neighbor": 1.0},
        {"commitment_mode": "two_phase"},
        {"action_validity_mode": "adjacent_only"},
        {"agent_home_positions": [3, 0, 5], "min_nights": 2},
    ],
    ids=["bernoulli", "continuous", "two_phase", "adjacent_only", "homes"],
)
def test_default_outcomes_are_the_coming_step_with_one_seat_at_rest(changes, num_threads):
    # What follows a seat's work is certain here (nothing ignites, fires spread or do not), so the
    # night without it is the one that is played from here when the seat rests.
    scenario = brigade.load_scenario("default", prob_house_catches_fire=0.0, **changes)
    env = brigade.BatchedEnv(5, scenario, 3, 25, seed=1, num_threads=num_threads)
    env.reset()
    other = brigade.BatchedEnv(5, scenario, 3, 25, seed=1)
    other.reset()
    layout = brigade.observation_layout(scenario, 3)
    of_houses = slice(layout["houses"].start, layout["fire_progress"].stop)
    homes = scenario.agent_home_positions or list(range(3))
    rng = np.random.default_rng(0)
    differing = endings = 0

    def played(actions):
        """What follows for all seats, and how it ended."""
        other.set_state(before)
        other.step(actions)
        over = (other.terminated | other.truncated)[:, None, None]
        seen = np.where(over, other.final_observations, other.observations)
        return seen, other.rewards.copy(), other.terminated.copy()

    for _ in range(150):
        signalling = env.phases[0] == 1
        if signalling or scenario.commitment_mode == "simultaneous":
            for game in np.flatnonzero(~(env.houses == 1).any(1)):
                env.place(game, rng.permutation([1] + [0] * 9), rng.integers(10))
        actions = random_actions(rng, env)
        at_fires = rng.random(5) < 0.7  # work where it burns, so that it makes a difference
        for b in np.flatnonzero(at_fires & (env.houses == 1).any(1)):
            actions[b, :, :2] = (np.flatnonzero(env.houses[b] == 1)[0], 1)
        before = env.get_state()
        default = env.default_outcomes(actions)
        assert env.get_state() == before
        follows, _, ended = played(actions)
        for seat in range(3):
            resting = actions.copy()
            if not signalling:
                resting[:, seat, :2] = (homes[seat], 0)
            expected, rewards, terminated = played(resting)
            assert np.array_equal(default.rewards[:, seat], rewards)
            assert np.array_equal(default.terminated[:, seat], terminated)
            houses, expected_houses = follows[:, seat, of_houses], expected[:, seat, of_houses]
            changed = (houses != expected_houses).any(1) | (ended != terminated)
            assert np.array_equal(default.changed[:, seat], changed)
            # What is seen of the seats is as it will be.
            wanted = follows[:, seat].copy()
            wanted[:, of_houses] = expected_houses
            assert np.array_equal(default.observations[changed, seat], wanted[changed])
            assert not default.observations[~changed, seat].any()
            differing += changed.sum()
            endings += (ended != terminated).sum()
        env.step(actions)
    assert differing > 10
    assert endings > 0 or scenario.min_nights > 2


def test_default_outcomes_refuse_what_step_refuses():
    env = brigade.BatchedEnv(3, "default", 4, seed=1)
    actions = np.zeros((3, 4, 3), np.int32)
    with pytest.raises(ValueError, match="reset"):
        env.default_outcomes(actions)
    env.reset()
    with pytest.raises(ValueError, match="integers of shape"):
        env.default_outcomes(actions[:2])
    actions[1, 2, 0] = 10
    with pytest.raises(ValueError, match="game 1, seat 2: house"):
        env.default_outcomes(actions)


@pytest.mark.parametrize("scenario", ["default", "hard"])
def test_states_are_those_of_single_games(scenario):
    seeds = [3, 1, 4]
    env = brigade.BatchedEnv(3, scenario, num_agents=3, max_cycles=8)
    singles = [brigade.parallel_env(scenario, num_agents=3, max_cycles=8) for _ in seeds]
    with pytest.raises(ValueError, match=r"reset\(\) before state"):
        env.state()
    env.reset(seeds)
    for single, seed in zip(singles, seeds, strict=True):
        single.reset(seed)
    assert env.state_space == singles[0].state_space
    rng = np.random.default_rng(0)
    for _ in range(8):
        assert np.array_equal(env.state(), [single.state() for single in singles])
        actions = random_actions(rng, env)
        env.step(actions)
        for single, rows in zip(singles, actions, strict=True):
            single.step(dict(zip(single.agents, rows, strict=True)))
    assert env.truncated.all()
    assert np.array_equal(env.state(env.final_observations), [single.state() for single in singles])
    assert env.state(env.final_observations[:0]).shape == (0, *env.state_space.shape)
    kept = env.state()
    kept[:] = -1
    assert (env.state() >= 0).any()
    with pytest.raises(ValueError, match=r"shape \[..., 3, "):
        env.state(env.observations[0, 0])


def test_masks_are_those_of_single_games_and_all_true_without_limits():
    adjacent = brigade.load_scenario(
        "default", action_validity_mode="adjacent_only", agent_home_positions=[0, 5, 5]
    )
    env = brigade.BatchedEnv(2, adjacent, num_agents=3)
    _, infos = brigade.parallel_env(adjacent, num_agents=3).reset(seed=1)
    expected = np.array([info["action_mask"] for info in infos.values()], dtype=bool)
    assert env.action_mask.dtype == np.bool_
    assert np.array_equal(env.action_mask, [expected] * 2)
    assert env.action_mask.any(axis=-1).all()
    free = brigade.BatchedEnv(2, num_agents=3)
    assert free.action_mask.shape == (2, 3, sum(free.action_nvec))
    assert free.action_mask.all()


@pytest.mark.parametrize("count", [0, -1, 2.5, "3", True, None, 10**12])
def test_a_number_of_games_that_cannot_be_is_named(count):
    said = rf"must be an integer from 1 to 4294967295, not {count!r}"
    with pytest.raises(ValueError, match=f"num_envs {said}"):
        brigade.BatchedEnv(count)
    with pytest.raises(ValueError, match=f"num_games {said}"):
        brigade.vector_env(count)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.complex64, "U1"])
def test_states_are_taken_of_observations_only(dtype):
    env = brigade.BatchedEnv(2)
    seen = env.reset(1)
    for given in (seen.astype(dtype), seen.tolist(), "x"):
        with pytest.raises(ValueError, match="observations must be a float32 array, not "):
            env.state(given)
