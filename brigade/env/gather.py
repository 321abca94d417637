"""From the actions that callers give to the array that the core takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade.env.actions import ActionForm


class Gatherer:
    """Turns a dictionary of actions into int32 ``[1, A, 3]``, in a buffer that it keeps.

    Parameters
    ----------
    agents
        Names of the agents, in the order of their seats.
    num_houses
        Houses of the scenario.
    form
        How actions are coded.
    """

    def __init__(self, agents: Sequence[str], num_houses: int, form: ActionForm) -> None:
        self._form: ActionForm = form
        self._agents = list(agents)
        self._num_houses = num_houses
        self._multi = form == "multi"
        self._shape = (len(self._agents), 3) if self._multi else (len(self._agents),)
        self._buffer = np.zeros((1, len(self._agents), 3), dtype=np.int32)
        self._rows = self._buffer[0]

    def __reduce__(self) -> tuple[type[Gatherer], tuple[list[str], int, ActionForm]]:
        return Gatherer, (self._agents, self._num_houses, self._form)

    def gather(self, actions: Mapping[str, Any]) -> NDArray[np.int32]:
        """Give the actions of all agents, which the core checks for range.

        A caller whom the core then refuses should call :meth:`check` for a better message.
        """
        try:
            given = np.array([actions[agent] for agent in self._agents])
        except (KeyError, TypeError, ValueError, OverflowError, Warning):
            given = self.check(actions)
        if (
            given.dtype.kind not in "iu"
            or given.shape != self._shape
            or len(actions) != len(self._agents)
            or (given.itemsize == 8 and (given >> 31).any())  # would wrap around in int32
        ):
            given = self.check(actions)
        rows = self._rows
        if self._multi:
            np.copyto(rows, given, casting="unsafe")
        else:
            rows[:, 0] = given >> 2
            rows[:, 1] = given >> 1 & 1
            rows[:, 2] = given & 1
        return self._buffer

    def check(self, actions: Mapping[str, Any]) -> NDArray[np.int64]:
        """Give the actions one by one, or name the one that is wrong.

        Returns
        -------
        NDArray[np.int64]
            ``[A, 3]`` or, for discrete actions, ``[A]``.
        """
        if not isinstance(actions, Mapping):
            raise ValueError(f"actions must be a dictionary by agent, not {type(actions).__name__}")
        unknown = [name for name in actions if name not in self._agents]
        missing = [agent for agent in self._agents if agent not in actions]
        if missing or unknown:
            fault = f"no action for {missing[0]!r}" if missing else f"no agent {unknown[0]!r}"
            raise ValueError(
                f"actions must have one entry for each of {self._agents[0]} … {self._agents[-1]}: "
                f"{fault}"
            )
        checked = [self.check_one(agent, actions[agent]) for agent in self._agents]
        return np.array(checked, dtype=np.int64).reshape(self._shape)

    def check_one(self, agent: str, action: Any) -> list[int]:
        """Give one agent's action as Python integers within range, three or one of them."""
        bounds = [self._num_houses, 2, 2] if self._multi else [4 * self._num_houses]
        try:
            array = np.asarray(action)
        except (TypeError, ValueError, Warning):
            array = np.empty(0, dtype=object)
        right_size = array.shape == (3,) if self._multi else array.size == 1
        if array.dtype.kind in "iu" and right_size:
            values = [int(value) for value in array.reshape(-1)]
            if all(0 <= value < bound for value, bound in zip(values, bounds, strict=True)):
                return values
        wanted = (
            f"[house, mode, signal], integers below {bounds}"
            if self._multi
            else f"an integer from 0 to {bounds[0] - 1}"
        )
        raise ValueError(f"the action of {agent} must be {wanted}, not {action!r:.80}")
