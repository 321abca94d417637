"""The state of K agents: what an update changes, a checkpoint keeps, and a learner inherits."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from brigade import seeds
from brigade.policy.network import Network
from brigade.ppo import normaliser
from brigade.ppo.upload import to_host


@dataclass(frozen=True)
class AgentState:
    """One agent between two updates, as NumPy arrays on the host.

    ``parameters``, ``first_moment`` and ``second_moment`` (Adam's) are float32 ``[D]`` in the
    order of ``Network.shapes``; ``statistics`` is the normaliser's float64 ``[3]``; ``version``
    counts the agent's published updates and ``steps`` its gradient steps.
    """

    version: int
    steps: int
    parameters: NDArray[np.float32]
    first_moment: NDArray[np.float32]
    second_moment: NDArray[np.float32]
    statistics: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, as messages carry them."""
        return {
            "parameters": self.parameters,
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "statistics": self.statistics,
        }


def initial_state(network: Network, seed: int, agent: int) -> AgentState:
    """Make the untrained agent ``agent`` of a run: a function of the run's seed alone."""
    generator = torch.Generator().manual_seed(seeds.number(seed, seeds.Purpose.NETWORK, agent))
    row = network.initial_row(generator).numpy()
    zeros = np.zeros_like(row)
    return AgentState(0, 0, row, zeros, zeros.copy(), normaliser.initial().numpy())


class AgentStack:
    """K agents stacked on one device.

    Attributes
    ----------
    agents
        Agent numbers in the population, one for each row.
    parameters, first_moment, second_moment
        float32 ``[K, D]`` on the device.
    statistics
        float64 ``[K, 3]`` on the host: value normalisation.
    versions, steps
        Lists of K ints.
    """

    def __init__(
        self,
        network: Network,
        agents: Sequence[int],
        states: Sequence[AgentState],
        device: torch.device,
    ) -> None:
        self.network = network
        self.agents = list(agents)
        self.device = device
        self.parameters, self.first_moment, self.second_moment = (
            torch.from_numpy(np.stack([getattr(state, name) for state in states])).to(device)
            for name in ("parameters", "first_moment", "second_moment")
        )
        self.views = network.views(self.parameters)
        self.statistics = torch.from_numpy(np.stack([state.statistics for state in states]))
        self.versions = [state.version for state in states]
        self.steps = [state.steps for state in states]

    def part(self, share: slice) -> AgentStack:
        """Give some of the agents as a stack of their own, whose tensors are views of this one's.

        Statistics, versions and steps are copies: see :meth:`take_over`.
        """
        part = copy(self)
        part.agents = self.agents[share]
        for name in ("parameters", "first_moment", "second_moment"):
            setattr(part, name, getattr(self, name)[share])
        part.views = self.network.views(part.parameters)
        part.statistics = self.statistics[share].clone()
        part.versions, part.steps = self.versions[share], self.steps[share]
        return part

    def take_over(self, share: slice, part: AgentStack) -> None:
        """Take the statistics, versions and steps of a part that went on alone."""
        self.statistics[share] = part.statistics
        self.versions[share], self.steps[share] = part.versions, part.steps

    def states(self) -> list[AgentState]:
        """Copy every agent's state to the host."""
        tensors = (self.parameters, self.first_moment, self.second_moment)
        host = [to_host(tensor) for tensor in tensors]
        statistics = self.statistics.numpy().copy()
        return [
            AgentState(
                self.versions[k], self.steps[k], host[0][k], host[1][k], host[2][k], statistics[k]
            )
            for k in range(len(self.agents))
        ]
