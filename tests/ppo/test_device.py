"""What an update does on a GPU, on a machine that has none: shapes and devices, without numbers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from brigade.config import PPOConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.policy.build import network_for
from brigade.policy.network import Activations, forward
from brigade.ppo import popart, update
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.loss import STATISTICS
from brigade.ppo.observation_statistics import take_in
from brigade.ppo.update import Updater

K, N, B = 3, 100, 32
CONFIG = PPOConfig(hidden_size=16, batch_size=B)
NETWORK = network_for(describe(load_scenario("default"), 4).role, 16)
GPU = torch.device("cuda:0")
CPU = torch.device("cpu")


STATES = [initial_state(NETWORK, 1, agent) for agent in range(K)]


def updater(monkeypatch: pytest.MonkeyPatch) -> Updater:
    stack = AgentStack(NETWORK, range(K), STATES, CPU)
    stack.device = GPU
    for name in ("parameters", "first_moment", "second_moment"):
        setattr(stack, name, torch.empty_like(getattr(stack, name), device=GPU))
    stack.views = NETWORK.views(stack.parameters)
    there = Updater(stack, CONFIG, 1)

    # torch has no fake of the fused kernel with a rate that lies on the device.
    def step(live: Sequence[bool], rate: torch.Tensor) -> None:
        assert {rate.device, *(t.device for row in there._adam._rows for t in row)} == {GPU}

    monkeypatch.setattr(there._adam, "step", step)
    return there


def data(actions: torch.device = GPU) -> update._Data:
    c = len(NETWORK.action_nvec)

    def floats(*shape: int) -> torch.Tensor:
        return torch.empty(K, N, *shape, device=GPU)

    return update._Data(
        observations=floats(NETWORK.num_features),
        actions=torch.zeros(K, N, c, dtype=torch.int64, device=actions),
        component_mask=floats(c),
        log_probs=floats(),
        advantages=floats(c),
        targets=floats(),
        action_mask=None,
    )


def test_all_that_a_gradient_batch_touches_is_on_its_device(monkeypatch):
    with FakeTensorMode(allow_non_fake_inputs=True):
        index = torch.zeros(K, B, dtype=torch.int64, device=GPU)
        said = updater(monkeypatch)._gradient_batch(data(), index, [True, True, False])
        assert (said.device, said.shape) == (GPU, (K, len(STATISTICS) + 1))
        with pytest.raises(RuntimeError, match="device"):
            updater(monkeypatch)._gradient_batch(data(CPU), index, [True, True, False])


def test_recomputing_and_rescaling_stay_on_the_device(monkeypatch):
    with FakeTensorMode(allow_non_fake_inputs=True):
        there, rollouts = updater(monkeypatch), data()
        log_probs, outputs = there._recompute(
            rollouts.observations, rollouts.actions, rollouts.component_mask, None
        )
        assert (log_probs.device, outputs.device) == (GPU, GPU)
        moments = torch.zeros(K, device=GPU), torch.ones(K, device=GPU)
        popart.rescale_value_head(there.stack.views, moments, moments)


def test_statistics_of_observations_stay_on_the_device():
    network = replace(NETWORK, normalised=(1, 2, 5))
    with FakeTensorMode(allow_non_fake_inputs=True):
        views = network.views(torch.empty(K, network.num_parameters, device=GPU))
        take_in({name: view[0] for name, view in views.items()}, torch.empty(N, 3, device=GPU))
        made = forward(views, Activations.empty(network, K, B, GPU))
        assert {made.outputs.device, made.observations.device} == {GPU}
