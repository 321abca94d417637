"""B games of one environment side by side, stepping one after another in this process.

Lane ``b * A + a`` is seat a of game b, as everywhere in brigade. What lanes see and do has a shape
for each role, so that it lies in one array for each role, ``[B, S, ...]`` for the S seats of a role
in the order of ``Role.seats``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade.games.pettingzoo.description import Description
from brigade.games.pettingzoo.finding import Maker
from brigade.games.pettingzoo.game import Game, Rows, Settings
from brigade.games.pettingzoo.oddities import Oddities
from brigade.games.pettingzoo.parallel_game import ParallelGame
from brigade.games.pettingzoo.turn_game import TurnGame


@dataclass(frozen=True)
class Step:
    """What one step of all games led to, for L = B * A lanes.

    Attributes
    ----------
    rewards
        float32 ``[L]``: what reached each lane with this step, active or not.
    terminated, truncated
        bool ``[L]``: the lane's part ended by the game's rules, or because it was cut; not both.
    ended
        int64 ``[m]``: the games that ended, and have begun anew.
    returns
        float64 ``[m, A]``: each seat's undiscounted sum of rewards in those.
    lengths
        int32 ``[m]``: their steps; of a turn-based game, turns.
    cut
        bool ``[m]``: whether it was the limit on their length that ended them.
    """

    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    ended: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int32]
    cut: NDArray[np.bool_]


class SideBySide:
    """B games, each of an environment of its own.

    Parameters
    ----------
    maker, description, settings
        Of the environment and its games.
    num_games
        How many, B.

    Attributes
    ----------
    active
        bool ``[L]``: who has to act now.
    observations, masks, final_observations
        One array for each role: float32 ``[B, S, F]``, bool ``[B, S, num_choices]`` and float32
        ``[B, S, F]``, as in :class:`brigade.games.pettingzoo.game.Rows`. The next step overwrites
        them.
    oddities
        Of all games together.

    Raises
    ------
    CannotFind
        The environment cannot be made.
    """

    def __init__(
        self,
        maker: Maker,
        description: Description,
        num_games: int,
        settings: Settings | None = None,
    ) -> None:
        seating = description.seating
        self.num_games = num_games
        self.roles = seating.roles
        self.oddities = Oddities()
        shapes = [(num_games, len(role.seats)) for role in self.roles]
        choices = [seating.seats[role.seats[0]].actions.num_choices for role in self.roles]
        pairs = list(zip(shapes, self.roles, strict=True))
        self.observations = [np.zeros((*s, r.num_features), np.float32) for s, r in pairs]
        self.final_observations = [np.zeros_like(array) for array in self.observations]
        self.masks = [np.ones((*s, n), np.bool_) for s, n in zip(shapes, choices, strict=True)]
        # Where in its role's arrays each seat is.
        self._places = [
            (seat.role, self.roles[seat.role].seats.index(index))
            for index, seat in enumerate(seating.seats)
        ]
        self.active = np.zeros(num_games * len(seating.seats), np.bool_)
        kind: type[Game] = TurnGame if description.turn_based else ParallelGame
        self._games = [
            kind(
                maker,
                seating,
                settings,
                number=number,
                rows=Rows(
                    self._of(self.observations, number),
                    self._of(self.masks, number),
                    self._of(self.final_observations, number),
                ),
                oddities=self.oddities,
            )
            for number in range(num_games)
        ]

    def reset(self) -> None:
        """Begin all games; raises as :meth:`brigade.games.pettingzoo.game.Game.reset` does."""
        for game in self._games:
            game.reset()
        self._gather_active()

    def step(self, actions: Sequence[NDArray[Any]]) -> Step:
        """Play one step of each game, and begin anew those that end.

        Parameters
        ----------
        actions
            One array for each role: choices ``[B, S, C]``, or float32 ``[B, S, D]`` where they are
            continuous. Rows of lanes that are not active are not read.

        Raises
        ------
        EnvironmentRaised, InvalidData
            An environment fails, or returns something else than it should.
        """
        outcomes = [game.step(self._of(actions, number)) for number, game in enumerate(self._games)]
        self._gather_active()
        ended = [number for number, outcome in enumerate(outcomes) if outcome.ended]
        returns = [outcomes[number].returns for number in ended]
        return Step(
            np.concatenate([outcome.rewards for outcome in outcomes]).astype(np.float32),
            np.concatenate([outcome.terminated for outcome in outcomes]),
            np.concatenate([outcome.truncated for outcome in outcomes]),
            np.array(ended, np.int64),
            np.array(returns, np.float64).reshape(len(ended), len(self._places)),
            np.array([outcomes[number].length for number in ended], np.int32),
            np.array([outcomes[number].cut for number in ended], np.bool_),
        )

    def close(self) -> None:
        """Close all environments."""
        for game in self._games:
            game.close()

    def _of(self, arrays: Sequence[NDArray[Any]], game: int) -> list[NDArray[Any]]:
        """The rows of one game's seats, in their order."""
        return [arrays[role][game, place] for role, place in self._places]

    def _gather_active(self) -> None:
        self.active = np.concatenate([game.active for game in self._games])
