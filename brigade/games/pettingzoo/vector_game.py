"""PettingZoo environments as a trainer sees them: see :mod:`brigade.games.vector`.

The description of such a game names code, the environment, and says what its roles see and do. So
it can be read, and its policies learned, where the environment is not installed; what is built from
it runs that code, so the name must come from the person who runs the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from brigade.games.pettingzoo.arrays import rows_of
from brigade.games.pettingzoo.description import Description, describe
from brigade.games.pettingzoo.errors import CannotFind, UnsupportedSpace
from brigade.games.pettingzoo.finding import Maker, find
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.side_by_side import SideBySide
from brigade.games.pettingzoo.workers import EnvWorkers
from brigade.games.spec import GameSpec, Role
from brigade.games.vector import HERE, Playing, Step

KIND = "pettingzoo"
# Settings that suit most environments, rather than brigade's own game.
DEFAULTS = {
    "advantages": "gae",
    "gae_lambda": 0.95,
    "hidden_size": 64,
    "num_games": 16,
    "update_interval": 32,  # 2,048 transitions of an agent, as is usual
}
WITH_PICTURES = {"num_games": 4}  # since each step of these takes long
LARGEST = 1 << 24  # bytes of pictures that a description may ask for
LARGEST_SIZE = 1 << 20  # of all else, as policies have it
Side = Annotated[int, Meta(ge=1, le=LARGEST_SIZE)]
Size = Annotated[int, Meta(ge=0, le=LARGEST_SIZE)]
Name = Annotated[str, Meta(max_length=1000)]


class RoleArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A role in plain values; see :class:`brigade.games.spec.Role`."""

    name: Name
    agents: list[Name | int]
    seats: Annotated[list[Size], Meta(min_length=1)]
    num_features: Size
    action_nvec: list[Size]
    masked: bool = False
    normalised: list[Size] = []
    num_continuous: Size = 0
    pictures: list[tuple[Side, Side, Side]] = []

    def __post_init__(self) -> None:
        num_bytes = sum(map(prod, self.pictures))
        if not self.num_features + num_bytes or num_bytes > LARGEST:
            raise ValueError(f"role {self.name} observes nothing, or {num_bytes} bytes of pictures")

    def role(self) -> Role:
        """The role that it describes."""
        return Role(
            self.name,
            tuple(self.seats),
            self.num_features,
            tuple(self.action_nvec),
            masked=self.masked,
            normalised=tuple(self.normalised),
            num_continuous=self.num_continuous,
            pictures=tuple(self.pictures),
        )


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a game of this kind is built from."""

    env: Name
    env_arg: dict[str, Any]
    turn_based: bool
    fresh: bool
    reward_weights: list[float]
    roles: Annotated[list[RoleArguments], Meta(min_length=1)]
    resize: Annotated[list[Side], Meta(max_length=2)] = []
    grey: bool = False

    @property
    def look(self) -> Look:
        """How pictures are kept."""
        return Look(tuple(self.resize), self.grey)


def spec_of(
    maker: Maker,
    roles: Mapping[str, Sequence[Any] | str] | None = None,
    *,
    fresh: bool = False,
    reward_weights: Sequence[float] = (),
    look: Look | None = None,
) -> tuple[GameSpec, tuple[str, ...]]:
    """Describe an environment, which is made and closed for it.

    Returns
    -------
    spec
        The game.
    notes
        Sentences that a person should read once.

    Raises
    ------
    CannotFind, UnsupportedSpace, BadRoles
        As :func:`brigade.games.pettingzoo.description.describe` does.
    """
    look = look or Look()
    found = describe(maker, roles, look)
    arguments = Arguments(
        maker.name,
        maker.arguments,
        found.turn_based,
        fresh,
        list(reward_weights),
        _role_arguments(found),
        list(look.resize),
        look.grey,
    )
    for role in arguments.roles:
        longest = max([role.num_features, sum(role.action_nvec), role.num_continuous])
        if longest > LARGEST_SIZE:
            raise UnsupportedSpace(
                f"role {role.name} of {maker.name} has {longest:,} numbers or choices, of which a "
                f"policy takes {LARGEST_SIZE:,} at most: make them fewer in a wrapper"
            )
    plain: dict[str, Any] = msgspec.to_builtins(arguments)
    return from_arguments(maker.name, plain), found.notes


def from_arguments(name: str, arguments: Mapping[str, Any]) -> GameSpec:
    """Describe the game that a description's name and arguments are of; nothing is imported.

    Raises
    ------
    ValueError
        They are of none.
    """
    found = msgspec.convert(dict(arguments), Arguments)
    seats = sorted(seat for role in found.roles for seat in role.seats)
    if seats != list(range(len(seats))):
        raise ValueError("roles whose seats are not each there once")
    names = [role.name for role in found.roles]
    if len(set(names)) < len(names):
        raise ValueError("two roles of one name")
    made = tuple(role.role() for role in found.roles)
    defaults = DEFAULTS | (WITH_PICTURES if any(role.pictures for role in made) else {})
    return GameSpec(
        KIND,
        name,
        dict(arguments),
        made,
        turn="turn" if found.turn_based else "step",
        turn_based=found.turn_based,
        code=found.env,
        defaults=defaults,
    )


class PettingZooGames:
    """Games of one environment, side by side; see :mod:`brigade.games.vector` for the methods.

    Parameters
    ----------
    spec
        As :func:`spec_of` or :func:`from_arguments` give it.
    num_games
        How many, B.
    max_turns
        Steps, or turns, after which a game is cut; None for never.
    seed
        What the seed of each episode is derived from.
    playing
        Where they are played.

    Raises
    ------
    CannotFind
        The environment is not here, or is another than the one described.
    """

    def __init__(
        self,
        spec: GameSpec,
        num_games: int,
        max_turns: int | None,
        seed: int,
        playing: Playing = HERE,
    ) -> None:
        arguments = msgspec.convert(dict(spec.arguments), Arguments)
        maker = find(playing.make or arguments.env, arguments.env_arg)
        roles = {role.name: role.agents for role in arguments.roles}
        found = describe(maker, roles, arguments.look)
        described = _role_arguments(found)
        if described != arguments.roles or found.turn_based != arguments.turn_based:
            raise CannotFind(
                f"{maker.name} is another environment than the one that the run began with: its "
                f"agents or spaces differ ({_difference(arguments.roles, described)})"
            )
        self._spec = spec
        settings = Settings(
            seed, max_turns, arguments.fresh, tuple(arguments.reward_weights) or None
        )
        self._games: SideBySide | EnvWorkers
        if playing.num_workers:
            self._games = EnvWorkers(
                maker,
                found,
                num_games,
                settings,
                num_workers=playing.num_workers,
                roles=roles,
                look=arguments.look,
                timeout=playing.timeout,
                on_error=playing.on_error,
            )
        else:
            self._games = SideBySide(maker, found, num_games, settings)
        self._remarked: set[Oddity] = set()
        self._shapes = [(num_games, len(role.seats), -1) for role in spec.roles]

    @property
    def spec(self) -> GameSpec:
        """The game that is played."""
        return self._spec

    @property
    def num_games(self) -> int:
        """How many, B."""
        return self._games.num_games

    @property
    def observations(self) -> Sequence[NDArray[np.float32]]:
        """What each lane sees now, for each role float32 ``[L_r, F_r]``."""
        return rows_of(self._games.observations)

    def reset(self) -> None:
        """Begin all games; EnvironmentFault where one fails."""
        self._games.reset()

    def step(self, actions: Sequence[NDArray[Any]]) -> Step:
        """Play one step of each game; EnvironmentFault where one fails."""
        shaped = [a.reshape(shape) for a, shape in zip(actions, self._shapes, strict=True)]
        return self._games.step(shaped)

    def close(self) -> None:
        """Close all environments."""
        self._games.close()

    # ---- capabilities --------------------------------------------------------------------

    @property
    def pictures(self) -> Sequence[NDArray[np.uint8]]:
        """Pictures that each lane sees now, for each role uint8 ``[L_r, P_r]``."""
        return rows_of(self._games.pictures)

    def active(self) -> NDArray[np.bool_]:
        """Which lanes act in the coming step: bool ``[L]``."""
        return self._games.active

    @property
    def episodes(self) -> NDArray[np.int64]:
        """The number of the episode under way in each game: int64 ``[B]``."""
        return self._games.episodes.copy()

    def begin(self, episodes: NDArray[np.int64]) -> None:
        """Begin these, one in each game; EnvironmentFault where one fails."""
        self._games.episodes[:] = episodes - 1  # which a reset counts on from
        self._games.reset()

    def remarks(self) -> Sequence[str]:
        """What the environment does against its interface, each kind once."""
        first = self._games.oddities.first
        new = [kind for kind in first if kind not in self._remarked]
        self._remarked |= set(new)
        return [f"{self._spec.name} {kind.value} (first in {first[kind]})" for kind in new]

    def action_masks(self) -> Sequence[NDArray[np.bool_]]:
        """Which choices are open: for each role bool ``[L_r, n]``."""
        return rows_of(self._games.masks)


def _role_arguments(found: Description) -> list[RoleArguments]:
    seats = found.seating.seats
    return [
        RoleArguments(
            role.name,
            [_named(seats[seat].agent) for seat in role.seats],
            list(role.seats),
            role.num_features,
            list(role.action_nvec),
            role.masked,
            list(role.normalised),
            role.num_continuous,
            list(role.pictures),
        )
        for role in found.seating.roles
    ]


def _named(agent: object) -> str | int:
    return agent if isinstance(agent, int) else str(agent)


def _difference(were: Sequence[RoleArguments], are: Sequence[RoleArguments]) -> str:
    """Name the first role that differs."""
    for before, now in zip(were, are, strict=False):
        if before != now:
            return f"role {before.name}: {_observed(before)} observed, now {_observed(now)}"
    return f"{len(were)} roles, now {len(are)}"


def _observed(role: RoleArguments) -> str:
    shapes = [f" and a picture of {'x'.join(map(str, shape))}" for shape in role.pictures]
    return f"{role.num_features} numbers{''.join(shapes)}"
