"""``brigade evaluate``: how good a population is, or a team of scripted agents."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brigade import seeds
from brigade._core import ARCHETYPES, Heuristics, Scenario
from brigade.config import ConfigError, PositiveInt
from brigade.env.batched import BatchedEnv
from brigade.env.scenarios import load_scenario
from brigade.optimum import DISCOUNTED_OPTIMUM, reference_values
from brigade.policy.actor import Actor
from brigade.printable import printable
from brigade.run.cores import available_cores
from brigade.run.measure import DISCOUNT, Games, Measure, measure, play
from brigade.sim.matchmaking import Matchmaker
from brigade.store import checkpoint
from brigade.store.folder import find_checkpoint


class EvaluateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to measure, and how closely."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("what",)

    what: Annotated[
        str,
        Meta(description="a checkpoint or run, random, spread, or archetype:hero,firefighter,..."),
    ]
    episodes: Annotated[int, Meta(ge=2, description="games to play")] = 200
    seed: Annotated[int, Meta(ge=0, description="decides the games")] = 1
    scenario: Annotated[
        str | None, Meta(description="another scenario than the checkpoint's; default for teams")
    ] = None
    num_agents_per_game: Annotated[
        PositiveInt | None, Meta(description="seats in a game; the checkpoint's, or 4")
    ] = None
    max_nights: Annotated[int, Meta(ge=1, description="games are cut after so many nights")] = 1000
    greedy: Annotated[
        bool, Meta(description="take the most probable actions instead of sampling")
    ] = False
    threads: Annotated[
        PositiveInt | None, Meta(description="CPU threads; 2, where there are so many cores")
    ] = None
    json: Annotated[bool, Meta(description="print JSON")] = False


@dataclass(frozen=True)
class Evaluation:
    """Games that were played to measure somebody."""

    scenario: Scenario
    names: list[str]  # of the agents, by their numbers in ``games``
    games: Games

    @property
    def overall(self) -> Measure:
        """Everybody's figures."""
        return measure(self.games, np.ones(self.games.agents.shape, np.bool_))

    @property
    def each(self) -> dict[str, Measure]:
        """Figures of each agent that played."""
        return {
            name: measure(self.games, self.games.agents == agent)
            for agent, name in enumerate(self.names)
            if (self.games.agents == agent).any()
        }

    def share(self, max_nights: int) -> Share | None:
        """Where the discounted return lies between random play and the optimum, if that is known.

        Both are exact, for games cut after ``max_nights``.
        """
        try:
            values = reference_values(
                self.scenario, self.games.agents.shape[1], DISCOUNT, max_nights
            )
        except ValueError:  # a game that cannot be solved exactly
            return None
        lowest = values["random"].discounted_return
        best = values[DISCOUNTED_OPTIMUM].discounted_return
        reached = self.overall
        scale = best - lowest
        if scale <= 0:
            return None
        return Share(
            (reached.discounted_return - lowest) / scale,
            reached.discounted_interval / scale,
            lowest,
            best,
        )


@dataclass(frozen=True)
class Share:
    """``share = (return - random) / (optimum - random)``, discounted, with a 95% interval."""

    share: float
    interval: float
    random: float
    optimum: float


def run_evaluate(config: EvaluateConfig) -> int:
    """Play, measure and print.

    Raises
    ------
    ConfigError, CheckpointError
        There is no such checkpoint, team or scenario, or they do not fit together.
    """
    torch.set_num_threads(config.threads or min(2, available_cores()))
    evaluation = evaluate(config)
    share = evaluation.share(config.max_nights)
    if config.json:
        content = {
            "overall": _plain(evaluation.overall),
            "agents": {name: _plain(figures) for name, figures in evaluation.each.items()},
            "optimum": None if share is None else asdict(share),
        }
        print(json.dumps(content))
    else:
        _print(config, evaluation, share)
    return 0


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Play the games that the config asks for."""
    if config.what in ("random", "spread") or config.what.startswith("archetype:"):
        return _evaluate_team(config)
    return _evaluate_checkpoint(config)


def _evaluate_team(config: EvaluateConfig) -> Evaluation:
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
    games = play(
        env, agents, lambda observations, live: heuristics.act(observations)[live], config.seed
    )
    return Evaluation(scenario, names, games)


def _evaluate_checkpoint(config: EvaluateConfig) -> Evaluation:
    saved = checkpoint.load(find_checkpoint(config.what))
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

    names = [str(agent) for agent in range(len(saved.agents))]
    return Evaluation(scenario, names, play(env, agents, act, config.seed))


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


def _print(config: EvaluateConfig, evaluation: Evaluation, share: Share | None) -> None:
    console = Console()
    overall = evaluation.overall
    title = Text.assemble(
        (printable(config.what), "bold"),
        f" on {evaluation.scenario.name}: {overall.games} games of at most {config.max_nights} ",
        f"nights, {'greedy' if config.greedy else 'sampled'} play",
    )
    console.print(title, soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    headings = ("agent", "games", "return", "discounted", "team/night", "nights")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "agent" else "right", no_wrap=True)
    for name, m in [*evaluation.each.items(), ("all", overall)]:
        table.add_row(
            name,
            f"{m.games}",
            f"{m.mean_return:,.1f} ±{m.return_interval:,.1f}",
            f"{m.discounted_return:,.1f} ±{m.discounted_interval:,.1f}",
            f"{m.team_reward_per_night:,.1f}",
            f"{m.mean_length:,.1f}",
            style="bold" if name == "all" else "",
        )
    console.print(table)
    if share is not None:
        console.print(
            f"share of the optimum {share.share:.3f} ±{share.interval:.3f}: discounted return from "
            f"random play ({share.random:,.1f}) to the best possible ({share.optimum:,.1f})",
            highlight=False,
            soft_wrap=True,
        )
