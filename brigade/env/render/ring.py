"""Where houses, their labels and the agents are in the picture, in logical pixels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from brigade.env.render.canvas import Point

CENTRE: Point = (320.0, 320.0)
GROUND = 314.0
"""Radius of the ground that everything below lies on."""
_LABELS = 299.0
_DIGIT = 0.62
"""Width of a digit, in font sizes; a little more than the font's."""
_LARGEST_HOUSE, _LARGEST_MARK, _LARGEST_AGENT = 66.0, 24.0, 56.0
_NARROW, _WIDE, _DEPTH = 90.0, 128.0, 64.0
_FILLED = 0.36
"""Share of the agents' area that they may fill at most."""
_ASIDE = 0.25 * math.pi
"""How far aside of its house an agent may be, in radians: its line never crosses the middle."""
_REACH = 0.58
"""Radius of the circle that an agent needs towards the houses and the middle, in sizes of one."""


@dataclass(frozen=True)
class Ring:
    """Sizes and radii of a ring of houses; from the outside in: label, mark, house, bar, agents."""

    num_houses: int
    label_size: float
    """Font size of the houses' numbers."""
    mark_radius: float
    mark_size: float
    """Width of the owners' marks; 0 where there is no room for them."""
    house_radius: float
    house_size: float
    bar_radius: float
    bar_width: float
    """Width of the bars of progress."""
    outer: float
    inner: float
    """The agents are between ``inner`` and ``outer``; inside ``inner`` there are words."""

    @staticmethod
    @lru_cache(maxsize=64)
    def of(num_houses: int) -> Ring:
        """Lay out a ring of ``num_houses``: what one house gets scales with the arc it has."""
        arc = 2 * math.pi / num_houses  # times a radius: the width that a house has there
        label_size = min(15.0, max(9.0, 0.45 * arc * _LABELS))
        mark_size = min(_LARGEST_MARK, 0.6 * arc * (_LABELS - 20))
        if mark_size < 6:
            mark_size = 0.0
        mark_radius = _LABELS - 0.75 * label_size - 0.5 * mark_size
        room = mark_radius - 0.5 * mark_size - 1
        share = 0.82 * arc  # house_size = share * house_radius, house_radius + 0.62 size = room
        house_size = min(_LARGEST_HOUSE, share * room / (1 + 0.62 * share))
        house_radius = room - 0.62 * house_size
        bar_radius = house_radius - 0.66 * house_size
        bar_width = min(6.0, max(3.0, 0.09 * house_size))
        outer = bar_radius - 0.5 * bar_width - 2
        return Ring(
            num_houses=num_houses,
            label_size=label_size,
            mark_radius=mark_radius,
            mark_size=mark_size,
            house_radius=house_radius,
            house_size=house_size,
            bar_radius=bar_radius,
            bar_width=bar_width,
            outer=outer,
            inner=_WIDE if outer - _WIDE >= _DEPTH else _NARROW,
        )

    @property
    def roomy(self) -> bool:
        """Whether the middle is wide enough for the explanation of the signs."""
        return self.inner >= _WIDE

    def angle(self, house: float) -> float:
        """Give the direction of a house in radians; house 0 is at the top, they go clockwise."""
        return 2 * math.pi * house / self.num_houses - math.pi / 2

    def at(self, house: float, radius: float) -> Point:
        """Give the point on the house's ray at ``radius``."""
        angle = self.angle(house)
        return CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle)

    def house(self, house: int) -> Point:
        """Give the centre of a house."""
        return self.at(house, self.house_radius)

    def mark(self, house: int) -> Point:
        """Give the centre of the mark of a house's owner."""
        return self.at(house, self.mark_radius)

    def labels(self) -> dict[int, Point]:
        """Give the centres of the numbers: of all houses, or of every 2nd, 5th, 10th, ..."""
        width = self.label_size * (_DIGIT * len(str(self.num_houses - 1)) + 0.4)
        arc = 2 * math.pi * _LABELS / self.num_houses
        step = next(s for s in _steps() if s * arc >= width)
        last = max(1, self.num_houses - step + 1)  # later ones would run into that of house 0
        return {house: self.at(house, _LABELS) for house in range(0, last, step)}

    def bar(self, house: int, share: float) -> list[Point]:
        """Give points along the first ``share`` of a house's bar of progress."""
        half = 0.42 * self.house_size / self.bar_radius * self.num_houses / (2 * math.pi)
        return [
            self.at(house - half + 2 * half * share * step / 4, self.bar_radius)
            for step in range(5)
        ]


