"""A game as plain text, for ``render_mode="ansi"`` and for terminals."""

from __future__ import annotations

from collections.abc import Sequence

from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot

HOUSE_SIGNS = {SAFE: "[^]", BURNING: "{*}", RUINED: " x "}
HOUSE_WORDS = {SAFE: "safe", BURNING: "burning", RUINED: "ruined"}
_TITLE, _HOUSE, _MOST_HOUSES = 6, 6, 16  # of a line of houses: widths in it, and houses
_WIDEST = _TITLE + _HOUSE * _MOST_HOUSES
_SEAT_COLUMNS = ("seat", "name", "house", "did", "said", "", "reward", "so far")
_LEFT = ("name", "did", "said", "")
# Widths of those columns, 0 for one that is left out, by what they need with spaces between them.
_SEAT_WIDTHS = {
    82: (4, 14, 5, 5, 5, 13, 10, 12),
    70: (4, 14, 5, 4, 4, 13, 9, 10),
    40: (4, 10, 0, 4, 4, 5, 0, 8),
}


def text(snapshot: Snapshot, width: int | None = None) -> str:
    """Write a snapshot as lines of plain text, each ended by a newline.

    Houses are ``[^]`` safe, ``{*}`` burning and ``x`` ruined; under them stand their owners and who
    is there, ``W`` working or ``r`` resting.

    Parameters
    ----------
    snapshot
        What to write.
    width
        Columns that there are, at least 40; without it, as many as is best.
    """
    space = _WIDEST if width is None else width
    step = min(_MOST_HOUSES, max(1, (space - _TITLE) // _HOUSE))
    lines = [headline(snapshot), ""]
    for start in range(0, snapshot.num_houses, step):
        lines += _street(snapshot, range(start, min(start + step, snapshot.num_houses)))
        lines.append("")
    needed = next((needed for needed in _SEAT_WIDTHS if needed <= space), min(_SEAT_WIDTHS))
    widths = _SEAT_WIDTHS[needed]
    gap = "  " if needed == max(_SEAT_WIDTHS) else " "
    seats = [_seat_cells(snapshot, seat, widths) for seat in range(snapshot.num_agents)]
    for cells in [_SEAT_COLUMNS, *seats]:
        columns = zip(_SEAT_COLUMNS, cells, widths, strict=True)
        lines.append(gap.join(_padded(cell, title, size) for title, cell, size in columns if size))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def headline(snapshot: Snapshot) -> str:
    """Write the night and the count of houses."""
    counts = ", ".join(f"{snapshot.count(state)} {word}" for state, word in HOUSE_WORDS.items())
    ending = {None: "", "terminated": " (the game is over)", "truncated": " (time is up)"}
    return f"{snapshot.scenario}, night {snapshot.night}: {counts}{ending[snapshot.ending]}"


def _street(snapshot: Snapshot, houses: range) -> list[str]:
    """Write a stretch of houses: their numbers, states, owners, progress and agents."""
    here: dict[int, list[str]] = {house: [] for house in houses}
    for seat in range(snapshot.num_agents):
        place = snapshot.place(seat)
        if place in here:
            letter = "" if not snapshot.acted else "W" if snapshot.working[seat] else "r"
            here[place].append(f"{seat}{letter}")
    columns = [
        [str(house) for house in houses],
        [HOUSE_SIGNS[snapshot.houses[house]] for house in houses],
        [str(snapshot.owner(house)) for house in houses],
    ]
    titles = ["house", "", "owner"]
    if any(snapshot.fire_progress[house] > 0 for house in houses):
        titles.append("out")
        columns.append([_percent(snapshot.fire_progress[house]) for house in houses])
    crowd = max(len(agents) for agents in here.values())
    for row in range(crowd):
        titles.append("here" if row == 0 else "")
        columns.append([here[house][row] if row < len(here[house]) else "" for house in houses])
    return [
        f"{title:<{_TITLE}}" + "".join(f"{cell:^{_HOUSE}}" for cell in cells)
        for title, cells in zip(titles, columns, strict=True)
    ]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share > 0 else ""


def _seat_cells(snapshot: Snapshot, seat: int, widths: Sequence[int]) -> tuple[str, ...]:
    """Write what a seat did, said and got, for columns of these widths."""
    _, name_width, _, _, _, truth_width, reward_width, total_width = widths
    name = snapshot.names[seat] if snapshot.names else f"agent_{seat}"
    did = said = truth = ""
    if snapshot.acted:
        did = _mode(snapshot.working[seat])
        said = _mode(snapshot.signals[seat])
        truth = "honest" if snapshot.honest(seat) else "LIE"
    if snapshot.promises is not None and snapshot.promised_now:
        did, said, truth = "", _mode(snapshot.promises[seat]), "promise"
    elif snapshot.kept(seat) is False:
        truth += ", broke"
    if len(truth) > truth_width:  # only what is remarkable
        truth = "LIE" if "LIE" in truth else "broke" if "broke" in truth else ""
    return (
        str(seat),
        clipped(name, name_width),
        str(snapshot.place(seat)),
        did,
        said,
        truth,
        "" if snapshot.rewards is None else _number(snapshot.rewards[seat], reward_width),
        "" if snapshot.returns is None else _number(snapshot.returns[seat], total_width),
    )


def _padded(cell: str, title: str, width: int) -> str:
    return cell.ljust(width) if title in _LEFT else cell.rjust(width)


def clipped(name: str, width: int) -> str:
    """Cut a name that is too long, but not the agent's number at its end, as in ``run:3``."""
    if len(name) <= width:
        return name
    head, colon, number = name.rpartition(":")
    end = f"..{colon}{number}"
    return head[: width - len(end)] + end if colon and len(end) < width else name[:width]


def _number(value: float, width: int) -> str:
    exact = f"{value:+.2f}"
    return exact if len(exact) <= width else f"{value:+.0f}"


def _mode(works: bool) -> str:
    return "work" if works else "rest"
