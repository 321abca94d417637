"""Hostile messages by the thousand, over real sockets, while a run goes on as if there were none.

``BRIGADE_FUZZ`` sets how many (``make torture``: 100,000).
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
import zmq

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.learn.learner import Learner
from brigade.ppo.agents import initial_state
from brigade.sim.events import Events
from brigade.sim.player import network_for
from brigade.sim.simulator import Simulator
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import Header
from brigade.wire.transport import LearnerSockets, SimulatorSockets

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
SCENARIO = load_scenario("default")
NETWORK = network_for(CONFIG, SCENARIO)
RUN = CONFIG.run_id


def recorded() -> list[list[bytes]]:
    """One of each message that a learner sends, and of those that it should not."""
    state = initial_state(NETWORK, 1, 0)
    nan = {**state.arrays(), "parameters": np.full_like(state.parameters, np.nan)}
    infinite = {**state.arrays(), "statistics": np.full(3, np.inf)}
    weights: list[tuple[Header, Any]] = [
        (messages.Weights(run=RUN, agent=agent, version=version, steps=0, ticket="x"), arrays)
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


def attack(endpoint: Endpoint, over: threading.Event, sent: list[int]) -> None:
    rng = random.Random(1)
    context = zmq.Context()
    control, weights = context.socket(zmq.DEALER), context.socket(zmq.PUB)
    for socket, suffix in ((control, ""), (weights, endpoint.weights_suffix)):
        socket.setsockopt(zmq.SNDTIMEO, 100)
        socket.connect(endpoint.at(suffix))
    traffic = recorded()
    time.sleep(0.1)
    while sent[0] < MESSAGES and not over.is_set():
        message = mutate(rng.choice(traffic), rng)
        try:
            (control if rng.random() < 0.5 else weights).send_multipart(message)
            sent[0] += 1
        except zmq.Again:
            continue
        if sent[0] % 50 == 0:
            time.sleep(0.005)  # no more than the simulator reads: a PUB drops what is too much
        while control.poll(0):
            control.recv_multipart()
    context.destroy(linger=200)
    over.set()


def train(attacked: bool) -> tuple[Checkpoint, int, int]:
    """Train with one learner; the final checkpoint, the messages sent and those refused."""
    finals: list[Checkpoint] = []
    over, sent = threading.Event(), [0]
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        endpoint = Endpoint.parse(f"ipc://{folder}/control")

        def learn() -> None:
            sockets = LearnerSockets(endpoint)
            Learner(sockets, "honest", "auto", torch.device("cpu")).run()
            sockets.close()

        async def story() -> int:
            sockets = SimulatorSockets(endpoint, 4 * NETWORK.num_parameters + (1 << 20))
            events = Events(checkpoint=lambda content, final: finals.append(content))
            simulator = Simulator(CONFIG, SCENARIO, sockets, events)
            learner = threading.Thread(target=learn)
            learner.start()
            attacker = threading.Thread(target=attack, args=(endpoint, over, sent))
            play = simulator._send  # the run is held open until the attack is over

            def send() -> None:
                if simulator._rollout == 0 and attacked:
                    attacker.start()
                play()

            simulator._send = send  # type: ignore[method-assign]
            finish = simulator._finish

            async def wait_and_finish() -> None:
                while attacked and not over.is_set():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3 if attacked else 0)
                await finish()

            simulator._finish = wait_and_finish  # type: ignore[method-assign]
            await simulator.run()
            sockets.close()
            await asyncio.to_thread(learner.join)
            assert [lease.name for lease in simulator.desk.roster.leases.values()] == []
            return simulator.desk.bad_messages.total()

        bad = asyncio.run(story())
        assert not list(Path(folder).iterdir())
    return finals[-1], sent[0], bad


def test_a_run_under_attack_learns_what_it_would_have_learned() -> None:
    peaceful, _, none = train(attacked=False)
    attacked, sent, bad = train(attacked=True)
    assert none == 0
    assert sent >= MESSAGES
    assert bad > sent / 3
    assert attacked.statistics == peaceful.statistics
    for mine, theirs in zip(attacked.agents, peaceful.agents, strict=True):
        assert mine.version == theirs.version > 0
        for name, array in mine.arrays().items():
            assert np.array_equal(array, theirs.arrays()[name]), name
