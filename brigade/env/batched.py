"""Many games at once, stepped in Rust with the GIL released."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brigade._core import Batch, Scenario
from brigade.env.actions import action_masks
from brigade.env.scenarios import load_scenario
from brigade.env.seeding import game_seeds
from brigade.env.state import StateView

if TYPE_CHECKING:
    from gymnasium import spaces

__all__ = ["BatchedEnv", "DefaultOutcomes"]

_INT32 = np.iinfo(np.int32)


def check_count(name: str, count: Any) -> int:
    """Check how many games are asked for.

    Raises
    ------
    ValueError
        It is no integer from 1 to 2**32 - 1.
    """
    whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not whole or not 0 < count < 1 << 32:
        raise ValueError(f"{name} must be an integer from 1 to {(1 << 32) - 1}, not {count!r}")
    return int(count)


class DefaultOutcomes(NamedTuple):
    """The coming step of B games, for each of A seats as if that seat took the default action."""

    rewards: NDArray[np.float32]  # [B, A, A]: what all seats would get, for each that rests
    terminated: NDArray[np.bool_]  # [B, A]: whether the game would end by its rules
    changed: NDArray[np.bool_]  # [B, A]: whether the seat's action changes houses or the game's end
    observations: NDArray[np.float32]  # [B, A, F]: what it would see, where changed; else 0


class BatchedEnv:
    """``num_envs`` independent games of one scenario, stepped together and reset where they end.

    Every array is allocated once and overwritten by each step: copy what must outlive it. Where a
    game ends, the same step starts its next one: ``observations`` then has the new game's first
    observations and ``final_observations`` those after the last night of the old one. Game ``b``
    plays what :class:`brigade.Engine` plays with seed ``seeds[b]`` and resets without a seed.

    Two-phase scenarios take two steps a night: in the first only the signals count, rewards are 0
    and nothing ends.

    Parameters
    ----------
    num_envs
        How many games, B.
    scenario
        A name, a scenario file or a :class:`brigade.Scenario`.
    num_agents
        Seats in each game, A.
    max_cycles
        Nights after which a game that has not ended is truncated.
    seed
        What the first :meth:`reset` uses if it is given none itself.
    num_threads
        Threads that share a step. Results do not depend on it.

    Attributes
    ----------
    observations
        float32 ``[B, A, F]``: what each seat sees now; see :func:`brigade.observation_layout`.
    rewards
        float32 ``[B, A]``: of the last step.
    terminated
        bool ``[B]``: the game ended by its rules in the last step.
    truncated
        bool ``[B]``: the game was cut after ``max_cycles`` nights in the last step.
    final_observations
        float32 ``[B, A, F]``: where a game just ended, its last observations. Other rows are stale.
    returns
        float64 ``[B, A]``: sum of the rewards of the running game, or of the one that just ended.
    lengths
        int32 ``[B]``: nights played of that same game.
    seeds
        uint64 ``[B]``: the seed that each game's stream of draws started from.

    Examples
    --------
    >>> env = BatchedEnv(64, "default", num_agents=4, seed=7)
    >>> observations = env.reset()
    >>> actions = np.zeros((64, 4, 3), dtype=np.int32)  # everybody rests at house 0
    >>> observations, rewards, terminated, truncated = env.step(actions)
    """

    def __init__(
        self,
        num_envs: int,
        scenario: str | os.PathLike[str] | Scenario = "default",
        num_agents: int = 4,
        max_cycles: int = 1000,
        seed: int | Sequence[int] | None = None,
        num_threads: int = 1,
    ) -> None:
        num_envs = check_count("num_envs", num_envs)
        self.scenario = load_scenario(scenario)
        self.seeds = np.zeros(0, dtype=np.uint64)
        self._pending = None if seed is None else game_seeds(seed, num_envs)
        self._started = False
        self._own_stream = False  # a reset without a seed goes on with the games' streams
        self._seeded = False  # those streams come from a seed that the caller gave
        self._num_threads = num_threads
        self._batch = Batch(
            self.scenario,
            num_envs,
            num_agents,
            max_cycles,
            np.zeros(num_envs, dtype=np.uint64),
            num_threads,
        )
        self.num_envs = num_envs
        self.num_agents = num_agents
        self.max_cycles = max_cycles
        self.num_features = self._batch.num_features
        self.action_nvec = (self.scenario.num_houses, 2, 2)

        block = (num_envs, num_agents, self.num_features)
        self.observations = np.zeros(block, dtype=np.float32)
        self.final_observations = np.zeros(block, dtype=np.float32)
        self.rewards = np.zeros(block[:2], dtype=np.float32)
        self.terminated = np.zeros(num_envs, dtype=np.bool_)
        self.truncated = np.zeros(num_envs, dtype=np.bool_)
        self.returns = np.zeros(block[:2], dtype=np.float64)
        self.lengths = np.zeros(num_envs, dtype=np.int32)
        self._actions = np.zeros((num_envs, num_agents, 3), dtype=np.int32)
        self._view = StateView(self.scenario, num_agents)
        masks = action_masks(self.scenario, num_agents, "multi")
        components = (num_agents, sum(self.action_nvec))
        self._mask = np.ones(components, np.bool_) if masks is None else np.array(masks, np.bool_)

    def reset(self, seed: int | Sequence[int] | None = None) -> NDArray[np.float32]:
        """Start a new game everywhere.

        Parameters
        ----------
        seed
            One integer for all, or one per game. Without a seed the first reset uses that of the
            constructor, else the operating system's; a later one goes on with each game's stream.

        Returns
        -------
        NDArray[np.float32]
            ``observations``, ``[B, A, F]``.
        """
        seeds: NDArray[np.uint64] | None = None
        if seed is not None:
            seeds = game_seeds(seed, self.num_envs)
        elif not self._own_stream:
            seeds = game_seeds(None, self.num_envs) if self._pending is None else self._pending
        if seeds is not None:
            self._seeded = seed is not None or self._pending is not None
            self.seeds = seeds
        self._batch.reset(seeds, self.observations)
        self._pending = None
        self._started = self._own_stream = True
        for array in (self.rewards, self.terminated, self.truncated, self.returns, self.lengths):
            array.fill(0)
        return self.observations

    def step(
        self, actions: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """Play one night (or one signal step) in every game.

        Parameters
        ----------
        actions
            Integers ``[B, A, 3]``: house, mode (0 rest, 1 work) and signal of every seat.

        Returns
        -------
        observations, rewards, terminated, truncated
            The arrays of the same names.

        Raises
        ------
        ValueError
            If the actions are of another shape, not integers, or out of range. No game is stepped.
        """
        if not self._started:
            raise ValueError("call reset() before step()")
        self._batch.step(
            self._as_int32(actions),
            self.observations,
            self.rewards,
            self.terminated,
            self.truncated,
            self.final_observations,
            self.returns,
            self.lengths,
        )
        return self.observations, self.rewards, self.terminated, self.truncated

    def default_outcomes(self, actions: NDArray[np.integer[Any]]) -> DefaultOutcomes:
        """Try out what :meth:`step` would do, for each seat as if that seat rested at its home.

        The others act as in ``actions``; no game is stepped and no generator advanced. Whether a
        house's fire goes out, spreads to the left or to the right, and whether the house ignites,
        is decided by the draw that decides it in :meth:`step`. Where that draws nothing, it is
        decided by a draw of another stream, derived from the game's generator state. So houses
        differ only where the seat fought a fire and (``continuous``) next to it, and what its
        action is worth can be seen without the luck that it has nothing to do with. Whatever that
        action is, the outcome has the distribution of a night in which the seat rests. What is
        seen of the seat (where it went, whether it worked, what it signalled) is in
        ``observations`` as it will be: only the houses show the difference. In the first step of a
        two-phase night nothing changes.

        Parameters
        ----------
        actions
            Integers ``[B, A, 3]``, as for :meth:`step`.

        Returns
        -------
        DefaultOutcomes
            New arrays.

        Raises
        ------
        ValueError
            As for :meth:`step`.
        """
        if not self._started:
            raise ValueError("call reset() before default_outcomes()")
        seats = self.rewards.shape
        outcomes = DefaultOutcomes(
            np.zeros((*seats, self.num_agents), np.float32),
            np.zeros(seats, np.bool_),
            np.zeros(seats, np.bool_),
            np.zeros_like(self.observations),
        )
        self._batch.default_outcomes(self._as_int32(actions), *outcomes)
        return outcomes

    def place(self, game: int, houses: ArrayLike, night: int = 0) -> None:
        """Let a game go on from a state of its houses, everything else as after a reset.

        For exploring starts, and for asking what a policy does in a given situation. The game's
        random stream goes on where it is. ``observations[game]`` is written.

        Parameters
        ----------
        game
            Its number, in ``[0, B)``.
        houses
            Integers ``[N]``: 0 safe, 1 burning, 2 ruined.
        night
            Nights played so far, below ``max_cycles``.

        Raises
        ------
        ValueError
            If there is no such game, state or night, the game would be over, it is in the middle of
            a two-phase night, or there was no reset yet.
        """
        if not self._started:
            raise ValueError("call reset() before place()")
        given = np.asarray(houses)
        if given.dtype.kind not in "iu" or given.shape != (self.scenario.num_houses,):
            raise ValueError(
                f"houses must be {self.scenario.num_houses} integers, "
                f"not {given.dtype} of shape {given.shape}"
            )
        if given.min() < 0 or given.max() > 2:
            raise ValueError(f"a house's state is 0, 1 or 2, not {given.min()} to {given.max()}")
        if not 0 <= game < self.num_envs:
            raise ValueError(f"game must be in [0, {self.num_envs - 1}], not {game!r}")
        self._batch.place(game, given.astype(np.int8), night, self.observations[game])
        self.returns[game] = 0
        self.lengths[game] = 0

    def _as_int32(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Give ``actions`` as C-ordered int32, in place where they are, else in a kept buffer."""
        given = np.asarray(actions)
        if (
            given.dtype == np.int32
            and given.flags.c_contiguous
            and given.shape == self._actions.shape
        ):
            return given
        if given.dtype.kind not in "iu" or given.shape != self._actions.shape:
            raise ValueError(
                f"actions must be integers of shape {self._actions.shape}, "
                f"not {given.dtype} of shape {given.shape}"
            )
        if given.dtype.itemsize >= 4 and (given.max() > _INT32.max or given.min() < _INT32.min):
            raise ValueError(
                f"actions must be below num_houses={self.scenario.num_houses} (house) "
                f"or 2 (mode, signal), not {int(given.max())}"
            )
        np.copyto(self._actions, given, casting="unsafe")
        return self._actions

    def state(self, observations: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Give each game's global state, for a centralised critic.

        Parameters
        ----------
        observations
            float32 ``[..., A, F]``: those to take it from, ``final_observations`` for example.
            Without, the present ``observations``.

        Returns
        -------
        NDArray[np.float32]
            ``[B, S]``, or ``[..., S]``: new arrays, by the layout that
            :func:`brigade.env.state.state_layout` gives.

        Raises
        ------
        ValueError
            If there was no reset yet, or the observations are of another dtype or shape.
        """
        if observations is None:
            if not self._started:
                raise ValueError("call reset() before state()")
            observations = self.observations
        if not isinstance(observations, np.ndarray) or observations.dtype != np.float32:
            found = getattr(observations, "dtype", type(observations).__name__)
            raise ValueError(f"observations must be a float32 array, not {found}")
        if observations.shape[-2:] != self.observations.shape[1:]:
            raise ValueError(
                f"observations must be of shape [..., {self.num_agents}, {self.num_features}], "
                f"not {list(observations.shape)}"
            )
        return self._view.state(observations)

    @property
    def state_space(self) -> spaces.Space[Any]:
        """The space of one game's state, a Box of shape ``[S]``."""
        return self._view.space

    @property
    def action_mask(self) -> NDArray[np.bool_]:
        """Which choices the rules leave as they are, bool ``[B, A, N + 4]`` (a copy).

        N houses, two modes, two signals: all of them but where the scenario limits reach
        (``action_validity_mode="adjacent_only"``). A house out of reach is no error: the rules turn
        it into the seat's home.
        """
        return np.tile(self._mask, (self.num_envs, 1, 1))

    @property
    def houses(self) -> NDArray[np.int8]:
        """House states, int8 ``[B, N]``: 0 safe, 1 burning, 2 ruined (a copy)."""
        return self._batch.houses

    @property
    def nights(self) -> NDArray[np.int32]:
        """Night of each game, int32 ``[B]`` (a copy)."""
        return self._batch.nights

    @property
    def phases(self) -> NDArray[np.int8]:
        """Phase of each game, ``[B]``: 1 where the next step is a signal step (a copy)."""
        return self._batch.phases

    def get_state(self) -> bytes:
        """Give the state of every game, its generator included."""
        return self._batch.get_state()

    def set_state(self, state: bytes) -> None:
        """Go on exactly where :meth:`get_state` was called.

        ``observations`` is written anew; the results of the last step are cleared, running returns
        and lengths come back with the next step.
        """
        self._batch.set_state(state)
        self._batch.write_observations(self.observations)
        for array in (self.rewards, self.terminated, self.truncated):
            array.fill(0)
        self._started = self._own_stream = self._seeded = True
        self._pending = None

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_batch"] = self.get_state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        batch = state["_batch"]
        self.__dict__.update(state)
        for name, value in state.items():  # a copy shares no array with its original
            if isinstance(value, np.ndarray):
                self.__dict__[name] = value.copy()
        self._batch = Batch(
            self.scenario,
            self.num_envs,
            self.num_agents,
            self.max_cycles,
            np.zeros(self.num_envs, dtype=np.uint64),
            self._num_threads,
        )
        self._batch.set_state(batch)
        self._own_stream = self._seeded  # copies that were never seeded must not replay each other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BatchedEnv):
            return NotImplemented
        return (
            self.scenario == other.scenario
            and self.observations.shape == other.observations.shape
            and self.max_cycles == other.max_cycles
            and self._started == other._started
            and (not self._started or self.get_state() == other.get_state())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"BatchedEnv({self.num_envs}, {self.scenario.name!r}, num_agents={self.num_agents}, "
            f"max_cycles={self.max_cycles})"
        )
