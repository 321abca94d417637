"""Who gets in and who does not, with real sockets and real keys."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from test_transport import free_port

from brigade.wire.auth import Guard, Keys, Passport, new_keys
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets, SimulatorSockets, TransportError

SERVER, FRIEND, STRANGER = new_keys(), new_keys(), new_keys()


def meet(passport: Passport | None, admitted: Callable[[str], str | None]) -> bytes:
    """Let one client say hello: what the simulator got of it, or the client's error."""
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{free_port()}")

    async def story() -> bytes:
        simulator = SimulatorSockets(endpoint, 1 << 20, Guard(SERVER, admitted))
        client = LearnerSockets(endpoint, passport)
        try:
            client.send_control([b"hello"])
            heard = asyncio.create_task(simulator.receive_control())
            for _ in range(100):
                if heard.done():
                    return heard.result()[1][0]
                await asyncio.to_thread(client.receive, 0.02)
            heard.cancel()
            return b""
        finally:
            client.close()
            simulator.close()

    return asyncio.run(story())


def only_friends(key: str) -> str | None:
    return {FRIEND.public: "friend"}.get(key)


def test_an_admitted_key_comes_in():
    assert meet(Passport(FRIEND, SERVER.public), only_friends) == b"hello"


def test_an_unknown_key_is_refused_and_logged(caplog):
    with pytest.raises(TransportError, match="our key is not admitted"):
        meet(Passport(STRANGER, SERVER.public), only_friends)
    assert f"unknown key {STRANGER.public[:8]}" in caplog.text
    assert STRANGER.secret not in caplog.text


def test_a_client_that_wants_another_server_is_refused_and_logged(caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(TransportError, match="--server-key"):
        meet(Passport(FRIEND, STRANGER.public), only_friends)
    assert "with another server's key" in caplog.text


def test_a_plain_client_is_refused_and_logged(caplog):
    with pytest.raises(TransportError, match="it wants keys"):
        meet(None, only_friends)
    assert "a client without CURVE" in caplog.text


def test_a_key_with_a_forged_secret_is_refused():
    with pytest.raises(TransportError, match="refused the connection"):
        meet(Passport(Keys(FRIEND.public, STRANGER.secret), SERVER.public), only_friends)


def test_a_key_that_is_revoked_does_not_come_in_again():
    known = {FRIEND.public: "friend"}
    assert meet(Passport(FRIEND, SERVER.public), known.get) == b"hello"
    known.clear()
    with pytest.raises(TransportError, match="not admitted"):
        meet(Passport(FRIEND, SERVER.public), known.get)


def test_a_secret_is_not_shown():
    assert FRIEND.secret not in repr(FRIEND)
    assert FRIEND.secret not in repr(Passport(FRIEND, SERVER.public))
