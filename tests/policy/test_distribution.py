"""The distribution over actions: equal to torch.distributions, and sampled as it says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical

from brigade.policy.distribution import (
    by_column,
    entropy,
    greedy,
    log_prob,
    log_softmax,
    offsets,
    sample,
)

NVECS = st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple)
LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))  # that a generator draws


def categoricals(logits: Tensor, nvec: tuple[int, ...]) -> list[Categorical]:
    return [Categorical(logits=part) for part in logits.split(list(nvec), -1)]


def random_logits(nvec, seed, *shape, scale=3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, sum(nvec), generator=generator, dtype=torch.float64)


@given(nvec=NVECS, seed=st.integers(0, 2**31))
def test_log_prob_and_entropy_are_those_of_torch_distributions_where_they_count(nvec, seed):
    logits = random_logits(nvec, seed, 3, 5)
    rng = np.random.default_rng(seed)
    actions = torch.from_numpy(rng.integers(0, nvec, (3, 5, len(nvec))))
    parts = categoricals(logits, nvec)
    found = log_softmax(logits, nvec)
    component_mask = torch.from_numpy(rng.integers(0, 2, (3, 5, len(nvec)))).double()
    columns = actions + torch.tensor(offsets(nvec))
    expected = sum(
        part.log_prob(actions[..., i]) * component_mask[..., i] for i, part in enumerate(parts)
    )
    torch.testing.assert_close(log_prob(found, columns, component_mask), expected)
    expected = sum(part.entropy() * component_mask[..., i] for i, part in enumerate(parts))
    torch.testing.assert_close(entropy(found, by_column(component_mask, nvec)), expected)
    probabilities = torch.cat([part.probs for part in parts], -1)
    torch.testing.assert_close(found.exp(), probabilities)


@given(nvec=NVECS, seed=st.integers(0, 2**31))
def test_a_sample_is_the_inverse_of_the_cumulative_distribution(nvec, seed):
    logits = random_logits(nvec, seed, 40).float()
    rng = np.random.default_rng(seed)
    uniforms = torch.from_numpy(rng.random((40, len(nvec)), dtype=np.float32))
    actions, log_probs = sample(logits, nvec, uniforms)
    assert actions.dtype == torch.int64
    assert ((actions >= 0) & (actions < torch.tensor(nvec))).all()
    for i, part in enumerate(categoricals(logits.double(), nvec)):
        above = part.probs.cumsum(-1)
        below = above - part.probs
        at = actions[:, i : i + 1]
        u = uniforms[:, i].double()
        assert (below.gather(1, at)[:, 0] <= u + 1e-6).all()
        assert (u < above.gather(1, at)[:, 0] + 1e-6).all()
    parts = categoricals(logits, nvec)
    expected = torch.stack([part.log_prob(actions[:, i]) for i, part in enumerate(parts)], 1)
    torch.testing.assert_close(log_probs, expected, rtol=1e-5, atol=1e-5)


def test_frequencies_are_the_probabilities():
    nvec = (4, 2)
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.3, -0.3])
    count = 40_000
    uniforms = torch.from_numpy(np.random.default_rng(0).random((count, 2), dtype=np.float32))
    actions, _ = sample(logits.expand(count, -1), nvec, uniforms)
    for i, part in enumerate(categoricals(logits, nvec)):
        p = part.probs.numpy()
        found = np.bincount(actions[:, i].numpy(), minlength=nvec[i]) / count
        assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / count)).all()
    # Components are drawn independently of one another.
    joint = np.bincount((actions[:, 0] * 2 + actions[:, 1]).numpy(), minlength=8) / count
    expected = torch.outer(*[part.probs for part in categoricals(logits, nvec)]).flatten().numpy()
    assert (np.abs(joint - expected) < 5 * np.sqrt(expected * (1 - expected) / count)).all()


def test_the_ends_of_the_interval_draw_the_first_and_the_last_choice():
    logits = torch.zeros(2, 5)
    uniforms = torch.tensor([[0.0], [LARGEST]])
    assert sample(logits, (5,), uniforms)[0].flatten().tolist() == [0, 4]


def test_a_uniform_on_a_border_draws_the_choice_above_it():
    actions, _ = sample(torch.zeros(3, 4), (4,), torch.tensor([[0.25], [0.5], [0.75]]))
    assert actions.flatten().tolist() == [1, 2, 3]


@settings(max_examples=200)
@given(
    logits=st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=30),
    impossible=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    uniform=st.sampled_from([0.0, 1e-45, 0.5, 1 - 2**-23, LARGEST])
    | st.floats(0, LARGEST, width=32),
)
def test_a_choice_of_probability_zero_is_never_drawn(logits, impossible, uniform):
    row = list(logits)
    for place in impossible:
        row.insert(place, -1000.0)  # its probability underflows to exactly 0
    actions, log_probs = sample(torch.tensor([row]), (len(row),), torch.tensor([[uniform]]))
    assert row[int(actions)] != -1000.0
    assert float(log_probs) > -20


def test_far_apart_logits_give_finite_numbers():
    logits = torch.tensor([[1e4, -1e4, 0.0, 0.0]])
    actions, log_probs = sample(logits, (2, 2), torch.tensor([[LARGEST, 0.2]]))
    assert actions.tolist() == [[0, 0]]
    assert log_probs.tolist() == [pytest.approx([0.0, np.log(0.5)])]
    assert entropy(log_softmax(logits, (2, 2)), torch.ones(1, 4)).item() == pytest.approx(np.log(2))


def test_greedy_takes_the_most_probable_choice_of_each_component():
    logits = torch.tensor([[0.0, 2.0, 1.0, 5.0, 4.0], [3.0, 2.0, 1.0, 4.0, 5.0]])
    assert greedy(logits, (3, 2)).tolist() == [[1, 0], [0, 1]]


@given(nvec=NVECS)
def test_offsets_are_where_components_begin(nvec):
    parts = torch.arange(sum(nvec)).split(list(nvec))
    assert offsets(nvec) == [int(part[0]) for part in parts]
