"""Agents that were not trained: the archetypes, one that spreads out, one that acts at random.

They decide in the core; here is only what makes them agents.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brigade._core import ARCHETYPES, Heuristics, Scenario, num_features
from brigade.env.scenarios import load_scenario
from brigade.nearest import nearest

__all__ = ["ARCHETYPES", "HeuristicAgent", "RandomAgent", "SpreadAgent"]


class _Scripted:
    """What the scripted agents share."""

    _kind: Literal["archetype", "spread", "random"] = "archetype"

    def __init__(
        self,
        name: str,
        parameters: NDArray[np.float64] | None,
        scenario: str | os.PathLike[str] | Scenario,
        num_agents: int,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.scenario = load_scenario(scenario)
        self.num_agents = num_agents
        self._num_features = num_features(self.scenario, num_agents)
        # The core wants parameters by seat: the same for all, so that rows may be of any seat.
        self._by_seat = None if parameters is None else np.tile(parameters, (num_agents, 1))

    def act(self, observations: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int32]:
        """Choose an action for every row; see :meth:`brigade.agents.Agent.act`."""
        seed = int(rng.integers(0, 2**64, dtype=np.uint64))
        agents = Heuristics(self.scenario, self.num_agents, self._by_seat, seed, self._kind)
        num_rows = len(observations)
        if observations.shape != (num_rows, self._num_features):
            raise ValueError(
                f"observations must be of shape [R, {self._num_features}], not {observations.shape}"
            )
        # The core wants whole games: the last one is filled up with copies of the last row.
        filled = -num_rows % self.num_agents
        if filled:
            observations = np.concatenate([observations, observations[-1:].repeat(filled, axis=0)])
        games = np.ascontiguousarray(observations, dtype=np.float32)
        actions = agents.act(games.reshape(-1, self.num_agents, self._num_features))
        return actions.reshape(-1, 3)[:num_rows]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.scenario.name!r}, {self.num_agents})"


class HeuristicAgent(_Scripted):
    """An agent that ten numbers describe; four of them act.

    With chance ``work tendency * (1 - rest bias)`` it works: at its own house, the one with the
    number of its seat, if that burns and a draw is below ``own-house priority``; else at a burning
    house chosen at random; else at its own house. Otherwise it rests at its own house. With chance
    ``honesty`` it signals what it does, and the opposite otherwise.

    Parameters
    ----------
    parameters
        An archetype's name (``firefighter``, ``free_rider``, ``hero``, ``coordinator``, ``liar``)
        or ten numbers in [0, 1]: honesty, work tendency, neighbour help, own-house priority, risk
        aversion, coordination, exploration, altruism, rest bias, cooperation memory.
    scenario, num_agents
        The games to play: what their observations look like follows from these.
    """

    def __init__(
        self,
        parameters: str | Sequence[float] | NDArray[Any],
        scenario: str | os.PathLike[str] | Scenario = "default",
        num_agents: int = 4,
    ) -> None:
        named = isinstance(parameters, str)
        values = _archetype(parameters) if isinstance(parameters, str) else parameters
        name = str(parameters) if named else "heuristic"
        super().__init__(name, _ten_numbers(values), scenario, num_agents)


class SpreadAgent(_Scripted):
    """Works at the burning house whose turn its seat is, so that a team of them spreads out.

    Seat ``a`` takes burning house number ``a % burning`` in the order of the houses, and rests at
    its own where none burns. Its signals are true.
    """

    _kind = "spread"

    def __init__(
        self, scenario: str | os.PathLike[str] | Scenario = "default", num_agents: int = 4
    ) -> None:
        super().__init__("spread", None, scenario, num_agents)


class RandomAgent(_Scripted):
    """Takes every action with the same chance."""

    _kind = "random"

    def __init__(
        self, scenario: str | os.PathLike[str] | Scenario = "default", num_agents: int = 4
    ) -> None:
        super().__init__("random", None, scenario, num_agents)


def _archetype(name: str) -> Sequence[float]:
    """Give an archetype's parameters."""
    if name not in ARCHETYPES:
        near = nearest(name, ARCHETYPES)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"no archetype {name!r:.80}: there are {', '.join(ARCHETYPES)}{hint}")
    return ARCHETYPES[name]


def _ten_numbers(values: Any) -> NDArray[np.float64]:
    """Give ten parameters in [0, 1], or refuse them."""
    try:
        parameters = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        parameters = np.zeros(0)
    within = parameters.shape == (10,) and bool(np.all((parameters >= 0) & (parameters <= 1)))
    if not within:
        raise ValueError(
            f"parameters must be an archetype's name or ten numbers in [0, 1], not {values!r:.120}"
        )
    return parameters
