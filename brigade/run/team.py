"""Who plays, as people write it: scripted and trained agents in any mix.

    team    = seat {"," seat}, one for each seat, or a source alone: its population, of which
              every game's seats are drawn as in training
    seat    = an archetype, with "archetype:" before it or without, "spread", "random", or
              source ":" numbers
    numbers = a number or a range, and more of them after commas: 3, 0-3, 0-1,3
    source  = a checkpoint, a run's folder or a run's name

Where a source is called as a scripted agent is, the name means the scripted one. Imports no torch,
unless there is a source to be loaded.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brigade import seeds
from brigade._core import ARCHETYPES, Scenario, num_features
from brigade.agent_numbers import parse_numbers
from brigade.agents import SCRIPTED
from brigade.config import DEFAULT_CHECKPOINT_DIR, ConfigError
from brigade.env.scenarios import load_scenario
from brigade.extras import require
from brigade.games.bucket_brigade import describe, scenario_of
from brigade.nearest import nearest
from brigade.sim.matchmaking import Matchmaker

if TYPE_CHECKING:
    from brigade.store.checkpoint import Checkpoint

_PREFIX = "archetype:"
_NUMBERS = r"[\d,\- ]+"


@dataclass(frozen=True)
class Source:
    """A checkpoint or run, and which of its agents are meant.

    Attributes
    ----------
    text
        As it was written.
    path
        The checkpoint, or the run's folder or name.
    agents
        Their numbers, in the order that they were written in; None for all.
    """

    text: str
    path: str
    agents: tuple[int, ...] | None = None

    def load(self, place: str = DEFAULT_CHECKPOINT_DIR) -> Checkpoint:
        """Load all of the checkpoint.

        Raises
        ------
        CheckpointError
            There is none.
        MissingExtra
            The extra ``train`` is not installed.
        """
        require(f"loading {self.path}", "train")
        from brigade.store import checkpoint
        from brigade.store.folder import find_checkpoint

        return checkpoint.load(find_checkpoint(self.path, place))

    def numbers(self, saved: Checkpoint) -> Sequence[int]:
        """Give the numbers of those agents of the loaded checkpoint that are meant.

        Raises
        ------
        ConfigError
            It does not have them all.
        """
        if self.agents is None:
            return range(len(saved.agents))
        if max(self.agents) >= len(saved.agents):
            raise ConfigError(f"{self.text}: it has agents 0-{len(saved.agents) - 1}")
        return self.agents


def parse_source(text: str, place: str = DEFAULT_CHECKPOINT_DIR) -> Source:
    """Read ``PATH`` or ``PATH:0-3,7``; runs that are given by name lie in ``place``.

    Raises
    ------
    ConfigError
        What comes after a path and a colon are no agent numbers.
    """
    path, _, numbers = text.rpartition(":")
    if not path or _exists(text, place):
        return Source(text, text)
    if not _exists(path, place) and not re.fullmatch(_NUMBERS, numbers):
        return Source(text, text)
    try:
        return Source(text, path, parse_numbers(numbers))
    except ValueError:
        raise ConfigError(f"{text}: {numbers!r} is not like 0-3,7") from None


def parse_team(text: str, place: str = DEFAULT_CHECKPOINT_DIR) -> list[str | Source]:
    """Read a team: names of scripted agents, and sources; or one source without numbers.

    Raises
    ------
    ConfigError
        A part is none of these, or a source beside other agents lacks numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if all(map(_is_scripted, words)):
        return [word.removeprefix(_PREFIX) for word in words]
    if _is_source(text, place):  # a comma in its name, or in its numbers, divides no seats
        return [parse_source(text, place)]
    seats: list[str | Source] = []
    for word in words:
        last = seats[-1] if seats else None
        if _is_scripted(word):
            seats.append(word.removeprefix(_PREFIX))
        elif isinstance(last, Source) and re.fullmatch(_NUMBERS, word):
            seats[-1] = parse_source(f"{last.text},{word}", place)
        else:
            seats.append(_seated(word, words, place))
    return seats


def _is_scripted(word: str) -> bool:
    return word in SCRIPTED or word.removeprefix(_PREFIX) in ARCHETYPES


