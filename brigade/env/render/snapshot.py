"""What a picture of a game shows, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from brigade._core import observation_layout
from brigade.env.actions import homes

if TYPE_CHECKING:
    from brigade.env.game import Game

SAFE, BURNING, RUINED = 0, 1, 2


@dataclass(frozen=True)
class Snapshot:
    """One moment of a game of N houses and A seats."""

    scenario: str
    """Name of the scenario."""
    night: int
    """Nights played."""
    houses: tuple[int, ...]
    """State of each house, [N]."""
    fire_progress: tuple[float, ...]
    """How far each fire is put out, [N], in [0, 1]; 0 everywhere unless fires are worn down."""
    homes: tuple[int, ...]
    """Home of each seat, [A]."""
    positions: tuple[int, ...]
    """House where each seat was in the last night, [A]."""
    working: tuple[bool, ...]
    """Whether each seat worked in the last night, [A]."""
    signals: tuple[bool, ...]
    """Whether each seat's signal of the last night said "work", [A]."""
    promises: tuple[bool, ...] | None = None
    """Round-1 signals, [A]; None in a one-phase game or before there are any."""
    promised_now: bool = False
    """The promises are for the night that comes, not for the last one."""
    rewards: tuple[float, ...] | None = None
    """Each seat's reward of the last night, [A]; None where there was none."""
    returns: tuple[float, ...] | None = None
    """Each seat's sum of rewards so far, [A]."""
    names: tuple[str, ...] = ()
    """A name for each seat, [A], or nothing."""
    ending: str | None = None
    """``terminated``, ``truncated``, or None while the game runs."""

    @property
    def num_houses(self) -> int:
        """N."""
        return len(self.houses)

    @property
    def num_agents(self) -> int:
        """A."""
        return len(self.positions)

    @property
    def acted(self) -> bool:
        """Whether a night was played: before that nobody has worked, rested or signalled."""
        return self.night > 0

    def owner(self, house: int) -> int:
        """Give the seat that owns ``house``."""
        return house % self.num_agents

    def place(self, seat: int) -> int:
        """Give the house at which to show ``seat``: its home before the first night."""
        return self.positions[seat] if self.acted else self.homes[seat]

    def honest(self, seat: int) -> bool:
        """Tell whether ``seat`` did in the last night what its signal said."""
        return self.signals[seat] == self.working[seat]

    def kept(self, seat: int) -> bool | None:
        """Tell whether ``seat`` kept its promise for the last night; None if there was none."""
        if self.promises is None or self.promised_now or not self.acted:
            return None
        return self.promises[seat] == self.working[seat]

    def count(self, state: int) -> int:
        """Count the houses in ``state``."""
        return self.houses.count(state)

    @staticmethod
    def of_game(game: Game, names: Sequence[str] = ()) -> Snapshot:
        """Take the snapshot of a game, from what its seats see."""
        layout = observation_layout(game.scenario, game.num_agents)
        row = game.observations[0]
        n = game.scenario.num_houses

        def flags(part: str) -> tuple[bool, ...]:
            return tuple(bool(value) for value in row[layout[part]] > 0.5)

        one_hot = row[layout["houses"]].reshape(n, 3)
        announced = game.two_phase and game.phase == 0
        return Snapshot(
            scenario=game.scenario.name,
            night=game.night,
            houses=tuple(int(state) for state in one_hot.argmax(axis=1)),
            fire_progress=tuple(float(value) for value in row[layout["fire_progress"]]),
            homes=homes(game.scenario, game.num_agents),
            positions=tuple(int(p) for p in np.rint(row[layout["positions"]] * (n - 1))),
            working=flags("last_modes"),
            signals=flags("signals"),
            promises=flags("round1_signals")
            if game.two_phase and (announced or game.night > 0)
            else None,
            promised_now=announced,
            rewards=None
            if announced or not game.night
            else tuple(float(value) for value in game.rewards),
            returns=tuple(float(value) for value in game.returns),
            names=tuple(names),
            ending=game.ending,
        )
