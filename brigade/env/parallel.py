"""The game as a PettingZoo ``ParallelEnv``: one compiled call and few Python objects per step."""

from __future__ import annotations

import os
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv  # type: ignore[import-untyped]

from brigade._core import Scenario, observation_bounds
from brigade.env.actions import ACTION_FORMS, ActionForm, action_masks, decode, encode
from brigade.env.game import Game
from brigade.env.gather import Gatherer
from brigade.env.scenarios import load_scenario
from brigade.env.spaces import MaskableMultiDiscrete
from brigade.env.state import StateView
from brigade.extras import require

if TYPE_CHECKING:
    from brigade.env.render.window import Window

__all__ = ["BrigadeParallelEnv", "parallel_env"]

RENDER_MODES = ("human", "rgb_array", "ansi")

Observations = dict[str, NDArray[np.float32]]
Infos = dict[str, dict[str, Any]]
StepResult = tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]


class BrigadeParallelEnv(ParallelEnv[str, NDArray[np.float32], Any]):  # type: ignore[misc]
    """One game of Bucket Brigade for PettingZoo; ``brigade.parallel_env`` is this class.

    Agents are ``agent_0`` … ``agent_{A-1}``, in seats 0 … A-1; all of them end in the same step.
    Each info dictionary has ``night`` (nights played), ``phase`` (1 if the next step is the signal
    step of a two-phase night) and, where the scenario limits reach, ``action_mask``.

    Parameters
    ----------
    scenario
        A name, a scenario file or a :class:`brigade.Scenario`.
    num_agents
        Seats. PettingZoo's property of the same name counts the agents still playing.
    max_cycles
        Nights after which a game that has not ended is truncated.
    render_mode
        ``"human"``, ``"rgb_array"``, ``"ansi"`` or None.
    actions
        ``"multi"`` for ``MultiDiscrete([num_houses, 2, 2])``, ``"discrete"`` for
        ``Discrete(4 * num_houses)``; see :mod:`brigade.env.actions`.

    Attributes
    ----------
    scenario
        The :class:`brigade.Scenario`.
    action_form
        ``"multi"`` or ``"discrete"``.
    observation_spaces, action_spaces
        Spaces by agent, the same objects that the methods give.
    state_space
        Space of :meth:`state`.

    Raises
    ------
    ValueError
        An argument is not one of those above, or there is no such scenario.
    MissingExtra
        ``render_mode`` needs the extra ``render``, which is not installed (an ImportError).

    Examples
    --------
    >>> env = BrigadeParallelEnv("default", num_agents=4)
    >>> observations, infos = env.reset(seed=7)
    >>> actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    >>> observations, rewards, terminations, truncations, infos = env.step(actions)
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (PettingZoo declares it as an instance's)
        "render_modes": list(RENDER_MODES),
        "name": "brigade_v0",
        "is_parallelizable": True,
        "render_fps": 2,
    }

    def __init__(
        self,
        scenario: str | os.PathLike[str] | Scenario = "default",
        num_agents: int = 4,
        max_cycles: int = 1000,
        render_mode: str | None = None,
        actions: ActionForm = "multi",
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(
                f"render_mode must be one of {', '.join(RENDER_MODES)} or None, not {render_mode!r}"
            )
        if render_mode in ("human", "rgb_array"):
            require(f"render_mode={render_mode!r}", "render")
        if actions not in ACTION_FORMS:
            raise ValueError(f"actions must be 'multi' or 'discrete', not {actions!r}")
        self.scenario = load_scenario(scenario)
        self.render_mode = render_mode
        self.action_form: ActionForm = actions
        self._game = Game(self.scenario, num_agents, max_cycles)
        seats = self._game.num_agents
        houses = self.scenario.num_houses
        self.possible_agents = [f"agent_{seat}" for seat in range(seats)]
        self.agents = self.possible_agents[:]

        low, high = observation_bounds(self.scenario, seats)
        self.observation_spaces: dict[str, spaces.Space[Any]] = {
            agent: spaces.Box(low, high, dtype=np.float32) for agent in self.possible_agents
        }
        self.action_spaces: dict[str, spaces.Space[Any]] = {
            agent: MaskableMultiDiscrete([houses, 2, 2])
            if actions == "multi"
            else spaces.Discrete(4 * houses)
            for agent in self.possible_agents
        }
        self._view = StateView(self.scenario, seats)
        self.state_space = self._view.space
        self._gatherer = Gatherer(self.possible_agents, houses, actions)
        self._masks = action_masks(self.scenario, seats, actions)
        self._window: Window | None = None

    @property
    def max_cycles(self) -> int:
        """Nights after which a game is truncated; may be changed at any time."""
        return self._game.max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int) -> None:
        self._game.max_cycles = value

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's observation space, the same object at each call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Give the agent's action space, the same object at each call."""
        return self.action_spaces[agent]

    def encode(self, action: Any) -> int:
        """Give the discrete number of a ``[house, mode, signal]``."""
        return encode(action, self.scenario.num_houses)

    def decode(self, code: Any) -> NDArray[np.int64]:
        """Give the ``[house, mode, signal]`` of a discrete number, int64 ``[3]``."""
        return decode(code, self.scenario.num_houses)

    def check_action(self, agent: str, action: Any) -> list[int] | int:
        """Give an agent's action as Python integers, or say what is wrong with it."""
        values = self._gatherer.check_one(agent, action)
        return values if self.action_form == "multi" else values[0]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Start a new game.

        Parameters
        ----------
        seed
            Decides everything after it, also later games that are started without a seed. Without
            one, the first reset draws a seed from the operating system.
        options
            Ignored; PettingZoo asks for it.

        Returns
        -------
        observations, infos
            Per agent: float32 ``[F]``, and numbers.
        """
        self._game.reset(seed)
        self.agents = self.possible_agents[:]
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._inform()

    def step(self, actions: dict[str, Any]) -> StepResult:
        """Play one night, or one signal step of a two-phase night.

        Parameters
        ----------
        actions
            An action for each agent: integers of any type.

        Returns
        -------
        observations, rewards, terminations, truncations, infos
            Per agent: float32 ``[F]``, float, bool, bool, and numbers.

        Raises
        ------
        ValueError
            If an action is missing, of another shape, no integer or out of range, or if the game
            is over. Nothing is stepped then.
        """
        game = self._game
        if not self.agents or not game.started:
            return self._step_no_game(actions)
        gathered = self._gatherer.gather(actions)
        try:
            game.step(gathered)
        except ValueError:
            self._gatherer.check(actions)  # names the agent
            raise
        if self.render_mode == "human":
            self.render()

        agents = self.possible_agents
        terminations = dict.fromkeys(agents, game.ending == "terminated")
        truncations = dict.fromkeys(agents, game.ending == "truncated")
        if game.ending is not None:
            self.agents = []
        rewards = dict(zip(agents, game.rewards.tolist(), strict=True))
        return self._observe(), rewards, terminations, truncations, self._inform()

    def _step_no_game(self, actions: dict[str, Any]) -> StepResult:
        """Answer a step where no game runs: nothing to nobody, else an error."""
        if self._game.started and not actions:
            return {}, {}, {}, {}, {}
        state = "the game is over" if self._game.started else "no game has begun"
        raise ValueError(f"{state}: call reset() before step()")

    def _observe(self) -> Observations:
        """Give each agent its row of one fresh block."""
        return dict(zip(self.possible_agents, self._game.observations.copy(), strict=True))

    def _inform(self) -> Infos:
        """Give each agent a fresh info dictionary."""
        night, phase = self._game.night, self._game.phase
        infos: Infos = {agent: {"night": night, "phase": phase} for agent in self.possible_agents}
        if self._masks is not None:
            for info, mask in zip(infos.values(), self._masks, strict=True):
                info["action_mask"] = mask.copy()
        return infos

    def state(self) -> NDArray[np.float32]:
        """Give the global state, float32 ``[S]``; after the last step too.

        See :func:`brigade.env.state.state_layout` for its parts.
        """
        if not self._game.started:
            raise ValueError("no game has begun: call reset() before state()")
        return self._view.state(self._game.observations)

    def render(self) -> NDArray[np.uint8] | str | None:
        """Show the game as ``render_mode`` says.

        Returns
        -------
        NDArray[np.uint8] | str | None
            ``rgb_array``: an image ``[height, width, 3]``. ``ansi``: text. ``human``: None, the
            window shows it.
        """
        if not self._game.started:
            raise ValueError("no game has begun: call reset() before render()")
        if self.render_mode is None:
            raise ValueError(
                "this environment was made without render_mode: "
                f"give one of {', '.join(RENDER_MODES)}"
            )
        from brigade.env.render import Snapshot, picture, text

        snapshot = Snapshot.of_game(self._game)
        if self.render_mode == "ansi":
            return text(snapshot)
        if self.render_mode == "rgb_array":
            return picture(snapshot)
        if self._window is None:
            from brigade.env.render.window import Window

            self._window = Window(str(self))
        self._window.show(snapshot, self.metadata["render_fps"])
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        game = copy(self._game)  # so that a shallow copy has a game of its own too
        return {**self.__dict__, "_game": game, "agents": self.agents[:], "_window": None}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BrigadeParallelEnv):
            return NotImplemented
        return self.action_form == other.action_form and self._game == other._game

    def __hash__(self) -> int:
        return hash((self.scenario, len(self.possible_agents), self.action_form))


parallel_env = BrigadeParallelEnv
