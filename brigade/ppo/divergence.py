"""When an agent's learning has diverged: what of it is not finite, or soon would not be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from brigade.ppo.agents import AgentState
from brigade.ppo.popart import SQUARES

# With larger weights a network's outputs, sums of products of three of them, could overflow: while
# features * hidden size * hidden size is below 1e9, they stay, also in the largest unit of values,
# below 1e38.
LARGEST_WEIGHT = 1e5
LARGEST_UNIT = 1e12


def divergence(
    state: AgentState, metrics: Mapping[str, float], num_weights: int | None = None
) -> str:
    """Say what of an agent went wrong in an update; "" where all is well.

    Parameters
    ----------
    state
        The agent after the update.
    metrics
        What the update was like.
    num_weights
        How many of the parameters are weights, the first ones (``Network.num_weights``); by default
        all. The others need only be finite.
    """
    for name, array in state.arrays().items():
        if not np.isfinite(array).all():
            return f"numbers that are not finite in its {name.replace('_', ' ')}"
    wrong = [name.replace("_", " ") for name, value in metrics.items() if not math.isfinite(value)]
    return f"its {wrong[0]} is not a finite number" if wrong else too_large(state, num_weights)


def refuse_too_large(
    states: Sequence[AgentState], num_weights: Sequence[int | None] | None = None
) -> None:
    """See that a population's networks can be computed with; ``num_weights`` are of each.

    Raises
    ------
    ValueError
        One could overflow.
    """
    for agent, (state, first) in enumerate(
        zip(states, num_weights or [None] * len(states), strict=True)
    ):
        what = too_large(state, first)
        if what:
            raise ValueError(f"agent {agent} has {what}, and cannot be computed with")


def too_large(state: AgentState, num_weights: int | None = None) -> str:
    """Say what of a finite state could make the network's outputs overflow; "" for nothing.

    ``num_weights`` as above.
    """
    largest = float(np.abs(state.parameters[:num_weights]).max(initial=0))
    if largest > LARGEST_WEIGHT:
        return f"a parameter of {largest:.3g}, beyond {LARGEST_WEIGHT:g}"
    unit = math.sqrt(abs(float(state.statistics[SQUARES])))
    return f"values of {unit:.3g}, beyond {LARGEST_UNIT:g}" if unit > LARGEST_UNIT else ""
