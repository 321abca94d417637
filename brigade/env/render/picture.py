"""The whole picture of one moment: night sky, ring of houses, agents, panel."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point
from brigade.env.render.houses import draw_house
from brigade.env.render.panel import draw_panel
from brigade.env.render.people import draw_bubble, draw_person
from brigade.env.render.ring import CENTRE, RADIUS, Ring, place_agents
from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot

WIDTH, HEIGHT = 960, 640


def picture(snapshot: Snapshot) -> NDArray[np.uint8]:
    """Draw a snapshot; the same one always gives the same image.

    Returns
    -------
    NDArray[np.uint8]
        RGB image, ``[640, 960, 3]``.
    """
    canvas = _background().copy()
    ring = Ring(snapshot.num_houses)
    for house in range(snapshot.num_houses):
        _draw_place(canvas, ring, snapshot, house)
    _draw_middle(canvas, snapshot)
    _draw_agents(canvas, ring, snapshot)
    draw_panel(canvas, snapshot)
    return canvas.pixels()


@cache
def _background() -> Canvas:
    """Draw what is the same in every picture: sky, stars, moon, meadow, path."""
    canvas = Canvas.blank(WIDTH, HEIGHT)
    canvas.gradient(p.SKY_TOP, p.SKY_BOTTOM)
    state = 20_011
    for _ in range(150):  # a small generator of its own: the stars never move
        state = (state * 48_271) % 2_147_483_647
        x, y, light = state % WIDTH, (state // WIDTH) % HEIGHT, (state // 7) % 5
        canvas.circle((x, y), 0.5 + 0.22 * light, p.STAR, 70 + 35 * light)
    canvas.glow((62, 66), 74, p.MOON, 90)
    canvas.circle((62, 66), 27, p.MOON)
    canvas.circle((74, 59), 23, p.mix(p.SKY_TOP, p.SKY_BOTTOM, 0.12))
    canvas.circle(CENTRE, RADIUS + 62, p.MEADOW_EDGE, 255)
    canvas.circle(CENTRE, RADIUS + 57, p.MEADOW, 255)
    for index in range(90):  # tufts of grass
        angle = index * 2.399963
        radius = (RADIUS + 50) * math.sqrt((index + 0.5) / 90)
        foot = (CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle))
        for lean in (-2.5, 0.0, 2.5):
            canvas.line([foot, (foot[0] + lean, foot[1] - 5)], p.mix(p.MEADOW, p.GAIN, 0.18), 0.9)
    canvas.circle(CENTRE, RADIUS - 22, None, 255, p.PATH, 30)
    canvas.circle(CENTRE, RADIUS - 25, None, 255, p.mix(p.PATH, p.PATH_LIGHT, 0.35), 24)
    return canvas


def _draw_place(canvas: Canvas, ring: Ring, snapshot: Snapshot, house: int) -> None:
    """Draw a house with its number, its owner's flag and the progress against its fire."""
    size = ring.house_size
    owner = snapshot.owner(house)
    x, y = ring.at(house, RADIUS)
    draw_house(canvas, (x, y), size, snapshot.houses[house], p.seat_colour(owner))
    _flag(canvas, (x, y), size, owner, side=1 if x >= CENTRE[0] - 1 else -1)
    foot = y + 0.60 * size
    canvas.text((x, foot), str(house), max(8.0, 0.19 * size), p.INK, bold=True)
    progress = snapshot.fire_progress[house]
    if progress > 0:
        low = foot + 0.12 * size
        canvas.card((x - 0.42 * size, low), (x + 0.42 * size, low + 0.11 * size), 3, p.INK_DARK)
        reach = 0.84 * size * min(progress, 1.0)
        canvas.card(
            (x - 0.42 * size, low), (x - 0.42 * size + reach, low + 0.11 * size), 3, p.WATER
        )


def _flag(canvas: Canvas, centre: Point, size: float, owner: int, side: int) -> None:
    """Draw the owner's number on a pennant beside the house, away from the agents."""
    x, top = centre[0] + side * 0.44 * size, centre[1] - 0.42 * size
    canvas.line([(x, centre[1] + 0.44 * size), (x, top)], p.INK_SOFT, max(0.8, 0.03 * size))
    reach = side * size
    points = [
        (x, top),
        (x + 0.36 * reach, top),
        (x + 0.28 * reach, top + 0.13 * size),
        (x + 0.36 * reach, top + 0.26 * size),
        (x, top + 0.26 * size),
    ]
    canvas.polygon(points, p.seat_colour(owner))
    at = (x + 0.15 * reach, top + 0.13 * size)
    canvas.text(at, str(owner), 0.22 * size, p.INK_DARK, bold=True)


def _draw_middle(canvas: Canvas, snapshot: Snapshot) -> None:
    """Write the night and the count of houses in the middle of the ring."""
    x, y = CENTRE
    canvas.text((x, y - 50), "NIGHT", 13, p.INK_SOFT)
    canvas.text((x, y - 18), str(snapshot.night), 44, p.INK, bold=True)
    for index, (state, tint) in enumerate(
        ((SAFE, p.seat_colour(0)), (BURNING, p.WALL_BURNT), (RUINED, p.RUIN))
    ):
        at = x + (index - 1) * 50
        draw_house(canvas, (at - 10, y + 26), 24, state, tint)
        canvas.text((at + 13, y + 29), str(snapshot.count(state)), 15, p.INK, bold=True)
    if snapshot.ending == "terminated":
        words = "all safe" if snapshot.count(SAFE) == snapshot.num_houses else "all ruined"
    elif snapshot.ending == "truncated":
        words = "time is up"
    elif snapshot.promised_now:
        words = "promises made"
    else:
        words = "" if snapshot.acted else "the game begins"
    canvas.text((x, y + 58), words, 13, p.MOON)


def _draw_agents(canvas: Canvas, ring: Ring, snapshot: Snapshot) -> None:
    """Draw the agents before their houses, each with its newest signal."""
    places = place_agents(ring, snapshot)
    size = places.size
    for seat, (x, y) in enumerate(places.points):
        working = snapshot.working[seat] if snapshot.acted else None
        draw_person(canvas, (x, y), size, seat, working)
        bubble = (x + 0.42 * size, y - 0.40 * size)
        if snapshot.promised_now and snapshot.promises is not None:
            draw_bubble(canvas, bubble, 0.48 * size, snapshot.promises[seat], None)
        elif snapshot.acted:
            draw_bubble(canvas, bubble, 0.48 * size, snapshot.signals[seat], snapshot.honest(seat))
