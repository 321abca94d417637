"""The simulator: plays rollouts with the policies that it has, and waits for better ones.

The loop of a run::

    await every agent's needed version -> let it act -> play a rollout -> send it -> ...

while the :mod:`desk`'s tasks answer learners and take their weights in. What is decided here is
decided by pure parts: which versions a rollout needs (:mod:`schedule`), who plays whom and what
they do (:mod:`player`), who has which agents (:mod:`roster`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from brigade._core import Scenario
from brigade.config import RunConfig
from brigade.ppo.agents import AgentState
from brigade.sim.desk import Desk
from brigade.sim.events import Events, Progress
from brigade.sim.ledger import Ledger
from brigade.sim.player import Player, network_for
from brigade.sim.repository import Repository
from brigade.sim.schedule import Schedule
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint
from brigade.wire.transport import SimulatorSockets

PATIENCE_SECONDS = 15.0
# After a signal the run ends within five seconds, whatever the learners are doing.
LAST_WORDS_SECONDS = 3.0
# Longest stretch of playing without a look at the sockets.
YIELD_SECONDS = 0.005
REPORT_SECONDS = 0.5


class RunFailed(RuntimeError):
    """The run cannot go on; one line that says why."""


class Simulator:
    """One run, on sockets that the caller has bound; files and output are the events' affair.

    Parameters
    ----------
    config
        With ``seed`` and ``run_name`` filled in.
    patience
        Seconds of silence after which a learner counts as lost.
    """

    def __init__(
        self,
        config: RunConfig,
        scenario: Scenario,
        sockets: SimulatorSockets,
        events: Events,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        assert config.seed is not None, "the run has a seed by now"
        self.config = config
        self.scenario = scenario
        self.network = network_for(config, scenario)
        self.repository = Repository(self.network, config.population_size)
        self.player = Player(config, scenario, self.repository, config.seed)
        self.statistics = Statistics(config.population_size)
        self.desk = Desk(
            config,
            self.repository,
            sockets,
            events,
            patience,
            learned=self._note_learned,
            changed=self._wake,
            failed=self.fail,
        )
        self._schedule = Schedule(config.sync, config.max_lag)
        self._ledger = Ledger()
        self._events = events
        self._rollout = 0
        self._began = float("nan")  # when the first game did
        self._reported = 0.0
        self._noted: _Noted | None = None
        self._next_checkpoint = config.checkpoint_interval
        self._awake = asyncio.Event()
        self._stopping = ""
        self._failure = ""

    # ---- the run -------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the whole run, to its end or until :meth:`stop`.

        Raises
        ------
        RunFailed
            A learner was lost, and the run is told to fail then.
        """
        tasks = [
            asyncio.create_task(self._play_all()),
            asyncio.create_task(self.desk.serve_control()),
            asyncio.create_task(self.desk.serve_weights()),
            asyncio.create_task(self.desk.keep_time(self._awaited)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except BaseException as error:
            await self.desk.dismiss(f"the run failed: {error}", failed=True)
            raise
        else:
            await self.desk.dismiss(self._stopping or "the run is complete", failed=False)
        finally:
            for task in tasks:
                task.cancel()

    async def _play_all(self) -> None:
        while not self.done and not self._stopping:
            await self.step()
        await self._finish()

    async def step(self) -> None:
        """Play one rollout and send it, as soon as the policies that it needs are here."""
        started = time.perf_counter()
        await self._until(lambda: not self._awaited())
        self._ledger.times.wait += time.perf_counter() - started
        if self._stopping:
            return
        self._note_checkpoint()
        newest = self.repository.newest
        rollouts = self.desk.rollouts
        played = {agent: self._schedule.played(rollouts[agent], newest[agent]) for agent in newest}
        self.repository.act_with(played)
        await self._play(played)
        self._send()
        self._report()

    @property
    def done(self) -> bool:
        """Whether as much has been played as was asked for."""
        return self.share >= 1.0

    @property
    def share(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        share = self.statistics.total_episodes / self.config.num_episodes
        if self.config.num_transitions is not None:
            share = max(share, self.statistics.total_transitions / self.config.num_transitions)
        return min(share, 1.0)

    def stop(self, reason: str) -> None:
        """End the run in order, soon."""
        self._stopping = self._stopping or reason
        self._wake()

    def fail(self, reason: str) -> None:
        """End the run because it cannot go on."""
        self._failure = self._failure or reason
        self._wake()

    def _wake(self) -> None:
        self._awake.set()

    async def _until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until the condition holds or time is up (without a timeout: or a stop is asked for).

        Raises
        ------
        RunFailed
            The run cannot go on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            if self._failure:
                raise RunFailed(self._failure)
            if self._stopping and deadline is None:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self._awake.clear()
            try:
                await asyncio.wait_for(self._awake.wait(), left)
            except TimeoutError:
                return

    def _awaited(self) -> list[int]:
        """Agents whose next rollout cannot be played yet."""
        learning, rollouts = self.desk.learning(), self.desk.rollouts
        return self._schedule.awaited(learning, rollouts, self.repository.newest)

    # ---- playing -------------------------------------------------------------------------

    async def _play(self, played: Mapping[int, int]) -> None:
        """Play one rollout, looking at the sockets now and then."""
        config = self.config
        here = Statistics(config.population_size)
        started = slept = time.perf_counter()
        if self._rollout == 0:
            self._began = started
        for _ in range(config.steps_per_rollout):
            episodes = self.player.step()
            for counted in (self.statistics, here):
                counted.count_step(config.num_games, config.num_agents_per_game)
                counted.count_episodes(episodes)
            if self.done or self._stopping or self._failure:
                break
            if time.perf_counter() - slept > YIELD_SECONDS:
                await asyncio.sleep(0)
                slept = time.perf_counter()
                if slept - self._reported > REPORT_SECONDS:
                    self._report()
        self._ledger.times.play += time.perf_counter() - started
        self._ledger.open(self._row(here, played), self.desk.learning())

    def _row(self, here: Statistics, played: Mapping[int, int]) -> dict[str, Any]:
        """Describe the rollout that was just played; what no game ended in is None."""
        returns = [float(np.mean(r)) if r else None for r in here.recent]
        known = [value for value in returns if value is not None]
        rollouts = self.desk.rollouts
        return {
            "update": self._rollout,
            "episodes": self.statistics.total_episodes,
            "transitions": self.statistics.total_transitions,
            "seconds": time.perf_counter() - self._began,
            "episode_return": float(np.mean(known)) if known else None,
            "episode_length": here.mean_length if known else None,
            "agent_returns": returns,
            "lag": [rollouts[agent] - played[agent] for agent in sorted(played)],
        }

    def _send(self) -> None:
        """Send each learning agent its fragments of the rollout that was just played."""
        started = time.perf_counter()
        self.player.cut()
        for agent in self.desk.learning():
            arrays = self.player.buffer.arrays(agent, self.repository.acting[agent])
            self.desk.send(agent, arrays, self.share)
        self.player.buffer.clear()
        self._rollout += 1
        self._ledger.times.transport += time.perf_counter() - started

    def _report(self) -> None:
        self._reported = time.perf_counter()
        seconds = self._reported - self._began
        self._events.progress(Progress(self.statistics, self.share, seconds))

    async def _finish(self) -> None:
        """Wait for what the learners still make of the last rollouts, and save it."""

        def learned() -> bool:
            newest, rollouts = self.repository.newest, self.desk.rollouts
            return all(newest.get(agent, -1) >= rollouts[agent] for agent in self.desk.learning())

        await self._until(learned)
        if self._stopping:
            await self._until(learned, LAST_WORDS_SECONDS)
        states = self._newest()
        if len(states) == self.config.population_size:
            content = self._checkpoint(states, self.statistics.to_dict(), self.state())
            self._events.checkpoint(content, True)

    # ---- what has been learned -----------------------------------------------------------

    def _note_learned(self, agent: int, state: AgentState, metrics: Mapping[str, float]) -> None:
        if state.version > 0:
            self._ledger.learned(agent, metrics)
        self._write_noted()
        gone = set(self.desk.rollouts) - set(self.desk.learning())
        for row in self._ledger.complete(gone):
            self._events.metrics(row)

    def state(self) -> dict[str, Any]:
        """Return the simulator's own state between two rollouts, for a checkpoint."""
        return {
            "rollout": self._rollout,
            "rollouts": dict(self.desk.rollouts),
            **self.player.state(),
        }

    def _note_checkpoint(self) -> None:
        """Between two rollouts: note the simulator's state, if it is time for a checkpoint.

        What the learners make of all that was played until now may still be on its way. The
        checkpoint waits for it, and the run does not.
        """
        if self.statistics.total_episodes >= self._next_checkpoint and self._noted is None:
            interval = self.config.checkpoint_interval
            self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval
            self._noted = dict(self.desk.rollouts), self.statistics.to_dict(), self.state()
            self._write_noted()

    def _write_noted(self) -> None:
        """Write the noted checkpoint once every agent has learned from all that came before it."""
        if self._noted is None:
            return
        versions, statistics, simulator = self._noted
        newest, free = self.repository.newest, self.desk.roster.free
        if any(newest[a] < v and a not in free for a, v in versions.items()):
            return
        exact = self.config.sync != "async"
        states = [
            self.repository.state(agent, min(version, newest[agent]) if exact else None)
            for agent, version in versions.items()
        ]
        self._noted = None
        known = [state for state in states if state is not None]
        self._events.checkpoint(self._checkpoint(known, statistics, simulator), False)

    def _newest(self) -> list[AgentState]:
        states = [self.repository.state(agent) for agent in self.desk.rollouts]
        return [state for state in states if state is not None]

    def _checkpoint(
        self, states: list[AgentState], statistics: dict[str, Any], simulator: dict[str, Any]
    ) -> Checkpoint:
        return Checkpoint(
            self.config.run_id,
            self.config,
            self.scenario,
            self.network,
            states,
            statistics,
            simulator,
        )


# Agents' versions to wait for, statistics, the simulator's state: a checkpoint in the making.
_Noted = tuple[dict[int, int], dict[str, Any], dict[str, Any]]