def _is_source(text: str, place: str) -> bool:
    """Tell whether all of the text is one source, with numbers or without."""
    path, _, numbers = text.rpartition(":")
    return _exists(text, place) or (
        _exists(path, place) and re.fullmatch(_NUMBERS, numbers) is not None
    )


def _exists(path: str, place: str) -> bool:
    try:
        return path != "" and (Path(path).exists() or (Path(place) / path).is_dir())
    except OSError:  # too long a name
        return False


def _seated(word: str, words: Sequence[str], place: str) -> Source:
    """Read one source of a team of these words."""
    if not word:
        given = ",".join(words)
        raise ConfigError(f"a team is one agent for each seat, as in hero,RUN:0-2, not {given!r}")
    if word.startswith(_PREFIX):
        raise ConfigError(
            f"{word.removeprefix(_PREFIX)!r} is not an archetype; known: {', '.join(ARCHETYPES)}"
        )
    source = parse_source(word, place)
    if not _exists(source.path, place):
        raise ConfigError(_unknown(source.path, words, place))
    if source.agents is None and len(words) > 1:
        raise ConfigError(f"{word}: say which of its agents are meant, as in {word}:0")
    return source


def _unknown(word: str, words: Sequence[str], place: str) -> str:
    """Say of a word that names nothing what might have been meant."""
    for first in range(len(words)):
        for last in range(first + 2, min(first + 4, len(words)) + 1):
            joined = ",".join(words[first:last])
            if _is_source(joined, place) and "," in parse_source(joined, place).path:
                return (
                    f"{joined}: a comma divides seats, so beside others a path has none; "
                    "give another, such as a link's"
                )
    near = nearest(word, SCRIPTED)
    hint = f"; did you mean {near}?" if near else ""
    return f"{word}: no such file, no run in {place}, and no one of {', '.join(SCRIPTED)}{hint}"


# ---- loaded -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trained:
    """One agent of a checkpoint: what to call it, and where it is."""

    name: str
    saved: Checkpoint
    number: int


@dataclass(frozen=True, eq=False)
class Team:
    """Who plays, and which game.

    Attributes
    ----------
    scenario, num_seats
        The game.
    players
        Those who play, each once: names of scripted agents, and trained ones.
    seats
        Who sits where, as indices of ``players``; None where every game's seats are drawn.
    remarks
        What a person should know of the trained ones, in sentences.
    """

    scenario: Scenario
    num_seats: int
    players: list[str | Trained]
    seats: list[int] | None
    remarks: list[str]

    @property
    def names(self) -> list[str]:
        """What to call each of the players in a table: those of a population by their numbers."""
        if self.seats is None:
            return [str(number) for number in range(len(self.players))]
        return [player if isinstance(player, str) else player.name for player in self.players]

    def seated(self, num_games: int, seed: int) -> NDArray[np.int64]:
        """Say who sits where in each of E games: indices of ``players``, int64 ``[E, A]``."""
        if self.seats is not None:
            return np.tile(np.array(self.seats, np.int64), (num_games, 1))
        assert isinstance(self.players[0], Trained)
        kind = self.players[0].saved.config.matchmaking
        generator = seeds.generator(seed, seeds.Purpose.MATCHMAKING)
        matchmaker = Matchmaker([len(self.players)], [range(self.num_seats)], kind, generator)
        return np.stack([matchmaker.match() for _ in range(num_games)])


