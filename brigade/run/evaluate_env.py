"""``brigade evaluate --env``: what a population's agents return in an environment."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brigade import interrupt, seeds
from brigade.games.build import build
from brigade.games.spec import GameSpec
from brigade.games.vector import VectorGame
from brigade.intervals import half_width
from brigade.printable import printable, shortened
from brigade.run.env_players import RANDOM, Act, Rows, choose, load_players
from brigade.run.progress import ProgressLine
from brigade.sim.view import figure

if TYPE_CHECKING:
    from brigade.run.evaluate import EvaluateConfig

MOST_GAMES = 16  # side by side
LONGEST_TITLE = 160


@dataclass(frozen=True)
class Played:
    """Episodes that were played to their end.

    Attributes
    ----------
    agents
        int64 ``[n, A]``: who sat where.
    returns
        float64 ``[n, A]``.
    lengths
        int32 ``[n]``.
    cut
        bool ``[n]``: whether the limit on their length ended them.
    cut_off
        Whether playing was, before all episodes were over.
    """

    agents: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int32]
    cut: NDArray[np.bool_]
    cut_off: bool


def run_evaluate_env(config: EvaluateConfig) -> int:
    """Play, measure and print; return 130 where Ctrl-C cut that off.

    Raises
    ------
    ConfigError, CheckpointError, EnvironmentUnusable
        There is no such checkpoint or environment, or they do not fit together.
    GameFailed
        The environment failed.
    """
    assert config.env is not None
    players = load_players(
        config.what, config.env, config.env_arg, config.seed, greedy=config.greedy
    )
    spec, names = players.spec, players.names
    num_games = min(MOST_GAMES, config.episodes)
    seed = seeds.number(config.seed, seeds.Purpose.GAMES)
    with ProgressLine() as line:
        line.show(f"making {num_games} of {spec.name}")
        max_steps = config.max_steps or players.max_steps
        game = build(spec, num_games, max_turns=max_steps, seed=seed)
        try:
            played = play_episodes(
                game,
                players.sizes,
                players.matchmaker(config.seed).match,
                players.act,
                config.episodes,
                lambda n: line.show(f"{n:,} of {config.episodes:,} episodes ended"),
            )
        finally:
            game.close()
    if config.json:
        print(json.dumps(_content(config, spec, played, names), allow_nan=False))
    else:
        _print(config, spec, played, names)
    return 130 if played.cut_off else 0


def play_episodes(
    game: VectorGame,
    sizes: Sequence[int],
    match: Callable[[], NDArray[np.int64]],
    act: Act,
    episodes: int,
    report: Callable[[int], None] = lambda ended: None,
) -> Played:
    """Play so many episodes, as many in each game as in any other or one more.

    So short episodes do not count for more than long ones.

    Parameters
    ----------
    sizes
        Agents of each role, numbered through them.
    match
        Seats the next game: agent numbers, int64 ``[A]``.
    act
        Called for each role.

    Raises
    ------
    GameFailed
        A game failed.
    KeyboardInterrupt
        Ctrl-C came before an episode had ended.
    """
    count = game.num_games
    left = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    seats = np.stack([match() for _ in range(count)])
    found: list[tuple[Rows, ...]] = []
    done = 0
    game.reset()
    with interrupt.held():
        while left.any() and not interrupt.take():
            step = game.step([chosen for chosen, _ in choose(game, act, sizes, seats)])
            counted = left[step.ended] > 0
            which = step.ended[counted]
            found.append(
                (seats[which], step.returns[counted], step.lengths[counted], step.cut[counted])
            )
            left[which] -= 1
            done += len(which)
            for each in step.ended:
                seats[each] = match()
            report(done)
    if not done:
        raise KeyboardInterrupt
    agents, returns, lengths, cut = (np.concatenate(column) for column in zip(*found, strict=True))
    return Played(agents, returns, lengths, cut, bool(left.any()))


# ---- printing --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """What somebody's seats returned; the interval is half of one of 95%."""

    who: str
    role: str
    episodes: int
    mean_return: float
    interval: float


def _rows(spec: GameSpec, played: Played, names: Sequence[tuple[str, str]]) -> list[_Row]:
    """Measure each agent, then each role; an episode is one observation."""
    rows = [
        _row(name, role, played, played.agents == agent)
        for agent, (name, role) in enumerate(names)
        if (played.agents == agent).any() and names[agent][0] != RANDOM
    ]
    for role in spec.roles:
        seats = np.zeros(played.agents.shape, np.bool_)
        seats[:, list(role.seats)] = True
        rows.append(_row("all", role.name, played, seats))
    return rows


def _row(who: str, role: str, played: Played, chosen: NDArray[np.bool_]) -> _Row:
    playing = chosen.any(1)
    seats = chosen[playing]
    own = np.where(seats, played.returns[playing], 0).sum(1) / seats.sum(1)
    return _Row(who, role, len(own), float(own.mean()), half_width(own))


def _content(
    config: EvaluateConfig, spec: GameSpec, played: Played, names: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Give what ``--json`` prints."""
    rows = _rows(spec, played, names)

    def plain(row: _Row) -> dict[str, Any]:
        interval = None if math.isnan(row.interval) else row.interval
        return {
            "role": row.role,
            "episodes": row.episodes,
            "mean_return": row.mean_return,
            "return_interval": interval,
        }

    return {
        "env": spec.name,
        "episodes": len(played.lengths),
        "interrupted": played.cut_off,
        "mean_length": float(played.lengths.mean()),
        "cut": float(played.cut.mean()),
        "roles": {row.role: plain(row) for row in rows if row.who == "all"},
        "agents": {row.who: plain(row) for row in rows if row.who != "all"},
    }


def _print(
    config: EvaluateConfig, spec: GameSpec, played: Played, names: Sequence[tuple[str, str]]
) -> None:
    console = Console()
    how = "" if config.what == RANDOM else f", {'greedy' if config.greedy else 'sampled'} play"
    lengths = played.lengths.astype(np.float64)
    console.print(
        Text.assemble(
            (shortened(printable(config.what), LONGEST_TITLE), "bold"),
            f" on {printable(spec.name)}: {len(lengths):,} episode{'s' * (len(lengths) != 1)} of "
            f"{lengths.mean():,.1f} {spec.turn}s{how}",
        ),
        soft_wrap=True,
    )
    if played.cut.any():
        console.print(f"{played.cut.mean():.0%} of them were cut", soft_wrap=True)
    several = len(spec.roles) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("agent", overflow="fold")
    if several:
        table.add_column("role", overflow="fold")
    for name in ("episodes", "return"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _rows(spec, played, names):
        known = "" if math.isnan(row.interval) else f" ±{row.interval:,.2f}"
        role = [Text(shortened(printable(row.role)))] if several else []
        cells = (f"{row.episodes:,}", f"{figure(row.mean_return)}{known}")
        table.add_row(row.who, *role, *cells, style="bold" if row.who == "all" else "")
    console.print(table)
    if played.cut_off:
        console.print(
            "cut off: these are the episodes that had ended, among which long ones are too few",
            style="bold",
            soft_wrap=True,
        )
