"""What a long command is at: a live line in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from brigade.printable import printable


class ProgressLine:
    """One line on stderr that changes; without a terminal, a new one every few seconds at most.

    Parameters
    ----------
    console
        Where to show it; stderr without one.
    seconds
        Between two lines, and before the first, where there is no terminal that can redraw.
    """

    def __init__(self, console: Console | None = None, seconds: float = 5.0) -> None:
        self._console = console or Console(stderr=True)
        self._seconds = seconds
        self._next = time.monotonic() + seconds
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> ProgressLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, words: str) -> None:
        """Say what is being done now."""
        if self._live is not None:
            self._live.update(Text(printable(words), no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            with contextlib.suppress(OSError):  # stderr may be a full disk: the result is not
                self._console.print(Text(printable(words)), soft_wrap=True)
