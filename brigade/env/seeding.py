"""Seeds: what a caller may give, and what it means for one game or for many."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LIMIT = 1 << 64


def check_seed(seed: Any) -> int:
    """Give ``seed`` as a Python int in 0 … 2**64 - 1, or refuse it."""
    try:
        value = -1 if isinstance(seed, bool | np.bool_) else operator.index(seed)
    except TypeError:
        value = -1
    if not 0 <= value < _LIMIT:
        raise ValueError(f"seed must be an integer from 0 to 2**64 - 1, not {seed!r:.80}")
    return value


def fresh_seed() -> int:
    """Draw the seed of one game from the operating system."""
    return secrets.randbits(64)


def game_seeds(
    seed: int | Sequence[int] | NDArray[Any] | None, num_games: int
) -> NDArray[np.uint64]:
    """Give each of ``num_games`` games its seed.

    Parameters
    ----------
    seed
        An int seeds all games through :class:`numpy.random.SeedSequence`, so that the first games
        of a larger set have the seeds of a smaller one. A sequence has one seed per game. None
        draws from the operating system.
    num_games
        How many games.

    Returns
    -------
    NDArray[np.uint64]
        Seeds, shape ``[num_games]``.
    """
    if seed is None:
        sequence = np.random.SeedSequence()
    elif isinstance(seed, Sequence | np.ndarray):
        if isinstance(seed, str) or np.ndim(seed) != 1 or len(seed) != num_games:
            raise ValueError(
                f"seed must be one integer or {num_games} of them, one per game, not {seed!r:.80}"
            )
        return np.array([check_seed(value) for value in seed], dtype=np.uint64)
    else:
        sequence = np.random.SeedSequence(check_seed(seed))
    return sequence.generate_state(num_games, np.uint64).astype(np.uint64, copy=False)
