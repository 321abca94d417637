"""The simulator: plays rollouts, sends them to the learners, and takes new policies in.

The loop of a run::

    await every agent's needed version -> let it act -> play a rollout -> send it -> ...

while two small tasks answer the learners and take their weights in, and a third keeps time. What
is decided here is decided by the pure parts: who has which agents (:mod:`roster`), which versions
a rollout needs (:mod:`schedule`), who plays whom and what they do (:mod:`player`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from brigade._core import Scenario
from brigade.agent_numbers import format_agents
from brigade.config import RunConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentState
from brigade.sim.player import Player, network_for
from brigade.sim.repository import Repository
from brigade.sim.roster import Lease, Refused, Roster
from brigade.sim.schedule import Schedule
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
from brigade.wire.messages import BadMessage, Frame
from brigade.wire.transport import SimulatorSockets, TransportError

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
PATIENCE_SECONDS = 15.0
# After a signal the run ends within five seconds, whatever the learners are doing.
LAST_WORDS_SECONDS = 3.0
YIELD_SECONDS = 0.005


class RunFailed(RuntimeError):
    """The run cannot go on; one line that says why."""


@dataclass
class Events:
    """What others may want to know; each may be replaced. The simulator itself prints nothing."""

    waiting: Callable[[list[int]], None] = lambda agents: None
    joined: Callable[[Lease], None] = lambda lease: None
    left: Callable[[Lease, str], None] = lambda lease, why: None
    progress: Callable[[Simulator], None] = lambda simulator: None
    metrics: Callable[[dict[str, Any]], None] = lambda row: None
    checkpoint: Callable[[Checkpoint, bool], None] = lambda checkpoint, final: None


@dataclass
class Times:
    """Where the simulator's time went since the last look, in seconds."""

    play: float = 0.0
    transport: float = 0.0
    wait: float = 0.0

    def shares(self) -> dict[str, float]:
        """Each as a share of their sum."""
        total = self.play + self.transport + self.wait or 1.0
        return {
            "play": self.play / total,
            "transport": self.transport / total,
            "wait": self.wait / total,
        }


@dataclass
class _Rollout:
    """A rollout's own part of its metrics, until the learners' part arrives."""

    row: dict[str, Any]
    agents: list[int]
    learned: dict[int, dict[str, float]] = field(default_factory=dict)


