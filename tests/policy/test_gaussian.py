"""The distribution over continuous actions: that of torch.distributions, sampled as it says."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from brigade.policy.gaussian import (
    HIGHEST,
    INITIAL,
    LOWEST,
    entropy,
    for_game,
    log_prob,
    log_tanh_slope,
    sample,
    slope,
    split,
)

SEEDS = st.integers(0, 2**31)
KINDS = pytest.mark.parametrize("squashed", [False, True], ids=["clipped", "squashed"])


def random_outputs(seed: int, *shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@KINDS
@settings(max_examples=30)
@given(seed=SEEDS, numbers=st.integers(1, 5))
def test_log_prob_is_that_of_torch_distributions(squashed, seed, numbers):
    outputs = 2 * random_outputs(seed, 3, 4, 2 * numbers)
    means, log_deviations = split(outputs)
    normal = Normal(means, log_deviations.exp())
    actions = normal.mean + normal.stddev * random_outputs(seed + 1, 3, 4, numbers)
    found = log_prob(outputs, actions, squashed=squashed)
    if not squashed:
        torch.testing.assert_close(found, normal.log_prob(actions))
        return
    played = actions.tanh()
    near = played.abs() < 0.999  # from what is given, torch finds what was drawn
    expected = TransformedDistribution(normal, TanhTransform()).log_prob(
        played.clamp(-0.999, 0.999)
    )
    torch.testing.assert_close(found[near], expected[near])


@KINDS
@pytest.mark.parametrize("outputs", [[0.3, INITIAL], [-1.0, -1.2], [2.0, 3.0], [0.0, -9.0]])
def test_the_density_of_what_the_game_is_playedintegrates_to_one(squashed, outputs):
    mean, log_deviation = (float(x) for x in split(torch.tensor(outputs, dtype=torch.float64)))
    width = 9 * exp(log_deviation)
    drawn = torch.linspace(mean - width, mean + width, 200_001, dtype=torch.float64).unsqueeze(1)
    row = torch.tensor(outputs, dtype=torch.float64).expand(len(drawn), 2)
    density = log_prob(row, drawn, squashed=squashed).exp().flatten()
    played = torch.from_numpy(for_game(drawn.numpy(), squashed=squashed)).flatten()
    assert float(torch.trapezoid(density, played)) == pytest.approx(1, abs=1e-4)


@KINDS
def test_samples_have_the_distributions_moments_and_are_playedtheir_log_prob(squashed):
    count = 40_000
    outputs = torch.tensor([0.4, -0.3, INITIAL, -1.0]).expand(count, 4)
    normals = np.random.default_rng(0).standard_normal((count, 2), dtype=np.float32)
    actions, log_probs = sample(outputs, torch.from_numpy(normals), squashed=squashed)
    assert actions.dtype == log_probs.dtype == torch.float32
    means, log_deviations = split(outputs[0])
    for i in range(2):
        deviation = exp(float(log_deviations[i]))
        assert float(actions[:, i].mean()) == pytest.approx(
            float(means[i]), abs=5 * deviation / 200
        )
        assert float(actions[:, i].std()) == pytest.approx(deviation, rel=0.03)
    torch.testing.assert_close(
        log_probs, log_prob(outputs, actions, squashed=squashed), rtol=1e-4, atol=1e-5
    )


@KINDS
def test_the_mean_entropy_is_that_of_what_the_game_is_given(squashed):
    outputs = torch.tensor([0.4, -1.0], dtype=torch.float64).expand(100_000, 2)
    actions, log_probs = sample(outputs, random_outputs(1, 100_000, 1), squashed=squashed)
    found = entropy(split(outputs)[1], actions, squashed=squashed)
    assert float(found.mean()) == pytest.approx(-float(log_probs.mean()), abs=0.02)
    if not squashed:
        expected = Normal(*(x.exp() if i else x for i, x in enumerate(split(outputs)))).entropy()
        torch.testing.assert_close(found, expected)


@given(st.floats(-40, 40, width=32))
def test_the_tangents_slope_stays_exact_where_the_tangent_rounds_to_one(drawn):
    found = log_tanh_slope(torch.tensor(drawn, dtype=torch.float32))
    # 1 - tanh^2 = 4 / (e^x + e^-x)^2
    expected = log(4) - 2 * np.logaddexp(float(np.float32(drawn)), -float(np.float32(drawn)))
    assert float(found) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_deviations_stay_within_their_bounds_and_follow_their_outputs_throughout():
    free = torch.linspace(-1e6, 1e6, 1001, dtype=torch.float64, requires_grad=True)
    _, log_deviations = split(torch.stack([torch.zeros_like(free), free], -1))
    assert log_deviations.min() >= LOWEST
    assert log_deviations.max() <= HIGHEST
    near = torch.linspace(-9, 6, 61, dtype=torch.float64, requires_grad=True)
    _, log_deviations = split(torch.stack([torch.zeros_like(near), near], -1))
    log_deviations.sum().backward()
    assert near.grad is not None
    assert (near.grad > 0).all()
    torch.testing.assert_close(slope(log_deviations.detach()).flatten(), near.grad)


def test_what_is_learned_begins_with_a_deviation_of_half_a_range():
    _, log_deviation = split(torch.tensor([0.0, INITIAL], dtype=torch.float64))
    assert float(log_deviation) == pytest.approx(0, abs=1e-12)


@KINDS
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e26])
def test_any_finite_outputs_can_be_acted_with(squashed, size):
    outputs = size * torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    actions, log_probs = sample(outputs, torch.full((3, 1), 5.0), squashed=squashed)
    assert torch.isfinite(actions).all()
    assert torch.isfinite(log_probs).all()
    played = for_game(actions.numpy(), squashed=squashed)
    assert played.dtype == np.float32
    assert np.isfinite(played).all()
    assert not squashed or (np.abs(played) <= 1).all()
