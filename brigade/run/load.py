"""``brigade.load_agents``: importable in every install, though a call needs torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from brigade.extras import require

if TYPE_CHECKING:
    from brigade.run.agents import PolicyAgent
    from brigade.run.env_agents import EnvironmentAgent


@overload
def load_agents(
    path: str | os.PathLike[str], *, env: None = None, greedy: bool = False
) -> list[PolicyAgent]: ...


@overload
def load_agents(
    path: str | os.PathLike[str], *, env: str | Callable[..., Any], greedy: bool = False
) -> list[EnvironmentAgent]: ...


@overload
def load_agents(
    path: str | os.PathLike[str], *, env: str | Callable[..., Any] | None, greedy: bool = False
) -> list[PolicyAgent] | list[EnvironmentAgent]: ...


def load_agents(
    path: str | os.PathLike[str],
    *,
    env: str | Callable[..., Any] | None = None,
    greedy: bool = False,
) -> list[PolicyAgent] | list[EnvironmentAgent]:
    """Load the whole population of a checkpoint or run, in order of agent numbers.

    Parameters
    ----------
    path
        A checkpoint, a run's folder or a run's name.
    env
        The environment that they were trained on, as ``--env`` takes it or a function: then they
        take its observations and give its actions. It is code, which is run. Without it none is,
        and they act on rows of numbers, for brigade's own game.
    greedy
        The agents take the most probable actions instead of sampling.

    Raises
    ------
    CheckpointError
        The file is missing or not a checkpoint (a ValueError).
    ConfigError, EnvironmentUnusable
        They were trained on another environment, or there is no such one (ValueErrors).
    MissingExtra
        The extra ``train`` is not installed (an ImportError).
    """
    require("brigade.load_agents", "train")
    from brigade.run.agents import PolicyAgent
    from brigade.store import checkpoint
    from brigade.store.folder import find_checkpoint

    saved = checkpoint.load(find_checkpoint(os.fspath(path)))
    if env is not None:
        from brigade.run.env_agents import environment_agents

        return environment_agents(saved, env, greedy=greedy)
    return [
        PolicyAgent(
            f"agent {number}", saved.population.network_of(number), state.parameters, greedy=greedy
        )
        for number, state in enumerate(saved.agents)
    ]
