"""What games side by side say and hear, as arrays that may lie in memory that processes share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from brigade.games.pettingzoo.actions import ChoiceActions
from brigade.games.pettingzoo.roles import Seating
from brigade.games.vector import Step

ALIGNMENT = 64  # bytes, of each array in a buffer


@dataclass(frozen=True, eq=False)
class Arrays:
    """Of B games with A seats. Where there is one array for each role, S seats have it.

    Attributes
    ----------
    observations, finals
        For each role float32 ``[B, S, F]``: what each seat sees, where it is active, and what it
        saw last, where its part ended with the last step. Other rows are stale or 0.
    pictures, final_pictures
        For each role uint8 ``[B, S, P]``: the same of the pictures in them.
    masks
        For each role bool ``[B, S, num_choices]``: which choices it has, where it is active.
    actions
        For each role int32 ``[B, S, C]``, or float32 ``[B, S, D]`` where they are continuous.
    active, alive
        bool ``[B, A]``: who has to act now, and whose part goes on.
    rewards, terminated, truncated
        float32 and bool ``[B, A]``, of the last step.
    ended, cut
        bool ``[B]``: whether the last step ended the episode, and by its limit.
    returns, lengths
        float64 ``[B, A]`` and int32 ``[B]``: of the episode that the last step was part of.
    episodes
        int64 ``[B]``: the number of the episode under way; -1 before the first.
    """

    observations: list[NDArray[np.float32]]
    finals: list[NDArray[np.float32]]
    pictures: list[NDArray[np.uint8]]
    final_pictures: list[NDArray[np.uint8]]
    masks: list[NDArray[np.bool_]]
    actions: list[NDArray[Any]]
    active: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int32]
    episodes: NDArray[np.int64]

    @classmethod
    def of(cls, seating: Seating, num_games: int, buffer: Any = None) -> Arrays:
        """Lay the arrays out in a buffer of :func:`num_bytes`, or in memory of their own."""
        new = buffer is None
        if new:
            buffer = np.zeros(num_bytes(seating, num_games), np.uint8)
        made: dict[str, Any] = {}
        start = 0
        for name, role, shape, dtype in _layout(seating, num_games):
            array: NDArray[Any] = np.ndarray(shape, dtype, buffer, start)
            if role is None:
                made[name] = array
            else:
                made.setdefault(name, []).append(array)
            start += _padded(array.nbytes)
        arrays = cls(**made)
        if new:
            arrays.episodes[:] = -1
        return arrays

    def step(self) -> Step:
        """Say what the last step led to: copies, but for what was seen last."""
        ended = self.ended.nonzero()[0]
        return Step(
            self.rewards.flatten(),
            self.terminated.flatten(),
            self.truncated.flatten(),
            rows_of(self.finals),
            ended,
            self.returns[ended],
            self.lengths[ended],
            self.cut[ended],
            rows_of(self.final_pictures),
        )

    def games(self, which: slice) -> Arrays:
        """View the arrays of some games."""
        return self._each(lambda array: array[which])

    def copy(self) -> Arrays:
        """Copy all."""
        return self._each(np.copy)

    def _each(self, function: Any) -> Arrays:
        made: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            one = not isinstance(value, list)
            made[field.name] = function(value) if one else [function(array) for array in value]
        return Arrays(**made)


def rows_of(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Arrays ``[B, S, n]`` as ``[B * S, n]``."""
    return [array.reshape(array.shape[0] * array.shape[1], array.shape[2]) for array in arrays]


def num_bytes(seating: Seating, num_games: int) -> int:
    """Bytes that the arrays of so many games take."""
    return sum(
        _padded(math.prod(shape) * np.dtype(dtype).itemsize)
        for _, _, shape, dtype in _layout(seating, num_games)
    )


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _layout(
    seating: Seating, num_games: int
) -> Iterator[tuple[str, int | None, tuple[int, ...], DTypeLike]]:
    """Name, role, shape and type of each array."""
    for number, role in enumerate(seating.roles):
        seats = (num_games, len(role.seats))
        acts = seating.seats[role.seats[0]].actions
        yield "observations", number, (*seats, role.num_features), np.float32
        yield "finals", number, (*seats, role.num_features), np.float32
        yield "pictures", number, (*seats, role.num_picture_bytes), np.uint8
        yield "final_pictures", number, (*seats, role.num_picture_bytes), np.uint8
        yield "masks", number, (*seats, acts.num_choices), np.bool_
        if isinstance(acts, ChoiceActions):
            yield "actions", number, (*seats, len(acts.nvec)), np.int32
        else:
            yield "actions", number, (*seats, math.prod(acts.shape)), np.float32
    lanes = (num_games, len(seating.seats))
    for name in ("active", "alive", "terminated", "truncated"):
        yield name, None, lanes, np.bool_
    yield "rewards", None, lanes, np.float32
    yield "returns", None, lanes, np.float64
    yield "ended", None, (num_games,), np.bool_
    yield "cut", None, (num_games,), np.bool_
    yield "lengths", None, (num_games,), np.int32
    yield "episodes", None, (num_games,), np.int64
