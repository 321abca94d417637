"""Generalised advantage estimation over fragments.

Source: Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage
Estimation", equation 16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def gae(
    rewards: Floats,
    values: Floats,
    discounts: Floats,
    lengths: NDArray[np.integer],
    bootstraps: Floats,
    gae_lambda: float,
) -> Floats:
    """Advantage of every transition of M fragments that lie one after another.

    A fragment is a stretch of one seat's steps in one game. Nothing passes from one fragment to
    another: what follows a fragment's last step is its bootstrap value, and that is 0 where the
    game terminated, and the value of the observation that follows where it was truncated or cut.

    Parameters
    ----------
    rewards, values, discounts
        float32 ``[n]``: reward of each step, value of the observation it was taken in, and how
        much the next step counts for (0.99, say; 1 after a step that takes no time).
    lengths
        int ``[M]``, at least 1 each, sum ``n``: steps of each fragment.
    bootstraps
        float32 ``[M]``: value of what follows each fragment.
    gae_lambda
        λ in [0, 1].

    Returns
    -------
    float32 ``[n]``
        The advantages; ``advantages + values`` are the value targets.
    """
    # Longest first: at each distance from their ends, the fragments that reach back so far are
    # a prefix, so the recursion runs over all of them as one vector.
    order = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths)[order] - 1
    reach = np.searchsorted(-lengths[order], -np.arange(1, lengths.max(initial=0) + 1), "right")
    following_value = bootstraps[order].astype(np.float32)
    following_advantage = np.zeros_like(following_value)
    advantages = np.empty_like(rewards)
    for back, count in enumerate(reach):
        at = ends[:count] - back
        value, discount = values[at], discounts[at]
        delta = rewards[at] + discount * following_value[:count] - value
        advantage = delta + discount * np.float32(gae_lambda) * following_advantage[:count]
        advantages[at] = advantage
        following_value, following_advantage = value, advantage
    return advantages
