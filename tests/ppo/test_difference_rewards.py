"""What an action is credited with: by hand, and in a game small enough to be averaged out."""

import numpy as np
import pytest

from brigade.ppo.difference_rewards import DefaultSteps, difference_advantages


def test_one_fragment_by_hand():
    # Four steps with a discount and a λ of one half; the fragment is cut before a value of 10.
    found = difference_advantages(
        rewards=np.array([1, 2, 3, 4], np.float32),
        values=np.array([5, 6, 7, 8], np.float32),
        discounts=np.full(4, 0.5, np.float32),
        lengths=np.array([4]),
        bootstraps=np.array([10], np.float32),
        advantages=np.array([9, 4, 2, 1], np.float32),
        default=DefaultSteps(
            rewards=np.array([0, 1, 1, 1], np.float32),
            changed=np.array([True, False, True, True]),
            values=np.array([2, 0, 0, 4], np.float32),  # the third would have ended the game
        ),
        gae_lambda=0.5,
    )
    # 1-0 + (6-2 + 4/2)/2, 2-1, 3-1 + (8-0 + 1/2)/2, 4-1 + (10-4)/2
    assert found.tolist() == [4.0, 1.0, 6.25, 6.0]
    assert found.dtype == np.float32


def test_nothing_passes_from_one_fragment_to_another():
    rng = np.random.default_rng(0)

    def floats(n):
        return rng.standard_normal(n).astype(np.float32)

    lengths = np.array([3, 1, 4])
    columns = [floats(8) for _ in range(3)]
    bootstraps, advantages = floats(3), floats(8)
    default = DefaultSteps(floats(8), rng.random(8) < 0.7, floats(8))
    whole = difference_advantages(*columns, lengths, bootstraps, advantages, default, 0.9)
    for start, length, bootstrap in zip((0, 3, 4), lengths, bootstraps, strict=True):
        mine = slice(start, start + length)
        alone = difference_advantages(
            *(column[mine] for column in columns),
            np.array([length]),
            np.array([bootstrap]),
            advantages[mine],
            DefaultSteps(
                *(part[mine] for part in (default.rewards, default.changed, default.values))
            ),
            0.9,
        )
        np.testing.assert_allclose(whole[mine], alone, rtol=1e-6)


@pytest.mark.parametrize("chance", [0.2, 0.7])
def test_the_policys_gradient_is_that_of_gae_with_less_noise(chance):
    # One fire, three seats that each work with some probability; a fire put out is worth 10, work
    # costs 1, and so much luck again lies elsewhere. The gradient of the probability to work,
    # estimated both ways from the same nights.
    rng = np.random.default_rng(1)
    n, out, seats = 200_000, 0.4, 3
    works = rng.random((n, seats)) < chance
    luck, elsewhere = rng.random(n), 10 * rng.integers(0, 2, n)

    def worth(workers):
        return 10.0 * (luck < 1 - (1 - out) ** workers) + elsewhere

    workers = works.sum(1)
    outcome, default = worth(workers), worth(workers - works[:, 0])
    score = np.where(works[:, 0], 1 - chance, -chance)  # of the log-odds
    rewards = np.where(works[:, 0], -1.0, 0.0)
    value = outcome.mean() + rewards.mean()
    plain = rewards + outcome - value
    credit = difference_advantages(
        rewards.astype(np.float32),
        np.zeros(n, np.float32),
        np.ones(n, np.float32),
        np.ones(n, np.int64),
        outcome.astype(np.float32),
        plain.astype(np.float32),
        DefaultSteps(np.zeros(n, np.float32), outcome != default, default.astype(np.float32)),
        0.5,
    )
    exact = sum(
        np.prod([chance if w else 1 - chance for w in others]) * 10 * out * (1 - out) ** sum(others)
        for others in np.ndindex(2, 2)
    )
    exact = chance * (1 - chance) * (exact - 1)
    for estimates in (score * plain, score * credit):
        error = estimates.std() / np.sqrt(n)
        assert abs(estimates.mean() - exact) < 4 * error
    assert (score * credit).var() < 0.5 * (score * plain).var()
