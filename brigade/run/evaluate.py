"""``brigade evaluate``: how good a population is, or a team of scripted agents."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brigade import seeds
from brigade._core import Scenario
from brigade.config import ConfigError, PositiveInt
from brigade.env.batched import BatchedEnv
from brigade.optimum import CountGame, random_play, solve_game
from brigade.optimum import evaluate as exact_value
from brigade.printable import printable, shortened
from brigade.run.agents import Ensemble
from brigade.run.cores import available_cores
from brigade.run.env_options import EnvOptions, check_env_options
from brigade.run.measure import DISCOUNT, Games, Measure, measure, play
from brigade.run.progress import ProgressLine
from brigade.run.team import load_team

SCRIPTED_SEATS = 4
MOST_ROWS, SHOWN_AT_EACH_END = 12, 5  # of the table
GAP = 2  # between its columns
LONGEST_TITLE = 160  # letters of a team's name above it


class EvaluateConfig(EnvOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to measure, and how closely."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("what",)
    FOR_SCENARIOS: ClassVar[dict[str, str]] = {
        "scenario": "give one of them",
        "num_agents_per_game": "it says itself how many agents it has",
        "max_nights": "--max-steps cuts its episodes",
    }

    what: Annotated[
        str,
        Meta(
            description="a checkpoint or run, or an agent for each seat by commas: RUN:3, RUN:0-3, "
            "an archetype, random, spread"
        ),
    ]
    episodes: Annotated[int, Meta(ge=1, description="games to play")] = 200
    seed: Annotated[int, Meta(ge=0, description="decides the games")] = 1
    scenario: Annotated[
        str | None,
        Meta(description="another scenario than the checkpoint's; default for scripted agents"),
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
    names: list[str]  # of the players, by their numbers in ``games``
    games: Games
    remarks: list[str]

    @property
    def max_nights(self) -> int:
        """The longest game's nights: after as many, those that were going on were cut off."""
        return int(self.games.lengths.max())

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

    def normalised_score(self, max_nights: int) -> NormalisedScore | None:
        """Where the discounted return lies between random play and the optimum, if that is known.

        Both are exact, for games cut after ``max_nights``.
        """
        try:
            game = CountGame.from_scenario(self.scenario, self.games.agents.shape[1])
            solved = solve_game(game, DISCOUNT, "discounted", max_nights)
        except ValueError:  # a game that cannot be solved exactly
            return None
        lowest = exact_value(game, random_play(game), DISCOUNT, max_nights).discounted_return
        best = solved.worth.discounted_return
        reached = self.overall
        scale = best - lowest
        if scale <= 0:
            return None
        return NormalisedScore(
            (reached.discounted_return - lowest) / scale,
            reached.discounted_interval / scale,
            lowest,
            best,
        )


@dataclass(frozen=True)
class NormalisedScore:
    """``score = (return - random) / (optimum - random)``, discounted, with a 95% interval."""

    score: float
    interval: float
    random: float
    optimum: float


def run_evaluate(config: EvaluateConfig) -> int:
    """Play, measure and print; return 130 where Ctrl-C cut that off.

    Raises
    ------
    ConfigError, CheckpointError
        There is no such checkpoint, team or scenario, or they do not fit together.
    GameFailed
        The environment failed.
    KeyboardInterrupt
        Ctrl-C came before there was anything to print.
    """
    torch.set_num_threads(config.threads or min(2, available_cores()))
    check_env_options(config)
    if config.env is not None:
        from brigade.run.evaluate_env import run_evaluate_env

        return run_evaluate_env(config)
    with ProgressLine() as line:
        evaluation = evaluate(config, line.show)
        score, interrupted = None, evaluation.games.cut_off
        if not interrupted:
            line.show(f"computing the optimum of {evaluation.scenario.name}")
            try:
                score = evaluation.normalised_score(config.max_nights)
            except KeyboardInterrupt:
                interrupted = True
    if config.json:
        print(json.dumps(_content(config, evaluation, score, interrupted), allow_nan=False))
    else:
        _print(config, evaluation, score, interrupted)
    return 130 if interrupted else 0


