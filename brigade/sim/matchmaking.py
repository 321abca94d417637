"""Matchmaking: which agents sit in a game."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray


class Matchmaker:
    """Draws the agents of one game after another; nobody sits twice in one.

    ``round_robin`` takes those with the fewest games so far, ties broken at random; ``random``
    takes anyone. Either way the seats within the game are dealt at random.

    Attributes
    ----------
    games
        int64 ``[population]``: games that each agent has been seated in.
    """

    def __init__(
        self,
        population_size: int,
        num_seats: int,
        kind: Literal["round_robin", "random"],
        generator: np.random.Generator,
    ) -> None:
        if num_seats > population_size:
            raise ValueError(f"{num_seats} seats for {population_size} agents")
        self.games: NDArray[np.int64] = np.zeros(population_size, np.int64)
        self.generator = generator
        self._num_seats = num_seats
        self._kind = kind

    def match(self) -> NDArray[np.int64]:
        """Seat the next game: agent numbers, int64 ``[seats]``."""
        ties = self.generator.random(len(self.games))
        fewest = self.games if self._kind == "round_robin" else np.zeros_like(self.games)
        chosen = np.lexsort((ties, fewest))[: self._num_seats]
        self.games[chosen] += 1
        return self.generator.permutation(chosen)
