"""The sockets, for real: over tcp and ipc, the simulator's side in asyncio, learners in threads."""

import asyncio
import contextlib
import multiprocessing
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from brigade.sim.lease_table import LeaseTable
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import MAX_HEADER_BYTES
from brigade.wire.transport import (
    UNREAD_MESSAGES,
    LearnerSockets,
    SimulatorSockets,
    TransportError,
)

BOUND = 1 << 24  # bytes of a weights frame
PATIENCE = 60.0


def free_port(count: int = 8) -> int:
    """A port with so many free ones behind it.

    None from which systems take ports for clients: one that connects to a port where nobody listens
    yet may be given that port, and then occupies it.
    """
    for base in range(10000 + time.time_ns() // 1000 % 20000, 32000, count):
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise RuntimeError("no free ports")


def short_folder() -> Path:
    """A folder whose name leaves room in an ipc address, which pytest's may not."""
    return Path(tempfile.mkdtemp(prefix="b-"))


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request) -> Iterator[Endpoint]:
    if request.param == "tcp":
        yield Endpoint.parse(f"tcp://127.0.0.1:{free_port(12)}")
    else:
        folder = short_folder()
        yield Endpoint.parse(f"ipc://{folder}/control")
        shutil.rmtree(folder)


class Meeting:
    """Opens sockets of both sides and closes them all at the end."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.simulator = SimulatorSockets(endpoint, BOUND)
        self.learners: list[LearnerSockets] = []

    async def __aenter__(self) -> "Meeting":
        return self

    async def __aexit__(self, *_: object) -> None:
        for learner in self.learners:
            learner.close()
        self.simulator.close()

    def learner(self, slot: int | None = None) -> LearnerSockets:
        learner = LearnerSockets(self.endpoint)
        self.learners.append(learner)
        if slot is not None:
            self.attach(learner, slot)
        return learner

    def attach(self, learner: LearnerSockets, slot: int) -> None:
        e = self.endpoint
        learner.attach(e.weights_suffix, e.experience_suffix(slot))


async def received(learner: LearnerSockets, control: int = 0, experience: int = 0) -> tuple:
    """All messages, as bytes, once so many have come."""
    found: tuple[list, list] = [], []
    deadline = time.monotonic() + PATIENCE
    while len(found[0]) < control or len(found[1]) < experience:
        assert time.monotonic() < deadline, f"only {len(found[0])}, {len(found[1])} came"
        for kept, new in zip(found, await asyncio.to_thread(learner.receive, 0.05), strict=True):
            kept += [[bytes(frame) for frame in frames] for frames in new]
    return found


async def published(meeting: Meeting, learner: LearnerSockets, frames) -> list:
    """Publish until it arrives: what is sent before the subscription is up is lost."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        learner.publish(frames)
        try:
            _, frames = await asyncio.wait_for(meeting.simulator.receive_weights(), 0.2)
            return frames
        except TimeoutError:
            continue
    raise AssertionError("the weights did not arrive")


def test_an_answer_finds_the_learner_that_asked(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            learners = [meeting.learner() for _ in range(3)]
            for k, learner in enumerate(learners):
                learner.send_control([b"hello", bytes([k])])
            for _ in learners:
                sender, frames = await meeting.simulator.receive_control()
                assert bytes(frames[0]) == b"hello"
                await meeting.simulator.send_control(sender.identity, [b"welcome", frames[1]])
            for k, learner in enumerate(learners):
                control, experience = await received(learner, control=1)
                assert control == [[b"welcome", bytes([k])]]
                assert experience == []

    asyncio.run(main())


def test_a_hello_before_the_simulator_is_up_arrives_when_it_is(endpoint):
    learner = LearnerSockets(endpoint)
    learner.send_control([b"early"])
    time.sleep(0.1)

    async def main():
        simulator = SimulatorSockets(endpoint, BOUND)
        _, frames = await asyncio.wait_for(simulator.receive_control(), PATIENCE)
        simulator.close()
        return frames

    assert [bytes(frame) for frame in asyncio.run(main())] == [b"early"]
    learner.close()


def test_experience_goes_to_its_slot_whole_and_in_order(endpoint):
    count = 40

    async def main():
        async with Meeting(endpoint) as meeting:
            for slot in range(3):
                meeting.simulator.open_slot(slot)
            learners = [meeting.learner(slot) for slot in range(2)]
            for i in range(count):
                for slot in range(3):
                    meeting.simulator.send_experience(slot, [bytes([slot]), bytes([i]) * i])
            learners.append(meeting.learner(2))  # what was sent before it came waits for it
            for slot, learner in enumerate(learners):
                _, experience = await received(learner, experience=count)
                assert experience == [[bytes([slot]), bytes([i]) * i] for i in range(count)]
            for slot, learner in enumerate(learners):  # and now it is there already
                for i in range(count):
                    meeting.simulator.send_experience(slot, [bytes([i])])
                _, experience = await received(learner, experience=count)
                assert experience == [[bytes([i])] for i in range(count)]

    asyncio.run(main())


def test_large_arrays_arrive_whole_and_as_views(endpoint):
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, 12 << 20, np.uint8)  # beyond the bound of a control frame

    async def main():
        async with Meeting(endpoint) as meeting:
            meeting.simulator.open_slot(0)
            learner = meeting.learner(0)
            meeting.simulator.send_experience(0, [b"header", memoryview(large), b""])
            deadline = time.monotonic() + PATIENCE
            experience: list = []
            while not experience and time.monotonic() < deadline:
                experience = (await asyncio.to_thread(learner.receive, 0.05))[1]
            [[first, frame, nothing]] = experience
            assert (bytes(first), len(nothing)) == (b"header", 0)
            assert isinstance(frame, memoryview)
            assert np.array_equal(np.frombuffer(frame, np.uint8), large)
            frames = await published(meeting, learner, [b"header", memoryview(large)])
            assert isinstance(frames[1], memoryview)
            assert np.array_equal(np.frombuffer(frames[1], np.uint8), large)

    asyncio.run(main())


