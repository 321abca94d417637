"""Rollouts: every seat's steps, kept so that each agent's fragments can be taken out whole.

A *lane* is one seat of one game; T steps of all L lanes make a rollout. A lane that waits for its
turn has no step meanwhile. A fragment is a stretch of a lane within one game, so of one agent: it
ends where its part in the game ends (terminated or truncated) or where the rollout does (cut).

Where a rollout ends while a lane waits, the lane's last step is not over: rewards may still come,
and what follows it has not been seen. It is then *carried* into the next rollout, and its own
observation is what follows the step before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from brigade.ppo.rollout import Column, Per, action_dtype, columns_for

Array = NDArray[np.generic]


class RolloutBuffer:
    """Memory for T steps of L lanes, filled step by step and read agent by agent.

    Parameters
    ----------
    columns
        Which columns to keep; by default all but masks.
    turns
        Whether lanes may wait. Default steps are not kept then: their outcomes are of one step.
    num_continuous
        Numbers in a continuous action; ``action_nvec`` is empty then.
    num_picture_bytes
        Bytes P of an observation's pictures.

    Attributes
    ----------
    filled
        Steps of the games so far.

    Raises
    ------
    ValueError
        Default steps are to be kept of lanes that may wait.
    """

    def __init__(
        self,
        steps: int,
        num_lanes: int,
        num_features: int,
        action_nvec: tuple[int, ...],
        columns: Mapping[str, Column] | None = None,
        *,
        turns: bool = False,
        num_continuous: int = 0,
        num_picture_bytes: int = 0,
    ) -> None:
        columns = columns or columns_for("difference_rewards", masked=False)
        self._has_default = any(column.needed == "default" for column in columns.values())
        if turns and self._has_default:
            raise ValueError("default steps of lanes that wait for their turn")
        self.steps = steps
        self._capacity = steps + turns  # and what is carried
        self._columns: dict[str, Array] = {}
        for name, column in columns.items():
            if column.per is Per.STEP:
                dtype = action_dtype(action_nvec) if name == "actions" else column.dtypes
                shape = column.shape(num_features, action_nvec, num_continuous, num_picture_bytes)
                self._columns[name] = np.zeros((num_lanes, self._capacity, *shape), dtype)
        # Few steps have a default observation; here is where each of those lies in the row of them.
        self._places = np.zeros((num_lanes, self._capacity), np.int32)
        self._num_features = num_features
        self._lanes = np.arange(num_lanes)
        self._kept = np.zeros(num_lanes, np.int64)  # steps of each lane
        self._waiting = np.zeros(num_lanes, np.bool_)  # at the cut
        # Versions that acted in what was carried into this rollout, and will be into the next.
        self._versions = self._next_versions = np.full(num_lanes, -1)
        self.clear()

    def clear(self) -> None:
        """Begin a new rollout; lanes in the middle of a game go on in a new fragment."""
        carried = np.flatnonzero(self._waiting)
        for column in self._columns.values():
            column[carried, 0] = column[carried, self._kept[carried] - 1]
        self._versions, self._next_versions = self._next_versions, np.full_like(self._versions, -1)
        self._kept = self._waiting.astype(np.int64)
        self._waiting = np.zeros_like(self._waiting)
        self.filled = 0
        self._start = np.zeros(len(self._lanes), np.int64)
        self._fragments: list[_Fragments] = []
        self._by_agent: _ByAgent | None = None
        self._default: list[Array] = [np.zeros((0, self._num_features), np.float32)]
        self._num_default = 0

    def record(self, lanes: NDArray[np.int64] | None = None, **step: Array) -> None:
        """Keep one step: each column of a step, ``[L, ...]``, by its name.

        With ``lanes`` int64 ``[m]`` it is a step of these only, and columns are ``[m, ...]``. Where
        default steps are kept, ``default_observations`` ``[L, F]`` belong to it.
        """
        which = slice(None) if lanes is None else lanes
        at = self.filled if lanes is None else self._kept[lanes]
        for name, column in self._columns.items():
            column[which, at] = step[name]
        if self._has_default:
            lasting = np.flatnonzero(_needs_default_observation(step))
            self._places[lasting, self.filled] = np.arange(len(lasting)) + self._num_default
            self._default.append(step["default_observations"][lasting])
            self._num_default += len(lasting)
        self._kept[which] += 1
        self.filled += 1

    def add_rewards(self, rewards: NDArray[np.float32]) -> None:
        """Add ``[L]`` to each lane's last step; what comes before a lane's first is no action's."""
        lanes = np.flatnonzero(self._kept > self._start)
        column, at = self._columns["rewards"], (lanes, self._kept[lanes] - 1)
        column[at] = np.add(column[at], rewards[lanes])

    def end(
        self,
        lanes: NDArray[np.int64],
        agents: NDArray[np.int64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        next_observations: NDArray[np.float32],
        next_pictures: NDArray[np.uint8] | None = None,
    ) -> None:
        """End the fragments of ``lanes`` with the last recorded step.

        Parameters
        ----------
        lanes, agents
            int64 ``[m]``: which, and who sat there.
        terminated, truncated
            bool ``[m]``: how the game ended; neither where the rollout cuts it.
        next_observations
            float32 ``[m, F]``: what follows the last step; not kept where terminated.
        next_pictures
            uint8 ``[m, P]``: the pictures in it.
        """
        following = next_observations, next_pictures
        self._end(lanes, self._kept[lanes], agents, terminated, truncated, *following)

    def _end(
        self,
        lanes: NDArray[np.int64],
        stops: NDArray[np.int64],
        agents: NDArray[np.int64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        next_observations: NDArray[np.float32],
        next_pictures: NDArray[np.uint8] | None = None,
    ) -> None:
        """End fragments before ``stops``."""
        if next_pictures is None:
            next_pictures = np.zeros((len(lanes), 0), np.uint8)
        lasting = self._start[lanes] < stops
        if not lasting.all():  # a lane whose last fragment ended with this very step
            lanes, stops, agents = lanes[lasting], stops[lasting], agents[lasting]
            terminated, truncated = terminated[lasting], truncated[lasting]
            next_observations, next_pictures = next_observations[lasting], next_pictures[lasting]
        starts = self._start[lanes].copy()
        self._fragments.append(
            _Fragments(
                *(lanes, starts, stops, agents, terminated, truncated),
                *(next_observations, next_pictures),
            )
        )
        self._by_agent = None
        self._start[lanes] = stops

    def cut(
        self,
        agents: NDArray[np.int64],
        observations: NDArray[np.float32],
        waiting: NDArray[np.bool_] | None = None,
        versions: NDArray[np.int64] | None = None,
        pictures: NDArray[np.uint8] | None = None,
    ) -> None:
        """End what is open.

        Parameters
        ----------
        agents
            int64 ``[L]``: who sits where.
        observations
            float32 ``[L, F]``: what follows; overwritten for lanes that wait.
        waiting
            bool ``[L]``: lanes whose last step is not over, and will be carried.
        versions
            int64 ``[L]``: what version of each has acted; wanted with ``waiting``.
        pictures
            uint8 ``[L, P]``: the pictures in what follows; overwritten likewise.
        """
        stops = self._kept.copy()
        if waiting is not None:
            self._waiting = waiting & (self._kept > self._start)
            stops[self._waiting] -= 1
            last = self._waiting, stops[self._waiting]
            observations[self._waiting] = self._columns["observations"][last]
            if pictures is not None:
                pictures[self._waiting] = self._columns["pictures"][last]
            assert versions is not None
            still = (stops == 0) & (self._versions >= 0)  # the same step as at the last cut
            acted = np.where(still, self._versions, versions)
            self._next_versions = np.where(self._waiting, acted, -1)
        none = np.zeros(len(self._lanes), np.bool_)
        self._end(self._lanes, stops, agents, none, none, observations, pictures)

    def arrays(self, agent: int, policy_version: int) -> dict[str, Array]:
        """Take out one agent's fragments, in new arrays named and shaped as in a message."""
        if self._by_agent is None:
            self._by_agent = _ByAgent(self._fragments)
        mine = self._by_agent.of(agent)
        lengths = mine.stops - mine.starts
        first = np.cumsum(lengths) - lengths
        begins = mine.lanes * self._capacity + mine.starts
        rows = np.repeat(begins - first, lengths) + np.arange(lengths.sum())
        all_steps = len(self._lanes) * self._capacity
        taken: dict[str, Array] = {
            name: np.take(column.reshape(all_steps, *column.shape[2:]), rows, axis=0)
            for name, column in self._columns.items()
        }
        if self._has_default:
            if len(self._default) > 1:
                self._default = [np.concatenate(self._default)]
            places = np.take(self._places, rows[_needs_default_observation(taken)])
            taken["default_observations"] = self._default[0][places]
        carried = np.where(mine.starts == 0, self._versions[mine.lanes], -1)
        if "pictures" in taken:
            taken["bootstrap_pictures"] = mine.next_pictures[~mine.terminated]
        return taken | {
            "lengths": lengths.astype(np.int32),
            "terminated": mine.terminated,
            "truncated": mine.truncated,
            "policy_versions": np.where(carried < 0, policy_version, carried),
            "bootstrap_observations": mine.next_observations[~mine.terminated],
        }


def _needs_default_observation(steps: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Which steps would have gone on, and differently, after the default action."""
    needed: NDArray[np.bool_] = np.greater(steps["changed"], steps["default_terminated"])
    return needed


@dataclass(frozen=True)
class _Fragments:
    """Fragments that have ended; the fields are parallel, ``[m]``."""

    lanes: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    agents: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    next_observations: NDArray[np.float32]  # [m, F]
    next_pictures: NDArray[np.uint8]  # [m, P]

    def at(self, which: NDArray[np.int64]) -> _Fragments:
        """Take some of them."""
        return _Fragments(*(getattr(self, each.name)[which] for each in fields(self)))


class _ByAgent:
    """All fragments of a rollout, found by their agent: each agent's in the order they ended."""

    def __init__(self, parts: Sequence[_Fragments]) -> None:
        columns = [[getattr(part, each.name) for part in parts] for each in fields(_Fragments)]
        self._all = _Fragments(*map(np.concatenate, columns))
        self._order = np.argsort(self._all.agents, kind="stable")
        self._sorted = self._all.agents[self._order]

    def of(self, agent: int) -> _Fragments:
        """One agent's."""
        first, last = np.searchsorted(self._sorted, [agent, agent + 1])
        return self._all.at(self._order[first:last])
