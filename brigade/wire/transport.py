"""The sockets of both sides. This and :mod:`auth` beside it are the only modules that know ZeroMQ.

The simulator binds and learners connect, so only the simulator's ports must be reachable. Every
socket has an explicit LINGER (nobody hangs at exit), explicit high-water marks and a bound on what
it accepts before any memory is set aside for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from brigade.wire import auth
from brigade.wire.auth import Authenticator, ClientCredentials, ServerAuth
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import MAX_HEADER_BYTES, Frame
from brigade.wire.resolve import Resolver, Unresolved, needs_ipv6

CONTROL_FRAME_BYTES = MAX_HEADER_BYTES
# A rollout's observations are the largest frame that a learner gets.
LEARNER_FRAME_BYTES = 1 << 32
LINGER_MS = 1000
OTHER_SOCKETS = 64  # of the simulator's context, besides one for each slot
# Messages are large and counted by the schedule; these bounds are never what limits a run.
HIGH_WATER_MARK = 1 << 14
# Of one connection, that the simulator takes in before it has read them. Who sends faster than it
# reads has the rest wait on its own side.
UNREAD_MESSAGES = 64
# A handshake breaks off where the other side has another key, but also where the other side is
# killed or a cable cut. After so many without a message in between it is the key.
MOST_BROKEN_HANDSHAKES = 3
LOOK_UP_SECONDS = 2.0  # that a learner waits for a name server
RECONNECT_MS = 100
LONGEST_RECONNECT_MS = 2000
# As good as never. With -1, libzmq 4.3.5 takes the connection apart as it breaks, also between two
# frames of a message that is being read, and then aborts the process ("!_more", fq.cpp).
NO_RECONNECT_MS = 2**31 - 1
CANNOT_BIND = {
    errno.ENODEV: "this machine has no such address",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENOENT: "there is no such folder",
    errno.EINVAL: "this machine has no such interface",
}


@dataclass(frozen=True)
class Sender:
    """Who sent a message: ``identity`` on the control socket, ``key`` where there are keys."""

    identity: bytes = b""
    key: str = ""
    address: str = ""

    def __str__(self) -> str:
        parts = (self.address, self.identity.hex(), self.key and f"key {self.key[:8]}...")
        return " ".join(part for part in parts if part) or "somebody"


class TransportError(RuntimeError):
    """A socket cannot be opened: one line that names the address and the way out."""


class _Outbox:
    """A learner's experience socket, and what waits for the learner to be there."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self._socket = socket
        # What can leave at once does so without asyncio, which about doubles the time of sending.
        self._direct: zmq.Socket[bytes] = zmq.Socket.shadow(socket)
        self._waiting: deque[Sequence[Frame]] = deque()
        self._task: asyncio.Task[None] | None = None

    def send(self, frames: Sequence[Frame]) -> None:
        """Send, or queue behind what waits already."""
        if self._task is None:
            try:
                self._direct.send_multipart(frames, zmq.NOBLOCK, copy=False)
                return
            except zmq.Again:
                self._task = asyncio.create_task(self._send_waiting())
        self._waiting.append(frames)

    async def _send_waiting(self) -> None:
        while self._waiting:
            await self._socket.send_multipart(self._waiting[0], copy=False)
            self._waiting.popleft()
        self._task = None

    def close(self) -> None:
        """Close; what its learner has not received is gone with it."""
        if self._task is not None:
            self._task.cancel()
        self._socket.close(linger=0)


