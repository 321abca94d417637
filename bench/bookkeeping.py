"""What a rollout costs a simulator beside playing: taking it apart, and taking new weights in.

No sockets and no learning: messages are encoded and decoded as in a run, and each agent's weights
come back as they were. Seconds a rollout and microseconds an agent; the latter should not grow with
the population.

    python bench/bookkeeping.py [8 64 512]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Any

import torch

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim.episodes import Episodes
from brigade.sim.events import Events
from brigade.sim.preparation import games_of, population_of
from brigade.sim.simulator import Simulator
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import Sender

ROLLOUTS = 5


class Loop:
    """Stands for the sockets, and for a learner that learns nothing."""

    def __init__(self) -> None:
        self.endpoint = Endpoint.parse("ipc:///tmp/nowhere")
        self.control: asyncio.Queue[Any] = asyncio.Queue()
        self.weights: asyncio.Queue[Any] = asyncio.Queue()
        self.welcome: messages.Welcome | None = None
        self.rows: dict[int, AgentState] = {}

    async def receive_control(self) -> Any:
        """Wait for the learner's hello."""
        return await self.control.get()

    async def receive_weights(self) -> Any:
        """Wait for weights."""
        return await self.weights.get()

    async def send_control(self, peer: bytes, frames: Sequence[Any]) -> None:
        """Take the welcome, and answer with everybody's first weights."""
        header = messages.decode(frames)[0]
        if isinstance(header, messages.Welcome):
            self.welcome = header
            for granted in header.agents:
                self.publish(granted.agent, 0)

    def publish(self, agent: int, version: int) -> None:
        """Hand an agent's weights in."""
        assert self.welcome is not None
        header = messages.Weights(
            run=self.welcome.run,
            agent=agent,
            version=version,
            steps=version,
            fencing_token=self.welcome.fencing_token,
            metrics={"kl": 0.1, "entropy": 1.0},
        )
        frames = messages.encode(header, self.rows[agent].arrays())
        self.weights.put_nowait((Sender(), frames))

    def send_experience(self, slot: int, frames: Sequence[Any]) -> None:
        """Learn nothing from a rollout, at once."""
        header = messages.decode(frames)[0]
        assert isinstance(header, messages.Experience)
        self.publish(header.agent, header.sequence + 1)

    def open_slot(self, slot: int, key: str = "") -> None:
        """There is nothing to open."""

    def close_slot(self, slot: int) -> None:
        """There is nothing to close."""

    def revoked(self) -> set[str]:
        """Nobody's key was."""
        return set()


async def measure(size: int) -> float:
    """Seconds a rollout beside play."""
    config = RunConfig(
        population_size=size,
        hidden_size=8,
        batch_size=64,
        update_interval=4,
        num_episodes=10**9,
        sync="lockstep",
        seed=1,
        run_name="none",
    )
    loop = Loop()
    game = describe(load_scenario("default"), config.num_agents_per_game)
    population = population_of(config, game)
    simulator = Simulator(config, games_of(config, game), population, loop, Events())  # type: ignore[arg-type]
    first = initial_state(population.network, 1, 0)
    loop.rows = dict.fromkeys(range(size), first)
    hello = messages.Hello(name="nobody", agents="auto", device="cpu")
    loop.control.put_nowait((Sender(b"nobody"), messages.encode(hello)))
    tasks = [
        asyncio.create_task(simulator.server.serve_control()),
        asyncio.create_task(simulator.server.serve_weights()),
    ]
    play, played = simulator.worker.step, 0.0

    def step() -> Episodes:
        nonlocal played
        started = time.process_time()
        episodes = play()
        played += time.process_time() - started
        return episodes

    simulator.worker.step = step  # type: ignore[method-assign]
    await simulator.step()  # the learner joins, and all is set up
    played, started = 0.0, time.process_time()
    for _ in range(ROLLOUTS):
        await simulator.step()
    took = time.process_time() - started - played
    for task in tasks:
        task.cancel()
    return took / ROLLOUTS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[8, 64, 512])
    torch.set_num_threads(1)
    for size in parser.parse_args().sizes:
        seconds = asyncio.run(measure(size))
        print(f"{size:4} agents: {seconds:.3f} s a rollout, {1e6 * seconds / size:.0f} us an agent")


if __name__ == "__main__":
    main()
