"""Experience through brigade's sockets, against bare pyzmq multipart messages of the same size.

The bare sender and receiver do nothing but send and receive without copies. Brigade's encode each
message, send it through the simulator's sockets, receive it through a learner's, and decode and
check it; once more without the last, which tells what looking at every number takes. Both sides are
processes of their own.

    python bench/transport.py [--messages 200] [--transitions 6400]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import numpy as np
import zmq

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.learn.experience import read_experience
from brigade.policy.build import network_for
from brigade.policy.network import Network
from brigade.run.process import keep_memory
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets, SimulatorSockets


def default_network() -> Network:
    """Shape the networks of a run with default settings."""
    config = RunConfig()
    game = describe(load_scenario("default"), config.num_agents_per_game)
    return network_for(game.role, config.hidden_size)


def read(frames: Sequence[messages.Frame], network: Network) -> None:
    """Look at a message as a learner does."""
    read_experience(*messages.decode(frames), "bench", {0: network}, RunConfig().advantages)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--transitions", type=int, default=6400, help="in a message")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    network = default_network()
    header, arrays = experience(network, options.transitions)
    size = sum(len(frame) for frame in messages.encode(header, arrays))
    print(f"{options.messages} messages of {size / 1e6:.2f} MB, {len(arrays) + 1} frames each")
    frames = messages.encode(header, arrays)
    encode = median_time(lambda: messages.encode(header, arrays))
    decode = median_time(lambda: read(frames, network))
    print(f"encode {encode * 1e6:.0f} us, decode and check {decode * 1e6:.0f} us a message")
    ways = {
        "bare": (send_bare, receive_bare),
        "brigade": (send_ours, receive_ours),
        "brigade, not looked at": (send_ours, receive_unseen),
    }
    for scheme in ("tcp", "ipc"):
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for number, (name, (send, receive)) in enumerate(ways.items()):
                with tempfile.TemporaryDirectory() as folder:
                    port = 29750 + 50 * number
                    address = f"ipc://{folder}/c" if scheme == "ipc" else f"tcp://127.0.0.1:{port}"
                    rates[name].append(measure(send, receive, address, options, size))
        for name, found in rates.items():
            ratios = [rate / bare for rate, bare in zip(found, rates["bare"], strict=True)]
            print(
                f"{scheme}, {name}: {statistics.median(found) / 1e9:.2f} GB/s, ratio "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


def median_time(work: Callable[[], object], repeats: int = 100) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def experience(
    network: Network, transitions: int
) -> tuple[messages.Experience, dict[str, np.ndarray]]:
    """Make a message as a run sends it."""
    generator = np.random.default_rng(1)
    fragments = transitions // 50
    column = generator.random(transitions, dtype=np.float32)
    arrays: dict[str, np.ndarray] = {
        "observations": generator.random((transitions, network.num_features), dtype=np.float32),
        "actions": np.zeros((transitions, len(network.action_nvec)), np.uint8),
        "component_mask": np.ones((transitions, len(network.action_nvec)), np.bool_),
        **dict.fromkeys(("log_probs", "values", "rewards", "discounts", "default_rewards"), column),
        **dict.fromkeys(("default_terminated", "changed"), np.zeros(transitions, np.bool_)),
        "default_observations": np.zeros((0, network.num_features), np.float32),
        "lengths": np.full(fragments, 50, np.int32),
        "terminated": np.zeros(fragments, np.bool_),
        "truncated": np.ones(fragments, np.bool_),
        "policy_versions": np.zeros(fragments, np.int64),
        "bootstrap_observations": generator.random(
            (fragments, network.num_features), dtype=np.float32
        ),
    }
    header = messages.Experience(run="bench", agent=0, sequence=0, progress=0.0)
    return header, arrays


def measure(
    send: Callable[[str, int, int, Connection], None],
    receive: Callable[[str, int, Connection], None],
    address: str,
    options: argparse.Namespace,
    size: int,
) -> float:
    """Bytes a second from the first message's arrival to the last's."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=receive, args=(address, options.messages, theirs))
    receiver.start()
    send(address, options.messages, options.transitions, ours)
    seconds: float = ours.recv()
    ours.send("done")
    receiver.join()
    return size * (int(options.messages) - 1) / seconds


def send_bare(address: str, count: int, transitions: int, pipe: Connection) -> None:
    network = default_network()
    frames = messages.encode(*experience(network, transitions))
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.bind(address)
        for _ in range(count):
            socket.send_multipart(frames, copy=False)
        pipe.poll(None)


def receive_bare(address: str, count: int, pipe: Connection) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.connect(address)
        socket.recv_multipart(copy=False)
        started = time.perf_counter()
        for _ in range(count - 1):
            socket.recv_multipart(copy=False)
        pipe.send(time.perf_counter() - started)
        pipe.recv()


def send_ours(address: str, count: int, transitions: int, pipe: Connection) -> None:
    keep_memory()
    network = default_network()
    header, arrays = experience(network, transitions)

    async def send() -> None:
        sockets = SimulatorSockets(Endpoint.parse(address), weights_frame_bytes=1 << 20)
        sockets.open_slot(0)
        for _ in range(count):
            sockets.send_experience(0, messages.encode(header, arrays))
            await asyncio.sleep(0)
        await asyncio.to_thread(pipe.poll, None)
        sockets.close()

    asyncio.run(send())


def receive_unseen(address: str, count: int, pipe: Connection) -> None:
    receive_ours(address, count, pipe, look=False)


def receive_ours(address: str, count: int, pipe: Connection, *, look: bool = True) -> None:
    keep_memory()
    network = default_network()
    endpoint = Endpoint.parse(address)
    sockets = LearnerSockets(endpoint)
    sockets.attach(endpoint.weights_suffix, endpoint.experience_suffix(0))
    received, started = 0, 0.0
    while received < count:
        for frames in sockets.receive(1.0)[1]:
            if look:
                read(frames, network)
            received += 1
            started = started or time.perf_counter()
    pipe.send(time.perf_counter() - started)
    pipe.recv()
    sockets.close()


if __name__ == "__main__":
    main()
