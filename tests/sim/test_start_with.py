"""A run that begins before every agent has a learner: the others play with their first weights."""

from __future__ import annotations

import asyncio
import tempfile
import threading

import msgspec
import numpy as np
import torch

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.learn.learner import Learner
from brigade.ppo.agents import initial_state
from brigade.sim.events import Events
from brigade.sim.preparation import games_of, population_of
from brigade.sim.simulator import Simulator
from brigade.store.checkpoint import Checkpoint
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets, SimulatorSockets

CONFIG = RunConfig(
    scenario="default", population_size=3, num_agents_per_game=2, num_games=4, hidden_size=8,
    batch_size=8, update_interval=4, num_episodes=30, sync="overlap", seed=5, run_name="some",
)  # fmt: skip


def finish(config: RunConfig, wanted: str, start_with: int | None) -> Checkpoint:
    finals: list[Checkpoint] = []
    game = describe(load_scenario("default"), config.num_agents_per_game)
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        endpoint = Endpoint.parse(f"ipc://{folder}/control")

        def learn() -> None:
            sockets = LearnerSockets(endpoint)
            Learner(sockets, "only", wanted, torch.device("cpu")).run()
            sockets.close()

        async def story() -> None:
            sockets = SimulatorSockets(endpoint, 1 << 24)
            events = Events(checkpoint=lambda content, final: finals.append(content))
            games, population = games_of(config, game), population_of(config, game)
            simulator = Simulator(config, games, population, sockets, events, start_with=start_with)
            learner = threading.Thread(target=learn)
            learner.start()
            await simulator.run()
            sockets.close()
            await asyncio.to_thread(learner.join)

        asyncio.run(story())
    return finals[-1]


def test_agents_without_a_learner_play_with_their_first_weights():
    content = finish(CONFIG, "0,2", start_with=2)
    assert [state.version > 0 for state in content.agents] == [True, False, True]
    first = initial_state(content.network, 5, 1)
    assert np.array_equal(content.agents[1].parameters, first.parameters)
    assert content.statistics["match_counts"][1] > 0


def test_with_all_learners_it_changes_nothing():
    one, other = (finish(CONFIG, "auto", n) for n in (None, 3))
    for mine, theirs in zip(one.agents, other.agents, strict=True):
        assert np.array_equal(mine.parameters, theirs.parameters)
    assert one.config == other.config == msgspec.structs.replace(CONFIG)
