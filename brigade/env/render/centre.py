"""The middle of the ring: the night, the houses, the rewards and, with room, the signs."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas
from brigade.env.render.houses import draw_house
from brigade.env.render.ring import CENTRE
from brigade.env.render.signs import draw_signs, signed
from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot

_STATES = ((SAFE, "safe"), (BURNING, "burning"), (RUINED, "ruined"))


def draw_centre(canvas: Canvas, snapshot: Snapshot, *, signs: bool) -> None:
    """Draw the middle; with ``signs`` it fills a radius of 128, else of 90."""
    x, y = CENTRE
    if signs:
        y -= 34
        places = [(x + dx, y + dy) for dy in (92, 119) for dx in (-78, 14)]
        draw_signs(canvas, snapshot, places)
    canvas.text((x, y - 68), "NIGHT", 12, p.INK_SOFT)
    night = str(snapshot.night)
    canvas.text((x, y - 40), night, min(38.0, 190 / len(night)), p.INK, bold=True)
    for index, (state, word) in enumerate(_STATES):
        at = x + (index - 1) * 54
        draw_house(canvas, (at - 12, y + 4), 22, state, p.INK_SOFT)
        count = str(snapshot.count(state))
        canvas.text((at + 3, y + 6), count, 15 if len(count) < 3 else 11, p.INK, "lm", bold=True)
        canvas.text((at, y + 25), word, 11, p.INK_SOFT)
    if snapshot.rewards is not None:
        canvas.text((x, y + 45), f"sum of rewards {signed(sum(snapshot.rewards))}", 12, p.INK)
    canvas.text((x, y + 65), _status(snapshot), 12, p.MOON, bold=True)


def _status(snapshot: Snapshot) -> str:
    """Say what moment of the game this is, if it is a special one."""
    if snapshot.ending == "terminated":
        return "all safe" if snapshot.count(SAFE) == snapshot.num_houses else "all ruined"
    if snapshot.ending == "truncated":
        return "time is up"
    if snapshot.promised_now:
        return "promises made"
    return "" if snapshot.acted else "the game begins"
