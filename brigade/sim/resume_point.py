"""Resume points: moments between two rollouts that a run can be saved at, and gone on with. Pure.

A point is noted before a rollout is played. What the learners make of all that was played before is
then perhaps still on its way; the point is *complete* once every agent's state has arrived. It has
all that a checkpoint of it needs, whatever the run forgets meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brigade.policy.population import Population
from brigade.ppo.agents import AgentState


@dataclass(eq=False)
class ResumePoint:
    """A run between two rollouts.

    Attributes
    ----------
    versions
        For each agent the version that has learned from all that was played before.
    acting
        For each agent the state that the next rollout is played with.
    statistics, state
        Of the run, and of the simulator (``Statistics.to_dict``, ``Simulator.state``).
    states
        For each agent the state to go on from, as far as it has arrived.
    final
        Agents of whom nothing more was to come: they go on as they were.
    """

    versions: dict[int, int]
    acting: dict[int, AgentState]
    statistics: dict[str, Any]
    state: dict[str, Any]
    states: dict[int, AgentState] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether every agent's state is here."""
        return len(self.states) == len(self.versions)

    def arrived(self, agent: int, state: AgentState) -> None:
        """Keep an agent's new state, if it is the one that the point is waiting for."""
        if agent not in self.states and state.version == self.versions[agent]:
            self.states[agent] = state

    def take_as_final(self, newest: Mapping[int, AgentState | None]) -> None:
        """Take these agents, of whom nothing more is to come, as they are."""
        for agent, state in newest.items():
            if state is not None and agent not in self.states:
                self.states[agent] = state
                self.final.add(agent)

    def simulator(self) -> dict[str, Any]:
        """Describe the simulator for a checkpoint, with the policies that play on though older."""
        state = self.state
        if self.final:
            state = state | {"frozen": sorted(self.final.union(state["frozen"]))}
        older = [
            agent
            for agent, acting in sorted(self.acting.items())
            if acting.version < self.states[agent].version
        ]
        if not older:
            return state
        return state | {
            "acting": {agent: self.acting[agent].version for agent in older},
            "acting_parameters": np.concatenate([self.acting[a].parameters for a in older]),
            "acting_statistics": np.stack([self.acting[agent].statistics for agent in older]),
        }


class ResumePoints:
    """The latest complete point, and those after it that wait for their agents' states."""

    def __init__(self) -> None:
        self._points: list[ResumePoint] = []

    def note(self, point: ResumePoint) -> None:
        """Add the newest point."""
        self._points.append(point)
        self._forget()

    def arrived(self, agent: int, state: AgentState) -> None:
        """Give an agent's new state to the point that waits for it."""
        for point in self._points:
            point.arrived(agent, state)
        self._forget()

    def take_as_final(self, newest: Mapping[int, AgentState | None]) -> None:
        """Let no point wait for these agents any more."""
        for point in self._points:
            point.take_as_final(newest)
        self._forget()

    @property
    def complete(self) -> ResumePoint | None:
        """The newest point that is complete."""
        return next((point for point in reversed(self._points) if point.complete), None)

    @property
    def newest(self) -> ResumePoint | None:
        """The newest point."""
        return self._points[-1] if self._points else None

    def _forget(self) -> None:
        """Drop what came before the newest complete point."""
        complete = self.complete
        if complete is not None:
            del self._points[: self._points.index(complete)]


def acting_states(state: Mapping[str, Any], population: Population) -> dict[int, AgentState]:
    """Read what :meth:`ResumePoint.simulator` wrote; such a state acts, and is not learned from.

    Raises
    ------
    ValueError
        It does not fit the population's networks.
    """
    versions = state.get("acting", {})
    if not versions:
        return {}
    agents = sorted(int(agent) for agent in versions)
    lengths = [network.num_parameters for network in population.networks_of(agents)]
    parameters, statistics = state["acting_parameters"].ravel(), state["acting_statistics"]
    if parameters.shape != (sum(lengths),) or statistics.shape != (len(agents), 3):
        raise ValueError("the acting policies do not fit the networks")
    rows = np.split(parameters, np.cumsum(lengths)[:-1])
    nothing = np.zeros(0, np.float32)
    return {
        agent: AgentState(int(versions[agent]), 0, rows[i], nothing, nothing, statistics[i])
        for i, agent in enumerate(agents)
    }


def missing_policies(
    needed: Mapping[int, int], states: Iterable[Mapping[int, AgentState]]
) -> list[str]:
    """Name the policies that a resumed run would play with, and that it does not have."""
    there = {(agent, state.version) for each in states for agent, state in each.items()}
    return [
        f"version {version} of agent {agent}"
        for agent, version in sorted(needed.items())
        if (agent, version) not in there
    ]
