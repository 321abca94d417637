"""Boundaries between two rollouts: where a run can be saved, and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brigade.ppo.agents import AgentState


@dataclass(frozen=True)
class Boundary:
    """A run between two rollouts: what a checkpoint needs besides the agents' states."""

    versions: dict[int, int]  # of the agents, once they have learned from all that came before
    acting: dict[int, int]  # versions that the next rollout is played with
    statistics: dict[str, Any]
    state: dict[str, Any]


def acting_entries(acting: dict[int, AgentState]) -> dict[str, Any]:
    """Describe, for a checkpoint, the policies that play on though newer ones are there."""
    agents = sorted(acting)
    if not agents:
        return {}
    return {
        "acting": {agent: acting[agent].version for agent in agents},
        "acting_parameters": np.stack([acting[agent].parameters for agent in agents]),
        "acting_statistics": np.stack([acting[agent].statistics for agent in agents]),
    }


def acting_states(state: Mapping[str, Any], num_parameters: int) -> dict[int, AgentState]:
    """Read what :func:`acting_entries` gave; such a state plays, and is never learned from."""
    versions = state.get("acting", {})
    if not versions:
        return {}
    parameters, statistics = state["acting_parameters"], state["acting_statistics"]
    if parameters.shape != (len(versions), num_parameters) or statistics.shape[1:] != (3,):
        raise ValueError("the acting policies do not fit the network")
    nothing = np.zeros(0, np.float32)
    return {
        int(agent): AgentState(int(version), 0, parameters[i], nothing, nothing, statistics[i])
        for i, (agent, version) in enumerate(sorted(versions.items()))
    }
