"""What the base install does, run by tests where nothing else is installed."""

import importlib.util

import numpy as np

import brigade
from brigade import *  # noqa: F403
from brigade.optimum import solve

extras = ("PIL", "msgspec", "rich", "torch", "zmq", "msgpack", "tensorboardX", "pandas")
assert not any(map(importlib.util.find_spec, extras))
assert all(getattr(brigade, name) is not None for name in dir(brigade))

env = brigade.parallel_env("chain_reaction", num_agents=4, render_mode="ansi")
observations, _ = env.reset(seed=1)
team = brigade.parse_team("hero,spread,liar,random", "chain_reaction")
rng = np.random.default_rng(1)
while env.agents:
    actions = {
        agent: player.act(observations[agent][None], rng)[0]
        for agent, player in zip(env.agents, team, strict=True)
    }
    observations, *_ = env.step(actions)
assert "chain_reaction, night" in env.render()

turns = brigade.env("default", num_agents=4)
turns.reset(seed=1)
for agent in turns.agent_iter(20):
    _, _, terminated, truncated, _ = turns.last()
    turns.step(None if terminated or truncated else turns.action_space(agent).sample())

games = brigade.BatchedEnv(8, "default", num_agents=4, seed=1)
rows = games.reset().reshape(32, -1)
actions = brigade.HeuristicAgent("firefighter", "default", num_agents=4).act(rows, rng)
assert games.step(actions.reshape(8, 4, 3))[1].shape == (8, 4)

assert np.isfinite(solve(brigade.load_scenario("v2_minimal"), 4).value)
