"""Generalised advantage estimation against its recursion written as a loop."""

from dataclasses import astuple, dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_ppo import plain_gae

from brigade.ppo.gae import gae


@dataclass
class Fragments:
    rewards: np.ndarray
    values: np.ndarray
    discounts: np.ndarray
    lengths: np.ndarray
    bootstraps: np.ndarray


def fragments(lengths, seed, discounts=(0.0, 0.5, 0.99, 1.0)) -> Fragments:
    rng = np.random.default_rng(seed)
    n, m = sum(lengths), len(lengths)
    return Fragments(
        rewards=rng.standard_normal(n).astype(np.float32),
        values=rng.standard_normal(n).astype(np.float32),
        discounts=rng.choice(discounts, n).astype(np.float32),
        lengths=np.array(lengths, np.int32),
        # 0 stands for a terminated fragment.
        bootstraps=(rng.standard_normal(m) * (rng.random(m) < 0.6)).astype(np.float32),
    )


LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=30)
LAMBDAS = st.sampled_from([0.0, 0.5, 0.95, 1.0])
SEEDS = st.integers(0, 2**31)


@given(lengths=LENGTHS, gae_lambda=LAMBDAS, seed=SEEDS)
def test_it_is_the_recursion_over_each_fragment(lengths, gae_lambda, seed):
    f = fragments(lengths, seed)
    found = gae(*astuple(f), gae_lambda)
    assert (found.dtype, found.shape) == (np.float32, f.rewards.shape)
    np.testing.assert_allclose(found, plain_gae(*astuple(f), gae_lambda), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ending", ["terminated", "truncated"])
def test_one_fragment_by_hand(ending):
    # Three steps, worked out on paper with a discount and a λ of one half.
    bootstrap = {"terminated": 0.0, "truncated": 8.0}[ending]
    found = gae(
        np.array([1, 2, 3], np.float32),
        np.array([4, 6, 2], np.float32),
        np.full(3, 0.5, np.float32),
        np.array([3], np.int32),
        np.array([bootstrap], np.float32),
        0.5,
    )
    last = 3 + bootstrap / 2 - 2
    middle = 2 + 2 / 2 - 6 + last / 4
    first = 1 + 6 / 2 - 4 + middle / 4
    assert found.tolist() == [first, middle, last]


@given(lengths=LENGTHS, seed=SEEDS)
def test_with_lambda_0_an_advantage_is_the_one_step_error(lengths, seed):
    f = fragments(lengths, seed)
    following = np.empty_like(f.values)
    following[:-1] = f.values[1:]
    following[np.cumsum(f.lengths) - 1] = f.bootstraps
    expected = f.rewards + f.discounts * following - f.values
    np.testing.assert_allclose(gae(*astuple(f), 0.0), expected, rtol=1e-5, atol=1e-5)


@given(lengths=LENGTHS, seed=SEEDS)
def test_with_lambda_1_an_advantage_is_the_discounted_return_less_the_value(lengths, seed):
    f = fragments(lengths, seed)
    found = gae(*astuple(f), 1.0)
    start = 0
    for length, bootstrap in zip(lengths, f.bootstraps, strict=True):
        for t in range(start, start + length):
            gone, total = 1.0, 0.0
            for later in range(t, start + length):
                total += gone * f.rewards[later]
                gone *= f.discounts[later]
            total += gone * bootstrap
            assert found[t] == pytest.approx(total - f.values[t], rel=1e-3, abs=1e-4)
        start += length


def test_a_signal_step_passes_its_nights_return_on_undiscounted():
    # Two phases: reward 0 and discount 1 in the signal step, then the night's own step.
    values = np.zeros(4, np.float32)
    found = gae(
        np.array([0, 5, 0, 7], np.float32),
        values,
        np.array([1, 0.9, 1, 0.9], np.float32),
        np.array([4], np.int32),
        np.zeros(1, np.float32),
        1.0,
    )
    np.testing.assert_allclose(found, [5 + 0.9 * 7, 5 + 0.9 * 7, 7, 7], rtol=1e-6)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    data=st.data(),
    gae_lambda=LAMBDAS,
    seed=SEEDS,
)
def test_nothing_passes_from_one_fragment_to_another(lengths, data, gae_lambda, seed):
    f = fragments(lengths, seed)
    before = gae(*astuple(f), gae_lambda)
    changed = data.draw(st.integers(0, len(lengths) - 1))
    start = sum(lengths[:changed])
    mine = slice(start, start + lengths[changed])
    f.rewards[mine] += 100
    f.values[mine] -= 50
    f.discounts[mine] = 1
    f.bootstraps[changed] = np.nan
    after = gae(*astuple(f), gae_lambda)
    others = np.ones(len(before), np.bool_)
    others[mine] = False
    assert np.array_equal(before[others], after[others])
    assert np.isnan(after[mine][-1])


@given(lengths=LENGTHS, seed=SEEDS)
def test_the_order_of_fragments_changes_nothing(lengths, seed):
    f = fragments(lengths, seed)
    together = gae(*astuple(f), 0.7)
    start = 0
    for i, length in enumerate(lengths):
        mine = slice(start, start + length)
        alone = gae(
            f.rewards[mine],
            f.values[mine],
            f.discounts[mine],
            f.lengths[i : i + 1],
            f.bootstraps[i : i + 1],
            0.7,
        )
        assert np.array_equal(together[mine], alone)
        start += length


def test_no_fragments_give_no_advantages():
    empty = np.zeros(0, np.float32)
    assert gae(empty, empty, empty, np.zeros(0, np.int32), empty, 0.9).shape == (0,)


def test_what_it_is_given_stays_as_it_is():
    f = fragments([3, 5, 1], 0)
    copies = [array.copy() for array in astuple(f)]
    gae(*astuple(f), 0.9)
    assert all(np.array_equal(a, b) for a, b in zip(copies, astuple(f), strict=True))
