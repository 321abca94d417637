"""The two forms of an action, and what each seat can reach.

``multi``: ``[house, mode, signal]`` of ``MultiDiscrete([num_houses, 2, 2])``; mode 1 is work, and
signal 1 says "I will work". ``discrete``: one number of ``Discrete(4 * num_houses)``,
``house * 4 + mode * 2 + signal``.
"""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brigade._core import Scenario

ActionForm = Literal["multi", "discrete"]
ACTION_FORMS: tuple[ActionForm, ...] = ("multi", "discrete")


def encode(action: Any, num_houses: int) -> int:
    """Give the number of a ``[house, mode, signal]``.

    Examples
    --------
    >>> encode([3, 1, 0], num_houses=10)
    14
    """
    try:
        house, mode, signal = (operator.index(value) for value in action)
    except (TypeError, ValueError):
        house, mode, signal = -1, -1, -1
    if not (0 <= house < num_houses and 0 <= mode < 2 and 0 <= signal < 2):
        raise ValueError(
            f"an action is three integers [house, mode, signal] below [{num_houses}, 2, 2], "
            f"not {action!r:.80}"
        )
    return house * 4 + mode * 2 + signal


def decode(code: Any, num_houses: int) -> NDArray[np.int64]:
    """Give the ``[house, mode, signal]`` of a number, int64 ``[3]``.

    Examples
    --------
    >>> decode(14, num_houses=10).tolist()
    [3, 1, 0]
    """
    try:
        value = operator.index(code)
    except TypeError:
        value = -1
    if not 0 <= value < 4 * num_houses:
        raise ValueError(
            f"a discrete action is an integer from 0 to {4 * num_houses - 1}, not {code!r:.80}"
        )
    return np.array([value >> 2, value >> 1 & 1, value & 1], dtype=np.int64)


def decode_all(codes: NDArray[np.integer[Any]], num_houses: int) -> NDArray[np.int32]:
    """Give the ``[house, mode, signal]`` of many numbers, int32 ``[..., 3]`` of ``[...]``.

    Raises
    ------
    ValueError
        One of them is not below ``4 * num_houses``.

    Examples
    --------
    >>> decode_all(np.array([14, 0]), num_houses=10).tolist()
    [[3, 1, 0], [0, 0, 0]]
    """
    wrong = codes[(codes < 0) | (codes >= 4 * num_houses)]
    if wrong.size:
        raise ValueError(
            f"a discrete action is an integer from 0 to {4 * num_houses - 1}, not {wrong[0]}"
        )
    values = codes.astype(np.int32)
    return np.stack([values >> 2, values >> 1 & 1, values & 1], axis=-1)


def homes(scenario: Scenario, num_agents: int) -> tuple[int, ...]:
    """Give the home of each seat."""
    given = scenario.agent_home_positions
    if given is not None:
        return tuple(given)
    return tuple(seat % scenario.num_houses for seat in range(num_agents))


def reach(scenario: Scenario, num_agents: int) -> NDArray[np.int8] | None:
    """Give which houses each seat can work at, or None where all are within reach.

    Returns
    -------
    NDArray[np.int8] | None
        ``[A, N]``, 1 where the seat's target stands as it is. A target out of reach is no error:
        the rules turn it into the seat's home.
    """
    if scenario.action_validity_mode != "adjacent_only":
        return None
    n = scenario.num_houses
    steps = np.abs(np.arange(n)[None, :] - np.array(homes(scenario, num_agents))[:, None])
    within: NDArray[np.int8] = (np.minimum(steps, n - steps) <= 1).astype(np.int8)
    return within


def action_masks(
    scenario: Scenario, num_agents: int, form: ActionForm
) -> list[NDArray[np.int8]] | None:
    """Give each seat's mask, or None where there are no limits.

    Returns
    -------
    list or None
        For each seat int8, 1 where allowed. ``discrete``: ``[4 N]``. ``multi``: ``[N + 4]``, the
        houses, then the two modes, then the two signals.
    """
    within = reach(scenario, num_agents)
    if within is None:
        return None
    if form == "discrete":
        return [np.repeat(row, 4) for row in within]
    return [np.append(row, np.ones(4, dtype=np.int8)) for row in within]
