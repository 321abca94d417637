"""Optimal play from observations, so that a simulation can confirm what was worked out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from brigade.optimum.decisions import Pastime
from brigade.optimum.solver import Optimum

_BURNING, _RUINED = 1, 2
_NIGHT_SCALE = 100.0
"""Observations hold the night as night / (night + 100)."""


class OptimalTeam:
    """The optimal policy, every seat acting for itself by a rule that all seats share.

    Crews are filled in the order of the seats and sent to the burning houses in the order of their
    numbers, so the seats agree without a signal. It is a `brigade.agents.Agent`, and optimal only
    where all seats play it.

    Parameters
    ----------
    optimum
        What to play.
    layout
        ``brigade.observation_layout(scenario, num_agents)`` of the same scenario and team.
    """

    def __init__(self, optimum: Optimum, layout: Mapping[str, slice]) -> None:
        game = optimum.game
        self.name = "optimum"
        self.optimum = optimum
        self._houses = layout["houses"]
        self._seat = layout["seat"]
        self._night = layout["night"].start
        if self._houses.stop - self._houses.start != 3 * game.num_houses:
            raise ValueError(f"layout is not that of a game of {game.num_houses} houses")
        if self._seat.stop - self._seat.start != game.num_agents:
            raise ValueError(f"layout is not that of a game of {game.num_agents} seats")
        self._crew_of_seat = np.full((len(game.spreads.crews), game.num_agents), -1)
        for row, crews in zip(self._crew_of_seat, game.spreads.crews, strict=True):
            row[: sum(crews)] = np.repeat(np.arange(len(crews)), crews)

    def act(
        self,
        observations: npt.NDArray[np.float32],
        rng: np.random.Generator | None = None,
    ) -> npt.NDArray[np.int32]:
        """Choose an action for every row.

        Parameters
        ----------
        observations
            float32 ``[..., F]``, of any seats and games.
        rng
            Not used: optimal play needs no chance.

        Returns
        -------
        NDArray[np.int32]
            House, mode and signal of every row, ``[..., 3]``; signals are honest.
        """
        rows = observations.reshape(-1, observations.shape[-1])
        game = self.optimum.game
        states = rows[:, self._houses].reshape(len(rows), game.num_houses, 3).argmax(axis=-1)
        share = rows[:, self._night].astype(np.float64)
        nights = np.rint(_NIGHT_SCALE * share / np.maximum(1.0 - share, 1e-9)).astype(np.int64)
        actions = self.actions(states, nights, rows[:, self._seat].argmax(axis=-1))
        return actions.reshape(*observations.shape[:-1], 3)

    def actions(
        self,
        houses: npt.NDArray[np.integer],
        nights: npt.NDArray[np.integer],
        seats: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.int32]:
        """Choose actions from the states themselves.

        Parameters
        ----------
        houses
            int ``[R, N]``: 0 safe, 1 burning, 2 ruined.
        nights
            int ``[R]``: nights played before.
        seats
            int ``[R]``: who acts.

        Returns
        -------
        NDArray[np.int32]
            House, mode and signal, ``[R, 3]``.
        """
        rows = np.arange(len(houses))
        burning = (houses == _BURNING).sum(axis=1)
        ruined = (houses == _RUINED).sum(axis=1)
        entries = np.minimum(nights, len(self.optimum.decisions) - 1)
        crew = self._crew_of_seat[self.optimum.decisions[entries, burning, ruined], seats]
        # Burning houses first, in index order.
        in_order = np.argsort(houses != _BURNING, axis=1, kind="stable")
        pastime = self.optimum.game.idle_choice[burning, ruined]
        elsewhere = np.where(
            pastime == Pastime.WORK_AT_RUINED,
            (houses == _RUINED).argmax(axis=1),
            (houses == 0).argmax(axis=1),
        )
        fights = crew >= 0
        works = fights | (pastime != Pastime.REST)
        home = seats % houses.shape[1]
        actions = np.empty((len(houses), 3), dtype=np.int32)
        actions[:, 0] = np.where(fights, in_order[rows, crew], np.where(works, elsewhere, home))
        actions[:, 1] = works
        actions[:, 2] = works
        return actions
