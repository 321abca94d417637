"""The team's decisions: how many workers go to how many fires.

Fires are exchangeable, so a decision is a *spread*: the sizes of the crews at the burning houses,
largest first, such as ``(2, 1)`` for two workers at one fire and one at another. Everyone else is
free for something else. Spreads of at most ``num_agents`` workers are the partitions of the
numbers 0 to ``num_agents``: 12 of them for 4 agents, 67 for 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

MAX_SPREADS = 100_000
"""More spreads than this are refused: the tables would need gigabytes and the search minutes."""


class Pastime(IntEnum):
    """What a seat does that fights no fire; working elsewhere can pay where shaping is on."""

    REST = 0
    WORK_AT_SAFE = 1
    WORK_AT_RUINED = 2


@dataclass(frozen=True)
class Decision:
    """What the team does in one state.

    Attributes
    ----------
    crews
        Sizes of the crews at burning houses, largest first; the other fires are left alone.
    idle
        Number of seats at no fire.
    pastime
        What those do.
    """

    crews: tuple[int, ...]
    idle: int
    pastime: Pastime = Pastime.REST

    def short(self) -> str:
        """Abbreviate for a table: ``2+1`` for crews of 2 and 1, ``rest`` for none at all."""
        crews = "+".join(map(str, self.crews))
        if self.idle == 0 or (self.crews and self.pastime is Pastime.REST):
            return crews
        doing = {Pastime.REST: "rest", Pastime.WORK_AT_SAFE: "safe", Pastime.WORK_AT_RUINED: "ruin"}
        return f"{crews} {doing[self.pastime]}".strip()

    def words(self, burning: int) -> str:
        """Say it in a sentence, with so many houses burning."""
        left = burning - len(self.crews)
        clauses = []
        if self.crews:
            sizes = ", ".join(map(str, self.crews[:-1]))
            sizes = f"{sizes} and {self.crews[-1]}" if sizes else str(self.crews[-1])
            workers = "worker" if self.crews == (1,) else "workers"
            fires = "fire" if len(self.crews) == 1 else "fires"
            clauses.append(f"{sizes} {workers} at {len(self.crews)} {fires}")
        if left:
            clauses.append(f"{left} {'fire' if left == 1 else 'fires'} left to burn")
        if self.idle:
            place = {
                Pastime.REST: "",
                Pastime.WORK_AT_SAFE: " at a safe house",
                Pastime.WORK_AT_RUINED: " at a ruined house",
            }[self.pastime]
            verb = "rest" if self.pastime is Pastime.REST else "work"
            who = "everyone" if not self.crews else str(self.idle)
            clauses.append(f"{who} {verb}{'s' if who in ('everyone', '1') else ''}{place}")
        return "; ".join(clauses)


@dataclass(frozen=True, eq=False)
class Spreads:
    """All spreads of a team and what each of them puts out.

    Attributes
    ----------
    crews
        The spreads, fewest workers first, and among equals the widest first. Number 0 is ``()``.
    workers : int64 [S]
        Workers at fires.
    num_crews : int64 [S]
        Fires with at least one worker; the spread needs at least as many burning houses.
    put_out : float64 [S, K + 1]
        Probability that k of the crews put their fire out. K = the most crews of any spread.
    """

    crews: tuple[tuple[int, ...], ...]
    workers: npt.NDArray[np.int64]
    num_crews: npt.NDArray[np.int64]
    put_out: npt.NDArray[np.float64]

    def admissible(self, burning: int) -> npt.NDArray[np.int64]:
        """Numbers of the spreads that ``burning`` fires have room for, int64 [<= S], ascending."""
        return np.flatnonzero(self.num_crews <= burning)

    def number(self, crews: tuple[int, ...]) -> int:
        """Find a spread's number; ValueError where the team has no such spread."""
        return self.crews.index(crews)


def even_spread(num_agents: int, burning: int) -> tuple[int, ...]:
    """Spread the whole team as evenly as can be: the script in which seat a takes fire a mod b."""
    if burning == 0:
        return ()
    crew, left = divmod(num_agents, burning)
    return tuple(size for size in [crew + 1] * left + [crew] * (burning - left) if size > 0)


def all_spreads(num_agents: int, num_houses: int, solo: float) -> Spreads:
    """List the spreads of ``num_agents`` workers over at most ``num_houses`` fires.

    Parameters
    ----------
    num_agents
        Seats, all of which may work.
    num_houses
        The most houses that can burn at once.
    solo
        Probability that one worker puts a fire out; w workers do with ``1 - (1 - solo)^w``.

    Raises
    ------
    ValueError
        Where there are more than `MAX_SPREADS`.
    """
    count = _count_spreads(num_agents, num_houses)
    if count > MAX_SPREADS:
        raise ValueError(
            f"num_agents = {num_agents}: the team has {count:,} ways to spread over "
            f"{num_houses} houses, and the optimum is worked out for at most {MAX_SPREADS:,}"
        )
    crews = sorted(
        (
            crews
            for workers in range(num_agents + 1)
            for crews in _partitions(workers, workers, num_houses)
        ),
        key=lambda crews: (sum(crews), -len(crews), crews),
    )
    widest = min(num_agents, num_houses)
    put_out = np.zeros((len(crews), widest + 1))
    for row, sizes in zip(put_out, crews, strict=True):
        row[0] = 1.0
        for size in sizes:
            fails = (1.0 - solo) ** size
            row[1:] = row[1:] * fails + row[:-1] * (1.0 - fails)
            row[0] *= fails
    return Spreads(
        crews=tuple(crews),
        workers=np.array([sum(sizes) for sizes in crews], dtype=np.int64),
        num_crews=np.array([len(sizes) for sizes in crews], dtype=np.int64),
        put_out=put_out,
    )


def _partitions(total: int, largest: int, most_parts: int) -> Iterator[tuple[int, ...]]:
    """Yield the partitions of ``total`` with parts up to ``largest``, at most ``most_parts``."""
    if total == 0:
        yield ()
    elif most_parts > 0:
        for first in range(min(total, largest), 0, -1):
            for rest in _partitions(total - first, first, most_parts - 1):
                yield (first, *rest)


def _count_spreads(num_agents: int, num_houses: int) -> int:
    """Count them without listing: partitions with at most h parts have parts of at most h."""
    ways = [1] + [0] * num_agents
    for part in range(1, min(num_agents, num_houses) + 1):
        for total in range(part, num_agents + 1):
            ways[total] += ways[total - part]
    return sum(ways)
