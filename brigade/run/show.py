"""``brigade play``, ``brigade scenarios``, ``brigade optimum``: the game, for people to look at."""

from __future__ import annotations

import json
import sys
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from brigade._core import Scenario
from brigade.agents import Agent, scripted_agent
from brigade.config import ConfigError, PositiveInt
from brigade.env.seeding import check_seed, fresh_seed
from brigade.extras import require
from brigade.printable import printable
from brigade.run.env_options import EnvOptions, check_env_options
from brigade.run.team import Team, Trained, load_team

DEFAULT_TEAM = "hero,hero,liar,random"


class PlayConfig(EnvOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which game to show."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("who",)
    FOR_SCENARIOS: ClassVar[dict[str, str]] = {
        "scenario": "give one of them",
        "max_cycles": "--max-steps cuts its episodes",
        "replay": "--record makes films of it",
    }

    who: Annotated[
        str | None,
        Meta(
            description="a run or checkpoint, or an agent for each seat by commas: RUN:3, RUN:0-3, "
            "an archetype, random, spread"
        ),
    ] = None
    team: Annotated[str | None, Meta(description=f"the same as a flag [{DEFAULT_TEAM}]")] = None
    scenario: Annotated[
        str | None,
        Meta(description="name, or path to a TOML or JSON file; the trained agents', or default"),
    ] = None
    greedy: Annotated[bool, Meta(description="trained agents take the most probable actions")] = (
        False
    )
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
    json: Annotated[bool, Meta(description="one line of JSON")] = False


def run_play(config: PlayConfig) -> int:
    """Show a game, or write it to a file.

    Raises
    ------
    ConfigError
        The scenario, team or file is not one.
    """
    check_env_options(config)
    if config.env is not None:
        require("playing in an environment", "train")
        from brigade.run.play_env import run_play_env

        return run_play_env(config)
    from brigade.play import play, replay

    try:
        if config.replay is not None:
            replay(config.replay, config.record, config.fps)
            return 0
        seed = fresh_seed() if config.seed is None else check_seed(config.seed)
        scenario, agents, remarks = _players(config, seed)
        for remark in remarks:
            print(printable(remark), file=sys.stderr)
        try:
            play(scenario, agents, seed, config.record, config.max_cycles, config.fps)
        except KeyboardInterrupt:
            if config.seed is None:
                print(f"\nthe game again: --seed {seed}", flush=True)
            raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        if error.filename is None:  # the output cannot be written
            raise
        raise ConfigError(str(error)) from None
    return 0


def _players(config: PlayConfig, seed: int) -> tuple[Scenario, list[Agent], list[str]]:
    """Load who plays: the game, an agent for each seat, and remarks on them."""
    if config.who is not None and config.team is not None:
        raise ConfigError(f"--team {config.team}: {config.who} is given as the team already")
    team = load_team(config.who or config.team or DEFAULT_TEAM, config.scenario)
    seated = [team.players[player] for player in team.seated(1, seed)[0]]
    return team.scenario, [_agent(p, team, config.greedy) for p in seated], team.remarks


def _agent(player: str | Trained, team: Team, greedy: bool) -> Agent:
    if isinstance(player, str):
        return scripted_agent(player, team.scenario, team.num_seats)
    from brigade.run.agents import PolicyAgent  # and with it torch

    state = player.saved.agents[player.number]
    return PolicyAgent(player.name, player.saved.network, state.parameters, greedy=greedy)


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
    from brigade.optimum import optimum_content, print_optimum, solve

    try:
        scenario = load_scenario(config.scenario)
        solved = solve(
            scenario, config.num_agents, config.discount, config.objective, config.max_nights
        )
    except (ValueError, OSError) as error:
        said = str(error).replace("num_agents =", "--num-agents")
        if said == str(error) and "seat" in said:
            said += f" (--num-agents {config.num_agents})"
        raise ConfigError(f"{config.scenario}: {said}") from None
    if config.json:
        print(json.dumps(optimum_content(solved, scenario.name), allow_nan=False))
    else:
        print_optimum(solved, scenario.name)
    return 0
