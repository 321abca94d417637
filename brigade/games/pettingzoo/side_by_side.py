"""B games of one environment side by side, stepping one after another in this process.

Lane ``b * A + a`` is seat a of game b, as everywhere in brigade. What lanes see and do has a shape
for each role, so that it lies in one array for each role, ``[B, S, ...]`` for the S seats of a role
in the order of ``Role.seats``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade.games.pettingzoo.arrays import Arrays
from brigade.games.pettingzoo.description import Description
from brigade.games.pettingzoo.finding import Maker
from brigade.games.pettingzoo.game import Game, Rows, Settings
from brigade.games.pettingzoo.oddities import Oddities
from brigade.games.pettingzoo.parallel_game import ParallelGame
from brigade.games.pettingzoo.turn_game import TurnGame
from brigade.games.vector import Step


class SideBySide:
    """B games, each of an environment of its own.

    Parameters
    ----------
    maker, description, settings
        Of the environment and its games.
    num_games
        How many, B.
    arrays
        Where they write; by default, in memory of their own. Episodes are numbered on from those
        that are there.
    first_game
        The number of the first of them, where there are others elsewhere.

    Attributes
    ----------
    active
        bool ``[L]``: who has to act now. The next step overwrites it.
    observations, masks, final_observations
        One array for each role: float32 ``[B, S, F]``, bool ``[B, S, num_choices]`` and float32
        ``[B, S, F]``, as in :class:`brigade.games.pettingzoo.game.Rows`. The next step overwrites
        them.
    episodes
        int64 ``[B]``: the number of the episode under way in each game; -1 before the first.
    pictures
        For each role uint8 ``[B, S, P]``, as there.
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
        *,
        arrays: Arrays | None = None,
        first_game: int = 0,
    ) -> None:
        seating = description.seating
        self.num_games = num_games
        self.roles = seating.roles
        self.oddities = Oddities()
        self._arrays = arrays or Arrays.of(seating, num_games)
        self.observations = self._arrays.observations
        self.final_observations = self._arrays.finals
        self.pictures = self._arrays.pictures
        self.masks = self._arrays.masks
        self.active = self._arrays.active.reshape(-1)
        self.episodes = self._arrays.episodes
        self._places = seating.places
        kind: type[Game] = TurnGame if description.turn_based else ParallelGame
        self._games = [
            kind(
                maker,
                seating,
                settings,
                number=first_game + index,
                rows=Rows.of(seating, self._arrays, index),
                oddities=self.oddities,
            )
            for index in range(num_games)
        ]

    def reset(self) -> None:
        """Begin all games; raises as :meth:`brigade.games.pettingzoo.game.Game.reset` does."""
        for game in self._games:
            game.reset()

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
        self.play(actions)
        return self._arrays.step()

    def play(self, actions: Sequence[NDArray[Any]]) -> None:
        """Do as :meth:`step` does, and leave what it led to in the arrays."""
        # A game takes choices out of lists sooner than out of arrays.
        given = [each if each.dtype.kind == "f" else each.tolist() for each in actions]
        outcomes = [
            game.step([given[role][index][place] for role, place in self._places])
            for index, game in enumerate(self._games)
        ]
        rewards, terminated, truncated, ended, cut, returns, lengths = zip(*outcomes, strict=True)
        into = self._arrays
        np.concatenate(rewards, out=into.rewards.reshape(-1), casting="same_kind")
        np.concatenate(terminated, out=into.terminated.reshape(-1))
        np.concatenate(truncated, out=into.truncated.reshape(-1))
        np.concatenate(returns, out=into.returns.reshape(-1))
        into.ended[:] = ended
        into.cut[:] = cut
        into.lengths[:] = lengths

    def close(self) -> None:
        """Close all environments."""
        for game in self._games:
            game.close()
