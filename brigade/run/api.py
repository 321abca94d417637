"""``brigade.train``: what the command does, from Python."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brigade.extras import require

if TYPE_CHECKING:
    from brigade.run.agents import PolicyAgent
    from brigade.run.env_agents import EnvironmentAgent

Env = str | Callable[..., Any]


@dataclass(frozen=True)
class TrainedRun:
    """A run that :func:`train` has ended.

    Attributes
    ----------
    folder
        Where its checkpoints, metrics and settings lie.
    env
        The environment, as it was given; None for a scenario.
    """

    folder: Path
    env: Env | None

    @cached_property
    def agents(self) -> list[PolicyAgent] | list[EnvironmentAgent]:
        """The trained agents, as :func:`brigade.load_agents` loads them."""
        from brigade.run.load import load_agents

        return load_agents(self.folder, env=self.env)

    def metrics(self) -> list[dict[str, Any]]:
        """Read what was measured of each update, as docs/running.md explains it."""
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def train(*, env: Env | None = None, **settings: Any) -> TrainedRun:
    """Train a population, and wait until it is trained.

    Parameters
    ----------
    env
        An environment: a text as ``--env`` takes it, or any function that returns one. The games
        of a function are played in a thread of this process, those of a text, or of a scenario, in
        another; agents always learn in others, which import nothing of the caller's.
    **settings
        Those of ``brigade train``, by their names there with ``_`` for ``-``:
        ``population_size={"wolf": 4}``, ``env_arg={"n": 3}``, ``num_transitions=10_000``,
        ``resume="runs/wolves"``, ``from_="runs/wolves"``.

    Returns
    -------
    TrainedRun
        The run's folder and its agents.

    Raises
    ------
    brigade.config.ConfigError
        A setting is wrong, or does not fit the others (a ValueError).
    EnvironmentUnusable
        The environment cannot be made, or not be trained on (a ValueError).
    GameFailed
        The environment failed before its first step; the cause is what it raised.
    RunFailed
        The run has ended before it was complete (a RuntimeError). A checkpoint is kept.
    KeyboardInterrupt
        Ctrl-C, after the run has ended in order; ``resume`` goes on with it.
    MissingExtra
        The extra ``train`` is not installed (an ImportError).
    """
    require("brigade.train", "train")
    import torch

    from brigade.config import ConfigError, convert
    from brigade.run.resolve import of_function
    from brigade.run.train import TrainConfig, training
    from brigade.sim.simulator import RunFailed

    make = None if env is None or isinstance(env, str) else env
    if make is not None and not callable(make):
        raise ConfigError(f"env {make!r} is neither a text nor a function that returns one")
    if "given" in settings:
        raise ConfigError("'given' is not a setting")
    chosen = {
        name.removesuffix("_"): os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in settings.items()
        if value is not None
    }
    if isinstance(env, str):
        chosen["env"] = env
    named = {} if make is None else {"env": of_function(make)}
    config = convert(TrainConfig, chosen | named | {"given": sorted(chosen)})
    threads = torch.get_num_threads()
    try:
        with _handlers_kept(), training(config, make) as launcher:
            code = launcher.mind()
    finally:
        torch.set_num_threads(threads)
    if launcher.error is not None:
        raise launcher.error
    if code > 128:
        if code != 128 + signal.SIGINT:
            signal.raise_signal(code - 128)
        raise KeyboardInterrupt
    if code:
        raise RunFailed(f"run {launcher.folder} has ended with exit code {code}; it has said why")
    return TrainedRun(launcher.folder, env)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Give the caller its signal handlers back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
