"""What run a command means, and all that it leaves open filled in, before anything is started.

Imports no torch, unless the run begins with trained agents.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from brigade._core import Scenario, num_features
from brigade.config import ConfigError, RunConfig, convert, flag
from brigade.games.bucket_brigade import describe, scenario_of
from brigade.run.options import RuntimeOptions, resumed
from brigade.run.team import check_shape, load_for, parse_source
from brigade.store.identity import Identity, read_identity

if TYPE_CHECKING:
    from brigade.store.checkpoint import Checkpoint

LONGEST_LABEL = 150  # bytes of a scenario's name that a run's name has


@dataclass(frozen=True)
class Plan:
    """A run to begin, or to go on with.

    Attributes
    ----------
    config
        With seed, run name and number of games filled in.
    identity
        None for a run of an earlier version, whose checkpoints tell it.
    source
        What the agents begin with; None where they are untrained, or the run goes on.
    """

    config: RunConfig
    identity: Identity | None
    source: Checkpoint | None = None

    @property
    def folder(self) -> Path:
        """Where the run lies, or will."""
        return Path(self.config.checkpoint_dir) / str(self.config.run_name)


def resolve(config: RuntimeOptions) -> Plan:
    """Find out which run is meant.

    Raises
    ------
    ConfigError
        There is no such run or scenario, or settings do not fit together.
    CheckpointError
        ``--from`` names no checkpoint.
    """
    if config.resume is not None:
        run = resumed(config)
        folder = Path(run.checkpoint_dir) / str(run.run_name)
        identity = read_identity(folder)
        if identity is None and not any(folder.glob("*.pt")):
            scenario = _scenario(run)  # an earlier version began it, and came to nothing
            game = describe(scenario, run.num_agents_per_game)
            identity = Identity(run.identity(scenario.to_dict()), game)
        return Plan(run, identity)
    if config.from_ is None:
        run = run_config(config)
        scenario = _scenario(run)
        begun_from, source = "", None
    else:
        source = _source(config.from_, config.checkpoint_dir)
        run = _after(source, run_config(config), config)
        given = "scenario" in config.given
        scenario = _scenario(run) if given else _fitting(run, scenario_of(source.game))
        check_shape(f"--from {config.from_}", source, scenario, run.num_agents_per_game)
        begun_from = _digest(source)
    run = _filled_in(run, scenario)
    name = run.identity(scenario.to_dict(), begun_from)
    game = describe(scenario, run.num_agents_per_game)
    return Plan(run, Identity(name, game, begun_from), source)


def run_config(config: RunConfig) -> RunConfig:
    """Take only what decides the run, out of a command's config."""
    return RunConfig(**{name: getattr(config, name) for name in RunConfig.__struct_fields__})


def _scenario(run: RunConfig) -> Scenario:
    return load_for(run.scenario, run.num_agents_per_game)


def _fitting(run: RunConfig, scenario: Scenario) -> Scenario:
    """Give the scenario, having seen that it fits so many seats."""
    try:
        num_features(scenario, run.num_agents_per_game)
    except ValueError as error:
        raise ConfigError(f"--scenario {run.scenario}: {error}") from None
    return scenario


def _filled_in(run: RunConfig, scenario: Scenario) -> RunConfig:
    """Fill in what was left open: seed, run name, number of games."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    label = "".join(c if c.isalnum() or c in "_-" else "-" for c in scenario.name)
    label = label.encode()[:LONGEST_LABEL].decode(errors="ignore")
    name = run.run_name or f"{label}_pop{run.population_size}_{stamp}"
    seed = secrets.randbelow(2**31) if run.seed is None else run.seed
    return msgspec.structs.replace(run, run_name=name, seed=seed, num_games=run.games)


# ---- beginning with trained agents -----------------------------------------------------------


def _source(text: str, place: str) -> Checkpoint:
    """Load what ``--from`` names: a checkpoint or run, with some of its agents or all."""
    try:
        source = parse_source(text, place)
        saved = source.load(place)
        chosen = sorted(set(source.numbers(saved)))
    except ConfigError as error:
        raise ConfigError(f"--from {error}") from None
    return replace(saved, agents=[saved.agents[agent] for agent in chosen])


def _after(source: Checkpoint, run: RunConfig, config: RuntimeOptions) -> RunConfig:
    """Take from a source what was not given, and refuse what contradicts it."""
    theirs = {
        "hidden_size": source.network.hidden_size,
        "population_size": len(source.agents),
        "num_agents_per_game": source.config.num_agents_per_game,
        "scenario": source.config.scenario,
    }
    for name in ("hidden_size", "population_size"):
        if name in config.given and getattr(run, name) != theirs[name]:
            raise ConfigError(
                f"{flag(name)} {getattr(run, name)}: --from {config.from_} has {theirs[name]}"
            )
    settings = {name: getattr(run, name) for name in run.__struct_fields__}
    return convert(RunConfig, settings | {n: v for n, v in theirs.items() if n not in config.given})


def _digest(source: Checkpoint) -> str:
    """Name what agents begin with."""
    found = hashlib.sha256()
    for state in source.agents:
        found.update(state.parameters.tobytes())
        found.update(state.statistics.tobytes())
    return found.hexdigest()[:16]
