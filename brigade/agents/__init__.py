"""Agents to play with and against, all behind one small interface."""

from __future__ import annotations

from brigade.agents.agent import Agent
from brigade.agents.scripted import ARCHETYPES, HeuristicAgent, RandomAgent, SpreadAgent
from brigade.agents.team import SCRIPTED, parse_team, scripted_agent, team_actions

__all__ = [
    "ARCHETYPES",
    "SCRIPTED",
    "Agent",
    "HeuristicAgent",
    "RandomAgent",
    "SpreadAgent",
    "parse_team",
    "scripted_agent",
    "team_actions",
]
