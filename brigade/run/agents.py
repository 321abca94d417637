"""Trained policies as agents to play with, alone or beside scripted ones."""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.store import checkpoint
from brigade.store.folder import find_checkpoint


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
        return self._actor.act(rows, rng)[0]


def load_agents(path: str | os.PathLike[str], *, greedy: bool = False) -> list[PolicyAgent]:
    """Load the whole population of a checkpoint or run, in order of agent numbers.

    Raises
    ------
    CheckpointError
        The file is missing or not a checkpoint (a ValueError).
    """
    saved = checkpoint.load(find_checkpoint(os.fspath(path)))
    return [
        PolicyAgent(f"agent {number}", saved.network, state.parameters, greedy=greedy)
        for number, state in enumerate(saved.agents)
    ]
