"""The learner's loop: join, publish, and then receive, update, publish until the run is over."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from brigade.agent_numbers import format_agents
from brigade.config import ConfigError, RunConfig, convert
from brigade.learn.experience import Inbox, read_experience
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.parallel import ParallelUpdater
from brigade.ppo.upload import Uploader
from brigade.wire import messages
from brigade.wire.endpoints import AddressError
from brigade.wire.messages import Arrays, BadMessage, Frame
from brigade.wire.transport import LearnerSockets

log = logging.getLogger(__name__)

HELLO_SECONDS = 5.0
HEARTBEAT_SECONDS = 1.0
# During an update on a GPU, so that what comes in is copied there beside it.
RECEIVE_SECONDS = 0.01
# Silence after which the simulator counts as gone, until it is heard again.
PATIENCE_SECONDS = 15.0
# Idleness, while the simulator waits for us, after which a connection counts as broken; at first,
# and twice as long after each time.
REPAIR_SECONDS = 10.0
HAND_OVER_SECONDS = 5.0
LARGEST_SIZE = 1 << 20  # of an observation, or a choice
REPUBLISH_SECONDS = 0.1  # at first; twice as long after each time
LONGEST_REPUBLISH_SECONDS = 5.0


class LearnerRefused(RuntimeError):
    """The simulator said no: its sentence."""


class RunOver(Exception):
    """The simulator said that the run is over."""

    def __init__(self, reason: str, *, failed: bool) -> None:
        super().__init__(reason)
        self.failed = failed


class _CutOff(Exception):
    """An update was given up, since the learner is to leave."""


@dataclass
class _Published:
    """A version on its way to the simulator."""

    version: int
    frames: list[Frame]
    next_send: float
    interval: float = REPUBLISH_SECONDS


@dataclass
class _Joined:
    """What a learner has once it was welcomed."""

    run: str
    slot: int
    ticket: str
    config: RunConfig
    network: Network
    stack: AgentStack
    updater: ParallelUpdater
    inbox: Inbox


class Learner:
    """One learner process: K agents, one batched update for all of them.

    Parameters
    ----------
    wanted
        The agents to ask for: ``"0-7"``, ``"auto"``, ``"any:8"``.
    threads
        Threads that share the agents of an update.
    stand_by
        Whether to go on asking while others have the agents.
    max_updates
        Updates to make before leaving; by default as many as the run has.
    announce
        Told what happens to this learner: the event's name, and a line for people.
    """

    def __init__(
        self,
        sockets: LearnerSockets,
        name: str,
        wanted: str,
        device: torch.device,
        announce: Callable[[str, str], None] = lambda event, line: None,
        *,
        threads: int = 1,
        stand_by: bool = False,
        max_updates: int | None = None,
    ) -> None:
        self.name = name
        self.wanted = wanted
        self.device = device
        self.bad_messages = 0
        self.updates = 0
        self._max_updates = max_updates
        self._threads = threads
        self._stand_by = stand_by
        self._run = ""  # the run that this learner belongs to, once it knows
        self._said = ""
        self._stopping = ""
        self._sockets = sockets
        self._announce = announce
        self._uploader = Uploader(device) if device.type != "cpu" else None
        self._joined: _Joined | None = None
        self._published: dict[int, _Published] = {}
        self._last_hello = self._last_beat = self._last_look = float("-inf")
        self._waited = 0.0
        self._heard = time.monotonic()
        self._idle_since = time.monotonic()
        self._repair_after = REPAIR_SECONDS

    @property
    def agents(self) -> list[int]:
        """The agents of this learner; empty before the welcome."""
        return self._joined.stack.agents if self._joined else []

    @property
    def versions(self) -> list[int]:
        """Their newest versions."""
        return self._joined.stack.versions if self._joined else []

    def run(self) -> str:
        """Learn until the run is over, or :meth:`stop`; return the reason.

        Raises
        ------
        LearnerRefused
            The simulator does not take this learner.
        RunOver
            The run failed elsewhere.
        """
        try:
            with contextlib.suppress(_CutOff):
                while not self._stopping and self.updates != self._max_updates:
                    self.step(timeout=0.05 if self._published else 0.25)
            if self._stopping:
                handing = ": handing over" if self.agents else ""
                self._tell("stopped", f"{self._stopping}{handing}")
            reason = self._stopping or f"made its {self.updates} updates"
            self.leave(reason)
            return reason
        except RunOver as over:
            self._published.clear()  # nobody wants them any more
            self.leave("the run is over")
            if over.failed:
                raise
            return str(over)

    def stop(self, reason: str) -> None:
        """Leave soon, from where nothing is half done; may be called from a signal's handler."""
        self._stopping = reason

    def step(self, timeout: float) -> bool:
        """Receive what is there, waiting at most ``timeout`` seconds; update if all is there.

        Returns whether an update was made.
        """
        self._stay_in_touch()
        started = time.perf_counter()
        self._receive(timeout)
        joined = self._joined
        if joined is None or not joined.inbox.ready:
            self._waited += time.perf_counter() - started
            return False
        self._update(joined)
        return True

    def leave(self, reason: str) -> None:
        """Make sure that the newest versions have arrived, and say goodbye: the agents are free."""
        deadline = time.monotonic() + HAND_OVER_SECONDS
        try:
            while self._published and self._joined is not None and time.monotonic() < deadline:
                self._stay_in_touch()
                self._receive(0.05)
        except (RunOver, LearnerRefused):
            pass  # then nobody wants them
        if self._published and self._joined is not None:
            agents = format_agents(self._published)
            log.warning("leaving, though the newest versions of %s did not arrive", agents)
        if self._joined is not None:
            goodbye = messages.Goodbye(run=self._joined.run, reason=reason)
            self._sockets.send_control(messages.encode(goodbye))

    # ---- learning ------------------------------------------------------------------------

    def _update(self, joined: _Joined) -> None:
        received = joined.inbox.take()
        acted = [part.policy_versions for part in received]
        lags = [
            version - min(versions, default=version)
            for version, versions in zip(joined.stack.versions, acted, strict=True)
        ]
        started = time.perf_counter()
        metrics = joined.updater.update(
            [part.rollout for part in received],
            progress=min(part.progress for part in received),
            refresh=[lag > 0 for lag in lags],
            between_batches=self._between_batches,
        )
        seconds = time.perf_counter() - started
        for row, lag in zip(metrics, lags, strict=True):
            row |= {"lag": float(lag), "learn_seconds": seconds, "wait_seconds": self._waited}
        self._waited = 0.0
        if self._joined is not joined:
            return  # the agents are another's by now, or to be had anew
        self.updates += 1
        self._publish(joined, metrics)
        self._idle_since = time.monotonic()
        self._repair_after = REPAIR_SECONDS

    def _between_batches(self) -> None:
        """Keep in touch during a long update, and end it if the run is over or we are to leave."""
        if self._stopping:
            raise _CutOff
        self._idle_since = time.monotonic()  # who is at work is not waiting for what was lost
        if self._idle_since - self._last_beat > HEARTBEAT_SECONDS:
            self._stay_in_touch()
            self._receive(0.0)
        elif self._uploader is not None and self._idle_since - self._last_look > RECEIVE_SECONDS:
            self._receive(0.0)

    # ---- publishing ----------------------------------------------------------------------

    def _publish(self, joined: _Joined, metrics: list[dict[str, float]] | None = None) -> None:
        """Publish every agent's state, and again until the simulator has it."""
        for k, state in enumerate(joined.stack.states()):
            agent = joined.stack.agents[k]
            header = messages.Weights(
                run=joined.run,
                agent=agent,
                version=state.version,
                steps=state.steps,
                ticket=joined.ticket,
                metrics=metrics[k] if metrics else {},
            )
            frames = messages.encode(header, state.arrays())
            due = time.monotonic() + REPUBLISH_SECONDS
            self._published[agent] = _Published(state.version, frames, due)
            self._sockets.publish(frames)

    def _stay_in_touch(self) -> None:
        now = time.monotonic()
        if self._joined is None:
            if now - self._last_hello > HELLO_SECONDS:
                if self._heard < self._last_hello and not self._run:
                    where = self._sockets.endpoint.control
                    self._tell("unanswered", f"no simulator answers at {where}: waiting for one")
                self._say_hello(now, self._run)
            return
        if now - self._last_beat > HEARTBEAT_SECONDS:
            self._last_beat = now
            beat = messages.Heartbeat(run=self._joined.run)
            self._sockets.send_control(messages.encode(beat))
        for published in self._published.values():
            # A subscription takes a moment to come up, and until then what is sent is lost.
            if now > published.next_send:
                published.interval = min(2 * published.interval, LONGEST_REPUBLISH_SECONDS)
                published.next_send = now + published.interval
                self._sockets.publish(published.frames)

    def _say_hello(self, now: float, run: str = "") -> None:
        self._last_hello = now
        hello = messages.Hello(name=self.name, agents=self.wanted, device=str(self.device), run=run)
        self._sockets.send_control(messages.encode(hello))

    # ---- receiving -----------------------------------------------------------------------

    def _receive(self, timeout: float) -> None:
        control, experience = self._sockets.receive(timeout)
        self._last_look = time.monotonic()
        for frames in control:
            self._heard = time.monotonic()
            self._guard(self._take_control, frames)
        for frames in experience:
            self._heard = self._idle_since = time.monotonic()
            self._guard(self._take_experience, frames)
        if self._joined is not None and time.monotonic() - self._heard > PATIENCE_SECONDS:
            self._detach()
            line = f"the simulator is silent: waiting for run {self._run} to go on"
            self._tell("silent", line)

    def _guard(self, take: Callable[[list[Frame]], None], frames: list[Frame]) -> None:
        try:
            take(frames)
        except BadMessage as error:
            self.bad_messages += 1
            if self.bad_messages & (self.bad_messages - 1) == 0:
                log.warning("dropped bad message %d: %s", self.bad_messages, str(error))

    def _take_control(self, frames: list[Frame]) -> None:
        header, arrays = messages.decode(frames)
        if isinstance(header, messages.Welcome):
            # A simulator that was slow to answer may have been asked more than once; what its
            # last answer says is what it holds to.
            if self._joined is None or self._joined.slot != header.slot:
                self._join(header, arrays)
        elif isinstance(header, messages.Refusal):
            if header.final:
                raise LearnerRefused(header.reason)
            if not (self._joined or self._run or self._stand_by):
                raise LearnerRefused(f"{header.reason}; --stand-by waits for them")
            if self._joined is not None:
                self._detach()
                self._last_hello = float("-inf")
            self._tell("refused", f"the simulator: {header.reason}")
        elif isinstance(header, messages.Stop):
            raise RunOver(header.reason, failed=header.failed)
        elif isinstance(header, messages.Acknowledge):
            published = self._published.get(header.agent)
            if published is not None and published.version <= header.version:
                del self._published[header.agent]
        elif isinstance(header, messages.Heartbeat):
            self._look_after_line(header)
        else:
            raise BadMessage(f"{type(header).__name__} on the control socket")

    def _look_after_line(self, beat: messages.Heartbeat) -> None:
        """Join anew where the simulator waits for us and we for it: something was lost between."""
        joined, now = self._joined, time.monotonic()
        if joined is None or beat.run != joined.run:
            return
        if joined.inbox.ready or self._published or not beat.outstanding:
            self._idle_since = now
        elif now - self._idle_since > self._repair_after:
            self._repair_after *= 2
            self._idle_since = now
            self._detach()
            self._last_hello = float("-inf")
            self._tell("rejoining", "experience was lost on its way: joining anew")

    def _detach(self) -> None:
        """Drop what a welcome gave."""
        self._joined = None
        self._published.clear()
        self._sockets.detach()

    def _tell(self, event: str, line: str) -> None:
        """Announce something, once while it stays the same."""
        if line != self._said:
            self._said = line
            self._announce(event, line)

    def _join(self, welcome: messages.Welcome, arrays: Arrays) -> None:
        """Set up what the welcome grants, and publish it."""
        try:
            config = convert(RunConfig, welcome.config)
        except ConfigError as error:
            raise BadMessage(f"a welcome with a config that is none: {error}") from None
        if config.seed is None:
            raise BadMessage("a welcome without a seed")
        if self._run and welcome.run != self._run:
            raise LearnerRefused(f"this is run {welcome.run}, where run {self._run} was")
        network = _network(welcome, config.hidden_size)
        states = [_granted_state(g, arrays, network, config.seed) for g in welcome.agents]
        agents = [granted.agent for granted in welcome.agents]
        stack = AgentStack(network, agents, states, self.device)
        threads = self._threads if self.device.type == "cpu" else 1
        updater = ParallelUpdater(stack, config, config.seed, threads)
        most_waiting = config.max_lag + 2
        inbox = Inbox(agents, list(stack.versions), most_waiting)
        self._detach()
        try:
            self._sockets.attach(welcome.weights, welcome.experience)
        except AddressError as error:
            raise BadMessage(f"a welcome to nowhere: {error}") from None
        self._joined = _Joined(
            welcome.run, welcome.slot, welcome.ticket, config, network, stack, updater, inbox
        )
        self._run = welcome.run
        self._heard = self._idle_since = time.monotonic()
        self._tell("joined", f"run {welcome.run}, {format_agents(agents)} on {self.device}")
        self._publish(self._joined)

    def _take_experience(self, frames: list[Frame]) -> None:
        joined = self._joined
        if joined is None:
            return
        header, received = read_experience(*messages.decode(frames), joined.run, joined.network)
        if self._uploader is not None:
            received = replace(received, rollout=received.rollout.sent(self._uploader))
        joined.inbox.add(header.agent, header.sequence, received)


