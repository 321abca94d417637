"""How fast a run goes of late, and when it will end. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

# What counts as of late: so long, and as many updates at least.
RECENT_SECONDS = 30.0
RECENT_UPDATES = 4
# Of less than that nothing is said.
LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Mark:
    """Where a run is at one moment."""

    seconds: float  # since the first game began
    episodes: int
    transitions: int
    share: float  # of the run, in [0, 1]
    updates: int  # that have come back from the learners


class Pace:
    """Measures a run from one update's return to another's.

    Play and learning may take turns, each for minutes: between two such moments lies as much of
    the one as of the other. Before there are two, the pace is that of play.
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()  # where updates came back
        self._first: Mark | None = None
        self._now: Mark | None = None

    def note(self, now: Mark) -> None:
        """Take a look at the run; ``seconds`` is NaN before the first game began."""
        if math.isnan(now.seconds):
            return
        if self._now is None:
            self._first = now
        elif now.updates > self._now.updates:
            self._marks.append(now)
            while self._spare():
                self._marks.popleft()
        self._now = now

    def _spare(self) -> bool:
        """Whether the marks without the oldest reach back far enough."""
        if len(self._marks) < 3:
            return False
        second, last = self._marks[1], self._marks[-1]
        long = last.seconds - second.seconds >= RECENT_SECONDS
        return long and last.updates - second.updates >= RECENT_UPDATES

    def _stretch(self) -> tuple[Mark, Mark] | None:
        """What the pace is measured over."""
        if self._first is None or self._now is None:
            return None
        learns = len(self._marks) > 1
        begin, end = (self._marks[0], self._marks[-1]) if learns else (self._first, self._now)
        return (begin, end) if end.seconds - begin.seconds >= LEAST_SECONDS else None

    @property
    def rates(self) -> tuple[float, float]:
        """Episodes and agent-transitions a second; NaN where nobody can tell."""
        stretch = self._stretch()
        if stretch is None:
            return math.nan, math.nan
        begin, end = stretch
        seconds = end.seconds - begin.seconds
        return (
            (end.episodes - begin.episodes) / seconds,
            (end.transitions - begin.transitions) / seconds,
        )

    @property
    def seconds_per_update(self) -> float:
        """From one update to the next; NaN before there were two."""
        if len(self._marks) < 2:
            return math.nan
        first, last = self._marks[0], self._marks[-1]
        return (last.seconds - first.seconds) / (last.updates - first.updates)

    @property
    def seconds_left(self) -> float:
        """Time until the end at this pace; NaN before two updates have come back."""
        stretch = self._stretch()
        if stretch is None or self._now is None or len(self._marks) < 2:
            return math.nan
        begin, end = stretch
        if end.share <= begin.share:
            return math.nan
        whole = (1 - end.share) * (end.seconds - begin.seconds) / (end.share - begin.share)
        return max(0.0, whole - (self._now.seconds - end.seconds))
