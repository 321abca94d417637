"""Playing games to their end and measuring what came of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brigade import interrupt
from brigade.env.batched import BatchedEnv
from brigade.intervals import half_width

DISCOUNT = 0.99
Act = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int32]]


@dataclass(frozen=True)
class Games:
    """What was played: E games with A seats, each to its end or as far as it had come."""

    agents: NDArray[np.int64]  # [E, A]
    returns: NDArray[np.float64]  # [E, A]: sums of the game's own rewards
    discounted: NDArray[np.float64]  # [E, A]: the same, discounted from night to night
    lengths: NDArray[np.int32]  # [E], nights
    ended: NDArray[np.bool_]  # [E]; the others were going on when playing was cut off

    @property
    def cut_off(self) -> bool:
        """Whether some of the games were going on still."""
        return not bool(self.ended.all())


@dataclass(frozen=True)
class Measure:
    """One agent's figures, or the population's. Intervals are half-widths at 95%."""

    games: int
    mean_return: float
    return_interval: float
    discounted_return: float
    discounted_interval: float
    team_reward_per_night: float
    team_interval: float
    mean_length: float
    length_interval: float


def play(
    env: BatchedEnv,
    agents: NDArray[np.int64],
    act: Act,
    seed: int,
    report: Callable[[int, int], None] = lambda night, ended: None,
) -> Games:
    """Play each of ``env``'s games once: to its end, or until a Ctrl-C cuts all of them off.

    All games are in the same night. So what a Ctrl-C leaves are games that are cut after that
    night, which is a sample of all games; those that had ended by then would be the short ones.

    Parameters
    ----------
    agents
        int64 ``[E, A]``: who sits where.
    act
        Called with the observations ``[E, A, F]`` of all games and the indices of those that are
        still going on; returns their actions, ``[len(indices), A, 3]``.
    report
        Called after each night with its number and with how many games have ended.

    Raises
    ------
    KeyboardInterrupt
        A Ctrl-C came before the first night was over.
    """
    num_games = env.num_envs
    discounted = np.zeros(agents.shape)
    returns = np.zeros(agents.shape)
    lengths = np.zeros(num_games, np.int32)
    actions = np.zeros((*agents.shape, 3), np.int32)
    going_on = np.arange(num_games)
    env.reset(seed)
    with interrupt.held():
        while len(going_on) and not interrupt.take():
            actions[going_on] = act(env.observations, going_on)
            _, rewards, terminated, truncated = env.step(actions)
            weight = DISCOUNT ** lengths[going_on, None]
            discounted[going_on] += weight * rewards[going_on]
            # A signal step has no rewards and does not count as a night.
            lengths[going_on], returns[going_on] = env.lengths[going_on], env.returns[going_on]
            going_on = going_on[~(terminated | truncated)[going_on]]
            report(int(lengths.max()), num_games - len(going_on))
    if not lengths.any():
        raise KeyboardInterrupt
    ended = np.ones(num_games, np.bool_)
    ended[going_on] = False
    return Games(agents, returns, discounted, lengths, ended)


def measure(games: Games, chosen: NDArray[np.bool_]) -> Measure:
    """Summarise the chosen seats' returns (bool ``[E, A]``), a game being one observation."""
    playing = chosen.any(axis=1)
    seats = chosen[playing]
    own = np.where(seats, games.returns[playing], 0).sum(1) / seats.sum(1)
    discounted = np.where(seats, games.discounted[playing], 0).sum(1) / seats.sum(1)
    lengths = games.lengths[playing].astype(np.float64)
    team = games.returns[playing].sum(1) / lengths
    return Measure(
        games=int(playing.sum()),
        mean_return=float(own.mean()),
        return_interval=half_width(own),
        discounted_return=float(discounted.mean()),
        discounted_interval=half_width(discounted),
        team_reward_per_night=float(team.mean()),
        team_interval=half_width(team),
        mean_length=float(lengths.mean()),
        length_interval=half_width(lengths),
    )
