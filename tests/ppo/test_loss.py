"""The written-out gradient of PPO's loss against autograd of the plain formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_ppo import plain_loss
from torch.distributions import Categorical

from brigade.config import PPOConfig
from brigade.policy.distribution import offsets
from brigade.ppo.loss import STATISTICS, Batch, Coefficients, loss_gradient

NVEC = (5, 2, 3)


class Case:
    """K agents' batches of B transitions, float64; ratios are spread on both sides of 1."""

    def __init__(self, agents, size, seed, nvec=NVEC, spread=0.5):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(agents, size, *shape, generator=generator, dtype=torch.float64)

        self.nvec = nvec
        self.outputs = normal(sum(nvec) + 1)
        rng = np.random.default_rng(seed)
        self.actions = torch.from_numpy(rng.integers(0, nvec, (agents, size, len(nvec))))
        component_mask = torch.from_numpy(rng.random(self.actions.shape) < 0.8).double()
        parts = self.outputs[..., :-1].split(list(nvec), -1)
        now = sum(
            Categorical(logits=p).log_prob(self.actions[..., i]) * component_mask[..., i]
            for i, p in enumerate(parts)
        )
        self.batch = Batch(
            actions=self.actions + torch.tensor(offsets(nvec)),
            component_mask=component_mask,
            log_probs=now + spread * normal(),
            advantages=2 * normal(len(nvec)) + 0.3,
            targets=normal(),
        )
        self.ratio = torch.exp(now - self.batch.log_probs)

    def expected(self, agent, config):
        outputs = self.outputs[agent].clone().requires_grad_()
        b = self.batch
        loss, said = plain_loss(
            outputs,
            self.nvec,
            self.actions[agent],
            b.component_mask[agent],
            b.log_probs[agent],
            b.advantages[agent],
            b.targets[agent],
            config,
        )
        loss.backward()
        return outputs.grad, said


def coefficients(config: PPOConfig) -> Coefficients:
    worse = 1 - config.optimism if config.optimism else None
    return Coefficients(config.clip, config.value_coef, config.entropy_coef, worse)


@settings(max_examples=60)
@given(
    agents=st.integers(1, 4),
    size=st.integers(2, 40),
    seed=st.integers(0, 2**31),
    nvec=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    clip=st.sampled_from([0.05, 0.2, 1.5]),
    value_coef=st.sampled_from([0.0, 0.5, 2.0]),
    entropy_coef=st.sampled_from([0.0, 0.01, 1.0]),
    optimism=st.sampled_from([0.0, 0.98, 1.0]),
)
def test_gradient_and_statistics_are_those_of_the_plain_formula(
    agents, size, seed, nvec, clip, value_coef, entropy_coef, optimism
):
    config = PPOConfig(
        clip=clip, value_coef=value_coef, entropy_coef=entropy_coef, optimism=optimism
    )
    case = Case(agents, size, seed, nvec)
    gradient, statistics = loss_gradient(case.outputs, case.batch, coefficients(config), nvec)
    for k in range(agents):
        expected, said = case.expected(k, config)
        torch.testing.assert_close(gradient[k], expected, rtol=1e-8, atol=1e-11)
        found = dict(zip(STATISTICS, statistics[k].tolist(), strict=True))
        assert found == pytest.approx(said, rel=1e-6, abs=1e-9)


def test_the_ratio_counts_only_where_clipping_lets_it():
    config = PPOConfig(value_coef=0.0, entropy_coef=0.0)
    case = Case(1, 400, 0)
    gradient, _ = loss_gradient(case.outputs, case.batch, coefficients(config), NVEC)
    for i, part in enumerate(gradient[0, :, :-1].split(list(NVEC), -1)):
        felt = case.batch.component_mask[0, :, i] == 1
        check_clipping(part[felt], case.batch.advantages[0, felt, i], case.ratio[0, felt])


