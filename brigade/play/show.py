"""Plays or replays one game, in the terminal or into a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from brigade import interrupt
from brigade._core import Scenario
from brigade.agents import Agent, parse_team, team_actions
from brigade.env.game import Game
from brigade.env.render import Snapshot, picture, text
from brigade.env.scenarios import load_scenario
from brigade.env.seeding import check_seed, fresh_seed
from brigade.extras import require
from brigade.play.film import find_ffmpeg, write_gif, write_mp4
from brigade.play.record import GameRecord
from brigade.play.view import view

__all__ = ["play", "play_game", "replay"]

RECORDS = (".gif", ".mp4", ".json")


def play(
    scenario: str | os.PathLike[str] | Scenario = "default",
    team: str | Sequence[Agent] = "hero,hero,liar,random",
    seed: int | None = None,
    record: str | os.PathLike[str] | None = None,
    max_cycles: int = 100,
    fps: float = 2.0,
    console: Console | None = None,
) -> GameRecord:
    """Let a team play one game, for people to watch.

    Parameters
    ----------
    scenario
        A name, a scenario file or a :class:`brigade.Scenario`.
    team
        What :func:`brigade.parse_team` reads, or an agent for each seat, trained ones too.
    seed
        Decides the game and what the agents draw. Without one it is drawn, and said.
    record
        A ``.gif``, ``.mp4`` or ``.json`` to write instead of showing the game. It must not exist.
    max_cycles
        Nights after which the game is cut.
    fps
        Steps shown in a second.
    console
        Where to print.

    Returns
    -------
    GameRecord
        What was played.
    """
    console = console or Console()
    path = _check_target(record)
    _check_fps(fps)
    value = fresh_seed() if seed is None else check_seed(seed)
    settings = load_scenario(scenario)
    agents = parse_team(team, settings) if isinstance(team, str) else list(team)
    names = [agent.name for agent in agents]
    if path is None:
        game_record = _watch(
            console, fps, lambda: _Play(agents, settings, value, max_cycles), names
        )
    else:
        playing = _Play(agents, settings, value, max_cycles)
        snapshots = [Snapshot.of_game(game, names) for game in playing]
        game_record = playing.record()
        _write(path, snapshots, game_record, fps)
        said = f"wrote {str(path)!r}: {_summary(snapshots[-1], value)}"
        console.print(Text(said), soft_wrap=True)
    return game_record


def replay(
    path: str | os.PathLike[str],
    record: str | os.PathLike[str] | None = None,
    fps: float = 2.0,
    console: Console | None = None,
) -> GameRecord:
    """Show a recorded game again, or turn it into a film.

    Parameters
    ----------
    path
        The ``.json`` that :func:`play` wrote.
    record
        A ``.gif`` or ``.mp4`` to write instead of showing the game. It must not exist.
    fps
        Steps shown in a second.
    console
        Where to print.

    Returns
    -------
    GameRecord
        What was replayed.
    """
    console = console or Console()
    target = _check_target(record)
    _check_fps(fps)
    game_record = GameRecord.load(path)
    if target is None:
        return _watch(console, fps, lambda: _Replay(game_record), [])
    snapshots = [Snapshot.of_game(game) for game in game_record.games()]
    _write(target, snapshots, game_record, fps)
    words = _summary(snapshots[-1], game_record.seed)
    console.print(Text(f"wrote {str(target)!r}: {words}"), soft_wrap=True)
    return game_record


def play_game(
    agents: list[Agent], scenario: Scenario, seed: int, max_cycles: int = 1000
) -> GameRecord:
    """Let agents play one game, unseen."""
    playing = _Play(agents, scenario, seed, max_cycles)
    for _ in playing:
        pass
    return playing.record()


class _Play:
    """A game that a team plays, step by step, keeping its actions."""

    def __init__(self, agents: list[Agent], scenario: Scenario, seed: int, max_cycles: int) -> None:
        self._agents = agents
        self._seed = seed
        self._game = Game(scenario, len(agents), max_cycles)
        self._rng = np.random.default_rng([seed, 1])  # the game's own draws come from [seed]
        self._actions: list[NDArray[np.int32]] = []
        self._promises: list[NDArray[np.int32]] = []

    def __iter__(self) -> Iterator[Game]:
        game = self._game
        game.reset(self._seed)
        yield game
        while game.ending is None:
            actions = team_actions(self._agents, game.observations, self._rng)
            if game.phase:
                self._promises.append(actions[:, 2].copy())
            else:
                self._actions.append(actions)
            game.step(actions[None])
            yield game

    def record(self) -> GameRecord:
        """Give the nights that were played to their end."""
        nights = len(self._actions)
        promises = np.stack(self._promises[:nights]) if self._game.two_phase else None
        return GameRecord(self._game.scenario, self._seed, np.stack(self._actions), promises)


class _Replay:
    """A recorded game, step by step."""

    def __init__(self, game_record: GameRecord) -> None:
        self._record = game_record

    def __iter__(self) -> Iterator[Game]:
        return self._record.games()

    def record(self) -> GameRecord:
        """Give the record."""
        return self._record


def _watch(
    console: Console,
    fps: float,
    start: Callable[[], _Play | _Replay],
    names: list[str],
) -> GameRecord:
    """Show a game step by step; where there is no terminal, only its end."""
    playing = start()
    snapshot: Snapshot | None = None
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for game in playing:
                snapshot = Snapshot.of_game(game, names)
                live.update(view(snapshot, console.width), refresh=True)
                if game.ending is None:
                    interrupt.sleep(1 / fps)
    else:
        for game in playing:
            snapshot = Snapshot.of_game(game, names)
        if snapshot is not None:
            console.print(Text(text(snapshot)), end="", soft_wrap=True)
    game_record = playing.record()
    if snapshot is not None:
        summary = _summary(snapshot, game_record.seed)
        if console.is_terminal and len(summary) > console.width:
            summary = summary.replace("; ", "\n")
        console.print(Text(summary), soft_wrap=not console.is_terminal)
    return game_record


def _summary(snapshot: Snapshot, seed: int) -> str:
    """Say how a game went, and how to see it again."""
    returns = snapshot.returns or ()
    total = ", ".join(f"{value:+.1f}" for value in returns[:12]) + (
        ", …" if len(returns) > 12 else ""
    )
    how = "cut" if snapshot.ending == "truncated" else "ended"
    nights = "1 night" if snapshot.night == 1 else f"{snapshot.night} nights"
    return f"{snapshot.scenario}, {how} after {nights}, returns {total}; seed {seed}"


def _check_target(record: str | os.PathLike[str] | None) -> Path | None:
    """Give the file to write, before anything is played."""
    if record is None:
        return None
    path = Path(record)
    if path.suffix.lower() not in RECORDS:
        raise ValueError(f"a game is recorded as {', '.join(RECORDS)}, not as {str(path)!r}")
    if path.exists():
        raise ValueError(f"{str(path)!r} exists: choose another name or remove it")
    if not path.parent.is_dir():
        raise ValueError(f"the folder of {str(path)!r} does not exist")
    if path.suffix.lower() != ".json":
        require(f"recording {str(path)!r}", "render")
    if path.suffix.lower() == ".mp4":
        find_ffmpeg()
    return path


def _check_fps(fps: float) -> None:
    if not 0.001 <= fps <= 1000:
        raise ValueError(f"fps must be from 0.001 to 1000, not {fps!r}")


def _write(path: Path, snapshots: list[Snapshot], game_record: GameRecord, fps: float) -> None:
    """Write the file that its name asks for."""
    try:
        kind = path.suffix.lower()
        if kind == ".json":
            path.write_text(game_record.to_json(), encoding="utf-8")
        else:
            frames = (picture(snapshot) for snapshot in snapshots)
            (write_gif if kind == ".gif" else write_mp4)(path, frames, fps)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
