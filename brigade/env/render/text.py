"""A game as plain text, for ``render_mode="ansi"`` and for terminals."""

from __future__ import annotations

from brigade.env.render.snapshot import BURNING, RUINED, SAFE, Snapshot

HOUSE_SIGNS = {SAFE: "[^]", BURNING: "{*}", RUINED: " x "}
HOUSE_WORDS = {SAFE: "safe", BURNING: "burning", RUINED: "ruined"}
_PER_LINE = 16


def text(snapshot: Snapshot) -> str:
    """Write a snapshot as lines of plain text, each ended by a newline.

    Houses are ``[^]`` safe, ``{*}`` burning and ``x`` ruined; under them stand their owners and who
    is there, ``W`` working or ``r`` resting.
    """
    lines = [headline(snapshot), ""]
    for start in range(0, snapshot.num_houses, _PER_LINE):
        lines += _street(snapshot, range(start, min(start + _PER_LINE, snapshot.num_houses)))
        lines.append("")
    lines.append(
        f"{'seat':>4}  {'name':<14}  {'house':>5}  {'did':<5}  {'said':<5}  {'':<13}"
        f"  {'reward':>10}  {'so far':>12}"
    )
    lines += [_seat_line(snapshot, seat) for seat in range(snapshot.num_agents)]
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
        f"{title:<6}" + "".join(f"{cell:^6}" for cell in cells)
        for title, cells in zip(titles, columns, strict=True)
    ]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share > 0 else ""


def _seat_line(snapshot: Snapshot, seat: int) -> str:
    """Write what a seat did, said and got."""
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
    reward = f"{snapshot.rewards[seat]:+.2f}" if snapshot.rewards is not None else ""
    total = f"{snapshot.returns[seat]:+.2f}" if snapshot.returns is not None else ""
    return (
        f"{seat:>4}  {name[:14]:<14}  {snapshot.place(seat):>5}  {did:<5}  {said:<5}  {truth:<13}"
        f"  {reward:>10}  {total:>12}"
    )


def _mode(works: bool) -> str:
    return "work" if works else "rest"
