"""What an update does on a GPU, on a machine that has none: shapes and devices, without numbers."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from brigade.config import PPOConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.policy.build import network_for
from brigade.policy.network import Activations, Network, forward
from brigade.ppo import popart, update
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.loss import STATISTICS
from brigade.ppo.observation_statistics import take_in
from brigade.ppo.picture_rows import PictureRows
from brigade.ppo.update import Updater

K, N, B = 3, 100, 32
CONFIG = PPOConfig(hidden_size=16, batch_size=B)
NETWORK = network_for(describe(load_scenario("default"), 4).role, 16)
GPU = torch.device("cuda:0")
CPU = torch.device("cpu")


NETWORKS = {
    "choices": NETWORK,
    "continuous": Network(5, (), 16, num_continuous=2, squashed=True),
    "pictures": Network(3, (4,), 16, pictures=((20, 24, 3),)),
}


STATES = {each: [initial_state(each, 1, agent) for agent in range(K)] for each in NETWORKS.values()}


def updater(monkeypatch: pytest.MonkeyPatch, network: Network) -> Updater:
    stack = AgentStack(network, range(K), STATES[network], CPU)
    stack.device = GPU
    for name in ("parameters", "first_moment", "second_moment"):
        setattr(stack, name, torch.empty_like(getattr(stack, name), device=GPU))
    stack.views = network.views(stack.parameters)
    there = Updater(stack, CONFIG, 1)

    # torch has no fake of the fused kernel with a rate that lies on the device.
    def step(live: Sequence[bool], rate: torch.Tensor) -> None:
        assert {rate.device, *(t.device for row in there._adam._rows for t in row)} == {GPU}

    monkeypatch.setattr(there._adam, "step", step)
    return there


def data(network: Network, actions: torch.device = GPU) -> update._Data:
    c = network.num_components
    kind = torch.float32 if network.num_continuous else torch.int64

    def floats(*shape: int) -> torch.Tensor:
        return torch.empty(K, N, *shape, device=GPU)

    pictures = None
    if network.pictures:
        pictures = PictureRows([], GPU)
        size = sum(map(prod, network.pictures))
        pictures._there = [torch.empty(N, size, dtype=torch.uint8, device=GPU) for _ in range(K)]
    return update._Data(
        observations=floats(network.num_features),
        actions=torch.zeros(K, N, c, dtype=kind, device=actions),
        component_mask=floats(c),
        log_probs=floats(),
        advantages=floats(c),
        targets=floats(),
        action_mask=None,
        pictures=pictures,
    )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_all_that_a_gradient_batch_touches_is_on_its_device(monkeypatch, network):
    with FakeTensorMode(allow_non_fake_inputs=True):
        index = torch.zeros(K, B, dtype=torch.int64, device=GPU)
        said = updater(monkeypatch, network)._gradient_batch(
            data(network), index, [True, True, False]
        )
        assert (said.device, said.shape) == (GPU, (K, len(STATISTICS) + 1))
        with pytest.raises(RuntimeError, match="device"):
            updater(monkeypatch, network)._gradient_batch(
                data(network, CPU), index, [True, True, False]
            )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_recomputing_and_rescaling_stay_on_the_device(monkeypatch, network):
    with FakeTensorMode(allow_non_fake_inputs=True):
        there, rollouts = updater(monkeypatch, network), data(network)
        log_probs, outputs = there._recompute(
            rollouts.observations,
            rollouts.pictures,
            rollouts.actions,
            rollouts.component_mask,
            None,
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
