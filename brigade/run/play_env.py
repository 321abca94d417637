"""``brigade play --env``: an episode of an environment, for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from brigade import interrupt, seeds
from brigade.config import ConfigError
from brigade.env.seeding import check_seed, fresh_seed
from brigade.games.build import build
from brigade.games.pettingzoo.description import close
from brigade.games.pettingzoo.errors import CannotFind
from brigade.games.pettingzoo.finding import find
from brigade.games.vector import Playing
from brigade.play.film import write_gif, write_mp4
from brigade.printable import printable, shortened
from brigade.run.env_players import Players, choose, load_players
from brigade.run.resolve import wherever
from brigade.sim.view import figure

if TYPE_CHECKING:
    from brigade.run.show import PlayConfig

PICTURES = "rgb_array"
WRITERS = {".gif": write_gif, ".mp4": write_mp4}
MOST_SHOWN = 6  # seats in a line
Frame = NDArray[np.uint8]


class _Filmed:
    """An environment of whose states pictures are taken."""

    def __init__(self, env: Any, frames: list[Frame]) -> None:
        self._env = env
        self._frames = frames
        self._episodes = 0

    def reset(self, *args: Any, **kwargs: Any) -> Any:
        found = self._env.reset(*args, **kwargs)
        self._episodes += 1
        self._look()
        return found

    def step(self, actions: Any) -> Any:
        found = self._env.step(actions)
        if actions is not None:  # as the dead act, turn by turn
            self._look()
        return found

    def _look(self) -> None:
        frame = self._env.render() if self._episodes == 1 else None
        if isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 3:
            self._frames.append(frame.astype(np.uint8))  # a copy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


@dataclass(frozen=True)
class _Moment:
    """A step: who acted, how, and what everybody got by it; the frames until then."""

    number: int
    acted: dict[str, Any]
    rewards: NDArray[np.float32]
    num_frames: int


def run_play_env(config: PlayConfig) -> int:
    """Show an episode, or write it to a file.

    Raises
    ------
    ConfigError, CheckpointError, EnvironmentUnusable
        There is no such checkpoint or environment, or it cannot be recorded.
    GameFailed
        The environment failed.
    """
    assert config.env is not None
    target = None if config.record is None else Path(config.record)
    if target is not None and target.suffix not in WRITERS:
        raise ConfigError(f"--record {target}: an environment is recorded as .gif or .mp4")
    who = config.who or config.team
    if who is None:
        raise ConfigError("say who plays: a run or checkpoint, or random")
    seed = fresh_seed() if config.seed is None else check_seed(config.seed)
    players = load_players(who, config.env, config.env_arg, seed, greedy=config.greedy)
    frames: list[Frame] = []
    limit = config.max_steps or players.max_steps
    moments = _moments(players, _with_pictures(config.env, frames), seed, limit, frames)
    console = Console()
    first = (
        f"{shortened(printable(who))} on {printable(players.spec.name)}, seed {seed}, "
        f"{'greedy' if config.greedy else 'sampled'} play"
    )
    console.print(Text(first, style="bold"), soft_wrap=True)
    live = target is None and console.is_terminal and not console.is_dumb_terminal
    returns = np.zeros(players.spec.num_seats)
    count = 0
    if live:
        returns, count = _watch(console, moments, frames, players, config.fps)
    else:
        for moment in moments:
            returns, count = returns + moment.rewards, moment.number
            if target is None:
                console.print(_line(moment), soft_wrap=True, highlight=False)
    if target is not None:
        if not frames:
            raise ConfigError(
                f"--record {target}: {players.spec.name} renders no pictures ({PICTURES})"
            )
        WRITERS[target.suffix](target, _even(frames), config.fps)
        console.print(f"{len(frames):,} pictures in {target}", soft_wrap=True, highlight=False)
    console.print(Text(_summary(players, returns, count)), soft_wrap=True)
    return 0


def _with_pictures(env: str, frames: list[Frame]) -> Callable[..., Any]:
    """Make environments that are filmed, where they can render pictures."""
    text = wherever(env)

    def make(**arguments: Any) -> Any:
        plain = find(text, arguments)()
        modes = (getattr(plain, "metadata", None) or {}).get("render_modes", ())
        if "render_mode" in arguments or PICTURES not in modes:
            return _Filmed(plain, frames) if arguments.get("render_mode") == PICTURES else plain
        try:
            filmed = find(text, {**arguments, "render_mode": PICTURES})()
        except CannotFind:  # it takes no such argument
            return plain
        close(plain)
        return _Filmed(filmed, frames)

    make.__name__ = text  # which errors call it by
    return make


def _moments(
    players: Players,
    make: Callable[..., Any],
    seed: int,
    max_steps: int | None,
    frames: list[Frame],
) -> Iterator[_Moment]:
    """Play one episode, step by step."""
    spec = players.spec
    number = seeds.number(seed, seeds.Purpose.GAMES)
    game = build(spec, 1, max_turns=max_steps, seed=number, playing=Playing(make=make))
    seats = players.matchmaker(seed).match()
    lanes = spec.lanes(1)
    names = _seat_names(players)
    frames.clear()  # of those made to look at
    try:
        game.reset()
        step, count = None, 0
        while step is None or not len(step.ended):
            interrupt.check()
            chosen = choose(game, players.act, players.sizes, seats)
            acted = {
                names[mine[row]]: actions[row]
                for mine, (actions, rows) in zip(lanes, chosen, strict=True)
                for row in rows
            }
            step = game.step([actions for actions, _ in chosen])
            count += 1
            yield _Moment(count, acted, step.rewards.copy(), len(frames))
    finally:
        game.close()


def _seat_names(players: Players) -> list[str]:
    """What the environment calls its agents."""
    names = [""] * players.spec.num_seats
    for role in players.spec.arguments["roles"]:
        for seat, agent in zip(role["seats"], role["agents"], strict=True):
            names[seat] = printable(agent)
    return names


# ---- showing ---------------------------------------------------------------------------------


def _line(moment: _Moment) -> Text:
    """Tell of a step in a line."""
    acted = [f"{who} {_action(action)}" for who, action in moment.acted.items()]
    if len(acted) > MOST_SHOWN:
        acted[MOST_SHOWN:] = [f"and {len(acted) - MOST_SHOWN} more"]
    rewards = [figure(float(reward)) for reward in moment.rewards[:MOST_SHOWN]]
    more = " ..." if len(moment.rewards) > MOST_SHOWN else ""
    line = f"{moment.number:4}  {', '.join(acted) or 'nobody acts'}  "
    return Text.assemble(line, (f"rewards {' '.join(rewards)}{more}", "dim"))


def _action(action: NDArray[Any]) -> str:
    if action.dtype.kind == "f":
        return " ".join(f"{value:.2f}" for value in action)
    return " ".join(map(str, action.tolist()))


def _watch(
    console: Console, moments: Iterator[_Moment], frames: list[Frame], players: Players, fps: float
) -> tuple[NDArray[np.float64], int]:
    """Show an episode in the terminal: pictures in half blocks, or else lines."""
    returns, count, shown = np.zeros(players.spec.num_seats), 0, 0
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for moment in moments:
            returns, count = returns + moment.rewards, moment.number
            if moment.num_frames == 0 or not console.encoding.startswith("utf"):
                live.console.print(_line(moment), soft_wrap=True)
            for frame in frames[shown : moment.num_frames]:
                room = console.height - 4
                live.update(Text("\n").join([*half_blocks(frame, console.width, room)]))
                live.refresh()
                interrupt.sleep(1 / fps)
                shown += 1
    return returns, count


def half_blocks(frame: Frame, width: int, height: int) -> Iterator[Text]:
    """Draw a picture ``[h, w, 3]`` in at most so many columns and lines, two pixels in each."""
    tall, wide = frame.shape[:2]
    scale = min(width / wide, 2 * height / tall, 1.0)
    columns, rows = max(1, int(wide * scale)), max(2, int(tall * scale) // 2 * 2)
    x = (np.arange(columns) * wide // columns).astype(int)
    y = (np.arange(rows) * tall // rows).astype(int)
    small = frame[y][:, x]
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        line = Text()
        for (r, g, b), (s, h, c) in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", style=f"#{r:02x}{g:02x}{b:02x} on #{s:02x}{h:02x}{c:02x}")
        yield line


def _even(frames: list[Frame]) -> Iterator[Frame]:
    """Cut pictures to the first one's size, with even sides, as films want them."""
    tall, wide = (side // 2 * 2 for side in frames[0].shape[:2])
    return (frame[:tall, :wide] for frame in frames if frame.shape >= (tall, wide, 3))


def _summary(players: Players, returns: NDArray[np.float64], count: int) -> str:
    """Say what each role returned."""
    parts = [
        f"{shortened(printable(role.name))} "
        + ", ".join(figure(float(returns[seat])) for seat in role.seats[:MOST_SHOWN])
        + (" ..." if len(role.seats) > MOST_SHOWN else "")
        for role in players.spec.roles
    ]
    return f"{count:,} {players.spec.turn}s; returns: {'; '.join(parts)}"
