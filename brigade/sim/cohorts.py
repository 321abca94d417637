"""What games return, by when they began. Pure.

The games that have ended by some moment are no fair sample: those that end soon are there first.
So games are compared that began one after the other, and only once all of them have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brigade.config import RunConfig
from brigade.intervals import half_width
from brigade.sim.episodes import Episodes

GAMES_PER_AGENT = 100  # in one cohort, on average


def cohort_size(config: RunConfig) -> int:
    """How many games a cohort has: no fewer than begin together."""
    seated = GAMES_PER_AGENT * config.num_agents // config.num_agents_per_game
    return max(config.games, seated)


@dataclass(frozen=True)
class Cohort:
    """Games that began one after the other, all of which have ended.

    Attributes
    ----------
    agents
        int64 ``[n, A]``: who sat where.
    returns
        float64 ``[n, A]``: each seat's undiscounted return.
    cut
        bool ``[n]``: which of them the limit on their length ended.
    """

    agents: NDArray[np.int64]
    returns: NDArray[np.float64]
    cut: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """Mean return of an agent in a game."""
        return float(self.returns.mean())

    @property
    def interval(self) -> float:
        """Half the width of a 95% interval of the mean, from the spread between games."""
        return half_width(self.returns.mean(1))

    def of(self, seats: Sequence[int]) -> Cohort:
        """The same games, with these seats only."""
        columns = np.array(seats)
        return Cohort(self.agents[:, columns], self.returns[:, columns], self.cut)

    def by_agent(self, population_size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Each agent's mean return, NaN where it did not play, and its games: both ``[P]``."""
        seats = self.agents.ravel()
        games = np.bincount(seats, minlength=population_size)
        sums = np.bincount(seats, self.returns.ravel(), population_size)
        return np.divide(sums, games, out=np.full(population_size, np.nan), where=games > 0), games


class Cohorts:
    """Sorts games that end into cohorts, and keeps the first and the latest that is whole.

    Parameters
    ----------
    size
        Games in a cohort.

    Attributes
    ----------
    first, latest
        None as long as there is none. They are the same one at first.
    """

    def __init__(self, size: int) -> None:
        self.first: Cohort | None = None
        self.latest: Cohort | None = None
        self._size = size
        self._latest = -1
        # Only cohorts of which a game is under way: no more than there are games side by side.
        self._open: dict[int, list[tuple[NDArray[np.int64], NDArray[np.float64], bool]]] = {}

    def add(self, episodes: Episodes) -> None:
        """Take in games that ended."""
        games = zip(episodes.agents, episodes.returns, episodes.cut, strict=True)
        for number, game in zip(episodes.numbers.tolist(), games, strict=True):
            if number < 0:
                continue
            cohort = self._open.setdefault(number // self._size, [])
            cohort.append(game)
            if len(cohort) == self._size:
                self._close(number // self._size)

    def _close(self, which: int) -> None:
        agents, returns, cut = zip(*self._open.pop(which), strict=True)
        cohort = Cohort(np.array(agents), np.array(returns), np.array(cut))
        if which == 0:
            self.first = cohort
        if which > self._latest:
            self._latest, self.latest = which, cohort
