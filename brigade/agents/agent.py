"""What an agent is, to everybody who lets one play."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Agent(Protocol):
    """One policy that acts for any number of seats at once.

    An agent keeps nothing between calls: all that it knows of a game is in the observation, and all
    its randomness comes from ``rng``. So the rows of one call may be of any seats and any games of
    the scenario and team size that it was made for.

    Examples
    --------
    >>> import brigade
    >>> env = brigade.BatchedEnv(8, "default", num_agents=4, seed=7)
    >>> agent = brigade.HeuristicAgent("hero", "default", num_agents=4)
    >>> rng = np.random.default_rng(7)
    >>> rows = env.reset().reshape(8 * 4, -1)
    >>> agent.act(rows, rng).reshape(8, 4, 3).shape
    (8, 4, 3)
    """

    @property
    def name(self) -> str:
        """What to call it, in tables and pictures."""
        ...

    def act(self, observations: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int32]:
        """Choose an action for every row.

        Parameters
        ----------
        observations
            float32 ``[R, F]``; see :func:`brigade.observation_layout`.
        rng
            Where all randomness comes from.

        Returns
        -------
        NDArray[np.int32]
            House, mode and signal of every row, ``[R, 3]``. In the signal step of a two-phase night
            only the signal counts.
        """
        ...
