"""Which agents can be played by the same policy."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gymnasium import spaces

from brigade.games.pettingzoo.actions import Actions, ChoiceActions, actions
from brigade.games.pettingzoo.errors import BadRoles
from brigade.games.pettingzoo.observations import Observations
from brigade.games.pettingzoo.pictures import Look
from brigade.games.spec import Role
from brigade.nearest import nearest

DEFAULT_STEM = "agent"


@dataclass(frozen=True)
class Seat:
    """What an agent's place in a game is like.

    Attributes
    ----------
    agent
        Whose place it is, as the environment calls it.
    role
        Which of the roles.
    observations, actions
        How its observations become rows, and rows or choices its actions.
    """

    agent: Hashable
    role: int
    observations: Observations
    actions: Actions


@dataclass(frozen=True)
class Seating:
    """All seats of a game, in the order of the environment's agents, and their roles.

    Attributes
    ----------
    roles
        In the order of their first seats.
    seats
        Seat a is the agent's that comes a-th.
    """

    roles: tuple[Role, ...]
    seats: tuple[Seat, ...]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Each seat's role and its place among the role's seats."""
        return [
            (seat.role, self.roles[seat.role].seats.index(index))
            for index, seat in enumerate(self.seats)
        ]


def stem(agent: Hashable) -> str:
    """What agents of one kind have in common: ``agent_0`` and ``agent_1``, or all whole numbers."""
    return re.sub(r"[-_]?\d+$", "", str(agent)) or DEFAULT_STEM


def assign(
    agents: Sequence[Hashable],
    observation_spaces: Mapping[Any, spaces.Space[Any]],
    action_spaces: Mapping[Any, spaces.Space[Any]],
    override: Mapping[str, Sequence[Hashable] | str] | None = None,
    look: Look | None = None,
) -> Seating:
    """Group agents into roles.

    Parameters
    ----------
    agents
        All that may come.
    observation_spaces, action_spaces
        Of each.
    override
        Agents, or patterns such as ``adversary_*``, of roles by name. Agents in none of them are
        grouped by equal spaces and equal stem. Where one stem has several kinds of spaces, the
        second role is called ``stem-2``.
    look
        How pictures are kept.

    Raises
    ------
    BadRoles
        A role of the override has no agents, or agents of unequal spaces, or an agent has two.
    UnsupportedSpace
        A space is one that cannot be trained on.
    """
    spaces_of = {agent: (observation_spaces[agent], action_spaces[agent]) for agent in agents}
    groups = _overridden(agents, spaces_of, override or {})
    taken = {agent for group in groups.values() for agent in group}
    names: list[tuple[str, str]] = []  # stem and role
    for agent in agents:
        if agent in taken:
            continue
        kind = stem(agent)
        for known, name in names:
            if known == kind and spaces_of[groups[name][0]] == spaces_of[agent]:
                groups[name].append(agent)
                break
        else:
            name = _unused(kind, groups)
            names.append((kind, name))
            groups[name] = [agent]
    place = {agent: index for index, agent in enumerate(agents)}
    ordered = sorted(groups.items(), key=lambda group: min(place[agent] for agent in group[1]))
    roles: list[Role] = []
    seats: dict[int, Seat] = {}
    for role, (name, members) in enumerate(ordered):
        first = members[0]
        acts = actions(spaces_of[first][1], first)
        masked = isinstance(acts, ChoiceActions)
        sees = Observations(spaces_of[first][0], first, masked_actions=masked, look=look)
        where = sorted(place[agent] for agent in members)
        roles.append(
            Role(
                name,
                tuple(where),
                sees.num_features,
                acts.nvec,
                normalised=sees.normalised,
                num_continuous=acts.num_continuous,
                pictures=sees.pictures,
            )
        )
        seats |= {index: Seat(agents[index], role, sees, acts) for index in where}
    return Seating(tuple(roles), tuple(seats[index] for index in range(len(agents))))


def _overridden(
    agents: Sequence[Hashable],
    spaces_of: Mapping[Hashable, tuple[Any, Any]],
    override: Mapping[str, Sequence[Hashable] | str],
) -> dict[str, list[Hashable]]:
    groups: dict[str, list[Hashable]] = {}
    role_of: dict[Hashable, str] = {}
    for name, wanted in override.items():
        members: list[Hashable] = []
        for pattern in [wanted] if isinstance(wanted, str) else wanted:
            found = [a for a in agents if a == pattern or fnmatchcase(str(a), str(pattern))]
            if not found:
                meant = nearest(str(pattern), map(str, agents))
                known = f"did you mean {meant}?" if meant else f"its agents are {_listed(agents)}"
                raise BadRoles(f"role {name}: no agent is called {pattern}; {known}")
            members += [agent for agent in found if agent not in members]
        if not members:
            raise BadRoles(f"role {name} has no agents; its agents may be {_listed(agents)}")
        for agent in members:
            if agent in role_of:
                raise BadRoles(f"agent {agent} has two roles, {role_of[agent]} and {name}")
            role_of[agent] = name
            if spaces_of[agent] != spaces_of[members[0]]:
                raise BadRoles(
                    f"role {name}: agents {members[0]} and {agent} have unequal spaces; "
                    "agents of one role must see and do things of the same shape"
                )
        groups[name] = members
    return groups


def _unused(name: str, taken: Mapping[str, object]) -> str:
    count, candidate = 1, name
    while candidate in taken:
        count += 1
        candidate = f"{name}-{count}"
    return candidate


def _listed(agents: Sequence[Hashable], most: int = 8) -> str:
    shown = ", ".join(map(str, agents[:most]))
    return shown if len(agents) <= most else f"{shown} and {len(agents) - most} more"
