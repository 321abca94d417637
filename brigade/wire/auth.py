"""Who may connect: CURVE keys, and the authenticator that ZeroMQ asks (ZAP, its RFC 27).

Keys are text here, 40 characters of Z85. Secrets are never logged. ZeroMQ attaches the key that let
a connection in to everything that is received over it (as ``User-Id``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
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
BROKEN_OFF = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH  # by the authenticator, rather than not understood
# The authenticator's own refusals are logged with the key's name, so only the rest is of interest.
UNEXPLAINED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
MOST_STRANGERS = 1000  # that are told apart


@dataclass(frozen=True)
class Keys:
    """A key pair."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class ServerAuth:
    """What a simulator needs to admit only whom it knows.

    ``admitted`` gives the owners' names by public key; it is asked anew at every connection, and
    now and then about those that are up.
    """

    keys: Keys
    admitted: Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class ClientCredentials:
    """What a learner needs to come in: its own keys, and the simulator's public one."""

    keys: Keys
    server: str


def new_keys() -> Keys:
    """Draw a key pair."""
    public, secret = zmq.curve_keypair()
    return Keys(public.decode(), secret.decode())


def close_to_strangers(socket: zmq.asyncio.Socket, keys: Keys, domain: str = "brigade") -> None:
    """Make a socket, before it binds, accept CURVE clients that the authenticator admits only."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())


def present(socket: zmq.Socket[bytes], credentials: ClientCredentials) -> None:
    """Make a socket, before it connects, prove who it is and whom it wants to reach."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, credentials.keys.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, credentials.keys.secret.encode())
    socket.setsockopt(zmq.CURVE_SERVERKEY, credentials.server.encode())


class Authenticator:
    """Answers ZeroMQ's question who may connect, and logs whom it turned away.

    Attributes
    ----------
    reserved
        The one key that may come in, for each domain that is not open to all who are admitted.
    """

    def __init__(self, context: zmq.asyncio.Context, server_auth: ServerAuth) -> None:
        self.refused: Counter[str] = Counter()
        self.reserved: dict[str, str] = {}
        self._let_in: dict[str, str] = {}  # names by key, of whom may still be connected
        self._revoked: set[str] = set()
        self._admitted = server_auth.admitted
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
            version, request, domain, address, _, mechanism, *credentials = frames
            user = ""
            if mechanism == b"CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
                key = z85.encode(credentials[0]).decode()
                if self._may_come_in(key, domain.decode(), address.decode(errors="replace")):
                    user = key
            verdict = (b"200", b"OK") if user else (b"400", b"this key is not admitted")
            await self._questions.send_multipart([version, request, *verdict, user.encode(), b""])

    def _may_come_in(self, key: str, domain: str, address: str) -> bool:
        name = self._admitted().get(key)
        if name is None:
            self._count(f"{address}: unknown key {key[:8]}...")
        elif self.reserved.get(domain, key) != key:
            self._count(f"{address}: {name} at another learner's socket")
        else:
            self._let_in[key] = name
            self._revoked.discard(key)
            return True
        return False

    def revoked(self) -> set[str]:
        """Ask anew about the keys that came in; return those that are admitted no more."""
        admitted = self._admitted()
        self._revoked = {key for key in self._let_in if key not in admitted}
        return self._revoked

    def ignores(self, key: str) -> bool:
        """Whether what came with this key is to be dropped, which is counted then.

        ZeroMQ cannot end a connection that is up.
        """
        if key not in self._revoked:
            return False
        self._count(self._let_in[key], "dropped message %d of revoked key %s")
        return True

    def _count(self, who: str, line: str = "refused connection %d from %s") -> None:
        if who not in self.refused and len(self.refused) >= MOST_STRANGERS:
            who = "others"
        self.refused[who] += 1
        count = self.refused[who]
        if count & (count - 1) == 0:
            log.warning(line, count, who)

    def close(self) -> None:
        """Stop answering."""
        for task in self._tasks:
            task.cancel()
        for socket in (*self._monitors, self._questions):
            socket.close(linger=0)
