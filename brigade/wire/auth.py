"""Who may connect: CURVE keys, and the doorkeeper that ZeroMQ asks (ZAP, its RFC 27).

Keys are text here, 40 characters of Z85. Secrets are never logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq
import zmq.asyncio
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

log = logging.getLogger(__name__)

HANDSHAKE_FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
# The Doorkeeper's own refusals are logged with the key's name, so only the rest is of interest.
UNEXPLAINED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


@dataclass(frozen=True)
class Keys:
    """A key pair."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Guard:
    """What a simulator needs to admit only whom it knows.

    ``admitted`` names the owner of a public key, or is None for a stranger's; it is asked at every
    connection, so a key that is revoked does not come in again.
    """

    keys: Keys
    admitted: Callable[[str], str | None]


@dataclass(frozen=True)
class Passport:
    """What a learner needs to come in: its own keys, and the simulator's public one."""

    keys: Keys
    server: str


def new_keys() -> Keys:
    """Draw a key pair."""
    public, secret = zmq.curve_keypair()
    return Keys(public.decode(), secret.decode())


def close_to_strangers(socket: zmq.asyncio.Socket, keys: Keys) -> None:
    """Make a socket, before it binds, accept CURVE clients that the doorkeeper admits only."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
    socket.setsockopt(zmq.ZAP_DOMAIN, b"brigade")


def show(socket: zmq.Socket[bytes], passport: Passport) -> None:
    """Make a socket, before it connects, prove who it is and whom it wants to reach."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, passport.keys.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, passport.keys.secret.encode())
    socket.setsockopt(zmq.CURVE_SERVERKEY, passport.server.encode())


class Doorkeeper:
    """Answers ZeroMQ's question who may connect, and logs whom it turned away."""

    def __init__(self, context: zmq.asyncio.Context, guard: Guard) -> None:
        self.refused: Counter[str] = Counter()
        self._admitted = guard.admitted
        self._questions = context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        self._questions.bind("inproc://zeromq.zap.01")
        self._tasks = [asyncio.create_task(self._answer())]
        self._monitors: list[zmq.asyncio.Socket] = []

    def watch(self, socket: zmq.asyncio.Socket, place: str) -> None:
        """Log the clients of a bound socket that do not get as far as being asked for a key."""
        monitor = socket.get_monitor_socket(UNEXPLAINED)
        self._monitors.append(monitor)

        async def listen() -> None:
            while True:
                parse_monitor_message(await monitor.recv_multipart())
                self._count(f"{place}: a client without CURVE or with another server's key")

        self._tasks.append(asyncio.create_task(listen()))

    async def _answer(self) -> None:
        while True:
            frames = await self._questions.recv_multipart()
            version, request, _, address, _, mechanism, *credentials = frames
            name = None
            if mechanism == b"CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
                key = z85.encode(credentials[0]).decode()
                name = self._admitted(key)
                if name is None:
                    self._count(f"{address.decode(errors='replace')}: unknown key {key[:8]}...")
            verdict = (b"200", b"OK") if name else (b"400", b"this key is not admitted")
            await self._questions.send_multipart(
                [version, request, *verdict, (name or "").encode(), b""]
            )

    def _count(self, who: str) -> None:
        self.refused[who] += 1
        count = self.refused[who]
        if count & (count - 1) == 0:
            log.warning("refused connection %d from %s", count, who)

    def close(self) -> None:
        """Stop answering."""
        for task in self._tasks:
            task.cancel()
        for socket in (*self._monitors, self._questions):
            socket.close(linger=0)
