"""The panel beside the ring: what each agent did, said and got, and what the signs mean."""

from __future__ import annotations

from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas
from brigade.env.render.marks import draw_mark
from brigade.env.render.people import draw_agent, draw_bubble
from brigade.env.render.signs import SIGN, draw_signs, signed
from brigade.env.render.snapshot import Snapshot

LEFT, RIGHT, TOP, BOTTOM = 652.0, 944.0, 16.0, 624.0
_ROWS_TOP = 102.0
_RETURN = RIGHT - 14.0
_MAX_ROWS = 32
_TALL = 34.0


def draw_panel(canvas: Canvas, snapshot: Snapshot, *, signs: bool) -> None:
    """Draw the panel; ``signs`` says whether it also explains what agents do and say."""
    canvas.card((LEFT, TOP), (RIGHT, BOTTOM), 14, p.PANEL, 235, p.PANEL_LINE, 1.5)
    title = snapshot.scenario
    size = 20.0
    while canvas.text_width(title, size) > RIGHT - LEFT - 36 and size > 9:
        size -= 1
    canvas.text((LEFT + 18, TOP + 28), title, size, p.INK, "lm", bold=True)
    rows = min(snapshot.num_agents, _MAX_ROWS)
    shown = rows if rows == snapshot.num_agents else rows - 1  # the last row sums up the others
    bottom = _key(canvas, snapshot, signs=signs)
    height = min(58.0, (bottom - _ROWS_TOP) / rows)
    says, reward = (LEFT + 141, RIGHT - 72) if height >= _TALL else (LEFT + 169, RIGHT - 63)
    for x, words, anchor in (
        (LEFT + 18, "agent", "lm"),
        (says, "says", "mm"),
        (reward, "last night", "rm"),
        (_RETURN, "so far", "rm"),
    ):
        canvas.text((x, TOP + 66), words, 12 if height >= _TALL else 10, p.INK_SOFT, anchor)
    canvas.line([(LEFT + 14, TOP + 80), (RIGHT - 14, TOP + 80)], p.PANEL_LINE, 1)
    for seat in range(shown):
        _row(canvas, snapshot, seat, _ROWS_TOP + height * (seat + 0.5), height, says, reward)
    if shown < rows:
        _rest(canvas, snapshot, shown, _ROWS_TOP + height * (shown + 0.5))


def _row(
    canvas: Canvas,
    snapshot: Snapshot,
    seat: int,
    y: float,
    height: float,
    says: float,
    reward: float,
) -> None:
    """Draw one agent's row, in two lines of words where it is tall.

    ``says`` and ``reward`` are where its columns are: the former's centre, the latter's right edge.
    """
    working = snapshot.working[seat] if snapshot.acted else None
    name = snapshot.names[seat] if snapshot.names else f"seat {seat}"
    deed = "" if working is None else "works" if working else "rests"
    place = f"{deed} at {snapshot.place(seat)}" if deed else f"home {snapshot.homes[seat]}"
    words, bubble = min(14.0, 0.76 * height), min(26.0, 0.80 * height)
    if height >= _TALL:
        draw_agent(canvas, (LEFT + 40, y), min(48.0, 0.92 * height), seat, working)
        canvas.text((LEFT + 58, y - 8), _cut(canvas, name, words, 62), words, p.INK, "lm")
        canvas.text((LEFT + 58, y + 10), place, 11, p.INK_SOFT, "lm")
    else:
        words, bubble = min(11.0, words), min(18.0, bubble)
        draw_mark(canvas, (LEFT + 18, y), min(20.0, 1.02 * height), seat, numbered=False)
        canvas.text((LEFT + 43, y), str(seat), words, p.INK, "rm")
        room = 46 if snapshot.num_houses <= 100 else 37  # the rest is for the house's number
        canvas.text((LEFT + 48, y), _cut(canvas, name, words, room), words, p.INK, "lm")
        at = (LEFT + 49 + room, y)
        canvas.text(at, _cut(canvas, place, words, 107 - room), words, p.INK_SOFT, "lm")
    _says(canvas, snapshot, seat, says, y, bubble)
    if snapshot.rewards is not None:
        value = snapshot.rewards[seat]
        colour = p.GAIN if value > 0 else p.LOSS if value < 0 else p.INK_SOFT
        canvas.text((reward, y), signed(value), words, colour, "rm")
    if snapshot.returns is not None:
        canvas.text((_RETURN, y), signed(snapshot.returns[seat]), words, p.INK, "rm")


def _cut(canvas: Canvas, words: str, size: float, width: float) -> str:
    """Shorten words to a width."""
    while len(words) > 3 and canvas.text_width(words, size) > width:
        words = words[:-3] + ".."
    return words


def _says(canvas: Canvas, snapshot: Snapshot, seat: int, x: float, y: float, size: float) -> None:
    """Draw the promise of a two-phase night, and the signal of the last night, with their truth."""
    bubbles: list[tuple[bool, bool | None]] = []
    if snapshot.promises is not None:
        bubbles.append((snapshot.promises[seat], snapshot.kept(seat)))
    if snapshot.acted and not snapshot.promised_now:
        bubbles.append((snapshot.signals[seat], snapshot.honest(seat)))
    if len(bubbles) == 2 and size > 16:
        size *= 0.7
    for index, (says_work, truth) in enumerate(bubbles):
        at = x + (index - (len(bubbles) - 1) / 2) * 1.3 * size
        draw_bubble(canvas, (at, y), size, says_work, truth)


def _rest(canvas: Canvas, snapshot: Snapshot, first: int, y: float) -> None:
    """Sum up the seats from ``first`` on, which have no row."""
    count = snapshot.num_agents - first
    words = f"and {count} more"
    if snapshot.acted:
        words += f", {sum(snapshot.working[first:])} of them work"
    canvas.text((LEFT + 14, y), words, 11, p.INK_SOFT, "lm")
    if snapshot.returns is not None:
        mean = f"mean {signed(sum(snapshot.returns[first:]) / count)}"
        canvas.text((_RETURN, y), mean, 11, p.INK_SOFT, "rm")


def _key(canvas: Canvas, snapshot: Snapshot, *, signs: bool) -> float:
    """Explain the signs at the panel's foot, and give the height that is left for the rows."""
    y = BOTTOM - 18
    draw_mark(canvas, (LEFT + 26, y), SIGN, 0, numbered=False)
    canvas.text((LEFT + 42, y), "owner of house", 11, p.INK_SOFT, "lm")
    canvas.line([(LEFT + 128, y), (LEFT + 150, y)], p.PANEL_LINE, 5)
    canvas.line([(LEFT + 128, y), (LEFT + 141, y)], p.WATER, 4)
    canvas.text((LEFT + 155, y), "fire put out", 11, p.INK_SOFT, "lm")
    if snapshot.promises is not None:
        draw_bubble(canvas, (LEFT + 228, y), 0.8 * SIGN, True, None)
        canvas.text((LEFT + 242, y), "promise", 11, p.INK_SOFT, "lm")
    if signs:
        y -= 28
        draw_signs(canvas, snapshot, [(LEFT + 14 + dx, y) for dx in (0, 66, 130, 206)])
    line = y - 18
    canvas.line([(LEFT + 14, line), (RIGHT - 14, line)], p.PANEL_LINE, 1)
    return line - 4
