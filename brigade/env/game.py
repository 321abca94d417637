"""One game as the PettingZoo environments play it: observations, phases, endings and seeds.

The rules live in the core; a :class:`Game` is a core batch of one that shows its last night after
the end, counts nights against ``max_cycles``, and knows where its randomness comes from.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brigade._core import Batch, Scenario
from brigade.env.seeding import check_seed, fresh_seed

_NEVER = 2**31 - 1  # the core's own truncation is not used: max_cycles may change at any time

Ending = Literal["terminated", "truncated"]


class Game:
    """One game of ``num_agents`` seats, A.

    Attributes
    ----------
    observations
        float32 ``[A, F]``: after the last step. Overwritten by the next.
    rewards
        float32 ``[A]``: of the last step, 0 after a reset. Overwritten by the next.
    returns
        float64 ``[A]``: sum of the game's rewards so far. Overwritten by the next step.
    night
        Nights played in this game.
    phase
        1 if the next step is the signal step of a two-phase night.
    ending
        How the game ended, None while it runs.
    started
        Whether there was a reset.
    """

    def __init__(self, scenario: Scenario, num_agents: int, max_cycles: int) -> None:
        self.scenario = scenario
        self.max_cycles = max_cycles
        self._batch = Batch(scenario, 1, num_agents, _NEVER, np.zeros(1, dtype=np.uint64), 1)
        self.num_agents = int(num_agents)
        self.two_phase = scenario.commitment_mode == "two_phase"

        block = (1, self.num_agents, self._batch.num_features)
        self._running = np.zeros(block, dtype=np.float32)
        self._final = np.zeros(block, dtype=np.float32)
        self._rewards = np.zeros(block[:2], dtype=np.float32)
        self._terminated = np.zeros(1, dtype=np.bool_)
        self._truncated = np.zeros(1, dtype=np.bool_)
        self._returns = np.zeros(block[:2], dtype=np.float64)
        self._lengths = np.zeros(1, dtype=np.int32)
        self._clear()

        self.started = False
        self._own_stream = False  # a reset without a seed goes on with the game's stream
        self._seeded = False  # that stream comes from a seed that the caller gave

    @property
    def max_cycles(self) -> int:
        """Nights after which the game is truncated; may be changed at any time."""
        return self._max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | np.integer)
            or not 1 <= value <= _NEVER
        ):
            raise ValueError(f"max_cycles must be an integer from 1 to 2**31 - 1, not {value!r}")
        self._max_cycles = int(value)

    def _clear(self) -> None:
        """Forget the last game's results and take views of the buffers."""
        self.observations = self._running[0]
        self.rewards = self._rewards[0]
        self.returns = self._returns[0]
        self.rewards.fill(0)
        self.returns.fill(0)
        self.night = 0
        self.phase = int(self.two_phase)
        self.ending: Ending | None = None

    def reset(self, seed: int | None) -> None:
        """Start a new game: from ``seed``, or with the stream, or with a seed from the system."""
        if seed is not None:
            value = check_seed(seed)
            self._seeded = True
        elif not self._own_stream:
            value = fresh_seed()
        else:
            value = -1
        if value >= 0:
            self._batch.reset(np.array([value], dtype=np.uint64), self._running)
        elif self.ending != "terminated":  # after its end the core has already dealt the next game
            self._batch.reset(None, self._running)
        self.started = self._own_stream = True
        self._clear()

    def step(self, actions: NDArray[np.int32]) -> None:
        """Play one night or one signal step with ``actions``, int32 ``[1, A, 3]``."""
        self._batch.step(
            actions,
            self._running,
            self._rewards,
            self._terminated,
            self._truncated,
            self._final,
            self._returns,
            self._lengths,
        )
        if self.phase:
            self.phase = 0
            return
        self.phase = int(self.two_phase)
        self.night += 1
        if self._terminated[0]:
            self.ending = "terminated"
            self.observations = self._final[0]
        elif self.night >= self._max_cycles:
            self.ending = "truncated"

    def _facts(self) -> dict[str, Any]:
        """Give all that a copy needs beside the scenario, the seats and ``max_cycles``."""
        return {
            "batch": self._batch.get_state(),
            "running": self._running.copy(),
            "final": self._final.copy(),
            "rewards": self._rewards.copy(),
            "returns": self._returns.copy(),
            "night": self.night,
            "phase": self.phase,
            "ending": self.ending,
            "started": self.started,
            "own_stream": self._own_stream,
            "seeded": self._seeded,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "num_agents": self.num_agents,
            "max_cycles": self.max_cycles,
            **self._facts(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Game.__init__(self, state["scenario"], state["num_agents"], state["max_cycles"])
        self._batch.set_state(state["batch"])
        self._running[:] = state["running"]
        self._final[:] = state["final"]
        self._rewards[:] = state["rewards"]
        self._returns[:] = state["returns"]
        self.night = state["night"]
        self.phase = state["phase"]
        self.ending = state["ending"]
        self.started = state["started"]
        self._seeded = state["seeded"]
        # Copies of a game that nobody seeded must not replay each other at their next reset.
        self._own_stream = state["own_stream"] and state["seeded"]
        if self.ending == "terminated":
            self.observations = self._final[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Game):
            return NotImplemented
        if (self.scenario, self.num_agents, self.max_cycles, self.started) != (
            other.scenario,
            other.num_agents,
            other.max_cycles,
            other.started,
        ):
            return False
        return not self.started or (
            (self.night, self.phase, self.ending) == (other.night, other.phase, other.ending)
            and bool(np.array_equal(self.observations, other.observations))
            and self._batch.get_state() == other._batch.get_state()
        )

    def __hash__(self) -> int:
        return hash((self.scenario, self.num_agents))
