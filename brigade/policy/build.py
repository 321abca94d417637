"""Policies from the roles that they are for, and from their descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from brigade.games.spec import Entities, GameSpec, Role
from brigade.policy.network import Network
from brigade.policy.population import Population

# What a description from elsewhere may ask for.
LARGEST_SIZE = 1 << 20  # of an observation, a layer or a choice, and of all entities together
LARGEST_ROW = 1 << 28  # parameters of a policy
MOST_COMPONENTS = 1 << 12
MOST_PICTURES = 1 << 8
LARGEST_PICTURES = 1 << 24  # bytes of all pictures of an observation
Size = Annotated[int, Meta(ge=1, le=LARGEST_SIZE)]
Column = Annotated[int, Meta(ge=0, le=LARGEST_SIZE)]
# Left out where they have their defaults, so that descriptions are what they were before these.
ADDED = ("num_continuous", "squashed", "state_dependent", "pictures")


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy in plain values, as welcomes and checkpoints carry it; the fields are Network's."""

    kind: Literal["mlp"] = "mlp"
    version: Literal[1] = 1
    num_features: Column
    action_nvec: Annotated[tuple[Size, ...], Meta(max_length=MOST_COMPONENTS)]
    hidden_size: Size
    choices: tuple[tuple[Column, ...], ...] = ()
    seats: tuple[Column, ...] = ()
    private: tuple[tuple[Column, ...], ...] = ()
    drawn: tuple[Column, ...] = ()
    signals: tuple[Column, ...] = ()
    masked: bool = False
    normalised: tuple[Column, ...] = ()
    num_continuous: Annotated[int, Meta(ge=0, le=MOST_COMPONENTS)] = 0
    squashed: bool = False
    state_dependent: bool = False
    pictures: Annotated[tuple[tuple[Size, Size, Size], ...], Meta(max_length=MOST_PICTURES)] = ()


def network_for(
    role: Role, hidden_size: int, *, squashed: bool = False, state_dependent: bool = False
) -> Network:
    """Shape the network for a role: one that points, where observations describe the choices.

    ``squashed`` and ``state_dependent`` are for continuous actions; see :class:`Network`. For
    choices they change nothing.

    Raises
    ------
    ValueError
        Its parts do not fit together.
    """
    entities = role.entities or Entities(())
    return Network(
        role.num_features,
        role.action_nvec,
        hidden_size,
        choices=entities.choices,
        seats=entities.seats,
        private=entities.private,
        drawn=entities.drawn,
        signals=role.signals,
        masked=role.masked,
        normalised=role.normalised,
        num_continuous=role.num_continuous,
        squashed=squashed and role.num_continuous > 0,
        state_dependent=state_dependent and role.num_continuous > 0,
        pictures=role.pictures,
    )


def fits(network: Network, role: Role) -> bool:
    """Whether a network sees and does what a role has."""
    names = ("num_features", "action_nvec", "num_continuous", "masked", "normalised", "pictures")
    return all(getattr(network, name) == getattr(role, name) for name in names)


def population_for(
    game: GameSpec,
    sizes: Sequence[int],
    hidden_size: int,
    *,
    squashed: bool = False,
    state_dependent: bool = False,
) -> Population:
    """Shape the networks for so many agents of each role of a game; see :func:`network_for`."""
    kind = {"squashed": squashed, "state_dependent": state_dependent}
    networks = tuple(network_for(role, hidden_size, **kind) for role in game.roles)
    return Population(networks, tuple(sizes))


def described(network: Network) -> dict[str, Any]:
    """Write a policy's shape down in plain values; :func:`read` reads them."""
    fields = {name: getattr(network, name) for name in network.__dataclass_fields__}
    written: dict[str, Any] = msgspec.to_builtins(Description(**fields))
    return {name: value for name, value in written.items() if value or name not in ADDED}


def read(description: Mapping[str, Any]) -> Network:
    """Read what :func:`described` wrote.

    Raises
    ------
    ValueError
        It is something else, of a kind or version that there is not here, or cannot be.
    """
    for name in ("choices", "private"):  # which may be one row many times over
        rows = description.get(name, ())
        if not isinstance(rows, list | tuple) or sum(map(_length, rows)) > LARGEST_SIZE:
            raise ValueError(f"{name} that are no lists of columns, or too many")
    found = msgspec.convert(dict(description), Description)
    names = Network.__dataclass_fields__
    network = Network(**{name: getattr(found, name) for name in names})
    if network.num_picture_bytes > LARGEST_PICTURES:
        raise ValueError(f"pictures of {network.num_picture_bytes:,} bytes")
    if network.num_parameters > LARGEST_ROW:
        raise ValueError(f"a policy of {network.num_parameters:,} parameters")
    return network


def _length(row: object) -> int:
    """Count a row's columns, and the row itself."""
    return 1 + len(row) if isinstance(row, list | tuple) else 1
