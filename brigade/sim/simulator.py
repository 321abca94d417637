"""The simulator: plays rollouts with the policies that it has, and waits for better ones.

The loop of a run::

    await every agent's needed version -> let it act -> play a rollout -> send it -> ...

while the :mod:`desk`'s tasks answer learners and take their weights in. What is decided here is
decided by pure parts: which versions a rollout needs (:mod:`schedule`), who plays whom and what
they do (:mod:`player`), who has which agents (:mod:`roster`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from brigade._core import Scenario
from brigade.config import RunConfig
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim.boundary import Boundary, acting_entries, acting_states
from brigade.sim.desk import Desk
from brigade.sim.diagnosis import diagnose
from brigade.sim.events import Events, Progress
from brigade.sim.ledger import Ledger
from brigade.sim.player import Player, network_for
from brigade.sim.repository import Repository
from brigade.sim.schedule import Schedule
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
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
    start_with
        Agents that must have a learner before the first game; the others play with their initial
        weights until theirs comes. By default all.

    Attributes
    ----------
    earlier
        Seconds that the run had taken before it was resumed.
    """

    def __init__(
        self,
        config: RunConfig,
        scenario: Scenario,
        sockets: SimulatorSockets,
        events: Events,
        patience: float = PATIENCE_SECONDS,
        start_with: int | None = None,
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
            report=self.report,
        )
        self._schedule = Schedule(config.sync, config.max_lag)
        self._ledger = Ledger()
        self._events = events
        self._rollout = 0
        self._start_with = min(start_with or config.population_size, config.population_size)
        self._began = float("nan")  # when the first game did
        self._waits_since = math.inf  # for agents' policies; infinity while playing
        self.earlier = 0.0
        self._asked = time.perf_counter(), 0  # when somebody asked, and the transitions then
        self._reported = 0.0
        # The last boundaries, as many as may still await learning and one more.
        self._boundaries: deque[Boundary] = deque(maxlen=self._schedule.window + 2)
        self._noted: Boundary | None = None
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

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this run.

        Raises
        ------
        ValueError
            It does not fit this run; then this simulator must not be used.
        """
        state = checkpoint.simulator
        if checkpoint.run != self.config.run_id:
            raise ValueError(f"it is of run {checkpoint.run}, not {self.config.run_id}")
        try:
            self._rollout = int(state["rollout"])
            acting = acting_states(state, self.network.num_parameters)
            self.statistics = Statistics.from_dict(checkpoint.statistics)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"it is not whole: {type(error).__name__}: {error}") from None
        self.player.restore(state)
        for agent, newest in enumerate(checkpoint.agents):
            if agent in acting and acting[agent].version < newest.version:
                self.repository.add(agent, acting[agent])
            self.repository.add(agent, newest)
            # What had been played beyond it is played again.
            self.desk.rollouts[agent] = newest.version
        interval = self.config.checkpoint_interval
        self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval

    async def _play_all(self) -> None:
        await self._until(self._manned)
        self._freeze_the_rest()
        while not self.done and not self._stopping:
            await self.step()
        await self._finish()

    async def step(self) -> None:
        """Play one rollout and send it, as soon as the policies that it needs are here."""
        self._waits_since = started = time.perf_counter()
        await self._until(lambda: not self._awaited())
        self._waits_since = math.inf
        self._ledger.times.wait += time.perf_counter() - started
        if self._stopping:
            return
        newest = self.repository.newest
        rollouts = self.desk.rollouts
        played = {agent: self._schedule.played(rollouts[agent], newest[agent]) for agent in newest}
        self._note_boundary(played)
        self.repository.act_with(played)
        if await self._play(played):
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
        while self._failure or not condition():
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

    def _manned(self) -> bool:
        """Whether as many agents have a learner as the first game wants."""
        size = self.config.population_size
        return size - len(self.desk.roster.free) >= self._start_with

    def _freeze_the_rest(self) -> None:
        """Let agents without a learner play with what they have until theirs comes."""
        assert self.config.seed is not None
        if self._start_with < self.config.population_size and not self._stopping:
            for agent in self.desk.roster.free:
                self.repository.add(agent, initial_state(self.network, self.config.seed, agent))
                self.desk.unattended.add(agent)

    # ---- playing -------------------------------------------------------------------------

    async def _play(self, played: Mapping[int, int]) -> bool:
        """Play one rollout, looking at the sockets now and then; False where it was cut off.

        The last rollout of a run may be short. One that a signal cuts off is not used at all, so
        that a run that is stopped and resumed learns what it would have learned without.
        """
        config = self.config
        here = Statistics(config.population_size)
        started = slept = time.perf_counter()
        if math.isnan(self._began):
            self._began = started - self.earlier
        for _ in range(config.steps_per_rollout):
            episodes = self.player.step()
            for counted in (self.statistics, here):
                counted.count_step(config.games, config.num_agents_per_game)
                counted.count_episodes(episodes)
            if self.done:
                break
            if self._stopping or self._failure:
                return False
            if time.perf_counter() - slept > YIELD_SECONDS:
                await asyncio.sleep(0)
                slept = time.perf_counter()
                if slept - self._reported > REPORT_SECONDS:
                    self._report()
        self._ledger.times.play += time.perf_counter() - started
        self._ledger.open(self._row(here, played), self.desk.learning())
        return True

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
        await self._until(self._all_learned)
        if not self._stopping:
            self._boundaries.append(self._boundary(self._next_to_act()))
        elif self._boundaries:
            await self._until(lambda: self._learned(self._boundaries[-1]), LAST_WORDS_SECONDS)
        whole = next((b for b in reversed(self._boundaries) if self._learned(b)), None)
        if whole is not None:
            self.statistics = Statistics.from_dict(whole.statistics)
            self._save(whole, final=True)

    def report(self) -> messages.Report:
        """Describe how the run is doing."""
        learners, free = self.desk.learners(), self.desk.roster.free
        newest, acting = self.repository.newest, self.repository.acting
        seconds = 0.0 if math.isnan(self._began) else time.perf_counter() - self._began
        return messages.Report(
            run=self.config.run_id,
            run_name=(self.config.run_name or self.config.run_id)[:200],
            share=self.share,
            episodes=self.statistics.total_episodes,
            transitions=self.statistics.total_transitions,
            seconds=seconds,
            transitions_per_second=self._pace(),
            lag=max((newest[agent] - acting[agent] for agent in acting), default=0),
            free=free,
            bad_messages=self.desk.bad_messages.total(),
            learners=learners,
            remarks=diagnose(
                learners,
                free,
                self._awaited(),
                waited=max(0.0, time.perf_counter() - self._waits_since),
                patience=self.desk.roster.patience,
            ),
        )

    def _pace(self) -> float:
        """Agent-transitions a second, since the question before."""
        now, played = time.perf_counter(), self.statistics.total_transitions
        before, so_far = self._asked
        self._asked = now, played
        return max(0.0, (played - so_far) / max(now - before, 1e-9))

    # ---- what has been learned -----------------------------------------------------------

    def _note_learned(self, agent: int, state: AgentState, metrics: Mapping[str, float]) -> None:
        if state.version > 0:
            self._ledger.learned(agent, metrics)
        gone = set(self.desk.rollouts) - set(self.desk.learning())
        for row in self._ledger.complete(gone):
            self._events.metrics(row)
        self._write_noted()

    def state(self) -> dict[str, Any]:
        """Return the simulator's own state between two rollouts, for a checkpoint."""
        return {
            "rollout": self._rollout,
            "rollouts": dict(self.desk.rollouts),
            **self.player.state(),
        }

    def _next_to_act(self) -> dict[int, int]:
        """Versions that the next rollout would be played with."""
        newest, rollouts = self.repository.newest, self.desk.rollouts
        return {agent: self._schedule.played(rollouts[agent], newest[agent]) for agent in newest}

    def _boundary(self, acting: dict[int, int]) -> Boundary:
        versions = dict(self.desk.rollouts)
        return Boundary(versions, acting, self.statistics.to_dict(), self.state())

    def _note_boundary(self, acting: dict[int, int]) -> None:
        """Between two rollouts: note where the run is, for a checkpoint if it is time.

        What the learners make of all that was played until now may still be on its way. The
        checkpoint waits for it, and the run does not.
        """
        boundary = self._boundary(acting)
        self._boundaries.append(boundary)
        if self.statistics.total_episodes >= self._next_checkpoint and self._noted is None:
            interval = self.config.checkpoint_interval
            self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval
            self._noted = boundary
            self._write_noted()

    def _all_learned(self) -> bool:
        newest, rollouts = self.repository.newest, self.desk.rollouts
        return all(newest.get(agent, -1) >= rollouts[agent] for agent in self.desk.learning())

    def _learned(self, boundary: Boundary) -> bool:
        """Whether every agent has learned from all that came before, but those who are gone."""
        newest, learning = self.repository.newest, self.desk.learning()
        free = set(self.desk.roster.free) if self._stopping or boundary is self._noted else set()
        return len(newest) == len(boundary.versions) and all(
            newest[agent] >= version or agent in free or agent not in learning
            for agent, version in boundary.versions.items()
        )

    def _write_noted(self) -> None:
        """Write the noted checkpoint once every agent has learned from all that came before it."""
        if self._noted is not None and self._learned(self._noted):
            noted, self._noted = self._noted, None
            self._save(noted, final=False)

    def _save(self, boundary: Boundary, *, final: bool) -> None:
        """Write a checkpoint of a boundary that has been learned from."""
        exact = self.config.sync != "async"  # otherwise newer versions are as good
        states, acting = [], {}
        for agent, version in boundary.versions.items():
            newest = self.repository.newest[agent]
            state = self.repository.state(agent, min(version, newest) if exact else None)
            assert state is not None, "a version is kept until the one after it acts"
            states.append(state)
            player = self.repository.state(agent, boundary.acting.get(agent))
            if player is not None and player.version < state.version:
                acting[agent] = player
        simulator = boundary.state | acting_entries(acting)
        content = self._checkpoint(states, boundary.statistics, simulator)
        self._events.checkpoint(content, final)

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
