"""The learner server: welcomes learners, sends them experience, and takes their policies in.

It owns the lease table of who learns what, each agent's count of rollouts, and a copy of every
rollout that has not been learned from yet: a learner that takes an agent over gets those first, so
nothing is lost with the one before.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

import msgspec

from brigade.agent_numbers import format_agents
from brigade.config import RunConfig
from brigade.policy.build import described
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState
from brigade.ppo.divergence import too_large
from brigade.printable import printable
from brigade.sim.events import Events
from brigade.sim.lease_table import Lease, LeaseTable, Refused
from brigade.sim.repository import Repository
from brigade.wire import messages
from brigade.wire.messages import Arrays, BadMessage, Frame, OtherProtocol
from brigade.wire.transport import Sender, SimulatorSockets, TransportError

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
GOODBYE_SECONDS = 1.0
MOST_STANDING_BY = 1000
MOST_FORMER = 1000  # fencing tokens that are remembered
MOST_SENDERS = 1000  # of bad messages, that are told apart
MOST_BUSY_SLOTS = 16  # that are passed over for one learner


@dataclass(frozen=True)
class _Experience:
    """One agent's part of one rollout."""

    run: str
    agent: int
    sequence: int
    progress: float
    arrays: Arrays

    def frames(self, lease: Lease) -> list[Frame]:
        """Make the message for a learner."""
        header = messages.Experience(
            run=self.run,
            agent=self.agent,
            sequence=self.sequence,
            generation=lease.generation,
            progress=self.progress,
        )
        return messages.encode(header, self.arrays)


