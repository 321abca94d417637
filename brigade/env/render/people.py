"""Agents: a helmet on those who work, a nightcap on those who rest, a bubble with what they say."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point
from brigade.env.render.marks import draw_mark


def draw_agent(
    canvas: Canvas,
    centre: Point,
    size: float,
    seat: int,
    working: bool | None,
    says: tuple[bool, bool | None] | None = None,
) -> None:
    """Draw an agent within a square of ``size``: a head over its seat's mark, and what it says.

    Parameters
    ----------
    canvas
        What to draw on.
    centre
        Centre of the square.
    size
        Side of the square.
    seat
        The agent's seat, which decides the mark.
    working
        Whether it works; None before anybody did anything.
    says
        Whether the newest signal says "work", and its truth, as for :func:`draw_bubble`.
    """
    x, y = centre[0] - 0.16 * size, centre[1]
    canvas.oval((x, y + 0.48 * size), 0.26 * size, 0.05 * size, p.INK_DARK, 90)
    draw_mark(canvas, (x, y + 0.19 * size), 0.60 * size, seat)
    draw_head(canvas, (x, y - 0.19 * size), 0.94 * size, working)
    if says is not None:
        draw_bubble(canvas, (centre[0] + 0.26 * size, y - 0.22 * size), 0.40 * size, *says)


def draw_head(canvas: Canvas, head: Point, size: float, working: bool | None) -> None:
    """Draw the head of an agent that is ``size`` high: it works, rests or has done nothing yet."""
    canvas.circle(head, 0.17 * size, p.SKIN, 255, p.INK_DARK, 0.03 * size)
    if working is False:
        _closed_eyes(canvas, head, size)
        _nightcap(canvas, head, size)
    else:
        _open_eyes(canvas, head, size)
    if working:
        _helmet(canvas, head, size)


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
