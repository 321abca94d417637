"""Hostile messages by the thousand, over real sockets, while a run goes on as if there were none.

Strangers send them to the simulator, and a broken simulator to its learner. ``BRIGADE_FUZZ`` sets
how many (``make torture``: 100,000).
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
import zmq

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.learn.learner import Learner
from brigade.policy.build import network_for
from brigade.ppo.agents import initial_state
from brigade.sim.events import Events
from brigade.sim.preparation import games_of, population_of
from brigade.sim.simulator import Simulator
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import Frame, Header
from brigade.wire.transport import LearnerSockets, SimulatorSockets

from ..run.processes import memory

MOST_GROWTH = 64 << 20  # bytes, of attacker, simulator and learner together
MESSAGES = int(os.environ.get("BRIGADE_FUZZ", "3000"))
CONFIG = RunConfig(
    scenario="default",
    population_size=2,
    num_agents_per_game=2,
    num_games=4,
    hidden_size=8,
    batch_size=8,
    update_interval=4,
    num_episodes=40,
    sync="lockstep",
    seed=5,
    run_name="fuzz",
)
GAME = describe(load_scenario("default"), CONFIG.num_agents_per_game)
NETWORK = network_for(GAME.role, CONFIG.hidden_size)
RUN = CONFIG.identity(GAME.arguments)


def recorded() -> list[list[bytes]]:
    """One of each message that a learner sends, and of those that it should not."""
    state = initial_state(NETWORK, 1, 0)
    nan = {**state.arrays(), "parameters": np.full_like(state.parameters, np.nan)}
    infinite = {**state.arrays(), "statistics": np.full(3, np.inf)}
    weights: list[tuple[Header, Any]] = [
        (
            messages.Weights(run=RUN, agent=agent, version=version, steps=0, fencing_token="x"),
            arrays,
        )
        for agent, version, arrays in [
            *((0, version, state.arrays()) for version in range(4)),
            *((1, 1, nan), (1, 1, infinite), (7, 0, state.arrays()), (0, 2**40, state.arrays())),
        ]
    ]
    rest: list[tuple[Header, Any]] = [
        (messages.Hello(name="stranger", agents="0-1", device="cpu"), None),
        (messages.Hello(name="stranger", agents="0", device="cpu", run="another"), None),
        (messages.Heartbeat(run=RUN), None),
        (messages.Heartbeat(run="another"), None),
        (messages.Goodbye(run=RUN), None),
        (messages.Acknowledge(run=RUN, agent=0, version=9), None),
        (messages.Stop(run=RUN, reason="no more", failed=True), None),
        (messages.Refusal(reason="go away"), None),
        (messages.Ask(), None),
        (messages.Experience(run=RUN, agent=0, sequence=0, progress=0.5), state.arrays()),
    ]
    return [[bytes(f) for f in messages.encode(*each)] for each in (*weights, *rest)]


def mutate(frames: list[bytes], rng: random.Random) -> list[bytes]:
    """Spoil a message in one of many ways; now and then leave it whole (replayed, reordered)."""
    frames = list(frames)
    kind = rng.randrange(9)
    where = rng.randrange(len(frames))
    if kind == 0:
        frames[where] = frames[where][: rng.randrange(len(frames[where]) + 1)]
    elif kind == 1:
        spoilt = bytearray(frames[where] or b"x")
        for _ in range(rng.randint(1, 8)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        frames[where] = bytes(spoilt)
    elif kind == 2:
        del frames[where]
    elif kind == 3:
        frames.insert(where, rng.randbytes(rng.randrange(200)))
    elif kind in (4, 5):
        body = msgpack.unpackb(frames[0])
        name = rng.choice(sorted(body))
        body[name] = rng.choice(
            [None, -1, 2**63, "", "x" * 300, [], {}, float("nan"), 2, True, [[]],
             [["a", "|O", [1]]],
             [["parameters", "<f4", [2**31, 2**31]]], [["a", "<f4", [2**62, 0]]] * 3]
        )  # fmt: skip
        frames[0] = msgpack.packb(body)
    elif kind == 6:
        frames = [rng.randbytes(rng.randrange(2000)) for _ in range(rng.randint(1, 4))]
    elif kind == 7 and rng.random() < 0.01:
        frames = [b"\x00" * (2 << 20)]  # over the bound: the connection is cut, and comes again
    return frames or [b""]


class Overhearing(LearnerSockets):
    """A learner's sockets, of which somebody hears all that is sent, fencing tokens included."""

    def __init__(self, endpoint: Endpoint, heard: list[tuple[bool, list[bytes]]]) -> None:
        super().__init__(endpoint)
        self._all_heard = heard

    def send_control(self, frames: Sequence[Frame]) -> None:
        self._all_heard.append((True, [bytes(frame) for frame in frames]))
        super().send_control(frames)

    def publish(self, frames: Sequence[Frame]) -> None:
        self._all_heard.append((False, [bytes(frame) for frame in frames]))
        super().publish(frames)


