"""A user's code as a type checker sees it: nothing here is Any. Checked by tests, never run."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import brigade
from brigade.env.aec import AECInterface, BrigadeAECEnv
from brigade.env.parallel import BrigadeParallelEnv
from brigade.run.agents import PolicyAgent

Observations = dict[str, NDArray[np.float32]]

turns = brigade.env("default", num_agents=4)
assert_type(turns, AECInterface)
assert_type(turns.unwrapped, BrigadeAECEnv)
assert_type(turns.agent_selection, str)
assert_type(turns.last(), tuple[NDArray[np.float32] | None, float, bool, bool, dict[str, Any]])
assert_type(brigade.raw_env(), BrigadeAECEnv)

env = brigade.parallel_env(scenario="default", num_agents=4)
assert_type(env, BrigadeParallelEnv)
assert_type(env.reset(seed=1), tuple[Observations, dict[str, dict[str, Any]]])

games = brigade.BatchedEnv(8, "default", num_agents=4)
assert_type(games, brigade.BatchedEnv)
assert_type(games.reset(), NDArray[np.float32])

assert_type(brigade.load_agents("run"), list[PolicyAgent])
assert_type(brigade.parse_team("hero", "default"), list[brigade.Agent])
assert_type(brigade.load_scenario("default"), brigade.Scenario)
assert_type(brigade.Engine("default", 4, 7), brigade.Engine)
assert_type(brigade.observation_layout("default", 4), dict[str, slice])
assert_type(brigade.scenario_names(), list[str])
assert_type(brigade.__version__, str)

brigade.parallel_environment()  # type: ignore[attr-defined]
brigade.env(players=4)  # type: ignore[call-arg]
