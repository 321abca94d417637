"""Playing games to their end and measuring what came of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brigade import interrupt
from brigade.env.batched import BatchedEnv

DISCOUNT = 0.99
Act = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int32]]


@dataclass(frozen=True)
class Games:
    """What was played: E games with A seats."""

    agents: NDArray[np.int64]  # [E, A]
    returns: NDArray[np.float64]  # [E, A]: sums of the game's own rewards
    discounted: NDArray[np.float64]  # [E, A]: the same, discounted from night to night
    lengths: NDArray[np.int32]  # [E], nights


@dataclass(frozen=True)
class Measure:
    """One agent's figures, or the population's. Intervals are half-widths at 95%."""

    games: int
    mean_return: float
    return_interval: float
    discounted_return: float
    discounted_interval: float
    team_reward_per_night: float
    mean_length: float


def play(env: BatchedEnv, agents: NDArray[np.int64], act: Act, seed: int) -> Games:
    """Play each of ``env``'s games once, to its end.

    Parameters
    ----------
    agents
        int64 ``[E, A]``: who sits where.
    act
        Called with the observations ``[E, A, F]`` of all games and the indices of those that are
        still going on; returns their actions, ``[len(indices), A, 3]``.
    """
    num_games = env.num_envs
    discounted = np.zeros(agents.shape)
    returns = np.zeros(agents.shape)
    lengths = np.zeros(num_games, np.int32)
    actions = np.zeros((*agents.shape, 3), np.int32)
    going_on = np.arange(num_games)
    nights = np.zeros(num_games, np.int32)
    env.reset(seed)
    while len(going_on):
        interrupt.check()
        actions[going_on] = act(env.observations, going_on)
        _, rewards, terminated, truncated = env.step(actions)
        weight = DISCOUNT ** nights[going_on, None]
        discounted[going_on] += weight * rewards[going_on]
        # A signal step has no rewards and does not count as a night.
        ended = (terminated | truncated)[going_on]
        finished = going_on[ended]
        returns[finished], lengths[finished] = env.returns[finished], env.lengths[finished]
        nights[going_on] = env.lengths[going_on]
        going_on = going_on[~ended]
    return Games(agents, returns, discounted, lengths)


def measure(games: Games, chosen: NDArray[np.bool_]) -> Measure:
    """Summarise the chosen seats' returns (bool ``[E, A]``), a game being one observation."""
    playing = chosen.any(axis=1)
    seats = chosen[playing]
    own = np.where(seats, games.returns[playing], 0).sum(1) / seats.sum(1)
    discounted = np.where(seats, games.discounted[playing], 0).sum(1) / seats.sum(1)
    team = games.returns[playing].sum(1) / games.lengths[playing]
    return Measure(
        games=int(playing.sum()),
        mean_return=float(own.mean()),
        return_interval=_interval(own),
        discounted_return=float(discounted.mean()),
        discounted_interval=_interval(discounted),
        team_reward_per_night=float(team.mean()),
        mean_length=float(games.lengths[playing].mean()),
    )


def _interval(values: NDArray[np.float64]) -> float:
    if len(values) < 2:
        return math.nan
    return float(1.96 * values.std(ddof=1) / math.sqrt(len(values)))
