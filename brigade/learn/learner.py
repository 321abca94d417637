"""The learner's loop: join, publish, and then receive, update, publish until the run is over."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from brigade.agent_numbers import format_agents
from brigade.config import ConfigError, RunConfig, convert
from brigade.learn.experience import Inbox, read_experience
from brigade.policy.build import read as read_policy
from brigade.policy.network import Network
from brigade.ppo.agents import AgentState, initial_state
from brigade.ppo.parallel import BEAT_SECONDS, GroupedUpdater, Learned
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
SIMULATOR_TIMEOUT_SECONDS = 15.0
# Idleness, while the simulator waits for us, after which a connection counts as broken; at first,
# and twice as long after each time.
REPAIR_SECONDS = 10.0
HAND_OVER_SECONDS = 5.0
# After which what is not acknowledged is published again; twice as long after each time. At first
# the subscription may not be up, and all that is published is lost; later, a connection that broke.
FIRST_REPUBLISH_SECONDS = 0.1
REPUBLISH_SECONDS = 2.0
LONGEST_REPUBLISH_SECONDS = 60.0


class LearnerRefused(RuntimeError):
    """The simulator said no: its sentence."""


class RunOver(Exception):
    """The simulator said that the run is over."""

    def __init__(self, reason: str, *, failed: bool) -> None:
        super().__init__(reason)
        self.failed = failed


class _CutOff(Exception):
    """What was begun is given up: the learner is to leave, or has lost the lease."""


@dataclass
class _Lease:
    """What a welcome granted, and the learning side of it once that is set up."""

    welcome: messages.Welcome
    config: RunConfig
    networks: dict[int, Network]  # by agent
    inbox: Inbox
    setting_up: Future[GroupedUpdater]
    given_up: threading.Event  # nobody wants what is being set up any more
    updater: GroupedUpdater | None = None

    @property
    def run(self) -> str:
        return self.welcome.run

    @property
    def agents(self) -> list[int]:
        return [granted.agent for granted in self.welcome.agents]


class _Outgoing:
    """Published versions that have yet to be acknowledged, and when to publish them again.

    The simulator takes an agent's versions in their order, so none may be left out.
    """

    def __init__(self) -> None:
        self._versions: dict[int, dict[int, list[Frame]]] = {}
        self.subscribed = False
        self._interval = FIRST_REPUBLISH_SECONDS
        self._due = math.inf

    def __bool__(self) -> bool:
        return bool(self._versions)

    @property
    def agents(self) -> list[int]:
        """Whose versions are on their way."""
        return list(self._versions)

    def add(self, agent: int, version: int, frames: list[Frame], now: float) -> None:
        """Note what was published."""
        self._versions.setdefault(agent, {})[version] = frames
        if self._due == math.inf:
            self._due = now + self._interval

    def acknowledge(self, agent: int, version: int, now: float) -> None:
        """Forget an agent's versions up to this one: the simulator has them."""
        waiting = self._versions.get(agent, {})
        for old in [each for each in waiting if each <= version]:
            del waiting[old]
        if not waiting:
            self._versions.pop(agent, None)
        # The first one arrived because the subscription is up. What came before may be lost.
        self._interval = REPUBLISH_SECONDS if self.subscribed else FIRST_REPUBLISH_SECONDS
        self.subscribed = True
        self._due = now + self._interval if self._versions else math.inf

    def due(self, now: float) -> list[list[Frame]]:
        """List the frames to publish again now: one message as long as that may be in vain."""
        if now < self._due:
            return []
        self._interval = min(2 * self._interval, LONGEST_REPUBLISH_SECONDS)
        self._due = now + self._interval
        waiting = [frames for versions in self._versions.values() for frames in versions.values()]
        return waiting if self.subscribed else waiting[:1]


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
        self._lease: _Lease | None = None
        self._outgoing = _Outgoing()
        self._set_up = ThreadPoolExecutor(1, "set-up")
        self._last_hello = self._last_beat = float("-inf")
        self._waited = 0.0
        self._heard = time.monotonic()
        self._idle_since = time.monotonic()
        self._repair_after = REPAIR_SECONDS

    @property
    def agents(self) -> list[int]:
        """The agents of this learner; empty before the welcome."""
        return self._lease.agents if self._lease else []

    @property
    def versions(self) -> list[int]:
        """Their newest versions, once they are set up."""
        updater = self._lease.updater if self._lease else None
        return updater.versions if updater else []

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
                    self.step(timeout=0.05 if self._busy else 0.25)
            if self._stopping:
                handing = ": handing over" if self.agents else ""
                self._tell("stopped", f"{self._stopping}{handing}")
            reason = self._stopping or f"made its {self.updates} updates"
            self.leave(reason)
            return reason
        except RunOver as over:
            self._outgoing = _Outgoing()  # nobody wants them any more
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
        lease = self._lease
        if lease is not None and lease.updater is None and lease.setting_up.done():
            self._begin(lease, lease.setting_up.result())
        if lease is None or lease.updater is None or not lease.inbox.ready:
            self._waited += time.perf_counter() - started
            return False
        self._update(lease, lease.updater)
        return True

    @property
    def _busy(self) -> bool:
        """Whether something is due soon: an acknowledgement, or what is being set up."""
        return bool(self._outgoing) or (self._lease is not None and self._lease.updater is None)

    def leave(self, reason: str) -> None:
        """Make sure that the newest versions have arrived, and say goodbye: the agents are free."""
        deadline = time.monotonic() + HAND_OVER_SECONDS
        try:
            while self._outgoing and self._lease is not None and time.monotonic() < deadline:
                self._stay_in_touch()
                self._receive(0.05)
        except (RunOver, LearnerRefused):
            pass  # then nobody wants them
        if self._lease is None:
            return
        if self._outgoing:
            agents = format_agents(self._outgoing.agents)
            log.warning("leaving, though the newest versions of %s did not arrive", agents)
        self._lease.given_up.set()
        goodbye = messages.Goodbye(run=self._lease.run, reason=reason)
        self._sockets.send_control(messages.encode(goodbye))

    # ---- learning ------------------------------------------------------------------------

    def _update(self, lease: _Lease, updater: GroupedUpdater) -> None:
        received = lease.inbox.take()
        lags = [
            version - min(part.policy_versions, default=version)
            for version, part in zip(updater.versions, received, strict=True)
        ]
        started = time.perf_counter()
        try:
            learned = updater.update(
                [part.rollout for part in received],
                progress=min(part.progress for part in received),
                recompute=[lag > 0 for lag in lags],
                meanwhile=lambda: self._meanwhile(lease),
                beat=BEAT_SECONDS if self._uploader is None else RECEIVE_SECONDS,
            )
        except _CutOff:
            if self._stopping:
                raise
            return  # the agents are another's by now, or to be had anew
        seconds = time.perf_counter() - started
        for each, lag in zip(learned, lags, strict=True):
            each.metrics.update(lag=float(lag), learn_seconds=seconds, wait_seconds=self._waited)
        self._waited = 0.0
        self.updates += 1
        self._publish(lease, learned)
        self._idle_since = time.monotonic()
        self._repair_after = REPAIR_SECONDS

    def _meanwhile(self, lease: _Lease) -> None:
        """Keep in touch during an update, and end it if we are to leave or the lease is lost."""
        self._idle_since = time.monotonic()  # who is at work is not waiting for what was lost
        self._stay_in_touch()
        self._receive(0.0)
        if self._stopping or self._lease is not lease:
            raise _CutOff

    # ---- publishing ----------------------------------------------------------------------

    def _publish(self, lease: _Lease, learned: list[Learned]) -> None:
        """Publish every agent's state, and again until the simulator has it."""
        for agent, each in zip(lease.agents, learned, strict=True):
            state, metrics = each.state, each.metrics
            header = messages.Weights(
                run=lease.run,
                agent=agent,
                version=state.version,
                steps=state.steps,
                rollbacks=state.rollbacks,
                fencing_token=lease.welcome.fencing_token,
                metrics={n: x if math.isfinite(x) else None for n, x in metrics.items()},
                diverged=each.diverged,
            )
            frames = messages.encode(header, state.arrays())
            self._outgoing.add(agent, state.version, frames, time.monotonic())
            self._sockets.publish(frames)
            if each.diverged:
                what = f"update {state.version} of agent {agent} is undone: {each.diverged}"
                self._tell("diverged", what)

    def _stay_in_touch(self) -> None:
        now = time.monotonic()
        if self._lease is None:
            if now - self._last_hello > HELLO_SECONDS:
                nowhere = self._sockets.reach()
                if nowhere:
                    self._tell("unresolved", f"{nowhere}: waiting for it")
                elif self._heard < self._last_hello and not self._run:
                    where = self._sockets.endpoint.control
                    self._tell("unanswered", f"no simulator answers at {where}: waiting for one")
                self._say_hello(now, self._run)
            return
        if now - self._last_beat > HEARTBEAT_SECONDS:
            self._last_beat = now
            beat = messages.Heartbeat(run=self._lease.run)
            self._sockets.send_control(messages.encode(beat))
        for frames in self._outgoing.due(now):
            self._sockets.publish(frames)

    def _say_hello(self, now: float, run: str = "") -> None:
        self._last_hello = now
        hello = messages.Hello(
            name=self.name,
            agents=self.wanted,
            device=str(self.device),
            run=run,
            stand_by=self._stand_by,
        )
        self._sockets.send_control(messages.encode(hello))

    # ---- receiving -----------------------------------------------------------------------

    def _receive(self, timeout: float) -> None:
        control, experience = self._sockets.receive(timeout)
        for frames in control:
            self._heard = time.monotonic()
            self._guard(self._take_control, frames)
        for frames in experience:
            self._heard = self._idle_since = time.monotonic()
            self._guard(self._take_experience, frames)
        if self._lease is not None and time.monotonic() - self._heard > SIMULATOR_TIMEOUT_SECONDS:
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
            if self._lease is None or self._lease.welcome.fencing_token != header.fencing_token:
                self._join(header, arrays)
        elif isinstance(header, messages.Refusal):
            if header.final:
                raise LearnerRefused(header.reason)
            if self._lease is not None:
                self._detach()
                self._last_hello = float("-inf")
            self._tell("refused", f"the simulator: {header.reason}")
        elif isinstance(header, messages.Stop):
            raise RunOver(header.reason, failed=header.failed)
        elif isinstance(header, messages.Acknowledge):
            self._outgoing.acknowledge(header.agent, header.version, time.monotonic())
        elif isinstance(header, messages.Heartbeat):
            self._look_after_line(header)
        else:
            raise BadMessage(f"{type(header).__name__} on the control socket")

    def _look_after_line(self, beat: messages.Heartbeat) -> None:
        """Join anew where the simulator waits for us and we for it: something was lost between."""
        lease, now = self._lease, time.monotonic()
        if lease is None or beat.run != lease.run:
            return
        if lease.updater is None or lease.inbox.ready or self._outgoing or not beat.outstanding:
            self._idle_since = now
        elif now - self._idle_since > self._repair_after:
            self._repair_after *= 2
            self._idle_since = now
            self._join_anew("rejoining", "experience was lost on its way: joining anew")

    def _join_anew(self, event: str, line: str) -> None:
        self._detach()
        self._last_hello = float("-inf")
        self._tell(event, line)

    def _detach(self) -> None:
        """Drop what a welcome gave."""
        if self._lease is not None:
            self._lease.given_up.set()
            if self._lease.updater is not None:
                self._lease.updater.close()
        self._lease = None
        self._outgoing = _Outgoing()
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
        networks = _networks(welcome, config.hidden_size)
        for granted in welcome.agents:
            if granted.state:
                _check_granted(granted, arrays, networks[granted.agent])
        self._detach()
        try:
            self._sockets.attach(welcome.weights, welcome.experience)
        except AddressError as error:
            raise BadMessage(f"a welcome to nowhere: {error}") from None
        versions = [granted.version for granted in welcome.agents]
        inbox = Inbox([granted.agent for granted in welcome.agents], versions, config.max_lag + 2)
        given_up = threading.Event()
        # Large networks take a while to draw, and a GPU to be reached for the first time: beside
        # that, heartbeats go on.
        setting_up = self._set_up.submit(self._make, welcome, arrays, config, networks, given_up)
        self._lease = _Lease(welcome, config, networks, inbox, setting_up, given_up)
        self._run = welcome.run
        self._heard = self._idle_since = time.monotonic()
        self._last_beat = float("-inf")

    def _make(
        self,
        welcome: messages.Welcome,
        arrays: Arrays,
        config: RunConfig,
        networks: dict[int, Network],
        given_up: threading.Event,
    ) -> GroupedUpdater:
        """Make what learns, from the states that came with a welcome."""
        states = []
        for granted in welcome.agents:
            if given_up.is_set():
                raise _CutOff
            network = networks[granted.agent]
            states.append(_granted_state(granted, arrays, network, int(config.seed or 0)))
        agents = [granted.agent for granted in welcome.agents]
        shapes, seed = list(networks.values()), int(config.seed or 0)
        return GroupedUpdater(shapes, agents, states, self.device, config, seed, self._threads)

    def _begin(self, lease: _Lease, updater: GroupedUpdater) -> None:
        """Publish what has been set up."""
        lease.updater = updater
        self._tell("joined", f"run {lease.run}, {format_agents(lease.agents)} on {self.device}")
        self._publish(lease, [Learned(state, {}) for state in updater.states])

    def _take_experience(self, frames: list[Frame]) -> None:
        lease = self._lease
        if lease is None:
            return
        advantages = lease.config.advantages
        decoded = messages.decode(frames)
        header, received = read_experience(*decoded, lease.run, lease.networks, advantages)
        if header.generation != lease.welcome.generation:
            # The slot was given to another before we came to it.
            self._join_anew("rejoining", "this experience is another learner's: joining anew")
            raise BadMessage(f"experience of generation {header.generation}, which is not ours")
        if self._uploader is not None:
            received = replace(received, rollout=received.rollout.sent(self._uploader))
        lease.inbox.add(header.agent, header.sequence, received)


