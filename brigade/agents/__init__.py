"""Agents to play with and against, all behind one small interface."""

from __future__ import annotations

from brigade.agents.agent import Agent
from brigade.agents.scripted import ARCHETYPES, HeuristicAgent, RandomAgent, SpreadAgent
from brigade.agents.team import parse_team, team_actions

__all__ = [
    "ARCHETYPES",
    "Agent",
    "HeuristicAgent",
    "RandomAgent",
    "SpreadAgent",
    "parse_team",
    "team_actions",
]
