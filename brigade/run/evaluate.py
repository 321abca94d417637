"""``brigade evaluate``: how good a population is, or a team of scripted agents."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from brigade import seeds
from brigade._core import ARCHETYPES, Heuristics, Scenario
from brigade.config import ConfigError
from brigade.env.batched import BatchedEnv
from brigade.env.scenarios import load_scenario
from brigade.policy.actor import Actor
from brigade.sim.matchmaking import Matchmaker
from brigade.store import checkpoint

DISCOUNT = 0.99
Act = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int32]]


class EvaluateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to measure, and how closely."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("what",)

    what: Annotated[
        str, Meta(description="a checkpoint, random, spread, or archetype:hero,firefighter,...")
    ]
    episodes: Annotated[int, Meta(ge=2, description="games to play")] = 200
    seed: Annotated[int, Meta(ge=0, description="decides the games")] = 1
    scenario: Annotated[
        str | None, Meta(description="another scenario than the checkpoint's; default for teams")
    ] = None
    num_agents_per_game: Annotated[
        int | None, Meta(description="seats in a game; the checkpoint's, or 4")
    ] = None
    max_nights: Annotated[int, Meta(ge=1, description="games are cut after so many nights")] = 1000
    greedy: Annotated[
        bool, Meta(description="take the most probable actions instead of sampling")
    ] = False
    threads: Annotated[int, Meta(ge=1, description="CPU threads")] = 2
    json: Annotated[bool, Meta(description="print JSON")] = False


@dataclass(frozen=True)
class Games:
    """What was played: E games with A seats."""

    agents: NDArray[np.int64]  # [E, A]
    returns: NDArray[np.float64]  # [E, A]: sums of the game's own rewards
    discounted: NDArray[np.float64]  # [E, A]: the same, discounted from night to night
    lengths: NDArray[np.int32]  # [E], nights


@dataclass(frozen=True)
class Measure:
    """One agent's figures, or the population's. Intervals are half-widths at 95%."""

    games: int
    mean_return: float
    return_interval: float
    discounted_return: float
    discounted_interval: float
    team_reward_per_night: float
    mean_length: float


def play(env: BatchedEnv, agents: NDArray[np.int64], act: Act, seed: int) -> Games:
    """Play each of ``env``'s games once, to its end.

    Parameters
    ----------
    agents
        int64 ``[E, A]``: who sits where.
    act
        Called with the observations ``[E, A, F]`` of all games and the indices of those that are
        still going on; returns their actions, ``[len(indices), A, 3]``.
    """
    num_games = env.num_envs
    discounted = np.zeros(agents.shape)
    returns = np.zeros(agents.shape)
    lengths = np.zeros(num_games, np.int32)
    actions = np.zeros((*agents.shape, 3), np.int32)
    going_on = np.arange(num_games)
    nights = np.zeros(num_games, np.int32)
    env.reset(seed)
    while len(going_on):
        actions[going_on] = act(env.observations, going_on)
        _, rewards, terminated, truncated = env.step(actions)
        weight = DISCOUNT ** nights[going_on, None]
        discounted[going_on] += weight * rewards[going_on]
        # A signal step has no rewards and does not count as a night.
        ended = (terminated | truncated)[going_on]
        finished = going_on[ended]
        returns[finished], lengths[finished] = env.returns[finished], env.lengths[finished]
        nights[going_on] = env.lengths[going_on]
        going_on = going_on[~ended]
    return Games(agents, returns, discounted, lengths)


def measure(games: Games, chosen: NDArray[np.bool_]) -> Measure:
    """Summarise the chosen seats' returns (bool ``[E, A]``), a game being one observation."""
    playing = chosen.any(axis=1)
    seats = chosen[playing]
    own = np.where(seats, games.returns[playing], 0).sum(1) / seats.sum(1)
    discounted = np.where(seats, games.discounted[playing], 0).sum(1) / seats.sum(1)
    team = games.returns[playing].sum(1) / games.lengths[playing]
    return Measure(
        games=int(playing.sum()),
        mean_return=float(own.mean()),
        return_interval=_interval(own),
        discounted_return=float(discounted.mean()),
        discounted_interval=_interval(discounted),
        team_reward_per_night=float(team.mean()),
        mean_length=float(games.lengths[playing].mean()),
    )


def _interval(values: NDArray[np.float64]) -> float:
    if len(values) < 2:
        return math.nan
    return float(1.96 * values.std(ddof=1) / math.sqrt(len(values)))


def run_evaluate(config: EvaluateConfig) -> int:
    """Play, measure and print.

    Raises
    ------
    ConfigError, CheckpointError
        There is no such checkpoint, team or scenario, or they do not fit together.
    """
    torch.set_num_threads(config.threads)
    names, games = evaluate(config)
    overall = measure(games, np.ones(games.agents.shape, np.bool_))
    each = {
        name: measure(games, games.agents == agent)
        for agent, name in enumerate(names)
        if (games.agents == agent).any()
    }
    if config.json:
        print(
            json.dumps(
                {"overall": _plain(overall), "agents": {n: _plain(m) for n, m in each.items()}}
            )
        )
    else:
        _print(config, overall, each)
    return 0


