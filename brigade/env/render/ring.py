"""Where houses and agents stand in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from brigade.env.render.canvas import Point
from brigade.env.render.snapshot import Snapshot

CENTRE: Point = (320.0, 330.0)
RADIUS = 236.0
INNER = 92.0
"""Radius that is kept free for the words in the middle."""
_GAP = 1.18
"""Distance between two agents, in sizes of one."""


@dataclass(frozen=True)
class Ring:
    """Sizes and places for ``num_houses`` houses."""

    num_houses: int

    @property
    def house_size(self) -> float:
        """Width of a house."""
        return min(78.0, 0.74 * 2 * math.pi * RADIUS / self.num_houses)

    def angle(self, house: int) -> float:
        """Give the direction of a house in radians; house 0 is at the top, they go clockwise."""
        return 2 * math.pi * house / self.num_houses - math.pi / 2

    def at(self, house: int, radius: float, aside: float = 0.0) -> Point:
        """Give the point on the house's ray at ``radius``, moved ``aside`` at a right angle."""
        angle = self.angle(house)
        return (
            CENTRE[0] + radius * math.cos(angle) - aside * math.sin(angle),
            CENTRE[1] + radius * math.sin(angle) + aside * math.cos(angle),
        )


@dataclass(frozen=True)
class Places:
    """Where each seat stands, and how large."""

    size: float
    points: tuple[Point, ...]


def place_agents(ring: Ring, snapshot: Snapshot) -> Places:
    """Let the agents stand inside the ring before their houses, as large as there is room for."""
    crowds: dict[int, list[int]] = {}
    for seat in range(snapshot.num_agents):
        crowds.setdefault(snapshot.place(seat), []).append(seat)
    size = 50.0
    while True:
        for spread in (1.0, 1.7):  # a crowd may use the room before its neighbours' houses
            points = _formations(ring, crowds, size, spread)
            if size <= 8.0 or _fits(list(points.values()), size):
                return Places(size, tuple(points[seat] for seat in range(snapshot.num_agents)))
        size *= 0.95


def _formations(
    ring: Ring, crowds: dict[int, list[int]], size: float, spread: float
) -> dict[int, Point]:
    """Give the point of each seat where agents are ``size`` high."""
    outer = RADIUS - 0.80 * ring.house_size - 0.45 * size
    points: dict[int, Point] = {}
    for house, seats in crowds.items():
        left = list(seats)
        depth = outer
        while left:
            room = spread * 2 * math.pi * max(depth, 1.0) / ring.num_houses
            count = min(max(1, round(room / (_GAP * size))), len(left), 6)
            row, left = left[:count], left[count:]
            for index, seat in enumerate(row):
                points[seat] = ring.at(house, depth, (index - (count - 1) / 2) * _GAP * size)
            depth -= _GAP * size
    return points


def _fits(points: list[Point], size: float) -> bool:
    """Tell whether nobody stands in the middle and no two stand in each other."""
    if any(math.dist(point, CENTRE) - 0.5 * size < INNER for point in points):
        return False
    return all(
        math.dist(point, other) >= 0.98 * _GAP * size
        for index, point in enumerate(points)
        for other in points[:index]
    )