class SimulatorSockets:
    """The simulator's side: control (ROUTER), weights (SUB), experience (a PUSH per slot).

    Parameters
    ----------
    endpoint
        Where to bind.
    weights_frame_bytes
        The largest frame accepted on the weights socket.
    server_auth
        Who may connect; without it anyone who can reach the address.

    Raises
    ------
    TransportError
        An address is in use or cannot be bound; nothing stays open.
    """

    def __init__(
        self, endpoint: Endpoint, weights_frame_bytes: int, server_auth: ServerAuth | None = None
    ) -> None:
        self.endpoint = endpoint
        self._context = zmq.asyncio.Context()
        self._context.set(zmq.MAX_SOCKETS, endpoint.num_slots + OTHER_SOCKETS)
        self._outboxes: dict[int, _Outbox] = {}
        self._paths: set[Path] = set()
        self._server_auth = server_auth
        self._ipv6 = False
        with contextlib.suppress(Unresolved):  # the name of an interface, say
            self._ipv6 = needs_ipv6(endpoint)
        self._authenticator = Authenticator(self._context, server_auth) if server_auth else None
        try:
            self._control = self._bind(zmq.ROUTER, endpoint.control, CONTROL_FRAME_BYTES)
            self._control.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._weights = self._bind(
                zmq.SUB, endpoint.at(endpoint.weights_suffix), weights_frame_bytes
            )
            self._weights.setsockopt(zmq.SUBSCRIBE, b"")
        except TransportError:
            if self._authenticator is not None:
                self._authenticator.close()
            self._context.destroy(linger=0)
            self._remove_files()
            raise

    def _bind(
        self, kind: int, address: str, frame_bytes: int, domain: str = "brigade"
    ) -> zmq.asyncio.Socket:
        if address.startswith("ipc://") and _someone_listens(address):
            # ZeroMQ takes a path over without asking.
            raise TransportError(f"{address} is in use by another run: choose another --bind")
        try:
            socket = self._context.socket(kind)
        except zmq.ZMQError as error:  # the system has no more of them
            why = zmq.strerror(error.errno or 0).lower()
            raise TransportError(f"cannot bind {address}: {why}") from None
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, UNREAD_MESSAGES)
        socket.setsockopt(zmq.MAXMSGSIZE, frame_bytes)
        socket.setsockopt(zmq.IPV6, self._ipv6)
        if self._server_auth is not None:
            auth.close_to_strangers(socket, self._server_auth.keys, domain)
        if self._authenticator is not None and kind != zmq.PUSH:
            self._authenticator.watch(socket, address)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            if error.errno == zmq.EADDRINUSE:
                raise TransportError(f"{address} is in use: choose another --bind") from None
            number = error.errno or 0
            why = CANNOT_BIND.get(number) or zmq.strerror(number).lower()
            raise TransportError(f"cannot bind {address}: {why}; choose another --bind") from None
        if address.startswith("ipc://"):
            self._paths.add(Path(address.removeprefix("ipc://")))
        return socket

    async def receive_control(self) -> tuple[Sender, list[Frame]]:
        """Wait for a learner's message: who sent it, and the frames."""
        sender, (identity, *frames) = await self._receive(self._control)
        return replace(sender, identity=bytes(identity)), frames

    async def send_control(self, identity: bytes, frames: Sequence[Frame]) -> None:
        """Send to a learner; one that is gone already misses it, which its lease will show."""
        with contextlib.suppress(zmq.ZMQError):
            await self._control.send_multipart([identity, *frames], copy=False)

    async def receive_weights(self) -> tuple[Sender, list[Frame]]:
        """Wait for published weights: who sent them, and the frames."""
        return await self._receive(self._weights)

    async def _receive(self, socket: zmq.asyncio.Socket) -> tuple[Sender, list[Frame]]:
        """Wait for a message of one whose key was not revoked; frames are views, not copies."""
        while True:
            frames = await socket.recv_multipart(copy=False)
            key = _property(frames[0], "User-Id")
            if self._authenticator is None or not self._authenticator.ignores(key):
                sender = Sender(key=key, address=_property(frames[0], "Peer-Address"))
                return sender, [frame.buffer for frame in frames]

    def revoked(self) -> set[str]:
        """Look up which keys that came in are admitted no more: from now on they are not heard."""
        return self._authenticator.revoked() if self._authenticator else set()

    def open_slot(self, slot: int, key: str = "") -> None:
        """Bind a learner's experience socket; where there are keys, for the one with this key.

        Raises
        ------
        TransportError
            Its address is in use.
        """
        suffix = self.endpoint.experience_suffix(slot)
        domain = f"brigade-{slot}"
        if self._authenticator is not None:
            self._authenticator.reserved[domain] = key
        socket = self._bind(zmq.PUSH, self.endpoint.at(suffix), CONTROL_FRAME_BYTES, domain)
        self._outboxes[slot] = _Outbox(socket)

    def send_experience(self, slot: int, frames: Sequence[Frame]) -> None:
        """Hand frames over to be sent; the schedule bounds how many can be on their way."""
        self._outboxes[slot].send(frames)

    def close_slot(self, slot: int) -> None:
        """Close a slot's socket; what its learner has not received is gone with it."""
        self._outboxes.pop(slot).close()
        if self._authenticator is not None:
            del self._authenticator.reserved[f"brigade-{slot}"]

    def close(self) -> None:
        """Close everything, giving the last messages a second to leave."""
        for slot in list(self._outboxes):
            self.close_slot(slot)
        self._control.close()
        self._weights.close(linger=0)
        if self._authenticator is not None:
            self._authenticator.close()
        self._context.term()
        self._remove_files()

    def _remove_files(self) -> None:
        """Remove the files of ``ipc`` sockets, which ZeroMQ leaves behind."""
        for path in self._paths:
            path.unlink(missing_ok=True)


