"""The whole picture of one moment: night sky, ring of houses, agents, middle, panel."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas
from brigade.env.render.centre import draw_centre
from brigade.env.render.houses import draw_house
from brigade.env.render.marks import draw_mark
from brigade.env.render.panel import draw_panel
from brigade.env.render.people import draw_agent
from brigade.env.render.ring import CENTRE, GROUND, Ring, place_agents
from brigade.env.render.snapshot import Snapshot

WIDTH, HEIGHT = 960, 640


def picture(snapshot: Snapshot) -> NDArray[np.uint8]:
    """Draw a snapshot; the same one always gives the same image.

    Returns
    -------
    NDArray[np.uint8]
        RGB image, ``[640, 960, 3]``.
    """
    ring = Ring.of(snapshot.num_houses)
    canvas = _background(ring).copy()
    _draw_houses(canvas, ring, snapshot)
    _draw_agents(canvas, ring, snapshot)
    _draw_labels(canvas, ring, snapshot)
    draw_centre(canvas, snapshot, signs=ring.roomy)
    draw_panel(canvas, snapshot, signs=not ring.roomy)
    return canvas.pixels()


@lru_cache(maxsize=2)
def _background(ring: Ring) -> Canvas:
    """Draw what is the same in every picture of a ring: sky, stars, moon, meadow, path."""
    canvas = Canvas.blank(WIDTH, HEIGHT)
    canvas.gradient(p.SKY_TOP, p.SKY_BOTTOM)
    state = 20_011
    for _ in range(150):  # a small generator of its own: the stars never move
        state = (state * 48_271) % 2_147_483_647
        x, y, light = state % WIDTH, (state // WIDTH) % HEIGHT, (state // 7) % 5
        canvas.circle((x, y), 0.5 + 0.22 * light, p.STAR, 70 + 35 * light)
    canvas.glow((48, 50), 62, p.MOON, 90)
    canvas.circle((48, 50), 25, p.MOON)
    canvas.circle((59, 44), 21, p.mix(p.SKY_TOP, p.SKY_BOTTOM, 0.12))
    canvas.circle(CENTRE, GROUND, p.MEADOW_EDGE, 255)
    canvas.circle(CENTRE, GROUND - 4, p.MEADOW, 255)
    for index in range(90):  # tufts of grass
        angle = index * 2.399963
        radius = ring.outer * math.sqrt((index + 0.5) / 90)
        foot = (CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle))
        for lean in (-2.5, 0.0, 2.5):
            canvas.line([foot, (foot[0] + lean, foot[1] - 5)], p.mix(p.MEADOW, p.GAIN, 0.18), 0.9)
    width = min(26.0, 0.5 * ring.house_size + 8)
    canvas.circle(CENTRE, ring.outer + 2, None, 255, p.PATH, width)
    inside = p.mix(p.PATH, p.PATH_LIGHT, 0.35)
    canvas.circle(CENTRE, ring.outer - 1, None, 255, inside, width - 6)
    return canvas


def _draw_houses(canvas: Canvas, ring: Ring, snapshot: Snapshot) -> None:
    """Draw the houses, and the progress against their fires on the side of the agents."""
    for house, state in enumerate(snapshot.houses):
        progress = snapshot.fire_progress[house]
        roof = p.seat_colour(snapshot.owner(house))
        draw_house(canvas, ring.house(house), ring.house_size, state, roof, progress)
    for house, progress in enumerate(snapshot.fire_progress):
        if progress > 0:
            canvas.line(ring.bar(house, 1.0), p.INK_DARK, ring.bar_width + 2)
            canvas.line(ring.bar(house, min(progress, 1.0)), p.WATER, ring.bar_width)


def _draw_labels(canvas: Canvas, ring: Ring, snapshot: Snapshot) -> None:
    """Write the houses' numbers outside, and under them the marks of their owners."""
    for house, at in ring.labels().items():
        canvas.text(at, str(house), ring.label_size, p.INK)
    if ring.mark_size:
        for house in range(snapshot.num_houses):
            draw_mark(canvas, ring.mark(house), ring.mark_size, snapshot.owner(house))


def _draw_agents(canvas: Canvas, ring: Ring, snapshot: Snapshot) -> None:
    """Draw the agents, each with its newest signal and a line to the house it is at."""
    houses = [snapshot.place(seat) for seat in range(snapshot.num_agents)]
    places = place_agents(ring, houses)
    for seat, (house, point) in enumerate(zip(houses, places.points, strict=True)):
        door = ring.at(house, ring.outer + 1)
        canvas.line([door, point], p.seat_colour(seat), 1.5, 190)
    for seat, point in enumerate(places.points):
        working = snapshot.working[seat] if snapshot.acted else None
        draw_agent(canvas, point, places.size, seat, working, _newest_signal(snapshot, seat))


def _newest_signal(snapshot: Snapshot, seat: int) -> tuple[bool, bool | None] | None:
    """Give the newest signal of a seat and its truth, if there is any yet."""
    if snapshot.promised_now and snapshot.promises is not None:
        return snapshot.promises[seat], None
    if snapshot.acted:
        return snapshot.signals[seat], snapshot.honest(seat)
    return None
