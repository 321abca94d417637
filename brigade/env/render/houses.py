"""Houses: whole with lit windows, in flames, or a broken wall with smoke over it."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point
from brigade.env.render.snapshot import BURNING, RUINED, SAFE

_DETAILED = 12.0


def draw_house(
    canvas: Canvas,
    centre: Point,
    size: float,
    state: int,
    roof: p.Colour,
    progress: float = 0.0,
) -> None:
    """Draw a house about ``size`` wide around ``centre``.

    ``roof`` is its owner's colour; the more ``progress`` against its fire, the lower the flames.
    """
    x, y = centre
    if size < _DETAILED:
        _tiny(canvas, x, y, size, state, roof)
        return
    canvas.oval((x, y + 0.45 * size), 0.56 * size, 0.13 * size, p.INK_DARK, 90)
    if state == RUINED:
        _ruin(canvas, x, y, size)
    else:
        if state == BURNING:
            canvas.glow((x, y), 0.85 * size, p.FLAME_OUTER, 110)
        _whole(canvas, x, y, size, roof, burning=state == BURNING)
        if state == BURNING:
            _flames(canvas, x, y, size, 1 - 0.55 * min(progress, 1.0))


def _tiny(canvas: Canvas, x: float, y: float, size: float, state: int, roof: p.Colour) -> None:
    """Draw a house of which only the outline can be seen."""
    half, eaves, base = 0.40 * size, y - 0.05 * size, y + 0.45 * size
    wall = {SAFE: p.WALL, BURNING: p.FLAME_OUTER, RUINED: p.RUIN}[state]
    canvas.polygon([(x - half, eaves), (x + half, eaves), (x + half, base), (x - half, base)], wall)
    if state == SAFE:
        canvas.polygon(
            [(x, y - 0.5 * size), (x + 0.5 * size, eaves), (x - 0.5 * size, eaves)], roof
        )
    elif state == BURNING:
        _flame(canvas, x, y + 0.4 * size, 0.8 * size, 0.95 * size, p.FLAME_MIDDLE)


def _whole(
    canvas: Canvas, x: float, y: float, size: float, roof: p.Colour, *, burning: bool
) -> None:
    """Draw walls, roof, door and windows."""
    wall, shade = (p.WALL_BURNT, p.INK_DARK) if burning else (p.WALL, p.WALL_SHADE)
    half, base, eaves = 0.38 * size, y + 0.45 * size, y - 0.02 * size
    if not burning:
        canvas.polygon(
            [
                (x + 0.18 * size, y - 0.40 * size),
                (x + 0.28 * size, y - 0.40 * size),
                (x + 0.28 * size, y - 0.12 * size),
                (x + 0.18 * size, y - 0.12 * size),
            ],
            p.DOOR,
        )
    canvas.polygon([(x - half, eaves), (x + half, eaves), (x + half, base), (x - half, base)], wall)
    canvas.polygon(
        [(x + 0.22 * size, eaves), (x + half, eaves), (x + half, base), (x + 0.22 * size, base)],
        shade,
        90,
    )
    peak = y - 0.48 * size
    canvas.polygon([(x, peak), (x + 0.52 * size, eaves), (x - 0.52 * size, eaves)], roof)
    canvas.polygon([(x, peak), (x + 0.52 * size, eaves), (x + 0.12 * size, eaves)], p.INK_DARK, 50)
    door = 0.08 * size
    canvas.card((x - door, y + 0.16 * size), (x + door, base), 0.06 * size, p.DOOR)
    light = p.FLAME_MIDDLE if burning else p.WINDOW
    for side in (-1, 1):
        wx, wy, w = x + side * 0.22 * size, y + 0.18 * size, 0.075 * size
        canvas.card((wx - w, wy - w), (wx + w, wy + w), 0.02 * size, light)
        canvas.line([(wx, wy - w), (wx, wy + w)], p.DOOR, 0.02 * size)
        canvas.line([(wx - w, wy), (wx + w, wy)], p.DOOR, 0.02 * size)


def _flame(canvas: Canvas, x: float, y: float, width: float, height: float, fill: p.Colour) -> None:
    """Draw one tongue with its foot at ``(x, y)``."""
    shape = [
        (-0.50, 0.00),
        (-0.58, -0.30),
        (-0.34, -0.55),
        (-0.26, -0.40),
        (-0.02, -1.00),
        (0.20, -0.60),
        (0.34, -0.68),
        (0.56, -0.30),
        (0.48, 0.00),
        (0.20, 0.10),
        (-0.22, 0.10),
    ]
    canvas.polygon([(x + a * width, y + b * height) for a, b in shape], fill)


def _flames(canvas: Canvas, x: float, y: float, size: float, strength: float) -> None:
    """Draw fire on the roof and out of the windows; ``strength`` scales its height."""
    for dx, foot, width, full in (
        (-0.30, 0.04, 0.34, 0.44),
        (0.31, 0.04, 0.32, 0.40),
        (0.00, 0.04, 0.50, 0.68),
    ):
        height = full * strength
        at = (x + dx * size, y + foot * size)
        _flame(canvas, *at, width * size, height * size, p.FLAME_OUTER)
        _flame(canvas, at[0], at[1], width * 0.66 * size, height * 0.68 * size, p.FLAME_MIDDLE)
        _flame(canvas, at[0], at[1], width * 0.34 * size, height * 0.40 * size, p.FLAME_INNER)
    for side in (-1, 1):
        at = (x + side * 0.22 * size, y + 0.26 * size)
        _flame(canvas, *at, 0.16 * size, 0.26 * strength * size, p.FLAME_INNER)


def _ruin(canvas: Canvas, x: float, y: float, size: float) -> None:
    """Draw what is left: jagged walls, a fallen beam, rubble, smoke."""
    for step, (dx, dy, radius) in enumerate(
        ((-0.10, -0.22, 0.10), (0.02, -0.38, 0.13), (-0.06, -0.56, 0.09))
    ):
        canvas.circle((x + dx * size, y + dy * size), radius * size, p.SMOKE, 120 - 30 * step)
    base = y + 0.45 * size
    wall = [
        (-0.40, 0.45),
        (-0.40, 0.04),
        (-0.31, 0.14),
        (-0.25, -0.06),
        (-0.16, 0.16),
        (-0.08, 0.26),
        (0.04, 0.22),
        (0.10, 0.32),
        (0.20, 0.10),
        (0.27, 0.18),
        (0.33, -0.02),
        (0.40, 0.12),
        (0.40, 0.45),
    ]
    canvas.polygon([(x + a * size, y + b * size) for a, b in wall], p.RUIN)
    canvas.polygon(
        [(x + a * size, y + b * size) for a, b in wall[8:]] + [(x + 0.20 * size, base)],
        p.RUIN_DARK,
        110,
    )
    canvas.line(
        [(x - 0.44 * size, base - 0.02 * size), (x + 0.14 * size, y + 0.06 * size)],
        p.RUIN_DARK,
        0.07 * size,
    )
    for dx, radius in ((-0.30, 0.07), (-0.12, 0.09), (0.10, 0.08), (0.27, 0.07)):
        canvas.circle((x + dx * size, base - 0.02 * size), radius * size, p.RUIN_DARK)
    w = 0.07 * size
    canvas.card(
        (x - 0.29 * size, y + 0.20 * size),
        (x - 0.29 * size + 1.6 * w, y + 0.20 * size + 2 * w),
        0.01 * size,
        p.INK_DARK,
    )
