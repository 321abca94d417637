"""``brigade play``, ``brigade scenarios``, ``brigade optimum``: the game, for people to look at."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from brigade.config import ConfigError, PositiveInt


class PlayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which game to show."""

    scenario: Annotated[str, Meta(description="scenario name, or path to a TOML or JSON file")] = (
        "default"
    )
    team: Annotated[
        str, Meta(description="who sits where: archetypes, random, spread, by commas")
    ] = "hero,hero,liar,random"
    seed: Annotated[int | None, Meta(description="decides the game; drawn if not given")] = None
    record: Annotated[
        str | None, Meta(description="write a .gif, .mp4 or .json instead of showing")
    ] = None
    replay: Annotated[str | None, Meta(description="show this recorded .json game again")] = None
    max_cycles: Annotated[int, Meta(ge=1, description="nights after which it is cut")] = 100
    fps: Annotated[float, Meta(gt=0, description="steps shown in a second")] = 2.0


class ScenariosConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to tell of the scenarios."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("what", "name")

    what: Annotated[Literal["list", "show"], Meta(description="list them all, or show one")] = (
        "list"
    )
    name: Annotated[str | None, Meta(description="the one to show: a name or a file")] = None


class OptimumConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which game to solve, and for what."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("scenario",)

    scenario: Annotated[str, Meta(description="scenario name, or path to a TOML or JSON file")]
    num_agents: Annotated[int, Meta(ge=1, description="seats")] = 4
    objective: Annotated[
        Literal["discounted", "per-night"],
        Meta(description="discounted return per agent, or the team's reward per night"),
    ] = "discounted"
    discount: Annotated[float, Meta(ge=0, lt=1, description="from night to night")] = 0.99
    max_nights: Annotated[
        PositiveInt | None, Meta(description="games are cut after so many nights; never")
    ] = None


def run_play(config: PlayConfig) -> int:
    """Show a game, or write it to a file.

    Raises
    ------
    ConfigError
        The scenario, team or file is not one.
    """
    from brigade.play import play, replay

    try:
        if config.replay is not None:
            replay(config.replay, config.record, config.fps)
        else:
            play(
                config.scenario,
                config.team,
                config.seed,
                config.record,
                config.max_cycles,
                config.fps,
            )
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    return 0


def run_scenarios(config: ScenariosConfig) -> int:
    """List the scenarios, or explain one.

    Raises
    ------
    ConfigError
        There is no such scenario.
    """
    from brigade.play import explain_scenario, list_scenarios

    if config.what == "list":
        if config.name is not None:
            raise ConfigError(f"`list` takes no name; try: brigade scenarios show {config.name}")
        list_scenarios()
        return 0
    if config.name is None:
        raise ConfigError("`show` wants a name, such as: brigade scenarios show default")
    try:
        explain_scenario(config.name)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    return 0


def run_optimum(config: OptimumConfig) -> int:
    """Solve a game exactly and print the best that a team can do.

    Raises
    ------
    ConfigError
        The game cannot be solved exactly; the sentence says why.
    """
    from brigade.env.scenarios import load_scenario
    from brigade.optimum import print_optimum, solve

    try:
        scenario = load_scenario(config.scenario)
        solved = solve(
            scenario, config.num_agents, config.discount, config.objective, config.max_nights
        )
    except (ValueError, OSError) as error:
        raise ConfigError(f"{config.scenario}: {error}") from None
    print_optimum(solved, scenario.name)
    return 0
