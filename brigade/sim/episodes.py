"""Games that ended: who played them, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episodes:
    """Games that ended in one step, those left out that started in a random state."""

    agents: NDArray[np.int64]  # [m, A]: who sat where
    returns: NDArray[np.float64]  # [m, A]: each seat's undiscounted sum of the game's own rewards
    lengths: NDArray[np.int32]  # [m], by the game's own clock
    cut: NDArray[np.bool_]  # [m]: whether the limit on that ended it
    # [m]: how many of these had begun before it; -1 where it went on from a saved state
    numbers: NDArray[np.int64]
