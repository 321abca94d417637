"""Agents: a helmet on those who work, a nightcap on those who rest, a bubble with what they say."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point


def draw_person(
    canvas: Canvas, centre: Point, size: float, seat: int, working: bool | None
) -> None:
    """Draw an agent about ``size`` high; ``working`` is None before anybody did anything."""
    x, y = centre
    colour = p.seat_colour(seat)
    foot, neck, half = y + 0.50 * size, y - 0.06 * size, 0.30 * size
    canvas.oval((x, foot), 0.36 * size, 0.08 * size, p.INK_DARK, 90)
    canvas.card(
        (x - half, neck), (x + half, foot), 0.16 * size, colour, 255, p.INK_DARK, 0.03 * size
    )
    canvas.text((x, y + 0.23 * size), str(seat), _number_size(seat, size), p.INK_DARK, bold=True)
    head = (x, y - 0.22 * size)
    canvas.circle(head, 0.19 * size, p.SKIN, 255, p.INK_DARK, 0.03 * size)
    if working is None:
        _open_eyes(canvas, head, size)
    elif working:
        _open_eyes(canvas, head, size)
        _helmet(canvas, head, size)
    else:
        _closed_eyes(canvas, head, size)
        _nightcap(canvas, head, size)


def _number_size(seat: int, size: float) -> float:
    return (0.36 if seat < 10 else 0.30) * size


def _open_eyes(canvas: Canvas, head: Point, size: float) -> None:
    for side in (-1, 1):
        canvas.circle(
            (head[0] + side * 0.07 * size, head[1] + 0.04 * size), 0.028 * size, p.INK_DARK
        )


def _closed_eyes(canvas: Canvas, head: Point, size: float) -> None:
    for side in (-1, 1):
        at = (head[0] + side * 0.08 * size, head[1] + 0.02 * size)
        canvas.arc(at, 0.05 * size, 10, 170, p.INK_DARK, 0.03 * size)


def _helmet(canvas: Canvas, head: Point, size: float) -> None:
    """Draw a fire helmet: a dome with a crest, and a broad brim."""
    x, y = head[0], head[1] - 0.03 * size
    canvas.slice((x, y), 0.23 * size, 180, 360, p.INK_DARK)
    canvas.slice((x, y - 0.01 * size), 0.205 * size, 180, 360, p.HELMET)
    canvas.card(
        (x - 0.045 * size, y - 0.26 * size), (x + 0.045 * size, y), 0.03 * size, p.HELMET_BAND
    )
    canvas.card(
        (x - 0.31 * size, y - 0.035 * size),
        (x + 0.31 * size, y + 0.035 * size),
        0.03 * size,
        p.HELMET,
        255,
        p.INK_DARK,
        0.02 * size,
    )


def _nightcap(canvas: Canvas, head: Point, size: float) -> None:
    """Draw a nightcap whose tip hangs to the side, with a pompon."""
    x, y = head[0], head[1] - 0.05 * size
    shape = [(-0.20, 0.0), (-0.13, -0.18), (0.06, -0.28), (0.34, -0.10), (0.14, -0.12), (0.20, 0.0)]
    points = [(x + a * size, y + b * size) for a, b in shape]
    canvas.polygon(points, p.NIGHTCAP)
    canvas.line([*points, points[0]], p.INK_DARK, 0.025 * size)
    canvas.card(
        (x - 0.22 * size, y - 0.03 * size),
        (x + 0.22 * size, y + 0.04 * size),
        0.03 * size,
        p.POMPON,
    )
    canvas.circle((x + 0.35 * size, y - 0.07 * size), 0.06 * size, p.POMPON)


def draw_bubble(
    canvas: Canvas, centre: Point, size: float, says_work: bool, truth: bool | None
) -> None:
    """Draw a speech bubble about ``size`` wide: a helmet says "I work", a Z "I rest".

    ``truth`` True has a plain rim, False a spiked red one and a bar across, and None, where it is
    not known yet, a question mark.
    """
    x, y = centre
    half = 0.5 * size
    if truth is False:
        spikes = [
            (x + dx * half * reach, y + dy * half * reach)
            for (dx, dy), reach in zip(_COMPASS, _SPIKES, strict=True)
        ]
        canvas.polygon(spikes, p.LIE)
    else:
        tail = [(x - 0.34 * size, y + 0.18 * size), (x - 0.05 * size, y + 0.44 * size)]
        canvas.polygon([*tail, (x - 0.50 * size, y + 0.66 * size)], p.HONEST)
    canvas.circle(centre, 0.94 * half, p.HONEST)
    if says_work:
        _helmet(canvas, (x, y + 0.20 * size), 1.35 * size)
    else:
        _zed(canvas, (x, y), 0.46 * size)
    if truth is False:
        reach = 0.32 * size
        canvas.line([(x - reach, y - reach), (x + reach, y + reach)], p.LIE, 0.12 * size)
    elif truth is None:
        at = (x + 0.46 * size, y + 0.34 * size)
        canvas.circle(at, 0.24 * size, p.INK_DARK)
        canvas.text(at, "?", 0.42 * size, p.INK, bold=True)


def _zed(canvas: Canvas, centre: Point, size: float) -> None:
    """Draw a Z."""
    x, y = centre
    half = 0.5 * size
    canvas.line(
        [(x - half, y - half), (x + half, y - half), (x - half, y + half), (x + half, y + half)],
        p.NIGHTCAP,
        0.26 * size,
    )


_COMPASS = (
    (0.0, -1.0), (0.383, -0.924), (0.707, -0.707), (0.924, -0.383),
    (1.0, 0.0), (0.924, 0.383), (0.707, 0.707), (0.383, 0.924),
    (0.0, 1.0), (-0.383, 0.924), (-0.707, 0.707), (-0.924, 0.383),
    (-1.0, 0.0), (-0.924, -0.383), (-0.707, -0.707), (-0.383, -0.924),
)  # fmt: skip
_SPIKES = (1.36, 1.0) * 8
