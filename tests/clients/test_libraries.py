"""What single libraries ask beyond their examples, each where it is installed."""

import numpy as np
import pytest

import brigade

ADJACENT = brigade.load_scenario("default", action_validity_mode="adjacent_only")
TWO_PHASE = brigade.load_scenario("default", commitment_mode="two_phase")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["multi", "discrete"])
@pytest.mark.parametrize("scenario", ["default", ADJACENT, TWO_PHASE])
def test_torchrls_specs_hold(form, scenario):
    pytest.importorskip("torchrl", reason="torchrl is not installed")
    from torchrl.envs import PettingZooWrapper
    from torchrl.envs.utils import check_env_specs

    env = PettingZooWrapper(
        brigade.parallel_env(scenario, max_cycles=20, actions=form), return_state=True
    )
    check_env_specs(env)
    env.set_seed(5)
    played = env.rollout(12)
    assert played["agent", "observation"].shape == (12, 4, 117)
    assert played["state"].shape[0] == 12
    assert (("agent", "action_mask") in played.keys(True)) == (scenario is ADJACENT)


@pytest.mark.filterwarnings("ignore")
def test_supersuits_copies_play_their_own_games():
    supersuit = pytest.importorskip("supersuit", reason="supersuit is not installed")
    scenario = brigade.load_scenario("default", num_houses=64, prob_house_catches_fire=0.5)
    games = supersuit.pettingzoo_env_to_vec_env_v1(brigade.parallel_env(scenario, max_cycles=20))
    games = supersuit.concat_vec_envs_v1(games, 4, num_cpus=0, base_class="gymnasium")
    observations, _ = games.reset()
    houses = observations.reshape(4, 4, -1)[:, 0, : 3 * 64]
    assert len({row.tobytes() for row in houses}) == 4
    one, _ = games.reset(seed=7)
    two, _ = games.reset(seed=7)
    assert np.array_equal(one, two)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scenario", ["default", TWO_PHASE])
def test_rllibs_wrapper_steps(scenario):
    pytest.importorskip("ray.rllib", reason="ray is not installed")
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

    env = ParallelPettingZooEnv(brigade.parallel_env(scenario, max_cycles=10, actions="discrete"))
    observations, _ = env.reset(seed=3)
    steps = 0
    while True:
        actions = {agent: env.get_action_space(agent).sample() for agent in observations}
        observations, _, terminated, truncated, _ = env.step(actions)
        steps += 1
        if terminated["__all__"] or truncated["__all__"]:
            break
    assert truncated["__all__"]
    assert steps == (20 if scenario is TWO_PHASE else 10)
