"""Continuous actions: the written-out gradient against autograd, groups, and what is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from brigade.config import PPOConfig
from brigade.policy import gaussian
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.ppo import popart
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.loss import (
    STATISTICS,
    Batch,
    Coefficients,
    continuous_loss_gradient,
)
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater

CPU = torch.device("cpu")
KINDS = pytest.mark.parametrize(
    ("squashed", "state_dependent"),
    [(False, False), (False, True), (True, False), (True, True)],
    ids=["clipped", "clipped-state", "squashed", "squashed-state"],
)


def plain_loss(outputs, batch, config, *, squashed):
    """PPO's loss over one agent's batch ``[B]``, from the papers' formulas, for autograd."""
    d = batch.actions.shape[-1]
    free = outputs[:, d : 2 * d]
    low, high = gaussian.LOWEST, gaussian.HIGHEST
    middle, reach = (low + high) / 2, (high - low) / 2
    deviations = (middle + reach * torch.tanh((free - middle) / reach)).exp()
    normal = Normal(outputs[:, :d], deviations)
    each, entropies = normal.log_prob(batch.actions), normal.entropy()
    if squashed:
        each = each - torch.log(1 - batch.actions.tanh() ** 2)
        # The same draw from the standard normal distribution, for whatever mean and deviation.
        draws = ((batch.actions - normal.mean) / normal.stddev).detach()
        moved = normal.mean + normal.stddev * draws
        entropies = entropies + torch.log(1 - moved.tanh() ** 2)
    each, entropy = each * batch.component_mask, (entropies * batch.component_mask).sum(1)
    log_probs = each.sum(1)
    objectives = []
    for i in range(d):
        felt = torch.exp(log_probs.detach() - each[:, i].detach() + each[:, i] - batch.log_probs)
        clipped = felt.clamp(1 - config.clip, 1 + config.clip)
        objectives.append(
            torch.min(felt * batch.advantages[:, i], clipped * batch.advantages[:, i])
        )
    objective = torch.stack(objectives, 1)
    value_loss = 0.5 * ((outputs[:, -1] - batch.targets) ** 2).mean()
    ratio = torch.exp(log_probs - batch.log_probs)
    loss = (
        -objective.sum(1).mean()
        + config.value_coef * value_loss
        - config.entropy_coef * entropy.mean()
    )
    said = {
        "policy_loss": -objective.mean(),
        "value_loss": value_loss,
        "entropy": entropy.mean(),
        "kl": (ratio - 1 - torch.log(ratio)).mean(),
        "clip_fraction": ((ratio - 1).abs() > config.clip).double().mean(),
    }
    return loss, {name: float(value.detach()) for name, value in said.items()}