def evaluate(config: EvaluateConfig) -> tuple[list[str], Games]:
    """Play the games: names of the agents, and the games with their numbers."""
    if config.what in ("random", "spread") or config.what.startswith("archetype:"):
        return _evaluate_team(config)
    return _evaluate_checkpoint(config)


def _evaluate_team(config: EvaluateConfig) -> tuple[list[str], Games]:
    scenario = _scenario(config.scenario or "default")
    num_seats = config.num_agents_per_game or 4
    env = _environment(config, scenario, num_seats)
    seed = seeds.number(config.seed, seeds.Purpose.ACTIONS)
    team = config.what.removeprefix("archetype:").split(",")
    if config.what in ("random", "spread"):
        heuristics = Heuristics(scenario, num_seats, seed=seed, kind=config.what)
    else:
        unknown = [name for name in team if name not in ARCHETYPES]
        if unknown:
            raise ConfigError(f"{unknown[0]!r} is not an archetype; known: {', '.join(ARCHETYPES)}")
        if num_seats % len(team):
            raise ConfigError(f"{config.what}: {len(team)} names do not divide {num_seats} seats")
        parameters = np.array([ARCHETYPES[team[seat % len(team)]] for seat in range(num_seats)])
        heuristics = Heuristics(scenario, num_seats, parameters, seed)
    names = list(dict.fromkeys(team))
    agents = np.tile(
        [names.index(team[s % len(team)]) for s in range(num_seats)], (env.num_envs, 1)
    )
    return names, play(
        env, agents, lambda observations, live: heuristics.act(observations)[live], config.seed
    )


def _evaluate_checkpoint(config: EvaluateConfig) -> tuple[list[str], Games]:
    saved = checkpoint.load(Path(config.what))
    scenario = _scenario(config.scenario) if config.scenario else saved.scenario
    num_seats = config.num_agents_per_game or saved.config.num_agents_per_game
    env = _environment(config, scenario, num_seats)
    if (env.num_features, env.action_nvec) != (
        saved.network.num_features,
        saved.network.action_nvec,
    ):
        raise ConfigError(
            f"{config.what} was trained with {saved.scenario.num_houses} houses and "
            f"{saved.config.num_agents_per_game} seats; {scenario.name} has "
            f"{scenario.num_houses} and {num_seats}"
        )
    matchmaker = Matchmaker(
        len(saved.agents),
        num_seats,
        saved.config.matchmaking,
        seeds.generator(config.seed, seeds.Purpose.MATCHMAKING),
    )
    agents = np.stack([matchmaker.match() for _ in range(config.episodes)])
    parameters = torch.from_numpy(np.stack([state.parameters for state in saved.agents]))
    actor = Actor(saved.network, parameters)
    generator = seeds.generator(config.seed, seeds.Purpose.ACTIONS)
    seated = -1

    def act(observations: NDArray[np.float32], live: NDArray[np.int64]) -> NDArray[np.int32]:
        nonlocal seated
        if len(live) != seated:
            seated = len(live)
            actor.seat(agents[live].ravel())
        rows = observations[live].reshape(len(live) * num_seats, -1)
        actions = actor.act_greedily(rows) if config.greedy else actor.act(rows, generator)[0]
        return actions.reshape(len(live), num_seats, -1)

    return [str(agent) for agent in range(len(saved.agents))], play(env, agents, act, config.seed)


def _scenario(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except (ValueError, OSError) as error:
        raise ConfigError(f"--scenario {name}: {error}") from None


def _environment(config: EvaluateConfig, scenario: Scenario, num_seats: int) -> BatchedEnv:
    try:
        return BatchedEnv(config.episodes, scenario, num_seats, max_cycles=config.max_nights)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _plain(measured: Measure) -> dict[str, Any]:
    """Plain values for JSON, which has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(measured).items()
    }


def _print(config: EvaluateConfig, overall: Measure, each: dict[str, Measure]) -> None:
    table = Table(
        title=f"{config.what}: {overall.games} games, {'greedy' if config.greedy else 'sampled'}",
        title_justify="left",
        show_edge=False,
        pad_edge=False,
        header_style="bold",
    )
    for heading in ("agent", "games", "return", "discounted", "team reward/night", "nights"):
        table.add_column(heading, justify="left" if heading == "agent" else "right")
    for name, m in [*each.items(), ("all", overall)]:
        table.add_row(
            name,
            f"{m.games}",
            f"{m.mean_return:,.1f} ± {m.return_interval:,.1f}",
            f"{m.discounted_return:,.1f} ± {m.discounted_interval:,.1f}",
            f"{m.team_reward_per_night:,.1f}",
            f"{m.mean_length:,.1f}",
            style="bold" if name == "all" else "",
        )
    Console().print(table)