def load_team(
    text: str,
    scenario: str | None = None,
    num_seats: int | None = None,
    scripted_seats: int | None = None,
) -> Team:
    """Load who plays, and see that they fit each other and the game.

    Parameters
    ----------
    text
        A team as :func:`parse_team` reads it.
    scenario
        A name or file; without one the trained agents', or ``default``.
    num_seats
        Seats of a game; without, as many as the trained agents were trained with.
    scripted_seats
        The same where none is trained: names come again until the seats are full. Without, there
        is a seat for each name.

    Raises
    ------
    ConfigError, CheckpointError
        There is no such agent, checkpoint or scenario, or they do not fit together.
    """
    parts = parse_team(text)
    sources = [part for part in parts if isinstance(part, Source)]
    if not sources:
        return _scripted(text, parts, scenario or "default", num_seats or scripted_seats)
    loaded = {path: Source(path, path).load() for path in dict.fromkeys(s.path for s in sources)}
    for path, saved in loaded.items():
        if saved.game.code is not None:
            raise ConfigError(
                f"{path} was trained on {saved.game.name}, which is no scenario but code that "
                f"would be run: add --env {shlex.quote(saved.game.code)} where you trust it"
            )
    seats = num_seats or loaded[sources[0].path].config.num_agents_per_game
    game = _game(loaded, scenario, seats)
    titles = _titles(list(loaded))
    lineup: list[str | tuple[str, int]] = []
    for part in parts:
        if isinstance(part, str):
            lineup.append(part)
        else:
            lineup += [(part.path, number) for number in part.numbers(loaded[part.path])]
    is_population = sources[0].agents is None
    if not is_population and len(lineup) != seats:
        raise ConfigError(
            f"{text}: {len(lineup)} agent{'s' * (len(lineup) != 1)} for games of {seats} seats; "
            "name one for each seat"
        )
    for path, saved in loaded.items():
        check_shape(path, saved, game, seats)
    each = list(dict.fromkeys(lineup))
    players = [
        player
        if isinstance(player, str)
        else Trained(f"{titles[player[0]]}:{player[1]}", loaded[player[0]], player[1])
        for player in each
    ]
    remarks = [
        f"{titles[path]} was trained on {saved.game.name}"
        + ("" if saved.game.name != game.name else " with other parameters")
        for path, saved in loaded.items()
        if scenario_of(saved.game) != game
    ]
    order = None if is_population else [each.index(player) for player in lineup]
    return Team(game, seats, players, order, remarks)


def _scripted(text: str, parts: Sequence[str | Source], scenario: str, seats: int | None) -> Team:
    """Make a team of scripted agents, whose names come again until the seats are full."""
    names = [part for part in parts if isinstance(part, str)]
    seats = seats or len(names)
    if seats % len(names):
        raise ConfigError(f"{text}: {len(names)} names do not divide {seats} seats")
    players = list(dict.fromkeys(names))
    order = [players.index(names[seat % len(names)]) for seat in range(seats)]
    return Team(load_for(scenario, seats), seats, [*players], order, [])


def _game(loaded: dict[str, Checkpoint], scenario: str | None, seats: int) -> Scenario:
    """Give the scenario that is asked for, or that all were trained on."""
    if scenario is not None:
        return load_for(scenario, seats)
    (path, first), *others = loaded.items()
    for other, saved in others:
        if scenario_of(saved.game) != scenario_of(first.game):
            raise ConfigError(
                f"{path} was trained on {first.game.name} and {other} on "
                f"{saved.game.name}: say with --scenario which is to be played"
            )
    return scenario_of(first.game)


def load_for(name: str, seats: int) -> Scenario:
    """Load a scenario for games of so many seats.

    Raises
    ------
    ConfigError
        There is none of that name, it is wrong, or it does not fit them.
    """
    try:
        scenario = load_scenario(name)
        num_features(scenario, seats)
    except (ValueError, OSError) as error:
        raise ConfigError(f"--scenario {name}: {error}") from None
    return scenario


def check_shape(path: str, saved: Checkpoint, scenario: Scenario, seats: int) -> None:
    """Check that agents are for this game: that their networks see and do what it has.

    Raises
    ------
    ConfigError
        They are not; ``path`` is what it calls them.
    """
    theirs = saved.network
    role = describe(scenario, seats).role
    if (role.num_features, role.action_nvec) != (theirs.num_features, theirs.action_nvec):
        raise ConfigError(
            f"{path} was trained with {scenario_of(saved.game).num_houses} houses and "
            f"{saved.config.num_agents_per_game} seats; {scenario.name} has "
            f"{scenario.num_houses} and {seats}"
        )


def _titles(paths: Sequence[str]) -> dict[str, str]:
    """Call each source by its run or file, or where two are alike by its whole path."""
    short = {path: _title(Path(path)) for path in paths}
    count = Counter(short.values())
    return {path: title if count[title] == 1 else path for path, title in short.items()}


def _title(path: Path) -> str:
    if path.suffix != ".pt":
        return path.absolute().name
    return path.absolute().parent.name if path.stem == "final_checkpoint" else path.stem
