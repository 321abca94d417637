"""The global state for centralised critics: what all seats see, once, and what sets them apart."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brigade._core import Scenario, observation_bounds, observation_layout

if TYPE_CHECKING:
    from gymnasium import spaces

__all__ = ["OWNERSHIP_PARAMETERS", "StateView", "state_layout"]

_OWN = ("owned", "home", "seat")
OWNERSHIP_PARAMETERS = (
    "reward_own_house_survives",
    "reward_other_house_survives",
    "penalty_own_house_burns",
    "penalty_other_house_burns",
)


class StateView:
    """Takes the global state from the observations of all seats.

    The state is the first seat's observation without the parts that only say who is looking
    (``owned``, ``home``, ``seat``), followed by the four ownership parameters of seats 1 … A-1
    (``ownership``, seat by seat): those alone can differ between seats.

    Attributes
    ----------
    space
        Box of the state, the same object at each use.
    layout
        Slice of each part.
    """

    def __init__(self, scenario: Scenario, num_agents: int) -> None:
        parts = observation_layout(scenario, num_agents)
        shared: list[int] = []
        self.layout: dict[str, slice] = {}
        for name, part in parts.items():
            if name not in _OWN:
                self.layout[name] = slice(len(shared), len(shared) + part.stop - part.start)
                shared.extend(range(part.start, part.stop))
        first = parts["parameters"].start
        shown = [name for name in Scenario.PARAMETERS if name != "agent_home_positions"]
        own = [first + shown.index(name) for name in OWNERSHIP_PARAMETERS]
        self.layout["ownership"] = slice(len(shared), len(shared) + 4 * (num_agents - 1))

        num_features = parts["parameters"].stop
        others = [seat * num_features + index for seat in range(1, num_agents) for index in own]
        self._take = np.array(shared + others, dtype=np.intp)
        self._bounds = [
            np.tile(bound, num_agents)[self._take]
            for bound in observation_bounds(scenario, num_agents)
        ]

    @cached_property
    def space(self) -> spaces.Space[Any]:
        """Make the Box; whoever needs none does not load Gymnasium."""
        from gymnasium import spaces

        low, high = self._bounds
        return spaces.Box(low, high, dtype=np.float32)

    def state(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the state, float32 ``[..., S]``, of observations ``[..., A, F]``; a fresh array."""
        *leading, seats, features = observations.shape  # of no game, too
        return observations.reshape(*leading, seats * features)[..., self._take]


def state_layout(scenario: Scenario, num_agents: int) -> dict[str, slice]:
    """Give the slice of each part of ``state()``."""
    return StateView(scenario, num_agents).layout
