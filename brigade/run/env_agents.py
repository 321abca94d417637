"""Trained policies as agents for environments: from what one sees to an action of its space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from brigade.config import ConfigError
from brigade.games.pettingzoo.actions import ChoiceActions
from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.observations import MASK
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.roles import Seat
from brigade.policy.actor import Actor
from brigade.policy.build import fits
from brigade.policy.network import Network
from brigade.ppo.agents import AgentState
from brigade.store.checkpoint import Checkpoint


class EnvironmentAgent:
    """One agent of a population that was trained on an environment.

    Attributes
    ----------
    number
        Which of the population.
    role
        Whose seats it takes.
    plays
        Those seats, as the environment names its agents.
    """

    def __init__(
        self,
        number: int,
        role: str,
        plays: list[Any],
        seat: Seat,
        network: Network,
        state: AgentState,
        *,
        greedy: bool = False,
    ) -> None:
        self.number = number
        self.role = role
        self.plays = plays
        self._seat = seat
        self._num_features = network.num_features
        self._num_bytes = seat.observations.num_picture_bytes
        self._greedy = greedy
        self._actor = Actor(network, torch.from_numpy(state.parameters.copy())[None])
        self._generator = np.random.default_rng(number)

    def act(self, observation: Any, info: Any = None) -> Any:
        """Choose an action.

        Parameters
        ----------
        observation
            Of the agent's observation space.
        info
            What the environment says beside it, where that has the ``action_mask``.

        Returns
        -------
        Any
            An action that the agent's action space contains.

        Raises
        ------
        ValueError
            It is no observation of that space.
        """
        row = np.zeros((1, self._num_features), np.float32)
        pictures = np.zeros((1, self._num_bytes), np.uint8)
        self._seat.observations.write(observation, row[0], pictures[0])
        mask, acts = None, self._seat.actions
        if isinstance(acts, ChoiceActions):
            given = self._seat.observations.mask(observation)
            given = (info or {}).get(MASK) if given is None else given
            if given is not None:
                mask = np.ones((1, acts.num_choices), np.bool_)
                acts.read_mask(given, mask[0])
                acts.check_mask(mask[0])
        self._actor.seat(np.zeros(1, np.int64))
        seen = pictures if self._num_bytes else None
        if self._greedy:
            chosen = self._actor.act_greedily(row, mask, seen)
        else:
            drawn, _, _ = self._actor.act(row, self._generator, mask, seen)
            chosen = self._actor.for_game(drawn)
        return acts.decode(chosen[0])


def environment_agents(
    saved: Checkpoint, env: str | Callable[..., Any], *, greedy: bool = False
) -> list[EnvironmentAgent]:
    """Give the agents of a checkpoint, in order of their numbers.

    Parameters
    ----------
    env
        As ``--env`` takes it, or a function; it is made once, to see its spaces.

    Raises
    ------
    ConfigError, EnvironmentUnusable
        There is no such environment, or the agents were trained on another.
    """
    look = Look(saved.config.picture_size, saved.config.env_grey)
    found = describe(find(env, saved.config.env_arg), saved.config.roles, look)
    roles, networks = found.seating.roles, saved.population.networks
    if len(networks) != len(roles) or not all(map(fits, networks, roles)):
        raise ConfigError(
            f"the agents were trained on {saved.game.name}, where they see or do something else "
            "than in this environment"
        )
    seats = found.seating.seats
    return [
        EnvironmentAgent(
            number,
            role.name,
            [seats[seat].agent for seat in role.seats],
            seats[role.seats[0]],
            network,
            saved.agents[number],
            greedy=greedy,
        )
        for role, (network, numbers) in zip(roles, saved.population, strict=True)
        for number in numbers
    ]
