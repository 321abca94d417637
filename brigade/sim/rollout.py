"""Rollouts: every seat's steps, kept so that each agent's fragments can be taken out whole.

A *lane* is one seat of one game; T steps of all L lanes make a rollout. A fragment is a stretch of
a lane within one game, so of one agent: it ends where the game ends (terminated or truncated) or
where the rollout does (cut).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from brigade.ppo.rollout import COLUMNS, Column, Per

Array = NDArray[np.generic]


class RolloutBuffer:
    """Memory for T steps of L lanes, filled step by step and read agent by agent.

    Parameters
    ----------
    columns
        Which columns to keep.
    """

    def __init__(
        self,
        steps: int,
        num_lanes: int,
        num_features: int,
        action_nvec: tuple[int, ...],
        columns: Mapping[str, Column] = COLUMNS,
    ) -> None:
        self.steps = steps
        self._columns: dict[str, Array] = {}
        for name, column in columns.items():
            if column.per is Per.STEP:
                # Of the dtypes for whole numbers, the first that all choices fit in.
                wide = name == "actions" and max(action_nvec) > 256
                dtype = column.dtypes.split("|")[wide]
                shape = column.shape(num_features, len(action_nvec))
                self._columns[name] = np.zeros((num_lanes, steps, *shape), dtype)
        # Few steps have a default observation; here is where each of those lies in the row of them.
        self._places = np.zeros((num_lanes, steps), np.int32)
        self._has_default = any(column.default for column in columns.values())
        self._num_features = num_features
        self._lanes = np.arange(num_lanes)
        self.clear()

    def clear(self) -> None:
        """Begin a new rollout; lanes in the middle of a game go on in a new fragment."""
        self.filled = 0
        self._start = np.zeros(len(self._lanes), np.int64)
        self._fragments: list[_Fragments] = []
        self._by_agent: _ByAgent | None = None
        self._default: list[Array] = [np.zeros((0, self._num_features), np.float32)]
        self._num_default = 0

    def record(self, **step: Array) -> None:
        """Keep one step of every lane: each column of a step, ``[L, ...]``, by its name.

        Where default steps are kept, ``default_observations`` ``[L, F]`` belong to it.
        """
        for name, column in self._columns.items():
            column[:, self.filled] = step[name]
        if self._has_default:
            lasting = np.flatnonzero(_needs_default_observation(step))
            self._places[lasting, self.filled] = np.arange(len(lasting)) + self._num_default
            self._default.append(step["default_observations"][lasting])
            self._num_default += len(lasting)
        self.filled += 1

    def end(
        self,
        lanes: NDArray[np.int64],
        agents: NDArray[np.int64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        next_observations: NDArray[np.float32],
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
        """
        lasting = self._start[lanes] < self.filled
        if not lasting.all():  # a lane whose last fragment ended with this very step
            lanes, agents = lanes[lasting], agents[lasting]
            terminated, truncated = terminated[lasting], truncated[lasting]
            next_observations = next_observations[lasting]
        starts = self._start[lanes].copy()
        stops = np.full(len(lanes), self.filled)
        self._fragments.append(
            _Fragments(lanes, starts, stops, agents, terminated, truncated, next_observations)
        )
        self._by_agent = None
        self._start[lanes] = self.filled

    def cut(self, agents: NDArray[np.int64], observations: NDArray[np.float32]) -> None:
        """End what is open: ``agents`` ``[L]``, and ``observations`` ``[L, F]`` that follow."""
        none = np.zeros(len(self._lanes), np.bool_)
        self.end(self._lanes, agents, none, none, observations)

    def arrays(self, agent: int, policy_version: int) -> dict[str, Array]:
        """Take out one agent's fragments, in new arrays named and shaped as in a message."""
        if self._by_agent is None:
            self._by_agent = _ByAgent(self._fragments)
        mine = self._by_agent.of(agent)
        lengths = mine.stops - mine.starts
        first = np.cumsum(lengths) - lengths
        begins = mine.lanes * self.steps + mine.starts
        rows = np.repeat(begins - first, lengths) + np.arange(lengths.sum())
        taken: dict[str, Array] = {
            name: np.take(column.reshape(-1, *column.shape[2:]), rows, axis=0)
            for name, column in self._columns.items()
        }
        if self._has_default:
            if len(self._default) > 1:
                self._default = [np.concatenate(self._default)]
            places = np.take(self._places, rows[_needs_default_observation(taken)])
            taken["default_observations"] = self._default[0][places]
        return taken | {
            "lengths": lengths.astype(np.int32),
            "terminated": mine.terminated,
            "truncated": mine.truncated,
            "policy_versions": np.full(len(lengths), policy_version, np.int64),
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