def random_batch(agents: int, size: int, numbers: int, seed: int, *, squashed: bool):
    """Outputs and batches, float64; ratios are spread on both sides of 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(agents, size, *shape, generator=generator, dtype=torch.float64)

    outputs = normal(2 * numbers + 1)
    actions, _ = gaussian.sample(outputs[..., :-1], normal(numbers), squashed=squashed)
    mask = (torch.rand(actions.shape, generator=generator) < 0.8).double()
    now = (gaussian.log_prob(outputs[..., :-1], actions, squashed=squashed) * mask).sum(-1)
    return outputs, Batch(actions, mask, now + 0.3 * normal(), 2 * normal(numbers) + 0.3, normal())


@pytest.mark.parametrize("squashed", [False, True])
@settings(max_examples=30)
@given(
    agents=st.integers(1, 3),
    size=st.integers(2, 30),
    numbers=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    clip=st.sampled_from([0.05, 0.2, 1.5]),
    value_coef=st.sampled_from([0.0, 0.5]),
    entropy_coef=st.sampled_from([0.0, 0.01, 1.0]),
)
def test_gradient_and_statistics_are_those_of_the_plain_formula(
    squashed, agents, size, numbers, seed, clip, value_coef, entropy_coef
):
    config = PPOConfig(clip=clip, value_coef=value_coef, entropy_coef=entropy_coef)
    outputs, batch = random_batch(agents, size, numbers, seed, squashed=squashed)
    coefficients = Coefficients(clip, value_coef, entropy_coef)
    gradient, statistics = continuous_loss_gradient(outputs, batch, coefficients, squashed=squashed)
    fields = ("actions", "component_mask", "log_probs", "advantages", "targets")
    for k in range(agents):
        own = Batch(*(getattr(batch, name)[k] for name in fields))
        leaf = outputs[k].clone().requires_grad_()
        loss, said = plain_loss(leaf, own, config, squashed=squashed)
        loss.backward()
        torch.testing.assert_close(gradient[k], leaf.grad, rtol=1e-7, atol=1e-10)
        found = dict(zip(STATISTICS, statistics[k].tolist(), strict=True))
        assert found == pytest.approx(said, rel=1e-6, abs=1e-9)
    for part in (gradient[..., :numbers], gradient[..., numbers:-1]):
        assert not part[batch.component_mask == 0].any(), "what had no effect has no gradient"


def network_of(squashed: bool, state_dependent: bool, numbers: int = 1, hidden: int = 16):
    return Network(
        1, (), hidden, num_continuous=numbers, squashed=squashed, state_dependent=state_dependent
    )


def one_step_games(actor: Actor, network: Network, steps: int, rng, target) -> Rollout:
    """Each game is one step: the nearer the action to ``target(x)``, the better."""
    seen = rng.uniform(-1, 1, (steps, network.num_features)).astype(np.float32)
    actor.seat(np.zeros(steps, np.int64))
    actions, log_probs, values = actor.act(seen, rng)
    played = gaussian.for_game(actions, squashed=network.squashed).clip(-1, 1)
    return Rollout.of(
        {
            "observations": seen,
            "actions": actions,
            "component_mask": np.ones(actions.shape, np.bool_),
            "log_probs": log_probs.sum(1),
            "values": values,
            "rewards": -np.square(played - target(seen)).sum(1).astype(np.float32),
            "discounts": np.ones(steps, np.float32),
            "lengths": np.ones(steps, np.int32),
            "terminated": np.ones(steps, np.bool_),
            "truncated": np.zeros(steps, np.bool_),
            "policy_versions": np.zeros(steps, np.int64),
            "bootstrap_observations": seen[:0],
        }
    )


@KINDS
def test_a_target_that_depends_on_what_is_seen_is_learned(squashed, state_dependent):
    network = network_of(squashed, state_dependent)
    config = PPOConfig(
        learning_rate=3e-3, batch_size=128, update_interval=16, advantages="gae", entropy_coef=1e-3
    )
    stack = AgentStack(network, [0], [initial_state(network, 3, 0)], CPU)
    updater, rng = Updater(stack, config, 1), np.random.default_rng(2)
    actor = Actor(network, stack.parameters)
    for _ in range(60):
        mean, deviation = (float(x) for x in popart.moments(stack.statistics))
        rollout = one_step_games(actor, network, 512, rng, lambda x: 0.8 * x)
        updater.update([replace(rollout, values=rollout.values * deviation + mean)])
    seen = np.linspace(-1, 1, 101, dtype=np.float32)[:, None]
    actor.seat(np.zeros(len(seen), np.int64))
    mistakes = np.square(actor.act_greedily(seen) - 0.8 * seen)
    # Doing nothing costs 0.21, untrained play about 0.9.
    assert mistakes.mean() < 0.01
    rewards = one_step_games(actor, network, 2000, rng, lambda x: 0.8 * x).rewards
    assert rewards.mean() > -0.03, "by now it explores little"


@KINDS
@pytest.mark.parametrize("recompute", [False, True])
def test_what_acted_is_what_the_first_batch_compares_with(squashed, state_dependent, recompute):
    network = network_of(squashed, state_dependent, numbers=3)
    config = PPOConfig(batch_size=64, update_interval=1, num_epochs=1, advantages="gae")
    stack = AgentStack(network, [0], [initial_state(network, 3, 0)], CPU)
    actor = Actor(network, stack.parameters)
    rollout = one_step_games(actor, network, 64, np.random.default_rng(1), lambda x: x)
    metrics = Updater(stack, config, 1).update([rollout], recompute=recompute)
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics[0]["clip_fraction"] == 0


@pytest.mark.parametrize("squashed", [False, True])
def test_deviations_that_do_not_depend_on_what_is_seen_never_begin_to(squashed):
    network = network_of(squashed, False, numbers=2)
    config = PPOConfig(batch_size=64, update_interval=8, advantages="gae")
    stack = AgentStack(network, [0], [initial_state(network, 3, 0)], CPU)
    before = stack.views["heads.bias"][..., network.deviations].clone()
    rollout = one_step_games(
        Actor(network, stack.parameters), network, 128, np.random.default_rng(1), lambda x: x
    )
    Updater(stack, config, 1).update([rollout])
    assert not stack.views["heads.weight"][..., network.deviations].any()
    assert (stack.views["heads.bias"][..., network.deviations] != before).all()
