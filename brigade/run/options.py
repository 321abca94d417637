"""Runtime options: how a run is carried on, not what comes of it. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from brigade.config import CHANGEABLE, ConfigError, PositiveInt, RunConfig
from brigade.games.vector import Playing
from brigade.store.identity import find_run, read_config
from brigade.values import flag


class RuntimeOptions(RunConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, and how it is carried on.

    Attributes
    ----------
    given
        Names of the settings that were not left to their defaults; no setting itself.
    """

    INTERNAL: ClassVar[tuple[str, ...]] = ("given",)

    @property
    def _is_whole(self) -> bool:
        """Whether what was not given here is the default, and not another run's."""
        return self.resume is None and self.from_ is None

    given: frozenset[str] = frozenset()
    resume: Annotated[
        str | None,
        Meta(description="go on with this run (its name, folder or newest checkpoint)"),
    ] = None
    from_: Annotated[
        str | None,
        Meta(description="begin with the agents of a checkpoint or run: PATH, or PATH:0-3,7"),
    ] = msgspec.field(default=None, name="from")
    keep: Annotated[
        PositiveInt | Literal["all"] | None,
        Meta(description="newest checkpoints to keep, or all; 3, and a few older ones"),
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
    env_workers: Annotated[
        int, Meta(ge=0, description="processes that play an environment; 0: the simulator itself")
    ] = 0
    env_timeout: Annotated[
        float, Meta(gt=0, le=86400, description="seconds that one may take for a step of its games")
    ] = 60.0
    on_env_error: Annotated[
        Literal["fail", "restart"],
        Meta(description="an environment fails in one: end the run, or begin its games anew"),
    ] = "fail"
    log_file: Annotated[
        str | None, Meta(description="append events here: one line of JSON each")
    ] = None


def playing(config: RuntimeOptions) -> Playing:
    """Where games are played."""
    return Playing(config.env_workers, config.env_timeout, config.on_env_error)


def option_arguments(config: RuntimeOptions) -> list[str]:
    """Write how a run is carried on as arguments of ``brigade sim``, whatever the run is."""
    arguments: list[str] = []
    for name in RuntimeOptions.__struct_fields__:
        value = getattr(config, name)
        if name in (*RunConfig.__struct_fields__, "given", "resume", "from_") or value is None:
            continue
        arguments.append(f"{flag(name)}={value}")
    return arguments


def changed_arguments(config: RuntimeOptions) -> list[str]:
    """Write what a run that exists is given anew as arguments of ``brigade sim``."""
    return [f"{flag(n)}={getattr(config, n)}" for n in CHANGEABLE if n in config.given]


def check_options(config: RuntimeOptions, run: RunConfig) -> None:
    """Check what depends on the run that is carried on.

    Raises
    ------
    ConfigError
        It cannot be.
    """
    if config.env_workers and run.env is None:
        raise ConfigError(
            f"--env-workers {config.env_workers}: scenarios are played in the simulator itself"
        )
    if config.on_env_error == "restart" and not config.env_workers:
        raise ConfigError("--on-env-error restart goes with --env-workers 1 or more")
    if config.start_with is not None and config.start_with > run.num_agents:
        raise ConfigError(
            f"--start-with {config.start_with}: the population has {run.num_agents} agents"
        )


def resumed(config: RuntimeOptions) -> RunConfig:
    """Read the settings of the run that ``config.resume`` names, with what was given anew.

    Raises
    ------
    ConfigError
        There is no such run, or a setting was given that the run cannot change.
    """
    assert config.resume is not None
    if config.from_ is not None:
        raise ConfigError("--resume and --from exclude each other: a run goes on, or one begins")
    try:
        folder = find_run(config.resume, Path(config.checkpoint_dir))
    except ConfigError as error:
        raise ConfigError(f"--resume {error}") from None
    place = Path(config.checkpoint_dir)
    if "checkpoint_dir" in config.given and folder.resolve().parent != place.resolve():
        raise ConfigError(f"--checkpoint-dir {place}: run {folder} does not lie there")
    saved = read_config(folder)
    wanted = {n: getattr(config, n) for n in RunConfig.__struct_fields__ if n in config.given}
    wanted.pop("checkpoint_dir", None)
    for name, value in wanted.items():
        has = getattr(saved, name)
        if name not in CHANGEABLE and value != has:
            known = ", ".join(map(flag, CHANGEABLE))
            raise ConfigError(
                f"{flag(name)} {value}: run {folder} goes on with its own, {has}; what can be "
                f"given anew is {known}, and --from begins another run with its agents"
            )
    changes = {name: value for name, value in wanted.items() if name in CHANGEABLE}
    return msgspec.structs.replace(saved, **changes)