def check_clipping(gradient, advantages, ratio):
    moved = gradient.abs().sum(-1) > 0
    for good, high in ((True, True), (True, False), (False, True), (False, False)):
        beyond = ratio > 1.2 if high else ratio < 0.8
        here = beyond & ((advantages > 0) == good)
        assert here.sum() > 10, "the case covers this region"
        stopped = good == high  # it has moved enough already
        assert (moved[here] != stopped).all()
    assert moved[(ratio > 0.8) & (ratio < 1.2)].all()


def test_what_had_no_effect_has_no_gradient():
    case = Case(2, 30, 4)
    gradient, _ = loss_gradient(case.outputs, case.batch, coefficients(PPOConfig()), NVEC)
    for i, part in enumerate(gradient[..., :-1].split(list(NVEC), -1)):
        moved = part.abs().sum(-1) > 0
        assert not moved[case.batch.component_mask[..., i] == 0].any()
        assert moved[case.batch.component_mask[..., i] == 1].all()


def test_float32_is_close_to_the_plain_formula_too():
    config = PPOConfig()
    case = Case(3, 256, 1, (10, 2, 2))
    batch = Batch(
        case.batch.actions,
        case.batch.component_mask.float(),
        case.batch.log_probs.float(),
        case.batch.advantages.float(),
        case.batch.targets.float(),
    )
    gradient, _ = loss_gradient(case.outputs.float(), batch, coefficients(config), case.nvec)
    assert gradient.dtype == torch.float32
    for k in range(3):
        expected, _ = case.expected(k, config)
        torch.testing.assert_close(gradient[k], expected.float(), rtol=1e-3, atol=1e-6)


def test_agents_do_not_see_each_others_batches():
    config = PPOConfig()
    case = Case(3, 32, 2)
    before = loss_gradient(case.outputs, case.batch, coefficients(config), NVEC)
    for tensor in (case.outputs, case.batch.advantages, case.batch.targets, case.batch.log_probs):
        tensor[1] = float("nan")
    after = loss_gradient(case.outputs, case.batch, coefficients(config), NVEC)
    for k in (0, 2):
        assert torch.equal(before[0][k], after[0][k])
        assert torch.equal(before[1][k], after[1][k])


def test_at_ratio_one_the_policy_gradient_is_the_plain_one():
    # On-policy, PPO's gradient is that of -A log π.
    case = Case(2, 50, 3, spread=0.0)
    config = PPOConfig(value_coef=0.0, entropy_coef=0.0)
    gradient, statistics = loss_gradient(case.outputs, case.batch, coefficients(config), NVEC)
    outputs = case.outputs.clone().requires_grad_()
    parts = outputs[..., :-1].split(list(NVEC), -1)
    batch = case.batch
    felt = sum(
        Categorical(logits=p).log_prob(case.actions[..., i])
        * batch.component_mask[..., i]
        * batch.advantages[..., i]
        for i, p in enumerate(parts)
    )
    (-felt.mean(1)).sum().backward()
    torch.testing.assert_close(gradient, outputs.grad, rtol=1e-8, atol=1e-11)
    kl, clip_fraction = (statistics[:, STATISTICS.index(n)] for n in ("kl", "clip_fraction"))
    assert kl.abs().max() < 1e-12
    assert not clip_fraction.any()


def test_a_choice_that_an_agent_is_certain_of_is_given_up_when_it_has_become_a_bad_one():
    # It worked at every fire as long as that was best: at log-odds of 14 it hardly ever rests.
    outputs = torch.tensor([[[0.0, 14.0, 0.0]]])
    for _ in range(1000):
        now = torch.log_softmax(outputs[..., :2], -1)
        worked = torch.ones(1, 1, 1)
        batch = Batch(worked.long(), worked, now[..., 1], -worked, torch.zeros(1, 1))
        gradient, _ = loss_gradient(outputs, batch, Coefficients(0.2, 0.5, 0.06), (2,))
        outputs -= 10 * gradient
    assert outputs[0, 0, 1] < outputs[0, 0, 0], "it would rather rest by now"
