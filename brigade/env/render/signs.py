"""What the signs mean, with how many there are, and numbers in few letters."""

from __future__ import annotations

from collections.abc import Sequence

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas, Point
from brigade.env.render.people import draw_bubble, draw_head
from brigade.env.render.snapshot import Snapshot

SIGN = 20.0
"""Width of a sign."""


def draw_signs(canvas: Canvas, snapshot: Snapshot, at: Sequence[Point]) -> None:
    """Draw four signs with their left edges ``at`` points: work, rest, honest signal and lie."""
    seats = range(snapshot.num_agents)
    counts = (
        sum(snapshot.working),
        snapshot.num_agents - sum(snapshot.working),
        sum(snapshot.honest(seat) for seat in seats),
        sum(not snapshot.honest(seat) for seat in seats),
    )
    counted = snapshot.acted and not snapshot.promised_now
    for index, ((x, y), word) in enumerate(zip(at, ("work", "rest", "honest", "lie"), strict=True)):
        icon = (x + 0.5 * SIGN, y)
        if index < 2:
            draw_head(canvas, (icon[0] - 1, y + 3), 1.5 * SIGN, index == 0)
        else:
            draw_bubble(canvas, icon, 0.9 * SIGN, True, index == 2)
        words = f"{counts[index]} {word}" if counted else word
        canvas.text((x + SIGN + 4, y), words, 10.5, p.INK if counted else p.INK_SOFT, "lm")


def signed(value: float) -> str:
    """Give a number with its sign, short enough for a column."""
    if abs(value) >= 1e6:
        return f"{value:+.2e}".replace("e+0", "e")
    return f"{value:+,.{1 if abs(value) < 1_000 else 0}f}"
