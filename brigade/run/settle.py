"""Filling in what a run's config leaves open, before anything is started. Imports no torch."""

from __future__ import annotations

import secrets
import time

import msgspec

from brigade._core import Scenario, num_features
from brigade.config import ConfigError, RunConfig
from brigade.env.scenarios import load_scenario

LONGEST_LABEL = 150  # bytes of a scenario's name that a run's name has


def settle(config: RunConfig) -> tuple[RunConfig, Scenario]:
    """Fill in what was left open (seed, run name, number of games) and load the scenario.

    Raises
    ------
    ConfigError
        The scenario is unknown, or does not fit the number of seats.
    """
    try:
        scenario = load_scenario(config.scenario)
        num_features(scenario, config.num_agents_per_game)  # it fits so many seats
    except (ValueError, OSError) as error:
        raise ConfigError(f"--scenario {config.scenario}: {error}") from None
    stamp = time.strftime("%Y%m%d-%H%M%S")
    label = "".join(c if c.isalnum() or c in "_-" else "-" for c in scenario.name)
    label = label.encode()[:LONGEST_LABEL].decode(errors="ignore")
    name = config.run_name or f"{label}_pop{config.population_size}_{stamp}"
    seed = secrets.randbelow(2**31) if config.seed is None else config.seed
    settled = msgspec.structs.replace(config, run_name=name, seed=seed, num_games=config.games)
    return settled, scenario


def run_config(config: RunConfig) -> RunConfig:
    """Take only what decides the run, out of a command's config."""
    return RunConfig(**{name: getattr(config, name) for name in RunConfig.__struct_fields__})
