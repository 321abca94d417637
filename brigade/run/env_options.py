"""What commands that play take for an environment in place of a scenario. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from brigade.config import ConfigError, PositiveInt
from brigade.values import flag


class EnvOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An environment, where the agents were trained on one.

    Attributes
    ----------
    FOR_SCENARIOS
        Settings that say nothing of an environment, and what there is for it.
    """

    FOR_SCENARIOS: ClassVar[dict[str, str]] = {}

    env: Annotated[
        str | None,
        Meta(description="the environment, for agents that were trained on one (or for random)"),
    ] = None
    env_arg: Annotated[
        dict[str, Any],
        Meta(description="an argument of the environment; unless given, those of the training"),
    ] = {}
    max_steps: Annotated[
        PositiveInt | None, Meta(description="its episodes are cut after so many steps")
    ] = None


def check_env_options(config: EnvOptions) -> None:
    """Check that what is given is for what is played.

    Raises
    ------
    ConfigError
        It is for scenarios where there is an environment, or the other way round.
    """
    usual = {field.name: field.default for field in msgspec.structs.fields(config)}
    if config.env is None:
        for name in ("env_arg", "max_steps"):
            if getattr(config, name):
                raise ConfigError(f"{flag(name)} is for environments: name one with --env")
        return
    for name, instead in config.FOR_SCENARIOS.items():
        if getattr(config, name) != usual[name]:
            raise ConfigError(
                f"{flag(name)} is for scenarios, and --env {config.env} is none: {instead}"
            )
