"""Games that take long do not keep the run's sockets waiting."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time

import pytest
import torch

import brigade.sim.simulator as simulator_module
from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.sim.events import Events
from brigade.sim.preparation import games_of, population_of
from brigade.sim.simulator import Simulator
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import SimulatorSockets

CONFIG = RunConfig(
    scenario="default", population_size=2, num_agents_per_game=2, num_games=2, hidden_size=8,
    batch_size=8, update_interval=4, seed=5, run_name="some",
)  # fmt: skip


@pytest.mark.parametrize("slow", [True, False])
def test_a_slow_step_is_played_beside_the_event_loop(monkeypatch, slow: bool) -> None:
    game = describe(load_scenario("default"), CONFIG.num_agents_per_game)
    seen: list[tuple[threading.Thread, int]] = []
    monkeypatch.setattr(simulator_module, "SLOW_STEP_SECONDS", 0.0 if slow else 1e9)

    async def story() -> int:
        """Play two steps; count the looks elsewhere during the second."""
        games, population = games_of(CONFIG, game), population_of(CONFIG, game)
        with tempfile.TemporaryDirectory(prefix="b-") as folder:
            sockets = SimulatorSockets(Endpoint.parse(f"ipc://{folder}/control"), 1 << 24)
            simulator = Simulator(CONFIG, games, population, sockets, Events())
            step = simulator.worker.step

            def slow_step():  # type: ignore[no-untyped-def]
                seen.append((threading.current_thread(), torch.get_num_threads()))
                time.sleep(0.2)
                return step()

            simulator.worker.step = slow_step  # type: ignore[method-assign]
            await simulator._step_games()
            torch.set_num_threads(2)  # as where learners have GPUs, once they have joined
            playing = asyncio.create_task(simulator._step_games())
            looks = 0
            while not playing.done():
                looks += 1
                await asyncio.sleep(0.01)
            sockets.close()
        return looks

    before = torch.get_num_threads()
    try:
        looks = asyncio.run(story())
    finally:
        torch.set_num_threads(before)
    assert (looks > 2) == slow
    assert (seen[-1][0] is threading.main_thread()) != slow
    assert seen[-1][1] == 2
