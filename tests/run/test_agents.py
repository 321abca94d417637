"""Trained policies as agents that play beside scripted ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import brigade
from brigade.agents import team_actions

from .processes import SMALL, run

FINAL = Path("experiments/marl/checkpoints/team/final_checkpoint.pt")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run(folder, "train", *SMALL, "--run-name", "team")
    return folder / FINAL


def test_a_trained_population_is_agents(checkpoint: Path) -> None:
    agents = brigade.load_agents(checkpoint)
    assert [agent.name for agent in agents] == [f"agent {number}" for number in range(4)]
    assert all(isinstance(agent, brigade.Agent) for agent in agents)


def test_trained_and_scripted_agents_play_together(checkpoint: Path) -> None:
    hero, random = brigade.parse_team("hero,random,random,random", "default")[:2]
    team = [*brigade.load_agents(checkpoint)[:2], hero, random]
    games = brigade.BatchedEnv(8, "default", num_agents=4, seed=3)
    observations, rng = games.reset(), np.random.default_rng(3)
    for _ in range(20):
        actions = team_actions(team, observations, rng)
        observations, rewards, _, _ = games.step(actions)
        assert np.isfinite(rewards).all()


def test_acting_depends_on_the_generator_alone(checkpoint: Path) -> None:
    agent, other = brigade.load_agents(checkpoint)[:2]
    rows = brigade.BatchedEnv(64, "default", num_agents=4, seed=3).reset().reshape(256, -1)
    first = agent.act(rows, np.random.default_rng(5))
    assert np.array_equal(first, agent.act(rows, np.random.default_rng(5)))
    assert not np.array_equal(first, other.act(rows, np.random.default_rng(5)))
    greedy = brigade.load_agents(checkpoint, greedy=True)[0]
    choices = [greedy.act(rows, np.random.default_rng(seed)) for seed in (1, 2)]
    assert np.array_equal(*choices)


def test_observations_of_another_game_are_refused(checkpoint: Path) -> None:
    agent = brigade.load_agents(checkpoint)[0]
    with pytest.raises(ValueError, match="trained on observations of 117 features"):
        agent.act(np.zeros((2, 5), np.float32), np.random.default_rng(1))
    with pytest.raises(ValueError, match="no such file"):
        brigade.load_agents(checkpoint.with_name("nothing.pt"))
