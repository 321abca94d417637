"""A run's statistics: what they count, and that they stay bounded."""

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brigade.sim.episodes import Episodes
from brigade.sim.statistics import RECENT_GAMES, Statistics


def episodes(games, population, seats=2, seed=0) -> Episodes:
    rng = np.random.default_rng(seed)
    agents = np.array([rng.permutation(population)[:seats] for _ in range(games)])
    return Episodes(
        agents.reshape(games, seats).astype(np.int64),
        rng.standard_normal((games, seats)),
        rng.integers(1, 50, games).astype(np.int32),
        np.zeros(games, np.bool_),
        np.arange(games),
    )


@given(
    batches=st.lists(st.integers(0, 5), max_size=8),
    last=st.integers(1, 6),
    seed=st.integers(0, 2**31),
)
def test_it_counts_what_was_played(batches, last, seed):
    statistics = Statistics(4)
    returns: dict[int, list[float]] = {agent: [] for agent in range(4)}
    nights = 0
    for i, games in enumerate(batches):
        played = episodes(games, 4, seed=seed + i)
        statistics.count_step(num_games=3, num_transitions=6)
        statistics.count_episodes(played)
        nights += int(played.lengths.sum())
        for seated, values in zip(played.agents, played.returns, strict=True):
            for agent, value in zip(seated, values, strict=True):
                returns[int(agent)].append(float(value))
    assert statistics.total_episodes == sum(batches)
    assert statistics.total_turns == nights
    assert statistics.total_steps == 3 * len(batches)
    assert statistics.total_transitions == 6 * len(batches)
    assert statistics.match_counts.tolist() == [len(returns[a]) for a in range(4)]
    for agent, mean in enumerate(statistics.mean_returns(last)):
        mine = returns[agent][-last:]
        assert math.isnan(mean) if not mine else math.isclose(mean, sum(mine) / len(mine))
    if nights:
        assert math.isclose(statistics.mean_length, nights / sum(batches))
    else:
        assert math.isnan(statistics.mean_length)


def test_memory_is_bounded_and_the_newest_returns_are_kept():
    statistics = Statistics(1)
    count = RECENT_GAMES + 17
    for i in range(count):
        statistics.count_episodes(
            Episodes(
                np.zeros((1, 1), np.int64),
                np.full((1, 1), float(i)),
                np.ones(1, np.int32),
                np.zeros(1, np.bool_),
                np.full(1, i),
            )
        )
    assert list(statistics.recent[0]) == list(range(17, count))
    assert statistics.match_counts.tolist() == [count]


def test_it_goes_through_plain_values_and_back():
    statistics = Statistics(5)
    statistics.count_step(7, 14)
    statistics.count_episodes(episodes(12, 4))  # the fifth agent has not played
    values = statistics.to_dict()
    json.dumps(values)
    restored = Statistics.from_dict(values)
    assert restored.to_dict() == values
    statistics.count_episodes(episodes(3, 5, seed=1))
    restored.count_episodes(episodes(3, 5, seed=1))
    assert restored.to_dict() == statistics.to_dict()
    assert restored.recent[0].maxlen == RECENT_GAMES


def test_plain_values_have_the_names_of_a_checkpoint():
    values = Statistics(3).to_dict()
    assert {"total_episodes", "total_steps", "match_counts", "episode_rewards"} <= set(values)
    assert set(values["match_counts"]) == set(values["episode_rewards"]) == {0, 1, 2}
