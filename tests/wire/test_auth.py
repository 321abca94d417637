"""Who gets in and who does not, with real sockets and real keys."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

import pytest
from test_transport import free_port

from brigade.wire.auth import ClientCredentials, Keys, ServerAuth, new_keys
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets, SimulatorSockets, TransportError

SERVER, FRIEND, OTHER, STRANGER = new_keys(), new_keys(), new_keys(), new_keys()
FRIENDS = {FRIEND.public: "friend", OTHER.public: "other"}


def meet(credentials: ClientCredentials | None, admitted: Mapping[str, str]) -> bytes:
    """Let one client say hello: what the simulator got of it, or the client's error."""
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{free_port()}")

    async def story() -> bytes:
        simulator = SimulatorSockets(endpoint, 1 << 20, ServerAuth(SERVER, lambda: admitted))
        client = LearnerSockets(endpoint, credentials)
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


def test_an_admitted_key_comes_in():
    assert meet(ClientCredentials(FRIEND, SERVER.public), FRIENDS) == b"hello"


def test_an_unknown_key_is_refused_and_logged(caplog):
    with pytest.raises(TransportError, match="our key is not admitted"):
        meet(ClientCredentials(STRANGER, SERVER.public), FRIENDS)
    assert f"unknown key {STRANGER.public[:8]}" in caplog.text
    assert STRANGER.secret not in caplog.text


def test_a_client_that_wants_another_server_is_refused_and_logged(caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(TransportError, match="is not its key"):
        meet(ClientCredentials(FRIEND, STRANGER.public), FRIENDS)
    assert "with another server's key" in caplog.text


def test_a_plain_client_is_refused_and_logged(caplog):
    with pytest.raises(TransportError, match="it wants keys"):
        meet(None, FRIENDS)
    assert "a client without CURVE" in caplog.text


def test_a_key_with_a_forged_secret_is_refused():
    with pytest.raises(TransportError, match="refused the connection"):
        meet(ClientCredentials(Keys(FRIEND.public, STRANGER.secret), SERVER.public), FRIENDS)


def test_a_key_that_is_revoked_does_not_come_in_again():
    known = {FRIEND.public: "friend"}
    assert meet(ClientCredentials(FRIEND, SERVER.public), known) == b"hello"
    known.clear()
    with pytest.raises(TransportError, match="not admitted"):
        meet(ClientCredentials(FRIEND, SERVER.public), known)


def test_a_key_that_is_revoked_is_not_heard_over_the_connection_that_it_has(caplog):
    endpoint, known = Endpoint.parse(f"tcp://127.0.0.1:{free_port()}"), dict(FRIENDS)

    async def story() -> None:
        simulator = SimulatorSockets(endpoint, 1 << 20, ServerAuth(SERVER, lambda: known))
        mine, other = (
            LearnerSockets(endpoint, ClientCredentials(k, SERVER.public)) for k in (FRIEND, OTHER)
        )
        simulator.open_slot(0, FRIEND.public)
        simulator.open_slot(1, OTHER.public)
        try:
            for slot, (client, keys) in enumerate(((mine, FRIEND), (other, OTHER))):
                client.attach(endpoint.weights_suffix, endpoint.experience_suffix(slot))
                client.send_control([b"hello"])
                sender, _ = await asyncio.wait_for(simulator.receive_control(), 10)
                assert sender.key == keys.public
                arrived = False
                while not arrived:  # rather than one of the client before
                    client.publish([b"weights"])
                    with contextlib.suppress(TimeoutError):
                        heard = await asyncio.wait_for(simulator.receive_weights(), 0.1)
                        arrived = heard[0].key == keys.public
            assert simulator.revoked() == set()
            del known[FRIEND.public]
            assert simulator.revoked() == {FRIEND.public}
            mine.send_control([b"unheard"])
            heard = asyncio.create_task(simulator.receive_control())
            while "dropped message 1 of revoked key friend" not in caplog.text:
                await asyncio.sleep(0.01)
            other.send_control([b"more"])
            assert (await asyncio.wait_for(heard, 10))[0].key == OTHER.public
            mine.publish([b"unheard"])
            other.publish([b"more"])
            frames = [b""]
            while bytes(frames[0]) != b"more":
                sender, frames = await asyncio.wait_for(simulator.receive_weights(), 10)
                assert sender.key == OTHER.public
            known[FRIEND.public] = "friend"
            assert simulator.revoked() == set()
            mine.send_control([b"here again"])
            sender, frames = await asyncio.wait_for(simulator.receive_control(), 10)
            assert (sender.key, bytes(frames[0])) == (FRIEND.public, b"here again")
        finally:
            mine.close()
            other.close()
            simulator.close()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_nobody_takes_experience_from_anothers_socket(caplog):
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{free_port()}")

    async def story() -> None:
        simulator = SimulatorSockets(endpoint, 1 << 20, ServerAuth(SERVER, lambda: FRIENDS))
        simulator.open_slot(0, FRIEND.public)
        thief, owner = (
            LearnerSockets(endpoint, ClientCredentials(k, SERVER.public)) for k in (OTHER, FRIEND)
        )
        try:
            thief.attach(endpoint.weights_suffix, endpoint.experience_suffix(0))
            while "another learner's socket" not in caplog.text:
                await asyncio.sleep(0.01)
            owner.attach(endpoint.weights_suffix, endpoint.experience_suffix(0))
            simulator.send_experience(0, [b"for the owner"])
            got: list[object] = []
            while not got:
                got = await asyncio.to_thread(lambda: list(owner.receive(0.05)[1]))
            assert list(thief.receive(0.0)[1]) == []
        finally:
            thief.close()
            owner.close()
            simulator.close()

    asyncio.run(asyncio.wait_for(story(), 20))
    assert "other at another learner's socket" in caplog.text


def test_a_secret_is_not_shown():
    assert FRIEND.secret not in repr(FRIEND)
    assert FRIEND.secret not in repr(ClientCredentials(FRIEND, SERVER.public))
