"""The panel beside the ring: what each agent did, said and got, and what the signs mean."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas
from brigade.env.render.houses import draw_house
from brigade.env.render.people import draw_bubble, draw_person
from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot

LEFT, RIGHT, TOP, BOTTOM = 652.0, 944.0, 16.0, 624.0
_ROWS_TOP, _ROWS_BOTTOM = 104.0, 500.0
_SAYS, _REWARD = LEFT + 141.0, LEFT + 212.0
_MAX_ROWS = 32


def draw_panel(canvas: Canvas, snapshot: Snapshot) -> None:
    """Draw the panel."""
    canvas.card((LEFT, TOP), (RIGHT, BOTTOM), 14, p.PANEL, 235, p.PANEL_LINE, 1.5)
    title = snapshot.scenario
    size = 20.0
    while canvas.text_width(title, size) > RIGHT - LEFT - 36 and size > 9:
        size -= 1
    canvas.text((LEFT + 18, TOP + 28), title, size, p.INK, "lm", bold=True)
    for x, words, anchor in (
        (LEFT + 18, "agent", "lm"),
        (_SAYS, "says", "mm"),
        (_REWARD, "last night", "rm"),
        (RIGHT - 16, "so far", "rm"),
    ):
        canvas.text((x, TOP + 66), words, 12, p.INK_SOFT, anchor)
    canvas.line([(LEFT + 14, TOP + 80), (RIGHT - 14, TOP + 80)], p.PANEL_LINE, 1)
    shown = min(snapshot.num_agents, _MAX_ROWS)
    height = min(58.0, (_ROWS_BOTTOM - _ROWS_TOP) / max(shown, 1))
    for seat in range(shown):
        _row(canvas, snapshot, seat, _ROWS_TOP + height * (seat + 0.5), height)
    if snapshot.num_agents > shown:
        words = f"and {snapshot.num_agents - shown} more"
        canvas.text((LEFT + 18, _ROWS_BOTTOM + 8), words, 11, p.INK_SOFT, "lm")
    _legend(canvas)


def _row(canvas: Canvas, snapshot: Snapshot, seat: int, y: float, height: float) -> None:
    """Draw one agent's row."""
    working = snapshot.working[seat] if snapshot.acted else None
    person = min(44.0, 0.92 * height)
    words = min(14.0, 0.72 * height)
    draw_person(canvas, (LEFT + 34, y), person, seat, working)
    name = snapshot.names[seat] if snapshot.names else f"seat {seat}"
    deed = "" if working is None else "works" if working else "rests"
    while len(name) > 3 and canvas.text_width(name, words) > 62:
        name = name[:-3] + ".."
    if height >= 34:
        canvas.text((LEFT + 58, y - 8), name, words, p.INK, "lm")
        place = f"{deed} at {snapshot.place(seat)}" if deed else f"home {snapshot.homes[seat]}"
        canvas.text((LEFT + 58, y + 10), place, 11, p.INK_SOFT, "lm")
    else:
        summary = f"{seat} {deed} at {snapshot.place(seat)}" if deed else name
        canvas.text((LEFT + 54, y), summary, words, p.INK, "lm")
    _says(canvas, snapshot, seat, _SAYS, y, min(26.0, 0.74 * height))
    if snapshot.rewards is not None:
        reward = snapshot.rewards[seat]
        colour = p.GAIN if reward > 0 else p.LOSS if reward < 0 else p.INK_SOFT
        canvas.text((_REWARD, y), _signed(reward), words, colour, "rm")
    if snapshot.returns is not None:
        canvas.text((RIGHT - 16, y), _signed(snapshot.returns[seat]), words, p.INK, "rm")


def _says(canvas: Canvas, snapshot: Snapshot, seat: int, x: float, y: float, size: float) -> None:
    """Draw the promise of a two-phase night, and the signal of the last night, with their truth."""
    bubbles: list[tuple[bool, bool | None]] = []
    if snapshot.promises is not None:
        bubbles.append((snapshot.promises[seat], snapshot.kept(seat)))
    if snapshot.acted and not snapshot.promised_now:
        bubbles.append((snapshot.signals[seat], snapshot.honest(seat)))
    if len(bubbles) == 2:
        x, size = x + 3, 0.7 * size
    for index, (says_work, truth) in enumerate(bubbles):
        at = x + (index - (len(bubbles) - 1) / 2) * 1.3 * size
        draw_bubble(canvas, (at, y), size, says_work, truth)


def _signed(value: float) -> str:
    """Give a number with its sign, short enough for a column."""
    digits = 1 if abs(value) < 1_000 else 0
    return f"{value:+,.{digits}f}"


def _legend(canvas: Canvas) -> None:
    """Explain the signs."""
    canvas.line([(LEFT + 14, 512), (RIGHT - 14, 512)], p.PANEL_LINE, 1)
    for index, (state, words) in enumerate(
        ((SAFE, "safe"), (BURNING, "burning"), (RUINED, "ruined"))
    ):
        x = LEFT + 32 + index * 94
        draw_house(canvas, (x, 538), 28, state, p.seat_colour(0))
        canvas.text((x + 20, 541), words, 12, p.INK_SOFT, "lm")
    for index, (working, words) in enumerate(((True, "works"), (False, "rests"))):
        x = LEFT + 32 + index * 94
        draw_person(canvas, (x, 574), 30, 0, working)
        canvas.text((x + 20, 577), words, 12, p.INK_SOFT, "lm")
    canvas.text((LEFT + 204, 577), "roof: owner", 12, p.INK_SOFT, "lm")
    for index, (says, truth, words) in enumerate(
        ((True, True, "says so, does so"), (True, False, "lies"))
    ):
        x = LEFT + 32 + index * 150
        draw_bubble(canvas, (x, 606), 20, says, truth)
        canvas.text((x + 20, 607), words, 12, p.INK_SOFT, "lm")