def _steps() -> Sequence[int]:
    return [leading * 10**zeros for zeros in range(9) for leading in (1, 2, 5)]


@dataclass(frozen=True)
class Places:
    """Where each seat is, [A], and how large: a square of ``size`` around its point."""

    size: float
    points: tuple[Point, ...]


def place_agents(ring: Ring, houses: Sequence[int]) -> Places:
    """Place seats before their houses, as large as there is room for.

    Each seat gets the free spot that is nearest to its house, the first seats of all houses before
    the second ones; where a seat finds none, all are made smaller.

    Parameters
    ----------
    ring
        The ring.
    houses
        House of each seat, [A].
    """
    if not houses:
        return Places(0.0, ())
    area = math.pi * (ring.outer**2 - ring.inner**2)
    size = math.sqrt(_FILLED * area / len(houses))
    size = min(size, _LARGEST_AGENT, 0.5 * (ring.outer - ring.inner) / _REACH - 2)
    while True:
        points = _spread(ring, houses, size)
        if points is not None:
            return Places(size, points)
        size *= 0.93


def _spread(ring: Ring, houses: Sequence[int], size: float) -> tuple[Point, ...] | None:
    """Give the point of each seat, or None where a square of ``size`` finds no spot."""
    pitch = math.ceil(size) + 1
    free = (_distances() >= ring.inner + _REACH * size) & (
        _distances() <= ring.outer - _REACH * size
    )
    crowds = Counter(houses)
    before: Counter[int] = Counter()
    queue = []
    for seat, house in enumerate(houses):
        queue.append((before[house], seat))
        before[house] += 1
    offers = {crowd: _offers(ring, pitch, size, crowd) for crowd in set(crowds.values())}
    spots: dict[int, NDArray[np.intp]] = {}
    points: dict[int, Point] = {}
    for _, seat in sorted(queue):
        house = houses[seat]
        if house not in spots:
            radii, angles = offers[crowds[house]]
            angles = angles + ring.angle(house)
            offsets = radii * np.array([np.cos(angles), np.sin(angles)])
            spots[house] = np.rint(offsets.T + CENTRE).T.astype(np.intp)
        xs, ys = spots[house]
        open_spots = free[ys, xs]
        nearest = int(open_spots.argmax())
        if not open_spots[nearest]:
            if pitch > 2:
                return None
            nearest = 0  # thousands of seats: they share pixels
        x, y = int(xs[nearest]), int(ys[nearest])
        free[y - pitch + 1 : y + pitch, x - pitch + 1 : x + pitch] = False
        points[seat] = (float(x), float(y))
    return tuple(points[seat] for seat in range(len(houses)))


def _offers(
    ring: Ring, pitch: float, size: float, crowd: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give radii and angles, relative to a house's, of the spots for its agents, the nearest first.

    An even crowd stands left and right of its house's ray, an odd one begins on it. Where a house
    has little arc, to be aside counts more, so that agents rather stand behind each other.
    """
    first, last = ring.outer - _REACH * size - 1, ring.inner + _REACH * size
    radii = np.arange(first, last, -max(1.0, pitch / 4))
    furthest = int(min(_ASIDE * first / (0.5 * pitch), 2 * crowd + 1))
    steps = np.arange(-furthest, furthest + 1)
    if crowd % 2 == 0:
        steps = steps[steps != 0]  # the nearest spots are then half a pitch to either side
    asides = 0.5 * pitch * steps
    grid_radii, grid_asides = np.meshgrid(radii, asides, indexing="ij")
    arc = 2 * math.pi * ring.outer / ring.num_houses
    weight = min(8.0, max(0.9, 4 * (pitch / arc) ** 2))
    cost = np.hypot(weight * grid_asides, first - grid_radii)
    angles = (grid_asides / grid_radii).ravel()
    order = np.argsort(cost, axis=None, kind="stable")
    order = order[np.abs(angles[order]) <= _ASIDE]
    return grid_radii.ravel()[order], angles[order]


@cache
def _distances() -> NDArray[np.float64]:
    """Give the distance of each logical pixel of the ground from the centre."""
    side = np.arange(2 * CENTRE[0])
    return np.hypot(side[None, :] - CENTRE[0], side[:, None] - CENTRE[1])
