"""A game in the terminal: the ring, and a table of what everybody did, said and got."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot
from brigade.env.render.text import HOUSE_SIGNS, clipped, headline, text

__all__ = ["view"]

_STYLES = {SAFE: "bold green", BURNING: "bold white on red", RUINED: "dim"}
_SEATS = ("cyan", "yellow", "green", "magenta", "bright_blue", "bright_red", "white", "bright_cyan")
_MAX_RING, _MAX_TEAM = 14, 12
_WIDTH, _HEIGHT, _WIDE = 54, 19, 130
_SIGNS = (
    r"\[^] safe, {*} burning, x ruined; 3:1 house 3 of seat 1; W works, r rests; broken: a promise"
)


def view(snapshot: Snapshot, width: int = _WIDE) -> RenderableType:
    """Give what a terminal of ``width`` columns shows of one moment."""
    title = headline(snapshot)
    many = snapshot.num_houses > _MAX_RING or snapshot.num_agents > _MAX_TEAM
    if many or width < _WIDE:
        return Text(text(snapshot, width))
    inside = Table.grid(padding=(0, 2))
    inside.add_row(_ring(snapshot), Group(Text(), Text(), _table(snapshot)))
    return Panel(inside, title=title, subtitle=_SIGNS, width=_WIDE)


def _ring(snapshot: Snapshot) -> RenderableType:
    """Draw the ring in characters, the agents inside it before their houses."""
    cells: dict[tuple[int, int], tuple[str, str]] = {}

    def put(x: float, y: float, words: str, style: str) -> None:
        row, start = round(y), round(x - len(words) / 2)
        for index, letter in enumerate(words):
            cells[row, start + index] = (letter, style)

    crowds: dict[int, list[int]] = {}
    for seat in range(snapshot.num_agents):
        crowds.setdefault(snapshot.place(seat), []).append(seat)
    for house, state in enumerate(snapshot.houses):
        angle = 2 * math.pi * house / snapshot.num_houses - math.pi / 2
        x = _WIDTH / 2 + 0.43 * _WIDTH * math.cos(angle)
        y = _HEIGHT / 2 + 0.42 * _HEIGHT * math.sin(angle) - 0.5
        put(x, y, HOUSE_SIGNS[state], _STYLES[state])
        owner = snapshot.owner(house)
        put(x, y + 1, f"{house}:{owner}", _seat_style(owner))
        here = crowds.get(house, [])
        for index, seat in enumerate(here):
            inner_x = _WIDTH / 2 + 0.25 * _WIDTH * math.cos(angle)
            inner_y = _HEIGHT / 2 + 0.23 * _HEIGHT * math.sin(angle) - 0.5
            shift = index - (len(here) - 1) / 2
            put(inner_x + shift * 4, inner_y, _token(snapshot, seat), _seat_style(seat))
    put(_WIDTH / 2, _HEIGHT / 2 - 0.5, f"night {snapshot.night}", "bold")
    lines = []
    for row in range(_HEIGHT):
        line = Text()
        for column in range(_WIDTH):
            letter, style = cells.get((row, column), (" ", ""))
            line.append(letter, style)
        lines.append(line)
    return Group(*lines)


def _token(snapshot: Snapshot, seat: int) -> str:
    if not snapshot.acted:
        return str(seat)
    return f"{seat}{'W' if snapshot.working[seat] else 'r'}"


def _seat_style(seat: int) -> str:
    return _SEATS[seat % len(_SEATS)]


def _table(snapshot: Snapshot) -> Table:
    """Say what everybody did, said and got."""
    table = Table(box=None, pad_edge=False)
    for header, width in (("agent", 14), ("did", 10), ("said", 4), ("", 13)):
        table.add_column(header, width=width, no_wrap=True)
    table.add_column("reward", justify="right", width=8, no_wrap=True)
    table.add_column("so far", justify="right", width=10, no_wrap=True)
    for seat in range(snapshot.num_agents):
        name = snapshot.names[seat] if snapshot.names else "agent"
        did = said = truth = ""
        if snapshot.acted and not snapshot.promised_now:
            did = f"{'work' if snapshot.working[seat] else 'rest'} at {snapshot.positions[seat]}"
            said = "work" if snapshot.signals[seat] else "rest"
            truth = "honest" if snapshot.honest(seat) else "[bold red]LIE[/]"
            if snapshot.kept(seat) is False:
                truth += " [red]broken[/]"
        elif snapshot.promised_now and snapshot.promises is not None:
            said, truth = ("work" if snapshot.promises[seat] else "rest"), "promise"
        reward = "" if snapshot.rewards is None else f"{snapshot.rewards[seat]:+.2f}"
        total = "" if snapshot.returns is None else f"{snapshot.returns[seat]:+.2f}"
        who = Text(clipped(f"{seat} {name}", 14), style=_seat_style(seat))
        table.add_row(who, did, said, truth, reward, total)
    return table
