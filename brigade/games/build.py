"""Games from their descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from brigade.games import bucket_brigade
from brigade.games.spec import GameSpec
from brigade.games.vector import HERE, Playing, VectorGame

VERSION = 1  # of descriptions


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A game in plain values, as checkpoints and run folders keep it."""

    version: Literal[1]
    kind: Annotated[str, Meta(max_length=100)]
    name: str
    arguments: dict[str, Any]


def described(spec: GameSpec) -> dict[str, Any]:
    """Write a game down in plain values; :func:`read` reads them."""
    return {
        "version": VERSION,
        "kind": spec.kind,
        "name": spec.name,
        "arguments": dict(spec.arguments),
    }


def read(description: Mapping[str, Any]) -> GameSpec:
    """Read what :func:`described` wrote.

    Raises
    ------
    ValueError
        It is something else, or of a kind or version that there is not here.
    """
    found = msgspec.convert(dict(description), Description)
    from_arguments, _ = _kind(found.kind)
    return from_arguments(found.name, found.arguments)


def build(
    spec: GameSpec,
    num_games: int,
    *,
    max_turns: int | None,
    seed: int,
    playing: Playing = HERE,
) -> VectorGame:
    """Make so many games, each cut after so many turns by its own clock.

    Raises
    ------
    EnvironmentUnusable
        They cannot be made here.
    """
    _, make = _kind(spec.kind)
    return make(spec, num_games, max_turns, seed, playing)


_Read = Callable[[str, Mapping[str, Any]], GameSpec]
_Make = Callable[[GameSpec, int, int | None, int, Playing], VectorGame]


def _kind(kind: str) -> tuple[_Read, _Make]:
    """Give what reads and what builds games of a kind; ValueError where there is no such kind."""
    if kind == bucket_brigade.KIND:
        return bucket_brigade.from_arguments, bucket_brigade.BucketBrigade
    if kind == "pettingzoo":  # which takes a while to import, and is needed by few runs
        from brigade.games.pettingzoo import vector_game

        return vector_game.from_arguments, vector_game.PettingZooGames
    raise ValueError(f"a game of kind {kind!r}, which this version of brigade has not")
