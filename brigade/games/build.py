"""Games from their descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brigade.games import bucket_brigade
from brigade.games.spec import GameSpec
from brigade.games.vector import VectorGame

VERSION = 1  # of descriptions


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
    KeyError, TypeError, ValueError
        It is something else, or of a kind or version that there is not here.
    """
    version, kind, name = (description[each] for each in ("version", "kind", "name"))
    if version != VERSION:
        raise ValueError(f"a game described in version {version!r}; this is version {VERSION}")
    if kind != bucket_brigade.KIND:
        raise ValueError(f"a game of kind {kind!r}, which there is not in this version of brigade")
    if not isinstance(name, str):
        raise TypeError(f"a game called {name!r}")
    return bucket_brigade.from_arguments(name, description["arguments"])


def build(spec: GameSpec, num_games: int, *, max_turns: int, seed: int) -> VectorGame:
    """Make so many games, each cut after so many turns by its own clock."""
    return bucket_brigade.BucketBrigade(spec, num_games, max_turns, seed)
