"""Where time goes: functions are wrapped for a while, and each counts what it spends itself."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Adds up the time spent in named parts; a part's time leaves out that of parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[list[float]] = []  # of each part that is under way, its parts' time

    @contextmanager
    def watching(self, parts: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
        """While in here, time the attributes ``(owner, name)`` of each part."""
        places = [(part, owner, name) for part, found in parts.items() for owner, name in found]
        before = [getattr(owner, name) for _, owner, name in places]
        for (part, owner, name), function in zip(places, before, strict=True):
            setattr(owner, name, self._timed(part, function))
        try:
            yield
        finally:
            for (_, owner, name), function in zip(places, before, strict=True):
                setattr(owner, name, function)

    def shares(self, whole: float) -> dict[str, float]:
        """Each part's share of ``whole`` seconds, and the rest's."""
        found = {part: seconds / whole for part, seconds in self.seconds.items()}
        return found | {"rest": 1.0 - sum(found.values())}

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        self.seconds.setdefault(part, 0.0)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            within = [0.0]
            self._running.append(within)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - started
                self._running.pop()
                self.seconds[part] += took - within[0]
                if self._running:
                    self._running[-1][0] += took

        return timed
