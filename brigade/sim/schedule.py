"""When learning happens: which policy versions a rollout needs and plays with.

An agent's rollout r is what it learns version r + 1 from, so version v has learned from the
rollouts before v, and a policy's lag is ``r - version it acted with``.

* ``lockstep`` plays rollout r with version r: lag 0, play and learning take turns.
* ``overlap`` plays rollout r with version r - 1, while the learners use rollout r - 1: lag 1.
* ``async`` plays with whatever is newest, and waits only when ``max_lag`` rollouts of an agent
  await learning, which bounds the lag and every queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """The rules of one way of synchronising."""

    sync: Literal["lockstep", "overlap", "async"]
    max_lag: int

    @property
    def window(self) -> int:
        """Rollouts of one agent that may await learning while the next one is played."""
        return {"lockstep": 0, "overlap": 1, "async": self.max_lag}[self.sync]

    def needed(self, rollout: int) -> int:
        """Version that an agent must have reached before its ``rollout`` is played."""
        return max(0, rollout - self.window)

    def played(self, rollout: int, newest: int) -> int:
        """Version that an agent whose newest is ``newest`` plays its ``rollout`` with.

        Only an agent that nobody waits for (frozen, its learner gone) has less than it needs.
        """
        return newest if self.sync == "async" else min(newest, self.needed(rollout))

    def awaited(
        self, agents: Iterable[int], rollouts: Mapping[int, int], newest: Mapping[int, int]
    ) -> list[int]:
        """List those of ``agents`` that cannot play their next rollout yet.

        ``rollouts`` are the agents' next rollouts, ``newest`` their newest versions; an agent
        that has none has yet to be heard of.
        """
        return [a for a in agents if newest.get(a, -1) < self.needed(rollouts[a])]
