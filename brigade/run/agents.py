"""Trained policies as agents to play with, alone or beside scripted ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.agents import scripted_agent
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.run.team import Team, Trained


class PolicyAgent:
    """One agent of a trained population, as a :class:`brigade.Agent`.

    Parameters
    ----------
    name
        What to call it.
    parameters
        float32 ``[D]``.
    greedy
        Take the most probable actions instead of sampling.
    """

    def __init__(
        self, name: str, network: Network, parameters: NDArray[np.float32], *, greedy: bool = False
    ) -> None:
        self._name = name
        self._greedy = greedy
        self._num_features = network.num_features
        self._actor = Actor(network, torch.from_numpy(parameters.copy())[None])

    @property
    def name(self) -> str:
        """What to call it."""
        return self._name

    def act(self, observations: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int32]:
        """Act for every row: observations ``[R, F]``, actions int32 ``[R, 3]``.

        Raises
        ------
        ValueError
            The observations are not those of the game that the agent was trained on.
        """
        if observations.ndim != 2 or observations.shape[1] != self._num_features:
            raise ValueError(
                f"{self._name} was trained on observations of {self._num_features} features, "
                f"these have shape {observations.shape}"
            )
        self._actor.seat(np.zeros(len(observations), np.int64))
        rows = np.ascontiguousarray(observations, np.float32)
        if self._greedy:
            return self._actor.act_greedily(rows)
        return self._actor.for_game(self._actor.act(rows, rng)[0])


class Ensemble:
    """A team's players, who act for any rows: those of one checkpoint in one batch.

    Parameters
    ----------
    team
        Who plays.
    greedy
        Trained agents take the most probable actions instead of sampling.
    """

    def __init__(self, team: Team, *, greedy: bool = False) -> None:
        groups: dict[int | str, list[int]] = {}
        for index, player in enumerate(team.players):
            key = player if isinstance(player, str) else id(player.saved)
            groups.setdefault(key, []).append(index)
        self._groups: list[tuple[NDArray[np.int64], _Act]] = []
        for members in groups.values():
            places = np.full(len(team.players), -1)
            places[members] = np.arange(len(members))
            trained = [p for p in (team.players[m] for m in members) if isinstance(p, Trained)]
            act = _trained(trained, greedy) if trained else _scripted(team, members[0])
            self._groups.append((places, act))

    def act(
        self,
        observations: NDArray[np.float32],
        players: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.int32]:
        """Act for every row.

        Parameters
        ----------
        observations
            float32 ``[R, F]``.
        players
            int64 ``[R]``: whose each row is, as an index of the team's players.
        rng
            Where all randomness comes from.

        Returns
        -------
        NDArray[np.int32]
            Actions ``[R, 3]``.
        """
        actions = np.empty((len(players), 3), np.int32)
        for places, act in self._groups:
            own = places[players]
            rows = np.flatnonzero(own >= 0)
            if len(rows):
                actions[rows] = act(observations[rows], own[rows], rng)
        return actions


_Act = Callable[
    [NDArray[np.float32], NDArray[np.int64], np.random.Generator], NDArray[np.int32]
]  # of observations [R, F], and whose within a group each is, [R]


def _trained(players: Sequence[Trained], greedy: bool) -> _Act:
    """Let agents of one checkpoint act in one batch."""
    parameters = np.stack([player.saved.agents[player.number].parameters for player in players])
    actor = Actor(players[0].saved.network, torch.from_numpy(parameters))

    def act(
        observations: NDArray[np.float32], own: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int32]:
        actor.seat(own)
        return actor.act_greedily(observations) if greedy else actor.act(observations, rng)[0]

    return act


def _scripted(team: Team, index: int) -> _Act:
    name = team.players[index]
    assert isinstance(name, str)
    agent = scripted_agent(name, team.scenario, team.num_seats)
    return lambda observations, _, rng: agent.act(observations, rng)
