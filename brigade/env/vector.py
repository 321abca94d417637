"""Many games as a ``gymnasium.vector.VectorEnv``: each seat of each game is one sub-environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gymnasium.vector
import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from brigade._core import Scenario, observation_bounds
from brigade.env.actions import ACTION_FORMS, ActionForm, action_masks, decode_all
from brigade.env.batched import BatchedEnv, check_count
from brigade.env.spaces import MaskableMultiDiscrete

__all__ = ["BrigadeVectorEnv", "vector_env"]

# Gymnasium names its autoreset modes from 1.1 on, and has another key for last observations since.
_MODE = getattr(gymnasium.vector, "AutoresetMode", None)
_FINAL_OBSERVATION = "final_observation" if _MODE is None else "final_obs"


class BrigadeVectorEnv(gymnasium.vector.VectorEnv):  # type: ignore[type-arg, unused-ignore]
    """A :class:`brigade.BatchedEnv` of B games as B * A sub-environments; ``brigade.vector_env``.

    For training loops written for Gymnasium's vector environments, in which one policy plays all
    seats (parameter sharing): row ``b * A + a`` is seat ``a`` of game ``b``. All rows of a game end
    in the same step, and that step starts its next game (``AutoresetMode.SAME_STEP``): the
    observation is the new game's, and ``infos["final_obs"]`` has the old one's last. Before
    Gymnasium 1.1 that key is ``final_observation``, and there is no ``autoreset_mode``.

    Parameters
    ----------
    num_games
        How many games, B.
    scenario, num_agents, max_cycles, num_threads
        As for :class:`brigade.BatchedEnv`.
    actions
        ``"multi"`` for ``MultiDiscrete([num_houses, 2, 2])``, ``"discrete"`` for
        ``Discrete(4 * num_houses)``; see :mod:`brigade.env.actions`.
    copy
        Whether :meth:`reset` and :meth:`step` give observations and rewards that are the caller's.
        Without, they are views of arrays that the next step overwrites.

    Attributes
    ----------
    games
        The :class:`brigade.BatchedEnv`: states for a centralised critic, seeds, returns.
    num_envs
        Rows, B * A.
    single_observation_space, single_action_space
        The spaces of one row: those of an agent in :func:`brigade.parallel_env`.
    observation_space, action_space
        The same for all rows at once, with the rows as their first axis. ``action_space.sample``
        takes masks as Gymnasium's spaces do: those of ``infos["action_mask"]`` are of one row each,
        for ``single_action_space.sample(mask)``.
    metadata
        ``autoreset_mode`` is ``AutoresetMode.SAME_STEP``.
    autoreset_mode
        The same, as in Gymnasium's own vector environments; None before Gymnasium 1.1.

    Raises
    ------
    ValueError
        An argument is not one of those above, or there is no such scenario.

    Examples
    --------
    >>> envs = BrigadeVectorEnv(16, "default", num_agents=4)
    >>> observations, infos = envs.reset(seed=7)
    >>> observations, rewards, terminations, truncations, infos = envs.step(
    ...     envs.action_space.sample()
    ... )
    >>> observations.shape, rewards.shape
    ((64, 117), (64,))
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it as an instance's)
        "name": "brigade_v0",
        "render_modes": [],
        **({} if _MODE is None else {"autoreset_mode": _MODE.SAME_STEP}),
    }

    def __init__(
        self,
        num_games: int,
        scenario: str | os.PathLike[str] | Scenario = "default",
        num_agents: int = 4,
        max_cycles: int = 1000,
        actions: ActionForm = "multi",
        num_threads: int = 1,
        copy: bool = True,
    ) -> None:
        if actions not in ACTION_FORMS:
            raise ValueError(f"actions must be 'multi' or 'discrete', not {actions!r}")
        self.games = BatchedEnv(
            check_count("num_games", num_games),
            scenario,
            num_agents,
            max_cycles,
            num_threads=num_threads,
        )
        self.action_form: ActionForm = actions
        self._masks = action_masks(self.games.scenario, num_agents, actions)
        self.copy = copy
        self.autoreset_mode = self.metadata.get("autoreset_mode")
        self.closed = False
        self.num_envs = self.games.num_envs * self.games.num_agents
        houses = self.games.scenario.num_houses
        low, high = observation_bounds(self.games.scenario, num_agents)
        self.single_observation_space = spaces.Box(low, high, dtype=np.float32)
        self.single_action_space = (
            MaskableMultiDiscrete([houses, 2, 2])
            if actions == "multi"
            else spaces.Discrete(4 * houses)
        )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start a new game everywhere.

        Parameters
        ----------
        seed
            One integer for all games, or one per game (not per row); it decides all that follows.
            Without, see :meth:`brigade.BatchedEnv.reset`.
        options
            There are none; Gymnasium asks for the argument.

        Returns
        -------
        observations, infos
            float32 ``[B * A, F]``, and :meth:`step`'s dictionary.

        Raises
        ------
        ValueError
            For a bad seed, options that are no dictionary, or the option ``reset_mask``: games
            start anew by themselves.
        gymnasium.error.ClosedEnvironmentError
            After :meth:`close`.
        """
        self._check_open()
        if not isinstance(options, dict | None):
            raise ValueError(f"options must be a dictionary or None, not {options!r:.80}")
        if options is not None and "reset_mask" in options:
            raise ValueError("reset_mask cannot be used: games that end start anew by themselves")
        return self._rows(self.games.reset(seed)), self._infos()

    def step(
        self, actions: Any
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Play one night (or one signal step) in every game.

        Parameters
        ----------
        actions
            Integers ``[B * A, 3]`` or, for discrete actions, ``[B * A]``.

        Returns
        -------
        observations, rewards, terminations, truncations, infos
            float32 ``[B * A, F]``, float32 ``[B * A]``, bool ``[B * A]`` twice, and a dictionary
            as Gymnasium's: beside each ``key`` a bool array ``_key``, true in the rows that have
            it. In all rows ``night`` and ``phase`` and, in scenarios that limit reach,
            ``action_mask``. In rows whose game has just ended ``final_obs`` (an object array of
            float32 ``[F]``, None in other rows) and ``final_info`` (the last ``night`` and
            ``phase`` of that game, and its mask).

        Raises
        ------
        ValueError
            If the actions are of another shape, not integers, or out of range. No game is stepped.
        gymnasium.error.ClosedEnvironmentError
            After :meth:`close`.
        """
        self._check_open()
        observations, rewards, terminated, truncated = self.games.step(self._triples(actions))
        seats = self.games.num_agents
        return (
            self._rows(observations),
            self._rows(rewards),
            np.repeat(terminated, seats),
            np.repeat(truncated, seats),
            self._infos(terminated | truncated),
        )

    def close(self, **kwargs: Any) -> None:
        """Say that it is closed; there is nothing to release."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError("the environment was closed: make another one")

    def _rows(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give ``[B, A, ...]`` as ``[B * A, ...]``, as a copy where the caller wants one."""
        rows = array.reshape(self.num_envs, *array.shape[2:])
        return rows.copy() if self.copy else rows

    def _triples(self, actions: Any) -> NDArray[np.integer[Any]]:
        """Give the actions of all rows as ``[B, A, 3]``."""
        given = np.asarray(actions)
        multi = self.action_form == "multi"
        shape = (self.num_envs, 3) if multi else (self.num_envs,)
        if given.dtype.kind not in "iu" or given.shape != shape:
            raise ValueError(
                f"actions must be integers of shape {shape}, "
                f"not {given.dtype} of shape {given.shape}"
            )
        houses, seats = self.games.scenario.num_houses, self.games.num_agents
        wrong = np.flatnonzero((given < 0) | (given >= 4 * houses))
        if len(wrong) and not multi:
            game, seat = divmod(int(wrong[0]), seats)
            raise ValueError(
                f"game {game}, seat {seat}: a discrete action is an integer from 0 to "
                f"{4 * houses - 1}, not {given[wrong[0]]}"
            )
        triples = given if multi else decode_all(given, houses)
        return triples.reshape(self.games.num_envs, self.games.num_agents, 3)

    def _infos(self, ended: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Give what Gymnasium's infos have; ``ended`` ``[B]``: games that just ended."""
        games = self.games
        infos = self._facts(games.nights, games.phases, np.ones(games.num_envs, dtype=np.bool_))
        if ended is not None and ended.any():
            rows = np.repeat(ended, games.num_agents)
            last = np.full(self.num_envs, None, dtype=object)
            seen = games.final_observations[ended].reshape(-1, games.num_features)
            for row, observation in zip(np.flatnonzero(rows), seen, strict=True):
                last[row] = observation
            infos[_FINAL_OBSERVATION], infos[f"_{_FINAL_OBSERVATION}"] = last, rows
            two_phase = games.scenario.commitment_mode == "two_phase"  # then a signal step is next
            phases = np.full(games.num_envs, two_phase, dtype=np.int8)
            infos["final_info"] = self._facts(games.lengths, phases, ended)
            infos["_final_info"] = rows.copy()
        return infos

    def _facts(
        self, nights: NDArray[np.int32], phases: NDArray[np.int8], which: NDArray[np.bool_]
    ) -> dict[str, Any]:
        """Give facts of games, ``[B]`` each, in all of their rows; 0 where not ``which``."""
        rows = np.repeat(which, self.games.num_agents)
        facts: dict[str, Any] = {
            "night": np.repeat(nights, self.games.num_agents) * rows,
            "phase": np.repeat(phases, self.games.num_agents) * rows,
        }
        if self._masks is not None:
            facts["action_mask"] = np.tile(self._masks, (len(which), 1)) * rows[:, None]
        return facts | {f"_{key}": rows.copy() for key in facts}


vector_env = BrigadeVectorEnv
