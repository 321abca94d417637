"""The game as a PettingZoo ``AECEnv``: agents act one after the other, nights fall together."""

from __future__ import annotations

import os
from collections.abc import Iterable
from copy import copy
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv  # type: ignore[import-untyped]
from pettingzoo.utils.wrappers import (  # type: ignore[import-untyped]
    OrderEnforcingWrapper,
)

from brigade._core import Scenario
from brigade.env.actions import ActionForm
from brigade.env.parallel import BrigadeParallelEnv

__all__ = ["AECInterface", "BrigadeAECEnv", "env", "raw_env"]


class AECInterface(Protocol):
    """What PettingZoo documents of an ``AECEnv``, in types; PettingZoo itself comes without.

    Observations are float32 ``[F]``, actions ``[house, mode, signal]`` or their discrete number.
    """

    metadata: dict[str, Any]
    render_mode: str | None
    agents: list[str]
    possible_agents: list[str]
    agent_selection: str
    rewards: dict[str, float]
    terminations: dict[str, bool]
    truncations: dict[str, bool]
    infos: dict[str, dict[str, Any]]

    @property
    def num_agents(self) -> int:
        """Agents still playing."""

    @property
    def max_num_agents(self) -> int:
        """Seats."""

    @property
    def unwrapped(self) -> BrigadeAECEnv:
        """The environment without wrappers."""

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's observation space."""

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's action space."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a new game."""

    def observe(self, agent: str) -> NDArray[np.float32] | None:
        """Give what the agent saw after the last night."""

    def last(
        self, observe: bool = True
    ) -> tuple[NDArray[np.float32] | None, float, bool, bool, dict[str, Any]]:
        """Give observation, reward, termination, truncation and info of the selected agent."""

    def step(self, action: Any) -> None:
        """Take the selected agent's action."""

    def agent_iter(self, max_iter: int = ...) -> Iterable[str]:
        """Give the agents in the order in which they act."""

    def state(self) -> NDArray[np.float32]:
        """Give the global state, float32 ``[S]``."""

    def render(self) -> NDArray[np.uint8] | str | None:
        """Show the game as ``render_mode`` says."""

    def close(self) -> None:
        """Close the window, if there is one."""


class BrigadeAECEnv(AECEnv[str, NDArray[np.float32], Any]):  # type: ignore[misc]
    """One game, agent by agent; ``brigade.raw_env`` is this class.

    The agents give their actions in the order of their seats, and none sees another's before all
    have acted; with the last one the night is played. Everything else, and the parameters, are
    those of :class:`brigade.env.parallel.BrigadeParallelEnv`, which does the work.
    """

    metadata: dict[str, Any] = BrigadeParallelEnv.metadata

    def __init__(
        self,
        scenario: str | os.PathLike[str] | Scenario = "default",
        num_agents: int = 4,
        max_cycles: int = 1000,
        render_mode: str | None = None,
        actions: ActionForm = "multi",
    ) -> None:
        super().__init__()
        self.parallel = BrigadeParallelEnv(scenario, num_agents, max_cycles, render_mode, actions)
        self.scenario = self.parallel.scenario
        self.render_mode = render_mode
        self.action_form: ActionForm = actions
        self.possible_agents = self.parallel.possible_agents[:]
        self.observation_spaces = self.parallel.observation_spaces
        self.action_spaces = self.parallel.action_spaces
        self.state_space = self.parallel.state_space
        self.agents = self.possible_agents[:]
        self.agent_selection = self.agents[0]
        self._start({}, {})

    def _start(
        self, observations: dict[str, NDArray[np.float32]], infos: dict[str, dict[str, Any]]
    ) -> None:
        """Set what a new game starts with."""
        self.agents = self.possible_agents[:]
        self.agent_selection = self.agents[0]
        self.rewards: dict[str, float] = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards: dict[str, float] = dict.fromkeys(self.agents, 0.0)
        self.terminations: dict[str, bool] = dict.fromkeys(self.agents, False)
        self.truncations: dict[str, bool] = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = infos
        self._observations = observations
        self._given: dict[str, list[int] | int] = {}

    @property
    def max_cycles(self) -> int:
        """Nights after which a game is truncated; may be changed at any time."""
        return self.parallel.max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int) -> None:
        self.parallel.max_cycles = value

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's observation space, the same object at each call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's action space, the same object at each call."""
        return self.action_spaces[agent]

    def encode(self, action: Any) -> int:
        """Give the discrete number of a ``[house, mode, signal]``."""
        return self.parallel.encode(action)

    def decode(self, code: Any) -> NDArray[np.int64]:
        """Give the ``[house, mode, signal]`` of a discrete number, int64 ``[3]``."""
        return self.parallel.decode(code)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a new game; ``seed`` decides everything after it."""
        self._start(*self.parallel.reset(seed=seed, options=options))

    def observe(self, agent: str) -> NDArray[np.float32]:
        """Give what the agent saw after the last night, float32 ``[F]``; a fresh array."""
        if agent not in self._observations:
            raise ValueError(
                f"no observation of {agent!r}: call reset(), and name one of its agents"
            )
        return self._observations[agent].copy()

    def step(self, action: Any) -> None:
        """Take the selected agent's action; the last agent's plays the night.

        After the game's end each agent is stepped once more, with None, as PettingZoo asks.
        """
        if not self._observations:
            raise ValueError("no game has begun: call reset() before step()")
        if not self.agents:
            raise ValueError("the game is over: call reset() before step()")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._given[agent] = self.parallel.check_action(agent, action)
        self._cumulative_rewards[agent] = 0.0
        seat = len(self._given)
        if seat < len(self.possible_agents):
            self._clear_rewards()
            self.agent_selection = self.possible_agents[seat]
            return
        given, self._given = self._given, {}
        (
            self._observations,
            self.rewards,
            self.terminations,
            self.truncations,
            self.infos,
        ) = self.parallel.step(given)
        self.agent_selection = self.possible_agents[0]
        self._accumulate_rewards()

    def _clear_rewards(self) -> None:
        """Set the rewards of the agents still here to 0."""
        self.rewards = dict.fromkeys(self.agents, 0.0)

    def state(self) -> NDArray[np.float32]:
        """Give the global state, float32 ``[S]``."""
        return self.parallel.state()

    def render(self) -> NDArray[np.uint8] | str | None:
        """Show the game as ``render_mode`` says."""
        return self.parallel.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self.parallel.close()

    def __getstate__(self) -> dict[str, Any]:
        # A shallow copy has a game of its own too; no array in it is ever changed in place.
        kinds = (BrigadeParallelEnv, dict, list)
        return {
            name: copy(value) if isinstance(value, kinds) else value
            for name, value in self.__dict__.items()
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BrigadeAECEnv):
            return NotImplemented
        return (
            self.parallel == other.parallel
            and self.agents == other.agents
            and self.agent_selection == other.agent_selection
            and self._given == other._given
        )

    def __hash__(self) -> int:
        return hash(self.parallel)


def env(
    scenario: str | os.PathLike[str] | Scenario = "default",
    num_agents: int = 4,
    max_cycles: int = 1000,
    render_mode: str | None = None,
    actions: ActionForm = "multi",
) -> AECInterface:
    """Make the AEC environment with PettingZoo's check that its calls come in order.

    The parameters are those of :class:`brigade.env.parallel.BrigadeParallelEnv`.
    """
    game = BrigadeAECEnv(scenario, num_agents, max_cycles, render_mode, actions)
    ordered: AECInterface = OrderEnforcingWrapper(game)
    return ordered


raw_env = BrigadeAECEnv
