"""The learner's loop: join, publish, and then receive, update, publish until the run is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from brigade.agent_numbers import format_agents
from brigade.config import ConfigError, RunConfig, convert
from brigade.learn.experience import Inbox, read_experience
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.update import Updater
from brigade.wire import messages
from brigade.wire.messages import Arrays, BadMessage, Frame
from brigade.wire.transport import LearnerSockets

log = logging.getLogger(__name__)

HELLO_SECONDS = 5.0
HEARTBEAT_SECONDS = 1.0
REPUBLISH_SECONDS = 0.1  # at first; twice as long after each time
LONGEST_REPUBLISH_SECONDS = 5.0


class LearnerRefused(RuntimeError):
    """The simulator said no: its sentence."""


class RunOver(Exception):
    """The simulator said that the run is over."""

    def __init__(self, reason: str, *, failed: bool) -> None:
        super().__init__(reason)
        self.failed = failed


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
    config: RunConfig
    network: Network
    stack: AgentStack
    updater: Updater
    inbox: Inbox


class Learner:
    """One learner process: K agents, one batched update for all of them.

    Parameters
    ----------
    wanted
        The agents to ask for: ``"0-7"``, ``"auto"``, ``"any:8"``.
    announce
        Told, in a line, what happens to this learner.
    """

    def __init__(
        self,
        sockets: LearnerSockets,
        name: str,
        wanted: str,
        device: torch.device,
        announce: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.wanted = wanted
        self.device = device
        self.bad_messages = 0
        self._sockets = sockets
        self._announce = announce
        self._joined: _Joined | None = None
        self._published: dict[int, _Published] = {}
        self._last_hello = self._last_beat = float("-inf")
        self._waited = 0.0

    @property
    def agents(self) -> list[int]:
        """The agents of this learner; empty before the welcome."""
        return self._joined.stack.agents if self._joined else []

    @property
    def versions(self) -> list[int]:
        """Their newest versions."""
        return self._joined.stack.versions if self._joined else []

    def run(self) -> str:
        """Learn until the run is over; return the simulator's reason.

        Raises
        ------
        LearnerRefused
            The simulator does not take this learner.
        RunOver
            The run failed elsewhere.
        """
        try:
            while True:
                self.step(timeout=0.05 if self._published else 0.25)
        except RunOver as over:
            self.leave("the run is over")
            if over.failed:
                raise
            return str(over)

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
        """Say goodbye, so that the agents are free at once."""
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
            refresh=any(lags),
            between_batches=self._between_batches,
        )
        seconds = time.perf_counter() - started
        for row, lag in zip(metrics, lags, strict=True):
            row |= {"lag": float(lag), "learn_seconds": seconds, "wait_seconds": self._waited}
        self._waited = 0.0
        self._publish(joined, metrics)

    def _between_batches(self) -> None:
        """Keep in touch during a long update, and end it if the run is over."""
        if time.monotonic() - self._last_beat > HEARTBEAT_SECONDS:
            self._stay_in_touch()
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
                self._say_hello(now)
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
        for frames in control:
            self._guard(self._take_control, frames)
        for frames in experience:
            self._guard(self._take_experience, frames)

    def _guard(self, take: Callable[[list[Frame]], None], frames: list[Frame]) -> None:
        try:
            take(frames)
        except BadMessage as error:
            self.bad_messages += 1
            if self.bad_messages & (self.bad_messages - 1) == 0:
                log.warning("dropped bad message %d: %s", self.bad_messages, error)

    def _take_control(self, frames: list[Frame]) -> None:
        header, arrays = messages.decode(frames)
        if isinstance(header, messages.Welcome):
            if self._joined is None:
                self._join(header, arrays)
        elif isinstance(header, messages.Refusal):
            if header.final or self._joined is None:
                raise LearnerRefused(header.reason)
            log.warning("the simulator: %s", header.reason)
            self._joined = None
            self._published.clear()
            self._sockets.detach()
            self._last_hello = float("-inf")
        elif isinstance(header, messages.Stop):
            raise RunOver(header.reason, failed=header.failed)
        elif isinstance(header, messages.Acknowledge):
            published = self._published.get(header.agent)
            if published is not None and published.version <= header.version:
                del self._published[header.agent]
        elif not isinstance(header, messages.Heartbeat):
            raise BadMessage(f"{type(header).__name__} on the control socket")

    def _join(self, welcome: messages.Welcome, arrays: Arrays) -> None:
        """Set up what the welcome grants, and publish it."""
        try:
            config = convert(RunConfig, welcome.config)
        except ConfigError as error:
            raise BadMessage(f"a welcome with a config that is none: {error}") from None
        if config.seed is None:
            raise BadMessage("a welcome without a seed")
        network = Network(welcome.num_features, tuple(welcome.action_nvec), config.hidden_size)
        states = [_granted_state(g, arrays, network, config.seed) for g in welcome.agents]
        agents = [granted.agent for granted in welcome.agents]
        stack = AgentStack(network, agents, states, self.device)
        updater = Updater(stack, config, config.seed)
        most_waiting = config.max_lag + 2
        inbox = Inbox(agents, list(stack.versions), most_waiting)
        self._joined = _Joined(welcome.run, config, network, stack, updater, inbox)
        self._sockets.attach(welcome.weights, welcome.experience)
        self._announce(f"{self.name}: run {welcome.run}, {format_agents(agents)} on {self.device}")
        self._publish(self._joined)

    def _take_experience(self, frames: list[Frame]) -> None:
        joined = self._joined
        if joined is None:
            return
        header, received = read_experience(*messages.decode(frames), joined.run, joined.network)
        joined.inbox.add(header.agent, header.sequence, received)


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
