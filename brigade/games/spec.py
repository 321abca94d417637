"""Descriptions of games: what a policy must fit, and what another process needs to build one.

Pure data. A *seat* is a place in one game; a *role* is a set of seats that see and do things of the
same shape, so that one policy can take any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Entities:
    """How an observation describes the choices of an action's first component.

    A policy may point at what is described instead of learning each choice by itself
    (``policy/network.py``).

    Attributes
    ----------
    choices
        For each choice the columns of the observation that describe it, in the same order for all.
    private
        For each choice the columns that tell what it is to the seat itself; empty where none do.
    seats
        The columns that are 1 for the seat that looks and 0 for the others, in the order of seats.
    drawn
        The logits, of all components side by side, that stand for acting on what was chosen.
    """

    choices: tuple[tuple[int, ...], ...]
    private: tuple[tuple[int, ...], ...] = ()
    seats: tuple[int, ...] = ()
    drawn: tuple[int, ...] = ()


@dataclass(frozen=True)
class Role:
    """Seats that one policy can take.

    Attributes
    ----------
    name
        What the role is called.
    seats
        Which seats of a game.
    num_features
        Length F of an observation, float32 ``[F]``; 0 where there are pictures alone.
    action_nvec
        Number of choices of each of the C action components; empty where actions are continuous.
    entities
        What the first component chooses among, where observations describe that.
    masked
        Whether each step says which choices are open (``ActionMasks``).
    signals
        Components that change nothing but what others see, so that they work by what others make of
        it alone.
    normalised
        The columns of an observation, ascending, that may be of any size, so that a policy does
        well to keep running statistics of them.
    num_continuous
        Numbers in a continuous action, D, float32 ``[D]``; 0 where actions are choices. In each
        number that has bounds, -1 to 1 is the whole range.
    pictures
        Height, width and channels of each picture that is observed besides, uint8
        (:class:`brigade.games.vector.Pictures`).
    """

    name: str
    seats: tuple[int, ...]
    num_features: int
    action_nvec: tuple[int, ...]
    entities: Entities | None = None
    signals: tuple[int, ...] = ()
    masked: bool = False
    normalised: tuple[int, ...] = ()
    num_continuous: int = 0
    pictures: tuple[tuple[int, int, int], ...] = ()

    @property
    def num_picture_bytes(self) -> int:
        """Bytes P of all pictures of an observation together."""
        return sum(map(prod, self.pictures))


@dataclass(frozen=True)
class GameSpec:
    """One game, such as checkpoints and run folders keep it.

    Attributes
    ----------
    kind
        Which module builds it; see :mod:`brigade.games.build`.
    name
        What people call it.
    arguments
        Plain values that the kind and these build it from, the same anywhere.
    roles
        Who plays it. They follow from the arguments.
    steps_per_turn
        Steps of the trainer in one unit of the game's own clock, such as a night of two phases.
    turn
        What such a unit is called.
    defaults
        Settings that suit the game, where others than the usual ones do.
    turn_based
        Whether seats act one after another, so that of a game one acts at a time.
    code
        What names the code of others that is run to play it; None where none is.
    """

    kind: str
    name: str
    arguments: Mapping[str, Any] = field(hash=False)
    roles: tuple[Role, ...]
    steps_per_turn: int = 1
    turn: str = "step"
    turn_based: bool = False
    code: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def num_seats(self) -> int:
        """Seats of a game, A."""
        return sum(len(role.seats) for role in self.roles)

    def lanes(self, num_games: int) -> list[NDArray[np.int64]]:
        """Lanes of each role in so many games side by side: int64 ``[L_r]``, ascending."""
        games = np.arange(num_games)[:, None] * self.num_seats
        return [(games + np.array(sorted(role.seats))).ravel() for role in self.roles]

    @property
    def role(self) -> Role:
        """The role of all seats.

        Raises
        ------
        ValueError
            There are several.
        """
        if len(self.roles) != 1:
            raise ValueError(f"{self.name} has {len(self.roles)} roles")
        return self.roles[0]
