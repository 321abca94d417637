"""Acting: one batched forward pass for all seats of all games, whoever sits in them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.policy import distribution
from brigade.policy.network import Activations, Network, forward
from brigade.policy.threads import helpers, shares


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
        self._parameters = parameters
        self._agents = np.zeros(0, np.int64)
        self._parts = [_Part(network, parameters, 0)]
        self._helpers: ThreadPoolExecutor | None = None

    def use_threads(self, count: int) -> None:
        """Let so many threads share the agents; see :mod:`brigade.policy.threads`."""
        dealt = shares(len(self._parameters), count)
        if len(dealt) == len(self._parts):
            return
        self._parts = [_Part(self._network, self._parameters[s], s.start) for s in dealt]
        self._helpers = helpers(len(dealt) - 1, "act") if len(dealt) > 1 else None
        self.seat(self._agents)

    def seat(self, agents: NDArray[np.int64]) -> None:
        """Say whose row each is: agent numbers, int64 ``[R]``."""
        self._agents = agents.copy()
        order = np.argsort(agents, kind="stable")
        counts = np.bincount(agents, minlength=len(self._parameters))
        width = int(counts.max(initial=0))
        starts = np.cumsum(counts) - counts
        places = np.empty(len(agents), np.int64)
        places[order] = np.arange(len(agents)) - np.repeat(starts, counts)
        for part in self._parts:
            part.seat(agents, places, width)

    def outputs(self, observations: NDArray[np.float32]) -> torch.Tensor:
        """Logits and normalised value of each row: ``[R, L + 1]`` for observations ``[R, F]``."""
        given = torch.from_numpy(observations)
        (outputs,) = self._each(lambda part: (part.outputs(given),))
        return outputs

    def _each(self, work: Callable[[_Part], tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
        """Do something for all parts at once, and put together what it gives for their rows."""
        if self._helpers is None:
            return work(self._parts[0])
        others = [self._helpers.submit(work, part) for part in self._parts[1:]]
        try:
            found = [work(self._parts[0])]
        finally:
            wait(others)
        found += [other.result() for other in others]
        rows = torch.cat([part.rows for part in self._parts])
        return tuple(
            torch.empty_like(column).index_copy_(0, rows, column)
            for column in (torch.cat(columns) for columns in zip(*found, strict=True))
        )

    def act(
        self, observations: NDArray[np.float32], generator: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """Sample an action for each row.

        Parameters
        ----------
        observations
            float32 ``[R, F]``.
        generator
            Where the randomness comes from: one uniform for each row and action component.

        Returns
        -------
        actions
            int32 ``[R, C]``.
        log_probs
            float32 ``[R, C]``, of each component.
        values
            float32 ``[R]``, in each agent's normalised units.
        """
        nvec = self._network.action_nvec
        given = torch.from_numpy(observations)
        uniforms = torch.from_numpy(
            generator.random((len(observations), len(nvec)), dtype=np.float32)
        )

        def act(part: _Part) -> tuple[torch.Tensor, ...]:
            outputs = part.outputs(given)
            mine = part.pick(uniforms)
            actions, log_probs = distribution.sample(outputs[:, :-1], nvec, mine)
            return actions.to(torch.int32), log_probs, outputs[:, -1]

        actions, log_probs, values = self._each(act)
        return actions.numpy(), log_probs.numpy(), values.numpy()

    def act_greedily(self, observations: NDArray[np.float32]) -> NDArray[np.int32]:
        """Take each component's most probable choice: int32 ``[R, C]``."""
        logits = self.outputs(observations)[:, :-1]
        return distribution.greedy(logits, self._network.action_nvec).to(torch.int32).numpy()


class _Part:
    """Some of the policies, neighbours, and the rows where they sit."""

    def __init__(self, network: Network, parameters: torch.Tensor, first: int) -> None:
        self._network = network
        self._views = network.views(parameters)
        self._first = first
        self._num_agents = len(parameters)
        self._buffers: dict[int, Activations] = {}
        self._width = 0
        self._whole = True
        self._places = torch.empty(0, dtype=torch.int64)
        self.rows = torch.empty(0, dtype=torch.int64)

    def seat(self, agents: NDArray[np.int64], places: NDArray[np.int64], width: int) -> None:
        """Say whose row each is, the how manieth of that agent's, and how many one has at most."""
        own = agents - self._first
        rows = np.flatnonzero((own >= 0) & (own < self._num_agents))
        self._width = width
        self._whole = len(rows) == len(agents)
        self._places = torch.from_numpy((own * width + places)[rows])
        self.rows = torch.from_numpy(rows)

    def pick(self, rows: torch.Tensor) -> torch.Tensor:
        """Take, of something for each row, what is for this part's."""
        return rows if self._whole else rows.index_select(0, self.rows)

    def outputs(self, observations: torch.Tensor) -> torch.Tensor:
        """Logits and normalised values of this part's rows, given all rows' observations."""
        buffers = self._buffers.get(self._width)
        if buffers is None:
            # Rows beyond an agent's seats are computed and not looked at; they must be numbers.
            device = torch.device("cpu")
            buffers = Activations.empty(self._network, self._num_agents, self._width, device)
            buffers.observations.zero_()
            self._buffers = {self._width: buffers} | dict(list(self._buffers.items())[:7])
        buffers.observations.flatten(0, 1).index_copy_(0, self._places, self.pick(observations))
        outputs = forward(self._views, buffers).outputs.flatten(0, 1)
        return outputs.index_select(0, self._places)
