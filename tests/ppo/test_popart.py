"""Value normalisation against a plain moving average, and predictions that stay what they are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brigade.policy.network import Network
from brigade.ppo import popart
from brigade.ppo.popart import LEAST_DEVIATION

SEEDS = st.integers(0, 2**31)
RATES = st.sampled_from([0.01, 0.1, 0.5, 1.0])


def fresh(agents: int) -> torch.Tensor:
    return torch.stack([popart.initial()] * agents)


def test_an_agent_that_has_seen_nothing_has_mean_0_and_deviation_1():
    mean, deviation = popart.moments(fresh(2))
    assert mean.tolist() == [0, 0]
    assert deviation.tolist() == [1, 1]
    assert (mean.dtype, deviation.dtype) == (torch.float32, torch.float32)


@given(rate=RATES, updates=st.integers(1, 12), scale=st.sampled_from([1.0, 1e3, 1e5]), seed=SEEDS)
def test_moments_are_a_moving_average_corrected_for_its_start(rate, updates, scale, seed):
    rng = np.random.default_rng(seed)
    batches = [scale * (rng.standard_normal(rng.integers(1, 40)) + 2) for _ in range(updates)]
    statistics = fresh(1)
    for batch in batches:
        tensor = torch.from_numpy(batch.astype(np.float32))
        statistics = popart.update(statistics, [tensor], rate)
    # The i-th of n batches weighs rate (1 - rate)^(n - i), and the weights are made to sum to 1.
    weights = rate * (1 - rate) ** np.arange(updates - 1, -1, -1.0)
    weights /= weights.sum()
    wide = [batch.astype(np.float32).astype(np.float64) for batch in batches]
    mean = sum(w * b.mean() for w, b in zip(weights, wide, strict=True))
    square = sum(w * (b**2).mean() for w, b in zip(weights, wide, strict=True))
    deviation = max(LEAST_DEVIATION, np.sqrt(max(0.0, square - mean**2)))
    found = popart.moments(statistics)
    assert found[0].item() == pytest.approx(mean, rel=1e-5, abs=1e-6 * scale)
    assert found[1].item() == pytest.approx(deviation, rel=1e-3, abs=1e-4)


def test_the_first_returns_count_in_full():
    returns = torch.tensor([1.0, 2.0, 6.0])
    mean, deviation = popart.moments(popart.update(fresh(1), [returns], 0.01))
    assert mean.item() == pytest.approx(3.0)
    assert deviation.item() == pytest.approx(returns.std(correction=0).item())


def test_equal_returns_have_the_least_deviation():
    statistics = popart.update(fresh(1), [torch.full((9,), 1e6)], 0.1)
    mean, deviation = popart.moments(statistics)
    assert mean.item() == 1e6
    assert deviation.item() == pytest.approx(LEAST_DEVIATION)


def test_an_agent_without_returns_keeps_its_row_and_the_old_statistics_stay():
    before = popart.update(fresh(3), [torch.rand(5)] * 3, 0.1)
    kept = before.clone()
    after = popart.update(before, [torch.rand(4), torch.empty(0), torch.rand(2)], 0.1)
    assert torch.equal(before, kept)
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])


def test_each_agents_statistics_are_its_own():
    returns = [torch.rand(7) * 10**k for k in range(3)]
    together = popart.update(fresh(3), returns, 0.3)
    for k in range(3):
        assert torch.equal(together[k], popart.update(fresh(1), [returns[k]], 0.3)[0])


@given(
    moments=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.1, 1e3)), min_size=2, max_size=2),
    seed=SEEDS,
)
def test_rescaling_keeps_predictions_in_the_games_units_and_logits(moments, seed):
    network = Network(3, (4, 2), 5)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, network.num_parameters, generator=generator, dtype=torch.float64)
    hidden = torch.rand(2, 7, 5, generator=generator, dtype=torch.float64)
    views = network.views(rows)

    def outputs():
        return hidden @ views["heads.weight"] + views["heads.bias"].unsqueeze(1)

    old, new = (
        (torch.tensor([m, 2 * m], dtype=torch.float64), torch.tensor([d, 3 * d]).double())
        for m, d in moments
    )
    before, untouched = outputs(), views["hidden2.weight"].clone()
    popart.rescale_value_head(views, old, new)
    after = outputs()
    assert torch.equal(before[..., :-1], after[..., :-1])
    assert torch.equal(views["hidden2.weight"], untouched)
    predicted = [
        out[..., -1] * deviation.unsqueeze(1) + mean.unsqueeze(1)
        for out, (mean, deviation) in ((before, old), (after, new))
    ]
    torch.testing.assert_close(*predicted, rtol=1e-6, atol=1e-6)


@given(
    deviation=st.floats(2**-6, 2**14, width=32),
    mean=st.floats(-(2**14), 2**14, width=32),
    seed=SEEDS,
)
def test_rescaling_from_moments_to_the_same_moments_changes_nothing(deviation, mean, seed):
    # An agent that had no transitions keeps its network bit for bit.
    network = Network(3, (4, 2), 5)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(1, network.num_parameters, generator=generator)
    kept = rows.clone()
    same = torch.tensor([mean]), torch.tensor([deviation])
    popart.rescale_value_head(network.views(rows), same, same)
    assert torch.equal(rows, kept)