class Play:
    """A run with one learner in this process, which can be held open while it is attacked."""

    def __init__(self, folder: str) -> None:
        self.endpoint = Endpoint.parse(f"ipc://{folder}/control")
        self.heard: list[tuple[bool, list[bytes]]] = []
        self.sockets = SimulatorSockets(self.endpoint, 4 * NETWORK.num_parameters + (1 << 20))
        self.finals: list[Checkpoint] = []
        events = Events(checkpoint=lambda content, final: self.finals.append(content))
        games, population = games_of(CONFIG, GAME), population_of(CONFIG, GAME)
        self.simulator = Simulator(CONFIG, games, population, self.sockets, events)
        self.learner: Learner | None = None

    def learn(self) -> None:
        sockets = Overhearing(self.endpoint, self.heard)
        self.learner = Learner(sockets, "honest", "auto", torch.device("cpu"))
        self.learner.run()
        sockets.close()

    async def run(self, attack: Callable[[Play], Coroutine[Any, Any, None]] | None) -> None:
        """Play it all; the attack begins with the first rollout, and the run ends after it."""
        tasks: list[asyncio.Task[None]] = []
        send, finish = self.simulator._send, self.simulator._finish

        async def send_and_start(counted: Any) -> None:
            if attack is not None and not tasks:
                tasks.append(asyncio.create_task(attack(self)))
            await send(counted)

        async def wait_and_finish() -> None:
            for task in tasks:
                await task
            await finish()

        self.simulator._send = send_and_start  # type: ignore[method-assign]
        self.simulator._finish = wait_and_finish  # type: ignore[method-assign]
        learner = threading.Thread(target=self.learn)
        learner.start()
        await self.simulator.run()
        self.sockets.close()
        await asyncio.to_thread(learner.join)
        assert not self.simulator.server.lease_table.leases


def train(attack: Callable[[Play], Coroutine[Any, Any, None]] | None) -> Play:
    """Train, under attack or in peace."""

    async def story(folder: str) -> Play:
        play = Play(folder)
        await play.run(attack)
        return play

    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        play = asyncio.run(story(folder))
        assert not list(Path(folder).iterdir())
    return play


@pytest.fixture(scope="module")
def peaceful() -> Checkpoint:
    play = train(None)
    assert play.learner is not None
    assert play.simulator.server.bad_messages.total() == play.learner.bad_messages == 0
    return play.finals[-1]


def check_equal(mine: Checkpoint, theirs: Checkpoint) -> None:
    assert mine.statistics == theirs.statistics
    for one, other in zip(mine.agents, theirs.agents, strict=True):
        assert one.version == other.version > 0
        for name, array in one.arrays().items():
            assert np.array_equal(array, other.arrays()[name]), name


def check_log(text: str, bad: Counter[str]) -> None:
    """Of each sender the 1st, 2nd, 4th, 8th ... message is logged, and no other."""
    assert text.count("dropped bad message") == sum(n.bit_length() for n in bad.values())


# ---- strangers against the simulator -------------------------------------------------------


def besiege(play: Play, over: threading.Event, sent: list[int]) -> None:
    """Send spoilt messages, and what the learner said before: again, and in any order."""
    rng = random.Random(1)
    context = zmq.Context()
    control, weights = context.socket(zmq.DEALER), context.socket(zmq.PUB)
    for socket, suffix in ((control, ""), (weights, play.endpoint.weights_suffix)):
        socket.setsockopt(zmq.SNDTIMEO, 100)
        socket.connect(play.endpoint.at(suffix))
    traffic = recorded()
    time.sleep(0.1)
    while sent[0] < MESSAGES and not over.is_set():
        if rng.random() < 0.1:
            to_control, message = rng.choice(play.heard)
        else:
            to_control, message = rng.random() < 0.5, mutate(rng.choice(traffic), rng)
        try:
            (control if to_control else weights).send_multipart(message)
            sent[0] += 1
        except zmq.Again:
            continue
        if sent[0] % 50 == 0:
            time.sleep(0.005)  # no more than the simulator reads: a PUB drops what is too much
        while control.poll(0):
            control.recv_multipart()
    context.destroy(linger=200)


