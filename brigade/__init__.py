"""Brigade trains populations on PettingZoo environments, and on a game of helping and lying.

Everything below loads at its first use, so ``import brigade`` is cheap and loads neither torch nor
zmq. The environment needs neither of them at any time; what needs an extra that is not installed
says so when it is used.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's, without the time that its import takes
if TYPE_CHECKING:
    from typing import Any

    from brigade._core import (
        Engine,
        Scenario,
        __version__,
        observation_layout,
        scenario_names,
    )
    from brigade.agents import (
        Agent,
        HeuristicAgent,
        RandomAgent,
        SpreadAgent,
        parse_team,
    )
    from brigade.env.aec import env, raw_env
    from brigade.env.batched import BatchedEnv
    from brigade.env.parallel import parallel_env
    from brigade.env.scenarios import load_scenario
    from brigade.env.vector import vector_env
    from brigade.run.api import train
    from brigade.run.load import load_agents

__all__ = [
    "Agent",
    "BatchedEnv",
    "Engine",
    "HeuristicAgent",
    "RandomAgent",
    "Scenario",
    "SpreadAgent",
    "__version__",
    "env",
    "load_agents",
    "load_scenario",
    "observation_layout",
    "parallel_env",
    "parse_team",
    "raw_env",
    "scenario_names",
    "train",
    "vector_env",
]

_HOMES = {
    "Agent": "brigade.agents",
    "BatchedEnv": "brigade.env.batched",
    "Engine": "brigade._core",
    "HeuristicAgent": "brigade.agents",
    "RandomAgent": "brigade.agents",
    "Scenario": "brigade._core",
    "SpreadAgent": "brigade.agents",
    "__version__": "brigade._core",
    "load_agents": "brigade.run.load",
    "load_scenario": "brigade.env.scenarios",
    "observation_layout": "brigade._core",
    "parallel_env": "brigade.env.parallel",
    "parse_team": "brigade.agents",
    "raw_env": "brigade.env.aec",
    "scenario_names": "brigade._core",
    "train": "brigade.run.api",
    "vector_env": "brigade.env.vector",
}


if not TYPE_CHECKING:  # or a type checker would take a name that does not exist for Any

    def __getattr__(name: str) -> Any:
        """Load a public name from its module, once."""
        if name == "env":  # the package brigade.env is itself callable: see there
            return import_module("brigade.env")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'brigade' has no attribute {name!r}")
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Give the public names, loaded or not, and nothing else."""
    return sorted(__all__)