class LearnerSockets:
    """A learner's side: control (DEALER), weights (PUB), experience (PULL).

    ``credentials`` is for a simulator that admits only whom it knows.

    Raises
    ------
    TransportError
        The address is one to bind only.
    """

    def __init__(self, endpoint: Endpoint, credentials: ClientCredentials | None = None) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._monitor: zmq.Socket[bytes] | None = None
        self._broken_handshakes = 0
        if endpoint.place == "*":
            raise TransportError(f"{endpoint.control} is to bind: connect to one of its addresses")
        self._resolver = Resolver(endpoint)
        self._ipv6: bool | None = None  # not known before the name is
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._control = self._open(zmq.DEALER)
        self._weights: zmq.Socket[bytes] | None = None
        self._experience: zmq.Socket[bytes] | None = None
        self._poller.register(self._control, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self.reach()

    def reach(self) -> str:
        """Connect, unless that is done, if the host's name is known by now; "", or why it is not.

        ZeroMQ alone would look it up again and again without a word.
        """
        if self._ipv6 is None:
            try:
                self._ipv6 = self._resolver.needs_ipv6(LOOK_UP_SECONDS)
            except Unresolved as error:
                return str(error)
            self._connect(self._control, self.endpoint.control)
        return ""

    def _connect(self, socket: zmq.Socket[bytes], address: str) -> zmq.Socket[bytes]:
        socket.setsockopt(zmq.IPV6, bool(self._ipv6))
        socket.connect(address)
        return socket

    def _open(self, kind: int, *, reconnect: bool = True) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.MAXMSGSIZE, LEARNER_FRAME_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS if reconnect else NO_RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, LONGEST_RECONNECT_MS if reconnect else 0)
        if self._credentials is not None:
            auth.present(socket, self._credentials)
        if kind == zmq.DEALER:
            self._monitor = socket.get_monitor_socket(auth.HANDSHAKE_FAILURES)
        return socket

    def detach(self) -> None:
        """Close the data sockets, if there are any."""
        if self._experience is not None:
            self._poller.unregister(self._experience)
        for socket in (self._weights, self._experience):
            if socket is not None:
                socket.close(linger=0)
        self._weights = self._experience = None

    def attach(self, weights_suffix: str, experience_suffix: str) -> None:
        """Connect the data sockets where a welcome says (replacing those of an earlier one)."""
        self.detach()
        self._weights = self._connect(self._open(zmq.PUB), self.endpoint.at(weights_suffix))
        # What was on its way when a connection broke is lost, so it is not taken up again: the
        # learner notices, and gets a new slot and everything it lacks.
        self._experience = self._connect(
            self._open(zmq.PULL, reconnect=False), self.endpoint.at(experience_suffix)
        )
        self._poller.register(self._experience, zmq.POLLIN)

    def send_control(self, frames: Sequence[Frame]) -> None:
        """Queue a message for the simulator; it leaves once there is a connection.

        As long as its name is unknown there is nowhere to send it, and it is dropped.
        """
        if self._ipv6 is not None:
            self._control.send_multipart(frames, copy=False)

    def publish(self, frames: Sequence[Frame]) -> None:
        """Publish weights. They are lost where the simulator's subscription is not up yet."""
        assert self._weights is not None, "attach() comes first"
        self._weights.send_multipart(frames, copy=False)

    def receive(self, timeout: float) -> tuple[list[list[Frame]], Iterator[list[Frame]]]:
        """Wait up to ``timeout`` seconds; all control and all experience messages that are there.

        The frames are views, not copies. Experience is fetched one message after the other, so that
        each is read while the processor still has it at hand, and ends with :meth:`detach`.

        Raises
        ------
        TransportError
            The simulator does not let us in.
        """
        ready = dict(self._poller.poll(int(timeout * 1000)))
        control, experience, events = (
            _waiting(socket) if socket is not None and socket in ready else iter(())
            for socket in (self._control, self._experience, self._monitor)
        )
        answers = list(control)
        self._look_at_handshakes(bool(answers), events)
        return answers, experience

    def _look_at_handshakes(self, heard: bool, events: Iterable[list[Frame]]) -> None:
        """Give up where the simulator does not let us in.

        Raises
        ------
        TransportError
            It refused our key, or does not understand us.
        """
        if heard:
            self._broken_handshakes = 0
        for frames in events:
            event = parse_monitor_message([bytes(frame) for frame in frames])["event"]
            self._broken_handshakes += event == auth.BROKEN_OFF
            if self._credentials and event == auth.REFUSED:
                why = f"our key is not admitted there ({self._credentials.keys.public})"
            elif event == auth.BROKEN_OFF and self._broken_handshakes < MOST_BROKEN_HANDSHAKES:
                continue
            elif self._credentials:
                why = f"--server-key is not its key, or it has none ({self._credentials.server})"
            else:
                why = "it wants keys; see --key and --server-key"
            raise TransportError(f"{self.endpoint.control} refused the connection: {why}")

    def close(self) -> None:
        """Close everything, giving the last messages a second to leave."""
        self._context.destroy(linger=LINGER_MS)


def _waiting(socket: zmq.Socket[bytes]) -> Iterator[list[Frame]]:
    """Fetch what is there, until there is no more or the socket is closed."""
    with contextlib.suppress(zmq.Again):
        while not socket.closed:
            frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            yield [frame.buffer for frame in frames]


def _property(frame: zmq.Frame, name: str) -> str:
    """Look up what ZeroMQ says of the connection that a frame came over; "" for nothing."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""


def _someone_listens(address: str) -> bool:
    """Whether a process accepts connections at an ipc address's path."""
    import socket as sockets

    path = Path(address.removeprefix("ipc://"))
    if not path.exists():
        return False
    with sockets.socket(sockets.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