class Simulator:
    """One run. Its sockets are bound by the caller, its files written by ``events``.

    Parameters
    ----------
    config
        With ``seed`` and ``run_name`` filled in.
    """

    def __init__(
        self,
        config: RunConfig,
        scenario: Scenario,
        run: str,
        sockets: SimulatorSockets,
        events: Events,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        assert config.seed is not None, "the run has a seed by now"
        self.config = config
        self.scenario = scenario
        self.run_id = run
        self.network = network_for(config, scenario)
        self.repository = Repository(self.network, config.population_size)
        self.player = Player(config, scenario, self.repository, config.seed)
        self.statistics = Statistics(config.population_size)
        self.schedule = Schedule(config.sync, config.max_lag)
        self.roster = Roster(config.population_size, patience)
        self.bad_messages: Counter[str] = Counter()
        self.rollouts = dict.fromkeys(range(config.population_size), 0)  # each agent's next one
        self.rollout = 0
        self.times = Times()
        self._sockets = sockets
        self._events = events
        self._outbox: dict[int, dict[int, list[Frame]]] = {a: {} for a in self.rollouts}
        self._open_rollouts: dict[int, _Rollout] = {}
        self._checkpoint: tuple[dict[int, int], dict[str, Any], dict[str, Any]] | None = None
        self._next_checkpoint = config.checkpoint_interval
        self._changed = asyncio.Event()
        self._stopping: str | None = None
        self._failure: str | None = None

    # ---- the run -------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the whole run, to its end or until :meth:`stop`.

        Raises
        ------
        RunFailed
            A learner was lost and the run is told to fail then.
        """
        tasks = [
            asyncio.create_task(task())
            for task in (self._serve_control, self._serve_weights, self._keep_time)
        ]
        playing = asyncio.create_task(self._play_all())
        try:
            await asyncio.wait([playing, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in [playing, *tasks]:
                if task.done():
                    task.result()
        except BaseException as error:
            await self._dismiss(f"the run failed: {error}", failed=True)
            raise
        else:
            await self._dismiss(self._stopping or "the run is complete", failed=False)
        finally:
            for task in [playing, *tasks]:
                task.cancel()

    async def _play_all(self) -> None:
        while not self.done and not self._stopping:
            await self.step()
        await self._finish()

    async def step(self) -> None:
        """Play one rollout and send it, as soon as the policies that it needs are here."""
        started = time.perf_counter()
        await self._until(lambda: not self._awaited())
        self.times.wait += time.perf_counter() - started
        if self._stopping:
            return
        self._take_checkpoint()
        newest = self.repository.newest
        played = {a: self.schedule.played(self.rollouts[a], newest[a]) for a in newest}
        self.repository.act_with(played)
        await self._play(played)
        self._send()

    @property
    def done(self) -> bool:
        """Whether as much has been played as was asked for."""
        return self.progress_share >= 1.0

    @property
    def progress_share(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        share = self.statistics.total_episodes / self.config.num_episodes
        if self.config.num_transitions is not None:
            share = max(share, self.statistics.total_transitions / self.config.num_transitions)
        return min(share, 1.0)

    def stop(self, reason: str) -> None:
        """End the run in order, soon."""
        self._stopping = self._stopping or reason
        self._changed.set()

    def fail(self, reason: str) -> None:
        """End the run because it cannot go on."""
        self._failure = self._failure or reason
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until the condition holds, a stop is asked for, or time is up: did it hold?"""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            if self._failure:
                raise RunFailed(self._failure)
            if self._stopping and timeout is None:
                return False
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return condition()
        return True

    # ---- playing -------------------------------------------------------------------------

    def _learning(self) -> list[int]:
        """Agents that the run waits for and sends experience to."""
        if self.config.on_learner_loss == "freeze":
            free = set(self.roster.free)
            return [a for a in self.rollouts if a not in free or a not in self.repository.newest]
        return list(self.rollouts)

    def _awaited(self) -> list[int]:
        return self.schedule.awaited(self._learning(), self.rollouts, self.repository.newest)

    async def _play(self, played: dict[int, int]) -> None:
        config, statistics = self.config, self.statistics
        before = Statistics(config.population_size)
        started = slept = time.perf_counter()
        for _ in range(config.steps_per_rollout):
            episodes = self.player.step()
            for counted in (statistics, before):
                counted.count_step(config.num_games, config.num_agents_per_game)
                counted.count_episodes(episodes)
            if self.done or self._stopping or self._failure:
                break
            if time.perf_counter() - slept > YIELD_SECONDS:
                await asyncio.sleep(0)
                slept = time.perf_counter()
        self.times.play += time.perf_counter() - started
        returns = [value for recent in before.recent for value in recent]
        self._open_rollouts[self.rollout] = _Rollout(
            {
                "update": self.rollout,
                "episodes": statistics.total_episodes,
                "transitions": statistics.total_transitions,
                "episode_return": float(np.mean(returns)) if returns else None,
                "episode_length": before.total_steps / before.total_episodes
                if before.total_episodes
                else None,
                "agent_returns": [float(np.mean(r)) if r else None for r in before.recent],
                "lag": [self.rollouts[a] - played[a] for a in sorted(played)],
            },
            self._learning(),
        )

    def _send(self) -> None:
        """Send each learning agent its fragments of the rollout that was just played."""
        started = time.perf_counter()
        self.player.cut()
        for agent in self._learning():
            sequence = self.rollouts[agent]
            arrays = self.player.buffer.arrays(agent, self.repository.acting[agent])
            header = messages.Experience(
                run=self.run_id, agent=agent, sequence=sequence, progress=self.progress_share
            )
            frames = messages.encode(header, arrays)
            self._outbox[agent][sequence] = frames
            self.rollouts[agent] = sequence + 1
            lease = self.roster.lease_of(agent)
            if lease is not None:
                self._sockets.send_experience(lease.slot, frames)
        self.player.buffer.clear()
        self.rollout += 1
        self.times.transport += time.perf_counter() - started
        self._events.progress(self)

    async def _finish(self) -> None:
        """Wait for what the learners still make of the last rollouts, and save it."""
        if self._failure:
            raise RunFailed(self._failure)

        def learned() -> bool:
            newest = self.repository.newest
            return all(newest.get(a, -1) >= self.rollouts[a] for a in self._learning())

        if self._stopping:
            await self._until(learned, LAST_WORDS_SECONDS)
        else:
            await self._until(learned)
            if self._stopping:
                await self._until(learned, LAST_WORDS_SECONDS)
        self._events.progress(self)
        if len(self.repository.newest) == self.config.population_size:
            states = self._newest_states()
            self._events.checkpoint(
                self._make_checkpoint(states, self.statistics.to_dict(), self.state()), True
            )

    # ---- checkpoints ---------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the simulator's own state between two rollouts, for a checkpoint."""
        return {
            "rollout": self.rollout,
            "rollouts": dict(self.rollouts),
            **self.player.state(),
        }

    def _take_checkpoint(self) -> None:
        """Between two rollouts: note the simulator's state; it is written with the policies.

        What the learners make of all that was played until now may still be on its way. The
        checkpoint waits for it, and the run does not.
        """
        if self.statistics.total_episodes >= self._next_checkpoint and self._checkpoint is None:
            interval = self.config.checkpoint_interval
            self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval
            self._checkpoint = (dict(self.rollouts), self.statistics.to_dict(), self.state())
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        if self._checkpoint is None:
            return
        versions, statistics, simulator = self._checkpoint
        if self.config.sync == "async":
            states = self._newest_states()
        else:
            known = [
                self.repository.state(a, None if a in self.roster.free else v)
                for a, v in versions.items()
            ]
            states = [state for state in known if state is not None]
        if len(states) == len(versions):
            self._checkpoint = None
            self._events.checkpoint(self._make_checkpoint(states, statistics, simulator), False)

    def _newest_states(self) -> list[AgentState]:
        states = [self.repository.state(agent) for agent in self.rollouts]
        return [state for state in states if state is not None]

    def _make_checkpoint(
        self, states: list[AgentState], statistics: dict[str, Any], simulator: dict[str, Any]
    ) -> Checkpoint:
        return Checkpoint(
            self.run_id, self.config, self.scenario, self.network, states, statistics, simulator
        )

    # ---- learners ------------------------------------------------------------------------

    async def _serve_control(self) -> None:
        while True:
            peer, frames = await self._sockets.receive_control()
            try:
                header, _ = messages.decode(frames)
                await self._answer(peer, header)
            except BadMessage as error:
                self._count_bad(f"control {peer.hex()}", error)

    async def _answer(self, peer: bytes, header: messages.Message) -> None:
        now = time.monotonic()
        if isinstance(header, messages.Hello):
            await self._welcome(peer, header, now)
            return
        run = getattr(header, "run", None)
        if run != self.run_id:
            raise BadMessage(f"{type(header).__name__} for run {run!r}")
        if isinstance(header, messages.Goodbye):
            lease = self.roster.leave(peer)
            if lease is not None:
                self._lost(lease, header.reason or "left")
        elif isinstance(header, messages.Heartbeat):
            if not self.roster.heard(peer, now):
                refusal = messages.Refusal(reason="your lease has run out", final=False)
                await self._sockets.send_control(peer, messages.encode(refusal))
        else:
            raise BadMessage(f"{type(header).__name__} on the control socket")

    async def _welcome(self, peer: bytes, hello: messages.Hello, now: float) -> None:
        """Grant a learner its agents, or say why not."""
        old = self.roster.leave(peer)  # it has lost its memory of us; the new hello counts
        if old is not None:
            self._sockets.close_slot(old.slot)
        try:
            if hello.run and hello.run != self.run_id:
                raise Refused(f"this is run {self.run_id}, not {hello.run}")
            if self._stopping:
                raise Refused("the run is over")
            lease = self.roster.join(peer, hello.name, hello.device, hello.agents, now)
            try:
                self._sockets.open_slot(lease.slot)
            except TransportError as error:
                self.roster.leave(peer)
                raise Refused(str(error)) from None
        except Refused as error:
            refusal = messages.Refusal(reason=str(error), final=error.final)
            await self._sockets.send_control(peer, messages.encode(refusal))
            return
        endpoint = self._sockets.endpoint
        granted, arrays = [], {}
        for agent in lease.agents:
            state = self.repository.state(agent)
            if state is None:
                granted.append(messages.Granted(agent, 0, 0, state=False))
            else:
                granted.append(messages.Granted(agent, state.version, state.steps, state=True))
                arrays.update({f"{agent}/{k}": array for k, array in state.arrays().items()})
        welcome = messages.Welcome(
            run=self.run_id,
            slot=lease.slot,
            weights=endpoint.weights_suffix,
            experience=endpoint.experience_suffix(lease.slot),
            config=msgspec.to_builtins(self.config),
            num_features=self.network.num_features,
            action_nvec=list(self.network.action_nvec),
            agents=granted,
        )
        await self._sockets.send_control(peer, messages.encode(welcome, arrays))
        for agent in lease.agents:
            for _, frames in sorted(self._outbox[agent].items()):
                self._sockets.send_experience(lease.slot, frames)
        self._events.joined(lease)
        self._changed.set()

    def _lost(self, lease: Lease, why: str) -> None:
        """A learner is gone: free its place, and do what the run was told to do then."""
        self._sockets.close_slot(lease.slot)
        self._events.left(lease, why)
        if self.config.on_learner_loss == "fail" and not self._stopping:
            self.fail(f"learner {lease.name} ({format_agents(lease.agents)}) is gone: {why}")
        self._changed.set()

    async def _serve_weights(self) -> None:
        while True:
            frames = await self._sockets.receive_weights()
            try:
                header, arrays = messages.decode(frames)
                agent, state = read_weights(header, arrays, self.run_id, self.network)
                if agent >= self.config.population_size:
                    raise BadMessage(f"weights of agent {agent}, which does not exist")
                self._take_weights(agent, state, header)
            except BadMessage as error:
                self._count_bad("weights", error)
                continue
            lease = self.roster.lease_of(agent)
            if lease is not None:
                acknowledge = messages.Acknowledge(
                    run=self.run_id, agent=agent, version=state.version
                )
                await self._sockets.send_control(lease.peer, messages.encode(acknowledge))

    def _take_weights(self, agent: int, state: AgentState, header: messages.Weights) -> None:
        """Keep a new version; one that was here before only needs its acknowledgement again."""
        expected = self.repository.newest.get(agent, -1) + 1
        if state.version > expected or state.version > self.rollouts[agent]:
            raise BadMessage(f"version {state.version} of agent {agent}, not {expected}")
        if not self.repository.add(agent, state):
            return
        self._outbox[agent] = {s: f for s, f in self._outbox[agent].items() if s >= state.version}
        self._write_checkpoint()
        self._note_learned(agent, state.version, header.metrics)
        self._changed.set()

    def _note_learned(self, agent: int, version: int, metrics: dict[str, float]) -> None:
        """Complete the rows of metrics whose rollouts all agents have learned from."""
        for number, rollout in list(self._open_rollouts.items()):
            if agent in rollout.agents and agent not in rollout.learned and version > 0:
                rollout.learned[agent] = metrics
                learning = set(self._learning())
                if learning <= set(rollout.learned) | (learning - set(rollout.agents)):
                    del self._open_rollouts[number]
                    self._write_metrics(rollout)
                break

    def _write_metrics(self, rollout: _Rollout) -> None:
        learned = [rollout.learned[agent] for agent in sorted(rollout.learned)]
        names = sorted(set().union(*learned)) if learned else []
        per_agent = {name: [metrics.get(name) for metrics in learned] for name in names}
        means = {
            name: float(np.mean([v for v in values if v is not None]))
            for name, values in per_agent.items()
        }
        row = rollout.row | {
            "learning": means,
            "agents": per_agent,
            "time_share": self.times.shares(),
        }
        self.times = Times()
        self._events.metrics(row)

    async def _keep_time(self) -> None:
        """Send heartbeats, notice who is silent, say who is awaited."""
        said: list[int] = []
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            beat = messages.encode(messages.Heartbeat(run=self.run_id))
            for peer in list(self.roster.leases):
                await self._sockets.send_control(peer, beat)
            for lease in self.roster.expire(time.monotonic()):
                self._lost(lease, f"silent for {self.roster.patience:.0f} s")
            missing = [a for a in self._awaited() if a in self.roster.free]
            if missing != said:
                self._events.waiting(missing)
            said = missing

    async def _dismiss(self, reason: str, *, failed: bool) -> None:
        """Tell the learners that the run is over, and give them a moment to say goodbye."""
        stop = messages.encode(messages.Stop(run=self.run_id, reason=reason, failed=failed))
        self._stopping = self._stopping or reason
        for peer in list(self.roster.leases):
            await self._sockets.send_control(peer, stop)
        deadline = time.monotonic() + 1.0
        while self.roster.leases and time.monotonic() < deadline:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.1)
            except TimeoutError:
                continue

    def _count_bad(self, sender: str, error: BadMessage) -> None:
        """Count a message that was dropped, and log the 1st, 2nd, 4th, 8th... of each sender."""
        self.bad_messages[sender] += 1
        count = self.bad_messages[sender]
        if count & (count - 1) == 0:
            log.warning("dropped bad message %d from %s: %s", count, sender, error)


def read_weights(
    header: messages.Message, arrays: messages.Arrays, run: str, network: Network
) -> tuple[int, AgentState]:
    """Check a weights message and read the agent's state from it.

    Raises
    ------
    BadMessage
        It is something else, of another run, or does not fit the network.
    """
    if not isinstance(header, messages.Weights) or header.run != run:
        raise BadMessage(f"{type(header).__name__} is not weights of run {run}")
    row = (network.num_parameters,)
    messages.require(
        arrays,
        {
            "parameters": ("f4", row),
            "first_moment": ("f4", row),
            "second_moment": ("f4", row),
            "statistics": ("f8", (3,)),
        },
    )
    if not all(np.isfinite(value) for value in header.metrics.values()):
        raise BadMessage("metrics that are not finite")
    return header.agent, AgentState(header.version, header.steps, **arrays)  # type: ignore[arg-type]
