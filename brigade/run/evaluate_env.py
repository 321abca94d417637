"""``brigade evaluate --env``: what a population's agents return in an environment."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brigade import interrupt, seeds
from brigade.config import ConfigError
from brigade.games.build import build
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.vector_game import spec_of
from brigade.games.spec import GameSpec
from brigade.games.vector import ActionMasks, Pictures, Turns, VectorGame
from brigade.intervals import half_width
from brigade.policy.actor import Actor
from brigade.policy.build import fits
from brigade.printable import printable, shortened
from brigade.run.process import without_windows
from brigade.run.progress import ProgressLine
from brigade.run.resolve import wherever
from brigade.run.team import parse_source
from brigade.sim.matchmaking import Matchmaker
from brigade.sim.view import figure
from brigade.store.checkpoint import Checkpoint

if TYPE_CHECKING:
    from brigade.run.evaluate import EvaluateConfig

RANDOM = "random"
MOST_GAMES = 16  # side by side
LONGEST_TITLE = 160
Rows = NDArray[Any]


class Act(Protocol):
    """How the lanes of a role choose actions ``[m, C]``."""

    def __call__(
        self,
        role: int,
        agents: NDArray[np.int64],
        observations: Rows,
        pictures: Rows | None,
        mask: Rows | None,
    ) -> Rows:
        """Act for ``m`` lanes; ``agents`` are numbered within the role."""


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
    without_windows()
    saved, chosen = _source(config.what)
    settings = saved.config if saved is not None else None
    arguments = config.env_arg or (settings.env_arg if settings else {})
    roles = settings.roles if settings else {}
    spec, _ = spec_of(
        find(wherever(config.env), arguments),
        roles,
        fresh=settings.env_fresh if settings else False,
        reward_weights=settings.reward_weights if settings else (),
        look=Look(settings.picture_size, settings.env_grey) if settings else None,
    )
    if saved is None:
        sizes = [1] * len(spec.roles)
        act = _random_act(spec, config.seed)
    else:
        _check_fit(config.what, saved, spec)
        sizes = [sum(agent in agents for agent in chosen) for _, agents in saved.population]
        if 0 in sizes:
            role = spec.roles[sizes.index(0)].name
            raise ConfigError(f"{config.what}: it names no agent of role {role}")
        act = _trained_act(saved, chosen, config)
    num_games = min(MOST_GAMES, config.episodes)
    seed = seeds.number(config.seed, seeds.Purpose.GAMES)
    max_steps = config.max_steps or (settings.max_steps if settings else None)
    matchmaker = Matchmaker(
        sizes,
        [role.seats for role in spec.roles],
        "round_robin",
        seeds.generator(config.seed, seeds.Purpose.MATCHMAKING),
        self_play=None,
    )
    with ProgressLine() as line:
        line.show(f"making {num_games} of {spec.name}")
        game = build(spec, num_games, max_turns=max_steps, seed=seed)
        try:
            played = play_episodes(
                game,
                sizes,
                matchmaker.match,
                act,
                config.episodes,
                lambda n: line.show(f"{n:,} of {config.episodes:,} episodes ended"),
            )
        finally:
            game.close()
    names = _names(spec, sizes, chosen)
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
    spec, count = game.spec, game.num_games
    left = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    lanes = spec.lanes(count)
    firsts = np.cumsum([0, *sizes[:-1]])
    seats = np.stack([match() for _ in range(count)])
    found: list[tuple[Rows, ...]] = []
    done = 0
    game.reset()
    with interrupt.held():
        while left.any() and not interrupt.take():
            active = game.active() if isinstance(game, Turns) else np.ones(seats.size, np.bool_)
            masks = game.action_masks() if isinstance(game, ActionMasks) else None
            actions = []
            for role, mine in enumerate(lanes):
                rows = np.flatnonzero(active[mine])
                own = seats.ravel()[mine[rows]] - firsts[role]
                mask = None
                if masks is not None and spec.roles[role].masked:
                    mask = masks[role][rows]
                pictures = None
                if isinstance(game, Pictures) and spec.roles[role].pictures:
                    pictures = game.pictures[role][rows]
                chosen = act(role, own, game.observations[role][rows], pictures, mask)
                whole = np.zeros((len(mine), chosen.shape[1]), chosen.dtype)
                whole[rows] = chosen
                actions.append(whole)
            step = game.step(actions)
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


# ---- who plays -------------------------------------------------------------------------------


def _source(what: str) -> tuple[Checkpoint | None, list[int]]:
    """Load whom to measure, and which of them; None for random play."""
    if what == RANDOM:
        return None, []
    source = parse_source(what)
    saved = source.load()
    return saved, sorted(set(source.numbers(saved)))


def _check_fit(what: str, saved: Checkpoint, spec: GameSpec) -> None:
    networks = saved.population.networks
    if len(networks) != len(spec.roles) or not all(map(fits, networks, spec.roles)):
        raise ConfigError(
            f"{what} was trained on {saved.game.name}, whose agents see or do something else than "
            f"those of {spec.name}"
        )


def _trained_act(saved: Checkpoint, chosen: Sequence[int], config: EvaluateConfig) -> Act:
    actors = []
    for network, agents in saved.population:
        rows = [saved.agents[agent].parameters for agent in chosen if agent in agents]
        actors.append(Actor(network, torch.from_numpy(np.stack(rows))))
    generator = seeds.generator(config.seed, seeds.Purpose.ACTIONS)

    def act(
        role: int,
        agents: NDArray[np.int64],
        observations: Rows,
        pictures: Rows | None,
        mask: Rows | None,
    ) -> Rows:
        actor = actors[role]
        actor.seat(agents)
        if config.greedy:
            return actor.act_greedily(observations, mask, pictures)
        return actor.for_game(actor.act(observations, generator, mask, pictures)[0])

    return act


def _random_act(spec: GameSpec, seed: int) -> Act:
    """Choose among what is open, each as likely as any other; in a range, anywhere."""
    generator = seeds.generator(seed, seeds.Purpose.ACTIONS)

    def act(
        role: int,
        agents: NDArray[np.int64],
        observations: Rows,
        pictures: Rows | None,
        mask: Rows | None,
    ) -> Rows:
        entries = spec.roles[role].num_continuous
        if entries:
            return generator.uniform(-1, 1, (len(agents), entries)).astype(np.float32)
        nvec = spec.roles[role].action_nvec
        chances = generator.random((len(agents), sum(nvec)))
        if mask is not None:
            chances[~mask] = -1.0
        parts = np.split(chances, np.cumsum(nvec)[:-1], axis=1)
        return np.stack([part.argmax(1) for part in parts], 1).astype(np.int32)

    return act


# ---- printing --------------------------------------------------------------------------------


def _names(spec: GameSpec, sizes: Sequence[int], chosen: Sequence[int]) -> list[tuple[str, str]]:
    """What agents are called, and their roles, in the order of their numbers here."""
    roles = [role.name for role, size in zip(spec.roles, sizes, strict=True) for _ in range(size)]
    names = [str(agent) for agent in chosen] if chosen else [RANDOM] * len(roles)
    return list(zip(names, roles, strict=True))


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
