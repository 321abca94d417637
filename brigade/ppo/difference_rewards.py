"""Difference rewards: a step's outcome less what it would be with a default action in its place.

The simulator looks at each step once more for each seat: the others act as they did, and that seat
takes the default action. Both outcomes should be decided by the same draws as far as that is
possible (common random numbers), and what is drawn for in the default outcome only by draws of
another stream. Then the distribution of the default outcome does not depend on what the agent
chose: it is a baseline that leaves the policy gradient's mean as it is, and all luck that both
outcomes share is gone from the difference. What is left out is what others later make of what they
saw the agent do: what is seen of it is the same in both.

The method is Wolpert and Tumer 2002, "Optimal Payoff Functions for Members of Collectives", with
the values of what follows added to the rewards. As in Foerster et al. 2018, "Counterfactual
Multi-Agent Policy Gradients", the difference serves as an advantage; there is no critic of joint
actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brigade.ppo.gae import Floats


@dataclass(frozen=True)
class DefaultSteps:
    """The same steps, had the agent taken the default action."""

    rewards: Floats  # [n]
    changed: NDArray[np.bool_]  # [n]: what follows, or the game's end, would be another
    values: Floats  # [n]: where they would, the value of what would follow; 0 after the end


def difference_advantages(
    rewards: Floats,
    values: Floats,
    discounts: Floats,
    lengths: NDArray[np.integer],
    bootstraps: Floats,
    advantages: Floats,
    default: DefaultSteps,
    gae_lambda: float,
) -> Floats:
    """By how much each action did better than the default one, for M fragments in a row.

    Where it changed nothing, that is the rewards' difference and has no noise at all. Where it did,
    the value of what follows comes in; and, since values are only learned, λ times the advantage of
    the next step, as in GAE.

    Parameters
    ----------
    rewards, values, discounts, lengths, bootstraps, gae_lambda
        As for :func:`brigade.ppo.gae.gae`.
    advantages
        float32 ``[n]``: what that returned.
    default
        The same steps with the default action.

    Returns
    -------
    float32 ``[n]``
    """
    ends = np.cumsum(lengths) - 1
    following = np.roll(values, -1)
    following[ends] = bootstraps
    later = np.roll(advantages, -1)
    later[ends] = 0
    ahead = following - default.values + np.float32(gae_lambda) * later
    return rewards - default.rewards + np.where(default.changed, discounts * ahead, np.float32(0))