def test_a_simulator_under_attack_goes_on_as_if_there_were_none(
    peaceful: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    sent, grown = [0], [0]

    async def attack(play: Play) -> None:
        before, over = memory(os.getpid()), threading.Event()
        try:
            await asyncio.to_thread(besiege, play, over, sent)
        finally:
            over.set()
        await asyncio.sleep(0.3)  # what is on its way arrives
        grown[0] = memory(os.getpid()) - before

    play = train(attack)
    bad = play.simulator.server.bad_messages
    print(f"{sent[0]:,} messages, {bad.total():,} refused; memory grew by {grown[0]:,} bytes")
    assert sent[0] >= MESSAGES
    assert bad.total() > sent[0] / 3
    assert {sender.split()[0] for sender in bad} >= {"control", "weights"}, "each is counted"
    check_log(caplog.text, bad)
    check_equal(play.finals[-1], peaceful)
    assert grown[0] < MOST_GROWTH


# ---- a broken simulator against its learner ------------------------------------------------


def spoil(frames: list[bytes], rng: random.Random) -> list[bytes]:
    """Spoil experience so that it surely is none: a learner must believe what is whole."""
    frames, kind = list(frames), rng.randrange(7)
    body = msgpack.unpackb(frames[0])
    where = next(i for i, frame in enumerate(frames) if i and frame)
    if kind == 0:
        frames[where] = frames[where][: rng.randrange(len(frames[where]))]
    elif kind == 1:
        del frames[rng.randrange(len(frames))]
    elif kind == 2:
        frames.insert(rng.randrange(len(frames) + 1), rng.randbytes(rng.randrange(200)))
    elif kind == 3:
        frames = [rng.randbytes(rng.randrange(2000)) for _ in range(rng.randint(1, 4))]
    elif kind == 4:
        number = np.array([rng.choice([np.nan, np.inf, -np.inf])], "<f4").tobytes()
        position = [name for name, *_ in body["arrays"]].index("observations") + 1
        frames[position] = number + frames[position][4:]
    elif kind == 5:
        name, value = rng.choice(
            [("protocol", messages.PROTOCOL + 1), ("run", "another"), ("agent", 77), ("agent", -1),
             ("type", "boom"), ("sequence", 2**40), ("progress", float("nan")), ("more", 1)]
        )  # fmt: skip
        frames[0] = msgpack.packb(body | {name: value})
    else:
        entry = rng.choice(body["arrays"])
        entry[1:] = rng.choice([["|O", entry[2]], ["<f4", [2**31, 2**31]], ["<c8", entry[2]],
                                ["<f4", [1] * 9], ["<f8", [2**62, 0]], ["<f4", [-1]]])  # fmt: skip
        frames[0] = msgpack.packb(body)
    return frames


def test_a_learner_under_attack_goes_on_as_if_there_were_none(
    peaceful: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    sent = 0

    async def attack(play: Play) -> None:
        nonlocal sent
        rng, honest, send = random.Random(2), [], play.sockets.send_experience

        def overhear(slot: int, frames: Sequence[Frame]) -> None:
            honest.append([bytes(frame) for frame in frames])
            send(slot, frames)

        play.sockets.send_experience = overhear  # type: ignore[method-assign]
        [lease] = play.simulator.server.lease_table.leases.values()
        learner = play.learner
        assert learner is not None
        while not honest:
            await asyncio.sleep(0.001)
        while sent < MESSAGES:
            message = spoil(rng.choice(honest), rng)
            if rng.random() < 0.5:
                send(lease.slot, message)
            else:
                await play.sockets.send_control(lease.peer, message)
            if rng.random() < 0.1:
                send(lease.slot, rng.choice(honest))  # again, and in any order
            sent += 1
            while sent - learner.bad_messages > 100:
                await asyncio.sleep(0.001)
        deadline = time.monotonic() + 240
        while learner.bad_messages < sent and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    play = train(attack)
    assert play.learner is not None
    print(f"{sent:,} messages, {play.learner.bad_messages:,} refused")
    assert play.learner.bad_messages == sent >= MESSAGES
    assert play.learner.updates == play.finals[-1].agents[0].version, "no rollout is used twice"
    check_log(caplog.text, Counter(learner=play.learner.bad_messages))
    check_equal(play.finals[-1], peaceful)