def evaluate(
    config: EvaluateConfig, report: Callable[[str], None] = lambda words: None
) -> Evaluation:
    """Play the games that the config asks for, and ``report`` in words how far they are.

    Raises
    ------
    ConfigError, CheckpointError, KeyboardInterrupt
        See :func:`run_evaluate`.
    """
    team = load_team(
        config.what, config.scenario, config.num_agents_per_game, scripted_seats=SCRIPTED_SEATS
    )
    try:
        env = BatchedEnv(
            config.episodes, team.scenario, team.num_seats, max_cycles=config.max_nights
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    players = team.seated(config.episodes, config.seed)
    ensemble = Ensemble(team, greedy=config.greedy)
    generator = seeds.generator(config.seed, seeds.Purpose.ACTIONS)

    def act(observations: NDArray[np.float32], live: NDArray[np.int64]) -> NDArray[np.int32]:
        rows = observations[live].reshape(len(live) * team.num_seats, -1)
        return ensemble.act(rows, players[live].ravel(), generator).reshape(*players[live].shape, 3)

    def tell(night: int, ended: int) -> None:
        report(
            f"{ended:,} of {config.episodes:,} games ended, night {night:,} of at most "
            f"{config.max_nights:,}"
        )

    games = play(env, players, act, config.seed, tell)
    return Evaluation(team.scenario, team.names, games, team.remarks)


# ---- printing ---------------------------------------------------------------------------------


def _content(
    config: EvaluateConfig, evaluation: Evaluation, score: NormalisedScore | None, interrupted: bool
) -> dict[str, Any]:
    """Give what ``--json`` prints."""
    games = evaluation.games
    return {
        "scenario": evaluation.scenario.name,
        "num_agents_per_game": games.agents.shape[1],
        "games": len(games.ended),
        "games_ended": int(games.ended.sum()),
        "max_nights": evaluation.max_nights if games.cut_off else config.max_nights,
        "interrupted": interrupted,
        "overall": _plain(evaluation.overall),
        "agents": {name: _plain(figures) for name, figures in evaluation.each.items()},
        "normalised_score": None if score is None else _plain(score),
    }


def _plain(measured: Measure | NormalisedScore) -> dict[str, Any]:
    """Plain values for JSON, which has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(measured).items()
    }


def _print(
    config: EvaluateConfig, evaluation: Evaluation, score: NormalisedScore | None, interrupted: bool
) -> None:
    console = Console()
    games = evaluation.games
    nights = evaluation.max_nights if games.cut_off else config.max_nights
    counted = "1 game" if len(games.ended) == 1 else f"{len(games.ended)} games"
    title = Text.assemble(
        (shortened(printable(config.what), LONGEST_TITLE), "bold"),
        f" on {evaluation.scenario.name}: {counted} of at most {nights} nights, "
        f"{'greedy' if config.greedy else 'sampled'} play",
    )
    if len(evaluation.each) > MOST_ROWS:
        title.append("; the best and the worst agents by discounted return")
    console.print(title, soft_wrap=True)
    for remark in evaluation.remarks:
        console.print(Text(printable(remark)), soft_wrap=True)
    rows = _rows(evaluation)
    for table in _tables(rows, console.width):
        console.print(table)
    if score is not None:
        known = "" if math.isnan(score.interval) else f" ±{score.interval:.3f}"
        console.print(
            f"normalised score {score.score:.3f}{known}: discounted return from "
            f"random play ({score.random:,.1f}) to the best possible ({score.optimum:,.1f})",
            highlight=False,
            soft_wrap=True,
        )
    if games.cut_off:
        console.print(
            f"cut off in night {nights} of at most {config.max_nights}: {games.ended.sum()} of the "
            f"{len(games.ended)} games had ended, and the figures are partial, those of games that "
            f"are cut after {nights} nights",
            style="bold",
            highlight=False,
            soft_wrap=True,
        )
    elif interrupted:
        console.print(
            "cut off before the optimum was known; the games are complete",
            style="bold",
            soft_wrap=True,
        )


def _rows(evaluation: Evaluation) -> list[tuple[str, Measure]]:
    """Give the table's rows: each agent and all; of many the best, the worst and the rest."""
    each = list(evaluation.each.items())
    everybody = ("all", evaluation.overall)
    if len(each) <= MOST_ROWS:
        return [*each, everybody]
    each.sort(key=lambda row: row[1].discounted_return, reverse=True)
    rest = {name for name, _ in each[SHOWN_AT_EACH_END:-SHOWN_AT_EACH_END]}
    numbers = [number for number, name in enumerate(evaluation.names) if name in rest]
    others = measure(evaluation.games, np.isin(evaluation.games.agents, numbers))
    return [
        *each[:SHOWN_AT_EACH_END],
        (f"{len(rest)} between", others),
        *each[-SHOWN_AT_EACH_END:],
        everybody,
    ]


def _tables(rows: list[tuple[str, Measure]], width: int) -> list[Table]:
    """Lay the figures out in one table, or in several where they do not fit beside each other."""
    columns = {
        "games": [f"{m.games:,}" for _, m in rows],
        "return": [_figure(m.mean_return, m.return_interval) for _, m in rows],
        "discounted": [_figure(m.discounted_return, m.discounted_interval) for _, m in rows],
        "team/night": [_figure(m.team_reward_per_night, m.team_interval) for _, m in rows],
        "nights": [_figure(m.mean_length, m.length_interval) for _, m in rows],
    }
    names = [shortened(printable(name)) for name, _ in rows]
    sizes = {name: max(map(len, (name, *cells))) for name, cells in columns.items()}
    first = max(map(len, ("agent", *names)))
    groups: list[list[str]] = [[]]
    for name, size in sizes.items():
        taken = first + sum(GAP + sizes[other] for other in groups[-1])
        if groups[-1] and taken + GAP + size > width:
            groups.append([])
        groups[-1].append(name)
    tables = []
    for group in groups:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        table.add_column("agent", overflow="fold")
        for name in group:
            table.add_column(name, justify="right", no_wrap=True)
        for index, who in enumerate(names):
            cells = [columns[name][index] for name in group]
            table.add_row(Text(who), *cells, style="bold" if who == "all" else "")
        tables.append(table)
    return tables


def _figure(value: float, interval: float) -> str:
    """Write a figure with its 95% interval, as far as that is known, to what is meant by it."""
    digits = 0 if interval >= 10 else 1
    known = "" if math.isnan(interval) else f" ±{interval:,.{digits}f}"
    return f"{value:,.{digits}f}{known}"
