"""A recorded game: scenario, seed and actions, from which everything else follows.

A record is a JSON file. It may come from anybody, so reading it checks everything before a game is
played, and a fault is a ValueError that names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade._core import Scenario
from brigade.env.game import Game
from brigade.env.seeding import check_seed

__all__ = ["GameRecord"]

FORMAT, VERSION = "brigade-game", 1
_KEYS = {"format", "version", "scenario", "seed", "actions"}
_MAX_BYTES = 64 << 20
_MAX_NIGHTS = 1_000_000


@dataclass(frozen=True, eq=False)
class GameRecord:
    """One game of T nights and A seats.

    Attributes
    ----------
    scenario
        What was played.
    seed
        Where the game's draws came from.
    actions
        int32 ``[T, A, 3]``, as in :mod:`brigade.env.actions`.
    promises
        int32 ``[T, A]``: the round-1 signals of a two-phase game, else None.
    """

    scenario: Scenario
    seed: int
    actions: NDArray[np.int32]
    promises: NDArray[np.int32] | None = None

    @property
    def num_nights(self) -> int:
        """T."""
        return len(self.actions)

    @property
    def num_agents(self) -> int:
        """A."""
        return int(self.actions.shape[1])

    def to_json(self) -> str:
        """Write the record; ``actions`` has one line for each night."""
        nights = (
            [
                {"signals": promises.tolist(), "actions": actions.tolist()}
                for promises, actions in zip(self.promises, self.actions, strict=True)
            ]
            if self.promises is not None
            else self.actions.tolist()
        )
        head = {
            "format": FORMAT,
            "version": VERSION,
            "scenario": {"name": self.scenario.name, **self.scenario.to_dict()},
            "seed": self.seed,
        }
        lines = ",\n  ".join(json.dumps(night, separators=(",", ":")) for night in nights)
        return json.dumps(head, indent=1)[:-2] + f',\n "actions": [\n  {lines}\n ]\n}}\n'

    @staticmethod
    def from_json(data: str | bytes) -> GameRecord:
        """Read a record that anybody may have written."""
        try:
            record = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not a recorded game: no JSON ({error})") from None
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"not a recorded game: its format is not {FORMAT!r}")
        if record.get("version") != VERSION:
            raise ValueError(f"a recorded game must have version {VERSION}, not another")
        if set(record) != _KEYS:
            odd = sorted(set(record) ^ _KEYS)[0]
            fault = "has no" if odd in _KEYS else "has an unknown"
            raise ValueError(f"a recorded game {fault} {odd!r:.40}")
        scenario = _read_scenario(record["scenario"])
        seed = check_seed(record["seed"])
        nights = record["actions"]
        if not isinstance(nights, list) or not 1 <= len(nights) <= _MAX_NIGHTS:
            raise ValueError(f"a recorded game has 1 to {_MAX_NIGHTS} nights in 'actions'")
        promises = None
        if scenario.commitment_mode == "two_phase":
            if not all(
                isinstance(night, dict) and set(night) == {"signals", "actions"} for night in nights
            ):
                raise ValueError("each night of a two-phase game has 'signals' and 'actions'")
            promises = _integers([night["signals"] for night in nights], 2, "signals")
            nights = [night["actions"] for night in nights]
        actions = _integers(nights, 3, "actions")
        if actions.shape[2] != 3 or actions.shape[1] < 1:
            raise ValueError("each action of a recorded game is [house, mode, signal]")
        if promises is not None and promises.shape != actions.shape[:2]:
            raise ValueError("a recorded game must have as many signals as actions in each night")
        if (actions >= [scenario.num_houses, 2, 2]).any() or (
            promises is not None and (promises >= 2).any()
        ):
            raise ValueError(
                f"an action of a recorded game is below [{scenario.num_houses}, 2, 2], "
                "and a signal below 2"
            )
        return GameRecord(scenario, seed, actions, promises)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> GameRecord:
        """Read a record's file."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
        if len(data) > _MAX_BYTES:
            raise ValueError(f"{str(path)!r} is larger than {_MAX_BYTES} bytes")
        try:
            return GameRecord.from_json(data)
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}") from None

    def games(self) -> Iterator[Game]:
        """Play the game again, giving it after its reset and after every step.

        It is one :class:`brigade.env.game.Game` that goes on: take from it what must be kept. The
        last night ends it, by the rules or because the record ends there.
        """
        game = Game(self.scenario, self.num_agents, self.num_nights)
        game.reset(self.seed)
        yield game
        for night in range(self.num_nights):
            if game.ending is not None:
                raise ValueError(
                    f"a recorded game goes on after its end in night {game.night}: "
                    f"it has {self.num_nights} nights"
                )
            if self.promises is not None:
                signals = np.zeros((1, self.num_agents, 3), dtype=np.int32)
                signals[0, :, 2] = self.promises[night]
                game.step(signals)
                yield game
            game.step(np.ascontiguousarray(self.actions[night : night + 1]))
            yield game

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GameRecord):
            return NotImplemented
        return (
            self.scenario == other.scenario
            and self.seed == other.seed
            and np.array_equal(self.actions, other.actions)
            and _rows(self.promises) == _rows(other.promises)
        )

    __hash__ = None  # type: ignore[assignment]


def _rows(promises: NDArray[np.int32] | None) -> list[list[int]] | None:
    return None if promises is None else promises.tolist()


def _read_scenario(table: Any) -> Scenario:
    """Make the scenario of a record, all of whose parameters it must give."""
    if not isinstance(table, dict) or not isinstance(table.get("name", "custom"), str):
        raise ValueError("a recorded game's scenario is a table of parameters")
    missing = [name for name in Scenario.PARAMETERS if name not in table]
    if missing:
        raise ValueError(f"a recorded game's scenario has no {missing[0]!r}")
    try:
        return Scenario(**table)
    except TypeError as error:
        raise ValueError(f"a recorded game's scenario: {error}") from None


def _integers(rows: list[Any], depth: int, what: str) -> NDArray[np.int32]:
    """Give nested lists of non-negative integers as an array of ``depth`` dimensions."""
    _check_integers(rows, depth, what)
    try:
        array = np.array(rows, dtype=np.int64)
    except (ValueError, OverflowError, Warning):
        array = np.zeros(0, dtype=np.int64)
    if array.ndim != depth or array.min(initial=0) < 0 or array.max(initial=0) > 2**31 - 1:
        raise ValueError(f"the {what} of a recorded game are not the same number in each night")
    return array.astype(np.int32)


def _check_integers(value: Any, depth: int, what: str) -> None:
    """Refuse whatever is not lists of lists of plain integers."""
    if depth == 0:
        if type(value) is not int or not 0 <= value < 2**31:
            raise ValueError(f"the {what} of a recorded game are integers, not {value!r:.40}")
        return
    if not isinstance(value, list):
        raise ValueError(f"the {what} of a recorded game are lists, not {value!r:.40}")
    for item in value:
        _check_integers(item, depth - 1, what)
