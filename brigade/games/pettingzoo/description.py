"""What an environment's agents see and do, asked of one that is made and closed for it."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gymnasium import spaces

from brigade.games.pettingzoo.errors import CannotFind, UnsupportedSpace, in_words
from brigade.games.pettingzoo.finding import Maker, is_turn_based, takes_seed
from brigade.games.pettingzoo.observations import MASK
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.roles import Seating, assign
from brigade.games.spec import Role
from brigade.printable import printable, shortened


@dataclass(frozen=True)
class Description:
    """What one game is.

    Attributes
    ----------
    turn_based
        Whether its agents act one after another.
    seating
        Its seats and roles.
    notes
        Sentences that a person should read once.
    """

    turn_based: bool
    seating: Seating
    notes: tuple[str, ...] = ()


def describe(
    maker: Maker,
    roles: Mapping[str, Sequence[Hashable] | str] | None = None,
    look: Look | None = None,
) -> Description:
    """Make an environment, ask what its agents are, and close it.

    Parameters
    ----------
    maker
        Of the environment.
    roles, look
        As :func:`brigade.games.pettingzoo.roles.assign` takes them.

    Raises
    ------
    CannotFind
        It cannot be made or closed, or its agents or spaces cannot be told.
    UnsupportedSpace, BadRoles
        See there.
    """
    env = maker()
    try:
        agents, notes = _agents(env, maker.name)
        sees = {agent: space_of(env, "observation_space", agent, maker.name) for agent in agents}
        does = {agent: space_of(env, "action_space", agent, maker.name) for agent in agents}
        seating = assign(agents, sees, does, roles, look)
        if _has_masks(env, seating):
            seating = replace(seating, roles=tuple(map(_masked, seating.roles)))
    finally:
        _close(env, maker.name)
    return Description(is_turn_based(env), seating, notes)


def close(env: Any) -> None:
    """Close an environment, if it can be closed."""
    closing = getattr(env, "close", None)
    if callable(closing):
        closing()


def _has_masks(env: Any, seating: Seating) -> bool:
    """Tell whether some choices may be closed: by the spaces, or by the infos after a reset."""
    if any(seat.observations.has_mask for seat in seating.seats):
        return True
    if not any(seat.actions.num_choices for seat in seating.seats):
        return False
    try:
        found = _reset(env)
        if is_turn_based(env):
            infos = [env.last()[4], *getattr(env, "infos", {}).values()]
        else:
            infos = list(found[1].values())
    except Exception:  # which is told where the games are played
        return False
    return any(isinstance(info, Mapping) and MASK in info for info in infos)


def _reset(env: Any) -> Any:
    return env.reset(seed=0) if takes_seed(env) else env.reset()


def _masked(role: Role) -> Role:
    return replace(role, masked=bool(role.action_nvec))


def _close(env: Any, name: str) -> None:
    try:
        close(env)
    except (Exception, SystemExit) as error:
        raise CannotFind(printable(f"{name} fails at close: {in_words(error)}")) from error


def _agents(env: Any, name: str) -> tuple[list[Hashable], tuple[str, ...]]:
    try:
        agents = list(getattr(env, "possible_agents", None) or ())
    except (Exception, SystemExit) as error:
        raise CannotFind(
            printable(f"{name} fails at possible_agents: {in_words(error)}")
        ) from error
    if agents:
        return agents, ()
    try:
        _reset(env)
        agents = list(env.agents)
    except (Exception, SystemExit) as error:
        raise CannotFind(
            printable(f"{name} has no possible_agents, and fails at reset: {in_words(error)}")
        ) from error
    if not agents:
        raise CannotFind(f"{name} has no agents: neither possible_agents nor, after reset, agents")
    note = (
        f"{name} has no possible_agents; its agents are taken to be the {len(agents)} that are "
        "there after reset"
    )
    return agents, (note,)


def space_of(env: Any, which: str, agent: Hashable, name: str) -> spaces.Space[Any]:
    """Ask an environment for an agent's ``observation_space`` or ``action_space``.

    Raises
    ------
    CannotFind, UnsupportedSpace
        It has none, or something that is no space.
    """
    asked = getattr(env, which, None)
    try:
        with warnings.catch_warnings():
            # PettingZoo's default warns that it reads the dict, which is all that is asked for.
            warnings.filterwarnings("ignore", "Your environment should override")
            space = asked(agent) if callable(asked) else getattr(env, f"{which}s")[agent]
    except (Exception, SystemExit) as error:
        raise CannotFind(
            printable(f"{name} has no {which} for agent {agent}: {in_words(error)}")
        ) from error
    if not isinstance(space, spaces.Space):
        raise UnsupportedSpace(
            printable(
                f"agent {agent}: {which} is {shortened(repr(space))} ({type(space).__name__}), "
                "not one of Gymnasium's spaces"
            )
        )
    return space
