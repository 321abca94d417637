"""Acting for many rows at once is acting for each row with its own agent's network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical

from brigade.policy import gaussian
from brigade.policy.actor import Actor
from brigade.policy.network import Activations, Network, forward

NETWORK = Network(num_features=6, action_nvec=(4, 2, 2), hidden_size=8)


def stack(population: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.6 * torch.randn(population, NETWORK.num_parameters, generator=generator)


def one_by_one(parameters: torch.Tensor, agents, observations) -> np.ndarray:
    """Each row through a network of its own: what the actor must agree with."""
    made = []
    for agent, observation in zip(agents, observations, strict=True):
        p = {name: t.double() for name, t in NETWORK.state_dict(parameters[agent]).items()}
        x = torch.from_numpy(observation).double()
        x = torch.relu(x @ p["hidden1.weight"] + p["hidden1.bias"])
        x = torch.relu(x @ p["hidden2.weight"] + p["hidden2.bias"])
        made.append((x @ p["heads.weight"] + p["heads.bias"]).numpy())
    return np.array(made)


@settings(max_examples=40)
@given(
    seatings=st.lists(
        st.lists(st.integers(0, 4), min_size=1, max_size=20), min_size=1, max_size=12
    ),
    seed=st.integers(0, 2**31),
)
def test_each_row_goes_through_its_own_agents_network(seatings, seed):
    parameters = stack(5, seed)
    actor = Actor(NETWORK, parameters)
    rng = np.random.default_rng(seed)
    for seating in seatings:  # widths change from one to the next, and come back
        agents = np.array(seating)
        actor.seat(agents)
        for _ in range(2):
            observations = rng.random((len(agents), 6), dtype=np.float32)
            found = actor.outputs(observations).numpy()
            np.testing.assert_allclose(
                found, one_by_one(parameters, agents, observations), rtol=1e-4, atol=1e-5
            )


def test_new_weights_act_at_once():
    parameters = stack(2)
    actor = Actor(NETWORK, parameters)
    agents = np.array([0, 1, 1])
    actor.seat(agents)
    observations = np.random.default_rng(0).random((3, 6), dtype=np.float32)
    actor.outputs(observations)
    parameters.copy_(stack(2, seed=1))
    np.testing.assert_allclose(
        actor.outputs(observations).numpy(),
        one_by_one(parameters, agents, observations),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_seating_is_a_copy_of_what_was_given():
    actor = Actor(NETWORK, stack(3))
    agents = np.array([0, 1, 2])
    actor.seat(agents)
    observations = np.random.default_rng(0).random((3, 6), dtype=np.float32)
    before = actor.outputs(observations).clone()
    agents[:] = 0
    assert torch.equal(actor.outputs(observations), before)


def test_acting_reports_the_drawn_actions_probability_and_value():
    parameters = stack(4)
    actor = Actor(NETWORK, parameters)
    rng = np.random.default_rng(1)
    agents = rng.integers(0, 4, 50)
    actor.seat(agents)
    observations = rng.random((50, 6), dtype=np.float32)
    actions, log_probs, values = actor.act(observations, np.random.default_rng(2))
    assert (actions.dtype, actions.shape) == (np.int32, (50, 3))
    assert (log_probs.dtype, values.dtype) == (np.float32, np.float32)
    expected = one_by_one(parameters, agents, observations)
    logits = torch.from_numpy(expected[:, :-1]).split([4, 2, 2], -1)
    for i, part in enumerate(logits):
        log_prob = Categorical(logits=part).log_prob(torch.from_numpy(actions[:, i].astype(int)))
        np.testing.assert_allclose(log_probs[:, i], log_prob.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values, expected[:, -1], rtol=1e-4, atol=1e-5)


def test_actions_follow_from_the_generator_alone():
    actor = Actor(NETWORK, stack(2))
    actor.seat(np.array([0, 1, 0, 1]))
    observations = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    one, two, other = (
        [actor.act(observations, generator)[0] for _ in range(10)]
        for generator in map(np.random.default_rng, (7, 7, 8))
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_frequencies_of_actions_are_their_probabilities():
    actor = Actor(NETWORK, stack(2))
    count = 20_000
    actor.seat(np.repeat([0, 1], count))
    observation = np.random.default_rng(0).random(6, dtype=np.float32)
    rows = np.tile(observation, (2 * count, 1))
    actions, log_probs, _ = actor.act(rows, np.random.default_rng(1))
    for agent in range(2):
        mine = slice(agent * count, (agent + 1) * count)
        codes = actions[mine] @ np.array([4, 2, 1])
        for code in np.unique(codes):
            at = codes == code
            p = float(np.exp(log_probs[mine][at][0].sum()))
            assert abs(at.mean() - p) < 5 * np.sqrt(p * (1 - p) / count)


def test_greedy_actions_are_the_most_probable():
    parameters = stack(3)
    actor = Actor(NETWORK, parameters)
    agents = np.array([2, 0, 1, 2])
    actor.seat(agents)
    observations = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    outputs = one_by_one(parameters, agents, observations)
    expected = [[o[:4].argmax(), o[4:6].argmax(), o[6:8].argmax()] for o in outputs]
    assert actor.act_greedily(observations).tolist() == expected


@pytest.mark.parametrize("hidden", [32, 512])
def test_probability_when_acting_is_what_a_learner_recomputes(hidden):
    # The learner's forward pass has other batch shapes, so sums may run in another order.
    network = Network(num_features=88, action_nvec=(10, 2, 2), hidden_size=hidden)
    generator = torch.Generator().manual_seed(4)
    parameters = torch.stack([network.initial_row(generator) for _ in range(4)])
    network.views(parameters)["heads.weight"].mul_(20)  # away from uniform
    actor = Actor(network, parameters)
    rng = np.random.default_rng(0)
    agents = rng.integers(0, 4, 64)
    actor.seat(agents)
    observations = rng.random((64, 88), dtype=np.float32)
    actions, log_probs, values = actor.act(observations, rng)
    for agent in range(4):
        mine = agents == agent
        buffers = Activations.empty(network, 1, int(mine.sum()), torch.device("cpu"))
        buffers.observations[0] = torch.from_numpy(observations[mine])
        outputs = forward(network.views(parameters[agent : agent + 1]), buffers).outputs[0]
        parts = outputs[:, :-1].split([10, 2, 2], -1)
        for i, part in enumerate(parts):
            again = Categorical(logits=part).log_prob(
                torch.from_numpy(actions[mine, i].astype(np.int64))
            )
            np.testing.assert_allclose(again.numpy(), log_probs[mine, i], rtol=0, atol=1e-5)
        np.testing.assert_allclose(outputs[:, -1].numpy(), values[mine], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("squashed", [False, True])
def test_continuous_actions_are_drawn_around_each_agents_own_mean(squashed):
    network = Network(6, (), 8, num_continuous=2, squashed=squashed, state_dependent=True)
    generator = torch.Generator().manual_seed(3)
    parameters = 0.6 * torch.randn(3, network.num_parameters, generator=generator)
    actor = Actor(network, parameters)
    agents = np.random.default_rng(1).integers(0, 3, 40)
    actor.seat(agents)
    observations = np.random.default_rng(0).random((40, 6), dtype=np.float32)
    actions, log_probs, values = actor.act(observations, np.random.default_rng(7))
    assert (actions.dtype, actions.shape) == (np.float32, (40, 2))
    assert (log_probs.dtype, log_probs.shape) == (np.float32, (40, 2))
    outputs = actor.outputs(observations)
    means, log_deviations = gaussian.split(outputs[:, :-1])
    normals = np.random.default_rng(7).standard_normal((40, 2), dtype=np.float32)
    np.testing.assert_allclose(actions, means.numpy() + log_deviations.exp().numpy() * normals)
    again = gaussian.log_prob(outputs[:, :-1], torch.from_numpy(actions), squashed=squashed)
    np.testing.assert_allclose(log_probs, again.numpy(), rtol=1e-4, atol=1e-5)
    assert np.array_equal(values, outputs[:, -1].numpy())
    greedy = actor.act_greedily(observations)
    assert greedy.dtype == np.float32
    np.testing.assert_allclose(greedy, np.tanh(means.numpy()) if squashed else means.numpy())
