"""Learning from pictures: a small game to its optimum, and the same however agents are computed."""

import numpy as np
import pytest
import torch

from brigade.config import PPOConfig
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.parallel import GroupedUpdater
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater

CPU = torch.device("cpu")
NETWORK = Network(num_features=0, action_nvec=(4,), hidden_size=16, pictures=((16, 16, 1),))
BESIDE = Network(num_features=3, action_nvec=(4,), hidden_size=16, pictures=((16, 16, 1),))
CONFIG = PPOConfig(
    advantages="gae", batch_size=64, update_interval=16, learning_rate=1e-3, hidden_size=16
)


@pytest.fixture(autouse=True)
def _one_thread():
    """As updates compute; two threads would wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def squares(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, of which one quarter has a bright square, and which it is."""
    where = rng.integers(0, 4, count)
    pictures = rng.integers(0, 60, (count, 16, 16), np.uint8)
    for picture, quarter in zip(pictures, where, strict=True):
        top, left = rng.integers(0, 5, 2) + 8 * np.array(divmod(quarter, 2))
        picture[top : top + 4, left : left + 4] = 200
    return pictures.reshape(count, 256), where


def rollout(network: Network, count: int, rng: np.random.Generator, actor: Actor | None) -> Rollout:
    """Steps, each a game of its own: 1 for naming the quarter, else 0."""
    pictures, where = squares(count, rng)
    observations = rng.random((count, network.num_features), np.float32)
    if actor is None:
        actions = rng.integers(0, 4, (count, 1))
        log_probs, values = np.full((count, 1), np.log(0.25), np.float32), np.zeros(count)
    else:
        actor.seat(np.zeros(count, np.int64))
        actions, log_probs, values = actor.act(observations, rng, None, pictures)
    return Rollout.of(
        {
            "observations": observations,
            "pictures": pictures,
            "actions": actions,
            "component_mask": np.ones((count, 1), np.bool_),
            "log_probs": log_probs[:, 0],
            "values": values.astype(np.float32),
            "rewards": (actions[:, 0] == where).astype(np.float32),
            "discounts": np.full(count, 0.9, np.float32),
            "lengths": np.ones(count, np.int32),
            "terminated": np.arange(count) % 2 == 0,
            "truncated": np.arange(count) % 2 == 1,
            "policy_versions": np.zeros(count, np.int64),
            "bootstrap_observations": np.zeros((count // 2, network.num_features), np.float32),
            "bootstrap_pictures": np.zeros((count // 2, 256), np.uint8),
        }
    )


def test_a_game_of_pictures_is_learned():
    rng = np.random.default_rng(1)
    stack = AgentStack(NETWORK, [0], [initial_state(NETWORK, 1, 0)], CPU)
    updater, actor = Updater(stack, CONFIG, 1), Actor(NETWORK, stack.parameters)
    for _ in range(15):
        updater.update([rollout(NETWORK, 256, rng, actor)])
    pictures, where = squares(400, rng)
    actor.seat(np.zeros(400, np.int64))
    greedy = actor.act_greedily(np.zeros((400, 0), np.float32), None, pictures)
    assert np.mean(greedy[:, 0] == where) > 0.95


@pytest.mark.parametrize("network", [NETWORK, BESIDE], ids=["alone", "beside numbers"])
def test_threads_and_other_agents_change_nothing(network):
    agents = [0, 1, 2]
    states = [initial_state(network, 2, agent) for agent in agents]
    # One has played nothing; all advantages are from older versions that acted.
    rollouts = [
        rollout(network, count, np.random.default_rng(count), None) for count in (150, 0, 90)
    ]

    def learned(which: list[int], threads: int) -> list[bytes]:
        updater = GroupedUpdater(
            [network] * len(which), which, [states[a] for a in which], CPU, CONFIG, 3, threads
        )
        found = updater.update([rollouts[a] for a in which], recompute=True)
        found = updater.update([rollouts[a] for a in which])
        updater.close()
        return [each.state.parameters.tobytes() for each in found]

    together = learned(agents, 1)
    assert learned(agents, 3) == together
    assert [learned([agent], 1)[0] for agent in agents] == together
    assert together[1] == states[1].parameters.tobytes()
    assert together[0] != states[0].parameters.tobytes()
