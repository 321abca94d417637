"""The policy repository: every agent's newest state, and the policies that play."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from brigade.policy.population import Population
from brigade.ppo import popart
from brigade.ppo.agents import AgentState


class Repository:
    """Agents' states by version, and the stacked parameters that act.

    New states only *arrive*; they begin to act when the simulator says so, between two rollouts.
    That, and not the moment of arrival, decides the result.

    Attributes
    ----------
    parameters
        For each role float32 ``[P_r, D_r]``: the acting policies of its agents.
    mean, deviation
        float32 ``[P]``: the acting policies' value units.
    newest
        Newest version of each agent that has any.
    acting
        Version that acts, for each agent that has one.
    """

    def __init__(self, population: Population) -> None:
        self.population = population
        self.parameters = [
            torch.zeros(len(agents), network.num_parameters) for network, agents in population
        ]
        self.mean = torch.zeros(population.size)
        self.deviation = torch.ones(population.size)
        self.newest: dict[int, int] = {}
        self.acting: dict[int, int] = {}
        self._states: dict[int, dict[int, AgentState]] = {a: {} for a in range(population.size)}

    def add(self, agent: int, state: AgentState) -> bool:
        """Take an agent's new version in; False where it, or a newer one, was there before."""
        if state.version <= self.newest.get(agent, -1):
            return False
        self._states[agent][state.version] = state
        self.newest[agent] = state.version
        return True

    def state(self, agent: int, version: int | None = None) -> AgentState | None:
        """Return an agent's state at a version, by default the newest; None where there is none."""
        newest = self.newest.get(agent, -1)
        return self._states[agent].get(newest if version is None else version)

    def act_with(self, versions: Mapping[int, int]) -> None:
        """Let these versions act, and forget what came before the oldest still needed."""
        for agent, version in versions.items():
            state = self._states[agent][version]
            if self.acting.get(agent) != version:
                role = self.population.role_of(agent)
                row = agent - self.population.firsts[role]
                self.parameters[role].numpy()[row] = state.parameters
                moments = popart.moments(torch.tensor(state.statistics)[None])
                self.mean[agent], self.deviation[agent] = moments[0][0], moments[1][0]
                self.acting[agent] = version
            self._states[agent] = {v: s for v, s in self._states[agent].items() if v >= version}
