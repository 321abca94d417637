"""What a run counts, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade.sim.episodes import Episodes

RECENT_GAMES = 1000


class Statistics:
    """Totals of a run, and each agent's most recent returns.

    Attributes
    ----------
    total_episodes, total_turns, total_steps, total_transitions
        Games that ended, and their length by their own clock; steps of games; steps of seats.
    recent
        For each agent the undiscounted returns of its last :data:`RECENT_GAMES` games.
    """

    def __init__(self, population_size: int) -> None:
        self.total_episodes = 0
        self.total_steps = 0
        self.total_transitions = 0
        self.total_turns = 0
        self.match_counts: NDArray[np.int64] = np.zeros(population_size, np.int64)
        self.recent = [deque[float](maxlen=RECENT_GAMES) for _ in range(population_size)]

    def count_step(self, num_games: int, num_transitions: int) -> None:
        """Count one step of every game, in which so many seats acted."""
        self.total_steps += num_games
        self.total_transitions += num_transitions

    def count_episodes(self, episodes: Episodes) -> None:
        """Count games that ended."""
        self.total_episodes += len(episodes.lengths)
        self.total_turns += int(episodes.lengths.sum())
        for agent, value in zip(episodes.agents.ravel(), episodes.returns.ravel(), strict=True):
            self.match_counts[agent] += 1
            self.recent[agent].append(float(value))

    def mean_returns(self, last: int = 100) -> list[float]:
        """Each agent's mean return over its last games; NaN where it has not finished one."""
        return [_mean(list(returns)[-last:]) for returns in self.recent]

    @property
    def mean_length(self) -> float:
        """Mean length of the games that ended."""
        return self.total_turns / self.total_episodes if self.total_episodes else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "total_episodes": self.total_episodes,
            "total_turns": self.total_turns,
            "total_steps": self.total_steps,
            "total_transitions": self.total_transitions,
            "match_counts": dict(enumerate(self.match_counts.tolist())),
            "episode_rewards": {agent: list(r) for agent, r in enumerate(self.recent)},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Statistics:
        """Read what :meth:`to_dict` gave."""
        statistics = cls(len(values["match_counts"]))
        statistics.total_episodes = values["total_episodes"]
        statistics.total_turns = values["total_turns"]
        statistics.total_steps = values["total_steps"]
        statistics.total_transitions = values["total_transitions"]
        for agent, count in values["match_counts"].items():
            statistics.match_counts[agent] = count
            statistics.recent[agent].extend(values["episode_rewards"][agent])
        return statistics


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else float("nan")