def _networks(welcome: messages.Welcome, hidden_size: int) -> dict[int, Network]:
    """Make the networks that a welcome describes, by the agents that it grants.

    Raises
    ------
    BadMessage
        It grants nothing or an agent twice, or there can be no such network.
    """
    agents = [granted.agent for granted in welcome.agents]
    if not agents or len(set(agents)) < len(agents):
        raise BadMessage("a welcome without agents, or with one twice")
    try:
        described = [read_policy(policy) for policy in welcome.policies]
    except ValueError as error:
        raise BadMessage(f"a welcome with a network that cannot be: {error}") from None
    for network in described:
        if network.hidden_size != hidden_size:
            raise BadMessage(
                f"a welcome with networks of width {network.hidden_size} in a run of {hidden_size}"
            )
    if any(granted.policy >= len(described) for granted in welcome.agents):
        raise BadMessage("a welcome that grants an agent without a policy")
    return {granted.agent: described[granted.policy] for granted in welcome.agents}


def _check_granted(granted: messages.Granted, arrays: Arrays, network: Network) -> None:
    """Check the state that came with a welcome.

    Raises
    ------
    BadMessage
        An array is missing, or of another dtype or shape.
    """
    row = ("f4", (network.num_parameters,))
    shapes = {"parameters": row, "first_moment": row, "second_moment": row}
    names = [f"{granted.agent}/{name}" for name in (*shapes, "statistics")]
    present = {name.partition("/")[2]: arrays[name] for name in names if name in arrays}
    messages.require(present, {**shapes, "statistics": ("f8", (3,))})


def _granted_state(
    granted: messages.Granted, arrays: Arrays, network: Network, seed: int
) -> AgentState:
    """Take the state that came with the welcome, or make the agent's first."""
    if not granted.state:
        return initial_state(network, seed, granted.agent)
    names = ("parameters", "first_moment", "second_moment", "statistics")
    mine = {name: arrays[f"{granted.agent}/{name}"] for name in names}
    return AgentState(granted.version, granted.steps, **mine, rollbacks=granted.rollbacks)
