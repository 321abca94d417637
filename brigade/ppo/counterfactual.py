"""What an action did: the step as it went, less the same step without the agent's hand in it.

The simulator plays each night once more for each seat, with the others' actions, as if that seat
had rested at its home. What happens to a house is decided by the same draws (common random numbers;
``brigade-rs/src/draws.rs``), and what only the idle night draws for, such as the spreading of a
fire that the agent put out, by draws of another stream. So the distribution of the idle night's
outcome does not depend on what the agent chose: it is a baseline that leaves the policy gradient's
mean as it is; and all luck that both nights share is gone from the difference. What is left out is
what others later make of where they saw the agent: what is seen of it is the same in both nights.

It is a difference reward (Wolpert and Tumer 2002, "Optimal Payoff Functions for Members of
Collectives") with the values of what follows in it, and a baseline as in Foerster et al. 2018,
"Counterfactual Multi-Agent Policy Gradients", without a critic of joint actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brigade.ppo.gae import Floats


@dataclass(frozen=True)
class IdleSteps:
    """The same steps, had the agent rested at its home."""

    rewards: Floats  # [n]
    changed: NDArray[np.bool_]  # [n]: the houses, or the game's end, would be others
    values: Floats  # [n]: where they would, the value of what would follow; 0 after the end


def effects(
    rewards: Floats,
    values: Floats,
    discounts: Floats,
    lengths: NDArray[np.integer],
    bootstraps: Floats,
    advantages: Floats,
    idle: IdleSteps,
    gae_lambda: float,
) -> Floats:
    """By how much each action did better than rest, for M fragments one after another.

    Where it changed nothing, that is the rewards' difference and has no noise at all. Where it did,
    the value of what follows comes in; and, since values are only learned, λ times the advantage of
    the next step, as in GAE.

    Parameters
    ----------
    rewards, values, discounts, lengths, bootstraps, gae_lambda
        As for :func:`brigade.ppo.gae.gae`.
    advantages
        float32 ``[n]``: what that returned.
    idle
        The steps without the agent's hand in them.

    Returns
    -------
    float32 ``[n]``
    """
    ends = np.cumsum(lengths) - 1
    following = np.roll(values, -1)
    following[ends] = bootstraps
    later = np.roll(advantages, -1)
    later[ends] = 0
    ahead = following - idle.values + np.float32(gae_lambda) * later
    return rewards - idle.rewards + np.where(idle.changed, discounts * ahead, np.float32(0))