def _network(welcome: messages.Welcome, hidden_size: int) -> Network:
    """Make the network that a welcome describes, checking what its fields' types leave open.

    Raises
    ------
    BadMessage
        It grants nothing or an agent twice, or its shapes cannot be.
    """
    agents = [granted.agent for granted in welcome.agents]
    if not agents or len(set(agents)) < len(agents):
        raise BadMessage("a welcome without agents, or with one twice")
    sizes = [welcome.num_features, *welcome.action_nvec]
    if not welcome.action_nvec or not all(0 < size <= LARGEST_SIZE for size in sizes):
        raise BadMessage("a welcome with shapes that cannot be")
    try:
        return Network(
            welcome.num_features,
            tuple(welcome.action_nvec),
            hidden_size,
            tuple(map(tuple, welcome.choices)),
            tuple(welcome.seats),
            tuple(map(tuple, welcome.private)),
        )
    except ValueError as error:
        raise BadMessage(f"a welcome with a network that cannot be: {error}") from None


def _granted_state(
    granted: messages.Granted, arrays: Arrays, network: Network, seed: int
) -> AgentState:
    """Take the state that came with the welcome, or make the agent's first."""
    if not granted.state:
        return initial_state(network, seed, granted.agent)
    names = ("parameters", "first_moment", "second_moment", "statistics")
    mine = {name: arrays.get(f"{granted.agent}/{name}") for name in names}
    row = (network.num_parameters,)
    present = {name: array for name, array in mine.items() if array is not None}
    shapes = dict.fromkeys(names[:3], ("f4", row)) | {"statistics": ("f8", (3,))}
    messages.require(present, shapes)
    return AgentState(granted.version, granted.steps, **present)
