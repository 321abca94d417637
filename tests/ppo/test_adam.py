"""Adam over rows: torch.optim.Adam of each agent alone, without what torch loads for it."""

import subprocess
import sys

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.policy.network import Network
from brigade.ppo.adam import Adam
from brigade.ppo.agents import AgentStack, AgentState, initial_state

NETWORK = Network(num_features=3, action_nvec=(2, 2), hidden_size=4)
LIVE = st.lists(st.booleans(), min_size=3, max_size=3).filter(any)


@settings(max_examples=30)
@given(
    rounds=st.lists(st.tuples(LIVE, st.sampled_from([1e-4, 1e-2])), min_size=1, max_size=8),
    begun=st.integers(0, 50),
    seed=st.integers(0, 2**31),
)
def test_each_row_steps_as_torchs_adam_would(rounds, begun, seed):
    rng = np.random.default_rng(seed)

    def row() -> np.ndarray:
        return rng.standard_normal(NETWORK.num_parameters).astype(np.float32)

    states = [
        AgentState(0, begun * k, row(), row(), row() ** 2, np.zeros(3))
        if begun
        else initial_state(NETWORK, seed, k)
        for k in range(3)
    ]
    stack = AgentStack(NETWORK, [0, 1, 2], states, torch.device("cpu"))
    gradients = torch.zeros(3, NETWORK.num_parameters)
    stacked = Adam(stack, gradients)
    alone = []
    for state in states:
        parameter = torch.nn.Parameter(torch.tensor(state.parameters))
        optimizer = torch.optim.Adam([parameter], eps=1e-8)
        optimizer.state[parameter] = {
            "step": torch.tensor(float(state.steps)),
            "exp_avg": torch.tensor(state.first_moment),
            "exp_avg_sq": torch.tensor(state.second_moment),
        }
        alone.append((parameter, optimizer))
    for live, rate in rounds:
        gradients.copy_(torch.from_numpy(np.stack([row() for _ in range(3)])))
        before = stack.parameters.clone()
        stacked.step(live, rate)
        for k, (parameter, optimizer) in enumerate(alone):
            if not live[k]:
                assert torch.equal(stack.parameters[k], before[k])
                continue
            parameter.grad = gradients[k].clone()
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
    for k, (parameter, optimizer) in enumerate(alone):
        moments = optimizer.state[parameter]
        torch.testing.assert_close(stack.parameters[k], parameter.data, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(stack.first_moment[k], moments["exp_avg"])
        torch.testing.assert_close(stack.second_moment[k], moments["exp_avg_sq"])


UPDATE = """
import sys
import numpy as np, torch
from brigade.config import PPOConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater
import brigade.learn.learner

network = Network(3, (2, 2), 4)
stack = AgentStack(network, [0], [initial_state(network, 0, 0)], torch.device("cpu"))
rollout = Rollout.of({
    "observations": np.zeros((9, 3), np.float32), "actions": np.zeros((9, 2), np.uint8),
    "component_mask": np.ones((9, 2), bool), "log_probs": np.zeros(9, np.float32),
    "values": np.zeros(9, np.float32), "rewards": np.zeros(9, np.float32),
    "discounts": np.ones(9, np.float32), "lengths": np.array([9], np.int32),
    "terminated": np.array([True]), "truncated": np.array([False]),
    "policy_versions": np.array([0]), "bootstrap_observations": np.zeros((0, 3), np.float32),
})
Updater(stack, PPOConfig(hidden_size=4, batch_size=4, advantages="gae"), 0).update([rollout])
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


def test_an_update_does_not_load_torchs_compiler():
    # It takes as long to load as all of torch, and a learner would be silent for so long.
    done = subprocess.run(
        [sys.executable, "-c", UPDATE], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
