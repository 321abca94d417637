"""Teams: who sits in which seat, from a line of text, and what they all do."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brigade._core import ARCHETYPES, Scenario
from brigade.agents.agent import Agent
from brigade.agents.scripted import HeuristicAgent, RandomAgent, SpreadAgent
from brigade.env.scenarios import load_scenario
from brigade.nearest import nearest

__all__ = ["SCRIPTED", "parse_team", "scripted_agent", "team_actions"]

SCRIPTED = (*ARCHETYPES, "spread", "random")


def parse_team(
    team: str | Sequence[str], scenario: str | os.PathLike[str] | Scenario = "default"
) -> list[Agent]:
    """Make a team from the names of its agents, one for each seat.

    Parameters
    ----------
    team
        Names with commas between them, or a sequence of names: an archetype, ``spread`` or
        ``random``.
    scenario
        The games that the team will play.

    Examples
    --------
    >>> [agent.name for agent in parse_team("hero,hero,liar,random")]
    ['hero', 'hero', 'liar', 'random']
    """
    names = [name.strip() for name in (team.split(",") if isinstance(team, str) else team)]
    if not names or not all(names):
        raise ValueError(
            f"a team is one name for each seat, as in 'hero,hero,liar', not {team!r:.80}"
        )
    settings = load_scenario(scenario)
    return [scripted_agent(name, settings, len(names)) for name in names]


def scripted_agent(name: str, scenario: Scenario, num_agents: int) -> Agent:
    """Make an agent of one of the names in ``SCRIPTED``, for games of so many seats."""
    if name == "random":
        return RandomAgent(scenario, num_agents)
    if name == "spread":
        return SpreadAgent(scenario, num_agents)
    if name in ARCHETYPES:
        return HeuristicAgent(name, scenario, num_agents)
    near = nearest(name, SCRIPTED)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"no agent {name!r:.80}: there are {', '.join(SCRIPTED)}{hint}")


def team_actions(
    team: Sequence[Agent], observations: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int32]:
    """Let every agent of a team act for its seat.

    Parameters
    ----------
    team
        A agents, one for each seat.
    observations
        float32 ``[B, A, F]``, or ``[A, F]`` for one game.
    rng
        Where all randomness comes from.

    Returns
    -------
    NDArray[np.int32]
        Actions ``[B, A, 3]``, or ``[A, 3]``.
    """
    seats, features = observations.shape[-2:]
    if seats != len(team):
        raise ValueError(f"a team of {len(team)} cannot play games of {seats} seats")
    games = observations.reshape(-1, seats, features)
    actions = np.empty((len(games), seats, 3), dtype=np.int32)
    for seat, agent in enumerate(team):
        actions[:, seat] = agent.act(np.ascontiguousarray(games[:, seat]), rng)
    return actions.reshape(*observations.shape[:-1], 3)
