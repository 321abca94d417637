"""Acting: one batched forward pass for all seats of all games, whoever sits in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.policy import distribution, gaussian
from brigade.policy.network import Activations, Network, forward

Actions = NDArray[Any]  # int32; float32 where they are continuous


class Actor:
    """P stacked policies that act for R rows, each row being some agent's seat.

    Parameters
    ----------
    network
        The shape of each policy.
    parameters
        float32 ``[P, D]``, read at each call, so that new weights may be copied in between.
    """

    def __init__(self, network: Network, parameters: torch.Tensor) -> None:
        self._network = network
        self._views = network.views(parameters)
        self._num_agents = len(parameters)
        self._buffers: dict[int, Activations] = {}
        self._places = torch.empty(0, dtype=torch.int64)
        self._width = 0

    def seat(self, agents: NDArray[np.int64]) -> None:
        """Say whose row each is: agent numbers, int64 ``[R]``."""
        order = np.argsort(agents, kind="stable")
        counts = np.bincount(agents, minlength=self._num_agents)
        self._width = int(counts.max(initial=0))
        starts = np.cumsum(counts) - counts
        places = np.empty(len(agents), np.int64)
        within = np.arange(len(agents)) - np.repeat(starts, counts)
        places[order] = agents[order] * self._width + within
        self._places = torch.from_numpy(places)

    def outputs(
        self, observations: NDArray[np.float32], pictures: NDArray[np.uint8] | None = None
    ) -> torch.Tensor:
        """What ``Activations.outputs`` are, of each row: ``[R, L + 1]`` for ``[R, F]``.

        ``pictures`` are uint8 ``[R, P]``, where the network has any.
        """
        buffers = self._buffers.get(self._width)
        if buffers is None:
            # Rows beyond an agent's seats are computed and not looked at; they must be numbers.
            device = torch.device("cpu")
            buffers = Activations.empty(self._network, self._num_agents, self._width, device)
            buffers.observations.zero_()
            self._buffers = {self._width: buffers} | dict(list(self._buffers.items())[:7])
        buffers.observations.flatten(0, 1).index_copy_(
            0, self._places, torch.from_numpy(observations)
        )
        if pictures is not None and self._network.pictures:
            buffers.pictures.flatten(0, 1).index_copy_(0, self._places, torch.from_numpy(pictures))
        outputs = forward(self._views, buffers).outputs.flatten(0, 1)
        return outputs.index_select(0, self._places)

    def act(
        self,
        observations: NDArray[np.float32],
        generator: np.random.Generator,
        mask: NDArray[np.bool_] | None = None,
        pictures: NDArray[np.uint8] | None = None,
    ) -> tuple[Actions, NDArray[np.float32], NDArray[np.float32]]:
        """Sample an action for each row.

        Parameters
        ----------
        observations
            float32 ``[R, F]``.
        generator
            Where the randomness comes from: for each row and action component one uniform, or
            one draw from the standard normal distribution.
        mask
            bool ``[R, L]``: which choices are open.
        pictures
            uint8 ``[R, P]``, where the network has any.

        Returns
        -------
        actions
            int32 ``[R, C]``; continuous ones float32 ``[R, D]`` as they were drawn, of which
            :func:`brigade.policy.gaussian.for_game` makes what the game is given.
        log_probs
            float32 ``[R, C]``, of each component.
        values
            float32 ``[R]``, in each agent's normalised units.
        """
        nvec = self._network.action_nvec
        outputs = self.outputs(observations, pictures)
        if self._network.num_continuous:
            shape = len(observations), self._network.num_continuous
            normals = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
            drawn, log_probs = gaussian.sample(
                outputs[:, :-1], normals, squashed=self._network.squashed
            )
            return drawn.numpy(), log_probs.numpy(), outputs[:, -1].numpy()
        uniforms = torch.from_numpy(
            generator.random((len(observations), len(nvec)), dtype=np.float32)
        )
        open_ = None if mask is None else torch.from_numpy(mask)
        actions, log_probs = distribution.sample(outputs[:, :-1], nvec, uniforms, open_)
        return actions.to(torch.int32).numpy(), log_probs.numpy(), outputs[:, -1].numpy()

    def for_game(self, actions: Actions) -> Actions:
        """Turn actions as :meth:`act` gives them into what the game is given."""
        if not self._network.num_continuous:
            return actions
        return gaussian.for_game(actions, squashed=self._network.squashed)

    def act_greedily(
        self,
        observations: NDArray[np.float32],
        mask: NDArray[np.bool_] | None = None,
        pictures: NDArray[np.uint8] | None = None,
    ) -> Actions:
        """Take each component's most probable choice that is open, int32 ``[R, C]``.

        Of continuous actions, take the Gaussian's mean: float32 ``[R, D]``, as the game is given
        it.
        """
        outputs = self.outputs(observations, pictures)[:, :-1]
        if self._network.num_continuous:
            means = gaussian.split(outputs)[0].numpy()
            return gaussian.for_game(means, squashed=self._network.squashed)
        if mask is not None:
            outputs = outputs.masked_fill(~torch.from_numpy(mask), distribution.CLOSED)
        return distribution.greedy(outputs, self._network.action_nvec).to(torch.int32).numpy()
