"""How a run is carried on: settings that change nothing of its result. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from brigade.config import ConfigError, PositiveInt, RunConfig, convert, flag
from brigade.run.settle import run_config


class OperationConfig(RunConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, and how it is carried on."""

    resume: Annotated[
        str | None,
        Meta(description="go on with this run (its name or folder) from its newest checkpoint"),
    ] = None
    keep: Annotated[
        PositiveInt | None, Meta(description="checkpoints to keep besides the final one; all")
    ] = None
    start_with: Annotated[
        PositiveInt | None,
        Meta(description="begin when so many agents have learners, the others frozen; all"),
    ] = None
    lease: Annotated[
        float, Meta(ge=2, le=86400, description="seconds of silence after which a learner is lost")
    ] = 15.0
    max_rollbacks: Annotated[
        int, Meta(ge=0, description="updates of an agent that may diverge and be undone")
    ] = 3
    log_file: Annotated[
        str | None, Meta(description="append events here: one line of JSON each")
    ] = None


def operation_arguments(config: OperationConfig) -> list[str]:
    """Write how a run is carried on as arguments of ``brigade sim``, without ``--resume``."""
    arguments: list[str] = []
    for name in OperationConfig.__struct_fields__:
        value = getattr(config, name)
        if name in RunConfig.__struct_fields__ or name == "resume" or value is None:
            continue
        arguments.append(f"{flag(name)}={value}")
    return arguments


def check_operation(config: OperationConfig, run: RunConfig) -> None:
    """Check what depends on the run that is carried on.

    Raises
    ------
    ConfigError
        It cannot be.
    """
    if config.start_with is not None and config.start_with > run.population_size:
        raise ConfigError(
            f"--start-with {config.start_with}: the population has {run.population_size} agents"
        )


def resumed(config: OperationConfig) -> RunConfig:
    """Read the settings of the run that ``config.resume`` names.

    Raises
    ------
    ConfigError
        There is no such run, or a setting was given that is not the run's.
    """
    assert config.resume is not None
    folder = Path(config.resume)
    if not (folder / "config.json").exists():
        folder = Path(config.checkpoint_dir) / config.resume
    try:
        saved = convert(RunConfig, json.loads((folder / "config.json").read_text()))
    except OSError:
        raise ConfigError(f"--resume {config.resume}: there is no run {folder}") from None
    except ValueError as error:
        raise ConfigError(f"--resume {config.resume}: {folder / 'config.json'}: {error}") from None
    folder = folder.absolute()
    saved = msgspec.structs.replace(saved, run_name=folder.name, checkpoint_dir=str(folder.parent))
    given, defaults = run_config(config), RunConfig()
    for name in RunConfig.__struct_fields__:
        value = getattr(given, name)
        if name in ("run_name", "checkpoint_dir") or value == getattr(defaults, name):
            continue
        if value != getattr(saved, name):
            raise ConfigError(
                f"{flag(name)} {value}: the run goes on with its own, {getattr(saved, name)}"
            )
    return saved
