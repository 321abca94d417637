"""Marks of the seats: each a colour and a shape, with the seat's number where there is room."""

from __future__ import annotations

import math

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point


def _star() -> tuple[Point, ...]:
    reach = (1.15, 0.62)
    angles = [math.pi * (index / 5 - 0.5) for index in range(10)]
    return tuple(
        (reach[index % 2] * math.cos(angle), reach[index % 2] * math.sin(angle) + 0.08)
        for index, angle in enumerate(angles)
    )


_PLUS = 0.48
SHAPES: dict[str, tuple[Point, ...]] = {
    "circle": (),
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": ((0.0, -1.05), (1.08, 0.85), (-1.08, 0.85)),
    "diamond": ((0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)),
    "plus": (
        (-_PLUS, -1.0), (_PLUS, -1.0), (_PLUS, -_PLUS), (1.0, -_PLUS),
        (1.0, _PLUS), (_PLUS, _PLUS), (_PLUS, 1.0), (-_PLUS, 1.0),
        (-_PLUS, _PLUS), (-1.0, _PLUS), (-1.0, -_PLUS), (-_PLUS, -_PLUS),
    ),
    "star": _star(),
    "triangle down": ((0.0, 1.05), (-1.08, -0.85), (1.08, -0.85)),
    "heart": (
        (0.0, 1.05), (-0.98, 0.05), (-1.05, -0.45), (-0.80, -0.85), (-0.40, -0.90), (0.0, -0.55),
        (0.40, -0.90), (0.80, -0.85), (1.05, -0.45), (0.98, 0.05),
    ),
}  # fmt: skip
"""Outlines within about [-1, 1]; the circle has none."""

_NAMES = tuple(SHAPES)
_NUMBER_AT = {"triangle": 0.24, "triangle down": -0.24, "heart": -0.10, "star": 0.08}
_SMALLEST_NUMBER = 6.5


def seat_shape(seat: int) -> str:
    """Give the shape of a seat's mark: neighbouring seats and seats of one colour differ in it."""
    colours = len(p.SEATS)
    return _NAMES[(seat + seat // colours) % len(_NAMES)]


def draw_mark(
    canvas: Canvas, centre: Point, size: float, seat: int, *, numbered: bool = True
) -> None:
    """Draw a seat's mark, ``size`` wide; its number is left out where nobody could read it."""
    x, y = centre
    shape, colour = seat_shape(seat), p.seat_colour(seat)
    half = 0.46 * size
    rim = max(0.5, 0.05 * size)
    if shape == "circle":
        canvas.circle(centre, half, colour, 255, p.INK_DARK, rim)
    else:
        points = [(x + half * a, y + half * b) for a, b in SHAPES[shape]]
        canvas.polygon(points, colour)
        canvas.line([*points, points[0]], p.INK_DARK, rim)
    number = str(seat)
    font = size * (0.52, 0.44, 0.34, 0.26)[min(len(number), 4) - 1]
    if numbered and font >= _SMALLEST_NUMBER:
        at = (x, y + half * _NUMBER_AT.get(shape, 0.0))
        canvas.text(at, number, font, p.INK_DARK, bold=font >= 9)
