"""The state of K agents: what an update changes, a checkpoint keeps, and a learner inherits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from brigade import seeds
from brigade.policy.network import Network, aligned
from brigade.ppo import popart
from brigade.ppo.upload import to_host


@dataclass(frozen=True)
class AgentState:
    """One agent between two updates, as NumPy arrays on the host.

    ``parameters``, ``first_moment`` and ``second_moment`` (Adam's) are float32 ``[D]`` in the
    order of ``Network.shapes``; ``statistics`` are PopArt's moments, float64 ``[3]``; ``version``
    counts the agent's published updates, ``steps`` its gradient steps, and ``rollbacks`` the
    updates that were undone since they diverged.
    """

    version: int
    steps: int
    parameters: NDArray[np.float32]
    first_moment: NDArray[np.float32]
    second_moment: NDArray[np.float32]
    statistics: NDArray[np.float64]
    rollbacks: int = 0

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, as messages carry them."""
        return {
            "parameters": self.parameters,
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "statistics": self.statistics,
        }


def initial_state(network: Network, seed: int, agent: int) -> AgentState:
    """Make the untrained agent ``agent`` of a run: a function of the run's seed alone.

    It computes with one thread, since an orthogonal matrix is another with each number of them.
    """
    generator = torch.Generator().manual_seed(seeds.number(seed, seeds.Purpose.NETWORK, agent))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        row = network.initial_row(generator).numpy()
    finally:
        torch.set_num_threads(threads)
    zeros = np.zeros_like(row)
    return AgentState(0, 0, row, zeros, zeros.copy(), popart.initial().numpy())


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
    versions, steps, rollbacks
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
            aligned(len(states), network.num_parameters, device=device) for _ in range(3)
        )
        self.views = network.views(self.parameters)
        self.statistics = torch.empty(len(states), 3, dtype=torch.float64)
        self.versions, self.steps, self.rollbacks = ([0] * len(states) for _ in range(3))
        for row, state in enumerate(states):
            self.put(row, state)

    def put(self, row: int, state: AgentState) -> None:
        """Let an agent be as a state says."""
        for name in ("parameters", "first_moment", "second_moment", "statistics"):
            getattr(self, name)[row] = torch.tensor(getattr(state, name))
        self.versions[row], self.steps[row] = state.version, state.steps
        self.rollbacks[row] = state.rollbacks

    def states(self) -> list[AgentState]:
        """Copy every agent's state to the host."""
        tensors = (self.parameters, self.first_moment, self.second_moment)
        host = [to_host(tensor) for tensor in tensors]
        statistics = self.statistics.numpy().copy()
        return [
            AgentState(
                self.versions[k],
                self.steps[k],
                host[0][k],
                host[1][k],
                host[2][k],
                statistics[k],
                self.rollbacks[k],
            )
            for k in range(len(self.agents))
        ]
