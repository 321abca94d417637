"""The Gymnasium vector environment: equal to Gymnasium's own over single games, row by row."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv, VectorEnv

import brigade

ADJACENT = brigade.load_scenario("default", action_validity_mode="adjacent_only")
TWO_PHASE = brigade.load_scenario("default", commitment_mode="two_phase")
AutoresetMode = getattr(gymnasium.vector, "AutoresetMode", None)
with_modes = pytest.mark.skipif(
    AutoresetMode is None, reason="this Gymnasium has no autoreset modes"
)


class OneSeat(gymnasium.Env):
    """A game of one seat, which is an environment for Gymnasium."""

    def __init__(self, **arguments):
        self.game = brigade.parallel_env(num_agents=1, **arguments)
        self.observation_space = self.game.observation_space("agent_0")
        self.action_space = self.game.action_space("agent_0")

    def reset(self, seed=None, options=None):
        return tuple(part["agent_0"] for part in self.game.reset(seed))

    def step(self, action):
        return tuple(part["agent_0"] for part in self.game.step({"agent_0": action}))


def assert_same_infos(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if isinstance(value, dict):
            assert_same_infos(value, theirs[key])
        elif value.dtype == object:
            assert [row is None for row in value] == [row is None for row in theirs[key]]
            assert all(np.array_equal(a, b) for a, b in zip(value, theirs[key], strict=True))
        else:
            assert np.array_equal(value, theirs[key]), key


@with_modes
@pytest.mark.parametrize("form", ["multi", "discrete"])
@pytest.mark.parametrize("scenario", ["default", ADJACENT, TWO_PHASE])
def test_games_of_one_seat_are_gymnasiums_own(scenario, form):
    arguments = {"scenario": scenario, "max_cycles": 15, "actions": form}
    ours = brigade.vector_env(5, num_agents=1, **arguments)
    makers = [lambda: OneSeat(**arguments)] * 5
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    assert isinstance(ours, VectorEnv)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    for name in ("observation_space", "action_space"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, f"single_{name}") == getattr(theirs, f"single_{name}")
    assert ours.num_envs == theirs.num_envs == 5
    observations, infos = ours.reset(seed=[3, 1, 4, 1, 5])
    expected, expected_infos = theirs.reset(seed=[3, 1, 4, 1, 5])
    ours.action_space.seed(0)
    endings = 0
    for _ in range(80):
        assert np.array_equal(observations, expected)
        assert_same_infos(infos, expected_infos)
        actions = ours.action_space.sample()
        observations, rewards, terminations, truncations, infos = ours.step(actions)
        expected, *results, expected_infos = theirs.step(actions)
        for mine, other in zip((rewards, terminations, truncations), results, strict=True):
            assert np.array_equal(mine, other)
        endings += (terminations | truncations).sum()
    assert endings > 5


@pytest.mark.parametrize("form", ["multi", "discrete"])
def test_rows_are_the_seats_of_the_games(form):
    envs = brigade.vector_env(3, "hard", num_agents=4, max_cycles=9, actions=form)
    games = brigade.BatchedEnv(3, "hard", num_agents=4, max_cycles=9)
    observations, _ = envs.reset(seed=7)
    assert np.array_equal(observations, games.reset(7).reshape(12, -1))
    assert observations in envs.observation_space
    rng = np.random.default_rng(0)
    for _ in range(20):
        triples = rng.integers(0, games.action_nvec, (12, 3))
        actions = triples if form == "multi" else triples @ [4, 2, 1]
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        games.step(triples.reshape(3, 4, 3))
        assert np.array_equal(observations, games.observations.reshape(12, -1))
        assert np.array_equal(rewards, games.rewards.reshape(12))
        assert np.array_equal(terminations.reshape(3, 4), np.tile(games.terminated, (4, 1)).T)
        assert np.array_equal(truncations.reshape(3, 4), np.tile(games.truncated, (4, 1)).T)
        assert (games.nights == infos["night"].reshape(3, 4).T).all()
        ended = games.terminated | games.truncated
        rows = np.repeat(ended, 4)
        last = infos.get("final_obs", infos.get("final_observation"))
        assert (last is None) == (not ended.any())
        if last is not None:
            seen = games.final_observations[ended].reshape(-1, games.num_features)
            assert np.array_equal(np.stack(last[rows]), seen)
            assert all(row is None for row in last[~rows])


@pytest.mark.parametrize("copy", [True, False])
def test_results_are_the_callers_unless_it_wants_no_copies(copy):
    envs = brigade.vector_env(2, copy=copy)
    first, _ = envs.reset(seed=1)
    kept = first.copy()
    envs.step(np.ones((8, 3), np.int32))
    assert np.array_equal(first, kept) == copy
    assert np.shares_memory(first, envs.games.observations) != copy


@with_modes
def test_gymnasiums_wrappers_take_it():
    from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

    envs = RecordEpisodeStatistics(brigade.vector_env(4, num_agents=2, max_cycles=6))
    envs = DictInfoToList(envs)
    envs.reset(seed=1)
    for _ in range(6):
        *_, truncations, infos = envs.step(np.zeros((8, 3), np.int64))
    assert truncations.all()
    returns = envs.unwrapped.games.returns.reshape(8)
    assert np.allclose([info["episode"]["r"] for info in infos], returns)
    assert [info["episode"]["l"] for info in infos] == [6] * 8
    assert [info["final_info"]["night"] for info in infos] == [6] * 8


@pytest.mark.parametrize(
    ("form", "actions", "says"),
    [
        ("multi", np.zeros((8, 2), np.int32), r"integers of shape \(8, 3\), not int32 of shape"),
        ("multi", np.zeros((2, 4, 3), np.int32), r"integers of shape \(8, 3\), not int32 of"),
        ("multi", np.full((8, 3), 2), "mode"),
        ("discrete", np.zeros((8, 3), np.int32), r"integers of shape \(8,\), not int32 of shape"),
        ("discrete", np.zeros(8), r"integers of shape \(8,\), not float64 of shape"),
        ("discrete", np.full(8, 40), "game 0, seat 0: .* from 0 to 39, not 40"),
        ("discrete", np.full(8, -1), "from 0 to 39, not -1"),
        ("discrete", np.full(8, 2**40), "from 0 to 39, not 1099511627776"),
    ],
)
def test_garbage_is_refused_and_nothing_is_stepped(form, actions, says):
    envs = brigade.vector_env(2, actions=form)
    envs.reset(seed=1)
    before = envs.games.get_state()
    with pytest.raises(ValueError, match=says):
        envs.step(actions)
    assert envs.games.get_state() == before


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="actions must be 'multi' or 'discrete', not 'both'"):
        brigade.vector_env(2, actions="both")
    envs = brigade.vector_env(2)
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.ones(8, bool)})
    with pytest.raises(ValueError, match="one per game"):
        envs.reset(seed=[1] * 8)
    envs.reset(options={})
    envs.close()
    assert envs.closed


def test_both_forms_of_actions_name_the_game_and_the_seat():
    for form, wrong in (("multi", [0, 2, 0]), ("discrete", 40)):
        envs = brigade.vector_env(3, num_agents=2, actions=form)
        envs.reset(seed=1)
        actions = np.zeros((6, 3) if form == "multi" else 6, np.int64)
        actions[3] = wrong
        with pytest.raises(ValueError, match=r"^game 1, seat 1: "):
            envs.step(actions)


def test_what_is_closed_or_asked_wrongly_says_so():
    envs = brigade.vector_env(2)
    with pytest.raises(ValueError, match="options must be a dictionary or None, not 5"):
        envs.reset(options=5)
    envs.reset()
    envs.close()
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        envs.step(np.zeros((8, 3), np.int64))
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        envs.reset()
