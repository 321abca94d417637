"""Updates by several threads against the one stack that they share out."""

import threading

import numpy as np
import pytest
import torch
from plain_ppo import random_rollout

from brigade.config import PPOConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.parallel import ParallelUpdater
from brigade.ppo.update import Updater

NETWORK = Network(num_features=9, action_nvec=(4, 2, 2), hidden_size=16)
CONFIG = PPOConfig(hidden_size=16, batch_size=32, num_epochs=4, update_interval=10)
AGENTS = [3, 0, 7, 12, 5]


@pytest.fixture(autouse=True)
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def stack() -> AgentStack:
    states = [initial_state(NETWORK, 5, agent) for agent in AGENTS]
    return AgentStack(NETWORK, AGENTS, states, torch.device("cpu"))


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 9])
def test_threads_that_share_the_agents_learn_what_one_does(threads):
    alone = Updater(stack(), CONFIG, 77)
    shared = ParallelUpdater(stack(), CONFIG, 77, threads)
    for update in range(3):
        rollouts = [random_rollout(NETWORK, n, update) for n in (80, 160, 40, 5, 0)]
        again = (False, True, [False, True, True, False, True])[update]
        one = alone.update(rollouts, 0.1 * update, refresh=again)
        other = shared.update(rollouts, 0.1 * update, refresh=again)
        for ours, theirs in zip(one, other, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-5)
        for mine, yours in zip(alone.stack.states(), shared.stack.states(), strict=True):
            assert (mine.version, mine.steps) == (yours.version, yours.steps)
            for name, array in mine.arrays().items():
                np.testing.assert_allclose(array, yours.arrays()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("threads", "each"), [(1, 1), (2, 1), (5, 1), (7, 1), (10, 2), (13, 3)])
def test_cores_beyond_the_agents_go_into_each_product(threads, each):
    ParallelUpdater(stack(), CONFIG, 77, threads)
    assert torch.get_num_threads() == each


def test_only_the_calling_thread_is_told_of_batches_until_all_are_done():
    callers = []
    shared = ParallelUpdater(stack(), CONFIG, 77, 3)
    # The caller's own agents have nothing to do.
    rollouts = [random_rollout(NETWORK, n, 1) for n in (0, 0, 80, 80, 4000)]
    shared.update(rollouts, between_batches=lambda: callers.append(threading.get_ident()))
    assert set(callers) <= {threading.get_ident()}
    assert shared.stack.versions == [1] * 5


def test_an_update_that_is_given_up_ends_in_all_threads():
    shared = ParallelUpdater(stack(), CONFIG, 77, 3)
    rollouts = [random_rollout(NETWORK, 80, k) for k in range(5)]

    def give_up():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.update(rollouts, between_batches=give_up)
    before = [state.parameters for state in shared.stack.states()]
    assert shared.stack.versions == [0] * 5
    after = [state.parameters for state in shared.stack.states()]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_what_goes_wrong_in_a_thread_is_raised_in_the_caller():
    shared = ParallelUpdater(stack(), CONFIG, 77, 3)
    rollouts = [random_rollout(NETWORK, 80, k) for k in range(5)]
    broken = [*rollouts[:4], random_rollout(Network(8, (4, 2, 2), 16), 80, 0)]
    with pytest.raises(ValueError, match="broadcast"):
        shared.update(broken)
