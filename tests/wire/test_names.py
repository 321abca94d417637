"""Hosts by name and by IPv6 address, with real sockets: reached, or told why not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from test_auth import FRIEND, FRIENDS, SERVER
from test_transport import PATIENCE, free_port, published, received

from brigade.wire import resolve
from brigade.wire.auth import ClientCredentials, ServerAuth
from brigade.wire.endpoints import Endpoint
from brigade.wire.resolve import Resolver, Unresolved, needs_ipv6
from brigade.wire.transport import LearnerSockets, SimulatorSockets, TransportError


def addresses() -> list[str]:
    """IPv6 addresses of this machine: ``::1`` and the link-local ones, with their interface."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, *_, interface = line.split()
            address = ":".join(re.findall("....", digits))
            if address.startswith("fe80"):
                found.append(f"[{address}%{interface}]")
            elif digits.endswith("01") and not digits.strip("01"):
                found.append("[::1]")
    return found


has_ipv6 = pytest.mark.skipif("[::1]" not in addresses(), reason="no IPv6 on loopback here")


class Meeting:
    """A simulator at one address and a learner that reaches it by another."""

    def __init__(self, bound: Endpoint, reached: Endpoint, *, keys: bool) -> None:
        server_auth = ServerAuth(SERVER, lambda: FRIENDS) if keys else None
        credentials = ClientCredentials(FRIEND, SERVER.public) if keys else None
        self.simulator = SimulatorSockets(bound, 1 << 20, server_auth)
        self.simulator.open_slot(0, FRIEND.public if keys else "")
        self.learner = LearnerSockets(reached, credentials)
        self.learner.attach(bound.weights_suffix, bound.experience_suffix(0))

    async def __aenter__(self) -> Meeting:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.learner.close()
        self.simulator.close()


@has_ipv6
@pytest.mark.parametrize("keys", [False, True], ids=["open", "keys"])
@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("[::1]", "[::1]"),
        ("[::]", "[::1]"),
        ("[::]", "127.0.0.1"),  # both protocols
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
        ("localhost", "127.0.0.1"),
        *[pytest.param(x, x, id="link-local") for x in addresses() if x.startswith("[fe80")][:1],
    ],
)
def test_all_three_sockets_meet(bound: str, reached: str, keys: bool) -> None:
    port = free_port()

    async def main() -> None:
        at = [Endpoint.parse(f"tcp://{place}:{port}") for place in (bound, reached)]
        async with Meeting(*at, keys=keys) as meeting:
            meeting.learner.send_control([b"hello"])
            sender, _ = await asyncio.wait_for(meeting.simulator.receive_control(), PATIENCE)
            await meeting.simulator.send_control(sender.identity, [b"welcome"])
            meeting.simulator.send_experience(0, [b"rollout"])
            got = await received(meeting.learner, control=1, experience=1)
            assert got == ([[b"welcome"]], [[b"rollout"]])
            frames = await published(meeting, meeting.learner, [b"weights"])
            assert [bytes(frame) for frame in frames] == [b"weights"]

    asyncio.run(main())


@has_ipv6
def test_a_port_in_use_is_named_with_ipv6_too() -> None:
    endpoint = Endpoint.parse(f"tcp://[::1]:{free_port()}")

    async def main() -> None:
        first = SimulatorSockets(endpoint, 1 << 20)
        with pytest.raises(TransportError, match="in use") as refused:
            SimulatorSockets(endpoint, 1 << 20)
        assert endpoint.control in str(refused.value)
        first.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://[2001:db8::5]:5750", "this machine has no such address"),
        ("tcp://[fe80::1%no-such]:5750", "this machine has no such interface"),
    ],
)
def test_an_ipv6_address_that_cannot_be_bound_is_named(address: str, why: str) -> None:
    async def main() -> None:
        with pytest.raises(TransportError) as refused:
            SimulatorSockets(Endpoint.parse(address), 1 << 20)
        assert str(refused.value) == f"cannot bind {address}: {why}; choose another --bind"

    asyncio.run(main())


def test_an_address_that_only_binds_is_not_connected_to() -> None:
    with pytest.raises(TransportError, match="connect to one of its addresses"):
        LearnerSockets(Endpoint.parse("tcp://*:5750"))


# ---- names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "ipv6"),
    [
        ([socket.AF_INET], False),
        ([socket.AF_INET6, socket.AF_INET], False),
        ([socket.AF_INET6, socket.AF_INET6], True),
    ],
)
def test_a_name_is_reached_by_ipv6_where_that_is_all_it_has(
    monkeypatch: pytest.MonkeyPatch, found: list[int], ipv6: bool
) -> None:
    monkeypatch.setattr(
        resolve.socket, "getaddrinfo", lambda *_, **__: [(family, 1, 6, "", ()) for family in found]
    )
    assert needs_ipv6(Endpoint.parse("tcp://sim.lan:5750")) is ipv6


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 64}.invalid", "a..b", "..."])
def test_a_name_that_leads_nowhere_is_named(host: str) -> None:
    with pytest.raises(Unresolved) as refused:
        needs_ipv6(Endpoint.parse(f"tcp://{host}:5750"))
    assert str(refused.value).startswith(f"the name {host} cannot be resolved (")
    sockets = LearnerSockets(Endpoint.parse(f"tcp://{host}:5750"))
    sockets.send_control([b"dropped, and nobody waits for it to leave"])
    assert f"the name {host} cannot be resolved" in sockets.reach()
    sockets.close()


def test_a_name_that_is_known_only_later_is_reached_then(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint.parse(f"tcp://localhost:{free_port()}")

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def main() -> None:
        simulator = SimulatorSockets(endpoint, 1 << 20)
        with monkeypatch.context() as patch:
            patch.setattr(resolve.socket, "getaddrinfo", unknown)
            learner = LearnerSockets(endpoint)
            learner.send_control([b"too early"])
            assert "localhost cannot be resolved (Name or service not known)" in learner.reach()
        assert learner.reach() == ""
        learner.send_control([b"hello"])
        _, frames = await asyncio.wait_for(simulator.receive_control(), PATIENCE)
        assert [bytes(frame) for frame in frames] == [b"hello"]
        learner.close()
        simulator.close()

    asyncio.run(main())


def test_a_name_server_that_is_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), []

    def slow(*words: object, **_: object) -> list[tuple[int]]:
        asked.append(words)
        answer.wait()
        return [(socket.AF_INET6,)]

    monkeypatch.setattr(resolve.socket, "getaddrinfo", slow)
    resolver = Resolver(Endpoint.parse("tcp://sim.lan:5750"))
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(Unresolved, match="no name server has answered yet"):
            resolver.needs_ipv6(0.05)
    assert time.monotonic() - started < PATIENCE
    answer.set()
    assert resolver.needs_ipv6(PATIENCE) is True
    assert len(asked) == 1, "what takes long is not begun anew each time"
