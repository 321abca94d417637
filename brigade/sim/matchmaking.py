"""Matchmaking: which agents sit in a game, and how long a rollout has to be for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from brigade.config import ConfigError, RunConfig
from brigade.games.spec import GameSpec
from brigade.nearest import nearest


class Matchmaker:
    """Draws the agents of one game after another.

    Each role's seats are filled from the agents of that role. ``round_robin`` takes those that have
    had the fewest seats so far, ties broken at random; ``random`` takes anyone. Either way the
    seats of a role are dealt at random.

    Parameters
    ----------
    sizes
        How many agents each role has; they are numbered through the roles.
    seats
        Which seats of a game each role has.
    kind, generator
        How agents are drawn, and where the randomness comes from.
    self_play
        Whether an agent may have several seats of a game. None: only in a role of fewer agents than
        seats, where each has as many as any other, or one more.

    Attributes
    ----------
    games
        int64 ``[P]``: seats that each agent has had.

    Raises
    ------
    ValueError
        A role has fewer agents than seats, and none may have several.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        seats: Sequence[Sequence[int]],
        kind: Literal["round_robin", "random"],
        generator: np.random.Generator,
        *,
        self_play: bool | None = False,
    ) -> None:
        for size, places in zip(sizes, seats, strict=True):
            if self_play is False and len(places) > size:
                raise ValueError(f"{len(places)} seats for {size} agents")
        self.games: NDArray[np.int64] = np.zeros(sum(sizes), np.int64)
        self.generator = generator
        self._firsts = [sum(sizes[:role]) for role in range(len(sizes))]
        self._sizes = list(sizes)
        self._seats = [np.array(places, np.int64) for places in seats]
        self._kind = kind
        self._self_play = self_play

    def match(self) -> NDArray[np.int64]:
        """Seat the next game: agent numbers, int64 ``[A]``."""
        agents = np.empty(sum(map(len, self._seats)), np.int64)
        for first, size, seats in zip(self._firsts, self._sizes, self._seats, strict=True):
            chosen = self._draw(self.games[first : first + size], len(seats))
            agents[seats] = first + self.generator.permutation(chosen)
        return agents

    def _draw(self, games: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Draw agents of a role for so many seats, and count that: numbers within the role."""
        drawn = []
        while count:
            # Who may be drawn again is drawn for one seat after another.
            at_once = 1 if self._self_play else min(count, len(games))
            ties = self.generator.random(len(games))
            fewest = games if self._kind == "round_robin" else np.zeros_like(games)
            chosen = np.lexsort((ties, fewest))[:at_once]
            games[chosen] += 1
            drawn.append(chosen)
            count -= at_once
        return np.concatenate(drawn)


def steps_per_rollout(config: RunConfig, game: GameSpec) -> int:
    """Steps of all games in one rollout, so that each agent gets its transitions on average.

    Where roles get unequally many, it is those that get the fewest that count.
    """
    turns = game.num_seats if game.turn_based else 1  # until each seat has acted
    longest = 1
    for size, role in zip(population_sizes(config, game), game.roles, strict=True):
        wanted = config.rollout_transitions * size * turns
        longest = max(longest, -(-wanted // (config.games * len(role.seats))))
    return longest


def population_sizes(config: RunConfig, game: GameSpec) -> list[int]:
    """How many agents each role has.

    Raises
    ------
    ConfigError
        ``population_size`` is of other roles, or too small to play without ``self_play``.
    """
    sizes = _sizes(config.population_size, game)
    for role, size in zip(game.roles, sizes, strict=True):
        if config.self_play is False and size < len(role.seats):
            raise ConfigError(
                f"--no-self-play: {game.name} has {len(role.seats)} seats for the {size} agents of "
                f"role {role.name}: enlarge --population-size"
            )
    return sizes


def _sizes(size: int | dict[str, int], game: GameSpec) -> list[int]:
    if isinstance(size, int):
        return [size] * len(game.roles)
    names = [role.name for role in game.roles]
    unknown = [name for name in size if name not in names]
    missing = [name for name in names if name not in size]
    if unknown:
        meant = nearest(unknown[0], names)
        hint = f"did you mean {meant}?" if meant else f"{game.name} has {', '.join(names)}"
        raise ConfigError(f"--population-size: there is no role {unknown[0]}; {hint}")
    if missing:
        raise ConfigError(
            f"--population-size: role {missing[0]} of {game.name} has no number of agents"
        )
    return [size[name] for name in names]