class LearnerServer:
    """Serves the sockets of one run.

    Parameters
    ----------
    learned
        Told of each new version that has arrived: agent, state, the update's metrics.
    changed
        Told whenever a learner came or went.
    failed
        Told why the run cannot go on.
    report
        Asked how the run is doing.

    Attributes
    ----------
    rollouts
        For each agent the number of its next rollout.
    closing
        Why nobody is welcome any more; empty while somebody is.
    frozen
        Agents that the run neither waits for nor sends experience to.
    """

    def __init__(
        self,
        run: str,
        config: RunConfig,
        repository: Repository,
        sockets: SimulatorSockets,
        events: Events,
        lease_timeout: float,
        *,
        learned: Callable[[int, AgentState, messages.Weights], None],
        changed: Callable[[], None],
        failed: Callable[[str], None],
        report: Callable[[], messages.Report],
    ) -> None:
        self.run = run
        self.lease_table = LeaseTable(
            repository.population.size, lease_timeout, sockets.endpoint.num_slots
        )
        self.rollouts = dict.fromkeys(range(repository.population.size), 0)
        self.bad_messages: Counter[str] = Counter()
        self.closing = ""
        self.frozen: set[int] = set()
        self._unattended: set[int] = set()  # agents that play on until a learner comes for them
        # Keys by identity, of who was refused for now; the latest last.
        self._standing_by: dict[bytes, str] = {}
        # Fencing tokens of leases that have ended.
        self._former: deque[str] = deque(maxlen=MOST_FORMER)
        self._config = config
        self._repository = repository
        self._sockets = sockets
        self._events = events
        # Messages that may have to be sent once more.
        self._outbox: dict[int, dict[int, _Experience]] = {a: {} for a in self.rollouts}
        self._learned, self._changed, self._failed = learned, changed, failed
        self._report = report
        self._last_metrics: dict[int, Mapping[str, float | None]] = {}

    # ---- what the simulator asks for -----------------------------------------------------

    def learning(self) -> list[int]:
        """Agents that the run waits for and sends experience to."""
        return [agent for agent in self.rollouts if agent not in self.frozen]

    def leave_unattended(self) -> None:
        """Let agents without a learner play on as they are until theirs comes."""
        self._unattended |= set(self.lease_table.free)
        self._note_change()

    def _note_change(self) -> None:
        """Learners have come or gone."""
        self.frozen = set(self._unattended)
        if self._config.on_learner_loss == "freeze":
            self.frozen |= {a for a in self.lease_table.free if a in self._repository.newest}
        self._changed()

    def send(self, agent: int, arrays: Arrays, progress: float) -> None:
        """Send an agent's part of a rollout to its learner, or keep it for the one to come."""
        sequence = self.rollouts[agent]
        experience = _Experience(self.run, agent, sequence, progress, arrays)
        self._outbox[agent][sequence] = experience
        self.rollouts[agent] = sequence + 1
        lease = self.lease_table.lease_of(agent)
        if lease is not None:
            self._sockets.send_experience(lease.slot, experience.frames(lease))

    def learners(self) -> list[messages.LearnerReport]:
        """Describe the learners."""
        now, newest = time.monotonic(), self._repository.newest
        reports = []
        for lease in self.lease_table.leases.values():
            last = self._last_metrics.get(lease.agents[0], {})
            reports.append(
                messages.LearnerReport(
                    name=lease.name,
                    device=lease.device,
                    agents=list(lease.agents),
                    versions=[newest.get(agent, -1) for agent in lease.agents],
                    outstanding=[self._outstanding(agent) for agent in lease.agents],
                    silent_seconds=now - lease.last_seen,
                    learn_seconds=last.get("learn_seconds") or 0.0,
                    wait_seconds=last.get("wait_seconds") or 0.0,
                )
            )
        return reports

    async def dismiss(self, reason: str, *, failed: bool) -> None:
        """Tell the learners that the run is over, and give them a moment to say goodbye; once."""
        if self.closing:
            return
        self.closing = reason
        said = printable(reason)  # it may name a path
        stop = messages.encode(messages.Stop(run=self.run, reason=said, failed=failed))
        for peer in [*self.lease_table.leases, *self._standing_by]:
            await self._sockets.send_control(peer, stop)
        deadline = time.monotonic() + GOODBYE_SECONDS
        while self.lease_table.leases and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    # ---- tasks ---------------------------------------------------------------------------

    async def serve_control(self) -> None:
        """Answer learners, for ever."""
        while True:
            sender, frames = await self._sockets.receive_control()
            try:
                await self._answer(sender, messages.decode(frames)[0])
            except BadMessage as error:
                self._count_bad(f"control {sender}", error)
                if isinstance(error, OtherProtocol):
                    mismatch = messages.encode_mismatch(error.protocol)
                    await self._sockets.send_control(sender.identity, mismatch)

    async def serve_weights(self) -> None:
        """Take new policies in, for ever."""
        while True:
            sender, frames = await self._sockets.receive_weights()
            try:
                header, arrays = messages.decode(frames)
                weights, state = read_weights(header, arrays, self.run, self._repository.population)
                lease = self._take_in(weights, state, sender.key)
            except BadMessage as error:
                self._count_bad(f"weights {sender}", error)
                continue
            if lease is not None:
                lease.welcomed = True  # or it had no fencing token to publish with
                acknowledge = messages.Acknowledge(
                    run=self.run, agent=weights.agent, version=state.version
                )
                await self._sockets.send_control(lease.peer, messages.encode(acknowledge))

    async def keep_time(self, awaited: Callable[[], list[int]]) -> None:
        """Send heartbeats, notice who is silent, and say who is awaited; for ever."""
        said: list[int] = []
        while True:
            slept = time.monotonic()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            late = time.monotonic() - slept - HEARTBEAT_SECONDS
            if late > HEARTBEAT_SECONDS:
                # We, not the learners, were silent (suspended, say): what they said meanwhile
                # has yet to be read.
                self.lease_table.forgive(late)
            await self._turn_out_revoked()
            for lease in list(self.lease_table.leases.values()):
                outstanding = sum(self._outstanding(agent) for agent in lease.agents)
                beat = messages.Heartbeat(run=self.run, outstanding=outstanding)
                await self._sockets.send_control(lease.peer, messages.encode(beat))
            for lease in self.lease_table.expire(time.monotonic()):
                self._lose(lease, f"silent for {self.lease_table.lease_timeout:.0f} s")
            free = set(self.lease_table.free)
            missing = [agent for agent in awaited() if agent in free]
            if missing != said:
                self._events.waiting(missing)
            said = missing

    # ---- learners ------------------------------------------------------------------------

    async def _turn_out_revoked(self) -> None:
        """Take the agents of those away whose keys were revoked, and tell them."""
        revoked = self._sockets.revoked()
        self._standing_by = {p: key for p, key in self._standing_by.items() if key not in revoked}
        refusal = messages.encode(messages.Refusal(reason="your key was revoked"))
        for lease in [x for x in self.lease_table.leases.values() if x.key in revoked]:
            self.lease_table.leave(lease.peer, time.monotonic())
            self._lose(lease, "its key was revoked")
            await self._sockets.send_control(lease.peer, refusal)

    async def _answer(self, sender: Sender, header: messages.Message) -> None:
        peer = sender.identity
        lease = self.lease_table.leases.get(peer)
        if lease is not None and lease.key != sender.key:
            raise BadMessage(f"{type(header).__name__} in the name of {lease.name}")
        if isinstance(header, messages.Hello):
            await self._welcome(sender, header)
            return
        if isinstance(header, messages.Ask):
            await self._sockets.send_control(peer, messages.encode(self._report()))
            return
        run = getattr(header, "run", None)
        if run != self.run:
            raise BadMessage(f"{type(header).__name__} for run {run!r}")
        if isinstance(header, messages.Goodbye):
            if self.lease_table.leave(peer, time.monotonic()) and lease is not None:
                self._lose(lease, header.reason or "it left")
        elif isinstance(header, messages.Heartbeat):
            if not self.lease_table.heard(peer, time.monotonic()):
                refusal = messages.Refusal(reason="your lease has run out", final=False)
                await self._sockets.send_control(peer, messages.encode(refusal))
        else:
            raise BadMessage(f"{type(header).__name__} on the control socket")

    async def _welcome(self, sender: Sender, hello: messages.Hello) -> None:
        """Grant a learner its agents, or say why not."""
        peer = sender.identity
        before = self.lease_table.leases.get(peer)
        if before is not None and not before.welcomed:
            # It asked more than once while nobody answered. Its welcome is on its way.
            before.last_seen = time.monotonic()
            return
        if before is not None:  # it starts anew, so what it had is free
            self.lease_table.leave(peer, time.monotonic())
            self._former.append(before.fencing_token)
            self._sockets.close_slot(before.slot)
        try:
            lease = self._grant(sender, hello)
        except Refused as error:
            # Who did not come to stay has no use for a later yes.
            final = error.final or (error.taken and not (hello.stand_by or hello.run))
            if not final:
                self._standing_by.pop(peer, None)
                self._standing_by[peer] = sender.key
                if len(self._standing_by) > MOST_STANDING_BY:
                    del self._standing_by[next(iter(self._standing_by))]
            hint = "; --stand-by waits for them" if error.taken and final else ""
            refusal = messages.Refusal(reason=printable(f"{error}{hint}"), final=final)
            await self._sockets.send_control(peer, messages.encode(refusal))
            return
        self._standing_by.pop(peer, None)
        self._unattended -= set(lease.agents)
        granted, arrays, population = [], {}, self._repository.population
        versions = self._common_versions(lease.agents)
        for agent in lease.agents:
            state = self._repository.state(agent, versions.get(agent))
            role = population.role_of(agent)
            if state is None:
                granted.append(messages.Granted(agent, role, 0, 0, 0, state=False))
            else:
                counts = (state.version, state.steps, state.rollbacks)
                granted.append(messages.Granted(agent, role, *counts, state=True))
                arrays.update({f"{agent}/{name}": a for name, a in state.arrays().items()})
        endpoint = self._sockets.endpoint
        welcome = messages.Welcome(
            run=self.run,
            slot=lease.slot,
            generation=lease.generation,
            fencing_token=lease.fencing_token,
            weights=endpoint.weights_suffix,
            experience=endpoint.experience_suffix(lease.slot),
            config=msgspec.to_builtins(self._config.nameless),
            policies=[described(network) for network in population.networks],
            agents=granted,
        )
        await self._sockets.send_control(peer, messages.encode(welcome, arrays))
        for agent in lease.agents:
            for sequence, experience in sorted(self._outbox[agent].items()):
                if sequence >= versions.get(agent, 0):
                    self._sockets.send_experience(lease.slot, experience.frames(lease))
        self._events.joined(lease)
        self._note_change()

    def _outstanding(self, agent: int) -> int:
        """Count the rollouts that an agent has yet to learn from."""
        newest = self._repository.newest.get(agent, 0)
        return sum(sequence >= newest for sequence in self._outbox[agent])

    def _common_versions(self, agents: tuple[int, ...]) -> dict[int, int]:
        """Versions for a learner to go on from, of those agents that have any.

        The learner before may have been killed when only some of its agents' new versions had
        arrived. All go back to the oldest then, to be updated together; what is learned once more
        comes out the same, and is known already.
        """
        newest = self._repository.newest
        least = min((newest.get(agent, 0) for agent in agents), default=0)
        return {
            agent: least if self._can_go_back(agent, least) else newest[agent]
            for agent in agents
            if agent in newest
        }

    def _can_go_back(self, agent: int, version: int) -> bool:
        kept = all(s in self._outbox[agent] for s in range(version, self.rollouts[agent]))
        return kept and self._repository.state(agent, version) is not None

    def _grant(self, sender: Sender, hello: messages.Hello) -> Lease:
        """Find a learner its agents and a slot.

        Raises
        ------
        Refused
            It cannot have them.
        """
        if hello.run and hello.run != self.run:
            raise Refused(f"this is run {self.run}, not {hello.run}")
        if self.closing:
            raise Refused("the run is over")
        now = time.monotonic()
        lease = self.lease_table.join(sender.identity, hello.name, hello.device, hello.agents, now)
        lease.fencing_token, lease.key = secrets.token_hex(16), sender.key
        for _ in range(MOST_BUSY_SLOTS):
            try:
                self._sockets.open_slot(lease.slot, lease.key)
                return lease
            except TransportError as error:  # somebody else has that port
                reason = str(error)
                if not self.lease_table.another_slot(lease, now):
                    break
        self.lease_table.leave(lease.peer, now)
        raise Refused(f"no experience socket can be opened: {reason}", final=False)

    def _lose(self, lease: Lease, why: str) -> None:
        """A learner is gone: free its place, and do what the run was told to do then."""
        self._sockets.close_slot(lease.slot)
        self._former.append(lease.fencing_token)
        if not self.closing:
            self._events.left(lease, why)
            if self._config.on_learner_loss == "fail":
                self._failed(f"{lease.name} ({format_agents(lease.agents)}) is gone: {why}")
        self._note_change()

    def _take_in(self, weights: messages.Weights, state: AgentState, key: str) -> Lease | None:
        """Keep a new version, and return whose it is.

        One that was here before needs no more than to be acknowledged. One that was on its way when
        its learner's lease ended is nobody's.
        """
        agent, version = weights.agent, state.version
        if weights.fencing_token in self._former:
            return None
        lease = self.lease_table.lease_of(agent)
        token = weights.fencing_token.encode(errors="replace")
        if (
            lease is None
            or lease.key != key
            or not hmac.compare_digest(lease.fencing_token.encode(), token)
        ):
            raise BadMessage(f"weights of agent {agent} from one who has no lease of it")
        if version > self.rollouts[agent]:
            raise BadMessage(f"version {version} of agent {agent} before its rollout")
        if version > self._repository.newest.get(agent, -1) + 1:
            return None  # one before it was lost on its way; both will be published again
        if self._repository.add(agent, state):
            kept = min(version, self._repository.acting.get(agent, 0))
            self._outbox[agent] = {s: f for s, f in self._outbox[agent].items() if s >= kept}
            self._last_metrics[agent] = weights.metrics
            self._learned(agent, state, weights)
        return lease

    def _count_bad(self, sender: str, error: BadMessage) -> None:
        """Count a message that was dropped, and log the 1st, 2nd, 4th, 8th... of each sender."""
        if sender not in self.bad_messages and len(self.bad_messages) >= MOST_SENDERS:
            sender = "others"
        self.bad_messages[sender] += 1
        count = self.bad_messages[sender]
        if count & (count - 1) == 0:
            log.warning("dropped bad message %d from %s: %s", count, sender, str(error))


def read_weights(
    header: messages.Message, arrays: Arrays, run: str, population: Population
) -> tuple[messages.Weights, AgentState]:
    """Check a weights message and read the agent's state from it.

    Raises
    ------
    BadMessage
        It is something else, of another run, of an agent that there is not, or does not fit its
        network.
    """
    if not isinstance(header, messages.Weights) or header.run != run:
        raise BadMessage(f"{type(header).__name__} is not weights of run {run}")
    if header.agent >= population.size:
        raise BadMessage(f"weights of agent {header.agent}, which does not exist")
    row = ("f4", (population.network_of(header.agent).num_parameters,))
    names = {"parameters": row, "first_moment": row, "second_moment": row}
    messages.require(arrays, {**names, "statistics": ("f8", (3,))})
    state = AgentState(header.version, header.steps, **arrays, rollbacks=header.rollbacks)
    metrics = {n: x if x is None or isfinite(x) else None for n, x in header.metrics.items()}
    header = msgspec.structs.replace(header, metrics=metrics)
    why = too_large(state, population.network_of(header.agent).num_weights)
    if why:
        raise BadMessage(f"weights of agent {header.agent}: {why}")
    return header, state