def test_who_sends_faster_than_is_read_waits_on_its_own_side(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            with zmq.Context() as context, context.socket(zmq.DEALER) as flood:
                for option, value in ((zmq.SNDHWM, 1), (zmq.SNDTIMEO, 500), (zmq.LINGER, 0)):
                    flood.setsockopt(option, value)
                flood.connect(endpoint.control)
                sent = 0
                with contextlib.suppress(zmq.Again):
                    while sent < 3 * UNREAD_MESSAGES:  # beyond what the kernel's buffers may hold
                        flood.send(bytes(MAX_HEADER_BYTES))
                        sent += 1
                assert sent < 3 * UNREAD_MESSAGES
            good = meeting.learner()
            good.send_control([b"hello"])
            frames = [b""]
            while bytes(frames[0]) != b"hello":
                _, frames = await asyncio.wait_for(meeting.simulator.receive_control(), PATIENCE)

    asyncio.run(main())


def test_a_frame_beyond_the_bound_is_not_taken_in_and_harms_nobody(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            meeting.simulator.open_slot(0)
            good, bad = meeting.learner(0), meeting.learner(0)
            await published(meeting, bad, [b"fine"])
            bad.publish([b"bomb", bytes(BOUND + 1)])
            bad.send_control([b"bomb", bytes(MAX_HEADER_BYTES + 1)])
            good.send_control([b"hello"])
            _, frames = await asyncio.wait_for(meeting.simulator.receive_control(), PATIENCE)
            assert [bytes(frame) for frame in frames] == [b"hello"]
            for _ in range(3):
                frames = await published(meeting, good, [b"good"])
                assert bytes(frames[0]) in (b"good", b"fine")

    asyncio.run(main())


def test_a_stranger_who_does_not_speak_zeromq_harms_nobody():
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{free_port()}")

    async def main():
        async with Meeting(endpoint) as meeting:
            for port in (endpoint.port, endpoint.port + 1):
                with socket.create_connection(("127.0.0.1", port)) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 10)
            learner = meeting.learner()
            learner.send_control([b"hello"])
            # ZeroMQ may take the noise for a message; then it is one that decode() refuses.
            frames = [b""]
            while bytes(frames[0]) != b"hello":
                receiving = meeting.simulator.receive_control()
                _, frames = await asyncio.wait_for(receiving, PATIENCE)

    asyncio.run(main())


def test_sending_to_a_learner_that_is_not_there_is_no_error(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            learner = meeting.learner()
            learner.send_control([b"hello"])
            sender, _ = await meeting.simulator.receive_control()
            learner.close()
            for who in (b"never seen", sender.identity):
                sent = meeting.simulator.send_control(who, [b"welcome"])
                await asyncio.wait_for(sent, PATIENCE)

    asyncio.run(main())


# ---- learners that come and go -----------------------------------------------------------


def test_a_learner_can_join_at_once_after_one_that_left(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            lease_table = LeaseTable(1, lease_timeout=1, num_slots=40)
            for _ in range(40):
                lease = lease_table.join(b"peer", "name", "cpu", "0", now=0)
                meeting.simulator.open_slot(lease.slot)
                await asyncio.sleep(0.001)
                lease_table.leave(b"peer", now=0)
                meeting.simulator.close_slot(lease.slot)

    if endpoint.scheme == "tcp":
        endpoint = Endpoint.parse(f"tcp://127.0.0.1:{free_port(44)}")
    asyncio.run(main())


def test_a_lost_learner_that_wakes_up_takes_nothing_from_the_one_after_it(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            lease_table = LeaseTable(1, lease_timeout=5, num_slots=2)
            lease = lease_table.join(b"lost", "lost", "cpu", "0", now=0)
            meeting.simulator.open_slot(lease.slot)
            meeting.learner(lease.slot)  # stays open, and is never read
            [expired] = lease_table.expire(now=10)
            meeting.simulator.close_slot(expired.slot)
            await asyncio.sleep(0.1)  # for the port to be free again
            lease = lease_table.join(b"next", "next", "cpu", "0", now=11)
            meeting.simulator.open_slot(lease.slot)
            after = meeting.learner(lease.slot)
            await asyncio.sleep(0.5)  # both are connected, if they ever will be
            for i in range(20):
                meeting.simulator.send_experience(lease.slot, [bytes([i])])
            _, experience = await received(after, experience=20)
            assert experience == [[bytes([i])] for i in range(20)]

    asyncio.run(main())


def test_closing_one_slot_leaves_the_others_alone(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            for slot in range(2):
                meeting.simulator.open_slot(slot)
            learners = [meeting.learner(slot) for slot in range(2)]
            for slot in range(2):
                meeting.simulator.send_experience(slot, [b"one"])
            for learner in learners:
                await received(learner, experience=1)
            meeting.simulator.close_slot(0)
            meeting.simulator.send_experience(1, [b"two"])
            _, experience = await received(learners[1], experience=1)
            assert experience == [[b"two"]]
            assert [list(kind) for kind in learners[0].receive(0.1)] == [[], []]

    asyncio.run(main())


def drain_as_the_slot_closes(endpoint: Endpoint) -> None:
    """Read messages of several frames, the connection ending in the middle of it."""

    async def main():
        async with Meeting(endpoint) as meeting:
            for slot, frames in enumerate(range(2, 10)):
                meeting.simulator.open_slot(slot)
                learner = meeting.learner(slot)
                monitor = learner._experience.get_monitor_socket(zmq.EVENT_DISCONNECTED)
                for _ in range(200):
                    meeting.simulator.send_experience(slot, [b"frame"] * frames)
                deadline = time.monotonic() + PATIENCE
                experience = iter(())
                while not (first := next(experience, None)) and time.monotonic() < deadline:
                    experience = (await asyncio.to_thread(learner.receive, 0.05))[1]
                assert first is not None
                meeting.simulator.close_slot(slot)
                assert monitor.poll(1000 * PATIENCE)
                assert all(len(message) == frames for message in experience)
                learner._experience.disable_monitor()

    asyncio.run(main())


def test_a_connection_that_ends_while_it_is_read_does_not_end_the_learner(endpoint):
    # libzmq would end the whole process.
    child = multiprocessing.get_context("spawn").Process(
        target=drain_as_the_slot_closes, args=(endpoint,), daemon=True
    )
    child.start()
    child.join(4 * PATIENCE)
    assert child.exitcode == 0


def test_what_a_detached_learner_has_not_fetched_it_does_not_get(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            meeting.simulator.open_slot(0)
            learner = meeting.learner(0)
            for frame in (b"one", b"two"):
                meeting.simulator.send_experience(0, [frame])
            deadline, first = time.monotonic() + PATIENCE, None
            while first is None:
                assert time.monotonic() < deadline
                experience = (await asyncio.to_thread(learner.receive, 0.05))[1]
                first = next(experience, None)
            assert [bytes(frame) for frame in first] == [b"one"]
            learner.detach()
            assert list(experience) == []

    asyncio.run(main())


def test_a_learner_can_attach_anew_elsewhere(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            for slot in range(2):
                meeting.simulator.open_slot(slot)
            learner = meeting.learner(0)
            meeting.simulator.send_experience(0, [b"zero"])
            await received(learner, experience=1)
            meeting.attach(learner, 1)
            meeting.simulator.send_experience(1, [b"one"])
            _, experience = await received(learner, experience=1)
            assert experience == [[b"one"]]
            await published(meeting, learner, [b"weights"])

    asyncio.run(main())


# ---- opening and closing -----------------------------------------------------------------


def test_an_address_in_use_is_named(endpoint):
    async def main():
        async with Meeting(endpoint) as meeting:
            with pytest.raises(TransportError, match="in use") as refused:
                SimulatorSockets(endpoint, BOUND)
            assert endpoint.control in str(refused.value)
            assert "\n" not in str(refused.value)
            # The run that was there first goes on.
            learner = meeting.learner()
            learner.send_control([b"hello"])
            await asyncio.wait_for(meeting.simulator.receive_control(), PATIENCE)

    asyncio.run(main())


def test_a_weights_address_in_use_is_named_and_control_is_free_again():
    base = free_port()
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{base}")

    async def main():
        with socket.socket() as other:
            other.bind(("127.0.0.1", base + 1))
            other.listen()
            with pytest.raises(TransportError, match=f"tcp://127.0.0.1:{base + 1} is in use"):
                SimulatorSockets(endpoint, BOUND)
        SimulatorSockets(endpoint, BOUND).close()

    asyncio.run(main())


def test_an_experience_address_in_use_is_named():
    base = free_port()

    async def main():
        async with Meeting(Endpoint.parse(f"tcp://127.0.0.1:{base}")) as meeting:
            with socket.socket() as other:
                other.bind(("127.0.0.1", base + 5))
                other.listen()
                with pytest.raises(TransportError, match=f"tcp://127.0.0.1:{base + 5} is in use"):
                    meeting.simulator.open_slot(3)
            meeting.simulator.open_slot(2)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ipc:///no/such/folder/control", "there is no such folder"),
        ("tcp://no-such-interface:5750", "this machine has no such address"),
        ("tcp://192.0.2.1:5750", "this machine has no such address"),
    ],
)
def test_an_address_that_cannot_be_bound_is_named(address, why):
    async def main():
        with pytest.raises(TransportError) as refused:
            SimulatorSockets(Endpoint.parse(address), BOUND)
        assert str(refused.value) == f"cannot bind {address}: {why}; choose another --bind"

    asyncio.run(main())


def test_a_file_left_by_a_run_that_died_is_no_obstacle():
    folder = short_folder()
    endpoint = Endpoint.parse(f"ipc://{folder}/control")
    for suffix in ("", "-weights"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(f"{folder}/control{suffix}")

    async def main():
        async with Meeting(endpoint) as meeting:
            meeting.learner().send_control([b"hello"])
            await asyncio.wait_for(meeting.simulator.receive_control(), PATIENCE)

    asyncio.run(main())
    shutil.rmtree(folder)


def test_after_closing_every_address_is_free_and_no_file_is_left(endpoint):
    async def main():
        for _ in range(3):
            async with Meeting(endpoint) as meeting:
                for slot in range(2):
                    meeting.simulator.open_slot(slot)
                learner = meeting.learner(0)
                learner.send_control([b"hello"])
                await meeting.simulator.receive_control()

    asyncio.run(main())
    if endpoint.scheme == "tcp":
        for port in range(endpoint.port, endpoint.port + 4):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
    else:
        assert list(Path(endpoint.place).parent.iterdir()) == []


def test_nobody_hangs_at_exit_over_what_nobody_reads(endpoint):
    async def main():
        simulator = SimulatorSockets(endpoint, BOUND)
        simulator.open_slot(0)
        for _ in range(100):
            simulator.send_experience(0, [bytes(1 << 16)])
        silent = LearnerSockets(endpoint)
        silent.attach(endpoint.weights_suffix, endpoint.experience_suffix(0))
        silent.send_control([b"hello"])
        sender, _ = await simulator.receive_control()
        for _ in range(100):
            await simulator.send_control(sender.identity, [bytes(1 << 16)])
        started = time.monotonic()
        simulator.close()
        assert time.monotonic() - started < PATIENCE
        silent.send_control([b"is anyone there?"])
        started = time.monotonic()
        silent.close()
        assert time.monotonic() - started < PATIENCE

    asyncio.run(main())


def test_last_words_are_heard(endpoint):
    async def main():
        simulator = SimulatorSockets(endpoint, BOUND)
        learner = LearnerSockets(endpoint)
        learner.send_control([b"hello"])
        sender, _ = await simulator.receive_control()
        learner.send_control([b"goodbye"])
        learner.close()
        _, frames = await asyncio.wait_for(simulator.receive_control(), PATIENCE)
        assert bytes(frames[0]) == b"goodbye"
        other = LearnerSockets(endpoint)
        other.send_control([b"hello"])
        sender, _ = await simulator.receive_control()
        await simulator.send_control(sender.identity, [b"stop"])
        simulator.close()
        control, _ = await received(other, control=1)
        assert control == [[b"stop"]]
        other.close()

    asyncio.run(main())
