"""The metrics joiner: joins what a rollout was like with what each agent's learner made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Times:
    """Where the simulator's time went since the last row, in seconds."""

    play: float = 0.0
    transport: float = 0.0
    wait: float = 0.0

    def take_shares(self) -> dict[str, float]:
        """Return each as a share of their sum, and begin again."""
        total = self.play + self.transport + self.wait or 1.0
        shares = {name: getattr(self, name) / total for name in ("play", "transport", "wait")}
        self.play = self.transport = self.wait = 0.0
        return shares


@dataclass
class _Entry:
    row: dict[str, Any]
    missing: set[int]
    learned: dict[int, Mapping[str, float | None]] = field(default_factory=dict)


class MetricsJoiner:
    """Rows of metrics, each complete once all of its agents have learned from its rollout."""

    def __init__(self, population_size: int) -> None:
        self.times = Times()
        self._population_size = population_size
        self._open: list[_Entry] = []

    def open(self, row: dict[str, Any], agents: Iterable[int]) -> None:
        """Begin the row of a rollout that these agents will learn from."""
        self._open.append(_Entry(row | {"time_share": self.times.take_shares()}, set(agents)))

    def learned(self, agent: int, metrics: Mapping[str, float | None]) -> None:
        """Note what an agent's update from its oldest rollout here was like."""
        for entry in self._open:
            if agent in entry.missing:
                entry.missing.remove(agent)
                entry.learned[agent] = metrics
                return

    def complete(self, gone: Set[int] = frozenset()) -> list[dict[str, Any]]:
        """Take out the rows that are complete, leaving no hope for agents that are ``gone``.

        A row has the rollout's own fields and ``time_share``; ``learning``, the means of the
        agents' metrics; ``agents``, the same for each agent of the population. None stands where
        an agent did not learn, and for what was not a finite number, and has no part in a mean.
        """
        rows = []
        while self._open and self._open[0].missing <= gone:
            entry = self._open.pop(0)
            names = sorted({name for metrics in entry.learned.values() for name in metrics})
            learned = [entry.learned.get(agent, {}) for agent in range(self._population_size)]
            per_agent = {name: [metrics.get(name) for metrics in learned] for name in names}
            means = {name: _mean(values) for name, values in per_agent.items()}
            rows.append(entry.row | {"learning": means, "agents": per_agent})
        return rows


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
